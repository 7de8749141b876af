"""An answer arrives as the vendor gave it."""

from __future__ import annotations

import pytest

from ..lab import Answer
from .base import ProviderSetting
from .speech import expect
from .stage import Stage

TEXT = 'Grüße, 世界! 👩‍🚀 said\n\nhello.\tTwo  spaces, a \\ and a " too. '


class AnswerCases(ProviderSetting):
    """What a model says is what the caller reads, in whatever pieces it comes."""

    @pytest.mark.parametrize("size", [1, 3, 4096])
    async def test_text_arrives_whole(self, stage: Stage, size: int) -> None:
        stage.script(Answer(TEXT).drip(size))
        reply = await stage.chat()
        expect(
            reply.text == TEXT,
            f"{TEXT!r} was sent in pieces of {size} bytes, and {reply.text!r} arrived: decode bytes with an "
            "incremental decoder, and cut events at their line ends only, not where a chunk happens to end",
        )

"""Counts are the vendor's: what it says arrives, and what it does not say is not known."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

import pytest

from pointsman import Reply, Usage

from ..lab import Answer, Pace, Raw, RecordedRequest, Script, Site
from .base import ProviderSetting
from .speech import expect
from .stage import Stage
from .wire import plays

ASKED, ANSWERED, PART = 987_654, 876_543, 765_432
"""Tokens that no answer of this kit has: where they stand in a body, its usage is."""
ODD = {
    "null": "null",
    "negative": "-3",
    "text": '"many"',
    "true": "true",
    "a list": "[1]",
    "more than anybody can read": str(10**30),
}


class UsageCases(ProviderSetting):
    """`Finished.usage` holds whole numbers that the vendor has counted, or is not there."""

    counts: ClassVar[bool] = True
    """False: what the vendor says of tokens is no count of this answer, as where an agent tells that of the last model
    that it has called. Usage is estimated then."""

    async def test_counts_are_the_vendors(self, stage: Stage) -> None:
        answer = Answer("Some words.", counts=Usage(input_tokens=ASKED, output_tokens=ANSWERED), usage="own")
        reply = await self._counted(stage, answer)
        if not self.counts:
            _expect_unknown(reply, "the vendor's numbers are no count of this answer, says `counts`")
            return
        usage = reply.usage
        expect(
            usage is not None and (usage.input_tokens, usage.output_tokens) == (ASKED, ANSWERED),
            f"the vendor counted {ASKED} tokens of input and {ANSWERED} of output, and usage is {usage}: take its "
            "numbers, all of them, and ask for them if it has to be asked",
        )
        expect(usage and not usage.estimated, "the vendor has counted: its usage is not estimated")

    @pytest.mark.parametrize("part", ["cached_input_tokens", "reasoning_tokens"])
    async def test_parts_are_inside_their_wholes(self, stage: Stage, part: str) -> None:
        """Whether the vendor counts a part within its whole or beside it, here it is within."""
        if not self.counts:
            pytest.skip("the vendor's numbers are no count of this answer, says `counts`")
        cached, reasoned = (PART, 0) if part == "cached_input_tokens" else (0, PART)
        counts = Usage(
            input_tokens=ASKED, cached_input_tokens=cached, output_tokens=ANSWERED, reasoning_tokens=reasoned
        )
        answer = Answer("Some words.", counts=counts, usage="own")
        usage = (await self._counted(stage, answer, str(PART))).usage
        expect(
            usage == counts,
            f"the vendor counted {counts}, and usage is {usage}: cached tokens are part of the input, reasoning is "
            "part of the output; add them up where the vendor counts them beside",
        )

    async def test_missing_usage_is_not_zero(self, stage: Stage) -> None:
        counts = Usage(input_tokens=ASKED, output_tokens=ANSWERED)
        answer = Answer("Some words.", counts=counts, usage="none")
        stage.script(answer)
        reply = await stage.chat()
        if plays(self.dialect, answer, stage.chats[0], str(ASKED)):
            pytest.skip('its dialect always counts: let events() leave the usage out where answer.usage is "none"')
        _expect_unknown(reply, "the vendor sent no count")

    @pytest.mark.parametrize("odd", ODD)
    async def test_odd_counts_are_no_counts(self, stage: Stage, odd: str) -> None:
        reply = await self._miscounted(stage, lambda number: ODD[odd])
        _expect_unknown(reply, f"the vendor's counts are {ODD[odd]}")

    async def test_half_a_count_is_no_count(self, stage: Stage) -> None:
        reply = await self._miscounted(stage, lambda number: "null" if number == ASKED else str(number))
        _expect_unknown(reply, "the vendor's count of the input is null")

    async def _counted(self, stage: Stage, answer: Answer, *more: str) -> Reply:
        """The reply to `answer`; skips where the dialect does not say its counts."""
        stage.script(answer)
        reply = await stage.chat()
        told = plays(self.dialect, answer, stage.chats[0], *more)
        bare = replace(answer, counts=Usage(input_tokens=ASKED, output_tokens=ANSWERED))
        if not told or not plays(self.dialect, bare, stage.chats[0], str(ASKED)):
            pytest.skip("its dialect has no way to say that")
        return reply

    async def _miscounted(self, stage: Stage, instead: Callable[[int], str]) -> Reply:
        """The reply to an answer whose counts are something else; skips where the dialect says none."""
        counted = Answer("Some words.", counts=Usage(input_tokens=ASKED, output_tokens=ANSWERED), usage="own")

        def script(request: RecordedRequest) -> Raw:
            response = self.dialect.chat(counted, request.json, Pace(), Site())
            body = b"".join(chunk.data for chunk in response.body)
            for number in (ASKED, ANSWERED, ASKED + ANSWERED):
                body = re.sub(rb"\b%d\b" % number, instead(number).encode(), body)
            kind = dict(response.headers).get("content-type", "")
            return Raw(body, content_type=kind, chunked=response.chunked)

        scripted: Script = script
        stage.script(scripted)
        reply = await stage.chat()
        if not plays(self.dialect, counted, stage.chats[0], str(ASKED)):
            pytest.skip("its dialect says no counts")
        expect(reply.text == counted.text, f"with odd counts, {counted.text!r} arrives as {reply.text!r}")
        return reply


def _expect_unknown(reply: Reply, why: str) -> None:
    expect(
        reply.usage is None or reply.usage.estimated,
        f"{why}, and usage is {reply.usage}: leave Finished.usage None where nothing has been counted, so that the "
        "engine estimates",
    )
    expect(
        not reply.cost.complete or not reply.cost.known,
        f"{why}, and the cost is given as exact ({reply.cost!r}): it can be a lower bound only",
    )

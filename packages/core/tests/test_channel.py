"""Where events cross to the reader."""

from __future__ import annotations

import anyio
import pytest

from pointsman import ConfigError
from pointsman.engine.channel import Channel


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


async def test_a_reader_that_is_cancelled_is_not_told_of_what_its_cancellation_did_to_others() -> None:
    channel = Channel()
    with anyio.CancelScope() as scope:
        scope.cancel()
        channel.close(ConfigError("a scope around this stream was cancelled"))
        await channel.wait()
    assert scope.cancelled_caught


async def test_a_reader_that_is_not_cancelled_is_told() -> None:
    channel = Channel()
    channel.close(ConfigError("a scope around this stream was cancelled"))
    for _ in range(2):
        with pytest.raises(ConfigError, match="was cancelled"):
            await channel.wait()

"""Ending a nest of generators that its library would leave open."""

from __future__ import annotations

import gc
from collections.abc import AsyncGenerator

import anyio
import pytest

from pointsman import unwind


class Lost(Exception):
    pass


class Nest:
    """Generators in generators, as HTTP libraries build them: the outer ones do not close the inner."""

    def __init__(self, ready: int) -> None:
        self.ready = ready
        self.ended: list[int] = []

    async def source(self) -> AsyncGenerator[int]:
        try:
            for number in range(self.ready):
                yield number
            await anyio.sleep_forever()
        finally:
            self.ended.append(0)

    async def around(self, depth: int) -> AsyncGenerator[int]:
        try:
            async for number in self.around(depth - 1) if depth else self.source():
                yield number
        finally:
            self.ended.append(depth + 1)


@pytest.mark.parametrize("taken", [0, 1, 3])
async def test_every_generator_of_a_nest_is_ended(taken: int) -> None:
    nest = Nest(ready=5)
    stream = nest.around(3)
    for _ in range(taken):
        await anext(stream)
    await unwind(stream)
    assert nest.ended == [0, 1, 2, 3, 4], "from the inside out, and none left to the garbage collector"
    gc.collect()


async def test_at_the_end_it_does_nothing() -> None:
    async def short() -> AsyncGenerator[int]:
        yield 1

    stream = short()
    assert [number async for number in stream] == [1]
    await unwind(stream)


async def test_only_the_expected_exceptions_end_it_in_silence() -> None:
    async def lost() -> AsyncGenerator[int]:
        yield 1
        raise Lost

    stream = lost()
    await anext(stream)
    await unwind(stream, Lost)
    stream = lost()
    await anext(stream)
    with pytest.raises(Lost):
        await unwind(stream)

"""Leaving early, in whatever way and at whatever moment, ends the connection and leaves nothing behind."""

from __future__ import annotations

import gc
import gzip
import math
import warnings
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeAlias

import anyio
import anyio.lowlevel
import pytest

from pointsman import ChatRequest, Finished, StreamEvent, TextDelta, user
from pointsman_openai import Session
from pointsman_testing import Answer, Lab, Raw, Vendor, body_bytes

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Session]]

REQUEST = ChatRequest(messages=(user("Count."),), model="m")
WORDS = "one two three four five six"
ANSWER = Answer(WORDS)
COUNT = 7
"""Events of the answer: six words and the end."""


class CallersError(Exception):
    """What the caller's own code raises."""


@contextmanager
def without_a_trace() -> Generator[None]:
    """Whatever is left to the garbage collector would say so."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    assert [str(warning.message) for warning in caught] == []


async def settle() -> None:
    gc.collect()
    for _ in range(3):
        await anyio.lowlevel.checkpoint()


async def gone(vendor: Vendor) -> None:
    """The vendor notices within 100 ms that its client has left."""
    with anyio.fail_after(2):
        await vendor.requests[-1].gone.wait()


async def take(events: AsyncIterator[StreamEvent], count: int) -> None:
    for _ in range(count):
        await anext(events)


@pytest.fixture(params=["stalled", "all sent", "compressed"])
def answer(request: pytest.FixtureRequest) -> Callable[[int], Raw | Answer]:
    """An answer that stalls after so many events, one that is in the buffers already, and one in gzip."""

    def of(count: int) -> Raw | Answer:
        match request.param:
            case "stalled":
                return Answer(WORDS, role_first=False, usage="none").stall(after=count)
            case "compressed":
                data = gzip.compress(body_bytes(ANSWER, {"stream": True}))
                return Raw(data, headers={"content-encoding": "gzip"}).drip(20)
            case _:
                return ANSWER

    return of


@pytest.mark.parametrize("count", range(COUNT))
async def test_break(opened: Open, vendor: Vendor, answer: Callable[[int], Raw | Answer], count: int) -> None:
    with without_a_trace():
        async with opened(vendor.base_url) as session:
            vendor.script(answer(count), ANSWER)
            async with session.stream(REQUEST) as events:
                await take(events, count)
            if isinstance(script := answer(count), Answer) and script.faults:
                await gone(vendor)
            async with session.stream(REQUEST) as events:  # The session goes on working.
                assert "".join([event.text async for event in events if isinstance(event, TextDelta)]) == WORDS
        await settle()


@pytest.mark.parametrize("count", [0, 1, 6])
async def test_the_callers_error_passes_unchanged(opened: Open, vendor: Vendor, count: int) -> None:
    vendor.script(Answer(WORDS, role_first=False).stall(after=count))
    with without_a_trace():
        async with opened(vendor.base_url) as session:
            with pytest.raises(CallersError) as caught:
                async with session.stream(REQUEST) as events:
                    await take(events, count)
                    raise CallersError
            await gone(vendor)
        await settle()
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("count", range(COUNT))
async def test_cancelled_while_waiting(opened: Open, vendor: Vendor, count: int) -> None:
    vendor.script(Answer(WORDS, role_first=False).stall(after=count))
    with without_a_trace():
        async with opened(vendor.base_url) as session:
            with anyio.CancelScope() as scope:
                async with session.stream(REQUEST) as events:
                    await take(events, count)
                    scope.deadline = anyio.current_time() + 0.05
                    await take(events, 1)
            assert scope.cancelled_caught
            await gone(vendor)
        await settle()


@pytest.mark.parametrize("count", range(COUNT))
async def test_cancelled_in_the_callers_code(opened: Open, vendor: Vendor, count: int) -> None:
    vendor.script(Answer(WORDS, role_first=False).stall(after=count))
    with without_a_trace():
        async with opened(vendor.base_url) as session:
            with anyio.CancelScope() as scope:
                async with session.stream(REQUEST) as events:
                    await take(events, count)
                    scope.cancel()
                    await anyio.sleep_forever()
            assert scope.cancelled_caught
            await gone(vendor)
        await settle()


async def test_cancelled_before_the_head(opened: Open, vendor: Vendor) -> None:
    vendor.script(Answer(WORDS, wait=math.inf))
    with without_a_trace():
        async with opened(vendor.base_url) as session:
            with anyio.move_on_after(0.05) as scope:
                async with session.stream(REQUEST):
                    raise AssertionError("the stream was entered")
            assert scope.cancelled_caught
            await gone(vendor)
        await settle()


async def test_cancelled_after_the_proof(opened: Open, vendor: Vendor) -> None:
    """While the count of tokens is waited for."""
    vendor.script(Answer(WORDS).stall(after=-2))
    with without_a_trace():
        async with opened(vendor.base_url) as session:
            with anyio.move_on_after(0.1) as scope:
                async with session.stream(REQUEST) as events:
                    await take(events, COUNT)
            assert scope.cancelled_caught
            await gone(vendor)
        await settle()


async def test_read_to_the_end(opened: Open, vendor: Vendor) -> None:
    with without_a_trace():
        async with opened(vendor.base_url) as session, session.stream(REQUEST) as events:
            seen = [event async for event in events]
            with pytest.raises(StopAsyncIteration):
                await anext(events)
        await settle()
    assert isinstance(seen[-1], Finished)
    assert not vendor.requests[0].gone.is_set()


async def test_the_session_is_closed_under_a_stream(opened: Open, vendor: Vendor) -> None:
    """A mistake of the caller; it must not hang, nor leave anything."""
    vendor.script(Answer(WORDS, role_first=False).stall(after=2))
    with without_a_trace():
        async with opened(vendor.base_url) as session:
            stream = session.stream(REQUEST)
            await take(await stream.__aenter__(), 1)
        with anyio.fail_after(2):
            await stream.__aexit__(None, None, None)
        await settle()


async def test_many_at_once(opened: Open, lab: Lab) -> None:
    """More streams than any pool has connections, each left at another moment."""
    vendor = lab.vendor("busy", default=Answer(WORDS, role_first=False).stall(after=3, seconds=0.2))

    async def leave(session: Session, number: int) -> None:
        with anyio.move_on_after(0.02 * (number % 3)):
            async with session.stream(REQUEST) as events:
                await take(events, number % COUNT)

    with without_a_trace():
        async with opened(vendor.base_url) as session, anyio.create_task_group() as tasks:
            for number in range(150):
                tasks.start_soon(leave, session, number)
        await settle()

"""The kit for wrappers, before wrappers that are broken on purpose: the right test goes red, on both event loops."""

from __future__ import annotations

import inspect
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio
import pytest

from pointsman import (
    ChatRequest,
    Exact,
    Finished,
    PointsmanError,
    Stream,
    StreamEvent,
    TextDelta,
    Unavailable,
    Usage,
    hookimpl,
    map_events,
    map_request,
    short_circuit,
)
from pointsman_testing.kit import WrapperConformance

Wrap = Callable[[Stream], Stream]


class Wrapper:
    """A plugin made of one function."""

    def __init__(self, wrap: Wrap) -> None:
        self.wrap = wrap

    @hookimpl(wrapper=True)
    def pointsman_stream(self) -> Generator[None, Stream, Stream]:
        return self.wrap((yield))


def loud(event: StreamEvent) -> StreamEvent:
    return replace(event, text=event.text.upper()) if isinstance(event, TextDelta) else event


class Loud(WrapperConformance):
    """The tests of a wrapper that changes answers on purpose."""

    def alters(self, events: Sequence[StreamEvent]) -> Sequence[StreamEvent]:
        return [loud(event) for event in events]


KIT: Any = WrapperConformance()
TESTS = dict(inspect.getmembers(KIT, inspect.iscoroutinefunction))


async def fails(name: str, wrap: Wrap, kit: Any = KIT) -> bool:
    """Whether that test of the kit goes red for `wrap`."""
    test = getattr(kit, name)
    rows = [mark.args for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    rows = [row for row in rows if row[0] != "anyio_backend"]
    for fixtures in [{rows[0][0]: value} for value in rows[0][1]] if rows else [{}]:
        try:
            await test(plugin=Wrapper(wrap), **fixtures)
        except Exception:
            return True
    return False


@pytest.mark.parametrize("name", [name for name in TESTS if name.startswith("test_")])
async def test_a_sound_wrapper_is_green(name: str) -> None:
    assert not await fails(name, lambda inner: map_events(map_request(inner, lambda one: one), lambda one: one))


@pytest.mark.parametrize("name", [name for name in TESTS if name.startswith("test_")])
async def test_a_wrapper_that_changes_answers_on_purpose_is_green(name: str) -> None:
    assert not await fails(name, lambda inner: map_events(inner, loud), Loud())


# Bugs ----------------------------------------------------------------------------------------------------------------


def streams(body: Callable[[Stream, ChatRequest], AsyncIterator[StreamEvent]]) -> Wrap:
    """A wrapper written as a generator of events, which is closed when the stream is left."""

    def wrap(inner: Stream) -> Stream:
        @asynccontextmanager
        async def stream(request: ChatRequest) -> AsyncGenerator[AsyncIterator[StreamEvent]]:
            events: Any = body(inner, request)
            try:
                yield events
            finally:
                await events.aclose()

        return stream

    return wrap


async def _enters_late(inner: Stream, request: ChatRequest) -> AsyncGenerator[StreamEvent]:
    async with inner(request) as events:
        collected = [event async for event in events]
    for event in collected:
        yield event


async def _hides_errors(inner: Stream, request: ChatRequest) -> AsyncGenerator[StreamEvent]:
    try:
        async with inner(request) as events:
            async for event in events:
                yield event
    except PointsmanError:
        yield Finished("stop")


async def _always_ends(inner: Stream, request: ChatRequest) -> AsyncGenerator[StreamEvent]:
    async with inner(request) as events:
        async for event in events:
            if not isinstance(event, Finished):
                yield event
    yield Finished("stop")


async def _retries(inner: Stream, request: ChatRequest) -> AsyncGenerator[StreamEvent]:
    for last in (False, True):
        try:
            async with inner(request) as events:
                async for event in events:
                    yield event
            return
        except PointsmanError:
            if last:
                raise


async def _ends_twice(inner: Stream, request: ChatRequest) -> AsyncGenerator[StreamEvent]:
    async with inner(request) as events:
        async for event in events:
            yield event
            if isinstance(event, Finished):
                yield event


def _renames_errors(inner: Stream) -> Stream:
    @asynccontextmanager
    async def stream(request: ChatRequest) -> AsyncGenerator[AsyncIterator[StreamEvent]]:
        try:
            async with inner(request) as events:
                yield events
        except Exception as error:
            raise Unavailable(f"it failed: {error}") from error

    return stream


def _leaves_it_open(inner: Stream) -> Stream:
    left: list[object] = []

    @asynccontextmanager
    async def stream(request: ChatRequest) -> AsyncGenerator[AsyncIterator[StreamEvent]]:
        entered = inner(request)
        left.append(entered)
        yield await entered.__aenter__()

    return stream


def _shields(inner: Stream) -> Stream:
    @asynccontextmanager
    async def stream(request: ChatRequest) -> AsyncGenerator[AsyncIterator[StreamEvent]]:
        entered = inner(request)
        events = await entered.__aenter__()
        yield events
        await entered.__aexit__(None, None, None)

    return stream


def _one_at_a_time(inner: Stream) -> Stream:
    lock = anyio.Semaphore(1)

    @asynccontextmanager
    async def stream(request: ChatRequest) -> AsyncGenerator[AsyncIterator[StreamEvent]]:
        with anyio.fail_after(0.1):
            await lock.acquire()
        try:
            async with inner(request) as events:
                yield events
        finally:
            lock.release()

    return stream


def _one_request_for_all(inner: Stream) -> Stream:
    asked: list[ChatRequest] = []

    def last(request: ChatRequest) -> ChatRequest:
        asked.append(request)
        return asked[0]

    return map_request(inner, last)


def _cache(key: Callable[[ChatRequest], object], *, early: bool = False) -> Wrap:
    def wrap(inner: Stream) -> Stream:
        known: dict[object, Sequence[StreamEvent]] = {}
        if not early:
            return short_circuit(
                inner,
                lambda request: known.get(key(request)),
                lambda request, events: known.update({key(request): list(events)}),
            )

        async def body(inside: Stream, request: ChatRequest) -> AsyncGenerator[StreamEvent]:
            if key(request) in known:
                for event in known[key(request)]:
                    yield event
                return
            heard: list[StreamEvent] = []
            known[key(request)] = heard
            async with inside(request) as events:
                async for event in events:
                    heard.append(event)
                    yield event

        return streams(body)(inner)

    return wrap


def _whole_again(inner: Stream) -> Stream:
    known: dict[str, Sequence[StreamEvent]] = {}
    return short_circuit(
        inner,
        lambda request: known.get(repr(request)),
        lambda request, events: known.update({repr(request): [*events[:-1], Finished("stop", Usage(), Exact(0))]}),
    )


def _one_memory_for_all(inner: Stream, known: dict[str, Sequence[StreamEvent]] = {}) -> Stream:  # noqa: B006
    return short_circuit(
        inner,
        lambda request: known.get(repr(request)),
        lambda request, events: known.update({repr(request): list(events)}),
    )


def _sleeps(request: ChatRequest) -> ChatRequest:
    time.sleep(0.001)
    return request


def _taints(request: ChatRequest) -> ChatRequest:
    request.tags["seen"] = "yes"
    return request


# What a broken wrapper leaves open, trio complains of too.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("wrap", "caught_by"),
    [
        pytest.param(
            lambda inner: map_events(inner, lambda event: event if isinstance(event, TextDelta | Finished) else None),
            "test_an_answer_passes_whole",
            id="knows text only",
        ),
        pytest.param(
            lambda inner: map_events(
                inner, lambda event: Finished(event.reason) if isinstance(event, Finished) else event
            ),
            "test_an_answer_passes_whole",
            id="loses the usage",
        ),
        pytest.param(
            lambda inner: map_request(inner, lambda one: ChatRequest(messages=one.messages, model=one.model)),
            "test_a_request_passes_whole",
            id="makes a request of its own",
        ),
        pytest.param(
            lambda inner: map_request(inner, lambda one: replace(one, messages=one.messages[-1:])),
            "test_a_conversation_passes_whole",
            id="passes the last message",
        ),
        pytest.param(
            lambda inner: map_request(inner, _taints),
            "test_the_callers_request_is_left_alone",
            id="writes into the request",
        ),
        pytest.param(streams(_enters_late), "test_events_pass_as_they_come", id="collects first"),
        pytest.param(_one_request_for_all, "test_calls_do_not_mix", id="shares a variable"),
        pytest.param(
            _cache(lambda request: request.messages[-1]),
            "test_another_question_gets_its_own_answer",
            id="remembers by the last message",
        ),
        pytest.param(streams(_hides_errors), "test_a_refusal_passes", id="hides refusals"),
        pytest.param(streams(_hides_errors), "test_an_error_in_mid_stream_passes", id="hides errors in mid-stream"),
        pytest.param(streams(_retries), "test_a_refusal_passes", id="retries by itself"),
        pytest.param(streams(_retries), "test_an_error_in_mid_stream_passes", id="begins again in mid-stream"),
        pytest.param(_renames_errors, "test_a_refusal_passes", id="renames errors"),
        pytest.param(_renames_errors, "test_the_callers_own_error_passes", id="renames the caller's errors"),
        pytest.param(streams(_always_ends), "test_an_answer_without_its_end_stays_without", id="invents an end"),
        pytest.param(streams(_ends_twice), "test_an_answer_ends_once", id="ends twice"),
        pytest.param(_leaves_it_open, "test_leaving_early_closes_at_once", id="never leaves"),
        pytest.param(_shields, "test_cancellation_passes", id="leaves only where nothing is raised"),
        pytest.param(
            _cache(repr, early=True), "test_half_an_answer_is_not_given_for_a_whole", id="remembers too early"
        ),
        pytest.param(_whole_again, "test_what_is_asked_again_is_answered_whole", id="remembers no reason"),
        pytest.param(_cache(repr), "test_an_answer_that_nobody_gave_costs_nothing", id="charges for what it remembers"),
        pytest.param(_one_memory_for_all, "test_providers_are_told_apart", id="remembers in the module"),
        pytest.param(_one_at_a_time, "test_an_open_stream_holds_up_nobody", id="one at a time"),
        pytest.param(
            lambda inner: map_events(inner, lambda event: None if isinstance(event, Finished) else event),
            "test_a_broken_answer_is_started_anew",
            id="drops the end",
        ),
    ],
)
async def test_a_bug_is_seen_by_the_right_test(wrap: Wrap, caught_by: str) -> None:
    assert await fails(caught_by, wrap)


@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
async def test_a_wrapper_that_blocks_is_seen_by_the_right_test() -> None:
    assert await fails("test_nothing_blocks_the_event_loop", lambda inner: map_request(inner, _sleeps))

"""Ready-made shapes for wrappers of `pointsman_stream`, so that nobody closes a stream by hand.

Each takes the inner callable and returns one of the same kind::

    @hookimpl(wrapper=True)
    def pointsman_stream(connection):
        inner = yield
        return map_request(inner, redact)
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import cast

from .provider import Stream
from .types import ChatRequest, Finished, StreamEvent


def map_request(inner: Stream, change: Callable[[ChatRequest], ChatRequest]) -> Stream:
    """Ask something else: `change` sees each request before the provider does. Costs nothing for each event."""

    def stream(request: ChatRequest) -> AbstractAsyncContextManager[AsyncIterator[StreamEvent]]:
        changed = cast(object, change(request))
        if not isinstance(changed, ChatRequest):
            raise TypeError(f"a changed request is a ChatRequest, not {type(changed).__name__}")
        return inner(changed)

    return stream


def map_events(inner: Stream, change: Callable[[StreamEvent], StreamEvent | None]) -> Stream:
    """Answer something else: `change` sees each event on its way out; None drops it."""

    @asynccontextmanager
    async def stream(request: ChatRequest) -> AsyncGenerator[AsyncIterator[StreamEvent]]:
        async with inner(request) as events:
            yield _Mapped(events, change)

    return stream


def short_circuit(
    inner: Stream,
    answer: Callable[[ChatRequest], Iterable[StreamEvent] | None],
    remember: Callable[[ChatRequest, Sequence[StreamEvent]], None] | None = None,
) -> Stream:
    """Answer without asking: where `answer` returns events, the provider is not called.

    `remember` receives the events of each answer that the provider did give, as soon as it is whole.
    """

    @asynccontextmanager
    async def stream(request: ChatRequest) -> AsyncGenerator[AsyncIterator[StreamEvent]]:
        known = answer(request)
        if known is not None:
            yield _Replayed(iter(known))
            return
        async with inner(request) as events:
            yield events if remember is None else _Overheard(events, partial(remember, request))

    return stream


class _Mapped:
    def __init__(self, events: AsyncIterator[StreamEvent], change: Callable[[StreamEvent], StreamEvent | None]) -> None:
        self._next = events.__anext__
        self._change = change

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self) -> StreamEvent:
        while True:
            changed = self._change(await self._next())
            if changed is not None:
                return changed


class _Overheard:
    def __init__(self, events: AsyncIterator[StreamEvent], remember: Callable[[Sequence[StreamEvent]], None]) -> None:
        self._next = events.__anext__
        self._remember = remember
        self._heard: list[StreamEvent] = []

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self) -> StreamEvent:
        event = await self._next()
        self._heard.append(event)
        if isinstance(event, Finished):
            self._remember(self._heard)
        return event


class _Replayed:
    def __init__(self, events: Iterable[StreamEvent]) -> None:
        self._events = iter(events)

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self) -> StreamEvent:
        for event in self._events:
            return event
        raise StopAsyncIteration

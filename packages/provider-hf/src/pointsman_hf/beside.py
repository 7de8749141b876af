"""What is asked beside the answers, and the end of an answer that is there before it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio

from pointsman import Finished, StreamEvent

WAIT_SECONDS = 2.0
"""How long the end of an answer may wait for what says its price. Its text never waits."""


class Beside:
    """Questions that are asked beside the answers, by name."""

    def __init__(self, spawn: Callable[..., Any]) -> None:
        """`spawn` starts what goes on beside the answers."""
        self._spawn = spawn
        self._asked: dict[str, anyio.Event] = {}

    def ask(self, name: str, question: Callable[[], Awaitable[None]]) -> None:
        """Begin. `question` raises nothing."""
        answered = self._asked[name] = anyio.Event()

        async def run() -> None:
            try:
                await question()
            finally:
                answered.set()

        self._spawn(run)

    def ending(self, name: str, events: AsyncIterator[StreamEvent]) -> AsyncIterator[StreamEvent]:
        """`events`, the end of which waits for what is asked under `name`, if that is under way."""
        answered = self._asked.get(name)
        return events if answered is None or answered.is_set() else _Ending(events, answered)


class _Ending:
    """No generator: who leaves early need not close it."""

    def __init__(self, events: AsyncIterator[StreamEvent], answered: anyio.Event) -> None:
        self._events = events
        self._answered = answered

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self) -> StreamEvent:
        event = await anext(self._events)
        if isinstance(event, Finished):
            with anyio.move_on_after(WAIT_SECONDS):
                await self._answered.wait()
        return event

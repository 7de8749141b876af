"""The events of one answer, read from the wire as they are asked for."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import AsyncIterator
from typing import Protocol

import anyio

from pointsman import PointsmanError, StreamEvent

from .http import FAILURES, Body

AFTER_REASON = 2.0
"""Seconds that a server may take after the finish reason for more output, the count of tokens or the end."""
AFTER_DONE = 0.05
"""Seconds that a server may take after ``[DONE]`` to end the body, so that the connection can be used again."""


class Decoder(Protocol):
    """From the bytes of one answer to its events, in whatever dialect. It does no I/O."""

    ready: deque[StreamEvent]
    """What is to be read next; always the same deque."""

    @property
    def failure(self) -> PointsmanError | None:
        """What is raised once `ready` is empty, if the answer broke."""
        ...

    @property
    def over(self) -> bool:
        """Nothing more is to be read from the body."""
        ...

    @property
    def done(self) -> bool:
        """The proof of a whole answer is in, and nothing but the end of the body should follow."""
        ...

    @property
    def proved(self) -> bool:
        """The proof is in, though more may follow."""
        ...

    def feed(self, data: bytes) -> None:
        """Take more of the body."""
        ...

    def end(self, lost: Exception | None = None) -> None:
        """The body has ended, or the connection was `lost`; sets `over`."""
        ...


class Answer:
    """An iterator of events that ends with `Finished`, or raises what broke the answer. `Body.close` ends it early."""

    def __init__(self, body: Body, decoder: Decoder) -> None:
        self._read = body.read
        self._decoder = decoder
        self._ready = decoder.ready
        self._deadline = math.inf

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self) -> StreamEvent:
        ready, decoder = self._ready, self._decoder
        while not ready:
            if decoder.over:
                if decoder.failure is not None:
                    raise decoder.failure
                raise StopAsyncIteration
            try:
                data = await (self._read_on() if decoder.proved else self._read())
            except StopAsyncIteration:
                decoder.end()
            except FAILURES as error:
                decoder.end(error)
            else:
                decoder.feed(data)
                if ready:
                    self._deadline = math.inf  # Whoever goes on answering has not come to the end.
        return ready.popleft()

    async def _read_on(self) -> bytes:
        """More bytes after the proof, if they come in time. Raises `StopAsyncIteration` if none do."""
        patience = AFTER_DONE if self._decoder.done else AFTER_REASON
        self._deadline = min(self._deadline, anyio.current_time() + patience)
        with anyio.CancelScope(deadline=self._deadline):
            return await self._read()
        raise StopAsyncIteration

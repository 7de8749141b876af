"""The events of one answer, read from the wire as they are asked for."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator

import anyio

from pointsman import StreamEvent

from .decode import ChatDecoder
from .http import FAILURES, Body

AFTER_REASON = 2.0
"""Seconds that a server may take after the finish reason for more output, the count of tokens or the end."""
AFTER_DONE = 0.05
"""Seconds that a server may take after ``[DONE]`` to end the body, so that the connection can be used again."""


class Answer:
    """An iterator of events that ends with `Finished`, or raises what broke the answer. `Body.close` ends it early."""

    def __init__(self, body: Body, decoder: ChatDecoder) -> None:
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

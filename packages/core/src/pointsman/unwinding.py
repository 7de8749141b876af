"""Leaving another library's stream early, without leaving its generators open."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio


async def unwind(source: AsyncIterator[object], *expected: type[Exception]) -> None:
    """End an iterator that may be left early, and every generator that it stands on.

    Closing a generator does not close those inside it, of which trio warns; httpx2's bodies are such a nest. Going on
    to read in a scope that is cancelled already unwinds all of them. Call it in a ``finally``; at the end of `source`
    it does nothing. Exceptions of the `expected` classes, with which a lost connection may answer, end it too.
    """
    ended: tuple[type[Exception], ...] = (StopAsyncIteration, *expected)
    with anyio.CancelScope() as scope:
        scope.cancel()
        try:
            while True:
                await anext(source)
        except ended:
            return

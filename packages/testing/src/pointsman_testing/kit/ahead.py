"""Hours in no time, over real sockets: the clock of an event loop, set ahead."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class _Ahead:
    """A clock that can be set ahead, and never back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.seconds = 0.0

    def __call__(self) -> float:
        return self._clock() + self.seconds


def set_ahead(seconds: float) -> None:
    """Let `seconds` be over on the loop that runs, which is asyncio's: what was to go off meanwhile goes off now.

    The loop keeps that time.
    """
    loop = asyncio.get_running_loop()
    if not isinstance(vars(loop).get("time"), _Ahead):
        vars(loop)["time"] = _Ahead(loop.time)
    vars(loop)["time"].seconds += seconds

"""Keeping what a plugin raises from tearing down the task group that it runs in: the caller's own code is there."""

from __future__ import annotations

import asyncio
import math
from copy import copy
from typing import cast

import anyio
import anyio.lowlevel

from ..errors import PointsmanError, Scope


def forged(raised: asyncio.CancelledError) -> bool:
    """Whether nobody cancelled this task: asyncio's exception is also what awaiting a cancelled future raises."""
    try:
        task = asyncio.current_task()
    except RuntimeError:  # Another loop runs, which has an exception of its own for that.
        return True
    return task is not None and task.cancelling() == 0 and anyio.current_effective_deadline() != -math.inf


async def contained(raised: BaseException) -> Exception:
    """What a plugin raised, as an exception that ends nothing but its own work; it keeps where it came from.

    Raises `raised` again where it is no plugin's: a cancellation, an interrupt, the end of the program.
    """
    if isinstance(raised, Exception):
        return raised
    said = f"it raised {type(raised).__name__}"
    if isinstance(raised, asyncio.CancelledError) and forged(raised):
        said = "it cancelled itself"
    elif isinstance(raised, BaseExceptionGroup):
        # A plugin's task group around a generator that was closed, or cancelled in part.
        group = cast(BaseExceptionGroup[BaseException], raised)
        if group.subgroup((KeyboardInterrupt, SystemExit)) is not None:
            raise raised
        await anyio.lowlevel.checkpoint_if_cancelled()  # Trio's nurseries hand a cancellation on in a group.
        said = f"its task group ended with {', '.join(type(one).__name__ for one in group.exceptions)}"
    elif isinstance(raised, (KeyboardInterrupt, SystemExit, GeneratorExit, anyio.get_cancelled_exc_class())):
        raise raised
    error = RuntimeError(said).with_traceback(raised.__traceback__)
    vars(error).update(vars(raised))
    return error


def own(error: PointsmanError) -> PointsmanError:
    """A copy to write into, since a plugin may raise the same instance for many calls.

    Raises something for an error that cannot be copied or shown, or whose facts would mislead the engine.
    """
    mine = copy(error)
    mine.__traceback__, mine.__cause__, mine.__context__ = error.__traceback__, error.__cause__, error.__context__
    mine.__suppress_context__ = error.__suppress_context__
    if notes := getattr(mine, "__notes__", None):
        mine.__notes__ = list(notes)
    if [type(mine.scope), *map(type, (mine.retryable, mine.trips, mine.begun))] != [Scope, bool, bool, bool]:
        raise TypeError("scope is a Scope; retryable, trips and begun are bool")
    str(mine)
    mine.retry_at = _moment(mine.retry_at)
    mine.target, mine.provider, mine.partial = mine.target, mine.provider, ""  # As the engine will want to.
    return mine


def _moment(told: object) -> float | None:
    """A time that can be reckoned with, or None."""
    try:
        at = float(told) if isinstance(told, int | float) else math.nan
    except OverflowError:
        return None
    return at if math.isfinite(at) else None

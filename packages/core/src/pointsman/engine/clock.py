"""What is particular to an event loop: its clock, and whether a cancellation is really one."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import anyio
from anyio.lowlevel import current_token


def loop_clock() -> Callable[[], float]:
    """Monotonic seconds on the running loop's clock, the one that anyio's deadlines use.

    Bound once, since `anyio.current_time` looks the loop up at each call, at six times the cost.
    """
    loop = current_token().native_token
    if isinstance(loop, asyncio.AbstractEventLoop):
        return loop.time
    from trio.lowlevel import current_clock  # The only other loop that anyio knows; loaded, since it is running.

    return current_clock().current_time


def forged(raised: asyncio.CancelledError) -> bool:
    """Whether nobody cancelled this task: asyncio's exception is also what awaiting a cancelled future raises."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() == 0 and anyio.current_effective_deadline() != -math.inf

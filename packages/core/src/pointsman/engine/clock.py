"""The running event loop: its name and its clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from anyio.lowlevel import current_token


def loop_name() -> str:
    """``asyncio`` or ``trio``: anyio knows no other loop."""
    return "asyncio" if isinstance(current_token().native_token, asyncio.AbstractEventLoop) else "trio"


def loop_clock() -> Callable[[], float]:
    """Monotonic seconds on the running loop's clock, the one that anyio's deadlines use.

    Bound once, since `anyio.current_time` looks the loop up at each call, at six times the cost.
    """
    loop = current_token().native_token
    if isinstance(loop, asyncio.AbstractEventLoop):
        return loop.time
    from trio.lowlevel import current_clock  # The only other loop that anyio knows; loaded, since it is running.

    return current_clock().current_time

"""The event loop's own clock, bound once: `anyio.current_time` looks the loop up at each call (six times the cost)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from anyio.lowlevel import current_token


def loop_clock() -> Callable[[], float]:
    """Monotonic seconds on the running loop's clock, the one that anyio's deadlines use."""
    loop = current_token().native_token
    if isinstance(loop, asyncio.AbstractEventLoop):
        return loop.time
    from trio.lowlevel import current_clock  # The only other loop that anyio knows; loaded, since it is running.

    return current_clock().current_time

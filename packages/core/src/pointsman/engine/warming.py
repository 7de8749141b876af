"""Starting machines before somebody needs them: when a caller says so, and where settings let hints do it."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence

import anyio
from anyio.abc import TaskGroup

from ..errors import ConfigError, DeadlineExceeded
from ..provider import Health, HealthState
from ..types import Target
from .connections import Connections
from .contain import contained
from .health.machines import Machines

HINTS_AN_HOUR = 12
"""Starts that hints may set off in an hour, of all targets together: each is billed, whether anybody comes or not."""
HOUR = 3600.0
HINT_PATIENCE = 300.0
"""Seconds for which a start that a hint has set off is waited for, or four times the expected wait if that is more. As
long as one is under way, requests go where they will soon be answered, as it seems.
"""

log = logging.getLogger("pointsman")


class Warmer:
    """Of one client. What it runs by itself ends with `close`."""

    def __init__(self, connections: Connections, machines: Machines, clock: Callable[[], float]) -> None:
        self._connections = connections
        self._machines = machines
        self._clock = clock
        self._under_way: dict[Target, tuple[anyio.CancelScope, anyio.Event]] = {}
        """Starts that hints have set off and that are waited for: what ends the waiting, and what says that it has."""
        self._hinted: dict[Target, float] = {}
        """When a hint last set off a start."""
        self._recent: deque[float] = deque(maxlen=HINTS_AN_HOUR)

    async def warm(self, target: Target, deadline: float) -> Health:
        """Start a machine of `target`, if none runs, and wait until it is ready. Raises `ConfigError` if its provider
        has nothing to start, `DeadlineExceeded` if that takes longer than `deadline` seconds, and what starting raised.
        """
        hooks = await self._connections.open(target.provider)
        if hooks.warm is None:
            raise ConfigError(
                f"{target.provider} has nothing to warm: its plugin has no hook pointsman_warm",
                provider=target.provider,
            )
        began = self._clock()
        waking = self._machines.wait(target, began) is not None
        trial = self._machines.begin(target, began)
        health: Health | None = None
        with anyio.move_on_after(deadline):
            try:
                health = await hooks.warm(target.model)
            except Exception:
                self._machines.broke(target, trial)
                raise
            except BaseException:  # Cancelled: what was set off goes on.
                self._machines.ended(target, trial, self._clock())
                raise
        now = self._clock()
        if health is None:
            if waking:
                self._machines.told(target, began, None, now, broke=False)
            raise DeadlineExceeded(
                f"no machine was ready within {deadline:g} s: it may still be starting", target=target
            )
        if health.state is HealthState.UP:
            self._machines.spoke(target, trial, now)
        self._machines.ended(target, trial, now)
        if waking and health.state is HealthState.UP:
            self._machines.told(target, began, now, now, broke=False)
        return health

    def hint(self, targets: Sequence[Target], rate: float, group: TaskGroup) -> None:
        """A decision says that these would be asked first if they were ready: have the first of them started, if that
        is for somebody: requests come so often, `rate` a second, that one is to be expected within its window. Not if
        it is started already, or was by a hint a moment ago, or hints have set off enough.
        """
        now = self._clock()
        for target in targets[:1]:
            if self._may_start(target, now, rate):
                self._hinted[target] = now
                self._recent.append(now)
                group.start_soon(self._start, target, name=f"pointsman warming {target}")

    async def close(self) -> None:
        """Wait no longer for starts that hints have set off; their connections may be closed after that."""
        for scope, ended in list(self._under_way.values()):
            scope.cancel()
            await ended.wait()

    def _may_start(self, target: Target, now: float, rate: float) -> bool:
        ready, scaling = self._machines.ready(target, now), self._machines.of(target)
        if ready is None or scaling is None or ready.state != "cold" or target in self._under_way:
            return False
        if rate * scaling.window < 1:
            return False
        if now < self._hinted.get(target, -HOUR) + scaling.start + scaling.window:
            return False
        return len(self._recent) < HINTS_AN_HOUR or self._recent[0] <= now - HOUR

    async def _start(self, target: Target) -> None:
        """Never raises: that would cancel the client's body."""
        ended = anyio.Event()
        with anyio.CancelScope() as scope:
            self._under_way[target] = scope, ended
            try:
                wait = self._machines.wait(target, self._clock()) or 0.0
                await self.warm(target, max(HINT_PATIENCE, 4 * wait))
            except BaseException as raised:
                error = await contained(raised)
                log.warning("%s was to be warmed, and was not: %s", target, error)
            finally:
                del self._under_way[target]
                ended.set()

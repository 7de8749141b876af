"""Asking open providers in the background whether they are well; only where somebody has asked for it."""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio

from ..errors import PointsmanError
from ..plugins import HookCallables
from ..provider import HealthState
from .connections import Connections
from .contain import contained
from .health import Health

PATIENCE = 10.0
"""Seconds for one check."""

log = logging.getLogger("pointsman")


async def check_all(connections: Connections, health: Health, clock: Callable[[], float], every: float) -> None:
    """Ask each provider that is open, every so many seconds, for as long as the client is. Opens nobody."""
    under_way: set[str] = set()

    async def check(name: str, hooks: HookCallables) -> None:
        try:
            await _check(name, hooks, health, clock, every)
        finally:
            under_way.remove(name)

    async with anyio.create_task_group() as group:
        while True:
            await anyio.sleep(every)
            for name, hooks in connections.opened():
                if name not in under_way:  # One that cannot be hurried keeps nobody else from being asked.
                    under_way.add(name)
                    group.start_soon(check, name, hooks)


async def _check(name: str, hooks: HookCallables, health: Health, clock: Callable[[], float], every: float) -> None:
    well: bool | None = None
    with anyio.move_on_after(PATIENCE) as scope:
        try:
            said = await hooks.health()
            state = said.state
            well = {HealthState.UP: True, HealthState.DEGRADED: True, HealthState.DOWN: False}.get(state)
            health.machines.checked(name, said, now := clock(), now + every + PATIENCE)
        except BaseException as raised:
            error = await contained(raised)
            if isinstance(error, PointsmanError):
                well = False
            else:
                log.error("the health check of %s failed", name, exc_info=error)
    if scope.cancelled_caught:
        well = False
    if well is not None:
        health.checked(name, well, clock(), every + PATIENCE)

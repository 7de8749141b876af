"""Open providers: each is opened on first use, once a client, and kept until the client closes.

A connection lives in a task of its own, so that it is opened and closed by the same task whoever needed it first. An
open that fails is forgotten, and tried anew by the next attempt that wants it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup

from ..config import RedactingLog
from ..errors import ConfigError, PluginError, PointsmanError, Scope, Unavailable
from ..plugins import HookCallables, compose
from ..provider import Connection, Embeddings, EmbedRequest, Health, ModelInfo, ProviderContext, RateLimits
from ..types import Target
from .clock import loop_name
from .contain import contained, own
from .roster import Roster

OPENING = 30.0
"""Seconds that a provider may take to open. Without an end, one that hangs would be waited for by every later call."""
CLOSING_GRACE = 5.0
"""Seconds that a provider may take to close before it is cancelled."""

log = logging.getLogger("pointsman")


@dataclass(slots=True)
class _Slot:
    """A connection that is being opened, is open, or has failed to open."""

    until: float
    """When it must be open."""
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    settled: anyio.Event = field(default_factory=anyio.Event)
    gone: anyio.Event = field(default_factory=anyio.Event)
    hooks: HookCallables | None = None
    error: PointsmanError | None = None


class Connections:
    """The open providers of one client. Use inside its task group."""

    def __init__(
        self, roster: Roster, wrappers: Sequence[tuple[str, object]], group: TaskGroup, clock: Callable[[], float]
    ) -> None:
        self._roster = roster
        self._wrappers = wrappers
        self._group = group
        self._clock = clock
        self._slots: dict[str, _Slot] = {}
        self._closing = anyio.Event()
        self.limits: dict[str, RateLimits] = {}

    async def open(self, name: str) -> HookCallables:
        """The callables of the provider `name`. Raises what opening it raised."""
        slot = self._slots.get(name)
        if slot is None:
            slot = self._slots[name] = _Slot(self._clock() + OPENING)
            self._group.start_soon(self._hold, name, slot, name=f"pointsman connection {name}")
        if slot.hooks is None:
            with anyio.CancelScope(deadline=slot.until):
                await slot.settled.wait()
        if slot.hooks is None:
            raise own(slot.error or self._too_late(name, slot))  # Each waiter's own.
        return slot.hooks

    def opened(self) -> list[tuple[str, HookCallables]]:
        """Those that are open now."""
        return [(name, slot.hooks) for name, slot in self._slots.items() if slot.hooks is not None]

    async def close(self) -> None:
        """Let every connection go, and wait `CLOSING_GRACE` for them; what is left is cancelled by the client."""
        self._closing.set()
        for slot in self._slots.values():
            if not slot.settled.is_set():
                slot.scope.cancel()
        with anyio.move_on_after(CLOSING_GRACE):
            for slot in list(self._slots.values()):
                await slot.gone.wait()

    async def _hold(self, name: str, slot: _Slot) -> None:
        """Keep one provider open until the client closes. Never raises: that would cancel the client's body."""
        try:
            slot.scope.deadline = slot.until
            with slot.scope:
                connection = self._connection(name)
                if (loop := loop_name()) not in connection.spec.backends:
                    raise ConfigError(
                        f"it runs on {' and '.join(connection.spec.backends)}, not on {loop}", provider=name
                    )
                async with connection.spec.open(connection.config, connection.context) as session:
                    plugin = self._roster.declared(name).plugin
                    hooks = compose(replace(connection, session=session), plugin, self._wrappers)
                    slot.hooks = self._attended(name, hooks)
                    slot.scope.deadline = math.inf
                    slot.settled.set()
                    await self._closing.wait()
                    await self._keep_prices(name)
        except BaseException as raised:
            error = await contained(raised)
            if slot.hooks is not None:
                connection_log = RedactingLog(log, self._roster.redactor)
                connection_log.warning("%s did not close cleanly: %s", name, error)
            slot.error = _as_ours(error, name)
            self._roster.redactor.error(slot.error)
        finally:
            if slot.hooks is None and slot.error is None:
                if slot.scope.cancelled_caught and not self._closing.is_set():
                    self._too_late(name, slot)
                else:
                    slot.error = PluginError("opening was cancelled", plugin=name, provider=name)
            self._forget(name, slot)
            slot.settled.set()
            slot.gone.set()

    def _too_late(self, name: str, slot: _Slot) -> PointsmanError:
        """What those who wait are told, also where the opening cannot be ended; the next attempt opens anew."""
        self._forget(name, slot)
        slot.error = Unavailable(f"it was not open within {OPENING:g} s", provider=name, scope=Scope.PROVIDER)
        return slot.error

    def _forget(self, name: str, slot: _Slot) -> None:
        if self._slots.get(name) is slot:
            del self._slots[name]

    def _attended(self, name: str, hooks: HookCallables) -> HookCallables:
        """`hooks` whose reports and errors hold no secret (those of `stream` are the runner's to clean), and whose list
        of models is heard by the price book.
        """
        redactor = self._roster.redactor

        async def health() -> Health:
            try:
                found = await hooks.health()
            except Exception as error:
                redactor.error(error)
                raise
            if found.error is not None:
                redactor.error(found.error)
            return replace(found, reason=redactor.text(found.reason))

        async def models() -> Sequence[ModelInfo]:
            try:
                found = await hooks.models()
            except Exception as error:
                redactor.error(error)
                raise
            self._roster.prices(name).learn({Target(name, one.id): one for one in found})
            await self._keep_prices(name)
            return found

        async def embed(request: EmbedRequest) -> Embeddings:
            assert hooks.embed is not None
            try:
                return await hooks.embed(request)
            except Exception as error:
                redactor.error(error)
                raise

        async def warm(model: str) -> Health:
            assert hooks.warm is not None
            try:
                found = await hooks.warm(model)
            except Exception as error:
                redactor.error(error)
                raise
            return replace(found, reason=redactor.text(found.reason))

        return replace(
            hooks,
            health=health,
            models=models,
            embed=embed if hooks.embed else None,
            warm=warm if hooks.warm else None,
        )

    async def _keep_prices(self, name: str) -> None:
        """Write down what its list said, if that is news, off the event loop."""
        if self._roster.has_news(name):
            await to_thread.run_sync(self._roster.keep_prices, name)

    def _connection(self, name: str) -> Connection[Any]:
        declared, made = self._roster.declared(name), self._roster.configured(name)
        limits = self.limits.setdefault(name, RateLimits())
        context = ProviderContext(
            name=name,
            clock=self._clock,
            secrets={key: made.secrets[key] for key in declared.spec.env_keys if key in made.secrets},
            limits=limits,
            log=RedactingLog(logging.getLogger(f"pointsman.{name}"), self._roster.redactor),
        )
        return Connection(
            spec=declared.spec, config=made.config, session=None, context=context, prices=self._roster.prices(name)
        )


def _as_ours(error: Exception, name: str) -> PointsmanError:
    said = type(error).__name__
    with suppress(Exception):  # What cannot be shown, or copied for each who waits, stands in `__cause__` alone.
        if isinstance(error, PointsmanError):
            return own(error)
        said = f"{said}: {error}".rstrip(": ")
    ours = PluginError(f"opening it raised {said}", plugin=name, provider=name, scope=Scope.PROVIDER)
    ours.__cause__ = error
    return ours

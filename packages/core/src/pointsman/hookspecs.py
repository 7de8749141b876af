"""Everything that a plugin can add to Pointsman. This file is the table of contents.

Hooks declare and hand out callables; they never act. `pointsman_providers` and the other plural hooks are asked once,
when a plugin is loaded. `pointsman_stream`, `_health`, `_cost`, `_models`, `_embed` and `_warm` are asked once,
when a connection opens, and answer with a callable, so that pluggy is not on the path of a request, and so that
``@hookimpl(wrapper=True)`` receives the inner callable and returns its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from .commands import CommandSpec
    from .policy import Policy, PolicySpec
    from .provider import CheckHealth, Connection, Embed, ListModels, PriceAttempt, ProviderSpec, Stream, Warm
    from .stores import StoreSpec
    from .telemetry import Sink

hookspec = pluggy.HookspecMarker("pointsman")
hookimpl = pluggy.HookimplMarker("pointsman")


@hookspec
def pointsman_providers() -> Sequence[ProviderSpec[Any]]:
    """Providers that this plugin can open. Data only; must not do I/O."""
    raise AssertionError("a hook specification is not called")


@hookspec(firstresult=True)
def pointsman_stream(connection: Connection[Any]) -> Stream | None:
    """How a request is streamed over `connection`: ``return connection.session.stream`` is a whole implementation."""


@hookspec(firstresult=True)
def pointsman_health(connection: Connection[Any]) -> CheckHealth | None:
    """How the vendor's state is found out without spending tokens. Not implemented: `unknown`."""


@hookspec(firstresult=True)
def pointsman_cost(connection: Connection[Any]) -> PriceAttempt | None:
    """What an attempt cost: ``return connection.prices.cost`` prices by the token. Not implemented: `Unknown`."""


@hookspec(firstresult=True)
def pointsman_models(connection: Connection[Any]) -> ListModels | None:
    """How the vendor's models are listed. Not implemented: the models in the spec."""


@hookspec(firstresult=True)
def pointsman_embed(connection: Connection[Any]) -> Embed | None:
    """How texts are embedded, where the vendor can."""


@hookspec(firstresult=True)
def pointsman_warm(connection: Connection[Any]) -> Warm | None:
    """How a machine is started that comes and goes, before a request needs it. It is called only when somebody asks for
    that: a machine that runs is billed.
    """


@hookspec
def pointsman_policies() -> Sequence[Policy | PolicySpec[Any]]:
    """Routing policies: pure ranking of candidates. One with settings is declared, and made when it is first used."""
    raise AssertionError("a hook specification is not called")


@hookspec
def pointsman_stores() -> Sequence[StoreSpec]:
    """Backends for the ledger, budgets and shared state, by URL scheme."""
    raise AssertionError("a hook specification is not called")


@hookspec
def pointsman_sinks() -> Sequence[Sink]:
    """Receivers of attempt and call records."""
    raise AssertionError("a hook specification is not called")


@hookspec
def pointsman_commands() -> Sequence[CommandSpec]:
    """Verbs of the `pointsman` command."""
    raise AssertionError("a hook specification is not called")

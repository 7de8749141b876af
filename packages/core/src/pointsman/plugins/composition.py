"""From a connection to its callables: the provider's plugin inside, the wrappers around it, and nobody else.

Each connection gets a plugin manager of its own, so that a sibling provider never answers for it, not even one that is
registered later. The hooks are asked once; after that pluggy is not involved.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import PluginError, PointsmanError
from ..hookspecs import hookimpl
from ..provider import (
    CheckHealth,
    Connection,
    Embed,
    Health,
    HealthState,
    ListModels,
    ModelInfo,
    PriceAttempt,
    Stream,
)
from ..types import Cost, Target, Timings, Unknown, Usage
from .blame import Blame, Layer
from .discovery import manager_of


@dataclass(frozen=True, slots=True)
class HookCallables:
    """What a connection can do, wrappers included. `embed` is None where the vendor has no embeddings."""

    stream: Stream
    health: CheckHealth
    cost: PriceAttempt
    models: ListModels
    embed: Embed | None
    blame: Blame


def compose(
    connection: Connection[Any], provider: tuple[str, object], wrappers: Sequence[tuple[str, object]]
) -> HookCallables:
    """Ask the hooks about `connection`. `wrappers` are outermost first.

    Raises `PluginError`, naming plugin and hook, for an answer of None and for whatever a hook raises by itself.
    """
    name, plugin = provider
    manager = manager_of([(name, plugin)])
    missing = {hook for hook in _Defaults.hooks if not getattr(manager.hook, hook).get_hookimpls()}
    if not manager.hook.pointsman_stream.get_hookimpls():
        raise PluginError("it does not implement pointsman_stream", plugin=name)
    has_embed = bool(manager.hook.pointsman_embed.get_hookimpls())
    for hook in missing:
        manager.register(getattr(_Defaults, hook)(), f"pointsman default {hook}")
    # pluggy calls what was registered last first, so the innermost layer enters first, each with a guard around it.
    layers: list[Layer] = []
    open_iterators: dict[int, Layer] = {}
    manager.register(_Guard(name, layers, open_iterators), f"guard of {name}")
    for wrapper_name, wrapper in reversed(wrappers):
        manager.register(wrapper, f"wrapper {wrapper_name}")
        manager.register(_Guard(wrapper_name, layers, open_iterators), f"guard of wrapper {wrapper_name}")
    ask = manager.hook
    return HookCallables(
        stream=ask.pointsman_stream(connection=connection),
        health=ask.pointsman_health(connection=connection),
        cost=ask.pointsman_cost(connection=connection),
        models=ask.pointsman_models(connection=connection),
        embed=ask.pointsman_embed(connection=connection) if has_embed else None,
        blame=Blame(layers),
    )


class _Guard:
    """Stands around one plugin and names it if it answers with what cannot be called, or raises."""

    def __init__(self, plugin: str, layers: list[Layer], open_iterators: dict[int, Layer]) -> None:
        self._plugin = plugin
        self._layers = layers
        self._open = open_iterators

    def _check(self, hook: str) -> Generator[None, Any, Any]:
        try:
            answer = yield
        except PointsmanError:
            raise
        except Exception as error:
            raise PluginError(f"{hook} raised {type(error).__name__}: {error}", plugin=self._plugin) from error
        if not callable(answer):
            raise PluginError(f"{hook} must answer with a callable, not with {answer!r}", plugin=self._plugin)
        return answer

    @hookimpl(wrapper=True)
    def pointsman_stream(self) -> Generator[None, Any, Any]:
        layer = Layer(self._plugin, (yield from self._check("pointsman_stream")), self._open)
        self._layers.insert(0, layer)
        return layer

    @hookimpl(wrapper=True)
    def pointsman_health(self) -> Generator[None, Any, Any]:
        return (yield from self._check("pointsman_health"))

    @hookimpl(wrapper=True)
    def pointsman_cost(self) -> Generator[None, Any, Any]:
        return (yield from self._check("pointsman_cost"))

    @hookimpl(wrapper=True)
    def pointsman_models(self) -> Generator[None, Any, Any]:
        return (yield from self._check("pointsman_models"))

    @hookimpl(wrapper=True)
    def pointsman_embed(self) -> Generator[None, Any, Any]:
        return (yield from self._check("pointsman_embed"))


class _DefaultHealth:
    @hookimpl
    def pointsman_health(self, connection: Connection[Any]) -> CheckHealth:
        async def health() -> Health:
            return Health(HealthState.UNKNOWN, f"{connection.name} has no free probe; traffic will tell")

        return health


class _DefaultCost:
    @hookimpl
    def pointsman_cost(self) -> PriceAttempt:
        def cost(target: Target, usage: Usage | None, timing: Timings | None) -> Cost:
            return Unknown

        return cost


class _DefaultModels:
    @hookimpl
    def pointsman_models(self, connection: Connection[Any]) -> ListModels:
        async def models() -> Sequence[ModelInfo]:
            return connection.spec.models

        return models


class _Defaults:
    """What holds for a provider that does not implement an optional hook."""

    hooks = ("pointsman_health", "pointsman_cost", "pointsman_models")
    pointsman_health = _DefaultHealth
    pointsman_cost = _DefaultCost
    pointsman_models = _DefaultModels

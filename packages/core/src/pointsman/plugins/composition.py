"""From a connection to its callables: the provider's plugin inside, the wrappers around it, and nobody else.

Each answer is asked for in a plugin manager of its own, which holds the answer so far and the one plugin that is asked:
a sibling provider never answers, not even one that is registered later, and whoever fails is known by name. The hooks
are asked once; after that pluggy is not involved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import PluginError, PointsmanError, Scope
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
from .discovery import implements, manager_of, said


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
    layers: list[Layer] = []

    def as_layer(asked: str, stream: Stream) -> Stream:
        layers.append(Layer(asked, len(layers), stream))
        return layers[-1]

    def ask(hook: str, default: object = None, layer: Callable[[str, Any], Any] = lambda _, answer: answer) -> Any:
        answer = layer(name, _ask(hook, connection, name, [plugin])) if implements(plugin, hook) else default
        if answer is None:
            return None
        for wrapper_name, wrapper in reversed(wrappers):
            if implements(wrapper, hook):
                around = [_Inner(hook, answer), wrapper]
                answer = layer(wrapper_name, _ask(hook, connection, wrapper_name, around, Scope.REQUEST))
        return answer

    stream = ask("pointsman_stream", layer=as_layer)
    if stream is None:
        raise PluginError("it does not implement pointsman_stream", plugin=name, provider=connection.name)
    return HookCallables(
        stream=stream,
        health=ask("pointsman_health", _unknown_health(connection)),
        cost=ask("pointsman_cost", _unknown_cost),
        models=ask("pointsman_models", _models_of_spec(connection)),
        embed=ask("pointsman_embed"),
        blame=Blame(layers),
    )


class _Inner:
    """Answers one hook with what the layers further in have answered, for a wrapper to receive."""

    def __init__(self, hook: str, answer: object) -> None:
        setattr(self, hook, hookimpl(lambda: answer))


def _ask(
    hook: str, connection: Connection[Any], plugin: str, plugins: Sequence[object], scope: Scope = Scope.PROVIDER
) -> Any:
    """What `plugins` answer; `plugin` is the name of the one that is new among them.

    A wrapper's mistake has the scope of the whole request: another target would meet the same wrapper.
    """
    manager = manager_of((plugin if one is plugins[-1] else "what it wraps", one) for one in plugins)
    try:
        answer = getattr(manager.hook, hook)(connection=connection)
    except PointsmanError as error:
        error.add_note(f"raised by {hook} of the plugin {plugin!r}")
        raise
    except Exception as error:
        text = f"{hook} raised {said(error)}"
        raise PluginError(text, plugin=plugin, provider=connection.name, scope=scope) from error
    if not callable(answer):
        text = f"{hook} must answer with a callable, not with {'None' if answer is None else type(answer).__name__}"
        raise PluginError(text, plugin=plugin, provider=connection.name, scope=scope)
    return answer


# What holds for a provider that does not implement an optional hook -------------------------------------------------


def _unknown_health(connection: Connection[Any]) -> CheckHealth:
    async def health() -> Health:
        return Health(HealthState.UNKNOWN, f"{connection.name} has no free probe; traffic will tell")

    return health


def _unknown_cost(target: Target, usage: Usage | None, timing: Timings | None) -> Cost:
    return Unknown


def _models_of_spec(connection: Connection[Any]) -> ListModels:
    async def models() -> Sequence[ModelInfo]:
        return connection.spec.models

    return models

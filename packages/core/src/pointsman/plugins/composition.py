"""From a connection to its callables: the provider's plugin inside, the wrappers around it, and nobody else.

Each answer is asked for in a plugin manager of its own, which holds the answer so far and the one plugin that is asked:
a sibling provider never answers, not even one that is registered later, and whoever fails is known by name. The hooks
are asked once; after that pluggy is not involved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import PluginError, PointsmanError, Scope
from ..hookspecs import hookimpl
from ..pricebook import PriceBook
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
    Warm,
)
from ..types import Cost, Target, Timings, Unknown, Usage
from .blame import Blame, Layer
from .discovery import implements, manager_of, said


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class HookCallables:
    """What a connection can do, wrappers included. `embed` is None where the vendor has no embeddings,
    `warm` where nothing has to be started.

    `session` is what the provider opened: for what this vendor alone can do. No wrapper is around that.
    """

    stream: Stream
    health: CheckHealth
    cost: PriceAttempt
    models: ListModels
    embed: Embed | None
    warm: Warm | None
    blame: Blame
    session: Any
    prices: PriceBook


def compose(
    connection: Connection[Any], provider: tuple[str, object], wrappers: Sequence[tuple[str, object]]
) -> HookCallables:
    """Ask the hooks about `connection`. `wrappers` are outermost first.

    Raises `PluginError`, naming plugin and hook, for an answer of None and for whatever a hook raises by itself.
    """
    name, plugin = provider
    answers: dict[str, Any] = {
        "pointsman_health": _unknown_health(connection),
        "pointsman_cost": _unknown_cost,
        "pointsman_models": _models_of_spec(connection),
    }
    answers |= _ask(connection, name, [(name, plugin)], Scope.PROVIDER)
    if "pointsman_stream" not in answers:
        raise PluginError("it does not implement pointsman_stream", plugin=name, provider=connection.name)
    layers = [Layer(name, 0, answers["pointsman_stream"])]
    answers["pointsman_stream"] = layers[0]
    for wrapper_name, wrapper in reversed(wrappers):
        inner = _Inner(answers)
        # A mistake of a wrapper's has the scope of the whole request: another target would meet the same wrapper.
        found = _ask(connection, wrapper_name, [("what it wraps", inner), (wrapper_name, wrapper)], Scope.REQUEST)
        if "pointsman_stream" in found:
            layers.append(Layer(wrapper_name, len(layers), found["pointsman_stream"]))
            found["pointsman_stream"] = layers[-1]
        answers |= found
    return HookCallables(
        stream=answers["pointsman_stream"],
        health=answers["pointsman_health"],
        cost=answers["pointsman_cost"],
        models=answers["pointsman_models"],
        embed=answers.get("pointsman_embed"),
        warm=answers.get("pointsman_warm"),
        blame=Blame(layers),
        session=connection.session,
        prices=connection.prices,
    )


HOOKS = (
    "pointsman_stream",
    "pointsman_health",
    "pointsman_cost",
    "pointsman_models",
    "pointsman_embed",
    "pointsman_warm",
)


class _Inner:
    """Answers with what the layers further in have answered, for a wrapper to receive."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        for hook, answer in answers.items():
            setattr(self, hook, _answering(answer))


def _answering(answer: object) -> Callable[[], object]:
    return hookimpl(lambda: answer)


def _ask(connection: Connection[Any], name: str, plugins: Sequence[tuple[str, object]], scope: Scope) -> dict[str, Any]:
    """What the last of `plugins`, called `name`, answers to the hooks that it has, where there is something to wrap."""
    manager = manager_of(plugins)
    answers: dict[str, Any] = {}
    for hook in HOOKS:
        if not all(implements(plugin, hook) for _, plugin in plugins):
            continue
        try:
            answers[hook] = answer = getattr(manager.hook, hook)(connection=connection)
        except PointsmanError as error:
            error.add_note(f"raised by {hook} of the plugin {name!r}")
            raise
        except Exception as error:
            text = f"{hook} raised {said(error)}"
            raise PluginError(text, plugin=name, provider=connection.name, scope=scope) from error
        if not callable(answer):
            kind = "None" if answer is None else type(answer).__name__
            text = f"{hook} must answer with a callable, not with {kind}"
            raise PluginError(text, plugin=name, provider=connection.name, scope=scope)
    return answers


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

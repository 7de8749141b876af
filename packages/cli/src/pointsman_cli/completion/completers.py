"""What completes a value: its name in the help says which. Nothing is sent, and nothing that is broken is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    AnyType = click.ParamType[Any]
else:  # Older ones take no parameters.
    AnyType = click.ParamType


class Names(AnyType):
    """A parameter's own type, and names that stand for its value."""

    def __init__(self, own: AnyType, names: Callable[[], Iterable[tuple[str, str]]]) -> None:
        self.name = own.name
        self._names = names
        self._own = own

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return self._own.convert(value, param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        import logging

        logging.disable(logging.CRITICAL)  # This process ends with the list.
        try:
            return [CompletionItem(name, help=about) for name, about in self._names() if name.startswith(incomplete)]
        except Exception:  # Whatever is broken, a Tab is no place to say so: `pointsman doctor` is.
            return []


class Files(AnyType):
    """A parameter's own type, where a file is named: the shell completes those itself."""

    def __init__(self, own: AnyType) -> None:
        self.name = own.name
        self._own = own

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return self._own.convert(value, param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="file")]


def equip(command: click.Command) -> None:
    """Give `command`, and those below it, names for what their values are called."""
    for param in command.params:
        called = (param.metavar or "").strip("[].")
        if called in FILES and not isinstance(param.type, click.Path | click.File):
            param.type = Files(param.type)
        elif called in NAMES:
            param.type = Names(param.type, NAMES[called])
    for below in getattr(command, "commands", {}).values():
        equip(below)


def _providers() -> Iterable[tuple[str, str]]:
    from ..settings.situation import Situation

    return [(name, "") for name in Situation.now(lenient=True).roster.names]


def _targets() -> Iterable[tuple[str, str]]:
    """Where a request may go: what the configuration names, what providers suggest, what their packages know."""
    from pointsman import PointsmanError

    from ..settings.situation import Situation

    situation = Situation.now(lenient=True)
    roster = situation.roster
    found = dict.fromkeys(situation.settings.routing.targets, "")
    for name in situation.providers:
        try:
            models = [model.id for model in roster.declared(name).spec.models]
            found |= dict.fromkeys((f"{name}/{model}" for model in models), "")
            found |= dict.fromkeys(map(str, roster.default_targets(name)), "")
        except PointsmanError:  # Not ready: what its package knows is offered all the same.
            continue
    return found.items()


def _settings() -> Iterable[tuple[str, str]]:
    from ..settings.names import dotted, settings_there_are
    from ..settings.situation import Situation

    return [(dotted(key), "") for key in settings_there_are(Situation.now(lenient=True))]


def _tasks() -> Iterable[tuple[str, str]]:
    from pointsman_policy import TASKS

    return [(name, "") for name in TASKS]


NAMES: dict[str, Callable[[], Iterable[tuple[str, str]]]] = {
    "PROVIDER": _providers,
    "PROVIDER/MODEL": _targets,
    "KEY": _settings,
    "TASK": _tasks,
}
"""What a value is called in the help -> what it may be."""

FILES = {"FILE", "FILE|JSON", "PATH"}
"""What a value is called in the help that is a file, or may be one."""

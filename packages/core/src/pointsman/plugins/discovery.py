"""What is installed, read from metadata alone; and loading it, when it is first used.

A plugin that is broken hides only itself: the reason is kept, and raised to whoever asks for that plugin.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import pluggy

from .. import hookspecs
from ..commands import CommandSpec
from ..errors import ConfigError, PluginError, PointsmanError
from ..policy import Policy
from ..provider import ProviderSpec
from ..telemetry import Sink


class Kind(enum.StrEnum):
    """What a plugin brings; the value is its entry-point group."""

    PROVIDER = "pointsman.providers"
    POLICY = "pointsman.policies"
    COMMAND = "pointsman.commands"
    STORE = "pointsman.stores"
    WRAPPER = "pointsman.wrappers"
    SINK = "pointsman.sinks"

    @property
    def word(self) -> str:
        """The kind as a person says it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """One plugin as its metadata shows it. `name` is the provider's, the verb's or the scheme's."""

    kind: Kind
    name: str
    origin: str
    """Distribution and version, or where else it came from."""
    distribution: str
    load: Callable[[], object]


class Plugins:
    """The plugins that a client may use."""

    def __init__(self, found: Iterable[PluginInfo], *, disabled: Iterable[str] = ()) -> None:
        self._disabled = frozenset(disabled)
        self._found: dict[tuple[Kind, str], list[PluginInfo]] = {}
        for info in found:
            if info.name not in self._disabled:
                self._found.setdefault((info.kind, info.name), []).append(info)
        self._loaded: dict[tuple[Kind, str], object] = {}
        self._broken: dict[tuple[Kind, str], PluginError] = {}

    @classmethod
    def installed(cls, *, disabled: Iterable[str] = ()) -> Self:
        """Everything with an entry point in this environment. Imports no plugin."""
        from importlib.metadata import entry_points

        everything = entry_points()
        found = [
            PluginInfo(
                kind=kind,
                name=entry.name,
                origin=f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value,
                distribution=entry.dist.name if entry.dist else "",
                load=entry.load,
            )
            for kind in Kind
            for entry in everything.select(group=kind.value)
        ]
        return cls(found, disabled=disabled)

    @classmethod
    def of(
        cls,
        *,
        providers: Mapping[str, object] | None = None,
        wrappers: Mapping[str, object] | None = None,
        policies: Mapping[str, object] | None = None,
        sinks: Mapping[str, object] | None = None,
    ) -> Self:
        """Plugin objects that are at hand, by name, and core's own policy: for tests and for embedding."""
        from .. import in_order

        given: list[tuple[Kind, Mapping[str, object]]] = [
            (Kind.PROVIDER, providers or {}),
            (Kind.WRAPPER, wrappers or {}),
            (Kind.POLICY, {"in_order": in_order, **(policies or {})}),
            (Kind.SINK, sinks or {}),
        ]
        return cls(
            PluginInfo(kind, name, "given", "given", partial(_itself, plugin))
            for kind, plugins in given
            for name, plugin in plugins.items()
        )

    # Metadata only -------------------------------------------------------------------------------------------------

    def names(self, kind: Kind) -> list[str]:
        """The names of one kind, sorted."""
        return sorted(name for found, name in self._found if found is kind)

    def infos(self) -> list[PluginInfo]:
        """Everything that was found, by kind and name; two that claim one name both stand here."""
        return [info for _, infos in sorted(self._found.items(), key=lambda item: item[0]) for info in infos]

    @property
    def broken(self) -> Mapping[tuple[Kind, str], PluginError]:
        """What was asked for and could not be loaded, with the reason."""
        return self._broken

    # Loading -------------------------------------------------------------------------------------------------------

    def load(self, kind: Kind, name: str) -> object:
        """The plugin object, imported on first use.

        Raises `ConfigError` if there is none of that name, `PluginError` if it is broken.
        """
        key = kind, name
        if key in self._loaded:
            return self._loaded[key]
        if key in self._broken:
            raise self._broken[key].with_traceback(None)
        infos = self._found.get(key)
        if not infos:
            raise ConfigError(self._missing(kind, name))
        try:
            plugin = _load(infos, name)
        except PluginError as error:
            self._broken[key] = error
            raise
        self._loaded[key] = plugin
        return plugin

    def provider(self, name: str) -> tuple[ProviderSpec[Any], object]:
        """The spec of the provider called `name`, and the plugin that declares it. Raises like `load`."""
        plugin = self.load(Kind.PROVIDER, name)
        specs: Sequence[ProviderSpec[Any]] = self._ask(plugin, name, "pointsman_providers")
        for spec in specs:
            if spec.name == name:
                return spec, plugin
        declared = ", ".join(spec.name for spec in specs) or "nothing"
        raise PluginError(f"it declares {declared}, but its entry point is called {name}", plugin=name)

    def wrappers(self, order: Sequence[str] = ()) -> list[tuple[str, object]]:
        """Every wrapper, outermost first: those in `order`, then the others by name.

        One that cannot be loaded is fatal, since prompts would leave without it.
        """
        names = self.names(Kind.WRAPPER)
        for name in order:
            if name not in names and name not in self._disabled:
                raise ConfigError(f"[plugins] wrappers: {self._missing(Kind.WRAPPER, name)}")
        first = [name for name in order if name in names]
        return [(name, self.load(Kind.WRAPPER, name)) for name in [*first, *(n for n in names if n not in first)]]

    def sinks(self) -> list[tuple[str, Sink]]:
        """Every receiver of records, with the name of its plugin. One that cannot be loaded is fatal."""
        return [
            (name, sink)
            for name in self.names(Kind.SINK)
            for sink in self._ask(self.load(Kind.SINK, name), name, "pointsman_sinks")
        ]

    def policy(self, name: str | None = None) -> Policy:
        """The policy called `name`; without a name pointsman-policy's, else the only stranger's, else `in_order`."""
        names = [one for one in self.names(Kind.POLICY) if one != "in_order"]
        if name is None:
            ours = [one for one in names if self._found[Kind.POLICY, one][0].distribution == "pointsman-policy"]
            if len(names) > 1 and not ours:
                raise ConfigError(f"several policies are installed: set [routing] policy to one of {', '.join(names)}")
            name = next(iter(ours or names), "in_order")
        policies: Sequence[Policy] = self._ask(self.load(Kind.POLICY, name), name, "pointsman_policies")
        for policy in policies:
            if policy.name == name:
                return policy
        raise PluginError(f"it brings no policy called {name}", plugin=name)

    def command(self, name: str) -> CommandSpec:
        """The verb called `name`. Raises like `load`."""
        commands: Sequence[CommandSpec] = self._ask(self.load(Kind.COMMAND, name), name, "pointsman_commands")
        for command in commands:
            if command.name == name:
                return command
        raise PluginError(f"it brings no command called {name}", plugin=name)

    @staticmethod
    def _ask(plugin: object, name: str, hook: str) -> Any:
        """What `plugin` answers to a hook without arguments."""
        manager = manager_of([(name, plugin)])
        try:
            answers = getattr(manager.hook, hook)()
        except PointsmanError:
            raise
        except Exception as error:
            raise PluginError(f"{hook} raised {_said(error)}", plugin=name) from error
        if not answers or answers[0] is None:
            raise PluginError(f"it does not answer {hook}", plugin=name)
        return answers[0]

    def _missing(self, kind: Kind, name: str) -> str:
        from difflib import get_close_matches

        if name in self._disabled:
            return f"the {kind.word} {name!r} is disabled by [plugins] disable"
        names = self.names(kind)
        near = get_close_matches(name, names, n=1)
        there = f"installed: {', '.join(names)}" if names else f"no {kind.word} is installed"
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"no {kind.word} is called {name!r} ({there}){hint}"


def manager_of(plugins: Iterable[tuple[str, object]]) -> pluggy.PluginManager:
    """A manager that holds these plugins and no others. Raises `PluginError` for one that pluggy refuses."""
    manager = pluggy.PluginManager("pointsman")
    manager.add_hookspecs(hookspecs)
    for name, plugin in plugins:
        try:
            manager.register(plugin, name)
            manager.check_pending()
        except Exception as error:
            raise PluginError(f"its hooks do not fit: {_said(error)}", plugin=name) from error
    return manager


def _load(infos: Sequence[PluginInfo], name: str) -> object:
    if len(infos) > 1:
        rivals = " and ".join(info.origin for info in infos)
        raise PluginError(f"{rivals} both claim this name: uninstall one of them", plugin=name)
    try:
        plugin = infos[0].load()
    except Exception as error:
        raise PluginError(f"it cannot be loaded from {infos[0].origin}: {_said(error)}", plugin=name) from error
    manager_of([(name, plugin)])
    return plugin


def _itself(plugin: object) -> object:
    return plugin


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".strip().rstrip(":")

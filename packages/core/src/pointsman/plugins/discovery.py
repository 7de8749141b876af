"""What is installed, read from metadata alone; and loading it, when it is first used.

A plugin that is broken hides only itself: the reason is kept, and raised to whoever asks for that plugin.
"""

from __future__ import annotations

import enum
import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple, Self, cast

import pluggy

from .. import hookspecs
from ..errors import ConfigError, PluginError, did_you_mean
from ..policy import Policy, PolicySpec
from ..provider import ProviderSpec
from ..telemetry import Sink

if TYPE_CHECKING:
    from importlib.metadata import Distribution

    from ..commands import CommandSpec
    from ..config import Settings
    from ..stores import StoreSpec

OURS = "scored"
"""Which of pointsman-policy's policies is in use where nobody has chosen one."""


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


class PluginInfo(NamedTuple):
    """One plugin as its metadata shows it. `name` is the provider's, the verb's or the scheme's."""

    kind: Kind
    name: str
    origin: str
    """Distribution and version, or where else it came from."""
    distribution: str
    """Its name in normal form: lower case, with hyphens."""
    load: Callable[[], object]


class Plugins:
    """The plugins that a client may use."""

    def __init__(self, found: Iterable[PluginInfo], *, disabled: Iterable[str] = ()) -> None:
        self._disabled = frozenset(disabled)
        self._found: dict[tuple[Kind, str], list[PluginInfo]] = {}
        for info in found:
            if info.name not in self._disabled:
                self._found.setdefault((info.kind, info.name), []).append(info)
        self._loaded: dict[tuple[Kind, str], pluggy.PluginManager] = {}
        """Each with its plugin and no other."""
        self._broken: dict[tuple[Kind, str], PluginError] = {}

    @classmethod
    def installed(cls, *, disabled: Iterable[str] = ()) -> Self:
        """Everything with an entry point in this environment. Imports no plugin."""
        from importlib.metadata import entry_points

        everything = entry_points()
        about = cache(_about)  # A distribution parses its metadata anew whenever it is asked.
        found = [
            PluginInfo(kind, entry.name, *(about(entry.dist) if entry.dist else (entry.value, "")), load=entry.load)
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
        stores: Mapping[str, object] | None = None,
    ) -> Self:
        """Plugin objects that are at hand, by name, and core's own policy and stores: for tests and for embedding."""
        from .. import in_order, own_stores

        given: list[tuple[Kind, Mapping[str, object]]] = [
            (Kind.PROVIDER, providers or {}),
            (Kind.WRAPPER, wrappers or {}),
            (Kind.POLICY, {"in_order": in_order, **(policies or {})}),
            (Kind.SINK, sinks or {}),
            (Kind.STORE, {"memory": own_stores, "sqlite": own_stores, **(stores or {})}),
        ]
        return cls(
            PluginInfo(kind, name, "given", "given", partial(_itself, plugin))
            for kind, plugins in given
            for name, plugin in plugins.items()
        )

    def without(self, names: Iterable[str]) -> Plugins:
        """The same plugins, but for those of these names."""
        disabled = frozenset(names)
        return Plugins(self.infos(), disabled=self._disabled | disabled) if disabled - self._disabled else self

    # Metadata only -------------------------------------------------------------------------------------------------

    def names(self, kind: Kind) -> list[str]:
        """The names of one kind, sorted."""
        return sorted(name for found, name in self._found if found is kind)

    def infos(self) -> list[PluginInfo]:
        """Everything that was found, by kind and name; two that claim one name both stand here."""
        return [info for _, infos in sorted(self._found.items(), key=lambda item: item[0]) for info in infos]

    @property
    def broken(self) -> Mapping[tuple[Kind, str], PluginError]:
        """What was asked for and does not work, with the reason."""
        return self._broken

    # Loading -------------------------------------------------------------------------------------------------------

    def load(self, kind: Kind, name: str) -> object:
        """The plugin object, imported on first use.

        Raises `ConfigError` if there is none of that name, `PluginError` if it is broken.
        """
        return self._manager(kind, name).get_plugin(name)

    def _manager(self, kind: Kind, name: str) -> pluggy.PluginManager:
        key = kind, name
        if key in self._broken:
            raise self._broken[key].with_traceback(None)
        if key not in self._loaded:
            infos = self._found.get(key)
            if not infos:
                raise ConfigError(self._missing(kind, name))
            try:
                self._loaded[key] = _load(infos, kind, name)
            except PluginError as error:
                self._broken[key] = error
                raise
        return self._loaded[key]

    def provider(self, name: str) -> tuple[ProviderSpec[Any], object]:
        """The spec of the provider called `name`, and the plugin that declares it. Raises like `load`."""
        spec: ProviderSpec[Any] = self._named(Kind.PROVIDER, name, "pointsman_providers", _is_provider)
        return spec, self.load(Kind.PROVIDER, name)

    def wrappers(self, order: Sequence[str] = ()) -> list[tuple[str, object]]:
        """Every wrapper, outermost first: those in `order`, then the others by name.

        One that cannot be loaded is fatal, since prompts would leave without it.
        """
        names = self.names(Kind.WRAPPER)
        for name in order:
            if name not in names and name not in self._disabled:
                raise ConfigError(f"[plugins] wrappers: {self._missing(Kind.WRAPPER, name)}")
            if order.count(name) > 1:
                raise ConfigError(f"[plugins] wrappers names {name!r} more than once")
        first = [name for name in order if name in names]
        return [(name, self.load(Kind.WRAPPER, name)) for name in [*first, *(n for n in names if n not in first)]]

    def sinks(self) -> list[tuple[str, Sink]]:
        """Every receiver of records, with the name of its plugin. One that cannot be loaded is fatal."""
        return [
            (name, sink)
            for name in self.names(Kind.SINK)
            for sink in self._declared(Kind.SINK, name, "pointsman_sinks", callable)
        ]

    def policy(self, name: str | None = None, settings: Settings | None = None) -> Policy:
        """The policy called `name`; without a name pointsman-policy's, else the only stranger's, else `in_order`.

        It is made with what `settings` say under ``[policy]``. Raises `ConfigError` for a setting that it has not.
        """
        found = self._policy(name)
        return self._made(found, settings) if isinstance(found, PolicySpec) else _without_settings(found, settings)

    def policy_name(self, name: str | None = None) -> str:
        """`name`, or which it is that `policy` takes without one. Raises `ConfigError` where nobody has chosen."""
        if name is not None:
            return name
        names = [one for one in self.names(Kind.POLICY) if one != "in_order"]
        ours = [one for one in names if self._found[Kind.POLICY, one][0].distribution == "pointsman-policy"]
        if len(names) > 1 and not ours:
            raise ConfigError(f"several policies are installed: set [routing] policy to one of {', '.join(names)}")
        return OURS if OURS in ours else next(iter(ours or names), "in_order")

    def policy_settings(self, name: str | None = None) -> type[Any] | None:
        """The pydantic model of what may stand under ``[policy]`` with that policy; None if nothing may."""
        found = self._policy(name)
        return found.config if isinstance(found, PolicySpec) else None

    def _policy(self, name: str | None) -> Policy | PolicySpec[Any]:
        found: Policy | PolicySpec[Any] = self._named(
            Kind.POLICY, self.policy_name(name), "pointsman_policies", _is_policy
        )
        return found

    def _made(self, spec: PolicySpec[Any], settings: Settings | None) -> Policy:
        config = settings.policy(spec.config) if settings else spec.config()
        try:
            policy: Policy = spec.make(config)
        except Exception as error:
            raise self._break(Kind.POLICY, spec.name, f"it cannot be made: {said(error)}", error) from error
        if not _is_policy(policy) or isinstance(policy, PolicySpec):
            kind = type(policy).__name__
            raise self._break(Kind.POLICY, spec.name, f"its `make` answered with a {kind}, which is no policy")
        return policy

    def command(self, name: str) -> CommandSpec:
        """The verb called `name`. Raises like `load`."""
        command: CommandSpec = self._named(Kind.COMMAND, name, "pointsman_commands", _is_command)
        return command

    def store(self, scheme: str) -> StoreSpec:
        """The store whose URLs begin with `scheme`. Raises like `load`."""
        store: StoreSpec = self._named(Kind.STORE, scheme, "pointsman_stores", _is_store)
        return store

    def _named(self, kind: Kind, name: str, hook: str, fits: Callable[[Any], bool]) -> Any:
        """What the plugin declares under its own name."""
        declared = self._declared(kind, name, hook, fits)
        for one in declared:
            if one.name == name:
                return one
        others = ", ".join(repr(one.name) for one in declared) or "nothing"
        raise self._break(kind, name, f"it declares {others}, but its entry point is called {name!r}")

    def _declared(self, kind: Kind, name: str, hook: str, fits: Callable[[Any], bool]) -> Sequence[Any]:
        """What a plugin answers to a hook without arguments: a sequence of what `fits`."""
        manager = self._manager(kind, name)
        try:
            answers = getattr(manager.hook, hook)()
            declared = None if not answers else answers[0]
        except Exception as error:
            raise self._break(kind, name, f"{hook} raised {said(error)}", error) from error
        if declared is None:
            raise self._break(kind, name, f"it does not answer {hook}")
        if not isinstance(declared, Sequence):
            raise self._break(kind, name, f"{hook} must answer with a list, not with a {type(declared).__name__}")
        for one in cast(Sequence[Any], declared):
            if not fits(one):
                raise self._break(kind, name, f"{hook} answered with a {type(one).__name__}, which is no {kind.word}")
        return cast(Sequence[Any], declared)

    def _break(self, kind: Kind, name: str, reason: str, cause: Exception | None = None) -> PluginError:
        """Remember why a plugin does not work; the error to raise."""
        error = PluginError(reason, plugin=name)
        error.__cause__ = cause
        self._broken[kind, name] = error
        return error

    def _missing(self, kind: Kind, name: str) -> str:
        if name in self._disabled:
            return f"the {kind.word} {name!r} is disabled by [plugins] disable"
        names = self.names(kind)
        there = f"installed: {', '.join(names)}" if names else f"no {kind.word} is installed"
        return f"no {kind.word} is called {name!r} ({there}){did_you_mean(name, names)}"


class _Manager(pluggy.PluginManager):
    """Looks only at names that may be a hook's: else that takes most of the time in which a client opens."""

    def parse_hookspec_opts(self, module_or_class: Any, name: str) -> Any:
        return super().parse_hookspec_opts(module_or_class, name) if name.startswith("pointsman_") else None

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> Any:
        return None if name.startswith("_") else super().parse_hookimpl_opts(plugin, name)


def manager_of(plugins: Iterable[tuple[str, object]]) -> pluggy.PluginManager:
    """A manager that holds these plugins and no others. Raises `PluginError` for one that pluggy refuses."""
    manager = _Manager("pointsman")
    manager.add_hookspecs(hookspecs)
    for name, plugin in plugins:
        try:
            manager.register(plugin, name)
            manager.check_pending()
        except Exception as error:
            raise PluginError(f"its hooks do not fit: {said(error)}", plugin=name) from error
    return manager


def implements(plugin: object, hook: str) -> bool:
    """Whether `plugin` has this hook."""
    return hasattr(getattr(plugin, hook, None), "pointsman_impl")


def said(error: BaseException) -> str:
    """An exception in one line: its kind, and what it says."""
    return f"{type(error).__name__}: {error}".strip().rstrip(":")


def _about(distribution: Distribution) -> tuple[str, str]:
    """Its name and version, and its name in normal form."""
    metadata = distribution.metadata
    return f"{metadata['Name']} {metadata['Version']}", re.sub(r"[-_.]+", "-", metadata["Name"]).lower()


def _load(infos: Sequence[PluginInfo], kind: Kind, name: str) -> pluggy.PluginManager:
    if len(infos) > 1:
        rivals = " and ".join(info.origin for info in infos)
        raise PluginError(f"{rivals} both claim this name: uninstall one of them", plugin=name)
    try:
        plugin = infos[0].load()
    except (Exception, SystemExit) as error:
        raise PluginError(f"it cannot be loaded from {infos[0].origin}: {said(error)}", plugin=name) from error
    manager = manager_of([(name, plugin)])
    callers = manager.get_hookcallers(plugin) or []
    try:
        fault = _unmarked(plugin) or _misfit(plugin, kind, [caller.name for caller in callers])
    except Exception as error:  # Whatever its attributes do.
        raise PluginError(f"its hooks cannot be looked at: {said(error)}", plugin=name) from error
    if fault:
        raise PluginError(fault, plugin=name)
    return manager


def _unmarked(plugin: object) -> str | None:
    """A hook without its marker is no hook: left alone, a wrapper would silently do nothing."""
    for name in dir(plugin):
        if name.startswith("pointsman_") and inspect.isroutine(getattr(plugin, name)) and not implements(plugin, name):
            return f"{name} lacks its marker: write @hookimpl above it"
    return None


def _misfit(plugin: object, kind: Kind, hooks: Sequence[str]) -> str | None:
    if not hooks:
        return "it implements no hook"
    for hook in hooks:
        function = getattr(plugin, hook)
        if inspect.iscoroutinefunction(function):
            return f"{hook} must be a plain function: it is asked once, and what it answers with may be asynchronous"
        if kind is Kind.WRAPPER and not function.pointsman_impl["wrapper"]:
            return f"{hook} must be marked @hookimpl(wrapper=True), or it would answer in the provider's place"
    return None


def _is_provider(one: object) -> bool:
    return isinstance(one, ProviderSpec)


def _is_command(one: object) -> bool:
    from ..commands import CommandSpec

    return isinstance(one, CommandSpec)


def _is_store(one: object) -> bool:
    from ..stores import StoreSpec

    return isinstance(one, StoreSpec)


def _without_settings(policy: Policy, settings: Settings | None) -> Policy:
    """`policy`, which takes no settings. Those that stand farther away than where it was chosen are another's: so one
    variable is enough to compare it with the usual one.
    """
    if settings is None:
        return policy
    chosen = settings.origin("routing", "policy")
    for setting, value in settings.said("policy").items():
        if chosen is None or not value.origin.farther_than(chosen):
            raise ConfigError(f"[policy] {setting} (from {value.origin}): the policy {policy.name!r} has no settings")
    return policy


def _is_policy(one: object) -> bool:
    if isinstance(one, PolicySpec):
        return True
    return isinstance(getattr(one, "name", None), str) and callable(getattr(one, "rank", None))


def _itself(plugin: object) -> object:
    return plugin

"""The providers of a configuration, on paper: what is declared, what is ready, what their targets are known for."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

from ..config import Configured, Redactor, Settings, configure, own_variable
from ..cost import Price, PriceBook
from ..errors import ConfigError, NoCandidates, PluginError, did_you_mean
from ..plugins import Kind, Plugins
from ..policy import Candidate, Exclusion, candidate
from ..provider import Family, ModelInfo, ProviderSpec
from ..types import Target

log = logging.getLogger("pointsman")


class Declared(NamedTuple):
    """A provider of this configuration, on paper."""

    name: str
    spec: ProviderSpec[Any]
    plugin: tuple[str, object]


class Roster:
    """Answers from metadata, specs and settings; opens nothing."""

    def __init__(self, settings: Settings, plugins: Plugins) -> None:
        self.settings = settings
        self.plugins = plugins
        self.redactor = Redactor()
        self._declared: dict[str, Declared] = {}
        self._configured: dict[str, Configured] = {}
        self._unready: dict[str, ConfigError] = {}

    @cached_property
    def names(self) -> list[str]:
        """Every provider that can be named: those installed, and those that the configuration adds."""
        return sorted({*self.plugins.names(Kind.PROVIDER), *self.settings.provider_tables()})

    def declared(self, name: str) -> Declared:
        """The provider's spec. Raises `ConfigError` if there is none, `PluginError` if its plugin is broken."""
        if name not in self._declared:
            chosen = self.settings.provider(name).get("plugin")
            plugin_name = str(chosen.value) if chosen else name
            if not chosen and name not in self.plugins.names(Kind.PROVIDER):
                raise ConfigError(self._unknown(name))
            spec, plugin = self.plugins.provider(plugin_name)
            self._declared[name] = Declared(name, spec, (plugin_name, plugin))
        return self._declared[name]

    def configured(self, name: str) -> Configured:
        """The provider's configuration. Raises like `declared` and `configure`."""
        if name in self._unready:
            raise self._unready[name].with_traceback(None)
        if name not in self._configured:
            spec = self.declared(name).spec
            try:
                made = configure(name, spec, self.settings, self.names)
            except ConfigError as error:
                self._unready[name] = error
                raise
            self.redactor.learn(made.hidden)
            for warning in made.warnings:
                log.warning(warning)
            self._configured[name] = made
        return self._configured[name]

    def family(self, target: Target) -> Family:
        """What holds for the target and all that are like it."""
        return self.declared(target.provider).spec.family(target.model)

    def model(self, target: Target) -> ModelInfo | None:
        """What the provider's package knows of the model."""
        models = self.declared(target.provider).spec.models
        return next((model for model in models if model.id == target.model), None)

    def prices(self, name: str) -> PriceBook:
        """The prices of one provider's targets."""
        shipped: Mapping[Target, Price] = {
            Target(name, model.id): model.price for model in self.declared(name).spec.models if model.price
        }
        return PriceBook((shipped,))

    def default_targets(self, name: str) -> list[Target]:
        """Where a request goes at this provider if it names no model: the configuration's choice, else the spec's."""
        own = getattr(self.configured(name).config, "default_models", None)
        return [Target(name, model) for model in own or self.declared(name).spec.default_models]

    def candidates(self) -> tuple[list[Candidate], list[Exclusion]]:
        """Every target that a request without a model may go to, and those that cannot be asked, with the reason.

        Raises `NoCandidates` if there is no such target.
        """
        wanted = [Target.parse(target) for target in self.settings.routing.targets]
        ready: list[Candidate] = []
        unready: list[Exclusion] = []
        modest = False
        for name in dict.fromkeys(target.provider for target in wanted) if wanted else self.names:
            own = [target for target in wanted if target.provider == name]
            try:
                self.configured(name)
                targets = own or self.default_targets(name)
                ready += [self.candidate(target) for target in targets]
                if not targets:
                    modest = True
                    unready.append(Exclusion(Target(name, "*"), f"{name}: {self._modest(name)}"))
            except (ConfigError, PluginError) as error:
                incomplete = isinstance(error, ConfigError) and error.missing
                if not incomplete and (own or self._is_set_up(name)):
                    raise
                unready += [Exclusion(target, str(error)) for target in own or [Target(name, "*")]]
        if wanted:
            ready.sort(key=lambda one: wanted.index(one.target))
        if not ready:
            raise NoCandidates(_nobody_ready(unready, modest=modest), none_ready=True)
        return ready, unready

    def _modest(self, name: str) -> str:
        """It is ready, and suggests no model."""
        fields = self.declared(name).spec.config.model_fields
        own = f"default_models ({own_variable(name, 'default_models')}) or " if "default_models" in fields else ""
        targets = "[routing] targets (POINTSMAN_ROUTING_TARGETS)"
        return f"it suggests no model: name one as {name}/MODEL, or set {own}{targets}"

    def _is_set_up(self, name: str) -> bool:
        """Whether anybody wrote anything for this provider, in a file or in a variable of ours."""
        return name in self.settings.provider_tables() or any(
            variable.startswith(own_variable(name)) for variable in self.settings.environ
        )

    def candidate(self, target: Target) -> Candidate:
        """What is known of one target."""
        found = candidate(target, self.model(target), frozenset(), self.prices(target.provider).find(target))
        return replace(found, capabilities=self.capabilities(target))

    def capabilities(self, target: Target) -> frozenset[str]:
        """What the target can do: its own facts, else its family's, and what the configuration says besides."""
        model = self.model(target)
        own = self.family(target).capabilities if model is None or model.capabilities is None else model.capabilities
        said = getattr(self.configured(target.provider).config, "capabilities", None)
        return own.union(said) if said else own

    def check_limits(self) -> None:
        """Raises `ConfigError` for a limit on somebody who is not there."""
        for name in self.settings.limits:
            try:
                provider = Target.parse(name).provider if "/" in name else name
            except ValueError as error:
                raise ConfigError(f'[limits."{name}"]: {error}') from None
            if provider not in self.names:
                raise ConfigError(f'[limits."{name}"]: {self._unknown(provider)}')

    def _unknown(self, name: str) -> str:
        """There is no such provider: what there is, and how one gets it."""
        if name in self.settings.provider_tables():
            installed = ", ".join(self.plugins.names(Kind.PROVIDER)) or "none is installed yet"
            return f'[providers.{name}] needs the plugin that it is made with: plugin = "..." ({installed})'
        be = "is" if len(self.names) == 1 else "are"
        there = f"there {be} {', '.join(self.names)}" if self.names else "none is installed"
        return f"no provider is called {name!r}: {there}{did_you_mean(name, self.names)}"


def _nobody_ready(unready: Sequence[Exclusion], *, modest: bool) -> str:
    """`modest`: some are ready, but suggest no model."""
    if not unready:
        return (
            "no provider is installed: pip install pointsman-sambanova, or pointsman-openai for any compatible server"
        )
    summary = "no model is named, and no ready provider suggests one." if modest else "no provider is ready."
    return "\n".join([summary, *(f"  {item.reason}" for item in unready)])

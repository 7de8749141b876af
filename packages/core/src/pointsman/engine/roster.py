"""The providers of a configuration, on paper: what is declared, what is ready, what their targets are known for."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from ..config import Configured, Redactor, Settings, configure, own_variable
from ..cost import Price
from ..errors import ConfigError, NoCandidates, PluginError, did_you_mean
from ..plugins import Kind, Plugins
from ..policy import Candidate, Exclusion, candidate
from ..pricebook import EVERY, PriceBook
from ..provider import Family, ModelInfo, ProviderSpec, ScaleToZero, Strengths
from ..types import Target
from . import pricelist
from .health.readiness import assumed

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
        self._books: dict[str, PriceBook] = {}
        self._kept: dict[str, dict[Target, Price]] = {}
        """What the files of live prices hold."""
        self._said_wrong: set[str] = set()
        self._known: dict[Target, Candidate] = {}
        """Those that `candidates` has told of: all of them but the price stays as it is."""
        self._families: dict[Target, Family] = {}

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
        found = self._families.get(target)
        if found is None:
            found = self._families[target] = self.declared(target.provider).spec.family(target.model)
        return found

    def scaling(self, target: Target) -> ScaleToZero | None:
        """How the target's machines come and go; None if they are always there, or if nothing is known of them.

        Raises `ConfigError` and `PluginError` as `configured` does.
        """
        scaling = self.declared(target.provider).spec.scaling
        return scaling and scaling(self.configured(target.provider).config, target.model)

    def machines(self, target: Target) -> ScaleToZero | None:
        """The same for who reckons with it, also for a target that is only remembered: where a package says nothing of
        it but how long getting ready may take, that is a guess. A mistake of the package's costs only this.
        """
        try:
            found: Any = self.scaling(target)
            stated = self.declared(target.provider).spec.scaling is not None
            if not isinstance(found, ScaleToZero | None):
                raise TypeError(f"scaling must answer with a ScaleToZero or None, not with {found!r}")
            own = self.family(target)
        except (ConfigError, PluginError):
            return None
        except Exception as error:
            self.redactor.error(error)
            log.exception("%s: whether its machines run is not known: scaling failed", target, exc_info=error)
            return None
        # What may be silent for long, as an agent at its work, is given more time, too, but is not cold for that.
        guessed = not stated and own.cold_start and not own.silence
        return assumed(own.cold_start) if guessed else found

    def model(self, target: Target) -> ModelInfo | None:
        """What the provider's package knows of the model."""
        models = self.declared(target.provider).spec.models
        return next((model for model in models if model.id == target.model), None)

    def prices(self, name: str) -> PriceBook:
        """The prices of one provider's targets: what is set, what its list said last, what its package knows.

        Raises `ConfigError` for a price that is set wrong, and like `declared`.
        """
        if name not in self._books:
            spec = self.declared(name).spec
            self._books[name] = book = PriceBook(
                own=(self._own_prices(name),),
                variant_of=spec.variant_of,
                table={Target(name, model.id): model.price for model in spec.models if model.price},
                package=self._price_of,
            )
            if path := self._price_list(name):
                book.live.update({Target(name, model): price for model, price in pricelist.read(path).items()})
            self._kept[name] = dict(book.live)
        return self._books[name]

    def has_news(self, name: str) -> bool:
        """Whether the provider's list has said other prices, or of another day, than those that are written down."""
        return self.prices(name).live != self._kept[name]

    def keep_prices(self, name: str) -> None:
        """Write them down, for other processes. It may wait for a disk, and does not raise."""
        live, path = dict(self.prices(name).live), self._price_list(name)
        self._kept[name] = live  # Also if that fails: it is said once, and not tried again for the same list.
        if path:
            pricelist.write(path, {target.model: price for target, price in live.items()})

    def _price_list(self, name: str) -> Path | None:
        """The file of live prices; None for a provider that is not ready, and where none are kept."""
        folder = pricelist.folder(self.settings.environ)
        try:
            address = getattr(self.configured(name).config, "base_url", "")
        except (ConfigError, PluginError):
            return None
        return folder and pricelist.place(folder, name, str(address))

    def _own_prices(self, name: str) -> Mapping[Target, Price]:
        said = self.settings.prices
        return {
            Target(name, one.partition("/")[2] or EVERY): price
            for one, price in said.items()
            if one.partition("/")[0] == name
        }

    def _price_of(self, target: Target, listed: ModelInfo | None) -> Price | None:
        """What else the package knows. A mistake of its costs only the price."""
        name = target.provider
        if (ask := self.declared(name).spec.price_of) is None:
            return None
        try:
            config = self.configured(name).config
        except (ConfigError, PluginError):
            return None
        try:
            found: Any = ask(config, listed or self.model(target) or ModelInfo(id=target.model))
            if not isinstance(found, Price | None):
                raise TypeError(f"price_of must answer with a Price or None, not with {found!r}")
        except Exception as error:
            if name not in self._said_wrong:
                self._said_wrong.add(name)
                self.redactor.error(error)
                log.exception("%s: what its package knows of prices is left out: price_of failed", name, exc_info=error)
            return None
        return found

    def default_targets(self, name: str) -> list[Target]:
        """Where a request goes at this provider if it names no model: the configuration's choice, else the spec's."""
        own = getattr(self.configured(name).config, "default_models", None)
        return [Target(name, model) for model in own or self.declared(name).spec.default_models]

    @cached_property
    def _wanted(self) -> dict[Target, int]:
        """The targets that are set, with their places."""
        return {Target.parse(target): place for place, target in enumerate(self.settings.routing.targets)}

    def candidates(self) -> tuple[list[Candidate], list[Exclusion]]:
        """Every target that a request without a model may go to, and those that cannot be asked, with the reason.

        Raises `NoCandidates` if there is no such target.
        """
        wanted = self._wanted
        ready: list[Candidate] = []
        unready: list[Exclusion] = []
        modest = False
        for name in dict.fromkeys(target.provider for target in wanted) if wanted else self.names:
            own = [target for target in wanted if target.provider == name]
            try:
                self.configured(name)
                targets = own or self.default_targets(name)
                ready += [self._again(target) for target in targets]
                if not targets:
                    modest = True
                    unready.append(Exclusion(Target(name, "*"), f"{name}: {self._modest(name)}"))
            except (ConfigError, PluginError) as error:
                incomplete = isinstance(error, ConfigError) and error.missing
                if not incomplete and (own or self._is_set_up(name)):
                    raise
                unready += [Exclusion(target, str(error)) for target in own or [Target(name, "*")]]
        if wanted:
            ready.sort(key=lambda one: wanted[one.target])
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

    def _again(self, target: Target) -> Candidate:
        known = self._known.get(target)
        if known is None or known.price != self.prices(target.provider).find(target):
            known = self._known[target] = self.candidate(target)
        return known

    def candidate(self, target: Target) -> Candidate:
        """What is known of one target."""
        found = candidate(target, self.model(target), frozenset(), self.prices(target.provider).find(target))
        return replace(found, capabilities=self.capabilities(target), strengths=self._strengths(target))

    def _strengths(self, target: Target) -> Strengths:
        """What its package expects of it: what the vendor says of this very model goes before what holds for all."""
        own, model = self.declared(target.provider).spec.strengths, self.model(target)
        if model is None or (model.first_token is None and model.tokens_per_second is None):
            return own
        first, speed = model.first_token, model.tokens_per_second
        return replace(
            own,
            first_token=own.first_token if first is None else (first, first),
            tokens_per_second=own.tokens_per_second if speed is None else (speed, speed),
        )

    def capabilities(self, target: Target) -> frozenset[str]:
        """What the target can do: its own facts, else its family's, and what the configuration says besides."""
        model = self.model(target)
        own = self.family(target).capabilities if model is None or model.capabilities is None else model.capabilities
        said = getattr(self.configured(target.provider).config, "capabilities", None)
        return own.union(said) if said else own

    def check_named(self) -> None:
        """Raises `ConfigError` for a limit on somebody who is not there, or a price of somebody's."""
        for section, names in (("limits", self.settings.limits), ("prices", self.settings.prices)):
            for name in names:
                try:
                    provider = Target.parse(name).provider if "/" in name else name
                except ValueError as error:
                    raise ConfigError(f'[{section}."{name}"]: {error}') from None
                if provider not in self.names:
                    raise ConfigError(f'[{section}."{name}"]: {self._unknown(provider)}')

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

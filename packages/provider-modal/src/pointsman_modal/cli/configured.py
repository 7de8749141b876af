"""What the settings say of a deployment, and what they are to say."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

from pointsman import AsyncClient, ConfigError, Settings

from ..config import ModalConfig
from ..deploy.money import HOUR, Range, price_range
from ..deploy.plan import USUAL, Plan
from ..deploy.sdk import Place, advised

_SOMEWHERE = "https://nobody.modal.run"
"""Stands for an address that is not there yet, where settings are looked at that need one."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How things are before a verb does anything."""

    provider: str
    known: bool
    """The provider has a plugin; else it is to get one."""
    config: ModalConfig | None
    """None: no address is set."""
    has_token: bool

    @property
    def ours(self) -> ModalConfig | None:
        """The settings, if it was deployed by us: those of another address say nothing about the next deployment."""
        return self.config if self.config is not None and self.config.app is not None else None


def standing(provider: str) -> Standing:
    """Raises `ConfigError` for a provider that is something else, and for settings that are wrong."""
    roster = AsyncClient().roster
    known = provider in roster.names
    if known and roster.declared(provider).spec.config is not ModalConfig:
        raise ConfigError(
            "it is another vendor's: name a provider whose plugin is modal, or a new one", provider=provider
        )
    table = {"base_url": _SOMEWHERE} | ({} if known else {"plugin": "modal"})
    there = AsyncClient(settings=Settings.discover(table={"providers": {provider: table}})).roster
    otherwise = cast(ModalConfig, there.configured(provider).config)
    config: ModalConfig | None = None
    if known:
        try:
            config = cast(ModalConfig, roster.configured(provider).config)
        except ConfigError as error:
            if not error.missing:
                raise
    return Standing(provider, known, config, otherwise.token_id is not None)


def deployed(provider: str) -> tuple[ModalConfig, Place]:
    """What was deployed under this name. Raises `ConfigError` if nothing was, or not by us."""
    found = standing(provider)
    if found.config is None:
        error = ConfigError("nothing is deployed under this name", provider=provider, missing=True)
        raise advised(error, command("deploy", provider))
    if found.config.app is None:
        message = f"the settings have an address, {found.config.base_url}, but not the name of the app"
        remedy = f"pointsman config set providers.{provider}.app NAME, as `modal app list` shows it"
        raise advised(ConfigError(message, provider=provider, missing=True), remedy)
    return found.config, Place(found.config.app, found.config.environment)


def addressed(provider: str) -> ModalConfig:
    """What is to be asked, whoever deployed it. Raises `ConfigError` if no address is set."""
    found = standing(provider)
    if found.config is None:
        error = ConfigError("no address is set", provider=provider, missing=True)
        raise advised(error, f"{command('deploy', provider)}; or set base_url to one that is there")
    return found.config


def hour_of(config: ModalConfig) -> Range:
    """What an hour of a container costs, as the settings tell. Only of what we have deployed no GPU means none."""
    if config.price_per_second is not None:
        second = Range(config.price_per_second, config.price_per_second)
    elif not config.gpu and config.app is None:
        second = Range(None, None)
    else:
        second = price_range(config.gpu, config.cpu, config.memory_gib, config.region)
    return second.times(Decimal(HOUR))


def said_before(config: ModalConfig) -> dict[str, Any]:
    """Values of a `Plan`, as it was deployed last."""
    return {
        "name": config.app,
        "model": config.default_models[0] if config.default_models else USUAL.model,
        "gpu": config.gpu,
        "cpu": float(config.cpu),
        "memory_gib": config.memory_gib,
        "region": config.region,
        "min_containers": config.min_containers,
        "max_containers": config.max_containers or USUAL.max_containers,
        "scaledown_window": config.scaledown_window,
        "context_tokens": config.context_tokens or USUAL.context_tokens,
        "parallel": config.parallel,
    }


def settings_of(plan: Plan, environment: str | None, url: str) -> dict[str, Any]:
    """What is written for it; None where a setting is to be as if nobody had said anything."""
    settings = plan.provider_settings()
    places = {"base_url": url, "app": plan.name, "environment": environment, "max_containers": plan.max_containers}
    return {name: None if value == [] else value for name, value in {**places, **settings}.items()}


SETTINGS = tuple(settings_of(Plan(), None, ""))
"""What a deployment writes, and `stop --forget` removes."""


def command(verb: str, provider: str) -> str:
    """What is typed for a verb of ours about this provider."""
    return f"pointsman modal {verb}{'' if provider == 'modal' else f' --provider {provider}'}"

"""Ollama for Pointsman: a server on this machine or in the network, or ollama.com."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from pointsman import (
    CheckHealth,
    Connection,
    Cost,
    Embed,
    Health,
    HealthState,
    ListModels,
    ModelInfo,
    Price,
    PriceAttempt,
    ProviderContext,
    ProviderSpec,
    ScaleToZero,
    Stream,
    Strengths,
    Target,
    Terminal,
    Timings,
    Unknown,
    Usage,
    Warm,
    hookimpl,
)

from .config import CLOUD, FREE, OllamaConfig, is_cloud, runs_in_cloud, stays

if TYPE_CHECKING:
    from pointsman import CommandSpec

    from .progress import Progress
    from .server import Loaded, Pulled, Running, Server, connect
    from .session import Session

__all__ = ["SPEC", "Loaded", "OllamaConfig", "Progress", "Pulled", "Running", "Server", "connect"]

LOADING = 30.0
"""Seconds that a load is expected to take before one was seen. Assumed: from 5 s to minutes, by model and disk."""

_LATER = {"Progress": "progress", **dict.fromkeys(("Loaded", "Pulled", "Running", "Server", "connect"), "server")}
"""Name -> the module that has it, and loads the HTTP library."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_LATER[name]}", __name__), name)


@asynccontextmanager
async def open_ollama(config: OllamaConfig, context: ProviderContext, /) -> AsyncGenerator[Session]:
    """An HTTP client for `config`, and a session on it. httpx2 is imported here, not before.

    Raises `ConfigError` if the key cannot be sent or the address not be used.
    """
    from .opening import opened

    async with opened(config, context) as session:
        yield session


def _price_of(config: OllamaConfig, model: ModelInfo) -> Price | None:
    listed_elsewhere = model.capabilities is not None and "local" not in model.capabilities
    return None if listed_elsewhere or is_cloud(config.base_url) or runs_in_cloud(model.id) else FREE


def _scaling(config: OllamaConfig, model: str) -> ScaleToZero | None:
    """A model is loaded for a request, and unloaded when nobody asks. What runs at ollama.com is always there."""
    if is_cloud(config.base_url) or runs_in_cloud(model):
        return None
    return ScaleToZero(window=stays(config.keep_alive), start=LOADING)


SPEC = ProviderSpec(
    name="ollama",
    config=OllamaConfig,
    open=open_ollama,
    terminal=Terminal.DONE_FIELD,
    # As far as the model can; `pointsman models` says which can what.
    capabilities=frozenset({"tools", "schema", "vision", "reasoning", "embeddings", "local"}),
    # Expected, not measured: what this project's first sketch assumed of the vendor, on a CPU.
    strengths=Strengths(
        speed=4,
        cost=10,
        tasks={"code_generation": 9, "code_explanation": 9, "general": 9},
        first_token=(2.0, 5.0),
        tokens_per_second=(10, 30),
    ),
    hosts=(CLOUD,),
    env_keys={"api_key": "OLLAMA_API_KEY"},
    env_settings={"base_url": "OLLAMA_HOST"},
    help="Install Ollama from https://ollama.com/download, run `ollama serve`, and `ollama pull` a model.",
    price_of=_price_of,
    scaling=_scaling,
    cold_start=300.0,  # OLLAMA_LOAD_TIMEOUT: a server gives up on a model that makes no progress for 5 minutes.
)


@hookimpl
def pointsman_providers() -> Sequence[ProviderSpec[Any]]:
    return [SPEC]


@hookimpl
def pointsman_stream(connection: Connection[Any]) -> Stream:
    return connection.session.stream


@hookimpl
def pointsman_health(connection: Connection[Any]) -> CheckHealth:
    return connection.session.health


@hookimpl
def pointsman_models(connection: Connection[Any]) -> ListModels:
    return connection.session.models


@hookimpl
def pointsman_embed(connection: Connection[Any]) -> Embed:
    return connection.session.embed


@hookimpl
def pointsman_warm(connection: Connection[Any]) -> Warm:
    session: Session = connection.session

    async def warm(model: str) -> Health:
        """Has the model loaded. What runs at ollama.com needs no loading, and is refused as an invalid request."""
        loaded = await session.server.load(model)
        return Health(HealthState.UP, f"{loaded.name} is loaded")

    return warm


@hookimpl
def pointsman_cost(connection: Connection[Any]) -> PriceAttempt:
    """The user's own price, if there is one; else nothing for what runs on somebody's own machine.

    ollama.com sells plans, not tokens, so what a request to it costs nobody knows. The session may know of a model that
    is passed on there before it was listed.
    """

    def price(target: Target, usage: Usage | None, timings: Timings | None) -> Cost:
        quote = connection.prices.quote(target)
        if (quote is None or quote.layer != "user") and connection.session.is_elsewhere(target.model):
            return Unknown
        return connection.prices.cost(target, usage, timings)

    return price


@hookimpl
def pointsman_commands() -> Sequence[CommandSpec]:
    from pointsman import CommandSpec

    return [
        CommandSpec("ollama", "Pull, load and list the models of an Ollama server.", f"{__name__}.cli.command:ollama")
    ]

"""Modal for Pointsman: a model of one's own, on a GPU that is there when it is asked."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from pointsman import (
    CheckHealth,
    Connection,
    Embed,
    ListModels,
    ModelInfo,
    Price,
    PriceAttempt,
    ProviderContext,
    ProviderSpec,
    ScaleToZero,
    Stream,
    Strengths,
    Terminal,
    Warm,
    hookimpl,
)
from pointsman_openai import Quirks, session_of

from .config import COLD_START, DEFAULT_MODEL, KNOWN, ModalConfig

if TYPE_CHECKING:
    from pointsman import CommandSpec
    from pointsman_openai import Session

__all__ = ["SPEC", "ModalConfig"]


@asynccontextmanager
async def open_modal(config: ModalConfig, context: ProviderContext, /) -> AsyncGenerator[Session]:
    """An HTTP client for `config`, and a session on it. httpx2 is imported here, not before."""
    from .session import opened

    async with opened(config, context, Quirks()) as session:
        yield session


def _price_of(config: ModalConfig, model: ModelInfo) -> Price | None:
    from .cost import price_of

    return price_of(config)


def _scaling(config: ModalConfig, model: str) -> ScaleToZero | None:
    """All models of an address are in the same containers."""
    if config.min_containers:
        return None
    from .cost import container_second
    from .state import EXPECTED

    return ScaleToZero(
        window=config.scaledown_window,
        start=EXPECTED,
        second=container_second(config),
        parallel=config.parallel,
        shared=True,
    )


SPEC = ProviderSpec(
    name="modal",
    config=ModalConfig,
    open=open_modal,
    # Ollama's /v1 turns an error in mid-stream into an empty chunk and an end: only the finish reason is a proof.
    terminal=Terminal.FINISH_REASON,
    capabilities=frozenset({"tools", "schema", "vision", "reasoning", "embeddings"}),  # As far as the model can.
    models=KNOWN,
    price_of=_price_of,
    scaling=_scaling,
    # Expected, not measured: what this project's first sketch assumed of the vendor, of a container that is warm.
    strengths=Strengths(
        speed=9,
        cost=5,
        tasks={"code_generation": 9, "code_explanation": 9, "general": 9},
        first_token=(0.3, 0.8),
        tokens_per_second=(80, 150),
    ),
    default_models=(DEFAULT_MODEL,),
    hosts=("*.modal.run", "*.modal.direct"),
    env_keys={"token_id": "MODAL_PROXY_TOKEN_ID", "token_secret": "MODAL_PROXY_TOKEN_SECRET"},
    help="`pointsman modal deploy` deploys a model, and sets all of it. For one that is there, set base_url to its "
    "address, and token_id (wk-) and token_secret (ws-) to a proxy token, which `modal workspace proxy-tokens create` "
    "makes.",
    cold_start=COLD_START,
    fan_out="pointsman_modal.deploy.fan:fan_out",
)


@hookimpl
def pointsman_providers() -> Sequence[ProviderSpec[Any]]:
    return [SPEC]


@hookimpl
def pointsman_stream(connection: Connection[Any]) -> Stream:
    return session_of(connection).stream


@hookimpl
def pointsman_health(connection: Connection[Any]) -> CheckHealth:
    return session_of(connection).health


@hookimpl
def pointsman_models(connection: Connection[Any]) -> ListModels:
    return connection.session.offered


@hookimpl
def pointsman_embed(connection: Connection[Any]) -> Embed:
    return session_of(connection).embed


@hookimpl
def pointsman_warm(connection: Connection[Any]) -> Warm:
    warm: Warm = connection.session.warm
    return warm


@hookimpl
def pointsman_cost(connection: Connection[Any]) -> PriceAttempt:
    return connection.prices.cost  # By the token where the user says so, else by the second.


@hookimpl
def pointsman_commands() -> Sequence[CommandSpec]:
    from pointsman import CommandSpec

    return [
        CommandSpec("modal", "Deploy a model to a GPU at Modal, and look after it.", f"{__name__}.cli.command:modal")
    ]

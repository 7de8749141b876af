"""Hugging Face for Pointsman: the router to many providers, and Inference Endpoints of one's own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from pointsman import (
    CheckHealth,
    Connection,
    Embed,
    Family,
    ListModels,
    ModelInfo,
    Price,
    PriceAttempt,
    ProviderContext,
    ProviderSpec,
    Stream,
    Strengths,
    Terminal,
    hookimpl,
)

from .config import FAMILY, HOSTS, HuggingFaceConfig, divided
from .token import stored

if TYPE_CHECKING:
    from .manage import open_endpoints
    from .session import RouterSession

__all__ = ["SPEC", "HuggingFaceConfig", "open_endpoints"]


def __getattr__(name: str) -> Any:
    if name != "open_endpoints":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .manage import open_endpoints

    return open_endpoints


@asynccontextmanager
async def open_hf(config: HuggingFaceConfig, context: ProviderContext, /) -> AsyncGenerator[RouterSession]:
    """A session at the router. httpx2 is imported here, and `huggingface_hub` once an endpoint is asked for.

    Raises `ConfigError` if the token cannot be sent, or would go to a host that it is not for.
    """
    from .opening import opened

    async with opened(config, context, SPEC.trusts) as session:
        yield session


def _price_of(config: HuggingFaceConfig, model: ModelInfo) -> Price | None:
    from .prices import price_of

    return price_of(config, model.id)


SPEC = ProviderSpec(
    name="hf",
    config=HuggingFaceConfig,
    open=open_hf,
    terminal=Terminal.FINISH_REASON,
    # As far as the model and whoever serves it can; `pointsman models` says which can what.
    capabilities=frozenset({"tools", "schema", "vision", "reasoning", "embeddings"}),
    # Expected, not measured: what this project's first sketch assumed of the vendor.
    strengths=Strengths(
        speed=6,
        cost=10,
        tasks={"code_generation": 8, "code_explanation": 8, "general": 9},
        first_token=(1.0, 2.0),
        tokens_per_second=(50, 100),
    ),
    default_models=("openai/gpt-oss-120b",),
    hosts=HOSTS,
    env_keys={"api_key": "HF_TOKEN"},
    stored=stored,
    help='Make a fine-grained token with "Make calls to Inference Providers" at https://huggingface.co/settings/tokens,'
    " and set HF_TOKEN, or run `hf auth login`.",
    price_of=_price_of,
    variant_of=lambda model: divided(model)[0],
    families={
        FAMILY: Family(
            terminal=Terminal.FINISH_REASON,
            capabilities=frozenset({"tools", "schema", "vision", "reasoning", "embeddings"}),
            cold_start=600.0,  # What the vendor's own example has a request wait for a replica.
        )
    },
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
def pointsman_cost(connection: Connection[Any]) -> PriceAttempt:
    return connection.session.pricing(connection.prices)

"""Blaxel for Pointsman: the models behind its gateway, and the agents that it hosts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
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

from .config import HOSTS, KEYS, BlaxelConfig

if TYPE_CHECKING:
    from .session import BlaxelSession

__all__ = ["SPEC", "BlaxelConfig"]

_AGENT = "agent:"
_SILENCE = 105.0
"""Seconds. Blaxel closes a connection on which nothing has come for 100, and shall be the first to say so."""


@asynccontextmanager
async def open_blaxel(config: BlaxelConfig, context: ProviderContext, /) -> AsyncGenerator[BlaxelSession]:
    """HTTP clients for `config`, and a session on them. httpx2 is imported here, not before.

    Raises `ConfigError` for what cannot be sent or used.
    """
    from .opening import opened

    async with opened(config, context) as session:
        yield session


def _stored(environ: Mapping[str, str]) -> Mapping[str, tuple[str, str]]:
    """What Blaxel's own command has put down, read where it is asked for."""
    from .stored import stored

    return stored(environ)


def _price_of(config: BlaxelConfig, model: ModelInfo) -> Price | None:
    if not model.id.startswith(_AGENT):
        return None
    a_call = config.agent(model.id.removeprefix(_AGENT)).price
    if a_call is None:
        return None
    source = "the agent's price in this provider's settings"
    return Price(input=Decimal(0), output=Decimal(0), request=a_call, as_of=None, source=source)


SPEC = ProviderSpec(
    name="blaxel",
    config=BlaxelConfig,
    open=open_blaxel,
    terminal=Terminal.FINISH_REASON,
    capabilities=frozenset({"tools", "schema", "vision", "reasoning", "embeddings"}),  # As far as the model can.
    # Expected, not measured: what this project's first sketch assumed of the vendor.
    strengths=Strengths(
        speed=7,
        cost=6,
        tasks={"code_generation": 10, "code_explanation": 7, "general": 6},
        first_token=(0.2, 0.5),
        tokens_per_second=(50, 100),
    ),
    hosts=HOSTS,
    addresses=("control_url",),
    env_keys={"api_key": "BL_API_KEY", "client_credentials": "BL_CLIENT_CREDENTIALS"},
    env_settings={"workspace": "BL_WORKSPACE"},
    stored=_stored,
    help=f"Make a key at {KEYS}, and set BL_API_KEY and BL_WORKSPACE; a login in the browser (`bl login`) gives none.",
    price_of=_price_of,
    families={
        _AGENT: Family(
            terminal=Terminal.BODY_LENGTH,
            capabilities=frozenset({"agentic"}),
            idempotent=False,
            cold_start=_SILENCE - 60.0,  # On top of the patience that the last target of a call is met with.
            silence=_SILENCE,
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
    """Of a model by its tokens, if the user says at what price: another vendor bills them. Of an agent, the user's
    price of a call: what it has used, it does not tell.
    """
    return connection.prices.cost

"""Any server that speaks the OpenAI chat dialect: llama.cpp, vLLM, LM Studio, a gateway of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator

from pointsman import (
    CheckHealth,
    Connection,
    Embed,
    ListModels,
    ModelInfo,
    Price,
    PriceAttempt,
    ProviderSpec,
    Stream,
    hookimpl,
)

from .spec import OpenAIConfig, listed, openai_spec, session_of


class CompatibleConfig(OpenAIConfig, frozen=True):
    """Settings of one server. `base_url` is required; a key only if the server asks for one."""

    default_models: Annotated[tuple[str, ...], BeforeValidator(listed)] = ()
    """Models that a request may go to by itself, best first."""
    capabilities: Annotated[frozenset[str], BeforeValidator(listed)] = frozenset()
    """What the server can do besides: ``prefill`` if it goes on with a last assistant message (llama.cpp does),
    ``embeddings`` if it has a model for them."""


def _price_of(config: CompatibleConfig, model: ModelInfo) -> Price | None:
    from .known_prices import price_of

    return price_of(config.base_url, model.id)


SPEC = openai_spec(
    "openai-compatible",
    CompatibleConfig,
    price_of=_price_of,
    capabilities=frozenset({"tools", "schema", "vision", "reasoning"}),  # As far as the server's model can.
    help="Start a server such as llama.cpp or vLLM, and set base_url to it (http://127.0.0.1:8080/v1).",
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
    return session_of(connection).models


@hookimpl
def pointsman_cost(connection: Connection[Any]) -> PriceAttempt:
    return connection.prices.cost


@hookimpl
def pointsman_embed(connection: Connection[Any]) -> Embed:
    return session_of(connection).embed

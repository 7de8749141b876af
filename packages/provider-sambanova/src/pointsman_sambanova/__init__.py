"""SambaNova Cloud for Pointsman."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import SecretStr

from pointsman import (
    CheckHealth,
    Connection,
    Embed,
    ListModels,
    ModelInfo,
    PointsmanError,
    PriceAttempt,
    ProviderSpec,
    QuotaExhausted,
    RateLimited,
    Stream,
    Strengths,
    hookimpl,
)
from pointsman_openai import HttpAddress, OpenAIConfig, Quirks, Refusal, openai_spec, session_of

from .models import MODELS, capabilities
from .requests import adapted


def _refined(error: PointsmanError, refusal: Refusal) -> PointsmanError:
    from .refusals import refined

    return refined(error, refusal)


QUIRKS = Quirks(
    inline_images_only=True,  # "currently only base64 encoded image supported", says its SDK.
    think_tags=True,  # DeepSeek.
    adapt=adapted,
    refine=_refined,
    codes={
        "insufficient_quota": RateLimited,  # Its name for a rate limit (docs, "Error codes"); lack of money is a 402.
        "payment_method_required": QuotaExhausted,
    },
)


class SambaNovaConfig(OpenAIConfig, frozen=True):
    """Settings of SambaNova Cloud."""

    base_url: HttpAddress = "https://api.sambanova.ai/v1"
    api_key: SecretStr  # pyright: ignore[reportGeneralTypeIssues, reportIncompatibleVariableOverride]


SPEC = openai_spec(
    "sambanova",
    SambaNovaConfig,
    quirks=QUIRKS,
    capabilities=frozenset({"tools", "schema", "vision", "reasoning"}),
    models=MODELS,
    # Expected, not measured: what this project's first sketch assumed of the vendor.
    strengths=Strengths(
        speed=10,
        cost=8,
        tasks={"code_generation": 8, "code_explanation": 9, "general": 8},
        first_token=(0.1, 0.3),
        tokens_per_second=(100, 200),
    ),
    default_models=("gpt-oss-120b", "Meta-Llama-3.3-70B-Instruct", "DeepSeek-V3.1"),
    hosts=("api.sambanova.ai",),
    env_keys={"api_key": "SAMBANOVA_API_KEY"},
    help="Make a key at https://cloud.sambanova.ai/apis.",
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
    """What it lists, with what this package knows that each can do; None of the others."""
    session = session_of(connection)

    async def models() -> Sequence[ModelInfo]:
        return [replace(model, capabilities=capabilities(model.id)) for model in await session.models()]

    return models


@hookimpl
def pointsman_embed(connection: Connection[Any]) -> Embed:
    """It answers for models that the vendor lists as such; in October 2026 it listed none."""
    return session_of(connection).embed


@hookimpl
def pointsman_cost(connection: Connection[Any]) -> PriceAttempt:
    return connection.prices.cost

"""The Hugging Face router and Inference Endpoints, for Pointsman."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pointsman import CheckHealth, Connection, ListModels, PriceAttempt, ProviderSpec, Stream, hookimpl
from pointsman_openai import HttpAddress, OpenAIConfig, openai_spec, session_of


class HuggingFaceConfig(OpenAIConfig, frozen=True):
    """Settings of Hugging Face."""

    base_url: HttpAddress = "https://router.huggingface.co/v1"


SPEC = openai_spec("hf", HuggingFaceConfig)


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

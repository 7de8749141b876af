"""Blaxel's agents and model gateway, for Pointsman."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pointsman import CheckHealth, Connection, ListModels, PriceAttempt, ProviderSpec, Stream, hookimpl
from pointsman_openai import HttpAddress, OpenAIConfig, openai_spec, session_of


class BlaxelConfig(OpenAIConfig, frozen=True):
    """Settings of Blaxel."""

    base_url: HttpAddress = "https://run.blaxel.ai"


SPEC = openai_spec("blaxel", BlaxelConfig)


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

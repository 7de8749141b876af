"""Asking providers for their lists of models, and what is said of those who do not answer."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import TypeAlias

import anyio

from pointsman import ModelInfo, PointsmanError
from pointsman.client import AsyncClient

from ..exits import Exit, exit_code
from ..report import alone, words_of

PATIENCE = 10.0
"""Seconds that a provider may take to list its models, opening included."""

Failure: TypeAlias = tuple[str, str, Exit]
"""A provider, why it has no list to give, and the exit code for that."""


async def listed(client: AsyncClient, name: str) -> Sequence[ModelInfo]:
    """What the provider lists. Raises `TimeoutError` after `PATIENCE`, and what opening or asking it raised."""
    with anyio.fail_after(PATIENCE):
        return await (await client.connect(name)).models()


def failure(client: AsyncClient, name: str, raised: Exception) -> Failure:
    """What is said of a provider that `raised` this."""
    if isinstance(raised, TimeoutError):
        return name, f"no answer within {PATIENCE:g} s", Exit.TIMEOUT
    error = alone(raised)
    why = client.roster.redactor.text(words_of(error))
    code = exit_code(error) if isinstance(error, PointsmanError) else Exit.UPSTREAM
    return name, why.removeprefix(f"{name}: "), code


def not_missed(client: AsyncClient, asked: Container[str], failed: Iterable[Failure]) -> dict[str, str]:
    """Who failed and was not set up by anybody, with the reason: a server of this machine that is tried, and does not
    run.
    """
    return {name: why for name, why, _ in failed if name in asked and not client.roster.configured(name).origins}

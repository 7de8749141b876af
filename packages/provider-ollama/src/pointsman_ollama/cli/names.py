"""Names of models for the Tab key: those of the settings, and those that a server on this machine has."""

from __future__ import annotations

from contextlib import suppress

import anyio

from pointsman import AsyncClient, PointsmanError
from pointsman_openai import is_loopback

from ..config import OllamaConfig, host_of
from ..server import connect

PATIENCE = 2.0
"""Seconds for a server that is there, but does not answer: whoever presses Tab waits for nobody. One that is not there
says so at once."""


def model_names(provider: str) -> list[str]:
    """Sorted. Nothing leaves this machine, and what is broken is no affair of a Tab."""
    try:
        client = AsyncClient()
        found = {target.model for target in client.roster.default_targets(provider)}
        config = client.roster.configured(provider).config
        if isinstance(config, OllamaConfig) and is_loopback(host_of(config.base_url)):
            found.update(anyio.run(_listed, client, provider))
    except Exception:  # What completes says nothing: `pointsman doctor` is the place for it.
        return []
    return sorted(found)


async def _listed(client: AsyncClient, provider: str) -> list[str]:
    async with client, connect(client, provider=provider) as server:
        with anyio.move_on_after(PATIENCE), suppress(PointsmanError):
            return [model.name for model in await server.pulled()]
    return []

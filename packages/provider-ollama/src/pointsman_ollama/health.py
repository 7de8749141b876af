"""How a server is, found out without spending tokens and without loading anything."""

from __future__ import annotations

from typing import Any

import anyio

from pointsman import (
    ConfigError,
    Health,
    HealthState,
    ModelGone,
    PointsmanError,
    ProviderContext,
    QuotaExhausted,
    RateLimited,
    Unavailable,
)

from .catalog import is_remote, listed, name_of
from .config import OllamaConfig, is_cloud, tagged
from .loads import Loads
from .wire import Wire

HEALTH_SECONDS = 5.0
NOT_THERE = (404, 405, 410, 501)
"""What a server too old for a path says."""
NO_KEY = "ollama.com asks for a key: set OLLAMA_API_KEY to one from https://ollama.com/settings/keys"


class Checkup:
    """Asks what is loaded, then what could be; what is being loaded for us, `loads` knows."""

    def __init__(self, wire: Wire, context: ProviderContext, config: OllamaConfig, loads: Loads) -> None:
        self._wire = wire
        self._context = context
        self._config = config
        self._loads = loads

    async def health(self) -> Health:
        """Whether the server is there, and a model loaded, or how long that will take."""
        try:
            with anyio.fail_after(HEALTH_SECONDS):
                return await self._look()
        except TimeoutError:
            reason = f"no answer within {HEALTH_SECONDS:g} s"
            error = Unavailable(reason, provider=self._context.name)
            return Health(HealthState.DOWN, reason, error=error)
        except RateLimited as error:
            wait = None if error.retry_at is None else max(0.0, error.retry_at - self._context.clock())
            return Health(HealthState.DEGRADED, f"rate limit: {error.message}", wait, error)
        except QuotaExhausted as error:
            return Health(HealthState.DOWN, f"quota: {error.message}", error=error)
        except PointsmanError as error:
            return Health(HealthState.DOWN, error.message, error=error)

    async def _look(self) -> Health:
        if is_cloud(self._config.base_url):
            return await self._look_at_cloud()
        try:
            in_memory = [name_of(entry) for entry in listed(await self._wire.json("GET", "api/ps"))]
        except PointsmanError as error:
            if error.status not in NOT_THERE:
                raise
            in_memory = []
        loading = self._loads.look(in_memory)
        loaded = [name for name in in_memory if tagged(name) not in loading]
        said = f"loading: {', '.join(loading)}"
        if loaded:
            return Health(HealthState.UP, f"loaded: {', '.join(loaded)}{f'; {said}' if loading else ''}")
        if loading:
            return Health(HealthState.WARMING, said, self._loads.wait(min(loading.values())))
        return self._cold(listed(await self._wire.json("GET", "api/tags")))

    async def _look_at_cloud(self) -> Health:
        """It lists its models to everybody, and has no question that costs nothing and that only a key answers."""
        if self._config.api_key is None:
            return Health(HealthState.DOWN, NO_KEY, error=ConfigError(NO_KEY, missing=True))
        await self._wire.json("GET", "api/tags")
        return Health(HealthState.UP, "ollama.com lists its models; whether it takes the key, a request will tell")

    def _cold(self, entries: list[dict[str, Any]]) -> Health:
        """Nothing is in memory."""
        own = [entry for entry in entries if not is_remote(entry)]
        if own:
            return Health(
                HealthState.COLD,
                f"none of its models ({len(own)}) is in memory yet; a request loads it",
                self._loads.seconds,
            )
        if entries:
            reason = "all models there run at ollama.com; whether that lets them be used, a request will tell"
            return Health(HealthState.UP, reason)
        reason = "no model is there: run `ollama pull` with the name of one"
        return Health(HealthState.DOWN, reason, error=ModelGone(reason, provider=self._context.name))

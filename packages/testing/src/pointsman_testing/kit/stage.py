"""Where a provider is tried: a lab vendor that does as it is told, and clients that know nobody but this provider."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pointsman import AsyncClient, ChatRequest, Message, Plugins, PointsmanError, ProviderSpec, Reply, Settings, Target

from ..lab import Lab, RecordedRequest, Script, Vendor

if TYPE_CHECKING:
    from pointsman.config import Configured
    from pointsman.engine.roster import Roster

PATIENCE = 20.0
"""Seconds for one call. Nothing here takes so long, unless something hangs; then it is this limit that says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One provider before one vendor of the lab."""

    spec: ProviderSpec[Any]
    plugin: object
    target: Target
    lab: Lab
    vendor: Vendor
    config: Mapping[str, Any]
    """What the provider is configured with, `base_url` included."""
    route: str
    """What the vendor's dialect calls a request that is answered by the model."""
    backend: str
    """The event loop: ``asyncio`` or ``trio``."""

    def script(self, *responses: Script) -> None:
        """What the vendor answers to the next chats, in order."""
        self.vendor.script(*responses, on=self.route)

    def script_all(self, response: Script) -> None:
        """What the vendor answers next, whatever it is asked."""
        for route in self.vendor.routes:
            self.vendor.script(*[response] * 8, on=route)

    @property
    def chats(self) -> Sequence[RecordedRequest]:
        """The chats that have arrived, in order; other requests are left out."""
        return [request for request in self.vendor.requests if request.route == self.route]

    @asynccontextmanager
    async def client(
        self, *, environ: Mapping[str, str] | None = None, sink: object = None, **engine: Any
    ) -> AsyncGenerator[AsyncClient]:
        """A client of this provider alone. It tries once, and gives up after `PATIENCE`; `engine` may say otherwise.

        `sink` is a plugin whose sinks get the records.
        """
        async with self._client(environ, {} if sink is None else {"kit": sink}, engine) as client:
            yield client

    def roster(self, *, environ: Mapping[str, str] | None = None) -> Roster:
        """What core knows of the provider without opening it."""
        return self._client(environ, {}, {}).roster

    def configured(self, *, environ: Mapping[str, str] | None = None) -> Configured:
        """What core makes of `config`: the plugin's own config, its secrets, and warnings. Raises `ConfigError`."""
        return self.roster(environ=environ).configured(self.spec.name)

    def _client(
        self, environ: Mapping[str, str] | None, sinks: Mapping[str, object], engine: Mapping[str, Any]
    ) -> AsyncClient:
        name = self.spec.name
        table = {"providers": {name: self.config}, "engine": {"retries": 0, "deadline": PATIENCE, **engine}}
        plugins = Plugins.of(providers={name: self.plugin}, sinks=sinks)
        return AsyncClient(settings=Settings.of(table, environ), plugins=plugins)

    async def chat(self, prompt: str | Sequence[Message] | ChatRequest = "Hi", **options: Any) -> Reply:
        """The whole answer, from a client of its own. Raises what the call met."""
        wishes: dict[str, Any] = {"model": self.target, "on_break": "raise", **options}
        async with self.client() as client:
            return await client.chat(prompt, **wishes)

    async def meets(self, prompt: str | Sequence[Message] | ChatRequest = "Hi", **options: Any) -> PointsmanError:
        """The error that a call meets, from a client of its own; it fails the test if there is an answer instead."""
        try:
            reply = await self.chat(prompt, **options)
        except PointsmanError as error:
            return error
        raise AssertionError(
            f"it was given out as a whole answer ({reply.text!r}, finish reason {reply.finish_reason!r}), "
            "but is none: yield Finished for the vendor's own proof of the end, and for nothing else"
        )

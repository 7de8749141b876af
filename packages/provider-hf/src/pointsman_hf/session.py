"""An open connection to the router, and by way of it to all else that is Hugging Face's: what the hooks use."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import anyio
import httpx2
from anyio.abc import TaskGroup

from pointsman import (
    AuthFailed,
    ChatRequest,
    Embeddings,
    EmbedRequest,
    Health,
    HealthState,
    ModelInfo,
    PointsmanError,
    PriceAttempt,
    PriceBook,
    ProviderContext,
    RateLimits,
    StreamEvent,
    Target,
    Unavailable,
)
from pointsman_openai import Quirks, Session

from .beside import Beside
from .catalogue import Catalogue, read_catalogue
from .config import FAMILY, HuggingFaceConfig, divided, pinned
from .embedding import path_of, read_features
from .endpoints import Endpoints
from .hub import listed_endpoint, token_problem
from .prices import Meter, pricing
from .serving import Server
from .wire import Serving, Wire, other_client

FRESH_SECONDS = 3600.0
"""How old the price list may be."""
_RETRY_SECONDS = 300.0
"""When it is asked for again if it did not come."""
LOOK_SECONDS = 5.0
LISTING_SECONDS = 10.0
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")


class RouterSession(Session):
    """What the hooks of the provider use: `stream`, `health`, `models`, `embed` and `pricing`."""

    _beside: Beside

    def __init__(
        self,
        http: httpx2.AsyncClient,
        context: ProviderContext,
        quirks: Quirks,
        secrets: Sequence[str] = (),
        *,
        config: HuggingFaceConfig,
        trusts: Callable[[str], bool],
    ) -> None:
        super().__init__(http, context, quirks, secrets)
        self._config = config
        self._trusts = trusts
        self._meter = Meter(context.clock)
        self._abroad: httpx2.AsyncClient | None = None
        self._endpoints: Endpoints | None = None
        self._server: Server | None = None
        self._list_due = context.clock()
        self._book = PriceBook()
        self.catalogue = Catalogue()
        """The router's list, as it was read last."""

    @asynccontextmanager
    async def stream(
        self, request: ChatRequest, *, url: str = "chat/completions", target: Target | None = None
    ) -> AsyncGenerator[AsyncIterator[StreamEvent]]:
        """Ask the router, or a dedicated endpoint. Entering means that it accepted."""
        if request.model.startswith(FAMILY):
            async with self._serving().stream(request) as events:
                yield events
            return
        self._keep_list_fresh()
        async with super().stream(request, url=url, target=target) as events:
            known = self.catalogue.models or request.deadline is not None  # A price is not worth a deadline.
            yield events if known else self._beside.ending("models", events)

    async def health(self) -> Health:
        """Whether the Hub takes the token, and the router lists its models: neither spends anything.

        The router's list is public, so that it does not judge the token: where the Hub does not, nobody has.
        """
        try:
            with anyio.fail_after(LOOK_SECONDS):
                unjudged = await self._unjudged()
                await self._read_list()
        except TimeoutError:
            reason = f"no answer within {LOOK_SECONDS:g} s"
            return Health(HealthState.DOWN, reason, error=Unavailable(reason, provider=self._context.name))
        except PointsmanError as error:
            return self._ill(error)
        return Health(HealthState.UNKNOWN, unjudged) if unjudged else Health(HealthState.UP)

    async def models(self) -> list[ModelInfo]:
        """What the router lists, by model and by provider, and the account's endpoints if the token may see them."""
        await self._read_list()
        return [*self.catalogue.models, *await self._listed_endpoints()]

    async def embed(self, request: EmbedRequest, *, url: str = "", target: Target | None = None) -> Embeddings:
        """A vector for each text: from an endpoint, else from ``hf-inference`` at the router."""
        if request.model.startswith(FAMILY):
            return await self._serving().embed(request)
        target = target or Target(self._context.name, request.model)
        url = url or self._config.base_url.removesuffix("/v1") + path_of(request.model, target)
        told, _ = await self.fetch(url, {"inputs": list(request.texts)}, target=target)
        return read_features(told, len(request.texts), target)

    def pricing(self, book: PriceBook) -> PriceAttempt:
        """The cost hook, for this connection's prices. What the list says is written into `book` from now on."""
        self._book = book
        return pricing(book, lambda: self.catalogue, self._meter)

    def work_in(self, tasks: TaskGroup) -> None:
        """Have what goes on beside the answers go on in `tasks`."""
        self._beside = Beside(tasks.start_soon)

    @property
    def endpoints(self) -> Endpoints:
        """The account's endpoints."""
        if self._endpoints is None:
            aside = replace(self._context, limits=RateLimits())  # What the API allows, no endpoint has said.
            wire = Wire(self._client(), aside, Quirks(), self._secrets)
            self._endpoints = Endpoints(wire, self._config, self._context.name)
        return self._endpoints

    async def close(self) -> None:
        """Let the client for other hosts go."""
        if self._abroad is not None:
            await self._abroad.aclose()

    def _client(self) -> httpx2.AsyncClient:
        if self._abroad is None:
            self._abroad = other_client(self._config)
        return self._abroad

    def _serving(self) -> Server:
        if self._server is None:
            wire = Serving(self._client(), self._context, Quirks(), self._secrets)
            wire.wake_seconds = self._config.wake_seconds
            self._server = Server(
                wire, self.endpoints, self._meter, self._config, self._context, self._trusts, self._beside
            )
        return self._server

    async def _unjudged(self) -> str:
        """Why nobody has judged the token; empty if the Hub has. Raises `AuthFailed` for what it holds against it."""
        if self._config.hub is None:
            return "the router answers, but nobody has judged the key: set hub_url to the Hub that does"
        try:
            problem = token_problem(await self.endpoints.whoami(), self._context.name)
        except AuthFailed:
            raise
        except PointsmanError as error:
            return f"the router answers, but the Hub does not say whether it takes the key: {error.message}"
        if problem is not None:
            raise problem
        return ""

    async def _read_list(self) -> None:
        value, url = await self.listing()
        self.catalogue = read_catalogue(value, today=datetime.now(UTC).date(), source=url)
        self._book.learn({Target(self._context.name, model.id): model for model in self.catalogue.models})
        self._list_due = self._context.clock() + FRESH_SECONDS

    def _keep_list_fresh(self) -> None:
        """Have the list read, if it is old, beside whatever goes on."""
        if self._context.clock() >= self._list_due:
            self._list_due = self._context.clock() + _RETRY_SECONDS
            self._beside.ask("models", self._read_list_quietly)

    async def _read_list_quietly(self) -> None:
        try:
            with anyio.fail_after(LISTING_SECONDS):
                await self._read_list()
        except Exception as error:  # Prices are not worth an answer, whatever is wrong with them.
            self._context.log.debug("the router's prices are not known: %s", error)

    async def _listed_endpoints(self) -> list[ModelInfo]:
        if self._config.endpoints is None:
            return []
        try:
            with anyio.fail_after(LISTING_SECONDS):
                return [listed_endpoint(one) for one in await self.endpoints.list()]
        except (TimeoutError, PointsmanError) as error:
            self._context.log.debug("the account's endpoints are not listed: %s", error)
            return []


def served(model: str, headers: Mapping[str, str]) -> str | None:
    """Who answers for a model whose provider the router chose: it says so in a header, which nobody documents."""
    provider = headers.get("x-inference-provider", "").strip().lower()
    if model.startswith(FAMILY) or pinned(model) or not _SLUG.fullmatch(provider):
        return None
    return f"{divided(model)[0]}:{provider}"

"""An open connection to one address. Importing this loads the HTTP library."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx2

from pointsman import (
    AuthFailed,
    ChatRequest,
    Health,
    ModelGone,
    ModelInfo,
    PointsmanError,
    ProviderContext,
    QuotaExhausted,
    StreamEvent,
    Target,
)
from pointsman_openai import Quirks, Refusal, Session, open_session

from . import asked, models
from .config import ModalConfig
from .errors import Place, is_json, is_starting, refined, says_platform
from .state import Warmth
from .waiting import arrive


def opened(config: ModalConfig, context: ProviderContext, quirks: Quirks) -> AbstractAsyncContextManager[Session]:
    """A client for `config`, and a session on it; leaving closes both."""
    pair = {"Modal-Key": config.token_id, "Modal-Secret": config.token_secret}
    own = {} if config.whole_token else {name: half for name, half in pair.items() if half is not None}
    halves = tuple(half.get_secret_value() for half in pair.values() if half is not None)

    def session(http: httpx2.AsyncClient, context: ProviderContext, quirks: Quirks, secrets: Sequence[str]) -> Session:
        return ModalSession(http, context, quirks, (*secrets, *halves), config)

    return open_session(config.model_copy(update={"headers": {**own, **config.headers}}), context, quirks, kind=session)


class ModalSession(Session):
    """A session that waits for cold starts, and never starts a GPU by asking how things are."""

    def __init__(
        self,
        http: httpx2.AsyncClient,
        context: ProviderContext,
        quirks: Quirks,
        secrets: Sequence[str],
        config: ModalConfig,
    ) -> None:
        super().__init__(http, context, replace(quirks, refine=self._refine), secrets)
        self._config = config
        self._ollama = config.server == "ollama"
        self._place = Place(config.base_url, config.token_id is not None, config.cold_start)
        self._warmth = Warmth(context.clock, config.scaledown_window, always_up=config.min_containers > 0)

    @asynccontextmanager
    async def stream(
        self, request: ChatRequest, *, url: str = "chat/completions", target: Target | None = None
    ) -> AsyncGenerator[AsyncIterator[StreamEvent]]:
        """As `Session.stream`. Entering may take as long as a container takes to start.

        Raises `InvalidRequest` and `ContextOverflow` for what Ollama's ``/v1`` would ignore or cut in silence.
        """
        target = target or Target(self._context.name, request.model)
        size = 0
        if self._ollama:
            request = asked.fitted(request, target)
            size = asked.prompt_characters(request)
            asked.refuse_overflow(size, self._config.context_tokens, target)
        async with super().stream(request, url=url, target=target) as events:
            with self._warmth.answering():
                if size <= (self._config.context_tokens or asked.LEAST_CONTEXT):
                    yield events
                else:
                    async with aclosing(asked.uncut(events, size, target)) as watched:
                        yield watched

    async def health(self) -> Health:
        """What our own traffic tells; where a container always runs, that one is asked."""
        if self._config.min_containers:
            return await super().health()
        return self._warmth.health()

    async def warm(self, model: str) -> Health:
        """Start a container, if none runs, and wait until its server answers: one GET, which costs no token. All models
        are in the same containers, so that it does not matter which is meant.

        Raises what a request would meet: a wrong token, nothing deployed, no container within `cold_start`.
        """
        url = f"{self._http.base_url.join('/')}api/version" if self._ollama else "models"
        await self.fetch(url)
        return self._warmth.health()

    async def offered(self) -> list[ModelInfo]:
        """What the server lists, with what it can do; as long as it may be cold, what the configuration says."""
        if not self._warmth.warm:
            return models.configured(self._config)
        listed = await self.models()
        if not self._ollama:
            return listed
        root = str(self._http.base_url.join("/"))
        loaded = models.contexts(await self._told(f"{root}api/ps"))
        return [
            models.described(one, await self._told(f"{root}api/show", {"model": one.id}), loaded, self._config)
            for one in listed
        ]

    async def exchange(self, http: httpx2.AsyncClient, request: httpx2.Request) -> httpx2.Response:
        """A response, after whatever wait and however many exchanges it took."""
        with self._warmth.asking():
            response = await arrive(http, request, self._config.cold_start, self._warmth, self._context)
            if response.status_code == 200:
                self._warmth.answered()
            return response

    async def _told(self, url: str, body: dict[str, Any] | None = None) -> Any:
        """What Ollama's own API says; nothing, if it is not there."""
        try:
            value, _ = await self.fetch(url, body)
        except PointsmanError as error:
            self._context.log.debug("nothing more is known: %s", error)
            return None
        return value

    def _refine(self, error: PointsmanError, refusal: Refusal) -> PointsmanError:
        found = refined(error, refusal, self._place)
        platform = says_platform(refusal.status, refusal.body)
        if isinstance(found, AuthFailed | QuotaExhausted) or (platform and isinstance(found, ModelGone)):
            self._warmth.refused(found)
        elif is_json(refusal.body) and not is_starting(refusal.status, refusal.body):
            self._warmth.answered()
        elif refusal.status >= 500:
            self._warmth.lost()
        return found

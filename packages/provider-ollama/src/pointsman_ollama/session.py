"""An open connection to one Ollama server: what the hooks use."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import anyio
import httpx2

from pointsman import (
    ChatRequest,
    Embeddings,
    EmbedRequest,
    Health,
    HealthState,
    InvalidRequest,
    ModelGone,
    ModelInfo,
    PointsmanError,
    ProviderContext,
    QuotaExhausted,
    RateLimited,
    Scope,
    StreamEvent,
    Target,
    Unavailable,
    Usage,
)
from pointsman_openai import Answer, Body, fields, refuse_page

from . import guard
from .catalog import contexts, lacks_facts, listed, model_info, name_of, same, trained_context
from .config import OllamaConfig, is_cloud, runs_in_cloud
from .decode import ChatDecoder
from .errors import line_error
from .request import chat_body, embed_body
from .wire import Wire

HEALTH_SECONDS = 5.0
_SHOWS_AT_ONCE = 4
_NOT_THERE = (404, 405, 410, 501)


class Session:
    """What the hooks of the provider use: `stream`, `health`, `models` and `embed`."""

    def __init__(
        self, http: httpx2.AsyncClient, context: ProviderContext, config: OllamaConfig, secrets: tuple[str, ...] = ()
    ) -> None:
        """`secrets` are taken out of every message."""
        self._context = context
        self._config = config
        self._secrets = secrets
        self._cloud = is_cloud(config.base_url)
        self._wire = Wire(http, context, config.base_url, secrets)
        self._said_version: str | None = None  # Once the server was asked; empty if it does not say.
        self._trained: dict[str, int | None] = {}

    @asynccontextmanager
    async def stream(self, request: ChatRequest) -> AsyncGenerator[AsyncIterator[StreamEvent]]:
        """Ask for an answer. Entering means that the server accepted; leaving early drops the connection.

        A model that is not loaded is loaded before the server sends the head of its response. Raises `InvalidRequest`
        for what cannot be said to Ollama, `ContextOverflow` for a prompt that is too long, or that an old server might
        shorten in silence, and what `response_error` and `unreachable` make of refusals and failures. The iterator
        raises `StreamBroken` if the answer ends without ``done: true``.
        """
        target = Target(self._context.name, request.model)
        if "local" in request.require and self._is_elsewhere(request.model):
            raise InvalidRequest(
                "it runs at ollama.com, and the request is to stay here", target=target, scope=Scope.TARGET
            )
        body = chat_body(request, self._config, target)
        await self._keep_whole(body, target)
        response = await self._wire.send("POST", "api/chat", body, target=target)
        answer = Body(response)
        try:
            yield self._answer(response, answer, target)
        finally:
            await answer.close()

    async def health(self) -> Health:
        """Whether the server is there, and a model loaded. It spends no tokens and loads nothing."""
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

    async def models(self) -> list[ModelInfo]:
        """The models that were pulled (at ollama.com: those on offer), with what they can do and their context.

        A server before 2026-05 does not list what its models can do: it is asked for each, a few at a time.
        """
        entries = listed(await self._wire.json("GET", "api/tags"))
        loaded = await self._contexts()
        shown: dict[str, Mapping[str, Any]] = {}
        limiter = anyio.CapacityLimiter(_SHOWS_AT_ONCE)

        async def show(name: str) -> None:
            async with limiter:
                shown[name] = await self._show(name)

        async with anyio.create_task_group() as tasks:
            for entry in entries:
                if lacks_facts(entry):
                    tasks.start_soon(show, name_of(entry))
        today = datetime.now(UTC).date()
        return [
            model_info(
                entry,
                shown.get(name_of(entry), {}),
                loaded=loaded.get(name_of(entry)),
                num_ctx=None if self._cloud else self._config.num_ctx,
                cloud=self._cloud,
                today=today,
            )
            for entry in entries
        ]

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """One vector of length 1 for each text. Raises `ContextOverflow` if a text is too long: none is cut."""
        if not request.texts:
            return Embeddings(())
        target = Target(self._context.name, request.model)
        told = fields(await self._wire.json("POST", "api/embed", embed_body(request, self._config), target=target))
        try:
            vectors = tuple(tuple(float(number) for number in vector) for vector in told["embeddings"])
        except (KeyError, TypeError, ValueError):
            vectors = ()
        if len(vectors) != len(request.texts):
            message = f"the server sent {len(vectors)} embeddings for {len(request.texts)} texts"
            raise Unavailable(message, target=target, retryable=False)
        count: Any = told.get("prompt_eval_count")
        return Embeddings(vectors, Usage(input_tokens=count) if type(count) is int and count >= 0 else None)

    def _answer(self, response: httpx2.Response, body: Body, target: Target) -> Answer:
        refuse_page(response, target)

        def complaint(told: Any, begun: bool) -> PointsmanError:
            base_url = self._config.base_url
            return line_error(told, begun=begun, base_url=base_url, secrets=self._secrets, target=target)

        return Answer(body, ChatDecoder(target, complaint, self._secrets))

    async def _keep_whole(self, body: dict[str, Any], target: Target) -> None:
        """Raises `ContextOverflow` for a prompt that a server too old to refuse it may shorten (see `guard`).

        How much it takes: the `num_ctx` of the request, but no more than the model was trained for; else the context
        that the model is loaded with, which the request then asks for, since the server would load it anew for another;
        else the least that such a server gives. Whether an answer was made from the whole prompt, nothing in it tells.
        """
        if body.get("truncate") is not False or self._is_elsewhere(target.model):
            return
        said = await self._version(target)
        version = guard.read_version(said)
        if guard.refuses_overflow(version):
            return
        tokens, least = guard.most_tokens(body), guard.default_context(version)
        asked: Any = fields(body.get("options")).get("num_ctx")
        if isinstance(asked, int) and not isinstance(asked, bool) and asked > 0:
            trained = await self._trained_for(target.model) if least <= tokens < asked else None
            least = min(asked, trained or asked)
        elif tokens >= least:
            loaded = await self._contexts()
            size = next((size for name, size in loaded.items() if same(name, target.model)), None)
            if size is not None:
                least = size
                body["options"] = {**fields(body.get("options")), "num_ctx": size}
        guard.check(tokens, least, said, target)

    async def _version(self, target: Target) -> str:
        """The server's version, asked for once; empty where it does not say. Raises what every request would meet."""
        if self._said_version is None:
            try:
                told: Any = fields(await self._wire.json("GET", "api/version", target=target)).get("version")
            except PointsmanError as error:
                if error.status not in (200, *_NOT_THERE):
                    error.begun = False  # The request itself was not sent.
                    raise
                told = ""
            self._said_version = told if isinstance(told, str) else ""
        return self._said_version

    async def _trained_for(self, model: str) -> int | None:
        if model not in self._trained:
            self._trained[model] = trained_context(await self._show(model))
        return self._trained[model]

    async def _show(self, model: str) -> dict[str, Any]:
        """What the server knows of a model; nothing, if it will not say."""
        try:
            return fields(await self._wire.json("POST", "api/show", {"model": model}))
        except PointsmanError as error:
            self._context.log.debug("nothing is known of %s: %s", model, error)
            return {}

    async def _contexts(self) -> dict[str, int]:
        try:
            return contexts(await self._wire.json("GET", "api/ps"))
        except PointsmanError as error:
            self._context.log.debug("which models are loaded is not known: %s", error)
            return {}

    async def _look(self) -> Health:
        if self._cloud:
            await self._wire.json("GET", "api/tags")
            return Health(HealthState.UP, "ollama.com lists its models; whether it takes the key, a request will tell")
        try:
            loaded = [name_of(entry) for entry in listed(await self._wire.json("GET", "api/ps"))]
        except PointsmanError as error:
            if error.status not in _NOT_THERE:
                raise
            loaded = []
        if loaded:
            return Health(HealthState.UP, f"loaded: {', '.join(loaded)}")
        pulled = listed(await self._wire.json("GET", "api/tags"))
        if pulled:
            return Health(HealthState.COLD, f"no model is loaded; {len(pulled)} can be")
        reason = "no model is there: run `ollama pull` with the name of one"
        return Health(HealthState.DOWN, reason, error=ModelGone(reason, provider=self._context.name))

    def _is_elsewhere(self, model: str) -> bool:
        return self._cloud or runs_in_cloud(model)

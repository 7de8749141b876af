"""An open connection to one Ollama server: what the hooks use."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import anyio
import httpx2

from pointsman import (
    ChatRequest,
    ConfigError,
    Embeddings,
    EmbedRequest,
    InvalidRequest,
    ModelInfo,
    PointsmanError,
    ProviderContext,
    Scope,
    StreamEvent,
    Target,
    Unavailable,
    Usage,
)
from pointsman_openai import Answer, Body, fields, refuse_page

from . import guard
from .catalog import contexts, is_remote, lacks_facts, listed, model_info, name_of, same, trained_context
from .config import OllamaConfig, cloud_name, is_cloud, runs_in_cloud, tagged
from .decode import ChatDecoder
from .errors import line_error
from .health import NO_KEY, NOT_THERE, Checkup
from .loads import Loads
from .request import chat_body, embed_body
from .server import Server
from .wire import Wire

_SHOWS_AT_ONCE = 4

_Asked = TypeVar("_Asked", ChatRequest, EmbedRequest)


class Session:
    """What the hooks of the provider use: `stream`, `health`, `models` and `embed`; and the `server`, for the rest."""

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
        self._stubs: dict[str, bool] = {}
        """Models, by whole name, and whether they were found to run elsewhere, whatever their names say."""
        self._loads = Loads(context.clock)
        self.health = Checkup(self._wire, context, config, self._loads).health
        self.server = Server(self._wire, context, config, self._loads, secrets)

    def is_elsewhere(self, model: str) -> bool:
        """Requests for `model` leave the server, as far as is known."""
        return self._cloud or runs_in_cloud(model) or self._stubs.get(tagged(model), False)

    @asynccontextmanager
    async def stream(self, request: ChatRequest) -> AsyncGenerator[AsyncIterator[StreamEvent]]:
        """Ask for an answer. Entering means that the server accepted; leaving early drops the connection.

        A model that is not loaded is loaded before the server sends the head of its response. Raises `InvalidRequest`
        for what cannot be said to Ollama, `ContextOverflow` for a prompt that is too long, or that an old server might
        shorten in silence, and what `response_error` and `unreachable` make of refusals and failures. The iterator
        raises `StreamBroken` if the answer ends without ``done: true``.
        """
        target = Target(self._context.name, request.model)
        self._check_key(target)
        if "local" in request.require and await self._leaves(request.model):
            raise InvalidRequest(
                "it runs at ollama.com, and the request is to stay here", target=target, scope=Scope.TARGET
            )
        elsewhere = self.is_elsewhere(request.model)
        body = chat_body(self._addressed(request), self._config, target, elsewhere=elsewhere)
        await self._keep_whole(body, target)
        with nullcontext() if elsewhere else self._loads.waiting(request.model):
            response = await self._wire.send("POST", "api/chat", body, target=target)
        answer = Body(response)
        try:
            yield self._answer(response, answer, target)
        finally:
            await answer.close()

    async def models(self) -> list[ModelInfo]:
        """The models that were pulled (at ollama.com: those on offer), with what they can do and their context.

        A server before 2026-05 does not list what its models can do, and none lists the context that a Modelfile sets:
        it is asked for each of which it is not known otherwise, a few at a time.
        """
        entries = listed(await self._wire.json("GET", "api/tags"))
        loaded = {} if self._cloud else await self._contexts()
        shown: dict[str, Mapping[str, Any]] = {}
        limiter = anyio.CapacityLimiter(_SHOWS_AT_ONCE)

        async def show(name: str) -> None:
            async with limiter:
                shown[name] = await self._show(name)

        async with anyio.create_task_group() as tasks:
            for entry in entries:
                if lacks_facts(entry) or self._lacks_context(entry, loaded):
                    tasks.start_soon(show, name_of(entry))
        today = datetime.now(UTC).date()
        for entry in entries:
            self._stubs[name_of(entry)] = is_remote(entry) or is_remote(shown.get(name_of(entry), {}))
        return [
            model_info(
                entry,
                shown.get(name_of(entry), {}),
                loaded=loaded.get(name_of(entry)),
                num_ctx=self._config.num_ctx,
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
        self._check_key(target)
        with nullcontext() if self.is_elsewhere(request.model) else self._loads.waiting(request.model):
            body = embed_body(self._addressed(request), self._config)
            told = fields(await self._wire.json("POST", "api/embed", body, target=target))
        try:
            vectors = tuple(tuple(float(number) for number in vector) for vector in told["embeddings"])
        except (KeyError, TypeError, ValueError):
            vectors = ()
        if len(vectors) != len(request.texts):
            message = f"the server sent {len(vectors)} embeddings for {len(request.texts)} texts"
            raise Unavailable(message, target=target, retryable=False)
        return Embeddings(vectors, Usage.read(input_tokens=told.get("prompt_eval_count"), output_tokens=0))

    def _answer(self, response: httpx2.Response, body: Body, target: Target) -> Answer:
        refuse_page(response, target)

        def complaint(told: Any, begun: bool) -> PointsmanError:
            base_url = self._config.base_url
            return line_error(told, begun=begun, base_url=base_url, secrets=self._secrets, target=target)

        on_remote = partial(self._stubs.__setitem__, tagged(target.model), True)
        decoder = ChatDecoder(target, complaint, self._secrets, on_remote=on_remote, on_load=self._loads.learn)
        return Answer(body, decoder)

    def _addressed(self, request: _Asked) -> _Asked:
        """`request` with the name that its model has where it is sent: ollama.com knows the plain ones."""
        name = cloud_name(request.model) if self._cloud else None
        return request if name is None else replace(request, model=name)

    def _check_key(self, target: Target) -> None:
        """Raises `ConfigError` for a request to ollama.com without a key, which nobody would answer."""
        if self._cloud and self._config.api_key is None:
            raise ConfigError(NO_KEY, missing=True, target=target)

    async def _leaves(self, model: str) -> bool:
        """Requests for `model` leave the server. Raises what asking it raised: a prompt that is to stay here waits."""
        if not self.is_elsewhere(model) and tagged(model) not in self._stubs:
            target = Target(self._context.name, model)
            try:
                shown = fields(await self._wire.json("POST", "api/show", {"model": model}, target=target))
            except PointsmanError as error:
                error.begun = False  # The request itself was not sent.
                raise
            self._stubs[tagged(model)] = is_remote(shown)
        return self.is_elsewhere(model)

    def _lacks_context(self, entry: Mapping[str, Any], loaded: Mapping[str, int]) -> bool:
        """Which context our requests get depends on the Modelfile."""
        return not (self._cloud or is_remote(entry) or self._config.num_ctx or name_of(entry) in loaded)

    async def _keep_whole(self, body: dict[str, Any], target: Target) -> None:
        """Raises `ContextOverflow` for a prompt that a server too old to refuse it may shorten (see `guard`).

        How much it takes: the `num_ctx` of the request, but no more than the model was trained for; else the context
        that the model is loaded with, which the request then asks for, since the server would load it anew for another;
        else the least that such a server gives. Whether an answer was made from the whole prompt, nothing in it tells.
        """
        if body.get("truncate") is not False or self.is_elsewhere(target.model):
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
                if error.status not in (200, *NOT_THERE):
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

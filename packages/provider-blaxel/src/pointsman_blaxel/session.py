"""An open connection to one workspace: what the hooks use. Importing this loads the HTTP library."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio
import httpx2

from pointsman import (
    AuthFailed,
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
    Scope,
    StreamEvent,
    Target,
    Unavailable,
)
from pointsman_openai import FAILURES, Body, Quirks, Refusal, Session, error_body, unreachable, whole

from .agent import ANSWERS, agent_answer, agent_body, agent_headers, agent_url
from .clients import Clients
from .config import BlaxelConfig
from .control import AGENT, OTHER_DIALECTS, Control, Kind, Place
from .errors import agent_error, platform_error, platform_of, refined
from .keys import Keys

HEALTH_SECONDS = 5.0
"""Models and agents are two lists, of a page or more each."""
_TOKEN_BYTES = 64 * 1024


class BlaxelSession(Session):
    """Models by the dialect that they share with others; agents, addresses and keys by Blaxel's own."""

    def __init__(self, clients: Clients, context: ProviderContext, config: BlaxelConfig) -> None:
        """Raises `ConfigError` for a key that cannot be sent or used."""
        self._keys = Keys(config, context.name, context.clock, self._post, context.log)
        quirks = Quirks(key_header="x-blaxel-authorization", list_models=False, refine=self._refine)
        super().__init__(clients.of(httpx2.URL(config.base_url)), context, quirks, self._keys.secrets)
        self._clients = clients
        self._config = config
        self._control = Control(self.fetch, config, context)

    # Models -----------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def stream(
        self, request: ChatRequest, *, url: str = "", target: Target | None = None
    ) -> AsyncGenerator[AsyncIterator[StreamEvent]]:
        """Ask a model, or an agent. Entering means that it accepted; leaving early drops the connection.

        An address that leads nowhere is asked for anew, once. Raises `InvalidRequest` for what cannot be said, and what
        refusals and failures mean; the iterator raises `StreamBroken` if the answer ends without its proof.
        """
        target = target or Target(self._context.name, request.model)
        async with AsyncExitStack() as stack:
            try:
                events = await self._enter(stack, request, url, target)
            except ModelGone as gone:
                if gone.begun or not await self._has_moved(target, gone):
                    raise
                events = await self._enter(stack, request, url, target)
            yield events

    async def embed(self, request: EmbedRequest, *, url: str = "", target: Target | None = None) -> Embeddings:
        """A vector for each text, from a model that can."""
        target = target or Target(self._context.name, request.model)
        if request.model.startswith(AGENT):
            raise InvalidRequest("an agent makes no embeddings", target=target, scope=Scope.TARGET)
        try:
            return await self._embed(request, url, target)
        except ModelGone as gone:
            if gone.begun or not await self._has_moved(target, gone):
                raise
        return await self._embed(request, url, target)

    async def _embed(self, request: EmbedRequest, url: str, target: Target) -> Embeddings:
        place = await self._model(target)
        asked = EmbedRequest(place.model, request.texts)
        return await super().embed(asked, url=url or f"{place.url}/v1/embeddings", target=target)

    async def models(self) -> list[ModelInfo]:
        """What is deployed, of models and agents."""
        return await self._control.models()

    async def health(self) -> Health:
        """What the control plane says, which spends nothing."""
        if self._config.control is None:
            where = "the control plane is not asked, since base_url is not Blaxel's"
            return Health(HealthState.UNKNOWN, f"{where}: set control_url to know more")
        try:
            with anyio.fail_after(HEALTH_SECONDS):
                return await self._control.health()
        except TimeoutError:
            reason = f"no answer within {HEALTH_SECONDS:g} s"
            return Health(HealthState.DOWN, reason, error=Unavailable(reason, provider=self._context.name))
        except PointsmanError as error:
            lost = error.status == 404  # No word of a server that lists nothing: this one does.
            return Health(HealthState.DOWN, error.message, error=error) if lost else self._ill(error)

    async def _enter(
        self, stack: AsyncExitStack, request: ChatRequest, url: str, target: Target
    ) -> AsyncIterator[StreamEvent]:
        if request.model.startswith(AGENT):
            return await self._ask_agent(stack, request, target)
        place = await self._model(target)
        asked = replace(request, model=place.model)
        return await stack.enter_async_context(
            super().stream(asked, url=url or f"{place.url}/v1/chat/completions", target=target)
        )

    async def _model(self, target: Target) -> Place:
        place = await self._control.find("models", target.model, target)
        if place.runtime in OTHER_DIALECTS:
            message = f"its runtime is of type {place.runtime!r}, which Blaxel passes through in a protocol of its own"
            raise InvalidRequest(f"{message}, not OpenAI's", target=target, scope=Scope.TARGET)
        return place

    async def _has_moved(self, target: Target, gone: ModelGone) -> bool:
        """Whether it is elsewhere than it was said to be."""
        name = target.model.removeprefix(AGENT)
        kind: Kind = "models" if name == target.model else "agents"
        known = self._control.known(kind, name)
        self._control.forget(kind, name)
        if known is None:
            return False
        try:
            return await self._control.find(kind, name, target) != known
        except PointsmanError as error:
            raise error from gone

    # Agents -----------------------------------------------------------------------------------------------------------

    async def _ask_agent(
        self, stack: AsyncExitStack, request: ChatRequest, target: Target
    ) -> AsyncIterator[StreamEvent]:
        name = target.model.removeprefix(AGENT)
        config = self._config.agent(name)
        content = agent_body(config, request, target)
        headers = agent_headers(config, request, target)
        if config.url is not None:
            place = Place(config.url, public=not self._config.may_have_key(config.url, named_by_control=False))
        else:
            place = await self._control.find("agents", name, target)
        url = agent_url(config, place.url)
        with_key = not (config.public or place.public)
        response = await self._post_to_agent(config.method, url, headers, content, target, with_key=with_key)
        body = Body(response)
        stack.push_async_callback(body.close)
        return agent_answer(response, body, config, target, tuple(self._keys.secrets))

    async def _post_to_agent(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes, target: Target, *, with_key: bool
    ) -> httpx2.Response:
        """A response that is an answer, its body still to come. A token that was refused is renewed once."""
        for last in (False, True):
            shown = await self._keys.headers() if with_key else {}
            request = self._http.build_request(method, url, headers={**headers, **shown}, content=content)
            try:
                response = await self.exchange(self._http, request)
            except FAILURES as error:
                raise unreachable(error, request.url, secrets=self._secrets, target=target) from error
            if response.status_code in ANSWERS:
                return response
            said = await error_body(Body(response), self._context.log)
            refusal = Refusal(response.status_code, dict(response.headers), said)
            refused = self._agent_error(refusal, target)
            renewable = isinstance(refused, AuthFailed) and not refused.begun and refusal.status == 401
            if last or not (renewable and shown and self._keys.forget(shown)):
                raise refused
        raise AssertionError("the last try returns or raises")

    def _agent_error(self, refusal: Refusal, target: Target) -> PointsmanError:
        platform = platform_of(refusal)
        now, wall = self._context.clock(), time.time()
        secrets = tuple(self._keys.secrets)
        if platform is None:
            return agent_error(refusal, target, secrets=secrets, now=now, wall=wall)
        workspace = self._config.workspace
        return platform_error(
            platform, refusal, workspace=workspace, secrets=secrets, now=now, wall=wall, target=target
        )

    # The wire ---------------------------------------------------------------------------------------------------------

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None = None, **details: Any
    ) -> httpx2.Response:
        """As for any vendor, with the key; one that was refused is had anew, where that is possible."""
        shown = await self._keys.headers()
        try:
            return await super().send(method, url, headers={**headers, **shown}, content=content, **details)
        except AuthFailed as error:
            if error.status != 401 or error.scope is not Scope.PROVIDER or not self._keys.forget(shown):
                raise
        shown = await self._keys.headers()
        return await super().send(method, url, headers={**headers, **shown}, content=content, **details)

    async def exchange(self, http: httpx2.AsyncClient, request: httpx2.Request) -> httpx2.Response:
        """By the client that the address needs."""
        return await super().exchange(self._clients.of(request.url), request)

    async def _post(self, url: str, headers: dict[str, str], content: bytes) -> bytes:
        """For a token: without a key, since there is none yet."""
        response = await super().send("POST", url, headers=headers, content=content, provider=self._context.name)
        body = Body(response)
        try:
            return await whole(response, body, _TOKEN_BYTES, secrets=self._secrets, provider=self._context.name)
        finally:
            await body.close()

    def _refine(self, error: PointsmanError, refusal: Refusal) -> PointsmanError:
        platform = platform_of(refusal)
        workspace = self._config.workspace
        if platform is None:
            return refined(error, refusal, workspace=workspace)
        return platform_error(
            platform,
            refusal,
            workspace=workspace,
            secrets=tuple(self._keys.secrets),
            now=self._context.clock(),
            wall=time.time(),
            target=error.target,
            provider=error.provider,
        )

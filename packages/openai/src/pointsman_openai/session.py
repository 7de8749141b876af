"""An open connection to one server that speaks the dialect."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import anyio
import httpx2
import msgspec

from pointsman import (
    AuthFailed,
    ChatRequest,
    ConfigError,
    Embeddings,
    EmbedRequest,
    Health,
    HealthState,
    ModelInfo,
    PointsmanError,
    ProviderContext,
    QuotaExhausted,
    RateLimited,
    StreamEvent,
    Target,
    Unavailable,
)

from .answer import Answer
from .decode import ChatDecoder
from .embeddings import read_embeddings
from .errors import event_error, redact, response_error
from .http import FAILURES, Body, error_body, media_type, refuse_page, unreachable, whole
from .limits import rate_limits
from .models import read_models
from .quirks import Quirks, Refusal
from .request import encode, request_body
from .shapes import fields
from .thinking import ThinkingDecoder

HEALTH_SECONDS = 5.0
_WHOLE_BYTES = 32 * 1024 * 1024


class Session:
    """What the hooks of a provider on this dialect use: `stream`, `health`, `models` and `embed`.

    `last_headers` holds, for each model, the headers of its last successful response, with lower-case names.
    """

    def __init__(
        self, http: httpx2.AsyncClient, context: ProviderContext, quirks: Quirks, secrets: Sequence[str] = ()
    ) -> None:
        """`secrets` are taken out of every message."""
        self._http = http
        self._context = context
        self._quirks = quirks
        self._secrets = secrets
        self.last_headers: dict[str, Mapping[str, str]] = {}

    @asynccontextmanager
    async def stream(
        self, request: ChatRequest, *, url: str = "chat/completions", target: Target | None = None
    ) -> AsyncGenerator[AsyncIterator[StreamEvent]]:
        """Ask for a completion. Entering means that the vendor accepted; leaving early drops the connection.

        `url` is below `base_url`, or whole: whoever names another host has seen to it that the key may go there.
        `target` is whom errors name, where `request.model` is the vendor's own name for it.

        Raises `InvalidRequest` for what cannot be sent, and what `response_error` and `unreachable` make of refusals
        and failures; the iterator raises `StreamBroken` if the answer ends without its proof.
        """
        target = target or Target(self._context.name, request.model)
        content = encode(request_body(request, self._quirks))
        headers = {"accept": "text/event-stream", "content-type": "application/json"}
        response = await self.send("POST", url, headers=headers, content=content, target=target)
        body = Body(response)
        try:
            yield await self._answer(response, body, target)
        finally:
            await body.close()

    async def health(self) -> Health:
        """Whether the server lists its models, which spends no tokens."""
        if not self._quirks.list_models:
            return Health(HealthState.UNKNOWN, "there is no free way to ask")
        try:
            with anyio.fail_after(HEALTH_SECONDS):
                await self.models()
        except TimeoutError:
            return Health(HealthState.DOWN, f"no answer within {HEALTH_SECONDS:g} s")
        except PointsmanError as error:
            return self._ill(error)
        return Health(HealthState.UP)

    async def models(self) -> list[ModelInfo]:
        """The models that the server lists. Raises like `listing`."""
        value, url = await self.listing()
        return read_models(value, today=datetime.now(UTC).date(), source=url)

    async def listing(self) -> tuple[Any, str]:
        """What the server says it has, undigested, and the whole address.

        Raises `Unavailable` for what is no list, besides what `fetch` raises.
        """
        value, url = await self.fetch("models")
        told: object = value
        if not isinstance(told, list) and not isinstance(fields(told).get("data", ""), list | None):
            message = f"what {redact(url, self._secrets)} answered is no list of models: is base_url right?"
            raise Unavailable(message, provider=self._context.name, retryable=False)
        return value, url

    async def embed(
        self, request: EmbedRequest, *, url: str = "embeddings", target: Target | None = None
    ) -> Embeddings:
        """A vector for each text; `url` and `target` as in `stream`.

        Raises what refusals mean, and `Unavailable` for an answer that lacks vectors.
        """
        target = target or Target(self._context.name, request.model)
        body = {"model": request.model, "input": list(request.texts), "encoding_format": "float"}
        value, _ = await self.fetch(url, body, target=target)
        return read_embeddings(value, len(request.texts), target)

    async def fetch(
        self, url: str, body: dict[str, Any] | None = None, *, method: str | None = None, **details: Any
    ) -> tuple[Any, str]:
        """The JSON at `url` (see `stream`), as an answer to `body` if there is one, and the whole address.

        Without a `method`, what has a body is posted, and what has none is got.

        `details`, such as ``target=``, go to errors. Raises what refusals and failures mean, and `Unavailable` for what
        is no JSON.
        """
        details = details or {"provider": self._context.name}
        headers = {"accept": "application/json"} | ({"content-type": "application/json"} if body else {})
        content = encode(body) if body else None
        method = method or ("POST" if body else "GET")
        response = await self.send(method, url, headers=headers, content=content, **details)
        received = Body(response)
        try:
            content = await whole(response, received, _WHOLE_BYTES, secrets=self._secrets, **details)
        finally:
            await received.close()
        try:
            return msgspec.json.decode(content), str(response.url)
        except (ValueError, RecursionError):
            message = f"what {response.url} answered is not JSON"
            raise Unavailable(message, retryable=False, **details) from None

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None = None, **details: Any
    ) -> httpx2.Response:
        """A response with status 200, of which the body is still to come. Raises the error of any other."""
        try:
            request = self._http.build_request(method, url, headers=headers, content=content)
        except (httpx2.InvalidURL, UnicodeError) as error:
            message = redact(f"{url!r} is no address that can be asked: {error}", self._secrets)
            raise ConfigError(message, **details) from error
        try:
            response = await self.exchange(self._http, request)
        except FAILURES as error:
            raise unreachable(error, request.url, secrets=self._secrets, **details) from error
        model = details["target"].model if "target" in details else ""
        received = dict(response.headers)
        for limit in rate_limits(received, self._context.clock(), time.time()):
            self._context.limits.learn(model, limit)
        if response.status_code != 200:
            said = await error_body(Body(response), self._context.log)
            refused = response_error(
                response.status_code, received, said, url=str(response.url), **self._reading(), **details
            )
            refine = self._quirks.refine
            raise refine(refused, Refusal(response.status_code, received, said)) if refine else refused
        self.last_headers[model] = received
        return response

    async def exchange(self, http: httpx2.AsyncClient, request: httpx2.Request) -> httpx2.Response:
        """A response of whatever status, its body still to come, or an exception of httpx2's.

        For a vendor's own class of session to override, where one request takes more than one exchange: whoever asks
        again closes the response that it leaves.
        """
        return await http.send(request, stream=True)

    async def _answer(self, response: httpx2.Response, body: Body, target: Target) -> Answer:
        """The events of `response`, whatever the server took streaming to mean."""
        chat = ChatDecoder(
            target,
            self._quirks,
            lambda event, begun: event_error(event, begun=begun, target=target, **self._reading()),
            self._secrets,
        )
        if self._quirks.served is not None:
            chat.served = self._quirks.served(target.model, dict(response.headers))
        decoder = ThinkingDecoder(chat) if self._quirks.think_tags else chat
        refuse_page(response, target)
        kind = media_type(response)
        if kind == "application/json" or kind.endswith("+json"):
            decoder.feed_whole(await whole(response, body, _WHOLE_BYTES, secrets=self._secrets, target=target))
            if decoder.failure is not None and not decoder.ready:
                raise decoder.failure
        return Answer(body, decoder)

    def _reading(self) -> dict[str, Any]:
        return {
            "quirks": self._quirks,
            "now": self._context.clock(),
            "wall": time.time(),
            "secrets": self._secrets,
        }

    def _ill(self, error: PointsmanError) -> Health:
        match error:
            case AuthFailed():
                return Health(HealthState.DOWN, f"key: {error.message}", error=error)
            case QuotaExhausted():
                return Health(HealthState.DOWN, f"quota: {error.message}", error=error)
            case RateLimited():
                wait = None if error.retry_at is None else max(0.0, error.retry_at - self._context.clock())
                return Health(HealthState.DEGRADED, f"rate limit: {error.message}", wait, error)
            case _ if error.status in (404, 405, 501):
                return Health(HealthState.UNKNOWN, "the server does not list its models")
            case _ if error.status == 503 and "loading" in error.message.lower():
                return Health(HealthState.WARMING, error.message, error=error)
            case _:
                return Health(HealthState.DOWN, error.message, error=error)

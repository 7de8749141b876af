"""Acme for Pointsman: a JSON object a line; the one with ``done`` is the last."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import date
from decimal import Decimal

import pointsman as pm
from pydantic import BaseModel, SecretStr

PRICE = pm.Price(input=Decimal("0.2"), output=Decimal("0.6"), as_of=date(2026, 11, 1), source="its price list")
"""In USD, for a million tokens."""


class Config(BaseModel, frozen=True, extra="forbid"):
    """Settings: ``[providers.acme]``, or ``POINTSMAN_ACME_...``."""

    api_key: SecretStr
    base_url: str = "https://api.acme.example/v1"


@asynccontextmanager
async def open_account(config: Config, context: pm.ProviderContext) -> AsyncGenerator[pm.Stream]:
    """What stays open is an HTTP client, and what is done with it is to stream."""
    import httpx2  # Here, not above: nobody who only lists plugins waits for it.

    @asynccontextmanager
    async def stream(request: pm.ChatRequest) -> AsyncGenerator[AsyncIterator[pm.StreamEvent]]:
        turns = [[message.role, message.text] for message in request.messages]
        body = {"model": request.model, "turns": turns, **request.sampling, **request.extra}
        try:
            response = await http.send(http.build_request("POST", "/chat", json=body), stream=True)
        except httpx2.RequestError as error:
            raise pm.Unavailable(f"Acme cannot be reached: {error}") from error
        async with aclosing(response), aclosing(read(response)) as events:
            if response.status_code != 200:
                words = b""
                with suppress(httpx2.RequestError):  # The status alone says what it means.
                    words = await response.aread()
                raise pm.refusal(response.status_code, response.headers, words, context.clock())
            yield events

    async def read(response: httpx2.Response) -> AsyncGenerator[pm.StreamEvent]:
        chunks, rest = response.aiter_bytes(), b""
        try:
            async for chunk in chunks:
                # Not `aiter_lines`: it cuts at every character that ends a line, and a text may hold one (U+2028).
                *lines, rest = (rest + chunk).split(b"\n")
                for line in filter(None, lines):
                    match json.loads(line):
                        case {"text": str(text)}:
                            yield pm.TextDelta(text)
                        case {"done": str(reason), **told}:
                            usage = pm.Usage.read(input_tokens=told.get("in"), output_tokens=told.get("out"))
                            yield pm.Finished(reason, usage)
                        case {"error": words}:
                            raise pm.StreamBroken(f"Acme gave up: {words}")
                        case _:
                            pass  # New kinds of lines come without notice.
        except (httpx2.RequestError, ValueError, RecursionError) as error:
            raise pm.StreamBroken(f"the answer of Acme broke off: {error}") from error
        finally:
            await pm.unwind(chunks, httpx2.RequestError)

    auth = {"authorization": f"Bearer {config.api_key.get_secret_value()}"}
    here: dict[str, None] = {"all://127.0.0.1": None, "all://localhost": None}  # Asked without any proxy.
    async with httpx2.AsyncClient(base_url=config.base_url, headers=auth, timeout=None, mounts=here) as http:
        yield stream


SPEC = pm.ProviderSpec(
    name="acme",
    config=Config,
    open=open_account,
    terminal=pm.Terminal.DONE_FIELD,
    models=(pm.ModelInfo(id="acme-1", context_tokens=32_768, price=PRICE),),
    default_models=("acme-1",),
    hosts=("api.acme.example",),
    env_keys={"api_key": "ACME_API_KEY"},
)


@pm.hookimpl
def pointsman_providers() -> list[pm.ProviderSpec[Config]]:
    return [SPEC]


@pm.hookimpl
def pointsman_stream(connection: pm.Connection[Config]) -> pm.Stream:
    stream: pm.Stream = connection.session  # What `open_account` yields.
    return stream


@pm.hookimpl
def pointsman_cost(connection: pm.Connection[Config]) -> pm.PriceAttempt:
    return connection.prices.cost

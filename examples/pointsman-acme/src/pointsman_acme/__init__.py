"""Acme Inference for Pointsman. Acme streams JSON, one object a line; the one with ``done`` is the last."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import date
from decimal import Decimal

from pydantic import BaseModel, SecretStr

import pointsman as pm

PRICE = pm.Price(input=Decimal("0.2"), output=Decimal("0.6"), as_of=date(2026, 11, 1), source="acme.example/prices")
OPTIONS = ("max_tokens", "temperature", "top_p", "stop", "seed", "reasoning_effort")


class AcmeConfig(BaseModel, frozen=True, extra="forbid"):
    """Settings: ``[providers.acme]``, or ``POINTSMAN_ACME_...``."""

    api_key: SecretStr
    base_url: str = "https://api.acme.example/v1"


@asynccontextmanager
async def open_acme(config: AcmeConfig, context: pm.ProviderContext) -> AsyncGenerator[pm.Stream]:
    """An open account at Acme is nothing but a way to stream."""
    import httpx2  # Here, not above: nobody who only lists plugins waits for it.

    @asynccontextmanager
    async def stream(request: pm.ChatRequest) -> AsyncGenerator[AsyncIterator[pm.StreamEvent]]:
        turns = [[message.role, message.text] for message in request.messages]
        options = {name: value for name in OPTIONS if (value := getattr(request, name)) not in (None, ())}
        body = {"model": request.model, "turns": turns, **options, **request.extra}
        try:
            response = await http.send(http.build_request("POST", "/chat", json=body), stream=True)
        except httpx2.TransportError as error:
            raise pm.Unavailable(f"Acme cannot be reached: {error}") from error
        async with aclosing(response), aclosing(read(response)) as events:
            if response.status_code != 200:
                raise pm.error_for_status(response.status_code, retry_at=pm.retry_at(response.headers, context.clock()))
            yield events

    async def read(response: httpx2.Response) -> AsyncGenerator[pm.StreamEvent]:
        lines = response.aiter_lines()
        try:
            async for line in lines:
                match json.loads(line or "{}"):
                    case {"text": str(text)}:
                        yield pm.TextDelta(text)
                    case {"done": str(reason), **told}:
                        usage = pm.Usage.read(input_tokens=told.get("in"), output_tokens=told.get("out"))
                        yield pm.Finished(reason, usage)
        except (httpx2.TransportError, ValueError, RecursionError) as error:
            raise pm.StreamBroken(f"Acme's answer broke off: {error}") from error
        finally:
            await pm.unwind(lines, httpx2.TransportError)

    auth = {"authorization": f"Bearer {config.api_key.get_secret_value()}"}
    here: dict[str, None] = {"all://127.0.0.1": None, "all://localhost": None}  # Asked without any proxy.
    async with httpx2.AsyncClient(base_url=config.base_url, headers=auth, timeout=None, mounts=here) as http:
        yield stream


SPEC = pm.ProviderSpec(
    name="acme",
    config=AcmeConfig,
    open=open_acme,
    terminal=pm.Terminal.DONE_FIELD,
    models=(pm.ModelInfo(id="acme-1", context_tokens=32_768, price=PRICE),),
    default_models=("acme-1",),
    hosts=("api.acme.example",),
    env_keys={"api_key": "ACME_API_KEY"},
)


@pm.hookimpl
def pointsman_providers() -> list[pm.ProviderSpec[AcmeConfig]]:
    return [SPEC]


@pm.hookimpl
def pointsman_stream(connection: pm.Connection[AcmeConfig]) -> pm.Stream:
    return connection.session


@pm.hookimpl
def pointsman_cost(connection: pm.Connection[AcmeConfig]) -> pm.PriceAttempt:
    return connection.prices.cost

"""Acme Inference for Pointsman. Acme streams JSON, one object a line; the one with ``done`` is the last."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from datetime import date
from decimal import Decimal
from typing import Any

import anyio
from pydantic import BaseModel, SecretStr

import pointsman as pm

PRICE = pm.Price(input=Decimal("0.2"), output=Decimal("0.6"), as_of=date(2026, 11, 1), source="acme.example/prices")


class AcmeConfig(BaseModel, frozen=True, extra="forbid"):
    """Settings: ``[providers.acme]``, or ``POINTSMAN_ACME_...``."""

    api_key: SecretStr
    base_url: str = "https://api.acme.example/v1"


@asynccontextmanager
async def unwinding(chunks: AsyncIterator[bytes]) -> AsyncGenerator[AsyncIterator[bytes]]:
    """httpx2 leaves generators of its own open when it is left early; a read that is cancelled at once ends them."""
    try:
        yield chunks
    finally:
        with anyio.CancelScope() as scope, suppress(StopAsyncIteration):
            scope.cancel()
            while True:
                await anext(chunks)


class Acme:
    """An open account at Acme. `lost` is what its HTTP client raises when the connection fails."""

    def __init__(self, http: Any, lost: type[Exception]) -> None:
        self.http, self.lost = http, lost

    @asynccontextmanager
    async def stream(self, request: pm.ChatRequest) -> AsyncGenerator[AsyncIterator[pm.StreamEvent]]:
        body = {"model": request.model, "turns": [[message.role, message.text] for message in request.messages]}
        async with AsyncExitStack() as stack:
            try:
                response = await stack.enter_async_context(self.http.stream("POST", "/chat", json=body))
            except self.lost as error:
                raise pm.Unavailable(f"Acme cannot be reached: {error}") from error
            if response.status_code != 200:
                raise pm.error_for_status(response.status_code)
            yield await stack.enter_async_context(aclosing(self.events(response)))

    async def events(self, response: Any) -> AsyncGenerator[pm.StreamEvent]:
        rest = b""
        try:
            async with unwinding(response.aiter_bytes()) as chunks:
                async for chunk in chunks:
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in map(json.loads, filter(None, lines)):
                        if "text" in line:
                            yield pm.TextDelta(line["text"])
                        elif "done" in line:
                            yield pm.Finished(
                                line["done"], pm.Usage(input_tokens=line["in"], output_tokens=line["out"])
                            )
        except (self.lost, ValueError) as error:
            raise pm.StreamBroken(f"Acme's answer broke off: {error}") from error

    async def health(self) -> pm.Health:
        try:
            up = (await self.http.get("/health")).is_success
            return pm.Health(pm.HealthState.UP if up else pm.HealthState.DEGRADED)
        except self.lost as error:
            return pm.Health(pm.HealthState.DOWN, str(error))


@asynccontextmanager
async def open_acme(config: AcmeConfig, context: pm.ProviderContext) -> AsyncGenerator[Acme]:
    import httpx2  # Here, not above: nobody who only lists plugins waits for it.

    auth = {"authorization": f"Bearer {config.api_key.get_secret_value()}"}
    async with httpx2.AsyncClient(base_url=config.base_url, headers=auth, timeout=None) as http:
        yield Acme(http, httpx2.TransportError)


SPEC = pm.ProviderSpec(
    name="acme",
    config=AcmeConfig,
    open=open_acme,
    terminal=pm.Terminal.DONE_FIELD,
    models=(pm.ModelInfo(id="acme-1", context_tokens=32_768, price=PRICE),),
    default_models=("acme-1",),
    hosts=("api.acme.example",),
    env_keys={"api_key": "ACME_API_KEY"},
    help="Make a key at https://acme.example/keys.",
)


@pm.hookimpl
def pointsman_providers() -> Sequence[pm.ProviderSpec[Any]]:
    return [SPEC]


@pm.hookimpl
def pointsman_stream(connection: pm.Connection[Any]) -> pm.Stream:
    return connection.session.stream


@pm.hookimpl
def pointsman_health(connection: pm.Connection[Any]) -> pm.CheckHealth:
    return connection.session.health


@pm.hookimpl
def pointsman_cost(connection: pm.Connection[Any]) -> pm.PriceAttempt:
    return connection.prices.cost

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import anyio
import pytest

from pointsman import AsyncClient, ProviderContext, RateLimits, Settings
from pointsman_hf import SPEC, HuggingFaceConfig
from pointsman_testing import HuggingFaceApi, Lab, Vendor

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]
KEY = "hf_lab0123456789ABCDEFGHIJKLMNOPQRSTUV"


def offer(provider: str, price: tuple[float, float] | None = None, **facts: Any) -> dict[str, Any]:
    """A provider's entry in the router's list."""
    pricing = {"pricing": {"input": price[0], "output": price[1]}} if price else {}
    return {"provider": provider, "status": "live", **pricing, **facts}


GPT = {
    "id": "openai/gpt-oss-120b",
    "providers": [
        offer(
            "groq",
            (0.15, 0.75),
            context_length=131072,
            supports_tools=True,
            supports_structured_output=True,
            first_token_latency_ms=210,
            throughput=480.5,
        ),
        offer(
            "novita",
            (0.05, 0.25),
            context_length=65536,
            supports_tools=True,
            supports_structured_output=False,
            first_token_latency_ms=1490,
            throughput=24.69,
        ),
        offer("together", (9.0, 9.0)) | {"status": "error"},
    ],
}


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def lab() -> AsyncGenerator[Lab]:
    async with Lab() as lab:
        yield lab


@pytest.fixture
async def vendor(lab: Lab) -> Vendor:
    return lab.vendor("hf", dialect=HuggingFaceApi(), models=[GPT], api_key=KEY)


def places(vendor: Vendor, **settings: Any) -> dict[str, Any]:
    """The settings that point at a lab vendor, which plays all hosts."""
    root = vendor.base_url.removesuffix("/v1")
    return {"base_url": vendor.base_url, "api_key": KEY, "hub_url": root, "endpoints_url": f"{root}/v2"} | settings


@pytest.fixture
def opened() -> Open:
    """Opens a session at a lab vendor, as core does."""

    def open_(vendor: Vendor, limits: RateLimits | None = None, **settings: Any) -> AbstractAsyncContextManager[Any]:
        context = ProviderContext(
            name="hf",
            clock=anyio.current_time,
            secrets={},
            limits=RateLimits() if limits is None else limits,
            log=logging.LoggerAdapter(logging.getLogger("hf"), {}),
        )
        return SPEC.open(HuggingFaceConfig.model_validate(places(vendor, **settings)), context)

    return open_


@pytest.fixture
def client_of() -> Callable[..., AsyncClient]:
    """A client whose provider `hf` is a lab vendor."""

    def client(vendor: Vendor, **settings: Any) -> AsyncClient:
        return AsyncClient(settings=Settings.of({"providers": {"hf": places(vendor, **settings)}}))

    return client

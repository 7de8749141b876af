from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import anyio
import pytest

from pointsman import AsyncClient, ProviderContext, RateLimits, Settings
from pointsman_blaxel import SPEC, BlaxelConfig
from pointsman_testing import BlaxelApi, Lab, Vendor

KEY = "bl_aaaabbbbccccdddd0123456789"
MODELS: Any = (
    {"id": "gpt", "model": "gpt-4o-mini"},
    {"id": "claude", "type": "anthropic", "model": "claude-sonnet"},
    "agent:coder",
    {"id": "agent:ts", "form": "typescript"},
    {"id": "agent:open", "public": True},
    {"id": "agent:new", "status": "DEPLOYING"},
    {"id": "agent:off", "enabled": False},
)

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]
Make: TypeAlias = Callable[..., AsyncClient]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def lab() -> AsyncGenerator[Lab]:
    async with Lab() as lab:
        yield lab


@pytest.fixture
async def vendor(lab: Lab) -> Vendor:
    return lab.vendor("blaxel", dialect=BlaxelApi(), models=MODELS, api_key=KEY)


def table(vendor: Vendor, **settings: Any) -> dict[str, Any]:
    """Settings that lead to `vendor`, for the control plane too."""
    own = {"base_url": vendor.base_url, "control_url": f"{vendor.base_url}/v0", "api_key": KEY, "workspace": "lab"}
    return {name: value for name, value in {**own, **settings}.items() if value is not None}


@pytest.fixture
def opened() -> Open:
    """Opens a session, as core does."""

    def open_(vendor: Vendor, **settings: Any) -> AbstractAsyncContextManager[Any]:
        context = ProviderContext(
            name="blaxel",
            clock=anyio.current_time,
            secrets={},
            limits=RateLimits(),
            log=logging.LoggerAdapter(logging.getLogger("blaxel"), {}),
        )
        return SPEC.open(BlaxelConfig.model_validate(table(vendor, **settings)), context)

    return open_


@pytest.fixture
def client() -> Make:
    """A whole client, whose provider `blaxel` is `vendor`."""

    def make(vendor: Vendor, *, engine: Any = None, providers: Any = None, **settings: Any) -> AsyncClient:
        tables = {"blaxel": table(vendor, **settings), **(providers or {})}
        return AsyncClient(settings=Settings.of({"providers": tables, "engine": engine or {}}))

    return make


def asked(vendor: Vendor, *, agents: bool = True) -> list[Any]:
    """The requests that reached a workload, or its door."""
    kind = "/agents/" if agents else "/models/"
    return [one for one in vendor.requests if kind in one.path and not one.path.startswith("/v0/")]

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import anyio
import pytest

from pointsman import ProviderContext, RateLimits
from pointsman_openai import Session
from pointsman_sambanova import SPEC, SambaNovaConfig
from pointsman_testing import Lab, SambaNovaApi, Vendor

KEY = "6f1b0c1e-7e1c-4f5e-9b64-0a6f0c5f2a11"
Open: TypeAlias = Callable[[Vendor], AbstractAsyncContextManager[Session]]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def lab() -> AsyncGenerator[Lab]:
    async with Lab() as lab:
        yield lab


@pytest.fixture
def key() -> str:
    """As the vendor makes them: nothing in them shows that they are keys."""
    return KEY


@pytest.fixture
async def vendor(lab: Lab) -> Vendor:
    return lab.vendor("sambanova", dialect=SambaNovaApi(), api_key=KEY)


@pytest.fixture
def limits() -> RateLimits:
    return RateLimits()


@pytest.fixture
def opened(limits: RateLimits) -> Open:
    """Opens a session at a vendor of the lab, as core does."""

    def open_(vendor: Vendor, **settings: Any) -> AbstractAsyncContextManager[Session]:
        context = ProviderContext(
            name="sambanova",
            clock=anyio.current_time,
            secrets={},
            limits=limits,
            log=logging.LoggerAdapter(logging.getLogger("sambanova"), {}),
        )
        config = SambaNovaConfig.model_validate({"base_url": vendor.base_url, "api_key": KEY, **settings})
        return SPEC.open(config, context)

    return open_

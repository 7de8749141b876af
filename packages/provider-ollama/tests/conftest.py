from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import anyio
import pytest

from pointsman import ProviderContext, RateLimits
from pointsman_ollama import SPEC, OllamaConfig
from pointsman_testing import Lab, OllamaApi, Vendor

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def lab() -> AsyncGenerator[Lab]:
    async with Lab() as lab:
        yield lab


@pytest.fixture
async def vendor(lab: Lab) -> Vendor:
    return lab.vendor("ollama", dialect=OllamaApi(), models=["m"])


@pytest.fixture
def opened() -> Open:
    """Opens a session at a base URL, as core does."""

    def open_(base_url: str, **settings: Any) -> AbstractAsyncContextManager[Any]:
        context = ProviderContext(
            name="ollama",
            clock=anyio.current_time,
            secrets={},
            limits=RateLimits(),
            log=logging.LoggerAdapter(logging.getLogger("ollama"), {}),
        )
        return SPEC.open(OllamaConfig.model_validate({"base_url": base_url, **settings}), context)

    return open_

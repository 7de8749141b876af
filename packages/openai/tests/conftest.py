from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import anyio
import pytest

from pointsman import Finished, PointsmanError, ProviderContext, RateLimits, Target
from pointsman_openai import OpenAIConfig, Quirks, Session, openai_spec
from pointsman_openai.decode import ChatDecoder
from pointsman_testing import Lab, Vendor

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Session]]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def lab() -> AsyncGenerator[Lab]:
    async with Lab() as lab:
        yield lab


@pytest.fixture
async def vendor(lab: Lab) -> Vendor:
    return lab.vendor("acme")


@pytest.fixture
def limits() -> RateLimits:
    return RateLimits()


@pytest.fixture
def opened(limits: RateLimits) -> Open:
    """Opens a session at a base URL, as core does."""

    def open_(base_url: str, *, quirks: Quirks = Quirks(), **settings: Any) -> AbstractAsyncContextManager[Session]:  # noqa: B008
        context = ProviderContext(
            name="acme",
            clock=anyio.current_time,
            secrets={},
            limits=limits,
            log=logging.LoggerAdapter(logging.getLogger("acme"), {}),
        )
        config = OpenAIConfig(base_url=base_url, **settings)
        return openai_spec("acme", OpenAIConfig, quirks=quirks).open(config, context)

    return open_


@pytest.fixture(scope="session")
def refused() -> Callable[[Any, bool], PointsmanError]:
    """For a decoder that meets no error of the vendor's."""

    def refused(event: Any, begun: bool) -> PointsmanError:
        raise AssertionError((event, begun))

    return refused


@pytest.fixture(scope="session")
def finished(refused: Callable[[Any, bool], PointsmanError]) -> Callable[..., Finished]:
    """What an answer ends with that came in these chunks."""

    def read(*chunks: dict[str, Any]) -> Finished:
        decoder = ChatDecoder(Target("acme", "m"), Quirks(), refused)
        for chunk in chunks:
            decoder.feed(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        decoder.end()
        last = decoder.ready[-1]
        assert isinstance(last, Finished)
        return last

    return read

"""Starting and stopping endpoints, for a program of one's own."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from pointsman import AsyncClient, ConfigError

from .endpoints import Endpoints
from .session import RouterSession


@asynccontextmanager
async def open_endpoints(client: AsyncClient | None = None, *, provider: str = "hf") -> AsyncGenerator[Endpoints]:
    """What an account has, to start and to stop.

    As in ``async with pointsman_hf.open_endpoints() as mine: await mine.resume("my-endpoint")``. The account is that of
    a provider whose plugin is this one: of `client`, else of one with the settings of this process. Nothing that a
    request does starts an endpoint that is paused: whoever calls this does.

    Raises `ConfigError` for a provider that is not set up, or is something else.
    """
    if client is None:
        async with AsyncClient() as own, open_endpoints(own, provider=provider) as mine:
            yield mine
        return
    session = (await client.connect(provider)).session
    if not isinstance(session, RouterSession):
        raise ConfigError("it is not Hugging Face: name a provider whose plugin is hf", provider=provider)
    yield session.endpoints

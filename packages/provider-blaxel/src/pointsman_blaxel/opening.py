"""How a connection is opened. Importing this loads the HTTP library."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from pointsman import ConfigError, ProviderContext

from .clients import Clients
from .config import BlaxelConfig
from .session import BlaxelSession


@asynccontextmanager
async def opened(config: BlaxelConfig, context: ProviderContext) -> AsyncGenerator[BlaxelSession]:
    """A session on `config`; leaving closes it. Raises `ConfigError`."""
    # Keys are no part of it: each request gets them, once it is clear where it goes.
    headers = {"user-agent": "pointsman", "accept-encoding": "identity"}
    headers |= {name.lower(): value.get_secret_value() for name, value in config.headers.items()}
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            raise ConfigError(f"headers.{name} holds characters that no header can carry", provider=context.name)
    clients = Clients(headers, config.connect_timeout)
    try:
        yield BlaxelSession(clients, context, config)
    finally:
        await clients.close()

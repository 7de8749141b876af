"""How a connection is opened. Importing this loads the HTTP library."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from pointsman import ConfigError, ProviderContext
from pointsman_openai import is_loopback, new_client

from .config import CLOUD, OllamaConfig, host_of
from .session import Session


@asynccontextmanager
async def opened(config: OllamaConfig, context: ProviderContext) -> AsyncGenerator[Session]:
    """A client for `config`, and a session on it; leaving closes both. Raises `ConfigError`."""
    key = config.api_key.get_secret_value().strip() if config.api_key else ""
    if not (key.isascii() and key.isprintable()):
        raise ConfigError("api_key holds characters that no header can carry", provider=context.name)
    headers = {"user-agent": "pointsman", "accept-encoding": "identity"}
    if key and _may_have_it(config.base_url):
        headers["authorization"] = f"Bearer {key}"
    elif key:
        context.log.warning("api_key is not sent to %s unencrypted; use https://", host_of(config.base_url))
    async with new_client(config.base_url, headers, config.connect_timeout) as http:
        yield Session(http, context, config, (key,) if key else ())


def _may_have_it(base_url: str) -> bool:
    """Whether the key may travel to the server of `base_url`.

    ``OLLAMA_API_KEY`` is for ollama.com, but ``OLLAMA_HOST`` beside it sends it wherever that points. Over the network
    in plain text it would be anybody's.
    """
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    return parts.scheme == "https" or (host != CLOUD and is_loopback(host))

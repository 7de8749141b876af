"""How a connection is opened. Importing this loads the HTTP library."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import urlsplit

import anyio

from pointsman import ConfigError, ProviderContext
from pointsman_openai import Quirks, open_session

from .config import HuggingFaceConfig
from .errors import refine
from .session import RouterSession, served
from .wire import vouched

QUIRKS = Quirks(refine=refine, served=served)


@asynccontextmanager
async def opened(
    config: HuggingFaceConfig, context: ProviderContext, trusts: Callable[[str], bool]
) -> AsyncGenerator[RouterSession]:
    """A session at the router; leaving closes all that it has opened. Raises `ConfigError`."""
    check_addresses(config, context.name, trusts)
    headers = {"x-hf-bill-to": config.bill_to} if config.bill_to else {}
    kind = partial(RouterSession, config=config, trusts=trusts)
    failure: Exception | None = None
    async with open_session(config, context, QUIRKS, headers=headers, kind=kind) as session:
        assert isinstance(session, RouterSession)
        async with anyio.create_task_group() as tasks:
            session.work_in(tasks)
            try:
                yield session
            except Exception as error:
                failure = error  # Raised outside of the group, which would wrap it.
            finally:
                tasks.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await session.close()
    if failure is not None:
        raise failure


def check_addresses(config: HuggingFaceConfig, name: str, trusts: Callable[[str], bool]) -> None:
    """Raises `ConfigError` for another address than the router's that the token is not for.

    Core has seen to it that the token may go to `base_url`; so it may to the same host, and to the vendor's own.
    """
    for setting, url in (("hub_url", config.hub_url), ("endpoints_url", config.endpoints_url)):
        parts = urlsplit(url or "")
        if url is None or (parts.scheme == "https" and trusts(parts.hostname or "")) or vouched(url, config.base_url):
            continue
        message = (
            f"{setting} names {parts.hostname}: the token goes to Hugging Face, and to the host of base_url, alone"
        )
        raise ConfigError(message, provider=name)

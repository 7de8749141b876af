"""Starting and stopping endpoints, for a program of one's own."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import anyio
from pydantic import ValidationError

from pointsman import ConfigError, ProviderContext, ProviderSpec, RateLimits
from pointsman_openai import is_loopback

from .config import ROUTER, HuggingFaceConfig
from .endpoints import Endpoints
from .opening import opened_endpoints
from .token import stored


@asynccontextmanager
async def open_endpoints(**settings: Any) -> AsyncGenerator[Endpoints]:
    """What an account has, to start and to stop.

    As in ``async with pointsman_hf.open_endpoints() as mine: await mine.resume("my-endpoint")``.
    `settings` are those of `HuggingFaceConfig`. Without an ``api_key`` it is ``HF_TOKEN``, or what ``hf auth login``
    has stored. Nothing that a request does starts an endpoint that is paused: whoever calls this does.
    """
    from . import SPEC

    if "api_key" not in settings:
        settings["api_key"] = _found(str(settings.get("base_url", ROUTER)), SPEC)
    config = _checked(settings, SPEC.name)
    context = ProviderContext(
        name=SPEC.name,
        clock=anyio.current_time,
        secrets={},
        limits=RateLimits(),
        log=logging.LoggerAdapter(logging.getLogger("pointsman.hf"), {}),
    )
    async with opened_endpoints(config, context, SPEC.trusts) as mine:
        yield mine


def _found(base_url: str, spec: ProviderSpec[Any]) -> str:
    """The token of the environment, or the one that lies about: for the vendor, and for this machine, alone."""
    token = os.environ.get("HF_TOKEN", "").strip() or stored(os.environ).get("api_key", ("", ""))[0]
    if not token:
        raise ConfigError(f"no api_key. {spec.help}", provider=spec.name, missing=True)
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if not is_loopback(host) and not (parts.scheme == "https" and spec.trusts(host)):
        where = host or "what is no address"
        message = f"the token that lies about is not sent to {where}: give api_key if it is meant for it"
        raise ConfigError(message, provider=spec.name)
    return token


def _checked(settings: Mapping[str, Any], name: str) -> HuggingFaceConfig:
    """The configuration. What is wrong is said without any value: it may be a token."""
    said: list[str] = []
    try:
        config = HuggingFaceConfig.model_validate(settings)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        said += [f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in problems]
    else:
        key = config.api_key.get_secret_value().strip()
        if key and all("!" <= character <= "~" for character in key):
            return config
        said.append("api_key: it is empty, or holds characters that no token has")
    raise ConfigError("; ".join(said), provider=name)

"""Starting and stopping endpoints, for a program of one's own."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from pointsman import ConfigError, ProviderContext, RateLimits

from .config import HuggingFaceConfig
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

    found = os.environ.get("HF_TOKEN", "").strip() or stored(os.environ).get("api_key", ("", ""))[0]
    if found:
        settings.setdefault("api_key", found)
    if "api_key" not in settings:
        raise ConfigError(f"no api_key. {SPEC.help}", provider=SPEC.name, missing=True)
    context = ProviderContext(
        name=SPEC.name,
        clock=anyio.current_time,
        secrets={},
        limits=RateLimits(),
        log=logging.LoggerAdapter(logging.getLogger("pointsman.hf"), {}),
    )
    async with opened_endpoints(HuggingFaceConfig.model_validate(settings), context, SPEC.trusts) as mine:
        yield mine

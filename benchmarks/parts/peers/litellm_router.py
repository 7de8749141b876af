"""LiteLLM: a Router with fallbacks and its own number of retries, as its page on failover begins.

``tuned`` as an argument makes of it the best for this case that we found in its documentation and docstrings. Both
deployments are in one group, with an `order`: only in a group of several does one that fails get a cooldown. Nobody is
asked twice. And an answer that broke off is continued by a model that takes a prefill, as our well server does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from harness import DEADLINE, KEY, MESSAGES, PATIENCE, Ask, Heard, main

# Read once, by the import. Its only limit on how long a stream may take.
os.environ["LITELLM_MAX_STREAMING_DURATION_SECONDS"] = str(DEADLINE)

from litellm import Router


def deployment(name: str, url: str, **more: Any) -> dict[str, Any]:
    parameters = {"model": "openai/m", "api_base": url, "api_key": KEY, **more}
    return {"model_name": name, "litellm_params": parameters, "model_info": {"supports_assistant_prefill": True}}


def plain(sick: str, well: str) -> Router:
    deployments = [deployment("first", sick), deployment("second", well)]
    return Router(model_list=deployments, fallbacks=[{"first": ["second"]}], stream_timeout=PATIENCE)


def tuned(sick: str, well: str) -> Router:
    return Router(
        model_list=[
            deployment("first", sick, order=1),
            deployment("first", well, order=2),
            deployment("second", well),
        ],
        fallbacks=[{"first": ["second"]}],
        stream_timeout=PATIENCE,
        num_retries=0,
        enable_mid_stream_fallback_continuation=True,
    )


@asynccontextmanager
async def opened(sick: str, well: str) -> AsyncIterator[Ask]:
    router = (tuned if "tuned" in sys.argv else plain)(sick, well)

    async def ask(heard: Heard) -> None:
        async for chunk in await router.acompletion(model="first", messages=MESSAGES, stream=True):
            if chunk.choices:
                heard.text += chunk.choices[0].delta.content or ""
                heard.finish = chunk.choices[0].finish_reason or heard.finish

    yield ask


if __name__ == "__main__":
    main(opened, "litellm", "openai")

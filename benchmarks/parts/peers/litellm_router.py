"""LiteLLM: a Router with fallbacks and its own number of retries.

``tuned`` as an argument makes of it what its documentation offers for this case: no second try before a fallback, and,
where the version has it, an answer that broke off is continued by a model that takes a prefill. Our well server does.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from harness import DEADLINE, KEY, MESSAGES, PATIENCE, Ask, Heard, main

# Read once, by the import. Its only limit on how long a stream may take.
os.environ["LITELLM_MAX_STREAMING_DURATION_SECONDS"] = str(DEADLINE)

from litellm import Router

CONTINUE = "enable_mid_stream_fallback_continuation"
TUNED: dict[str, Any] = {"num_retries": 0} if "tuned" in sys.argv else {}
if TUNED and CONTINUE in inspect.signature(Router.__init__).parameters:
    TUNED[CONTINUE] = True


def deployment(name: str, url: str) -> dict[str, Any]:
    parameters = {"model": "openai/m", "api_base": url, "api_key": KEY}
    return {"model_name": name, "litellm_params": parameters, "model_info": {"supports_assistant_prefill": True}}


@asynccontextmanager
async def opened(sick: str, well: str) -> AsyncIterator[Ask]:
    deployments = [deployment("sick", sick), deployment("well", well)]
    router = Router(model_list=deployments, fallbacks=[{"sick": ["well"]}], stream_timeout=PATIENCE, **TUNED)

    async def ask(heard: Heard) -> None:
        async for chunk in await router.acompletion(model="sick", messages=MESSAGES, stream=True):
            if chunk.choices:
                heard.text += chunk.choices[0].delta.content or ""
                heard.finish = chunk.choices[0].finish_reason or heard.finish

    yield ask


if __name__ == "__main__":
    main(opened, "litellm", "openai")

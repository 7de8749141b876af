"""Pydantic AI: an agent on a `FallbackModel`, and the SDK's retries off, as its page on fallbacks recommends.

Its newer `ModelFallback` decides by the same code, and judges no streamed response either.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from harness import DEADLINE, KEY, PATIENCE, PROMPT, Ask, Heard, main
from openai import AsyncOpenAI
from pydantic_ai import Agent, ModelSettings
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

LIMITS = ModelSettings(timeout=PATIENCE, first_event_timeout=PATIENCE, request_timeout=DEADLINE)


def model(url: str) -> OpenAIChatModel:
    client = AsyncOpenAI(base_url=url, api_key=KEY, max_retries=0)
    return OpenAIChatModel("m", provider=OpenAIProvider(openai_client=client))


@asynccontextmanager
async def opened(sick: str, well: str) -> AsyncIterator[Ask]:
    agent = Agent(FallbackModel(model(sick), model(well)), model_settings=LIMITS)

    async def ask(heard: Heard) -> None:
        async with agent.run_stream(PROMPT) as result:
            async for text in result.stream_text(delta=True, debounce_by=None):
                heard.text += text
            heard.finish = result.response.finish_reason

    yield ask


if __name__ == "__main__":
    main(opened, "pydantic-ai-slim", "openai")

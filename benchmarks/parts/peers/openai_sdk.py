"""The openai SDK by itself: it asks again, and asks nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from harness import KEY, MESSAGES, PATIENCE, Ask, Heard, main
from openai import AsyncOpenAI


@asynccontextmanager
async def opened(sick: str, well: str) -> AsyncIterator[Ask]:
    async with AsyncOpenAI(base_url=sick, api_key=KEY, timeout=PATIENCE) as client:

        async def ask(heard: Heard) -> None:
            stream = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
            async for chunk in stream:
                if chunk.choices:
                    heard.text += chunk.choices[0].delta.content or ""
                    heard.finish = chunk.choices[0].finish_reason or heard.finish

        yield ask


if __name__ == "__main__":
    main(opened, "openai")

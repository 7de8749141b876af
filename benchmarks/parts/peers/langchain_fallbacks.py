"""LangChain: `with_fallbacks`, and retries off, as its guide to fallbacks says: else the first model is left late."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from harness import KEY, PATIENCE, PROMPT, Ask, Heard, main
from langchain_openai import ChatOpenAI


def model(url: str) -> ChatOpenAI:
    return ChatOpenAI(
        model="m", base_url=url, api_key=KEY, timeout=PATIENCE, stream_chunk_timeout=PATIENCE, max_retries=0
    )


@asynccontextmanager
async def opened(sick: str, well: str) -> AsyncIterator[Ask]:
    chain = model(sick).with_fallbacks([model(well)])

    async def ask(heard: Heard) -> None:
        async for chunk in chain.astream(PROMPT):
            heard.text += str(chunk.content)
            heard.finish = chunk.response_metadata.get("finish_reason") or heard.finish

    yield ask


if __name__ == "__main__":
    main(opened, "langchain-openai", "langchain-core", "openai")

"""Pointsman: events of a stream. The argument is `on_break`: ``restart``, or the default of streams, ``raise``."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from harness import DEADLINE, KEY, PATIENCE, PROMPT, Ask, Heard, main

import pointsman


def provider(url: str) -> dict[str, str]:
    return {"plugin": "openai-compatible", "base_url": url, "api_key": KEY}


@asynccontextmanager
async def opened(sick: str, well: str) -> AsyncIterator[Ask]:
    limits = {"first_token": PATIENCE, "stall": PATIENCE, "deadline": DEADLINE, "on_break": sys.argv[1]}
    settings = pointsman.Settings.of({"providers": {"sick": provider(sick), "well": provider(well)}, "engine": limits})
    async with pointsman.AsyncClient(settings=settings) as client:

        async def ask(heard: Heard) -> None:
            async with client.stream(PROMPT, model=["sick/m", "well/m"]) as reply:
                async for event in reply.events:
                    match event:
                        case pointsman.TextDelta():
                            heard.text += event.text
                        case pointsman.Retracted():
                            heard.text = ""
                        case pointsman.Finished():
                            heard.finish = event.reason

        yield ask


if __name__ == "__main__":
    main(opened, "pointsman", "pointsman-openai")

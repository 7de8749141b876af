"""Pointsman, with two targets in order.

The argument is how it is asked: ``collected``, or the events of a stream with that `on_break`: ``restart`` (what
collected answers have by default), ``raise`` (what streams have), ``continue``.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from harness import DEADLINE, KEY, PATIENCE, PROMPT, SPEED, Ask, Heard, main

import pointsman

WAY = sys.argv[1]
TARGETS = ["sick/m", "well/m"]


def provider(url: str) -> dict[str, Any]:
    able = ["prefill"] if WAY == "continue" else []
    return {"plugin": "openai-compatible", "base_url": url, "api_key": KEY, "capabilities": able}


@asynccontextmanager
async def opened(sick: str, well: str) -> AsyncIterator[Ask]:
    on_break = "restart" if WAY == "collected" else WAY
    clocks = {"first_token": PATIENCE, "stall": PATIENCE, "deadline": DEADLINE, "min_speed": SPEED}
    limits = {**clocks, "on_break": on_break}
    settings = pointsman.Settings.of({"providers": {"sick": provider(sick), "well": provider(well)}, "engine": limits})
    async with pointsman.AsyncClient(settings=settings) as client:

        async def ask(heard: Heard) -> None:
            async with client.stream(PROMPT, model=TARGETS) as reply:
                async for event in reply.events:
                    match event:
                        case pointsman.TextDelta():
                            heard.text += event.text
                        case pointsman.Retracted():
                            heard.text = ""
                        case pointsman.Finished():
                            heard.finish = event.reason

        async def collect(heard: Heard) -> None:
            reply = await client.chat(PROMPT, model=TARGETS)
            heard.text, heard.finish = reply.text, reply.finish_reason

        yield collect if WAY == "collected" else ask


if __name__ == "__main__":
    main(opened, "pointsman", "pointsman-openai")

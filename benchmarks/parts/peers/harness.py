"""What every peer's script does: it reads jobs on stdin, lets the peer ask, and prints a line of JSON for each.

A peer is a context manager: `opened(sick, well)` yields `ask(heard)`, which reads one streamed answer into `heard`.
Needs the standard library only, since each peer has an environment of its own.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

KEY = "sk-benchmark-only"
PROMPT = "Say something."
MESSAGES: Any = [{"role": "user", "content": PROMPT}]
PATIENCE = 5.0
"""Seconds to the first output, and between two: for each library, under whatever names it has for them."""
DEADLINE = 20.0
"""Seconds for a whole call, where a library has such a thing."""
SPEED = 5.0
"""Characters a second that an answer must have, where a library has such a thing."""
APART = 0.25
"""Seconds between the beginnings of two cells: they wait together, but do not compute together."""


@dataclass
class Heard:
    """What a reader of one answer is left with, when all seemed well: text that is not the whole is silently so."""

    text: str = ""
    finish: str | None = None


Ask = Callable[[Heard], Awaitable[None]]
Opened = Callable[[str, str], AbstractAsyncContextManager[Ask]]


async def once(ask: Ask, whole: str, cap: float) -> dict[str, Any]:
    heard, began, error = Heard(), time.perf_counter(), ""
    try:
        async with asyncio.timeout(cap) as limit:
            await ask(heard)
        outcome = "complete" if heard.text == whole else "TRUNCATED" if whole.startswith(heard.text) else "WRONG"
    except Exception as raised:
        # A library's own time limit may be a TimeoutError, too.
        outcome = "HANG" if limit.expired() else "error"
        error = f"{type(raised).__name__}: {raised}"[:200]
    seconds = time.perf_counter() - began
    return {"outcome": outcome, "seconds": seconds, "finish": heard.finish, "text": heard.text, "error": error}


async def cell(opened: Opened, job: dict[str, Any], number: int, name: str) -> None:
    await asyncio.sleep(number * APART)
    # A client of its own: what one fault teaches a library must not help it with the next.
    async with opened(*job["cells"][name]) as ask:
        print(json.dumps({"cell": name, **await once(ask, job["wholes"][name], job["cap"])}), flush=True)


async def row(opened: Opened, job: dict[str, Any], name: str) -> None:
    # When every cell has begun, so that the quick ones have the processor to themselves.
    await asyncio.sleep(len(job["cells"]) * APART)
    began, complete, done = time.perf_counter(), 0, 0
    async with opened(*job["rows"][name]) as ask:
        for _ in range(job["calls"]):
            left = job["row_cap"] - (time.perf_counter() - began)
            result = await once(ask, job["wholes"]["healthy"], max(left, 0.001))
            if result["outcome"] == "HANG":
                break
            done += 1
            complete += result["outcome"] == "complete"
    seconds = time.perf_counter() - began
    print(json.dumps({"row": name, "done": done, "complete": complete, "seconds": seconds}), flush=True)


async def work(opened: Opened, job: dict[str, Any]) -> None:
    async with opened(job["well"], job["well"]) as ask:
        await ask(Heard())  # Imported, compiled, warm.
    cells = (cell(opened, job, number, name) for number, name in enumerate(job["cells"]))
    await asyncio.gather(*cells, *(row(opened, job, name) for name in job["rows"]))


def main(opened: Opened, *packages: str) -> None:
    job = json.load(sys.stdin)
    print(json.dumps({"versions": {package: version(package) for package in packages}}), flush=True)
    with suppress(asyncio.CancelledError):
        asyncio.run(work(opened, job))

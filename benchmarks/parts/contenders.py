"""The same work done in four ways, one process each: ``python contenders.py WAY LOOP WORK URL N`` prints JSON.

Ways: ``hand`` (httpx2, aiter_lines, json), ``openai`` (its SDK), ``litellm``, ``pointsman``, and ``pointsman-wrapped``
(with one wrapper of `pointsman_stream` that changes the request). Works: ``stream`` (N tokens in one firehose),
``paced`` (N tokens, one each millisecond), ``first`` (N short answers one after the other), ``many`` (N answers of 20
tokens, 64 at a time), ``start`` (one request).
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

Ask = Callable[[str], Awaitable[tuple[float, int]]]
"""Asks a model and reads the whole answer; returns when the first token came, and how many came."""

MESSAGES = [{"role": "user", "content": "Say something."}]
KEY = "sk-benchmark-only"


@asynccontextmanager
async def hand(url: str) -> AsyncIterator[Ask]:
    import httpx2

    async with httpx2.AsyncClient(timeout=60, limits=httpx2.Limits(max_connections=None)) as http:

        async def ask(model: str) -> tuple[float, int]:
            body = {"model": model, "messages": MESSAGES, "stream": True, "stream_options": {"include_usage": True}}
            first, count = 0.0, 0
            headers = {"authorization": f"Bearer {KEY}"}
            async with http.stream("POST", f"{url}/chat/completions", json=body, headers=headers) as response:
                response.raise_for_status()
                async for line in response.aiter_lines():
                    if line.startswith("data: ") and line != "data: [DONE]":
                        choices = json.loads(line[6:])["choices"]
                        if choices and choices[0]["delta"].get("content"):
                            first = first or time.perf_counter()
                            count += 1
            return first, count

        yield ask


@asynccontextmanager
async def openai(url: str) -> AsyncIterator[Ask]:
    from openai import AsyncOpenAI

    async with AsyncOpenAI(base_url=url, api_key=KEY, max_retries=0) as client:

        async def ask(model: str) -> tuple[float, int]:
            first, count = 0.0, 0
            stream = await client.chat.completions.create(
                model=model,
                messages=MESSAGES,  # type: ignore[arg-type]
                stream=True,
                stream_options={"include_usage": True},
            )
            async for chunk in stream:
                if chunk.choices and chunk.choices[0].delta.content:
                    first = first or time.perf_counter()
                    count += 1
            return first, count

        yield ask


@asynccontextmanager
async def litellm(url: str) -> AsyncIterator[Ask]:
    import litellm as library

    async def ask(model: str) -> tuple[float, int]:
        first, count = 0.0, 0
        stream: Any = await library.acompletion(
            model=f"openai/{model}", messages=MESSAGES, stream=True, api_base=url, api_key=KEY, num_retries=0
        )
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                first = first or time.perf_counter()
                count += 1
        return first, count

    yield ask


@asynccontextmanager
async def pointsman(url: str, *, wrapped: bool = False) -> AsyncIterator[Ask]:
    import pointsman as library

    settings = library.Settings.of({"providers": {"openai-compatible": {"base_url": url, "api_key": KEY}}})
    plugins = None
    if wrapped:
        found = library.Plugins.installed()
        providers = {"openai-compatible": found.provider("openai-compatible")[1]}
        plugins = library.Plugins.of(providers=providers, wrappers={"same": _Same()})
    async with library.AsyncClient(settings=settings, plugins=plugins) as client:

        async def ask(model: str) -> tuple[float, int]:
            first, count = 0.0, 0
            async with client.stream("Say something.", model=f"openai-compatible/{model}") as reply:
                async for _ in reply.text_stream:
                    first = first or time.perf_counter()
                    count += 1
            return first, count

        yield ask


class _Same:
    """A wrapper that changes the request: into itself."""

    def __init__(self) -> None:
        from pointsman import hookimpl, map_request

        def pointsman_stream(connection: object) -> Any:
            inner = yield
            return map_request(inner, lambda request: request)

        self.pointsman_stream = hookimpl(wrapper=True)(pointsman_stream)


@asynccontextmanager
async def pointsman_wrapped(url: str) -> AsyncIterator[Ask]:
    async with pointsman(url, wrapped=True) as ask:
        yield ask


WAYS: dict[str, Any] = {
    "hand": hand,
    "openai": openai,
    "litellm": litellm,
    "pointsman": pointsman,
    "pointsman-wrapped": pointsman_wrapped,
}


async def work(way: str, what: str, url: str, size: int) -> dict[str, float]:
    async with WAYS[way](url) as ask:
        if what == "start":
            await ask("firehose-1")
            return {}
        for _ in range(3):
            await ask("firehose-50")  # Connected, imported, warm.
        if what in ("stream", "paced"):
            model = f"{'firehose' if what == 'stream' else 'paced'}-{size}"
            began = time.process_time()
            _, count = await ask(model)
            if count != size:
                raise RuntimeError(f"{way} gave {count} tokens of {size}")
            return {"cpu_us": (time.process_time() - began) / size * 1e6}
        if what == "first":
            waits: list[float] = []
            for _ in range(size):
                began = time.perf_counter()
                first, _ = await ask("firehose-5")
                waits.append(first - began)
            return {"p50_ms": statistics.median(waits) * 1e3}
        import anyio

        limiter = anyio.Semaphore(64)

        async def one() -> None:
            async with limiter:
                await ask("firehose-20")

        began = time.perf_counter()
        async with anyio.create_task_group() as group:
            for _ in range(size):
                group.start_soon(one)
        return {"calls_s": size / (time.perf_counter() - began)}


if __name__ == "__main__":
    import anyio as _anyio

    _, way, loop, what, url, size = sys.argv
    print(json.dumps(_anyio.run(work, way, what, url, int(size), backend=loop)))

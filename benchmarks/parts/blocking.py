"""The same for programs without an event loop: ``python blocking.py WAY WORK URL N`` prints JSON.

Ways: ``hand`` (httpx2, iter_lines, json), ``openai`` (its SDK), ``pointsman``, and ``portal`` (`AsyncClient` behind
anyio's portal, a call for each token). Works: ``stream`` (N tokens in one firehose), ``first`` (N short answers).
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Ask = Callable[[str], tuple[float, int]]
"""Asks a model and reads the whole answer; returns when the first token came, and how many came."""

MESSAGES = [{"role": "user", "content": "Say something."}]
KEY = "sk-benchmark-only"


@contextmanager
def hand(url: str) -> Iterator[Ask]:
    import httpx2

    with httpx2.Client(timeout=60) as http:

        def ask(model: str) -> tuple[float, int]:
            body = {"model": model, "messages": MESSAGES, "stream": True, "stream_options": {"include_usage": True}}
            headers = {"authorization": f"Bearer {KEY}"}
            first, count = 0.0, 0
            with http.stream("POST", f"{url}/chat/completions", json=body, headers=headers) as response:
                response.raise_for_status()
                for line in response.iter_lines():
                    if line.startswith("data: ") and line != "data: [DONE]":
                        choices = json.loads(line[6:])["choices"]
                        if choices and choices[0]["delta"].get("content"):
                            first = first or time.perf_counter()
                            count += 1
            return first, count

        yield ask


@contextmanager
def openai(url: str) -> Iterator[Ask]:
    from openai import OpenAI

    with OpenAI(base_url=url, api_key=KEY, max_retries=0) as client:

        def ask(model: str) -> tuple[float, int]:
            first, count = 0.0, 0
            for chunk in client.chat.completions.create(
                model=model,
                messages=MESSAGES,  # type: ignore[arg-type]
                stream=True,
                stream_options={"include_usage": True},
            ):
                if chunk.choices and chunk.choices[0].delta.content:
                    first = first or time.perf_counter()
                    count += 1
            return first, count

        yield ask


@contextmanager
def pointsman(url: str) -> Iterator[Ask]:
    from pointsman import Client, Settings

    with Client(
        settings=Settings.of({"providers": {"openai-compatible": {"base_url": url, "api_key": KEY}}})
    ) as client:

        def ask(model: str) -> tuple[float, int]:
            first, count = 0.0, 0
            with client.stream("Say something.", model=f"openai-compatible/{model}") as reply:
                for _ in reply.text_stream:
                    first = first or time.perf_counter()
                    count += 1
            return first, count

        yield ask


@contextmanager
def portal(url: str) -> Iterator[Ask]:
    from anyio.from_thread import start_blocking_portal

    from pointsman import AsyncClient, Settings

    settings = Settings.of({"providers": {"openai-compatible": {"base_url": url, "api_key": KEY}}})
    with start_blocking_portal() as door, door.wrap_async_context_manager(AsyncClient(settings=settings)) as client:

        def ask(model: str) -> tuple[float, int]:
            first, count = 0.0, 0
            stream = client.stream("Say something.", model=f"openai-compatible/{model}")
            with door.wrap_async_context_manager(stream) as reply:
                texts = reply.text_stream
                while True:
                    try:
                        door.call(texts.__anext__)
                    except StopAsyncIteration:
                        return first, count
                    first = first or time.perf_counter()
                    count += 1

        yield ask


def work(way: str, what: str, url: str, size: int) -> dict[str, float]:
    with {"hand": hand, "openai": openai, "pointsman": pointsman, "portal": portal}[way](url) as ask:
        for _ in range(3):
            ask("firehose-50")  # Connected, imported, warm.
        if what == "first":
            waits: list[float] = []
            for _ in range(size):
                began = time.perf_counter()
                first, _ = ask("firehose-5")
                waits.append(first - began)
            return {"p50_ms": statistics.median(waits) * 1e3}
        began = time.process_time()
        _, count = ask(f"firehose-{size}")
        if count != size:
            raise RuntimeError(f"{way} gave {count} tokens of {size}")
        return {"cpu_us": (time.process_time() - began) / size * 1e6}


if __name__ == "__main__":
    _, way, what, url, size = sys.argv
    print(json.dumps(work(way, what, url, int(size))))

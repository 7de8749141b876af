"""What reading a streamed answer costs: JSON decoders, the decoder of the dialect, and the whole way from a socket.

    uv run --with orjson python benchmarks/decode.py            # decoders
    uv run python benchmarks/decode.py --wire                   # over loopback, both event loops

Numbers are microseconds of CPU for each token, the least of several repeats in one process; compare only numbers of
one run. ``--wire`` measures processor time of this process alone; the server runs in another.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import multiprocessing
import socket
import threading
import time
import timeit
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
import httpx2
import msgspec
import pydantic_core

import pointsman
import pointsman_openai
from pointsman_openai.compatible import SPEC, CompatibleConfig
from pointsman_openai.decode import ChatDecoder

CHUNK = (
    b'{"id":"15fc4a1e-2f0c-4f0e-9c59-9d1f6d9fb0a1","object":"chat.completion.chunk","created":1737642515.6,'
    b'"model":"gpt-oss-120b","system_fingerprint":"fastcoe","choices":[{"index":0,"delta":{"content":" streaming"},'
    b'"finish_reason":null,"logprobs":null}]}'
)
LAST = (
    b'{"id":"15fc","object":"chat.completion.chunk","model":"gpt-oss-120b","choices":[{"index":0,"delta":{},'
    b'"finish_reason":"stop"}],"usage":{"prompt_tokens":43,"completion_tokens":5000,"total_tokens":5043}}'
)
TOKENS = 5000


class Delta(msgspec.Struct, gc=False):
    content: str | None = None


class Choice(msgspec.Struct, gc=False):
    delta: Delta


class Chunk(msgspec.Struct, gc=False):
    choices: tuple[Choice]


def microseconds(run: Callable[[], object], number: int, per: int = 1) -> float:
    return min(timeit.repeat(run, number=number, repeat=7)) / number / per * 1e6


def show(name: str, cost: float, base: float) -> None:
    print(f"  {name:44} {cost:7.3f}  {cost / base:6.2f}")


def decoders() -> None:
    print(f"JSON, one chunk of {len(CHUNK)} bytes")
    runs: dict[str, Callable[[bytes], object]] = {
        "json.loads": json.loads,
        "pydantic_core.from_json": pydantic_core.from_json,
        "msgspec, to dict": msgspec.json.Decoder().decode,
        "msgspec, to Struct": msgspec.json.Decoder(Chunk).decode,
    }
    try:
        runs["orjson.loads"] = importlib.import_module("orjson").loads
    except ImportError:
        print("  (orjson is not installed)")
    base = microseconds(partial(json.loads, CHUNK), 50_000)
    for name, run in runs.items():
        show(name, microseconds(partial(run, CHUNK), 50_000), base)


def by_hand(body: bytes) -> int:
    """The loop that one writes without a library: lines, JSON, the text."""
    texts = 0
    for line in body.decode().splitlines():
        if line.startswith("data: ") and line != "data: [DONE]":
            choices = json.loads(line[6:])["choices"]
            if choices and choices[0]["delta"].get("content"):
                texts += 1
    return texts


class TolerantOnly(ChatDecoder):
    """Without the typed path."""

    def feed(self, data: bytes) -> None:
        for event in self._parser.feed(data):
            self._take(event)


def dialect(reads: list[bytes], kind: type[ChatDecoder] = ChatDecoder) -> int:
    decoder = kind(pointsman.Target("bench", "m"), pointsman_openai.Quirks(), failed)
    events = 0
    for data in reads:
        decoder.feed(data)
        while decoder.ready:
            decoder.ready.popleft()
            events += 1
    decoder.end()
    assert not decoder.failure
    return events


def failed(event: Any, begun: bool) -> pointsman.PointsmanError:
    raise AssertionError((event, begun))


def streams() -> None:
    print(f"from bytes to events, {TOKENS} tokens")
    events = [b"data: " + CHUNK + b"\n\n"] * TOKENS + [b"data: " + LAST + b"\n\n", b"data: [DONE]\n\n"]
    body = b"".join(events)
    reasoning = [event.replace(b'"content"', b'"reasoning_content"') for event in events]
    tool_delta = b'{"tool_calls":[{"index":0,"function":{"arguments":" streaming"}}]}'
    tools = [event.replace(b'{"content":" streaming"}', tool_delta) for event in events]
    base = microseconds(partial(by_hand, body), 1, TOKENS)
    show("by hand: splitlines, json.loads", base, base)
    for name, reads in {
        "dialect, an event a read": events,
        "dialect, 16 kB a read": [body[at : at + 16384] for at in range(0, len(body), 16384)],
        "dialect, an event a read, reasoning": reasoning,
        "dialect, an event a read, tool calls": tools,
    }.items():
        show(name, microseconds(partial(dialect, reads), 1, TOKENS), base)
    show(
        "the tolerant path alone, an event a read",
        microseconds(partial(dialect, events, TolerantOnly), 1, TOKENS),
        base,
    )


def serve(listener: socket.socket) -> None:
    """Answer every request with the stream, each event in an HTTP chunk of its own."""
    parts = [b"data: " + CHUNK + b"\n\n"] * TOKENS + [b"data: " + LAST + b"\n\n", b"data: [DONE]\n\n"]
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"

    def answer(connection: socket.socket) -> None:
        with connection, suppress(ConnectionError):
            while data := connection.recv(65536):
                if data.endswith(b"}"):  # The request's own body; its head may come alone.
                    connection.sendall(head + body)

    while True:
        connection, _ = listener.accept()
        threading.Thread(target=answer, args=(connection,), daemon=True).start()


async def loop_by_hand(url: str) -> Callable[[], Awaitable[int]]:
    client = httpx2.AsyncClient(timeout=None)
    payload = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}

    async def run() -> int:
        texts = 0
        async with client.stream("POST", f"{url}/chat/completions", json=payload) as response:
            async for line in response.aiter_lines():
                if line.startswith("data: ") and line != "data: [DONE]":
                    choices = json.loads(line[6:])["choices"]
                    if choices and choices[0]["delta"].get("content"):
                        texts += 1
        return texts

    return run


async def on_the_wire(url: str) -> None:
    context = pointsman.ProviderContext(
        name="bench",
        clock=anyio.current_time,
        secrets={},
        limits=pointsman.RateLimits(),
        log=logging.LoggerAdapter(logging.getLogger("bench"), {}),
    )
    request = pointsman.ChatRequest(model="m", messages=(pointsman.user("hi"),))
    hand = await loop_by_hand(url)
    async with SPEC.open(CompatibleConfig(base_url=url), context) as session:

        async def ours() -> int:
            texts = 0
            async with session.stream(request) as events:
                async for event in events:
                    if type(event) is pointsman.TextDelta:
                        texts += 1
            return texts

        costs: dict[str, list[float]] = {"by hand: aiter_lines, json.loads": [], "dialect": []}
        for _ in range(15):
            for name, run in zip(costs, (hand, ours), strict=True):
                begun = time.process_time()
                assert await run() == TOKENS
                costs[name].append((time.process_time() - begun) / TOKENS * 1e6)
    base = min(costs["by hand: aiter_lines, json.loads"])
    for name, measured in costs.items():
        show(name, min(measured), base)


def wire() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    server = multiprocessing.get_context("fork").Process(target=serve, args=(listener,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        for backend in ("asyncio", "trio"):
            print(f"over loopback, {backend}")
            anyio.run(on_the_wire, url, backend=backend)
    finally:
        server.terminate()
        server.join()
        listener.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wire", action="store_true")
    if parser.parse_args().wire:
        wire()
    else:
        decoders()
        streams()

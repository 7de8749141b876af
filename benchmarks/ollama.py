"""What a token from Ollama costs: a loop by hand, the `ollama` client, and our provider through the whole engine.

    uv run python benchmarks/ollama.py [ROUNDS]

The server and each figure have a process of their own; contenders take turns, and the best of the rounds stands.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

Measure = Callable[[Callable[[], Awaitable[int]]], Awaitable[None]]

MESSAGES = [{"role": "user", "content": "Say something."}]
TOKENS = 20_000
STAMP = '"created_at":"2026-11-23T10:00:00.123456789Z"'
LINE = '{"model":"m",' + STAMP + ',"message":{"role":"assistant","content":" word%d"},"done":false}\n'
LAST = (
    '{"model":"m",' + STAMP + ',"message":{"role":"assistant","content":""},"done":true,"done_reason":"stop",'
    '"total_duration":174560334,"load_duration":101397084,"prompt_eval_count":11,"eval_count":20000}\n'
)
HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
VERSION = b'HTTP/1.1 200 OK\r\ncontent-length: 21\r\n\r\n{"version":"0.32.15"}'


def serve() -> None:  # Each line is an HTTP chunk of its own, as Ollama flushes them.
    lines = [(LINE % (number % 100)).encode() for number in range(TOKENS)] + [LAST.encode()]
    body = b"".join(b"%x\r\n%s\r\n" % (len(line), line) for line in lines) + b"0\r\n\r\n"
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)

    def answer(connection: socket.socket) -> None:
        with connection, suppress(ConnectionError):
            while data := connection.recv(65536):
                if data.startswith(b"GET"):
                    connection.sendall(VERSION)
                elif data.endswith(b"}"):  # The request's own body; its head may come alone.
                    connection.sendall(HEAD + body)

    while True:
        threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()


async def hand(url: str, measure: Measure) -> None:
    import httpx2

    async with httpx2.AsyncClient(timeout=None) as http:

        async def ask(count: int = 0) -> int:
            async with http.stream("POST", f"{url}/api/chat", json={"model": "m", "messages": MESSAGES}) as response:
                async for line in response.aiter_lines():
                    count += bool(json.loads(line)["message"]["content"])
            return count

        await measure(ask)


async def client(url: str, measure: Measure) -> None:
    import ollama

    theirs = ollama.AsyncClient(host=url)

    async def ask(count: int = 0) -> int:
        async for part in await theirs.chat("m", MESSAGES, stream=True):
            count += bool(part.message.content)
        return count

    await measure(ask)


async def ours(url: str, measure: Measure) -> None:
    import pointsman

    settings = pointsman.Settings.of({"providers": {"ollama": {"base_url": url}}})
    async with pointsman.AsyncClient(settings=settings) as pointsmen:

        async def ask(count: int = 0) -> int:
            async with pointsmen.stream("Say something.", model="ollama/m") as reply:
                async for _ in reply.text_stream:
                    count += 1
            return count

        await measure(ask)


WAYS: dict[str, Any] = {"by hand: httpx2, aiter_lines, json": hand, "the ollama client": client, "pointsman": ours}


def contend(way: str, loop: str, url: str) -> None:
    import anyio

    async def measure(ask: Callable[[], Awaitable[int]]) -> None:
        await ask()  # Connected, imported, warm.
        began = time.process_time()
        assert await ask() == TOKENS
        print((time.process_time() - began) / TOKENS * 1e6)

    anyio.run(WAYS[way], url, measure, backend=loop)


def run(*arguments: str) -> float:
    # -P: this file is called what the client is called, and must not be found in its place.
    done = subprocess.run(
        [sys.executable, "-P", *arguments], stdout=subprocess.PIPE, text=True, check=True, timeout=300
    )
    return float(done.stdout)


def show(title: str, unit: str, figures: dict[str, float], against: str) -> None:
    print(f"\n{title} ({unit})")
    for name, figure in figures.items():
        print(f"  {name:36} {figure:9.2f}  {figure / figures[against]:6.2f} x")


def main(rounds: int) -> None:
    server = subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    url = server.stdout.readline().strip()
    print(f"Python {sys.version.split()[0]}, {TOKENS} tokens, best of {rounds}")
    try:
        for loop in ("asyncio", "trio"):
            taken = [{way: run(__file__, "contend", way, loop, url) for way in WAYS} for _ in range(rounds)]
            best = {way: min(one[way] for one in taken) for way in WAYS}
            show(f"CPU for each token, {loop}", "us", best, next(iter(WAYS)))
    finally:
        server.kill()
        server.wait()
    timed = "import time; t = time.perf_counter(); import {}; print((time.perf_counter() - t) * 1e3)"
    modules = ("httpx2", "ollama", "pointsman_ollama", "pointsman_ollama.session")
    best = {name: min(run("-c", timed.format(name)) for _ in range(rounds)) for name in modules}
    show("import; the session is imported when a connection opens", "ms", best, "ollama")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve"]:
            serve()
        case ["contend", way, loop, url]:
            contend(way, loop, url)
        case rounds:
            main(int(rounds[0]) if rounds else 7)

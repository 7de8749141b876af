"""A vendor that fails as its path says, and one that is well, on loopback.

Prints a line of JSON: where the sick one is, where the well one is, a port where nobody listens, which faults there
are, and what a whole answer says then. The path says which fault is meant and who asks:
``/<who>/<fault>/v1/chat/completions``. GET /counts on the sick one says how many requests came, by ``<who>/<fault>``.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

from faults import DONE, END, FAULTS, HANDLERS, ONCE, ROLE, STOP, STREAM, SURE, WORDS, say

counts: Counter[str] = Counter()


async def sick(path: str, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if path == "/counts":
        answer = json.dumps(counts).encode()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(answer), answer))
        return
    _, who, name, *_ = path.split("/")
    counts[f"{who}/{name}"] += 1
    # `row-500` is `500`, counted by itself.
    kind = name.removeprefix("row-")
    if kind == ONCE:
        kind = "500" if counts[f"{who}/{name}"] == 1 else "healthy"
    await HANDLERS[kind](reader, writer)


async def well(path: str, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Goes on where a last message of the assistant stops, if its path does not say otherwise; without one, begins."""
    last = json.loads(body)["messages"][-1]
    said = str(last.get("content")) if last["role"] == "assistant" else ""
    writer.write(STREAM + ROLE)
    if path.startswith("/sure/"):
        await say(writer, [*SURE, *WORDS])
    elif path.startswith("/anew/"):
        await say(writer, WORDS)
    else:
        await say(writer, [f"{word} " for word in "".join(WORDS).removeprefix(said).split()])
    writer.write(STOP + DONE + END)


async def listen(answer: Callable[..., Awaitable[None]]) -> str:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ", 2)[1].decode()
                sized = head.lower().partition(b"content-length:")[2]
                body = await reader.readexactly(int(sized.split(b"\r\n")[0]) if sized else 0)
                await answer(path, body, reader, writer)
                if reader.at_eof():
                    break
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    await server.start_serving()
    return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def main() -> None:
    # Bound and not listening: connections are refused, and nobody else can get the port meanwhile.
    nobody = socket.socket()
    nobody.bind(("127.0.0.1", 0))
    refused = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    urls = {"sick": await listen(sick), "well": await listen(well), "refused": refused}
    whole = "".join(WORDS)
    others = {"sure": "".join([*SURE, whole])}
    print(json.dumps({**urls, "faults": FAULTS, "wholes": {**dict.fromkeys(FAULTS, whole), **others}}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())

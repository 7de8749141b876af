"""A vendor that fails now and then, on loopback: it says the prompt back, word for word, or lets the caller down.

    python moody.py SEED

Prints its base URL. A prompt begins with its number and a dot: of the dice, that number, and how often it was asked
follows what happens. GET /counts says how often each was asked, how often each thing happened, and how many connections
are open; it begins anew from there.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import struct
import sys
from collections import Counter

from faults import BROKEN, DONE, END, ERROR, LIMITED, ROLE, STOP, STREAM, chunk, framed, refusal
from faulty import listen

SHARES = {
    "500": 0.03,
    "503, a web page": 0.01,
    "529": 0.01,
    "429, Retry-After": 0.03,
    "empty body": 0.01,
    "reset before the headers": 0.01,
    "reset": 0.03,
    "clean end, no finish reason": 0.02,
    "connection closed, no finish reason": 0.01,
    "[DONE], no finish reason": 0.01,
    "error event": 0.02,
    "stall": 0.005,
    "silence": 0.005,
}
"""How often each happens: together to one request in five."""
LONGEST_PAUSE = 0.02
"""Seconds between the two halves of an answer, at most."""
SEED = sys.argv[1]

asked: Counter[int] = Counter()
happened: Counter[str] = Counter()


def plain(line: str, body: str, *headers: str) -> bytes:
    kind = "text/html" if body.startswith("<") else "application/json"
    head = [f"HTTP/1.1 {line}", f"content-type: {kind}", f"content-length: {len(body)}", *headers]
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


PLAIN = {
    "500": plain("500 Internal Server Error", BROKEN),
    "503, a web page": plain("503 Service Unavailable", "<html><body><h1>Back soon.</h1></body></html>"),
    "529": plain("529 Overloaded", refusal("Overloaded.", "overloaded_error")),
    "429, Retry-After": plain("429 Too Many Requests", LIMITED, "retry-after: 0.02"),
    "empty body": plain("200 OK", ""),
}
ENDS = {
    "healthy": STOP + DONE + END,
    "clean end, no finish reason": END,
    "[DONE], no finish reason": DONE + END,
    "error event": framed(ERROR) + END,
}


def reset(writer: asyncio.StreamWriter) -> None:
    """RST, not FIN; unless the caller has left by now."""
    if writer.is_closing():
        return
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def serve(path: str, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if path == "/counts":
        connections = len(asyncio.all_tasks()) - 2  # `main`, and the one that asks
        writer.write(plain("200 OK", json.dumps({"asked": asked, "happened": happened, "connections": connections})))
        asked.clear()
        happened.clear()
        return
    prompt = json.loads(body)["messages"][-1]["content"]
    number = int(prompt.partition(".")[0])
    asked[number] += 1
    dice = random.Random(f"{SEED}/{number}/{asked[number]}")
    [kind] = dice.choices(["healthy", *SHARES], [1 - sum(SHARES.values()), *SHARES.values()])
    happened[kind] += 1
    if kind in PLAIN:
        writer.write(PLAIN[kind])
    elif kind == "silence":
        await reader.read()  # Until the caller gives up.
    elif kind == "reset before the headers":
        reset(writer)
    else:
        await say(kind, prompt, dice, reader, writer)


async def say(
    kind: str, prompt: str, dice: random.Random, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """The whole answer in two halves, or a part of it."""
    first, *others = prompt.split(" ")
    events = [ROLE, chunk({"content": first}), *(chunk({"content": f" {word}"}) for word in others)]
    if kind != "healthy":
        events = events[: dice.randrange(1, len(events))]  # Perhaps nothing but the role.
    half = dice.randrange(len(events))
    head = STREAM
    if kind == "connection closed, no finish reason":
        # A body without chunks or a length ends with its connection: HTTP itself cannot tell that something is missing.
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        events = [event.split(b"\r\n", 1)[1].removesuffix(b"\r\n") for event in events]
    writer.write(head + b"".join(events[:half]))
    await asyncio.sleep(dice.uniform(0, LONGEST_PAUSE))
    writer.write(b"".join(events[half:]) + ENDS.get(kind, b""))
    await writer.drain()
    if kind == "stall":
        await reader.read()
    elif kind == "reset":
        await asyncio.sleep(0.01)  # So that what was sent before has been read.
        reset(writer)
    elif kind == "connection closed, no finish reason":
        writer.close()


async def main() -> None:
    print(await listen(serve), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())

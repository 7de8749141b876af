"""Exact ways for a vendor to fail: the bytes on the wire are ours, so each fault is itself."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable

WORDS = [f"w{number} " for number in range(20)]
BREAKS_AT = 12
PACE = 0.005
DRIP = 2.0
ONCE = "500-once"
"""Fails as `500` when it is asked first, and is healthy from then on."""

Fault = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
SURE = ["Sure: "]
"""How the other begins where it answers anew in other words."""
FAULTS: dict[str, str] = {}
"""What each fault is called in a table, by its name in a path."""
HANDLERS: dict[str, Fault] = {}

STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
ERROR = '{"error": {"message": "The server is overloaded.", "type": "server_error", "code": 503}}'


def framed(data: str) -> bytes:
    event = f"data: {data}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(event), event)


def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
    whole = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1763900000, "model": "m"}
    return framed(json.dumps({**whole, "choices": [choice]}))


ROLE = chunk({"role": "assistant", "content": ""})
STOP = chunk({}, "stop")
DONE = framed("[DONE]")


async def say(writer: asyncio.StreamWriter, words: list[str], pace: float = PACE) -> None:
    """Each word is an event and a write of its own, as servers do it."""
    for word in words:
        writer.write(chunk({"content": word}))
        await writer.drain()
        await asyncio.sleep(pace)


async def reset(writer: asyncio.StreamWriter) -> None:
    """RST, not FIN; a moment later, so that what was sent before has been read."""
    await writer.drain()
    await asyncio.sleep(0.1)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def fault(name: str, title: str) -> Callable[[Fault], Fault]:
    def keep(handler: Fault) -> Fault:
        FAULTS[name], HANDLERS[name] = title, handler
        return handler

    return keep


def status(name: str, title: str, line: str, body: str, *headers: str) -> None:
    kind = "text/html" if body.startswith("<") else "application/json"
    head = [f"HTTP/1.1 {line}", f"content-type: {kind}", f"content-length: {len(body)}", *headers]
    answer = ("\r\n".join(head) + "\r\n\r\n" + body).encode()

    @fault(name, title)
    async def _(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)


def refusal(message: str, kind: str, code: str | None = None) -> str:
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}})


@fault("healthy", "none")
async def healthy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(STREAM + ROLE)
    await say(writer, WORDS)
    writer.write(STOP + DONE + END)


LIMITED = refusal("Rate limit reached.", "rate_limit_error", "rate_limit_exceeded")
BROKEN = refusal("The server had an error.", "server_error")
status("429", "429, `Retry-After: 1`", "429 Too Many Requests", LIMITED, "retry-after: 1")
status("500", "500, always", "500 Internal Server Error", BROKEN)
FAULTS[ONCE] = "500, once"
status("503-30", "503, `Retry-After: 30`", "503 Service Unavailable", BROKEN, "retry-after: 30")
status("429-30", "429, `Retry-After: 30`", "429 Too Many Requests", LIMITED, "retry-after: 30")
status("401", "401", "401 Unauthorized", refusal("Bad key.", "invalid_request_error", "invalid_api_key"))
NO_MODEL = refusal("The model `m` does not exist.", "invalid_request_error", "model_not_found")
status("404", "404, no such model", "404 Not Found", NO_MODEL)
status("502", "502, a web page", "502 Bad Gateway", "<html><body><h1>502 Bad Gateway</h1></body></html>")
status("page", "200, a web page", "200 OK", "<html><body><h1>Please sign in.</h1></body></html>")
status("empty", "200, an empty body", "200 OK", "")
FAULTS["refused"] = "connection refused"


@fault("reset", "reset before the headers")
async def _(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reset(writer)


@fault("headers", "headers, then silence")
async def _(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(STREAM)
    await reader.read()  # Until the client gives up.


@fault("silent", "silence, no headers")
async def _(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


@fault("role-error", "role chunk, then an error event")
async def _(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(STREAM + ROLE + framed(ERROR) + END)


@fault("role-reset", "role chunk, then reset")
async def _(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(STREAM + ROLE)
    await reset(writer)


async def begin(writer: asyncio.StreamWriter) -> None:
    writer.write(STREAM + ROLE)
    await say(writer, WORDS[:BREAKS_AT])


@fault("sure", "word 12: reset; the other answers anew, in other words")
@fault("anew", "word 12: reset; the other answers anew")
@fault("cut", "word 12: reset")
async def _(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await begin(writer)
    await reset(writer)


@fault("eof", "word 12: clean end, no finish reason")
async def _(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await begin(writer)
    writer.write(END)


@fault("closed", "word 12: connection closed, no finish reason")
async def _(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # A body without chunks or a length ends with its connection: HTTP itself cannot tell that something is missing.
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
    for event in (ROLE, *(chunk({"content": word}) for word in WORDS[:BREAKS_AT])):
        writer.write(event.split(b"\r\n", 1)[1].removesuffix(b"\r\n"))
        await writer.drain()
        await asyncio.sleep(PACE)
    writer.close()


@fault("done", "word 12: `[DONE]`, no finish reason")
async def _(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await begin(writer)
    writer.write(DONE + END)


@fault("error", "word 12: error event")
async def _(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await begin(writer)
    writer.write(framed(ERROR) + END)


@fault("malformed", "word 12: its event is not JSON, the others are")
async def _(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await begin(writer)
    writer.write(framed('{"id": "chatcmpl-1", "choices": [{"delta": {"content": "w1'))
    await say(writer, WORDS[BREAKS_AT + 1 :])
    writer.write(STOP + DONE + END)


@fault("stall", "word 12: silence")
async def _(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await begin(writer)
    await reader.read()


@fault("drip", "a word each 2 s")
async def _(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(STREAM + ROLE)
    await say(writer, WORDS, DRIP)
    writer.write(STOP + DONE + END)

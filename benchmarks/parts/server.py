"""A server that costs as little as possible: the bytes of each answer are made beforehand.

The model's name says what is streamed: ``firehose-N`` sends N tokens as fast as the socket takes them, ``paced-N``
sends one each millisecond, in a write of its own. Every event is an HTTP chunk of its own, as servers do it.
Prints its base URL; answers GET /mark with the time (`time.monotonic`, seconds) at which the last request arrived.
"""

from __future__ import annotations

import asyncio
import json
import time
from functools import cache

PACE = 0.001


def chunk(delta: dict[str, str], finish: str | None = None) -> dict[str, object]:
    return {
        "id": "83a7809d-e18f-44f9-9ab7-2bc494c6c661",
        "object": "chat.completion.chunk",
        "created": 1737642515.6,
        "model": "gpt-oss-120b",
        "system_fingerprint": "fastcoe",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}],
    }


def framed(data: str) -> bytes:
    event = f"data: {data}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(event), event)


@cache
def events(tokens: int) -> list[bytes]:
    usage = {"prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": tokens + 9}
    return [
        framed(json.dumps(chunk({"role": "assistant", "content": ""}))),
        *(framed(json.dumps(chunk({"content": f" word{number % 100}"}))) for number in range(tokens)),
        framed(json.dumps(chunk({}, "stop"))),
        framed(json.dumps({**chunk({}), "choices": [], "usage": usage})),
        framed("[DONE]") + b"0\r\n\r\n",
    ]


@cache
def firehose(tokens: int) -> list[bytes]:
    every = events(tokens)
    return [b"".join(every[start : start + 200]) for start in range(0, len(every), 200)]


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
arrived = 0.0


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    global arrived
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"GET"):
                body = str(arrived).encode()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
                continue
            arrived = time.monotonic()
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            kind, _, tokens = json.loads(await reader.readexactly(length))["model"].partition("-")
            writer.write(HEAD)
            if kind == "firehose":
                for block in firehose(int(tokens)):
                    writer.write(block)
                    await writer.drain()
            else:
                for event in events(int(tokens)):
                    writer.write(event)
                    await asyncio.sleep(PACE)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())

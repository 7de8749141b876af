"""Between a plugin and its vendor: passes everything on, and writes it down."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import anyio
import h11
from anyio.abc import ByteStream, SocketAttribute, SocketStream

from .recording import KEPT, Exchange

_HOP = {b"host", b"connection", b"keep-alive", b"accept-encoding", b"transfer-encoding", b"expect"}
"""Headers that are between two neighbours. No compression is asked for, so that the recording can be read."""


class Relay:
    """Listens on 127.0.0.1 and asks `upstream`, an address such as ``https://api.acme.example/v1``."""

    def __init__(self, upstream: str, port: int) -> None:
        self._url = urlsplit(upstream)
        self.prefix = self._url.path.rstrip("/")
        self.base_url = f"http://127.0.0.1:{port}{self.prefix}"
        self.exchanges: list[Exchange] = []
        self.troubles: list[str] = []
        """Why an exchange is not there, or not as the vendor made it."""

    async def handle(self, client: SocketStream) -> None:
        """One connection, which has one request. It is ended if the vendor's is, or cannot be made."""
        near = h11.Connection(h11.SERVER)
        try:
            await self._serve(client, near)
        except (OSError, anyio.BrokenResourceError, h11.ProtocolError) as error:
            self.troubles.append(f"the connection failed ({error.__cause__ or error!r})")

    async def _serve(self, client: SocketStream, near: h11.Connection) -> None:
        async with client:
            head, body = await _whole_request(client, near)
            if head is not None:
                async with await self._connect() as server:
                    await self._pass_on(head, body, client, near, server)

    async def _connect(self) -> ByteStream:
        host, secure = self._url.hostname or "", self._url.scheme == "https"
        port = self._url.port or (443 if secure else 80)
        if not secure:
            return await anyio.connect_tcp(host, port)
        trust = ssl.create_default_context()
        return await anyio.connect_tcp(host, port, ssl_context=trust, tls_standard_compatible=False)

    async def _pass_on(
        self, head: h11.Request, body: bytes, client: ByteStream, near: h11.Connection, server: ByteStream
    ) -> None:
        far, begun = h11.Connection(h11.CLIENT), anyio.current_time()
        own = [(b"host", self._url.netloc.rpartition("@")[2].encode()), (b"accept-encoding", b"identity")]
        headers = [
            *own,
            (b"connection", b"close"),
            *((name, value) for name, value in head.headers if name not in _HOP),
        ]
        request = h11.Request(method=head.method, target=head.target, headers=headers)
        await _send(server, far, request, *([h11.Data(data=body)] if body else []), h11.EndOfMessage())
        response: h11.Response | None = None
        chunks: list[tuple[float, bytes]] = []
        try:
            async for event in _events(server, far):
                passed = event
                match event:
                    case h11.Response():
                        response = event
                        kept = [(name, value) for name, value in event.headers if name not in _HOP]
                        passed = h11.Response(status_code=event.status_code, headers=[*kept, (b"connection", b"close")])
                    case h11.Data():
                        chunks.append((anyio.current_time() - begun, bytes(event.data)))
                    case _:
                        pass
                with suppress(anyio.BrokenResourceError):  # A plugin that has heard the end need not wait for more.
                    await _send(client, near, passed)
        finally:
            if response is not None:
                self._keep(_exchange(head, body, response, chunks), dict(response.headers).get(b"content-encoding"))

    def _keep(self, exchange: Exchange, encoding: bytes | None) -> None:
        self.exchanges.append(exchange)
        if encoding not in (None, b"identity"):
            self.troubles.append(f"the answer is compressed ({encoding!r}), though that was not asked for")


@asynccontextmanager
async def relaying(upstream: str) -> AsyncGenerator[Relay]:
    """A relay to `upstream` that works until it is left."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        port: int = listener.extra(SocketAttribute.local_port)  # noqa: S610  (no SQL is near)
        relay = Relay(upstream, port)
        tasks.start_soon(listener.serve, relay.handle)
        yield relay
        tasks.cancel_scope.cancel()


def _exchange(head: h11.Request, body: bytes, response: h11.Response, chunks: list[tuple[float, bytes]]) -> Exchange:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in response.headers}
    path, _, query = head.target.decode("latin-1").partition("?")
    return Exchange(
        method=head.method.decode("ascii"),
        path=path,
        query=query,
        asked=_read(body),
        status=response.status_code,
        headers={name: value for name, value in headers.items() if name in KEPT or name.startswith("x-ratelimit-")},
        chunked="content-length" not in headers,
        body=tuple(chunks),
    )


def _read(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("latin-1")


async def _whole_request(stream: ByteStream, near: h11.Connection) -> tuple[h11.Request | None, bytes]:
    head: h11.Request | None = None
    body = b""
    async for event in _events(stream, near):
        if isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
    return head, body


async def _events(stream: ByteStream, http: h11.Connection) -> AsyncIterator[Any]:
    """What the other side says, up to the end of its message."""
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            try:
                http.receive_data(await stream.receive())
            except anyio.EndOfStream:
                http.receive_data(b"")
        elif isinstance(event, h11.ConnectionClosed):
            return
        elif not isinstance(event, h11.InformationalResponse):
            yield event
            if isinstance(event, h11.EndOfMessage):
                return


async def _send(stream: ByteStream, http: h11.Connection, *events: h11.Event) -> None:
    await stream.send(b"".join(http.send(event) or b"" for event in events))

"""A loopback HTTP/1.1 server that does what it is told, also the impolite things. It knows no dialect.

It works on plain sockets, not on an event loop library's streams: only so do a cut at a byte, a reset and a refused
connection come out exactly, and the same on every loop.
"""

from __future__ import annotations

import socket
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial

import anyio
import h11

from . import sockets
from .connection import Connection, Handler
from .requests import RecordedRequest


class Server:
    """One listening socket on 127.0.0.1, open from the start; `serve` accepts until it is cancelled."""

    def __init__(self, handler: Handler, *, speed: float = 1.0, port: int = 0) -> None:
        self._handler = handler
        self._speed = speed
        self._listener = sockets.bound(port)
        self._listener.listen()
        self._listening = anyio.Event()
        self._listening.set()
        self._connections: set[Connection] = set()
        self._arrived = anyio.Event()
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[RecordedRequest] = []

    async def serve(self) -> None:
        try:
            async with anyio.create_task_group() as tasks:
                while True:
                    listener = await self._open_listener()
                    try:
                        await anyio.wait_readable(listener)
                        sock, client = listener.accept()
                    except (anyio.ClosedResourceError, BlockingIOError, ConnectionAbortedError):
                        continue
                    except (OSError, ValueError):
                        if listener is self._listener:
                            raise
                        continue  # It was closed before anybody could wait for it.
                    record = partial(self._record, client)
                    tasks.start_soon(self._run, Connection(sock, record, self._handler, self._speed))
        finally:
            self._listener.close()

    async def _open_listener(self) -> socket.socket:
        """The socket that listens, once one does; nothing runs between that look and the return."""
        while not self._listening.is_set():
            await self._listening.wait()
        return self._listener

    @contextmanager
    def refusing(self) -> Generator[None]:
        """Refuse connections, and end those that wait for a request. Responses under way go on."""
        self._listening = anyio.Event()
        anyio.notify_closing(self._listener)
        self._listener.close()
        self._listener = sockets.bound(self.port)  # Not listening; but nobody else can take the port.
        for connection in self._connections:
            if connection.idle:
                connection.shut()
        try:
            yield
        finally:
            self._listener.listen()
            self._listening.set()

    async def received(self, count: int) -> RecordedRequest:
        """Wait for request number `count`, from 1."""
        while len(self.requests) < count:
            await self._arrived.wait()
        return self.requests[count - 1]

    async def _run(self, connection: Connection) -> None:
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)

    def _record(self, client: tuple[str, int], head: h11.Request, body: bytes) -> RecordedRequest:
        raw = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers.raw_items()]
        path, _, query = head.target.decode("latin-1").partition("?")
        request = RecordedRequest(
            index=len(self.requests),
            client=client,
            method=head.method.decode("ascii"),
            path=path,
            query=query,
            raw_headers=tuple(raw),
            headers={name.lower(): value for name, value in raw},
            body=body,
        )
        self.requests.append(request)
        self._arrived.set()
        self._arrived = anyio.Event()
        return request

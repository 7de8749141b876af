"""HTTP to a server in the same container. The standard library's `urllib` would ask the proxies of the environment."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from typing import Any


class HangUp:
    """Ends one request from another thread: whoever waits for its answer gets an `OSError` or an `HTTPException`."""

    def __init__(self) -> None:
        self.done = False
        self._line: socket.socket | None = None
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            self.done = True
            if self._line is not None:
                with suppress(OSError):  # The answer is there already.
                    self._line.shutdown(socket.SHUT_RDWR)

    def holds(self, line: socket.socket) -> None:
        """From now on it ends `line`."""
        with self._lock:
            if self.done:
                raise ConnectionAbortedError("nobody waits for the answer any more")
            self._line = line


@dataclass(frozen=True, slots=True)
class Loopback:
    """The server on a port of 127.0.0.1. Where it gives no answer, `OSError` or `HTTPException` is raised."""

    port: int

    def ask(self, path: str, body: Any = None, *, timeout: float, hang_up: HangUp | None = None) -> tuple[int, Any]:
        """Status and body of an answer: what its JSON says, or text if it is none. A POST if there is a `body`."""
        with closing(self._connect(timeout)) as connection:
            if hang_up is not None:
                connection.connect()
                hang_up.holds(connection.sock)
            response = _sent(connection, path, body)
            text = response.read().decode(errors="replace")
        try:
            return response.status, json.loads(text)
        except ValueError:
            return response.status, text

    def lines(self, path: str, body: Any, *, timeout: float) -> Iterator[Any]:
        """The lines of an answer that streams JSON, as they come; `timeout` is for each."""
        with closing(self._connect(timeout)) as connection:
            for line in _sent(connection, path, body):
                yield json.loads(line)

    def is_taken(self) -> bool:
        """Whether somebody listens there."""
        with closing(self._connect(1.0)) as connection:
            try:
                connection.connect()
            except OSError:
                return False
            return True

    def _connect(self, timeout: float) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=timeout)


def _sent(connection: HTTPConnection, path: str, body: Any) -> HTTPResponse:
    if body is None:
        connection.request("GET", path)
    else:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    return connection.getresponse()

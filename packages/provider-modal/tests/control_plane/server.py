"""Modal's control plane on loopback, on the stubs that its own SDK ships. It takes what is deployed, and remembers it.

It proves what would be sent, never that Modal would accept it: no image is built and no GPU is looked for. `log` holds
every call in order. The SDK keeps one client a process, so that what calls it without a client of its own runs in a
process of its own, with `environment`; what can take one takes `client`.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import modal
from google.protobuf.empty_pb2 import Empty
from grpclib import GRPCError, Status
from grpclib.events import RecvRequest, listen
from grpclib.server import Server, Stream
from modal_proto import api_pb2 as api
from modal_proto.api_grpc import ModalClientBase

from .calling import Calling
from .container import Container
from .deploying import Deploying
from .memory import App, Function, Log, Memory
from .operating import Operating

TOKEN = ("ak-0123456789abcdef", "as-fedcba9876543210")
"""The account's token; any other is refused."""


class ControlPlane:
    """Start it with ``with``. What it is told takes effect at once."""

    def __init__(self, *, lenient: bool = False) -> None:
        """`lenient`: names and limits are not checked, so that only the caller's own checks are left."""
        self.memory = Memory(lenient=lenient)
        self.log: list[tuple[str, Any]] = []
        """Name of the RPC, and its request."""
        self.calling = Calling(self.memory)
        self.url = ""
        self._failures: dict[str, list[GRPCError]] = {}
        self._held: dict[str, threading.Event] = {}
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="modal-control-plane", daemon=True)
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self.container = Container(self.memory, self._loop.call_soon_threadsafe)
        self._services = (Deploying(self.memory), Operating(self.memory), self.calling, self.container)

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self._loop.close()

    @property
    def environment(self) -> dict[str, str]:
        """Variables for a process that shall deploy here; the configuration of whoever runs the tests is not read."""
        return {
            "MODAL_SERVER_URL": self.url,
            "MODAL_TOKEN_ID": TOKEN[0],
            "MODAL_TOKEN_SECRET": TOKEN[1],
            "MODAL_CONFIG_PATH": "/nonexistent/modal.toml",
        }

    @contextmanager
    def client(self, token: tuple[str, str] = TOKEN) -> Iterator[modal.Client]:
        """For what takes a client, in this process."""
        with modal.Client(self.url, api.CLIENT_TYPE_CLIENT, token) as client:
            yield client

    def requests(self, name: str) -> list[Any]:
        """Of one RPC, in order."""
        return [request for called, request in self.log if called == name]

    def fail(self, name: str, status: Status, message: str, times: int = 1) -> None:
        """The next calls of an RPC are refused. The SDK asks three times more after UNAVAILABLE."""
        self._failures.setdefault(name, []).extend([GRPCError(status, message)] * times)

    @contextmanager
    def holding(self, name: str) -> Iterator[None]:
        """Inside, calls of an RPC are not answered."""
        event = self._held[name] = threading.Event()
        try:
            yield
        finally:
            del self._held[name]
            event.set()

    def break_build(self, piece: str, said: str) -> None:
        """Images with `piece` in a command fail to build, with these words."""
        self.memory.broken_builds[piece] = said

    def serve_at(self, url: str) -> None:
        """What is deployed from now on has this address."""
        self.memory.web_url = lambda app, label: url

    def app(self, name: str) -> App:
        """One that is deployed. Raises KeyError."""
        if (app := self.memory.deployed(name)) is None:
            raise KeyError(name)
        return app

    def function(self, app: str, name: str) -> Function:
        """Of a class, ``Name.*``."""
        return self.memory.functions[self.app(app).function_ids[name]]

    def write(self, app: str, text: str, **log: Any) -> None:
        """Something in `app` prints a line."""
        self.app(app).logs.append(Log(text, **log))

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        server = Server([self._servicer()])
        listen(server, RecvRequest, _authenticate)
        await server.start("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server._server.sockets[0].getsockname()[1]}"  # type: ignore[union-attr]
        self._started.set()
        await self._over.wait()
        self.calling.close()
        server.close()
        await server.wait_closed()

    def _servicer(self) -> ModalClientBase:
        """Whatever nobody here answers is refused by its own name, so that a call that is new in an SDK says so."""
        methods = {name: self._rpc(name) for name in ModalClientBase.__abstractmethods__}
        return type("Servicer", (ModalClientBase,), methods)()

    def _rpc(self, name: str) -> Any:
        handler = next((getattr(one, name) for one in self._services if hasattr(one, name)), None)

        async def rpc(_: Any, stream: Stream[Any, Any]) -> None:
            request = await stream.recv_message()
            self.log.append((name, request))
            if (event := self._held.get(name)) is not None:
                await asyncio.to_thread(event.wait)
            if self._failures.get(name):
                raise self._failures[name].pop(0)
            if handler is None:
                raise GRPCError(Status.UNIMPLEMENTED, f"{name} is not played by these tests")
            try:
                if inspect.isasyncgenfunction(handler):
                    async for reply in handler(request):
                        await stream.send_message(reply)
                else:
                    reply = await handler(request)
                    await stream.send_message(Empty() if reply is None else reply)
            except GRPCError:
                raise
            except Exception:
                logging.getLogger(__name__).exception("%s failed", name)  # The SDK would only ask again.
                raise

        return rpc


async def _authenticate(event: RecvRequest) -> None:
    given: Mapping[str, Any] = event.metadata
    if given.get("x-modal-client-type") == str(api.CLIENT_TYPE_CONTAINER):
        return  # It has no token of the account.
    if (given.get("x-modal-token-id"), given.get("x-modal-token-secret")) != TOKEN:
        raise GRPCError(Status.UNAUTHENTICATED, "Token ID is malformed or unknown")

"""One connection to a lab server: requests are read, and responses sent as planned, until one side ends it."""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Sequence
from typing import TypeAlias

import anyio
import h11

from . import sockets
from .dialect import HttpResponse
from .plan import Chunk, End, Pause, Step, plan
from .requests import RecordedRequest
from .script import Cut, Ending, Hangup

Handler: TypeAlias = Callable[[RecordedRequest], HttpResponse | Hangup]

PING = b": keep-alive\n\n"
"""What a stalled stream sends if it is told to stay alive."""


class Connection:
    """Speaks HTTP/1.1 on a connected socket, and closes it."""

    def __init__(
        self,
        sock: socket.socket,
        record: Callable[[h11.Request, bytes], RecordedRequest],
        handler: Handler,
        speed: float,
    ) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock
        self._record = record
        self._handler = handler
        self._speed = speed
        self._http = h11.Connection(h11.SERVER)

    @property
    def idle(self) -> bool:
        """Whether no request is under way: none has begun, or the last one is answered whole."""
        return self._http.their_state is h11.IDLE or self._http.our_state is self._http.their_state is h11.DONE

    def shut(self) -> None:
        """End it now, for the other side to see at once."""
        self._sock.shutdown(socket.SHUT_RDWR)

    async def run(self) -> None:
        try:
            while (request := await self._next_request()) is not None:
                await self._respond(request)
                if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                    break
                self._http.start_next_cycle()
        except OSError:
            pass  # The client went away; the request that noticed it says so.
        finally:
            self._sock.close()

    async def _next_request(self) -> RecordedRequest | None:
        """A whole request; None if the client ended, or sent what is no HTTP."""
        head: h11.Request | None = None
        body = bytearray()
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                await self._refuse(error)
                return None
            match event:
                case h11.Request():
                    head = event
                case h11.Data():
                    body += event.data
                case h11.EndOfMessage() if head is not None:
                    request = self._record(head, bytes(body))
                    request.hung_up = lambda: sockets.ended(self._sock)
                    return request
                case h11.NEED_DATA:
                    if self._http.they_are_waiting_for_100_continue:
                        await self._send(h11.InformationalResponse(status_code=100, headers=[]))
                    self._http.receive_data(await sockets.receive(self._sock))
                case _:
                    return None

    async def _refuse(self, error: h11.RemoteProtocolError) -> None:
        """Answer a malformed request."""
        body = f"{error}\n".encode()
        headers = [("content-type", "text/plain"), ("content-length", str(len(body))), ("connection", "close")]
        await self._send(h11.Response(status_code=error.error_status_hint, headers=headers))
        await self._send(h11.Data(data=body))
        await self._send(h11.EndOfMessage())
        self._sock.shutdown(socket.SHUT_WR)
        with anyio.move_on_after(0.5):  # Closing with bytes unread would reset, and the answer might be lost.
            while await sockets.receive(self._sock):
                pass

    async def _respond(self, request: RecordedRequest) -> None:
        response = self._handler(request)
        ending: Ending | None = None
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._watch, request, tasks.cancel_scope)
                try:
                    ending = await self._send_response(request, response)
                except ConnectionError:
                    _gone(request)
                tasks.cancel_scope.cancel()
        finally:
            request.done.set()
        # Only now, for nobody may wait on a socket that is being closed.
        if ending == "close":
            self._sock.shutdown(socket.SHUT_WR)
        elif ending == "reset":
            sockets.reset(self._sock)

    async def _watch(self, request: RecordedRequest, response: anyio.CancelScope) -> None:
        """Notice that the client goes away, also while nothing is sent."""
        while data := await sockets.receive(self._sock):
            self._http.receive_data(data)
        _gone(request)
        response.cancel()

    async def _send_response(self, request: RecordedRequest, response: HttpResponse | Hangup) -> Ending:
        await self._sleep(response.wait)
        if isinstance(response, Hangup):
            return response.how
        steps = plan(response.body, response.faults)
        if request.method == "HEAD" or response.status in {204, 304}:
            steps = steps[-1:]
        headers = list(response.headers)
        if not response.chunked:
            headers.append(("content-length", str(_promised(response, steps))))
        await self._send(h11.Response(status_code=response.status, headers=headers))
        return await self._send_body(request, steps, may_ping=response.chunked)

    async def _send_body(self, request: RecordedRequest, steps: Sequence[Step], *, may_ping: bool) -> Ending:
        begun = anyio.current_time()
        paused = 0.0
        for step in steps:
            match step:
                case Chunk(data, due):
                    # By the schedule, not by the last write: a late wake-up does not slow the whole answer.
                    at = begun + (due + paused) / self._speed
                    if at > anyio.current_time():
                        await anyio.sleep_until(at)
                    await self._send(h11.Data(data=data))
                    request.sent += len(data)
                case Pause(seconds, ping):
                    await self._pause(seconds, ping if may_ping else None)
                    paused += seconds
                case End(how):
                    await (self._send(h11.EndOfMessage()) if how == "clean" else sockets.flush(self._sock))
                    return how
        raise AssertionError("a plan ends with an End")

    async def _pause(self, seconds: float, ping: float | None) -> None:
        while ping and seconds > ping:
            await self._sleep(ping)
            await self._send(h11.Data(data=PING))
            seconds -= ping
        await self._sleep(seconds)

    async def _sleep(self, seconds: float) -> None:
        if seconds == math.inf:
            await anyio.sleep_forever()
        elif seconds > 0:
            await anyio.sleep(seconds / self._speed)

    async def _send(self, event: h11.Event) -> None:
        await sockets.send(self._sock, self._http.send(event) or b"")


def _promised(response: HttpResponse, steps: Sequence[Step]) -> int:
    """The ``Content-Length``: what will be sent, or what would have been if the body is cut off."""
    if steps[-1] != End("clean"):
        steps = plan(response.body, [fault for fault in response.faults if not isinstance(fault, Cut)])
    return sum(len(step.data) for step in steps if isinstance(step, Chunk))


def _gone(request: RecordedRequest) -> None:
    request.gone_at = anyio.current_time()
    request.gone.set()

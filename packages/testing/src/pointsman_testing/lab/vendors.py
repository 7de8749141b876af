"""The lab: vendors on loopback, scripted from the test that runs beside them in the same event loop."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import anyio
from anyio.abc import TaskGroup

from .dialect import Dialect, HttpResponse, Model, Route, Site
from .openai import OpenAIChat
from .plan import Chunk
from .profiles import DEFAULT_SPEED, Pace, Profile
from .requests import RecordedRequest
from .script import Answer, Fault, Hangup, Raw, Response, Script, Usual
from .server import Server


class Vendor:
    """One server that answers as it is scripted. `Lab.vendor` makes it."""

    def __init__(
        self,
        name: str,
        *,
        profile: Profile | None,
        models: Sequence[Model],
        api_key: str | None,
        default: Script,
        dialect: Dialect,
        speed: float,
        seed: int,
        port: int,
        on_error: Callable[[Exception], None] | None,
    ) -> None:
        self.name = name
        self.profile = profile
        """The speed of its answers; None: as fast as it can."""
        self.models = tuple(models)
        """What it lists and knows; empty: it lists nothing and takes any model."""
        self.api_key = api_key
        """The one key that it takes; None: it does not look."""
        self.default = default
        """What it answers once the script is used up."""
        self._dialect = dialect
        self._memory: dict[str, Any] = {}
        self._speed = speed
        self._opened = anyio.current_time()
        self._seed = seed
        self._scripts: dict[Route, deque[Script]] = {route: deque() for route in dialect.routes}
        self._on_error = on_error
        self._server = Server(self._answer, speed=speed, port=port)

    @property
    def base_url(self) -> str:
        """What a client is configured with; it ends with the dialect's prefix."""
        return f"http://127.0.0.1:{self._server.port}{self._dialect.prefix}"

    @property
    def routes(self) -> Sequence[Route]:
        """All that it can be asked for."""
        return self._dialect.routes

    @property
    def requests(self) -> Sequence[RecordedRequest]:
        """Every request that arrived whole, in order."""
        return self._server.requests

    @property
    def pending(self) -> int:
        """How many scripted responses are left, for all routes."""
        return sum(len(scripts) for scripts in self._scripts.values())

    def script(self, *responses: Script, on: Route = "chat") -> None:
        """Answer the next requests so, in order, one each. Requests that are wrong in themselves use none up."""
        if on not in self._scripts:
            raise ValueError(f"vendor {self.name} has no route {on}; it has {', '.join(self._scripts)}")
        self._scripts[on].extend(responses)

    def refusing(self) -> AbstractContextManager[None]:
        """While inside: connections are refused, idle ones are ended. Responses under way go on."""
        return self._server.refusing()

    async def received(self, count: int = 1) -> RecordedRequest:
        """Wait until that many requests have arrived in all; the last of them."""
        return await self._server.received(count)

    async def serve(self) -> None:
        """Accept until cancelled; the lab calls it."""
        await self._server.serve()

    @property
    def _site(self) -> Site:
        return Site(models=self.models, api_key=self.api_key, clock=self._clock, memory=self._memory)

    def _clock(self) -> float:
        return (anyio.current_time() - self._opened) * self._speed

    def _answer(self, request: RecordedRequest) -> HttpResponse | Hangup:
        try:
            return self._respond(request)
        except Exception as error:
            if self._on_error is None:
                raise
            self._on_error(error)
            return Hangup()

    def _respond(self, request: RecordedRequest) -> HttpResponse | Hangup:
        route = self._dialect.route(request, self._site)
        request.route = "" if isinstance(route, Fault) else route
        if isinstance(route, Fault):
            rendered = self._render(route, request)
        elif self._scripts[route]:
            scripted = _resolve(self._scripts[route].popleft(), request)
            usual = self._usual(route, request) if isinstance(scripted, Usual) else None
            rendered = usual if isinstance(usual, Hangup) else self._render(scripted, request, usual)
        else:
            rendered = self._usual(route, request)
        if isinstance(rendered, Hangup):
            return rendered
        return replace(rendered, headers=(*rendered.headers, ("x-request-id", f"{self.name}-{request.index}")))

    def _usual(self, route: Route, request: RecordedRequest) -> HttpResponse | Hangup:
        own = self._dialect.reply(route, request, self._site)
        return own or self._render(_resolve(self.default, request), request)

    def _render(
        self, response: Response, request: RecordedRequest, usual: HttpResponse | None = None
    ) -> HttpResponse | Hangup:
        """`usual` is what a `Usual` stands for."""
        match response:
            case Hangup():
                return response
            case Usual():
                if usual is None:
                    raise ValueError("a vendor's default is what Usual() stands for: it must be something else")
                rendered = usual
            case Answer():
                # A generator for each request: its speed does not depend on the order in which others arrived.
                rng = random.Random(f"{self._seed}/{self.name}/{request.index}")  # noqa: S311
                profile = response.profile or self.profile
                pace = profile.draw(rng) if profile else Pace()
                rendered = self._dialect.chat(response, request.json, pace, self._site)
            case Raw():
                body = (Chunk(response.data),)
                kind = (("content-type", response.content_type),)
                rendered = HttpResponse(status=response.status, headers=kind, body=body, chunked=response.chunked)
            case Fault():
                rendered = replace(self._error(response), status=response.status)
        return replace(
            rendered,
            headers=(*rendered.headers, *response.headers.items()),
            faults=(*rendered.faults, *response.faults),
            wait=rendered.wait + response.wait,
        )

    def _error(self, fault: Fault) -> HttpResponse:
        match self._dialect.error(fault) if fault.body is None else fault.body:
            case bytes(data):
                return HttpResponse(body=(Chunk(data),))
            case str(text):
                kind = "text/html" if text.startswith("<") else "text/plain"
                return HttpResponse(headers=(("content-type", f"{kind}; charset=utf-8"),), body=(Chunk(text.encode()),))
            case body:
                return self._dialect.json(body)


class Lab:
    """Vendors on 127.0.0.1, each on a port of its own, in the event loop of whoever enters.

    A script or a dialect that raises ends the lab: the exception leaves ``async with Lab()`` in an exception group.
    With `on_error`, that is told instead, and the request gets no response.
    """

    def __init__(
        self, *, speed: float = DEFAULT_SPEED, seed: int = 0, on_error: Callable[[Exception], None] | None = None
    ) -> None:
        self.speed = speed
        """How many times faster than a wall clock the lab's clock runs: all scripted seconds are divided by it."""
        self.vendors: dict[str, Vendor] = {}
        self._seed = seed
        self._on_error = on_error
        self._tasks: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._tasks = await anyio.create_task_group().__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        assert self._tasks is not None
        self._tasks.cancel_scope.cancel()
        return await self._tasks.__aexit__(kind, error, traceback)

    def vendor(
        self,
        name: str,
        *,
        profile: Profile | None = None,
        models: Sequence[Model] = (),
        api_key: str | None = None,
        default: Script | None = None,
        dialect: Dialect | None = None,
        port: int = 0,
    ) -> Vendor:
        """A new vendor, reachable from now until the lab closes. Its speeds follow from the lab's seed and its name."""
        if self._tasks is None:
            raise RuntimeError("a lab has vendors only inside of `async with Lab() as lab`")
        if name in self.vendors:
            raise ValueError(f"there is a vendor {name} in this lab already")
        vendor = Vendor(
            name,
            profile=profile,
            models=models,
            api_key=api_key,
            default=Answer(f"{name} answers.") if default is None else default,  # An empty `Raw` has a length of 0.
            dialect=dialect or OpenAIChat(),
            speed=self.speed,
            seed=self._seed,
            port=port,
            on_error=self._on_error,
        )
        self.vendors[name] = vendor
        self._tasks.start_soon(vendor.serve, name=f"lab vendor {name}")
        return vendor


def body_bytes(response: Answer | Raw, request: Mapping[str, Any], *, dialect: Dialect | None = None) -> bytes:
    """The body that a vendor sends for the JSON `request`, before any fault: places of faults count in it."""
    if isinstance(response, Raw):
        return response.data
    return b"".join(chunk.data for chunk in (dialect or OpenAIChat()).chat(response, request, Pace(), Site()).body)


def _resolve(script: Script, request: RecordedRequest) -> Response:
    return script(request) if callable(script) else script

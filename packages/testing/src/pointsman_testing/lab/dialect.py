"""What a dialect of HTTP has to say to the lab: everything that is peculiar to a family of vendors."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from .plan import Chunk
from .profiles import Pace
from .requests import RecordedRequest
from .script import Answer, BodyFault, Fault

Route: TypeAlias = str
"""The name of what a request asks for. Every dialect has a ``chat``."""
Model: TypeAlias = str | Mapping[str, Any]
"""An id, or the fields of an entry in the list of models, ``id`` among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """A response as the server sends it. Without `chunked` it has a ``Content-Length``."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: tuple[Chunk, ...] = ()
    chunked: bool = False
    faults: tuple[BodyFault, ...] = ()
    wait: float = 0.0


def json_response(body: Any) -> HttpResponse:
    """`body` as most vendors write JSON that is not streamed."""
    return HttpResponse(headers=(("content-type", "application/json"),), body=(Chunk(json.dumps(body).encode()),))


def _stopped() -> float:
    return 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What a dialect may know of the vendor that speaks it. Without any: a vendor that nobody has asked yet."""

    models: Sequence[Model] = ()
    api_key: str | None = None
    clock: Callable[[], float] = _stopped
    """Seconds of the lab's clock since the vendor opened."""
    memory: dict[str, Any] = field(default_factory=dict[str, Any])
    """What the vendor remembers between requests: empty at first, then whatever the dialect puts in."""

    def knows(self, model: str) -> bool:
        """Whether it has that model. One that lists none takes any."""
        known = {one if isinstance(one, str) else one["id"] for one in self.models}
        return not known or model in known


class Dialect(Protocol):
    """How a family of vendors speaks. Stateless: one value serves many vendors, each with a `Site` of its own."""

    @property
    def prefix(self) -> str:
        """What a base URL ends with, such as ``/v1``."""
        ...

    @property
    def routes(self) -> Sequence[Route]:
        """All that can be asked for; each can be scripted."""
        ...

    def route(self, request: RecordedRequest, site: Site) -> Route | Fault:
        """What is asked for; a fault if the request is wrong in itself, its model is unknown or its key is wrong."""
        ...

    def reply(self, route: Route, request: RecordedRequest, site: Site) -> HttpResponse | None:
        """What a request gets for which nothing is scripted; None: the vendor's default answer."""
        ...

    def chat(self, answer: Answer, request: Mapping[str, Any], pace: Pace, site: Site) -> HttpResponse:
        """`answer` to the body of a request, before any fault."""
        ...

    def error(self, fault: Fault) -> Mapping[str, Any] | str:
        """The body of a fault that brings none, as a `Fault` would have it: a mapping is JSON, a text is plain."""
        ...

    def json(self, body: Mapping[str, Any]) -> HttpResponse:
        """`body` as these vendors write JSON that is not streamed."""
        ...

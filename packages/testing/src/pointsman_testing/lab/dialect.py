"""What a dialect of HTTP has to say to the lab: everything that is peculiar to a family of vendors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from .plan import Chunk
from .profiles import Pace
from .requests import RecordedRequest
from .script import Answer, BodyFault, Fault

Route: TypeAlias = Literal["chat", "models"]
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


class Dialect(Protocol):
    """How a family of vendors speaks. Stateless: one value serves many vendors."""

    @property
    def prefix(self) -> str:
        """What a base URL ends with, such as ``/v1``."""
        ...

    def route(self, request: RecordedRequest, models: Sequence[Model], api_key: str | None) -> Route | Fault:
        """What is asked for; a fault if the request is wrong in itself, its model is unknown or its key is wrong."""
        ...

    def chat(self, answer: Answer, request: Mapping[str, Any], pace: Pace) -> HttpResponse:
        """`answer` to the body of a request, before any fault."""
        ...

    def models(self, models: Sequence[Model]) -> Mapping[str, Any]:
        """The list of models."""
        ...

    def error(self, fault: Fault) -> Mapping[str, Any]:
        """The body of a fault that brings none."""
        ...

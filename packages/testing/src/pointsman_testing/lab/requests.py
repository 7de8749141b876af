"""What a lab vendor remembers of each request."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from anyio import Event


@dataclass(slots=True, eq=False, kw_only=True)
class RecordedRequest:
    """One request as it arrived, and what became of its response."""

    index: int
    """How many requests this vendor had before."""
    client: tuple[str, int]
    """Host and port of the other side: the same for all requests on one connection."""
    method: str
    path: str
    """Without the query."""
    query: str
    raw_headers: tuple[tuple[str, str], ...]
    """As sent: order, case and duplicates kept."""
    headers: Mapping[str, str]
    """By name in lower case; of duplicates the last."""
    body: bytes
    route: str = ""
    """What was asked for, in the dialect's word; empty if the request was wrong in itself."""
    gone: Event = field(default_factory=Event, repr=False)
    """Set when the client goes away before the end of the response."""
    gone_at: float | None = None
    """When that was, in seconds on the event loop's clock (`anyio.current_time`)."""
    hung_up: Callable[[], bool] = field(default=lambda: False, repr=False)
    """Whether the client has ended the connection by now: asks the socket, so that nobody need wait for `gone`."""
    done: Event = field(default_factory=Event, repr=False)
    """Set when the response is over: sent, cut as scripted, or given up since the client is gone."""
    sent: int = 0
    """Bytes of the body sent so far."""
    replays: RecordedRequest | None = field(default=None, repr=False)
    """The earlier request that this one asks for the answer of, where a dialect has that take two."""

    @property
    def json(self) -> Any:
        """The body, parsed, or that of the request that it `replays`. Raises `ValueError` if it is not JSON."""
        return json.loads((self.replays or self).body)

    @property
    def prompt(self) -> str:
        """What the user said last, or an agent's ``inputs``; for scripts that answer by prompt."""
        said = [message for message in self.json.get("messages", ()) if message.get("role") == "user"]
        return text_of(said[-1].get("content") if said else self.json.get("inputs"))


def text_of(content: Any) -> str:
    """The text in the content of a message: a string, or a list of parts."""
    match content:
        case str():
            return content
        case [*parts]:
            return "".join(text_of(part) for part in parts)
        case {"text": str(text)}:
            return text
        case _:
            return ""


def texts_in(value: Any) -> Iterator[str]:
    """Every text in a JSON value, in order, without keys."""
    match value:
        case str():
            yield value
        case {**fields}:
            for one in fields.values():
                yield from texts_in(one)
        case [*items]:
            for one in items:
                yield from texts_in(one)
        case _:
            return

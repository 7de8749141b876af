"""What a request asks for, with the server's defaults in the place of what it does not say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from ..requests import text_of
from .memory import seconds_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The fields of a chat or of an embedding that the lab looks at."""

    model: str
    messages: Sequence[Mapping[str, Any]]
    inputs: Sequence[str]
    options: Mapping[str, Any]
    tools: Sequence[Any]
    format: Any
    think: bool | str | None
    stream: bool
    truncate: bool
    shift: bool
    dimensions: int
    keep_alive: float

    @property
    def num_ctx(self) -> int:
        return _positive(self.options.get("num_ctx"))

    @property
    def num_predict(self) -> int:
        """How many tokens may be said; 0: nothing is asked."""
        return _positive(self.options.get("num_predict"))

    @property
    def texts(self) -> Sequence[str]:
        """What the messages say."""
        return [text_of(message.get("content")) for message in self.messages]


def asked(body: Mapping[str, Any]) -> Asked:
    """The body of a request whose types are right."""
    given = body.get("input")
    texts = cast("list[str]", [given] if isinstance(given, str) else given or [])
    return Asked(
        model=body.get("model") or "",
        messages=body.get("messages") or (),
        inputs=() if texts == [""] and given == "" else texts,
        options=body.get("options") or {},
        tools=body.get("tools") or (),
        format=body.get("format"),
        think=body.get("think"),
        stream=body.get("stream") is not False,
        truncate=body.get("truncate") is not False,
        shift=body.get("shift") is not False,
        dimensions=body.get("dimensions") or 0,
        keep_alive=seconds_of(body.get("keep_alive")),
    )


def _positive(value: Any) -> int:
    return max(0, int(value)) if isinstance(value, int | float) else 0

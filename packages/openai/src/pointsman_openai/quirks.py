"""How one vendor's chat API differs from the next, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from pointsman import PointsmanError, Terminal


class Refusal(NamedTuple):
    """A response that is no success."""

    status: int
    headers: Mapping[str, str]
    """With lower-case names."""
    body: bytes
    """Cut off after 64 KiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """Differences of one vendor from the common dialect. The defaults suit an unknown server."""

    terminal: Terminal = Terminal.FINISH_REASON
    """What proves that an answer is whole: a finish reason, or the ``[DONE]`` event (`Terminal.DONE_MARKER`)."""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    include_usage: bool = True
    """Ask for the token count in the stream (``stream_options.include_usage``)."""
    strict_schema: bool | None = None
    """``strict`` of a response schema; None leaves it out."""
    inline_images_only: bool = False
    """The vendor takes ``data:`` URLs only; others are refused before they are sent."""
    think_tags: bool = False
    """Text may begin with reasoning between ``<think>`` and ``</think>``, which is then told as such."""
    adapt: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    """The vendor's own spelling of a request, given the common one: another body, or the same one changed. A request's
    `extra` is merged into what it returns. It may raise `InvalidRequest` for what the vendor is known not to take."""
    key_header: str = "authorization"
    """The header, in lower case, that carries ``Bearer`` and the key."""
    list_models: bool = True
    """``GET /models`` exists; without it the vendor's health is unknown."""
    codes: Mapping[str, type[PointsmanError]] = field(default_factory=dict[str, type[PointsmanError]])
    """What the vendor's own error codes mean, before the common ones (those are in `meanings.py`)."""
    served: Callable[[str, Mapping[str, str]], str | None] | None = None
    """From the model asked for and the headers of a response, with lower-case names, to the model that answers, for a
    vendor under whose names several stand (`Finished.served`)."""
    refine: Callable[[PointsmanError, Refusal], PointsmanError] | None = None
    """The vendor's own reading of a refused request, given the common one: another error, or the same one changed."""

    def __post_init__(self) -> None:
        if self.terminal not in (Terminal.FINISH_REASON, Terminal.DONE_MARKER):
            raise ValueError(f"the chat dialect cannot prove an answer whole by {self.terminal.value}")

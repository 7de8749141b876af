"""Many requests at once on a provider's own machines: what `ProviderSpec.fan_out` names, for `pointsman batch --on`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, Self

from .errors import PointsmanError
from .types import (
    ChatRequest,
    Cost,
    Finished,
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    ToolCall,
    Unknown,
    Usage,
    tool_calls_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FanAnswer:
    """What one request came to; exactly one for each that was taken in. Either `error` is set, or the rest holds."""

    number: int
    """Of the request, as it was handed over with it."""
    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str = ""
    usage: Usage | None = None
    cost: Cost = Unknown
    seconds: float = 0.0
    """That the machine worked on it, without waiting for its turn."""
    error: PointsmanError | None = None

    @classmethod
    def of(cls, number: int, events: Sequence[StreamEvent], *, cost: Cost, seconds: float) -> Self:
        """An answer that came whole, from the events of its stream; the last is `Finished`."""
        finished = events[-1]
        assert isinstance(finished, Finished)
        return cls(
            number=number,
            text="".join(event.text for event in events if isinstance(event, TextDelta)),
            reasoning="".join(event.text for event in events if isinstance(event, ReasoningDelta)),
            tool_calls=tool_calls_of(events),
            finish_reason=finished.reason,
            usage=finished.usage,
            cost=cost,
            seconds=seconds,
        )


class FanOut(Protocol):
    """How many machines are put to work. It blocks, and is run in a thread of its own."""

    def __call__(
        self, config: Any, name: str, requests: Iterable[tuple[int, ChatRequest]], *, at_once: int | None
    ) -> AbstractContextManager[Iterator[FanAnswer]]:
        """Answers, in the order in which they come.

        `config` is the provider's configuration, `name` its name in it; `requests` are taken in as machines get free,
        `at_once` of them unanswered at most (None: as many as the machines can take). Leaving the context ends what
        runs; it may be left by another thread than the one that waits for an answer then. Raises `PointsmanError` on
        entering where the machines cannot be reached at all.
        """
        ...

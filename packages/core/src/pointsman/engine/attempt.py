"""One attempt, while it runs and once it is over."""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio

from ..cost import Price
from ..errors import PointsmanError
from ..telemetry import AttemptRecord, BreakerState, Outcome, Role
from ..types import Cost, ReasoningDelta, ServerTimings, Target, ToolCallDelta, Unknown, Usage
from .health import Ticket


@dataclass(slots=True, eq=False, repr=False)
class Attempt:
    """What the runner knows of one attempt. Times are seconds on the client's clock."""

    number: int
    target: Target
    started: float
    role: Role = "first"
    prefix: str = ""
    """The text that others have answered before, if this one goes on with it."""
    ticket: Ticket | None = None
    """Until it holds nothing any more."""
    probe: bool = False
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    done: anyio.Event = field(default_factory=anyio.Event)
    """Set when its task ends, which may be a little after its answer."""
    first_output: float | None = None
    ended: float | None = None
    finished: bool = False
    lost: bool = False
    """Another began its answer first."""
    paused: bool = False
    """The reader held it up at least once, so that its speed is not known."""
    held: float = 0.0
    """Seconds for which the reader held it up."""
    silence: float = 0.0
    """The longest time between two outputs."""
    texts: list[str] = field(default_factory=list[str])
    """The text that has arrived, in pieces."""
    rest: list[ReasoningDelta | ToolCallDelta] = field(default_factory=list[ReasoningDelta | ToolCallDelta])
    """What has arrived besides text."""
    error: PointsmanError | None = None
    usage: Usage | None = None
    cost: Cost = Unknown
    server: ServerTimings | None = None
    served: str | None = None
    price: Price | None = None
    breaker: BreakerState | None = None
    _counted: tuple[int, int, int] = (0, 0, 0)

    @property
    def served_by(self) -> Target:
        """The target, with the model that answered where the vendor said which."""
        return Target(self.target.provider, self.served) if self.served else self.target

    @property
    def answer(self) -> str:
        """The text so far, with what it goes on with."""
        return self.prefix + "".join(self.texts)

    @property
    def outcome(self) -> Outcome:
        """How it ended; an attempt that nobody ended and that did not end itself was cancelled."""
        if self.lost:
            return "lost"
        return "finished" if self.finished else "failed" if self.error else "cancelled"

    def written(self) -> int:
        """How many characters have arrived, reasoning and arguments of tools included. Counts only what is new."""
        texts, rest, count = self._counted
        count += sum(map(len, self.texts[texts:]))
        for one in self.rest[rest:]:
            count += len(one.text if isinstance(one, ReasoningDelta) else one.arguments)
        self._counted = len(self.texts), len(self.rest), count
        return count

    def record(self, call_id: str, now: float) -> AttemptRecord:
        """What sinks are told; `now` stands in for the end of one that still runs."""
        return AttemptRecord(
            call_id=call_id,
            attempt=self.number,
            target=self.target,
            outcome=self.outcome,
            started=self.started,
            first_output=self.first_output,
            ended=now if self.ended is None else self.ended,
            error=f"{type(self.error).__name__}: {self.error}" if self.error else None,
            usage=self.usage,
            cost=self.cost,
            server=self.server,
            served=self.served,
            role=self.role,
            probe=self.probe,
            price=self.price,
            held=self.held,
            breaker=self.breaker,
        )

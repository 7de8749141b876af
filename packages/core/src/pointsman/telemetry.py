"""What sinks receive, after the fact: one record for each attempt and one for each call, without any text of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from .cost import Price
from .policy import Decision
from .types import Cost, ServerTimings, Target, Timings, Unknown, Usage

Operation: TypeAlias = Literal["chat", "embeddings"]
"""By the names of OpenTelemetry's conventions for generative AI (``gen_ai.operation.name``)."""
Outcome: TypeAlias = Literal["finished", "failed", "cancelled", "lost"]
"""``lost``: of two attempts of the same call, the other began its answer first, or decided the call."""
Role: TypeAlias = Literal["first", "failover", "retry", "hedge", "resume"]
"""Why an attempt was made: after another target failed, at the same one again, beside one that was late, or to go on
with an answer that broke."""
BreakerState: TypeAlias = Literal["closed", "open", "half_open"]
"""``half_open``: a probe is out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord:
    """One try at one target. `started` and `ended` are seconds on the client's clock."""

    call_id: str
    attempt: int
    target: Target
    outcome: Outcome
    started: float
    first_output: float | None
    ended: float
    error: str | None = None
    """The class name of the error and its message, redacted."""
    usage: Usage | None = None
    cost: Cost = Unknown
    server: ServerTimings | None = None
    served: str | None = None
    """The model that answered, where `target` stands for several and the vendor said which."""
    role: Role = "first"
    probe: bool = False
    """It was the one attempt that a breaker let through, to see whether the target is well again."""
    price: Price | None = None
    """What the price book said of the target when the attempt ended. What it cost is `cost`: a hook may know better."""
    held: float = 0.0
    """Seconds for which the reader held it up: it was not the target that was slow then."""
    breaker: BreakerState | None = None
    """What stood between other calls and the target once the attempt had shown something: the worse of the target's
    breaker and its provider's. None where none watches: embeddings, and attempts that still run."""

    @property
    def error_type(self) -> str | None:
        """The class name of the error alone: its message may quote what was asked."""
        return self.error.partition(":")[0] if self.error else None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """One call, with all its attempts; sent once, when the call has ended, however it did."""

    call_id: str
    decision: Decision
    outcome: Outcome
    attempts: tuple[AttemptRecord, ...]
    timings: Timings
    cost: Cost
    """The sum over all attempts."""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    at: float
    """When it began, in seconds since 1970 (UTC)."""
    started: float
    """The same moment on the client's clock, on which its attempts stand."""
    operation: Operation = "chat"
    task: str | None = None
    target: Target | None = None
    """Whose answer stands; None if there is none."""
    finish_reason: str | None = None
    usage: Usage | None = None
    """Of the answer that stands."""

    @property
    def overhead(self) -> float:
        """Seconds of the call in which no attempt ran: deciding, waiting in line or for a cooldown, reading on."""
        busy, until = 0.0, self.started
        for attempt in self.attempts:  # They stand in the order in which they began.
            busy += max(0.0, attempt.ended - max(until, attempt.started))
            until = max(until, attempt.ended)
        return max(0.0, self.timings.e2e - busy)


Sink: TypeAlias = Callable[[AttemptRecord | CallRecord], None]
"""Receives each record in the event loop: it must return at once, and what it raises is logged and goes no further.

One that has a method ``started(call_id)`` is told, in the same way, when a call begins; whatever becomes of that, its
record follows.
"""

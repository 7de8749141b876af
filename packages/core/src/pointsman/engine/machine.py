"""Which target next, and when is it over? Every transition of a call lives in this file.

Rule 1: no I/O, no clock, no randomness. Inputs carry the time (and the dice); outputs are commands.
Rule 2: errors are read only through `scope`, `retryable` and `retry_at`; `ContextOverflow` alone also asks for a
        larger context.
Rule 3: the commit point is the first meaningful output. Before it, failing over is silent; after it, `on_break`
        decides.
Rule 4: one deadline over the call. What an attempt is allowed derives from it, and leaves time for a successor.
Rule 5: the clocks of first token and stall measure the provider: they stand still while the reader has not kept up.
Rule 6: a call settles exactly once; whatever arrives from an attempt that is no longer current is ignored.

::

    WAITING --due--> RUNNING --output--> COMMITTED --finished--> SETTLED
       ^                |failed              |broken
       |                v                    v
       +----------- next target? <---- on_break="restart"      (none left, request at fault, deadline: SETTLED)
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Literal, TypeAlias

from ..errors import (
    AllTargetsFailed,
    ContextOverflow,
    DeadlineExceeded,
    FirstTokenTimeout,
    PointsmanError,
    Scope,
    Stalled,
)
from ..types import AttemptFailed, Retracted, Started, StreamEvent, Target

OnBreak: TypeAlias = Literal["raise", "restart"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a call may take. Seconds; None means without limit, or, for `first_token`, that the defaults below hold."""

    deadline: float | None = None
    first_token: float | None = None
    stall: float | None = 20.0
    max_attempts: int = 8
    retries: int = 1
    """How often one target is asked again, once no other is left to ask."""
    on_break: OnBreak = "raise"


PATIENCE_WITH_OTHERS_LEFT = 10.0
"""Seconds to the first token while another target could still be asked."""
PATIENCE_WITH_LAST = 60.0
"""The same for the last: leaving it helps nobody, yet nothing may hang."""
BACKOFF = 0.25
"""Seconds before a target is asked again, doubled each time, times 0.5 to 1.5."""
LONGEST_WAIT = 5.0
"""Seconds that a vendor may ask us to wait before its refusal is passed on instead."""


@dataclass(frozen=True, slots=True)
class Leg:
    """A target in the plan, with its context size where it is known, and what it may need to get ready, in seconds."""

    target: Target
    context_tokens: int | None = None
    cold_start: float = 0.0


@dataclass(frozen=True, slots=True)
class Start:
    """Begin attempt number `attempt` at `target`."""

    attempt: int
    target: Target


@dataclass(frozen=True, slots=True)
class Cancel:
    """End attempt number `attempt`: `error` is what it is charged with."""

    attempt: int
    error: PointsmanError


@dataclass(frozen=True, slots=True)
class Emit:
    """Tell the reader."""

    event: StreamEvent


@dataclass(frozen=True, slots=True)
class Settle:
    """The call is over: with success if `error` is None."""

    error: PointsmanError | None


Command: TypeAlias = Start | Cancel | Emit | Settle


class Phase(enum.Enum):
    """Where a call stands."""

    WAITING = "waiting"
    RUNNING = "running"
    COMMITTED = "committed"
    SETTLED = "settled"


@dataclass(slots=True)
class _Leg:
    """A leg with what has happened to it."""

    leg: Leg
    tries: int = 0
    error: PointsmanError | None = None


@dataclass(slots=True)
class Machine:
    """One call. Feed it what happens; obey the commands; call `tick` when the clock reaches `due`."""

    plan: Sequence[Leg]
    limits: Limits
    began: float
    phase: Phase = Phase.WAITING
    attempt: int = 0
    """The number of the current attempt, from 1."""
    last_at: float = 0.0
    """When the current attempt last moved. The runner sets it for "one more delta, committed", the fast path."""
    paused: bool = False
    errors: list[PointsmanError] = field(default_factory=list[PointsmanError])
    _legs: list[_Leg] = field(default_factory=list[_Leg])
    _current: _Leg | None = None
    _wake_at: float = 0.0
    _first_token_by: float = inf

    def __post_init__(self) -> None:
        if not self.plan:
            raise ValueError("a call needs at least one target")
        self._legs = [_Leg(leg) for leg in self.plan]

    @property
    def deadline(self) -> float:
        """When the call must be over, on the clock that the inputs carry."""
        return inf if self.limits.deadline is None else self.began + self.limits.deadline

    @property
    def due(self) -> float:
        """When `tick` must be called next, if nothing else happens before."""
        match self.phase:
            case Phase.WAITING:
                return min(self._wake_at, self.deadline)
            case Phase.RUNNING if not self.paused:
                return min(self._first_token_by, self.deadline)
            case Phase.COMMITTED if not self.paused and self.limits.stall is not None:
                return min(self.last_at + self.limits.stall, self.deadline)
            case Phase.SETTLED:
                return inf
            case _:
                return self.deadline

    # What can happen ------------------------------------------------------------------------------------------------

    def start(self, now: float) -> list[Command]:
        """The call begins."""
        return self._advance(now, dice=0.5)

    def first_output(self, attempt: int, now: float) -> list[Command]:
        """The current attempt yielded something meaningful: the commit point."""
        if attempt != self.attempt or self.phase is not Phase.RUNNING or self._current is None:
            return []
        self.phase = Phase.COMMITTED
        self.last_at = now
        return [Emit(Started(self._current.leg.target, attempt))]

    def finished(self, attempt: int, now: float) -> list[Command]:
        """The current attempt's answer is whole. An answer without any output is an answer."""
        if attempt != self.attempt or self.phase not in (Phase.RUNNING, Phase.COMMITTED):
            return []
        opening = self.first_output(attempt, now)
        self.phase = Phase.SETTLED
        return [*opening, Settle(None)]

    def failed(self, attempt: int, error: PointsmanError, now: float, dice: float) -> list[Command]:
        """The current attempt ended with `error`. `dice` in [0, 1) spreads retries."""
        if attempt != self.attempt or self.phase not in (Phase.RUNNING, Phase.COMMITTED) or self._current is None:
            return []
        self._current.error = error
        self.errors.append(error)
        if self.phase is Phase.COMMITTED:
            if self.limits.on_break == "raise":
                return self._settle(self._verdict())
            told: Command = Emit(Retracted(str(error)))
        else:
            told = Emit(AttemptFailed(self._current.leg.target, attempt, error))
        if error.scope is Scope.REQUEST:
            return [told, *self._settle(error)]
        self.phase = Phase.WAITING
        return [told, *self._advance(now, dice)]

    def tick(self, now: float, dice: float) -> list[Command]:
        """The clock has reached `due`. Harmless at any other time."""
        if self.phase is Phase.SETTLED or now < self.due:
            return []
        if now >= self.deadline:
            return self._out_of_time(now)
        if self.phase is Phase.WAITING:
            return self._start_next(now)
        assert self._current is not None
        target = self._current.leg.target
        if self.phase is Phase.RUNNING:
            silence = now - self.last_at
            error: PointsmanError = FirstTokenTimeout(f"nothing came within {silence:.1f} s", target=target)
        else:
            error = Stalled(f"the stream stood still for {now - self.last_at:.1f} s", target=target)
        return [Cancel(self.attempt, error), *self.failed(self.attempt, error, now, dice)]

    def pause(self) -> None:
        """The reader has not kept up; the provider is not being read."""
        self.paused = True

    def resume(self, now: float) -> None:
        """The reader has caught up; the provider gets its whole stall limit anew."""
        self.paused = False
        self.last_at = now

    # What follows from it -------------------------------------------------------------------------------------------

    def _advance(self, now: float, dice: float) -> list[Command]:
        """Choose the next leg and go there, now or after a pause; or settle."""
        if now >= self.deadline:
            return self._out_of_time(now)
        if self.attempt >= self.limits.max_attempts:
            return self._settle(self._verdict())
        fresh = next((leg for leg in self._legs if leg.tries == 0 and not self._ruled_out(leg)), None)
        if fresh is not None:
            self._current, self._wake_at = fresh, now
            return self._start_next(now)
        again = [(self._ready_at(leg, now, dice), leg) for leg in self._legs if self._may_retry(leg, now)]
        if not again:
            return self._settle(self._verdict())
        self._wake_at, self._current = min(again, key=lambda pair: pair[0])
        return []

    def _start_next(self, now: float) -> list[Command]:
        assert self._current is not None
        self.attempt += 1
        self._current.tries += 1
        self.phase = Phase.RUNNING
        self.last_at = now
        self.paused = False
        self._first_token_by = now + self._patience(now)
        return [Start(self.attempt, self._current.leg.target)]

    def _patience(self, now: float) -> float:
        """Seconds to the first token. While another target is left, half of the remaining time stays for it."""
        others = any(leg.tries == 0 and not self._ruled_out(leg) for leg in self._legs)
        own = self.limits.first_token
        if own is None:
            assert self._current is not None
            own = PATIENCE_WITH_OTHERS_LEFT if others else PATIENCE_WITH_LAST + self._current.leg.cold_start
        return min(own, (self.deadline - now) / 2) if others else own

    def _ruled_out(self, leg: _Leg) -> bool:
        """Whether what was met so far shows that this leg would fail too. One that failed itself may be retried."""
        for other in self._legs:
            error = other.error
            if error is None:
                continue
            if error.scope is Scope.PROVIDER and other.leg.target.provider == leg.leg.target.provider:
                if other is leg and error.retryable:
                    continue
                return True
            if isinstance(error, ContextOverflow) and not _larger(leg.leg, other.leg):
                return True
        return False

    def _may_retry(self, leg: _Leg, now: float) -> bool:
        error = leg.error
        return (
            error is not None
            and error.retryable
            and leg.tries <= self.limits.retries
            and not self._ruled_out(leg)
            and (error.retry_at or now) - now <= LONGEST_WAIT
            and (error.retry_at or now) < self.deadline
        )

    def _ready_at(self, leg: _Leg, now: float, dice: float) -> float:
        backoff: float = BACKOFF * 2 ** (leg.tries - 1) * (0.5 + dice)
        assert leg.error is not None
        return max(now + backoff, leg.error.retry_at or now)

    def _out_of_time(self, now: float) -> list[Command]:
        over = DeadlineExceeded(f"the call was not done within {self.limits.deadline} s")
        if self.errors:
            over.__cause__ = self._verdict()
        running = self.phase in (Phase.RUNNING, Phase.COMMITTED)
        return [*([Cancel(self.attempt, over)] if running else []), *self._settle(over)]

    def _verdict(self) -> PointsmanError:
        """What the caller is told when nobody is left: one target's own last error, or all of them."""
        if len({error.target for error in self.errors}) == 1:
            return self.errors[-1]
        return AllTargetsFailed(f"{len(self.errors)} attempts failed", self.errors, partial=self.errors[-1].partial)

    def _settle(self, error: PointsmanError) -> list[Command]:
        self.phase = Phase.SETTLED
        return [Settle(error)]


def _larger(leg: Leg, than: Leg) -> bool:
    return (
        leg.context_tokens is not None and than.context_tokens is not None and leg.context_tokens > than.context_tokens
    )

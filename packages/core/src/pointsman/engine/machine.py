"""Which target next, and when is it over? Every transition of a call lives in this file.

Rule 1: no I/O, no clock, no randomness. Inputs carry the time (and the dice); outputs are commands; what other calls
        have met is looked up in the `Outlook`.
Rule 2: errors are read only through `scope`, `retryable`, `retry_at` and `begun`; `ContextOverflow` alone also asks
        for a larger context.
Rule 3: the commit point is the first meaningful output. Before it, failing over is silent; after it, `on_break`
        decides.
Rule 4: one deadline over the call. What an attempt is allowed derives from it, and leaves time for a successor.
Rule 5: the clocks of first token, stall and speed measure the provider: they stand still while the reader has not
        kept up.
Rule 6: a call settles exactly once; whatever arrives from an attempt that is no longer running is ignored.
Rule 7: a limit that was measured, not set, holds only where somebody can take over: leaving helps nobody else.
Rule 8: at most two attempts at once, the second a hedge, and only before the commit point: the first to speak wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf

from ..errors import AllTargetsFailed, DeadlineExceeded, FirstTokenTimeout, PointsmanError, Scope, Stalled, TooSlow
from ..telemetry import Role
from ..types import AttemptFailed, Resumed, Retracted, Started, Target
from .route import Route, Way
from .terms import Cancel, Command, Emit, Leg, Limits, Outlook, Phase, Settle, Start, Untried

PATIENCE_WITH_OTHERS_LEFT = 10.0
"""Seconds to the first token while another target could still be asked."""
PATIENCE_WITH_LAST = 60.0
"""The same for the last: leaving it helps nobody, yet nothing may hang."""
STALL = 20.0
"""Seconds between two outputs."""
SPEED_WINDOW = 10.0
"""Seconds over which the speed of an answer is measured."""


@dataclass(slots=True, eq=False, repr=False)
class _Running:
    """An attempt that has not ended."""

    number: int
    way: Way
    started: float
    first_token_by: float
    hedge_at: float


@dataclass(slots=True, eq=False, repr=False)
class Machine:
    """One call. Feed it what happens; obey the commands; call `tick` when the clock reaches `due`."""

    plan: Sequence[Leg]
    limits: Limits
    began: float
    outlook: Outlook = field(default_factory=Untried)
    phase: Phase = Phase.WAITING
    attempt: int = 0
    """How many attempts were begun; the number of the newest, from 1."""
    last_at: float = 0.0
    """When the answer last moved. The runner sets it for "one more delta, committed", the fast path."""
    paused: bool = False
    text_only: bool = True
    """Nothing but text has been said, so that another could go on with it. The runner says when that ends."""
    errors: list[PointsmanError] = field(default_factory=list[PointsmanError])
    resuming: bool = False
    """Output stands that the next answer has to go on with."""
    _route: Route = field(init=False)
    _running: list[_Running] = field(default_factory=list[_Running])
    _wake_at: float = 0.0
    _stall: float = STALL
    _min_speed: float | None = None
    _measured: tuple[float, int] = (0.0, 0)
    """Since when the speed is measured, and how many characters had been written by then."""

    def __post_init__(self) -> None:
        if not self.plan:
            raise ValueError("a call needs at least one target")
        self._route = Route(self.plan, self.limits, self.outlook)

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
            case Phase.RUNNING:
                return min(self.deadline, *(min(one.first_token_by, one.hedge_at) for one in self._running))
            case Phase.COMMITTED if not self.paused:
                measured = inf if self._min_speed is None else self._measured[0] + SPEED_WINDOW
                return min(self.last_at + self._stall, measured, self.deadline)
            case Phase.SETTLED:
                return inf
            case _:
                return self.deadline

    @property
    def queue(self) -> Sequence[Target]:
        """Whom it waits for, while it does."""
        return self._route.queue

    # What can happen ------------------------------------------------------------------------------------------------

    def start(self, now: float) -> list[Command]:
        """The call begins."""
        return self._advance(now)

    def first_output(self, attempt: int, now: float) -> list[Command]:
        """A running attempt yielded something meaningful: the commit point. Whoever else runs has lost."""
        winner = self._find(attempt)
        if winner is None or self.phase is not Phase.RUNNING:
            return []
        losers = self._lose(one for one in self._running if one is not winner)
        self._running = [winner]
        self.phase = Phase.COMMITTED
        self.last_at = now
        self._measured = (now, 0)
        self._set_clocks(winner)
        target = winner.way.leg.target
        opening = Emit(Resumed(target)) if self.resuming else Emit(Started(target, attempt))
        return [*losers, opening]

    def finished(self, attempt: int, now: float) -> list[Command]:
        """A running attempt's answer is whole. An answer without any output is an answer."""
        if self._find(attempt) is None:
            return []
        opening = self.first_output(attempt, now)
        self._running.clear()
        return [*opening, *self._settle(None)]

    def failed(self, attempt: int, error: PointsmanError, now: float, dice: float) -> list[Command]:
        """A running attempt ended with `error`. `dice` in [0, 1) spreads retries."""
        failed = self._find(attempt)
        if failed is None:
            return []
        self._running.remove(failed)
        self.errors.append(error)
        failed.way.fail(error, now, dice)
        if self.phase is Phase.COMMITTED:
            return self._broken(failed, error, now)
        told = Emit(AttemptFailed(failed.way.leg.target, attempt, error))
        # A request to go on is another than the caller's: who will not take it has said nothing of that.
        of_request = error.scope is Scope.REQUEST and (error.begun or not self.resuming)
        if of_request or _may_have_begun(failed, error):
            return [told, *self._settle(error if of_request else self._verdict(now))]
        if self._running:  # A hedge, or the one that it was for, may still answer.
            return [told]
        return [told, *self._advance(now)]

    def heard(self, attempt: int, now: float) -> None:
        """A running attempt has said something that is no output yet: it is not silent."""
        if (one := self._find(attempt)) is not None:
            stall = self.limits.stall or max(STALL, one.way.leg.silence)
            one.first_token_by = max(one.first_token_by, now + stall)

    def tick(self, now: float, dice: float, written: int = 0) -> list[Command]:
        """The clock has reached `due`. Harmless at any other time. `written`: characters of the answer so far."""
        if self.phase is Phase.SETTLED or now < self.due:
            return []
        if now >= self.deadline:
            return self._out_of_time()
        if self.phase is Phase.WAITING:
            return self._advance(now)
        if self.phase is Phase.RUNNING:
            silent = next((one for one in self._running if now >= one.first_token_by), None)
            if silent is None:
                return self._hedge(now)
            target, waited = silent.way.leg.target, now - silent.started
            error = FirstTokenTimeout(f"nothing came within {waited:.1f} s", target=target)
            return self._give_up(silent, error, now, dice)
        current = self._running[0]
        target = current.way.leg.target
        if now >= self.last_at + self._stall:
            stalled = Stalled(f"the stream stood still for {now - self.last_at:.1f} s", target=target)
            return self._give_up(current, stalled, now, dice)
        since, before = self._measured
        speed = (written - before) / (now - since)
        self._measured = (now, written)
        if self._min_speed is None or speed >= self._min_speed:
            return []
        slow = f"{speed:.1f} characters a second, less than {self._min_speed:.1f}"
        return self._give_up(current, TooSlow(f"the stream flows at {slow}", target=target), now, dice)

    def poke(self, now: float) -> list[Command]:
        """Something has changed at a target that this call may be waiting for."""
        if self.phase is not Phase.WAITING or now >= self.deadline:
            return []
        return self._advance(now)

    def pause(self) -> None:
        """The reader has not kept up; the provider is not being read."""
        self.paused = True

    def resume(self, now: float, written: int = 0) -> None:
        """The reader has caught up; the provider gets its whole stall limit anew, and its speed is measured anew."""
        self.paused = False
        self.last_at = now
        self._measured = (now, written)

    # What follows from it -------------------------------------------------------------------------------------------

    def _find(self, attempt: int) -> _Running | None:
        return next((one for one in self._running if one.number == attempt), None)

    def _give_up(self, one: _Running, error: PointsmanError, now: float, dice: float) -> list[Command]:
        return [Cancel(one.number, error), *self.failed(one.number, error, now, dice)]

    def _broken(self, broken: _Running, error: PointsmanError, now: float) -> list[Command]:
        """The answer broke after its commit point."""
        final = error.scope is Scope.REQUEST or not broken.way.leg.idempotent  # It has begun: there was output.
        mode = self.limits.on_break
        if mode == "continue" and self.text_only and not final:
            self.resuming = True
            return self._advance(now)
        if mode == "raise" or (mode == "continue" and not self.limits.may_retract):
            return self._settle(error if final else self._verdict(now, asked_only=True))
        return self._settle(error) if final else self._anew(error, now)

    def _anew(self, error: PointsmanError, now: float) -> list[Command]:
        """Another answer takes the place of the one that broke; that one stands if nobody is left to give another."""
        self.resuming = False
        following = self._advance(now)
        return following if self.phase is Phase.SETTLED else [Emit(Retracted(str(error))), *following]

    def _advance(self, now: float) -> list[Command]:
        """Go to the next leg, now or once it may be asked; or settle."""
        if now >= self.deadline:
            return self._out_of_time()
        self.phase = Phase.WAITING
        found = None
        if self.attempt < self.limits.max_attempts:
            found = self._route.next(now, resuming=self.resuming, deadline=self.deadline)
        if found is not None:
            self._wake_at, way = found
            if way is None or self._wake_at > now:
                return []
            return self._begin(way, now, "retry" if way.tries else "failover" if self.attempt else "first")
        if self.resuming and self.limits.may_retract:
            return self._anew(self.errors[-1], now)
        return self._settle(self._verdict(now))

    def _begin(self, way: Way, now: float, role: Role) -> list[Command]:
        self.attempt += 1
        way.tries += 1
        self._route.waiting_since = None
        self.phase = Phase.RUNNING
        self.paused = False
        self.text_only = self.text_only or not self.resuming
        # Whoever leaves a target that must not be asked twice has nobody to go to: rule 7.
        spare = way.leg.idempotent and self._route.has_spare(now, resuming=self.resuming)
        pace = self.outlook.pace(way.leg.target)
        first_token_by = now + self._patience(way, now, spare, pace.first_token)
        hedge_at = inf
        if self.limits.hedge and spare and not self._running and not self.resuming:
            hedge_at = now + way.leg.wait + (inf if pace.hedge_after is None else pace.hedge_after)
        self._running.append(_Running(self.attempt, way, now, first_token_by, hedge_at))
        return [Start(self.attempt, way.leg.target, "resume" if self.resuming else role)]

    def _hedge(self, now: float) -> list[Command]:
        """The first is late: begin a second, if the budget has one and another target can be asked this instant."""
        self._running[0].hedge_at = inf
        if self.attempt >= self.limits.max_attempts or not self.outlook.may_hedge():
            return []
        way = self._route.spare(now)
        return [] if way is None else self._begin(way, now, "hedge")

    def _patience(self, way: Way, now: float, spare: bool, measured: float | None) -> float:
        """Seconds to the first token, after those that the target was known to need to get ready. While another target
        is left, half of the remaining time stays for it.
        """
        own = self.limits.first_token
        if not spare:
            return PATIENCE_WITH_LAST + max(way.leg.cold_start, way.leg.wait) if own is None else own
        if own is None:
            own = way.leg.wait + (PATIENCE_WITH_OTHERS_LEFT if measured is None else measured)
        return min(own, (self.deadline - now) / 2)

    def _set_clocks(self, one: _Running) -> None:
        """The limits of an answer that has begun: those that were set, else those measured if another could follow."""
        limits = self.limits
        self._stall, self._min_speed = limits.stall or max(STALL, one.way.leg.silence), limits.min_speed
        replaceable = limits.on_break != "raise" and self._route.has_spare(self.last_at, resuming=self.resuming)
        if replaceable and one.way.leg.idempotent:
            pace = self.outlook.pace(one.way.leg.target)
            self._stall = limits.stall or pace.stall or STALL
            self._min_speed = limits.min_speed or pace.min_speed

    def _out_of_time(self) -> list[Command]:
        over = DeadlineExceeded(f"the call was not done within {self.limits.deadline} s")
        if self.errors:
            over.__cause__ = self._told(self.errors)
            over.partial = self.errors[-1].partial if self.resuming else ""
        running: list[Command] = [Cancel(one.number, over) for one in self._running]
        self._running.clear()
        return [*running, *self._settle(over)]

    def _verdict(self, now: float, *, asked_only: bool = False) -> PointsmanError:
        """What the caller is told when nobody is left: what the attempts met, and why others were not asked."""
        return self._told(self.errors if asked_only else [*self.errors, *self._route.closed(now)])

    def _told(self, errors: Sequence[PointsmanError]) -> PointsmanError:
        """One target's own last error, or all of them, in order of attempt."""
        if len({error.target for error in errors}) == 1:
            return errors[-1]
        asked, others = len(self.errors), len(errors) - len(self.errors)
        parts = [f"{asked} attempt{'' if asked == 1 else 's'} failed"] if asked else []
        parts += [f"{others} target{'' if others == 1 else 's'} could not be asked"] if others else []
        return AllTargetsFailed(
            ", ".join(parts),
            errors,
            partial=self.errors[-1].partial if self.errors else "",
            retry_at=min((error.retry_at for error in errors if error.retry_at is not None), default=None),
        )

    def _settle(self, error: PointsmanError | None) -> list[Command]:
        losers = self._lose(self._running)
        self._running.clear()
        self.phase = Phase.SETTLED
        return [*losers, Settle(error)]

    def _lose(self, late: Iterable[_Running]) -> list[Command]:
        """Attempts that only came too late. Their targets have not failed: they may be asked as if they never were."""
        commands: list[Command] = []
        for one in late:
            one.way.tries -= 1
            commands.append(Cancel(one.number, None))
        return commands


def _may_have_begun(one: _Running, error: PointsmanError) -> bool:
    """Whether asking anybody again might do twice what must be done once."""
    return not one.way.leg.idempotent and error.begun

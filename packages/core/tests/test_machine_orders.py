"""The pure machine, driven by every order of inputs that can happen, and held to a reference that remembers all."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pointsman import (
    AllTargetsFailed,
    AttemptFailed,
    AuthFailed,
    ContextOverflow,
    DeadlineExceeded,
    InvalidRequest,
    PointsmanError,
    RateLimited,
    Resumed,
    Retracted,
    Scope,
    Started,
    StreamBroken,
    Target,
    Unavailable,
)
from pointsman.engine.machine import Machine
from pointsman.engine.terms import Cancel, Command, Emit, Leg, Limits, Pace, Phase, Settle, Standing, Start, Untried

# Those after which the call goes on stand first and twice, so that calls get long enough to show something.
ERRORS = [Unavailable, RateLimited, StreamBroken, Unavailable, RateLimited, AuthFailed, ContextOverflow, InvalidRequest]
DICE = 0.5
LEGS = st.builds(
    Leg,
    st.builds(Target, st.sampled_from("ab"), st.sampled_from("mno")),
    st.sampled_from([None, 8, 32]),
    idempotent=st.sampled_from([True, True, True, False]),
    prefill=st.booleans(),
    cold_start=st.sampled_from([0.0, 0.0, 90.0]),
    wait=st.sampled_from([0.0, 0.0, 25.0]),
)


@dataclass
class Weather(Untried):
    """What other calls are made out to have met."""

    standings: dict[Target, Standing] = field(default_factory=dict[Target, Standing])
    known_pace: Pace = Pace()  # noqa: RUF009  (frozen)
    retries: bool = True
    hedges: bool = True

    def standing(self, target: Target, now: float) -> Standing:
        return self.standings.get(target, Standing())

    def pace(self, target: Target) -> Pace:
        return self.known_pace

    def may_retry(self) -> bool:
        return self.retries

    def may_hedge(self) -> bool:
        return self.hedges


@dataclass
class Past:
    """One attempt, as the reference remembers it."""

    leg: Leg
    error: PointsmanError | None = None
    ended: float = 0.0
    lost: bool = False


@dataclass
class Reference:
    """Who is to be asked next, worked out anew each time from everything that has happened."""

    legs: list[Leg]
    limits: Limits
    weather: Weather
    past: list[Past] = field(default_factory=list[Past])
    waits_since: float | None = None
    resuming: bool = False

    def choose(self, now: float, deadline: float) -> tuple[float, Leg | None]:
        """When, and whom; nobody and a time to look again; nobody and never."""
        alive = [leg for leg in self.legs if self.alive(leg)] if len(self.past) < self.limits.max_attempts else []
        opens = {leg: max(now, self.weather.standing(leg.target, now).open_at, self.told(leg)) for leg in alive}
        lined = [leg for leg in alive if self.weather.standing(leg.target, now).queue]
        if any(opens[leg] < deadline or opens[leg] == inf for leg in lined):
            self.waits_since, patience = None, inf  # Who stands in a line of ours waits anyway.
        else:
            self.waits_since = now if self.waits_since is None else self.waits_since
            patience = self.waits_since + self.limits.max_wait
        choices: list[tuple[float, bool, bool, int, Leg | None]] = []
        for leg in alive:
            tries = self.tries(leg)
            ready = tries[-1].ended + 0.25 * 2 ** (len(tries) - 1) * (0.5 + DICE) if tries else now
            at = max(opens[leg], ready)
            if opens[leg] == inf and now < patience:
                choices.append((patience, True, True, 99, None))
            elif opens[leg] <= max(now, patience) and at < deadline:
                avoid = self.weather.standing(leg.target, now).avoid
                choices.append((at, bool(tries), avoid, self.legs.index(leg), leg))
        at, _, _, _, leg = min(choices, default=(inf, False, False, 0, None), key=lambda one: one[:4])
        return at, leg

    def tries(self, leg: Leg) -> list[Past]:
        return [one for one in self.past if one.leg is leg and not one.lost]

    def told(self, leg: Leg) -> float:
        error = tries[-1].error if (tries := self.tries(leg)) else None
        return (error.retry_at or 0.0) if error else 0.0

    def alive(self, leg: Leg) -> bool:
        if self.dead(leg) or (self.resuming and not leg.prefill):
            return False
        tries = self.tries(leg)
        error = tries[-1].error if tries else None
        again = error is not None and error.retryable and len(tries) <= self.limits.retries and self.weather.retries
        return not tries or again

    def dead(self, leg: Leg) -> bool:
        for one in self.past:
            error = next((again.error for again in reversed(self.past) if again.leg is one.leg and again.error), None)
            own = one.leg is leg and error is not None and error.retryable
            if error is None:
                continue
            if error.scope is Scope.PROVIDER and one.leg.target.provider == leg.target.provider and not own:
                return True
            if isinstance(error, ContextOverflow) and not (leg.context_tokens or 0) > (one.leg.context_tokens or inf):
                return True
        return False


class AnyOrder(RuleBasedStateMachine):
    """Inputs in any order at any time; the invariants hold after each."""

    @initialize(
        legs=st.lists(LEGS, min_size=1, max_size=4, unique_by=lambda leg: leg.target),
        pace=st.just(Pace()) | st.just(Pace(hedge_after=1.0, first_token=4.0, stall=6.0, min_speed=50.0)),
        deadline=st.none() | st.floats(0.5, 120),
        first_token=st.none() | st.floats(0.1, 20),
        stall=st.none() | st.floats(0.1, 20),
        min_speed=st.none() | st.floats(1, 100),
        max_attempts=st.integers(1, 12),
        retries=st.integers(0, 2),
        max_wait=st.sampled_from([0.0, 5.0, 60.0]),
        on_break=st.sampled_from(["restart", "continue", "raise"]),
        may_retract=st.booleans(),
        hedge=st.booleans(),
    )
    def begin(self, legs: list[Leg], pace: Pace, **limits: object) -> None:
        self.limits = Limits(**limits)  # type: ignore[arg-type]
        self.weather = Weather(known_pace=pace)
        self.machine = Machine(legs, self.limits, 100.0, self.weather)
        self.reference = Reference(legs, self.limits, self.weather)
        self.now = 100.0
        self.running: dict[int, Past] = {}
        self.told: list[object] = []
        self.settled: list[PointsmanError | None] = []
        self.final = False
        self.obey(self.machine.start(self.now))

    def obey(self, commands: list[Command]) -> None:
        for command in commands:
            assert not self.settled, "nothing follows the end"
            match command:
                case Start(number, target, role):
                    self.started(number, target, role)
                case Cancel(number, error):
                    past = self.running.pop(number)
                    past.error, past.ended, past.lost = error, self.now, error is None
                case Emit(event):
                    self.told.append(event)
                    if isinstance(event, Retracted):
                        assert self.limits.on_break == "restart" or self.limits.may_retract
                        if self.reference.resuming:
                            assert self.reference.choose(self.now, self.machine.deadline)[1] is None
                        self.reference.resuming = False
                case Settle(error):
                    self.settled.append(error)
                    if error and not self.final and not isinstance(error, DeadlineExceeded):
                        asked = self.reference.choose(self.now, self.machine.deadline)
                        assert asked == (inf, None), "nobody is left"
        if self.machine.phase is Phase.WAITING and self.now < self.machine.deadline:
            at, _ = self.reference.choose(self.now, self.machine.deadline)
            assert self.machine.due == min(at, self.machine.deadline), "it waits for whom it should"
            assert self.machine.due > self.now

    def started(self, number: int, target: Target, role: str) -> None:
        assert number == len(self.reference.past) + 1
        if role == "hedge":
            assert self.limits.hedge
            assert self.weather.hedges
            assert len(self.running) == 1
            assert all(past.leg.idempotent for past in self.running.values())
            leg = next(leg for leg in self.reference.legs if leg.target == target)
            standing = self.weather.standing(target, self.now)
            assert leg.idempotent
            assert standing.open_at <= self.now
            assert all(past.lost for past in self.reference.past if past.leg is leg)
        else:
            assert not self.running
            at, chosen = self.reference.choose(self.now, self.machine.deadline)
            assert chosen is not None, "nobody should have been asked"
            assert (at, chosen.target) == (self.now, target)
            leg = chosen
            assert (role == "resume") is self.reference.resuming
        past = Past(leg)
        self.running[number] = past
        self.reference.past.append(past)
        self.reference.waits_since = None

    def end(self, number: int, error: PointsmanError, *, committed: bool, text_only: bool) -> None:
        """What follows by the rules from an attempt's end, before the machine's commands are obeyed."""
        past = self.running.pop(number)
        past.error, past.ended = error, self.now
        acted = not past.leg.idempotent and (committed or error.begun)
        takes_no_half = not committed and self.reference.resuming and not error.begun
        self.final = (error.scope is Scope.REQUEST and not takes_no_half) or acted
        if committed and not self.final:
            going_on = self.limits.on_break == "continue" and text_only
            self.reference.resuming = going_on
            self.final = self.limits.on_break == "raise" or (not going_on and not self.may_take_back)

    @property
    def may_take_back(self) -> bool:
        return self.limits.on_break == "restart" or self.limits.may_retract

    def some_running(self, pick: int) -> int:
        return sorted(self.running)[pick % len(self.running)]

    @precondition(lambda self: self.running)
    @rule(pick=st.integers(0, 1), reasoning=st.sampled_from([False, False, True]))
    def output(self, pick: int, reasoning: bool) -> None:
        first = self.machine.phase is Phase.RUNNING
        if reasoning:
            self.machine.text_only = False
        commands = self.machine.first_output(self.some_running(pick), self.now)
        self.obey(commands)
        assert bool(commands) is first, "the commit point comes once an attempt"
        assert len(self.running) == 1, "the first to speak wins"
        self.machine.last_at = self.now

    @precondition(lambda self: self.running and len(self.reference.past) > 2)
    @rule(pick=st.integers(0, 1))
    def finish(self, pick: int) -> None:
        number = self.some_running(pick)
        commands = self.machine.finished(number, self.now)
        del self.running[number]
        self.obey(commands)
        assert self.settled == [None]

    @precondition(lambda self: self.running)
    @rule(
        kind=st.sampled_from(ERRORS),
        wait=st.none() | st.none() | st.floats(0, 30),
        pick=st.integers(0, 1),
        begun=st.booleans(),
        wide=st.booleans(),
    )
    def fail(self, kind: type[PointsmanError], wait: float | None, pick: int, begun: bool, wide: bool) -> None:
        number = self.some_running(pick)
        target = self.running[number].leg.target
        error = kind("x", target=target, retry_at=None if wait is None else self.now + wait, begun=begun)
        if wide and kind is Unavailable:
            error.scope = Scope.PROVIDER
        committed = self.machine.phase is Phase.COMMITTED
        self.end(number, error, committed=committed, text_only=self.machine.text_only)
        before = len(self.told)
        self.obey(self.machine.failed(number, error, self.now, DICE))
        if not committed:
            heard = [one for one in self.told[before:] if isinstance(one, AttemptFailed)]
            assert [one.error for one in heard] == [error], "the reader hears"
        if self.final:
            assert self.settled, "nobody else is asked"

    @rule(
        which=st.integers(0, 3),
        opens=st.sampled_from([0.0, 0.0, 2.0, 50.0, inf]),
        queue=st.booleans(),
        avoid=st.booleans(),
        retries=st.sampled_from([True, True, False]),
        hedges=st.booleans(),
    )
    def weather_changes(self, which: int, opens: float, queue: bool, avoid: bool, retries: bool, hedges: bool) -> None:
        target = self.reference.legs[which % len(self.reference.legs)].target
        why = RateLimited("rests", target=target)
        opens = self.now + opens
        self.weather.standings[target] = Standing(opens, queue, avoid, why if opens > self.now else None)
        self.weather.retries, self.weather.hedges = retries, hedges
        self.obey(self.machine.poke(self.now))

    @rule(seconds=st.floats(0, 30))
    def wait(self, seconds: float) -> None:
        """Time passes, with a tick at each due time, as the watchdog gives them."""
        until = self.now + seconds
        while self.machine.due <= until:
            self.now = max(self.now, self.machine.due)
            before = self.machine.due
            self.tick()
            assert self.machine.due > before or self.settled, "a tick at the due time changes something"
        self.now = until

    @precondition(lambda self: self.machine.phase is Phase.WAITING and self.machine.due < inf)
    @rule()
    def pause_ends(self) -> None:
        self.wait(max(0.0, self.machine.due - self.now))  # It may be over already.

    def tick(self) -> None:
        committed, text_only = self.machine.phase is Phase.COMMITTED, self.machine.text_only
        commands = self.machine.tick(self.now, DICE, written=len(self.told))
        if commands and isinstance(commands[0], Cancel) and commands[0].error is not None:
            cancelled = commands[0]
            if not isinstance(cancelled.error, DeadlineExceeded):
                assert cancelled.error is not None
                self.end(cancelled.attempt, cancelled.error, committed=committed, text_only=text_only)
                commands = commands[1:]
        self.obey(commands)

    @rule(seconds=st.floats(0, 5))
    def late_watchdog(self, seconds: float) -> None:
        """The machine we run on was busy: time has passed, and nobody has ticked."""
        self.now += seconds

    @precondition(lambda self: not self.settled)
    @rule()
    def early_tick(self) -> None:
        if self.now < self.machine.due:
            assert self.machine.tick(self.now, DICE) == []

    @precondition(lambda self: self.machine.phase is Phase.COMMITTED)
    @rule(seconds=st.floats(0, 100))
    def slow_reader(self, seconds: float) -> None:
        """While the reader holds everything up, only the deadline counts."""
        self.machine.pause()
        if self.now + seconds < self.machine.deadline:
            self.now += seconds
            assert self.machine.tick(self.now, DICE) == []
        self.machine.resume(self.now, len(self.told))
        assert self.machine.due > self.now or self.now >= self.machine.deadline

    @rule(number=st.integers(0, 9))
    def stranger(self, number: int) -> None:
        """What comes from an attempt that is over, or never was, is ignored."""
        if number not in self.running:
            assert self.machine.first_output(number, self.now) == []
            assert self.machine.finished(number, self.now) == []
            assert self.machine.failed(number, Unavailable("late"), self.now, DICE) == []

    @invariant()
    def holds(self) -> None:
        if not hasattr(self, "machine"):
            return
        assert len(self.reference.past) <= self.limits.max_attempts
        tries = [past.leg.target for past in self.reference.past if not past.lost]
        assert all(tries.count(target) <= 1 + self.limits.retries for target in tries)
        assert len(self.running) <= 2
        assert (self.machine.phase is Phase.SETTLED) is bool(self.settled)
        assert len(self.settled) <= 1
        assert self.machine.due <= self.machine.deadline or self.settled
        assert self.settled or self.running or self.machine.phase is Phase.WAITING, "never idle"
        assert not (self.settled and self.running), "nothing is left running"
        started = [one for one in self.told if isinstance(one, Started)]
        retracted = [one for one in self.told if isinstance(one, Retracted)]
        assert len(started) - len(retracted) in (0, 1), "each answer but the last is withdrawn"
        assert self.limits.on_break == "continue" or not any(isinstance(one, Resumed) for one in self.told)
        if self.settled:
            self.verdict(self.settled[0])

    def verdict(self, error: PointsmanError | None) -> None:
        """What the caller is told agrees with what happened."""
        met = self.machine.errors
        if isinstance(error, DeadlineExceeded):
            assert self.now >= self.machine.deadline
            assert bool(error.__cause__) is bool(met)
        elif isinstance(error, AllTargetsFailed):
            assert list(error.exceptions[: len(met)]) == met, "in order of attempt"
            assert len({one.target for one in error.exceptions if isinstance(one, PointsmanError)}) > 1
        elif error is not None and met:
            assert error is met[-1]
            assert error.scope is Scope.REQUEST or len({one.target for one in met}) == 1 or self.final


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=max(300, settings().max_examples), stateful_step_count=30)

"""The pure machine, driven by every order of inputs that can happen."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pointsman import (
    AllTargetsFailed,
    AttemptFailed,
    AuthFailed,
    ContextOverflow,
    DeadlineExceeded,
    FirstTokenTimeout,
    InvalidRequest,
    PointsmanError,
    RateLimited,
    Retracted,
    Scope,
    Stalled,
    Started,
    StreamBroken,
    Target,
    Unavailable,
)
from pointsman.engine.machine import (
    LONGEST_WAIT,
    PATIENCE_WITH_LAST,
    PATIENCE_WITH_OTHERS_LEFT,
    Cancel,
    Command,
    Emit,
    Leg,
    Limits,
    Machine,
    Phase,
    Settle,
    Start,
)

# Those after which the call goes on stand first and twice, so that calls get long enough to show something.
ERRORS = [Unavailable, RateLimited, StreamBroken, Unavailable, RateLimited, AuthFailed, ContextOverflow, InvalidRequest]
A, B, C = Target("a", "m"), Target("b", "m"), Target("a", "n")


def machine(*targets: Target, **limits: object) -> Machine:
    return Machine([Leg(target) for target in targets], Limits(**limits), began=0.0)  # type: ignore[arg-type]


def failed(one: Machine, error: PointsmanError, now: float = 0.0) -> list[Command]:
    error.target = one.plan[0].target if error.target is None else error.target
    return one.failed(one.attempt, error, now, dice=0.5)


class AnyOrder(RuleBasedStateMachine):
    """Inputs in any order at any time; the invariants hold after each."""

    @initialize(
        legs=st.lists(
            st.tuples(st.sampled_from("ab"), st.sampled_from("mno"), st.sampled_from([None, 8, 32])),
            min_size=1,
            max_size=4,
            unique_by=lambda leg: leg[:2],
        ),
        deadline=st.none() | st.floats(0.5, 120),
        first_token=st.none() | st.floats(0.1, 20),
        stall=st.none() | st.floats(0.1, 20),
        max_attempts=st.integers(1, 12),
        retries=st.integers(0, 2),
        on_break=st.sampled_from(["restart", "restart", "raise"]),
    )
    def begin(self, legs: list[tuple[str, str, int | None]], **limits: object) -> None:
        plan = [Leg(Target(provider, model), context) for provider, model, context in legs]
        self.limits = Limits(**limits)  # type: ignore[arg-type]
        self.machine = Machine(plan, self.limits, began=100.0)
        self.now = 100.0
        self.running: int | None = None
        self.told: list[object] = []
        self.starts: list[tuple[float, Target]] = []
        self.settled: list[PointsmanError | None] = []
        self.promised: dict[Target, float] = {}
        self.obey(self.machine.start(self.now))

    def obey(self, commands: list[Command]) -> None:
        for command in commands:
            assert not self.settled, "nothing follows the end"
            match command:
                case Start(number, target):
                    assert self.running is None, "one attempt at a time"
                    assert number == len(self.starts) + 1
                    self.starts.append((self.now, target))
                    assert self.now >= self.promised.get(target, 0.0), "not before the vendor will listen"
                    self.running = number
                case Cancel(number, _):
                    assert number == self.running
                    self.running = None
                case Emit(event):
                    self.told.append(event)
                case Settle(error):
                    self.settled.append(error)

    @precondition(lambda self: self.running is not None)
    @rule()
    def output(self) -> None:
        first = self.machine.phase is Phase.RUNNING
        commands = self.machine.first_output(self.running or 0, self.now)
        self.obey(commands)
        assert bool(commands) is first, "the commit point comes once an attempt"
        self.machine.last_at = self.now

    @precondition(lambda self: self.running is not None and len(self.starts) > 2)
    @rule()
    def finish(self) -> None:
        number, self.running = self.running or 0, None
        self.obey(self.machine.finished(number, self.now))
        assert self.settled == [None]

    @precondition(lambda self: self.running is not None)
    @rule(kind=st.sampled_from(ERRORS), wait=st.none() | st.none() | st.floats(0, 30), dice=st.floats(0, 0.999))
    def fail(self, kind: type[PointsmanError], wait: float | None, dice: float) -> None:
        number, self.running = self.running or 0, None
        target = self.starts[-1][1]
        error = kind("x", target=target, retry_at=None if wait is None else self.now + wait)
        committed = self.machine.phase is Phase.COMMITTED
        self.promised[target] = error.retry_at or self.now
        self.obey(self.machine.failed(number, error, self.now, dice))
        if not committed:
            assert any(isinstance(one, AttemptFailed) and one.error is error for one in self.told), "the reader hears"
        if kind is InvalidRequest or (committed and self.limits.on_break == "raise"):
            assert self.settled, "nobody else is asked"

    @precondition(lambda self: self.machine.phase is Phase.WAITING)
    @rule()
    def pause_ends(self) -> None:
        self.wait(max(0.0, self.machine.due - self.now))  # It may be over already.

    @rule(seconds=st.floats(0, 30))
    def wait(self, seconds: float) -> None:
        """Time passes, with a tick at each due time, as the watchdog gives them."""
        until = self.now + seconds
        while self.machine.due <= until:
            self.now = max(self.now, self.machine.due)
            before = self.machine.due
            self.obey(self.machine.tick(self.now, dice=0.5))
            assert self.machine.due > before or self.settled, "a tick at the due time changes something"
        self.now = until

    @rule(seconds=st.floats(0, 5))
    def late_watchdog(self, seconds: float) -> None:
        """The machine we run on was busy: time has passed, and nobody has ticked."""
        self.now += seconds

    @precondition(lambda self: not self.settled)
    @rule()
    def early_tick(self) -> None:
        if self.now < self.machine.due:
            assert self.machine.tick(self.now, dice=0.5) == []

    @precondition(lambda self: self.machine.phase is Phase.COMMITTED)
    @rule(seconds=st.floats(0, 100))
    def slow_reader(self, seconds: float) -> None:
        """While the reader holds everything up, only the deadline counts."""
        self.machine.pause()
        if self.now + seconds < self.machine.deadline:
            self.now += seconds
            assert self.machine.tick(self.now, dice=0.5) == []
        self.machine.resume(self.now)
        assert self.machine.due >= min(self.now + (self.limits.stall or inf), self.machine.deadline)

    @rule(number=st.integers(0, 9))
    def stranger(self, number: int) -> None:
        """What comes from an attempt that is over, or never was, is ignored."""
        if number != self.running:
            assert self.machine.first_output(number, self.now) == []
            assert self.machine.finished(number, self.now) == []
            assert self.machine.failed(number, Unavailable("late", target=A), self.now, 0.5) == []

    @invariant()
    def holds(self) -> None:
        if not hasattr(self, "machine"):
            return
        tries = [target for _, target in self.starts]
        assert len(tries) <= self.limits.max_attempts
        assert all(tries.count(target) <= 1 + self.limits.retries for target in tries)
        assert all(at < self.machine.deadline for at, _ in self.starts)
        assert (self.machine.phase is Phase.SETTLED) is bool(self.settled)
        assert len(self.settled) <= 1
        assert self.machine.due <= self.machine.deadline or self.settled
        assert self.settled or self.running is not None or self.machine.phase is Phase.WAITING, "never idle"
        assert self.machine.due < inf or self.settled or self.running is not None
        started = [one for one in self.told if isinstance(one, Started)]
        retracted = [one for one in self.told if isinstance(one, Retracted)]
        assert len(started) - len(retracted) in (0, 1), "each answer but the last is withdrawn"
        if self.settled:
            self.verdict(self.settled[0])

    def verdict(self, error: PointsmanError | None) -> None:
        """What the caller is told agrees with what happened."""
        assert self.running is None or isinstance(error, DeadlineExceeded | InvalidRequest)
        if isinstance(error, AllTargetsFailed):
            assert list(error.exceptions) == self.machine.errors
            assert len({one.target for one in self.machine.errors}) > 1
        elif error is not None and not isinstance(error, DeadlineExceeded):
            assert error is self.machine.errors[-1]
            assert error.scope is Scope.REQUEST or len({one.target for one in self.machine.errors}) == 1
        if isinstance(error, DeadlineExceeded):
            assert self.now >= self.machine.deadline
            assert bool(error.__cause__) is bool(self.machine.errors)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=max(300, settings().max_examples), stateful_step_count=30)


def test_a_target_that_was_not_asked_comes_before_one_that_failed() -> None:
    one = machine(A, B, retries=3)
    one.start(0.0)
    told, start = failed(one, Unavailable("down", target=A))
    assert isinstance(told, Emit)
    assert isinstance(told.event, AttemptFailed)
    assert start == Start(2, B)


def test_everything_at_a_provider_whose_key_is_wrong_is_passed_over() -> None:
    one = machine(A, C, B)
    one.start(0.0)
    assert failed(one, AuthFailed("no", target=A))[-1] == Start(2, B)


def test_a_host_that_cannot_be_reached_is_not_asked_for_its_other_models_but_once_more_for_its_own() -> None:
    one = machine(A, C, retries=1)
    one.start(0.0)
    failed(one, Unavailable("no connection", target=A, scope=Scope.PROVIDER))
    assert one.phase is Phase.WAITING
    assert one.tick(one.due, 0.5) == [Start(2, A)]
    assert isinstance(
        failed(one, Unavailable("no connection", target=A, scope=Scope.PROVIDER), one.last_at)[-1], Settle
    )


def test_a_prompt_that_is_too_long_goes_to_a_larger_context_or_nowhere() -> None:
    plan = [Leg(A, 8_000), Leg(B, 8_000), Leg(C, None), Leg(Target("d", "m"), 32_000)]
    one = Machine(plan, Limits(), began=0.0)
    one.start(0.0)
    assert failed(one, ContextOverflow("long", target=A))[-1] == Start(2, plan[3].target)
    last = failed(one, ContextOverflow("still", target=plan[3].target))[-1]
    assert isinstance(last, Settle)


def test_a_silent_target_is_left_and_not_asked_again() -> None:
    one = machine(A, B, retries=5)
    one.start(0.0)
    assert one.due == PATIENCE_WITH_OTHERS_LEFT
    cancel, _, start = one.tick(one.due, 0.5)
    assert isinstance(cancel, Cancel)
    assert isinstance(cancel.error, FirstTokenTimeout)
    assert start == Start(2, B)
    one.tick(PATIENCE_WITH_OTHERS_LEFT + PATIENCE_WITH_LAST, 0.5)
    assert one.phase is Phase.SETTLED
    assert [type(error) for error in one.errors] == [FirstTokenTimeout, FirstTokenTimeout]


def test_a_cold_start_is_waited_for_where_nobody_else_is_left() -> None:
    one = Machine([Leg(A, cold_start=300.0), Leg(B, cold_start=100.0)], Limits(), began=0.0)
    one.start(0.0)
    assert one.due == PATIENCE_WITH_OTHERS_LEFT
    one.tick(10.0, 0.5)
    assert one.due == 10.0 + PATIENCE_WITH_LAST + 100.0


def test_half_of_the_time_is_left_for_a_successor() -> None:
    one = machine(A, B, deadline=8.0, first_token=7.0)
    one.start(0.0)
    assert one.due == 4.0
    one.tick(4.0, 0.5)
    assert one.due == 8.0, "the last gets what is left"


def test_a_limit_that_is_set_counts_for_the_first_as_for_the_last() -> None:
    one = machine(A, B, first_token=3.0)
    one.start(0.0)
    assert one.due == 3.0
    one.tick(3.0, 0.5)
    assert one.due == 6.0


def test_nobody_waits_for_a_vendor_beyond_the_deadline() -> None:
    one = machine(A, deadline=2.0)
    one.start(0.0)
    assert isinstance(failed(one, RateLimited("later", target=A, retry_at=3.0))[-1], Settle)


def test_a_failure_after_the_deadline_starts_nobody() -> None:
    one = machine(A, B, deadline=2.0)
    one.start(0.0)
    settle = failed(one, Unavailable("down", target=A), now=2.5)[-1]
    assert isinstance(settle, Settle)
    assert isinstance(settle.error, DeadlineExceeded)
    assert settle.error.__cause__ is one.errors[0]


def test_a_stream_that_stands_still_is_given_up_at_its_own_limit() -> None:
    one = machine(A, stall=5.0)
    one.start(0.0)
    one.first_output(1, 1.0)
    one.last_at = 3.0
    assert one.due == 8.0
    cancel = one.tick(8.0, 0.5)[0]
    assert isinstance(cancel, Cancel)
    assert isinstance(cancel.error, Stalled)


@pytest.mark.parametrize(("wait", "retried"), [(LONGEST_WAIT - 0.1, True), (LONGEST_WAIT + 0.1, False)])
def test_a_vendor_that_asks_for_patience_gets_a_little(wait: float, retried: bool) -> None:
    one = machine(A, retries=1)
    one.start(0.0)
    commands = failed(one, RateLimited("slow down", target=A, retry_at=wait))
    assert (one.phase is Phase.WAITING) is retried
    if retried:
        assert one.due >= wait
        assert one.tick(one.due, 0.5) == [Start(2, A)]
    else:
        assert isinstance(commands[-1], Settle)


@given(dice=st.floats(0, 0.999), tries=st.integers(1, 6))
def test_retries_spread_and_back_off(dice: float, tries: int) -> None:
    one = machine(A, retries=9, max_attempts=9)
    one.start(0.0)
    now = 0.0
    for number in range(1, tries + 1):
        one.failed(number, Unavailable("down", target=A), now, dice)
        pause = one.due - now
        assert 0.125 * 2 ** (number - 1) <= pause < 0.376 * 2 ** (number - 1)
        now = one.due
        one.tick(now, dice)


def test_a_plan_without_targets_is_a_bug_of_the_caller() -> None:
    with pytest.raises(ValueError, match="at least one target"):
        Machine([], Limits(), began=0.0)

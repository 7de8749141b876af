"""The pure machine, one story at a time. `test_machine_orders` drives it through every order of inputs."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    Resumed,
    Retracted,
    Scope,
    Stalled,
    Started,
    StreamBroken,
    Target,
    TooSlow,
    Unavailable,
)
from pointsman.engine.machine import (
    PATIENCE_WITH_LAST,
    PATIENCE_WITH_OTHERS_LEFT,
    SPEED_WINDOW,
    STALL,
    Machine,
)
from pointsman.engine.terms import Cancel, Command, Emit, Leg, Limits, Pace, Phase, Settle, Standing, Start, Untried

A, B, C = Target("a", "m"), Target("b", "m"), Target("a", "n")


def machine(*targets: Target, **limits: object) -> Machine:
    return Machine([Leg(target) for target in targets], Limits(**limits), began=0.0)  # type: ignore[arg-type]


def failed(one: Machine, error: PointsmanError, now: float = 0.0) -> list[Command]:
    error.target = one.plan[0].target if error.target is None else error.target
    return one.failed(one.attempt, error, now, dice=0.5)


def test_a_target_that_was_not_asked_comes_before_one_that_failed() -> None:
    one = machine(A, B, retries=3)
    one.start(0.0)
    told, start = failed(one, Unavailable("down", target=A))
    assert isinstance(told, Emit)
    assert isinstance(told.event, AttemptFailed)
    assert start == Start(2, B, "failover")


def test_everything_at_a_provider_whose_key_is_wrong_is_passed_over() -> None:
    one = machine(A, C, B)
    one.start(0.0)
    assert failed(one, AuthFailed("no", target=A))[-1] == Start(2, B, "failover")


def test_a_host_that_cannot_be_reached_is_not_asked_for_its_other_models_but_once_more_for_its_own() -> None:
    one = machine(A, C, retries=1)
    one.start(0.0)
    failed(one, Unavailable("no connection", target=A, scope=Scope.PROVIDER))
    assert one.phase is Phase.WAITING
    assert one.tick(one.due, 0.5) == [Start(2, A, "retry")]
    assert isinstance(
        failed(one, Unavailable("no connection", target=A, scope=Scope.PROVIDER), one.last_at)[-1], Settle
    )


def test_a_prompt_that_is_too_long_goes_to_a_larger_context_or_nowhere() -> None:
    plan = [Leg(A, 8_000), Leg(B, 8_000), Leg(C, None), Leg(Target("d", "m"), 32_000)]
    one = Machine(plan, Limits(), began=0.0)
    one.start(0.0)
    assert failed(one, ContextOverflow("long", target=A))[-1] == Start(2, plan[3].target, "failover")
    last = failed(one, ContextOverflow("still", target=plan[3].target))[-1]
    assert isinstance(last, Settle)


def test_a_silent_target_is_left_and_not_asked_again() -> None:
    one = machine(A, B, retries=5)
    one.start(0.0)
    assert one.due == PATIENCE_WITH_OTHERS_LEFT
    cancel, _, start = one.tick(one.due, 0.5)
    assert isinstance(cancel, Cancel)
    assert isinstance(cancel.error, FirstTokenTimeout)
    assert start == Start(2, B, "failover")
    one.tick(PATIENCE_WITH_OTHERS_LEFT + PATIENCE_WITH_LAST, 0.5)
    assert one.phase is Phase.SETTLED
    assert [type(error) for error in one.errors] == [FirstTokenTimeout, FirstTokenTimeout]


def test_a_cold_start_is_waited_for_where_nobody_else_is_left() -> None:
    one = Machine([Leg(A, cold_start=300.0), Leg(B, cold_start=100.0)], Limits(), began=0.0)
    one.start(0.0)
    assert one.due == PATIENCE_WITH_OTHERS_LEFT
    one.tick(10.0, 0.5)
    assert one.due == 10.0 + PATIENCE_WITH_LAST + 100.0


def test_a_target_that_acts_is_given_time_as_if_nobody_else_were_left() -> None:
    """Leaving it would help nobody: what it may have begun is asked of nobody else."""
    legs = [Leg(A, cold_start=30.0, idempotent=False, silence=100.0), Leg(B)]
    one = Machine(legs, Limits(hedge=True), began=0.0)
    one.start(0.0)
    assert one.due == PATIENCE_WITH_LAST + 30.0
    one.first_output(1, 5.0)
    assert one.due == 105.0  # It may be silent for so long between two outputs, too.
    assert isinstance(one.tick(105.0, 0.5)[-1], Settle)


def test_usual_silence_counts_only_where_nobody_set_a_limit() -> None:
    one = Machine([Leg(A, silence=100.0)], Limits(stall=7.0), began=0.0)
    one.start(0.0)
    one.first_output(1, 5.0)
    assert one.due == 12.0


@pytest.mark.parametrize("legs", [[Leg(A)], [Leg(A, idempotent=False), Leg(B)]])
def test_nothing_is_withdrawn_where_nobody_is_left_to_answer_anew(legs: list[Leg]) -> None:
    one = Machine(legs, Limits(on_break="restart", retries=0), began=0.0)
    one.start(0.0)
    one.first_output(1, 1.0)
    broken = StreamBroken("cut", target=A)
    assert one.failed(1, broken, 2.0, dice=0.5) == [Settle(broken)]


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


@pytest.mark.parametrize(("wait", "retried"), [(4.9, True), (5.1, False)])
def test_a_vendor_that_asks_for_patience_gets_a_little(wait: float, retried: bool) -> None:
    one = machine(A, retries=1)
    one.start(0.0)
    commands = failed(one, RateLimited("slow down", target=A, retry_at=wait))
    assert (one.phase is Phase.WAITING) is retried
    if retried:
        assert one.due >= wait
        assert one.tick(one.due, 0.5) == [Start(2, A, "retry")]
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


# What is known from other calls -------------------------------------------------------------------------------------


class Known(Untried):
    """What a test says of targets."""

    def __init__(self, pace: Pace = Pace(), hedges: bool = True, retries: bool = True, **standings: Standing) -> None:  # noqa: B008  (frozen)
        self.standings = standings
        self.known_pace = pace
        self.hedges = hedges
        self.retries = retries

    def standing(self, target: Target, now: float) -> Standing:
        return self.standings.get(target.provider, Standing())

    def pace(self, target: Target) -> Pace:
        return self.known_pace

    def may_retry(self) -> bool:
        return self.retries

    def may_hedge(self) -> bool:
        return self.hedges


def knowing(outlook: Known, *legs: Leg, **limits: object) -> Machine:
    return Machine(legs or (Leg(A), Leg(B)), Limits(**limits), 0.0, outlook)  # type: ignore[arg-type]


def test_who_rests_is_passed_over_and_waited_for_only_if_nobody_else_can_be_asked() -> None:
    resting = Standing(3.0, error=RateLimited("rests", target=A))
    assert knowing(Known(a=resting)).start(0.0) == [Start(1, B, "first")]
    alone = knowing(Known(a=resting), Leg(A))
    assert alone.start(0.0) == []
    assert alone.due == 3.0


def test_who_rests_too_long_is_not_waited_for_and_the_caller_is_told_by_whom() -> None:
    one = knowing(Known(a=Standing(6.0, error=RateLimited("rests", target=A))), Leg(A))
    [settle] = one.start(0.0)
    assert isinstance(settle, Settle)
    assert isinstance(settle.error, RateLimited)


def test_nobody_is_asked_again_beyond_the_budget() -> None:
    one = knowing(Known(retries=False), Leg(A), retries=5)
    one.start(0.0)
    assert isinstance(failed(one, Unavailable("down", target=A))[-1], Settle)


def test_those_who_could_not_be_asked_stand_in_the_verdict_beside_those_who_failed() -> None:
    one = knowing(Known(b=Standing(90.0, error=Unavailable("broken", target=B))), retries=0)
    one.start(0.0)
    settle = failed(one, AuthFailed("no", target=A))[-1]
    assert isinstance(settle, Settle)
    assert isinstance(settle.error, AllTargetsFailed)
    assert [type(error) for error in settle.error.exceptions] == [AuthFailed, Unavailable]
    assert "1 attempt failed, 1 target could not be asked" in str(settle.error)


def test_a_line_is_waited_in_for_as_long_as_it_takes() -> None:
    one = knowing(Known(a=Standing(inf, queue=True)), Leg(A), deadline=300.0)
    assert one.start(0.0) == []
    assert one.due == 300.0
    assert one.poke(200.0) == [], "still in line"


def test_who_would_probably_fail_is_asked_last() -> None:
    assert knowing(Known(a=Standing(avoid=True))).start(0.0) == [Start(1, B, "first")]


def test_measured_limits_hold_only_where_somebody_can_take_over() -> None:
    pace = Pace(first_token=2.0, stall=6.0, min_speed=100.0)
    one = knowing(Known(pace), on_break="restart")
    one.start(0.0)
    assert one.due == 2.0
    one.first_output(1, 1.0)
    assert one.due == 7.0
    lone = knowing(Known(pace), Leg(A), on_break="restart")
    lone.start(0.0)
    assert lone.due == PATIENCE_WITH_LAST
    lone.first_output(1, 1.0)
    assert lone.due == 1.0 + STALL


def test_a_limit_that_was_set_goes_before_one_that_was_measured() -> None:
    one = knowing(Known(Pace(first_token=2.0, stall=6.0)), on_break="restart", first_token=4.0, stall=9.0)
    one.start(0.0)
    assert one.due == 4.0
    one.first_output(1, 1.0)
    assert one.due == 10.0


def test_speed_is_measured_over_a_window_and_anew_after_the_reader_held_it_up() -> None:
    one = machine(A, min_speed=10.0, stall=60.0)
    one.start(0.0)
    one.first_output(1, 0.0)
    one.last_at = 9.0
    assert one.due == SPEED_WINDOW
    assert one.tick(10.0, 0.5, written=100) == [], "just fast enough"
    one.pause()
    assert one.due == inf
    one.resume(50.0, written=120)
    assert one.due == 60.0
    cancel = one.tick(60.0, 0.5, written=219)[0]
    assert isinstance(cancel, Cancel)
    assert isinstance(cancel.error, TooSlow)


# Hedging ------------------------------------------------------------------------------------------------------------

LATE = Pace(hedge_after=1.0)


def hedged(**limits: object) -> Machine:
    one = knowing(Known(LATE), hedge=True, **limits)
    one.start(0.0)
    assert one.due == 1.0
    assert one.tick(1.0, 0.5) == [Start(2, B, "hedge")]
    return one


@pytest.mark.parametrize("winner", [1, 2])
def test_the_first_to_speak_wins(winner: int) -> None:
    one = hedged()
    lose, started = one.first_output(winner, 1.5)
    assert lose == Cancel(3 - winner, None)
    assert isinstance(started, Emit)
    assert started.event == Started((A, B)[winner - 1], winner)
    assert one.first_output(3 - winner, 1.5) == []


def test_who_only_came_too_late_is_asked_as_if_for_the_first_time() -> None:
    one = hedged(on_break="restart", retries=0)
    one.first_output(2, 1.5)
    retracted, start = one.failed(2, StreamBroken("cut", target=B), 2.0, 0.5)
    assert isinstance(retracted, Emit)
    assert start == Start(3, A, "failover")


def test_the_other_goes_on_if_one_of_two_fails() -> None:
    one = hedged()
    [told] = one.failed(1, Unavailable("down", target=A), 1.2, 0.5)
    assert isinstance(told, Emit)
    assert one.phase is Phase.RUNNING
    assert one.finished(2, 2.0)[-1] == Settle(None)


def test_an_error_of_the_request_ends_both() -> None:
    one = hedged()
    _, cancel, settle = one.failed(2, InvalidRequest("no", target=B), 1.2, 0.5)
    assert cancel == Cancel(1, None)
    assert isinstance(settle, Settle)


def test_a_deadline_ends_both() -> None:
    one = hedged(deadline=3.0)
    *cancels, settle = one.tick(3.0, 0.5)
    assert [cancel.attempt for cancel in cancels if isinstance(cancel, Cancel)] == [1, 2]
    assert isinstance(settle, Settle)


@pytest.mark.parametrize(
    "no",
    [
        {"outlook": Known(LATE, hedges=False)},
        {"outlook": Known(LATE, b=Standing(2.0))},
        {"outlook": Known(LATE, b=Standing(avoid=True))},
        {"max_attempts": 1},
        {"hedge": False},
        {"legs": (Leg(A), Leg(B, idempotent=False))},
        {"legs": (Leg(A, idempotent=False), Leg(B))},
        {"legs": (Leg(A),)},
    ],
    ids=["no budget", "rests", "would fail", "no attempt left", "not asked for", "b only once", "a only once", "lone"],
)
def test_nobody_is_hedged_where_it_may_not_be(no: dict[str, Any]) -> None:
    outlook, legs = no.pop("outlook", Known(LATE)), no.pop("legs", ())
    one = knowing(outlook, *legs, **{"hedge": True, **no})
    one.start(0.0)
    assert one.tick(1.0, 0.5) == []
    assert one.due > 1.0


# What must not be done twice ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("begun", [True, False])
def test_what_may_have_begun_at_a_target_that_acts_is_not_asked_of_anybody_else(begun: bool) -> None:
    one = knowing(Known(), Leg(A, idempotent=False), Leg(B))
    one.start(0.0)
    last = failed(one, Unavailable("gone", target=A, begun=begun))[-1]
    assert isinstance(last, Settle) is begun
    if not begun:
        assert last == Start(2, B, "failover")


def test_an_answer_of_a_target_that_acts_is_never_started_anew() -> None:
    one = knowing(Known(), Leg(A, idempotent=False), Leg(B), on_break="restart")
    one.start(0.0)
    one.first_output(1, 0.5)
    assert isinstance(failed(one, StreamBroken("cut", target=A), 1.0)[-1], Settle)


# Going on with an answer --------------------------------------------------------------------------------------------


def broken(*legs: Leg, text_only: bool = True, **limits: object) -> tuple[Machine, list[Command]]:
    one = knowing(Known(), *legs, on_break="continue", retries=0, **limits)
    one.start(0.0)
    one.first_output(1, 0.5)
    one.text_only = text_only
    return one, failed(one, StreamBroken("cut", target=A), 1.0)


def test_only_who_can_go_on_is_asked_to() -> None:
    c = Target("c", "m")
    one, commands = broken(Leg(A), Leg(B), Leg(c, prefill=True))
    assert commands == [Start(2, c, "resume")]
    [resumed] = one.first_output(2, 2.0)
    assert isinstance(resumed, Emit)
    assert resumed.event == Resumed(c)
    assert one.finished(2, 3.0) == [Settle(None)]


@pytest.mark.parametrize("may_retract", [True, False])
@pytest.mark.parametrize("text_only", [True, False])
def test_what_cannot_be_gone_on_with_is_started_anew_or_raised(may_retract: bool, text_only: bool) -> None:
    can = not text_only  # Whether B could go on, if it were text.
    _, commands = broken(Leg(A), Leg(B, prefill=can), text_only=text_only, may_retract=may_retract)
    if may_retract:
        retracted, start = commands
        assert isinstance(retracted, Emit)
        assert isinstance(retracted.event, Retracted)
        assert start == Start(2, B, "failover")
    else:
        [settle] = commands
        assert isinstance(settle, Settle)
        assert isinstance(settle.error, StreamBroken)


def test_a_continuation_may_break_and_be_gone_on_with() -> None:
    c = Target("c", "m")
    one, _ = broken(Leg(A), Leg(B, prefill=True), Leg(c, prefill=True))
    one.first_output(2, 2.0)
    assert one.failed(2, StreamBroken("again", target=B), 3.0, 0.5) == [Start(3, c, "resume")]


def test_reasoning_before_a_fresh_answer_is_forgotten_with_it() -> None:
    """What was retracted does not keep the next answer from being gone on with."""
    c = Target("c", "m")
    one, _ = broken(Leg(A), Leg(B), Leg(c, prefill=True), text_only=False, may_retract=True)
    one.first_output(2, 2.0)
    assert one.failed(2, StreamBroken("again", target=B), 3.0, 0.5) == [Start(3, c, "resume")]


def test_who_will_not_take_half_an_answer_has_said_nothing_of_the_question() -> None:
    c = Target("c", "m")
    one, _ = broken(Leg(A), Leg(B, prefill=True), Leg(c), may_retract=True)
    _, retracted, start = one.failed(2, InvalidRequest("the last message is the assistant's", target=B), 2.0, 0.5)
    assert isinstance(retracted, Emit)
    assert start == Start(3, c, "failover")


def test_who_was_waited_for_is_still_the_first() -> None:
    one = knowing(Known(a=Standing(3.0)), Leg(A))
    one.start(0.0)
    one.outlook = Known()
    one._route.outlook = one.outlook
    assert one.tick(3.0, 0.5) == [Start(1, A, "first")]


@pytest.mark.parametrize(("opens", "waits_for"), [(0.1, []), (10.0, [A]), (inf, [A])])
def test_who_is_not_ready_itself_does_not_hold_up_a_line(opens: float, waits_for: list[Target]) -> None:
    class Closing(Untried):
        closed = False

        def standing(self, target: Target, now: float) -> Standing:
            return Standing(opens, queue=True) if self.closed else Standing()

    one = Machine([Leg(A)], Limits(), 0.0, Closing())
    one.start(0.0)
    one.outlook.closed = True  # type: ignore[attr-defined]
    failed(one, Unavailable("down"))
    assert one.phase is Phase.WAITING
    assert list(one.queue) == waits_for, "its pause is a quarter of a second"

"""What is remembered of targets: the new counts more than the old, in little memory, whatever order it is told in."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import AuthFailed, InvalidRequest, Measured, PastAttempt, PastCall, Target
from pointsman.engine.health.gauge import BUCKETS, RATINGS, Gauge
from pointsman.engine.health.histories import DAYS, ENOUGH, FEW, MINUTES, TARGETS, TASKS, Histories
from pointsman.engine.health.sketch import RATIO

NOW = 1_796_083_200.0
A, B = Target("a", "m"), Target("b", "m")


def attempt(target: Target = A, at: float = NOW, **facts: Any) -> PastAttempt:
    given: dict[str, Any] = {"outcome": "finished", "duration": 2.0, "first_output": 1.0, "output_tokens": 101}
    return PastAttempt(target=target, ended=at, **given | facts)


def call(*attempts: PastAttempt, call_id: str = "c", task: str | None = None, rating: float | None = None) -> PastCall:
    last = attempts[-1]
    return PastCall(
        call_id=call_id, ended=last.ended, target=last.target, task=task, rating=rating, attempts=tuple(attempts)
    )


def told(*calls: PastCall, now: float = NOW) -> Histories:
    histories = Histories()
    for one in calls:
        histories.add(one, now)
    return histories


def near(measured: Measured, **parts: float | None) -> None:
    for name, value in parts.items():
        assert getattr(measured, name) == (None if value is None else pytest.approx(value, rel=RATIO - 1, abs=1e-9)), (
            name
        )


# What one attempt says -----------------------------------------------------------------------------------------------


def test_an_answer_says_how_fast_its_target_is_at_that_task_and_length() -> None:
    history = told(call(attempt(input_tokens=600), task="code")).of(A, NOW)
    for measured in (history.overall, history.recent, history.tasks["code"], history.lengths["medium"]):
        near(measured, attempts=1, failures=0, first_token=1.0, answers=1, tokens_per_second=100, timed=1, quality=None)
    assert (list(history.tasks), list(history.lengths)) == (["code"], ["medium"])
    assert told(call(attempt())).of(B, NOW) == Histories().of(B, NOW), "nothing is known of the other"


@pytest.mark.parametrize(
    ("facts", "counted", "failed"),
    [
        ({"outcome": "failed", "error_type": "Unavailable"}, 1, 1),
        ({"outcome": "failed", "error_type": "RateLimited"}, 1, 1),
        ({"outcome": "failed", "error_type": "AnErrorOfSomebodysOwn"}, 1, 1),
        ({"outcome": "failed", "error_type": "InvalidRequest"}, 0, 0),
        ({"outcome": "failed", "error_type": "ContextOverflow"}, 0, 0),
        ({"outcome": "failed", "error_type": "Refused"}, 0, 0),
        ({"outcome": "failed", "error_type": "DeadlineExceeded"}, 0, 0),
        ({"outcome": "failed", "error_type": "ConfigError"}, 0, 0),
        ({"outcome": "cancelled"}, 0, 0),
        ({"outcome": "lost"}, 0, 0),
    ],
)
def test_what_the_caller_or_we_have_done_is_not_its_fault(facts: dict[str, Any], counted: int, failed: int) -> None:
    history = told(call(attempt(**facts, first_output=None))).of(A, NOW)
    for measured in (history.overall, history.recent):
        near(measured, attempts=counted, failures=failed, first_token=None)


@pytest.mark.parametrize("error", ["AuthFailed", "QuotaExhausted", "ModelGone"])
def test_what_somebody_will_mend_is_held_against_it_for_minutes_only(error: str) -> None:
    history = told(call(attempt(outcome="failed", error_type=error), task="code")).of(A, NOW)
    near(history.recent, attempts=1, failures=1)
    near(history.overall, attempts=0, failures=0)
    assert not history.tasks


def test_an_error_of_a_plugins_own_counts_like_its_kind() -> None:
    """As docs/errors.md has plugins derive theirs."""

    class TooManyImages(InvalidRequest):
        pass

    class KeyExpired(AuthFailed):
        pass

    for kind, here, over_days in ((TooManyImages, 0, 0), (KeyExpired, 1, 0)):
        facts = {"outcome": "failed", "error_type": kind.__name__, "first_output": None}
        history = told(call(attempt(**facts))).of(A, NOW)
        near(history.recent, attempts=here, failures=here)
        near(history.overall, attempts=over_days, failures=over_days)


@pytest.mark.parametrize(
    "facts",
    [
        {"output_tokens": None},
        {"output_tokens": 5},
        {"duration": 1.05},
        {"held": 0.95},
        {"first_output": None},
        {"outcome": "failed", "error_type": "StreamBroken"},
    ],
)
def test_a_speed_is_not_told_that_is_not_its_own(facts: dict[str, Any]) -> None:
    near(told(call(attempt(**facts))).of(A, NOW).overall, tokens_per_second=None, timed=0)


def test_time_that_the_reader_took_is_not_its_slowness() -> None:
    near(told(call(attempt(duration=12.0, held=10.0))).of(A, NOW).overall, tokens_per_second=100)


def test_who_lost_against_a_hedge_was_slower_than_that_if_it_was_slower_than_usual() -> None:
    usual = [call(attempt(first_output=1.0), call_id=str(n)) for n in range(3)]
    slow = [call(attempt(outcome="lost", first_output=None, duration=9.0), call_id=f"slow {n}") for n in range(4)]
    quick = [replace(one, attempts=(replace(one.attempts[0], duration=0.1),)) for one in slow]
    near(told(*usual, *slow).of(A, NOW).overall, first_token=9.0, attempts=3)
    near(told(*usual, *quick).of(A, NOW).overall, first_token=1.0, attempts=3)


def test_the_last_rating_counts_and_is_a_tasks_own() -> None:
    one = call(attempt(), task="code", rating=0.5)
    histories = told(one, call(attempt(), call_id="d", task="prose", rating=1.0))
    near(histories.of(A, NOW).overall, quality=0.75, rated=2)
    histories.rate(one, 0.0, NOW)
    near(histories.of(A, NOW).overall, quality=0.5, rated=2)
    near(histories.of(A, NOW).tasks["code"], quality=0.0, rated=1)
    near(histories.of(A, NOW).tasks["prose"], quality=1.0, rated=1)


# Time and number -----------------------------------------------------------------------------------------------------

seconds = st.floats(0, 1e5)
moments = st.floats(-400 * 86_400, 400 * 86_400).map(lambda offset: NOW + offset)
attempts = st.builds(
    attempt,
    target=st.sampled_from([A, B]),
    at=moments,
    outcome=st.sampled_from(["finished", "failed", "cancelled", "lost"]),
    error_type=st.sampled_from([None, "Unavailable", "FirstTokenTimeout", "AuthFailed", "Refused"]),
    duration=seconds,
    first_output=st.none() | seconds,
    held=seconds,
    input_tokens=st.none() | st.integers(0, 2**62),
    output_tokens=st.none() | st.integers(0, 2**62),
)
calls = st.builds(
    lambda several, number, task, rating: call(*several, call_id=str(number), task=task, rating=rating),
    st.lists(attempts, min_size=1, max_size=3),
    st.integers(0, 9),
    st.sampled_from([None, "code", "prose"]),
    st.none() | st.floats(0, 1),
)


def sound(one: Measured, most: float) -> None:
    numbers = (one.attempts, one.failures, one.answers, one.timed, one.rated)
    assert all(isfinite(number) and number >= 0 for number in numbers), one
    assert max(one.attempts, one.answers) <= most * (1 + 1e-6), one
    assert one.failures <= one.attempts * (1 + 1e-9), one
    assert one.rated <= RATINGS
    for value in (one.first_token, one.tokens_per_second):
        assert value is None or (isfinite(value) and value > 0), one
    assert one.quality is None or 0 <= one.quality <= 1 + 1e-9, one


@given(st.lists(st.tuples(calls, moments), max_size=40), moments)
def test_whatever_is_told_what_is_known_is_sound(history: list[tuple[PastCall, float]], asked: float) -> None:
    histories = Histories()
    for one, now in history:
        histories.add(one, now)
        for now_asked in (now, asked):
            for target in (A, B):
                known = histories.of(target, now_asked)
                sound(known.overall, ENOUGH)
                sound(known.recent, FEW)
                for measured in (*known.tasks.values(), *known.lengths.values()):
                    sound(measured, ENOUGH)


@given(st.lists(calls, max_size=10, unique_by=lambda one: one.call_id), st.randoms(use_true_random=False))
def test_the_order_in_which_few_calls_are_told_makes_no_difference(several: list[PastCall], dice: Any) -> None:
    """But for who lost: that is told by what was usual till then."""
    several = [one for one in several if all(it.outcome != "lost" for it in one.attempts)]
    several = [one for one in several if all(it.error_type != "FirstTokenTimeout" for it in one.attempts)]
    shuffled = dice.sample(several, len(several))
    now = NOW + 401 * 86_400
    one, other = told(*several, now=now), told(*shuffled, now=now)
    for target in (A, B):
        seen, due = one.of(target, now), other.of(target, now)
        assert seen.tasks.keys() == due.tasks.keys()
        for left, right in ((seen.overall, due.overall), *((seen.tasks[name], due.tasks[name]) for name in due.tasks)):
            assert left.attempts == pytest.approx(right.attempts, abs=1e-6)
            assert left.failures == pytest.approx(right.failures, abs=1e-6)
            assert (left.quality is None) == (right.quality is None)
            assert left.quality == pytest.approx(right.quality, abs=1e-6)
            if left.answers > 0.1 < right.answers:
                assert left.answers == pytest.approx(right.answers, abs=1e-4)


@pytest.mark.parametrize(("part", "half_life"), [("overall", DAYS), ("recent", MINUTES)])
def test_after_a_half_life_an_attempt_counts_half(part: str, half_life: float) -> None:
    histories = told(*(call(attempt(at=NOW), call_id=str(n)) for n in range(8)))
    near(getattr(histories.of(A, NOW), part), attempts=8, answers=8, timed=8)
    near(getattr(histories.of(A, NOW + half_life), part), attempts=4, answers=4, timed=4)
    near(getattr(histories.of(A, NOW + 40 * half_life), part), attempts=0, answers=0, first_token=None)


def test_a_tenfold_slowdown_shows_within_ten_calls_and_is_over_as_soon() -> None:
    histories, at = Histories(), NOW

    def some(count: int, first_token: float) -> float | None:
        nonlocal at
        for _ in range(count):
            at += 1.0
            histories.add(call(attempt(at=at, first_output=first_token, duration=first_token + 1)), at)
        return histories.of(A, at).recent.first_token

    assert some(1000, 0.3) == pytest.approx(0.3, rel=0.1)
    assert some(11, 3.0) == pytest.approx(3.0, rel=0.1)
    assert histories.of(A, at).overall.first_token == pytest.approx(0.3, rel=0.1), "days are not minutes"
    assert some(11, 0.3) == pytest.approx(0.3, rel=0.1)


def test_over_days_as_many_again_outweigh_what_was() -> None:
    """However much there was: a target that has become another one is soon known as that."""
    slow = [call(attempt(at=NOW, first_output=9.0, duration=10.0), call_id=str(n)) for n in range(2_000)]
    quick = [call(attempt(at=NOW), call_id=f"quick {n}") for n in range(int(ENOUGH))]
    near(told(*slow, *quick).of(A, NOW).overall, attempts=ENOUGH, first_token=1.0)


def test_a_clock_that_is_ahead_does_not_silence_the_others() -> None:
    ahead = call(attempt(at=NOW + 10 * DAYS, first_output=9.0, duration=10.0))
    here = [call(attempt(at=NOW), call_id=str(n)) for n in range(3)]
    near(told(ahead, *here).of(A, NOW).recent, attempts=4, first_token=1.0)


def test_little_is_kept_however_much_is_told() -> None:
    histories = Histories()
    for number in range(TARGETS + 20):
        target = Target("p", str(number))
        histories.add(call(attempt(target), call_id=str(number), task="t"), NOW)
    assert histories.targets() == [Target("p", str(number)) for number in range(20, TARGETS + 20)]
    for number in range(TASKS + 5):
        for _ in range(2 if number == 0 else 1):
            histories.add(call(attempt(A), task=f"task {number}"), NOW)
    kept = histories.of(A, NOW).tasks
    assert len(kept) == TASKS
    assert {"task 0", f"task {TASKS + 4}"} <= kept.keys(), "the least used goes, and the new one comes"


@given(st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=200))
def test_a_gauge_keeps_few_buckets_and_no_median_leaves_what_was_seen(values: list[float]) -> None:
    gauge = Gauge(DAYS, ENOUGH)
    for value in values:
        gauge.add(NOW, failed=False, first_token=value, speed=value)
    assert len(gauge.first_token.buckets) <= BUCKETS
    median = gauge.measured(NOW).first_token
    assert median is not None
    assert max(min(values), 1e-4) / RATIO <= median <= max(*values, 1e-4) * RATIO


def test_of_more_buckets_than_there_may_be_the_lightest_go_to_their_neighbours() -> None:
    gauge = Gauge(DAYS, ENOUGH)
    for number in range(100):
        for value in (1.0, 1.1**number):
            gauge.add(NOW, failed=False, first_token=value, speed=value)
    for kept in (gauge.first_token, gauge.speed):
        assert len(kept.buckets) == BUCKETS
        assert sum(kept.buckets.values()) == pytest.approx(kept.total) == pytest.approx(200)
    assert gauge.measured(NOW).first_token == pytest.approx(1.0, rel=0.11)


def test_a_gauge_keeps_the_newest_ratings() -> None:
    gauge = Gauge(DAYS, ENOUGH)
    for number in range(RATINGS + 50):
        gauge.rate(str(number), NOW + number, number >= 50)
    assert (len(gauge.ratings), gauge.measured(NOW + 150).quality) == (RATINGS, 1.0)


def test_what_has_not_changed_is_handed_out_again() -> None:
    histories = told(call(attempt()))
    first = histories.of(A, NOW)
    assert histories.of(A, NOW + 1) is first
    histories.add(call(attempt(B)), NOW + 1)
    assert histories.of(A, NOW + 2) is first
    histories.add(call(attempt(A)), NOW + 2)
    assert histories.of(A, NOW + 2).overall.attempts == pytest.approx(2, rel=1e-3)

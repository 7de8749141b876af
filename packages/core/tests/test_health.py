"""What a client learns from its calls: nothing is forgotten, nobody is charged for another, none waits for ever."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from math import ceil, inf

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pointsman import (
    AuthFailed,
    ConfigError,
    ContextOverflow,
    FirstTokenTimeout,
    InvalidRequest,
    ModelGone,
    PluginError,
    PointsmanError,
    QuotaExhausted,
    RateLimit,
    RateLimited,
    RateLimits,
    Refused,
    Scope,
    Stalled,
    StreamBroken,
    Target,
    TooSlow,
    Unavailable,
)
from pointsman.engine.health import Budget, Caps, Health, Ticket
from pointsman.engine.health.breaker import LEAST, State
from pointsman.engine.health.paces import ALL_SLOW, ENOUGH, REFRESH, Paces
from pointsman.engine.health.place import AVOIDED, FIRST_COOLDOWN, LONGEST_COOLDOWN
from pointsman.engine.health.sketch import HALF_LIFE, RATIO, SMALLEST, Sketch
from pointsman.engine.health.windows import HEDGE_BURST, MINUTE, RETRY_BURST, Window

A, A2, B = Target("a", "m"), Target("a", "other"), Target("b", "m")
TIMES = st.floats(0, 1000)
CALLER_ERRORS = [InvalidRequest, ContextOverflow, Refused]
STEADY_ERRORS = [AuthFailed, QuotaExhausted, ModelGone]


def capped(**caps: Caps) -> Health:
    """A health with limits of ours; in names, ``_`` stands for ``/``."""
    named = {name.replace("_", "/"): cap for name, cap in caps.items()}
    return Health(lambda name: named.get(name, Caps()))


def begin(health: Health, target: Target = A, now: float = 0.0, *, tokens: int = 1, cold: bool = False) -> Ticket:
    assert health.standing(target, now, tokens).open_at <= now
    return health.begin(target, now, tokens, cold=cold)


def fail(health: Health, error: PointsmanError, target: Target = A, now: float = 0.0, *, cold: bool = False) -> None:
    ticket = begin(health, target, now, cold=cold)
    health.failed(ticket, error, now)
    health.end(ticket, now)


def opens(health: Health, target: Target = A, now: float = 0.0, tokens: int = 1) -> float:
    return max(now, health.standing(target, now, tokens).open_at)


def broken(error: Callable[[], PointsmanError] = lambda: Unavailable("down"), target: Target = A) -> Health:
    """A health in which the target's breaker, or its provider's, has opened at 0."""
    health = Health()
    tickets = [begin(health, target) for _ in range(LEAST)]
    for ticket in tickets:
        health.failed(ticket, error(), 0.0)
        health.end(ticket, 0.0)
    return health


# Cooldowns ----------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(TIMES, st.none() | TIMES, st.booleans()), min_size=1, max_size=12))
@example([(0.0, 50.0, False), (0.0, 20.0, False), (0.0, None, False)])
@example([(0.0, 50.0, False), (0.0, None, True)])
def test_the_later_end_of_a_cooldown_wins_and_nothing_shortens_it(
    story: list[tuple[float, float | None, bool]],
) -> None:
    health = Health()
    tickets = [begin(health) for _ in story]
    latest, now = 0.0, 0.0
    for ticket, (pause, retry_at, well) in zip(tickets, story, strict=True):
        now += pause / 100
        before = health.place("a/m").open_at
        if well:
            health.spoke(ticket, now)
        else:
            health.failed(ticket, RateLimited("slow down", retry_at=retry_at), now)
            latest = max(latest, retry_at or 0.0)
        health.end(ticket, now)
        assert health.place("a/m").open_at >= max(before, latest)
    assert opens(health, now=now) >= latest


def test_who_does_not_say_for_how_long_rests_longer_each_time_but_once_for_those_side_by_side() -> None:
    health, now, pauses = Health(), 0.0, []
    for _ in range(9):
        tickets = [begin(health, now=now) for _ in range(3)]
        for ticket in tickets:
            health.failed(ticket, RateLimited("slow down"), now)
            health.end(ticket, now)
        pauses.append(opens(health, now=now) - now)
        now = opens(health, now=now)
    assert (
        pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60] == [min(FIRST_COOLDOWN * 2**n, LONGEST_COOLDOWN) for n in range(9)]
    )
    health.spoke(begin(health, now=now), now)
    fail(health, RateLimited("slow down"), now=now)
    assert opens(health, now=now) - now == FIRST_COOLDOWN


@pytest.mark.parametrize(("scope", "others"), [(Scope.TARGET, 0.0), (Scope.PROVIDER, 50.0)])
def test_a_cooldown_is_of_whom_the_error_is_about(scope: Scope, others: float) -> None:
    health = Health()
    fail(health, RateLimited("slow down", retry_at=50.0, scope=scope))
    assert (opens(health, A), opens(health, A2), opens(health, B)) == (50.0, others, 0.0)


# Breakers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [Unavailable, FirstTokenTimeout, Stalled, TooSlow, StreamBroken])
def test_outages_open_the_breaker_of_the_target_alone(error: type[PointsmanError]) -> None:
    health = broken(lambda: error("gone"))
    assert (opens(health, A), opens(health, A2), opens(health, B)) == (1.0, 0.0, 0.0)


def test_outages_of_a_provider_open_its_own_breaker() -> None:
    health = broken(lambda: PluginError("broken", plugin="a"))
    assert (opens(health, A), opens(health, A2), opens(health, B)) == (1.0, 1.0, 0.0)
    assert health.place("a/m").breaker.state is State.CLOSED


@given(st.lists(st.sampled_from([*CALLER_ERRORS, *STEADY_ERRORS, ConfigError]), max_size=30), st.booleans())
def test_neither_callers_nor_keys_open_a_breaker(errors: list[type[PointsmanError]], cold: bool) -> None:
    health = Health()
    for error in errors:
        fail(health, error("no"), cold=cold)
        if cold:
            fail(health, FirstTokenTimeout("silent"), cold=True)
    assert opens(health) == 0.0


def test_a_cold_start_is_no_failure_but_others_come_first() -> None:
    health = Health()
    for _ in range(50):
        fail(health, FirstTokenTimeout("silent"), cold=True)
    standing = health.standing(A, 0.0, 1)
    assert standing.open_at == 0.0
    assert standing.avoid
    assert not health.standing(A, AVOIDED, 1).avoid
    for _ in range(LEAST):
        fail(health, Unavailable("down", status=503), cold=True)
    assert opens(health) > 0, "a server that says that it is down is down"


@pytest.mark.parametrize("error", STEADY_ERRORS)
def test_what_will_not_change_by_itself_is_asked_last(error: type[PointsmanError]) -> None:
    health = Health()
    fail(health, error("no", status=400))
    assert health.standing(A, 0.0, 1).avoid
    assert health.standing(A2, 0.0, 1).avoid == (error is not ModelGone)
    assert not health.standing(B, 0.0, 1).avoid
    health.spoke(begin(health), 1.0)
    assert not health.standing(A, 1.0, 1).avoid, "it has answered"


END_OF_PROBE: dict[str, Callable[[Health, Ticket], None]] = {
    "cancelled": lambda health, ticket: None,
    "its key": lambda health, ticket: health.failed(ticket, AuthFailed("no key", scope=Scope.TARGET), 1.5),
    "cold": lambda health, ticket: health.failed(ticket, FirstTokenTimeout("silent"), 1.5),
    "refused before it was sent": lambda health, ticket: health.failed(ticket, InvalidRequest("too odd"), 1.5),
    "its provider was in the way": lambda health, ticket: health.failed(ticket, PluginError("bug", plugin="a"), 1.5),
}


@pytest.mark.parametrize("how", END_OF_PROBE)
def test_a_probe_that_shows_nothing_lets_the_next_one_probe(how: str) -> None:
    health = broken()
    ticket = begin(health, now=1.0, cold=True)
    assert ticket.probe
    assert ticket.probes == (True, False)
    waiting = health.standing(A, 1.0, 1)
    assert waiting.open_at == inf, "one probe at a time"
    assert waiting.error is not None
    assert "until another attempt has ended" in str(waiting.error)
    woken: list[str] = []
    waiting_call = health.call(1)
    waiting_call.line_up([A], 1.0, lambda: woken.append("me") or waiting_call.step_out())
    END_OF_PROBE[how](health, ticket)
    health.end(ticket, 1.5)
    assert woken == ["me"]
    assert opens(health, now=1.5) == 1.5
    assert begin(health, now=1.5).probe


@pytest.mark.parametrize("well", [True, False])
def test_the_first_thing_that_a_probe_shows_decides_and_wakes_those_in_line(well: bool) -> None:
    health = broken()
    ticket = begin(health, now=1.0)
    woken: list[str] = []
    waiting = health.call(1)
    waiting.line_up([A], 1.0, lambda: woken.append("me") or waiting.step_out())
    if well:
        health.spoke(ticket, 2.0)
    else:
        health.failed(ticket, Unavailable("still down"), 2.0)
    assert woken == ["me"], "before it has ended"
    assert opens(health, now=2.0) == (2.0 if well else 4.0)
    health.failed(ticket, StreamBroken("gone"), 3.0)
    health.end(ticket, 3.0)
    assert opens(health, now=3.0) == (3.0 if well else 4.0), "and then it was an attempt like others"


@pytest.mark.parametrize("error", [RateLimited("full", retry_at=1.0), AuthFailed("no", status=401), Refused("no")])
def test_who_refuses_is_there(error: PointsmanError) -> None:
    health = broken()
    ticket = begin(health, now=1.0)
    health.failed(ticket, error, 1.5)
    assert health.place("a/m").breaker.state is State.CLOSED


def test_a_health_check_ends_the_pause_of_a_provider_and_all_its_targets() -> None:
    health = broken()
    health.checked("b", well=True, now=0.25, valid_for=10)
    assert opens(health, now=0.25) == 1.0
    health.checked("a", well=True, now=0.25, valid_for=10)
    assert opens(health, now=0.25) == 0.25
    assert begin(health, now=0.25).probe
    health.checked("b", well=False, now=1.0, valid_for=10)
    assert health.standing(B, 10.9, 1).avoid
    assert not health.standing(B, 11, 1).avoid
    assert opens(health, B) == 0.0, "a check alone shuts nobody out"


def test_those_that_failed_long_ago_together_do_not_count_against_it_once_it_is_well() -> None:
    health = Health()
    tickets = [begin(health) for _ in range(50)]
    for ticket in tickets[:LEAST]:
        health.failed(ticket, Unavailable("down"), 1.0)
    probe = begin(health, now=2.0)
    health.spoke(probe, 2.5)
    for ticket in tickets[LEAST:]:
        health.failed(ticket, FirstTokenTimeout("silent"), 10.0)
    assert opens(health, now=10.0) == 10.0


# What is remembered, and told ---------------------------------------------------------------------------------------


def test_a_standing_error_names_the_target_and_when() -> None:
    health = Health()
    fail(health, RateLimited("slow down", scope=Scope.PROVIDER, retry_at=50.0, target=A, status=429))
    error = health.standing(A2, 10.0, 1).error
    assert isinstance(error, RateLimited)
    assert (error.target, error.provider, error.retry_at, error.status) == (A2, "a", 50.0, 429)
    assert str(error).startswith("a/other: not asked for another 40.0 s, since it asked for patience: slow down")
    again = health.standing(A, 20.0, 1).error
    assert "for another 30.0 s, since it asked for patience: slow down" in str(again), "told anew each time"


def test_a_standing_error_is_about_what_is_in_the_way() -> None:
    """Not about what was in the way an hour ago, nor what only another request had met."""
    limits = RateLimits()
    health = Health(limits={"a": limits})
    fail(health, Unavailable("down"))
    fail(health, ContextOverflow("too long"))
    limits.learn("m", RateLimit("requests", 10, 0, 50.0))
    error = health.standing(A, 10.0, 1).error
    assert str(error) == "a/m: not asked for another 40.0 s: by its own headers, its limit is used up"
    fail(health, ContextOverflow("too long"), B)
    fail(health, RateLimited("slow down"), B)
    fail(health, ContextOverflow("too long"), B, 1.0)
    assert health.place("b/m").error is not None
    assert isinstance(health.place("b/m").error, RateLimited)


def test_limits_of_ours_are_named_as_such() -> None:
    health = capped(a=Caps(concurrent=1), b_m=Caps(rpm=1))
    ticket = begin(health)
    standing = health.standing(A, 0.0, 1)
    assert standing.queue
    assert (
        str(standing.error) == 'a/m: not asked until another attempt has ended: [limits."a"] concurrent = 1 is used up'
    )
    assert standing.error is not None
    assert standing.error.retry_at is None
    health.end(ticket, 0.0)
    begin(health, B)
    standing = health.standing(B, 15.0, 1)
    assert standing.queue
    assert str(standing.error) == 'b/m: not asked for another 45.0 s: [limits."b/m"] rpm = 1 is used up'


def test_what_is_remembered_holds_no_frames_no_causes_and_no_text() -> None:
    health, error = Health(), None
    try:
        try:
            raise OSError("socket")
        except OSError as cause:
            raise Unavailable("down", partial="secret words", retry_at=9.0) from cause
    except Unavailable as caught:
        error = caught
    fail(health, error)
    kept, told = health.place("a/m").error, health.standing(A, 0.0, 1).error
    assert kept is not None
    assert told is not None
    for one in (kept, told):
        assert one is not error
        assert one.__traceback__ is one.__cause__ is one.__context__ is None
        assert one.partial == ""
    assert (error.partial, error.message) == ("secret words", "down"), "the caller's own is left as it is"
    assert error.__cause__ is not None
    assert error.__traceback__ is not None


# Limits of ours -----------------------------------------------------------------------------------------------------


@given(
    st.integers(1, 10),
    st.lists(st.tuples(st.floats(0, 40), st.integers(0, 14), st.none() | st.integers(0, 14)), max_size=40),
)
@example(1, [(0.0, 1, None), (59.5, 1, None)])
def test_no_minute_ever_holds_more_than_the_limit(limit: int, sent: list[tuple[float, int, int | None]]) -> None:
    """What is larger than the limit goes alone; what turned out otherwise counts as what it was."""
    window, now = Window(limit), 0.0
    begun: list[tuple[float, int]] = []
    for pause, amount, really in sent:
        now += pause
        at = window.opens_at(now, amount)
        if at > now:
            # Not a moment later than it must be.
            just_before = [size for begin, size in begun if begin + MINUTE > at - 1e-6]
            assert sum(just_before) + min(amount, limit) > limit
            now = at
        assert window.opens_at(now, amount) <= now, "the moment that was told holds"
        recent = [size for begin, size in begun if begin + MINUTE > now]
        assert sum(recent) + min(amount, limit) <= limit
        spent = window.spend(now, amount)
        if really is not None:
            spent.correct(really)
        begun.append((now, spent.amount))


@given(st.integers(1, 5), st.integers(1, 5), st.lists(st.floats(0, 20), max_size=40))
def test_requests_a_minute_of_targets_and_providers(mine: int, whole: int, pauses: list[float]) -> None:
    health = capped(a_m=Caps(rpm=mine), a=Caps(rpm=whole))
    now, sent = 0.0, list[float]()
    for number, pause in enumerate(pauses):
        now += pause
        target = (A, A2)[number % 2]
        if (standing := health.standing(target, now, 1)).open_at > now:
            assert standing.queue
            continue
        health.end(begin(health, target, now), now)
        sent.append(now)
    for first in sent:
        assert sum(first <= at < first + MINUTE - 1e-6 for at in sent) <= whole


def test_tokens_a_minute_are_put_right_once_they_are_known() -> None:
    health = capped(a=Caps(tpm=100))
    ticket = begin(health, tokens=80)
    assert opens(health, tokens=30) == MINUTE
    health.end(ticket, 1.0, tokens=10)
    assert opens(health, now=1.0, tokens=30) == 1.0
    begin(health, now=1.0, tokens=90)
    assert opens(health, now=2.0, tokens=1000) == 1.0 + MINUTE, "what never fits goes alone"
    assert opens(health, now=2.0, tokens=10) == MINUTE


@given(
    st.lists(
        st.tuples(
            st.sampled_from([A, A2, B]),
            st.sampled_from([None, *CALLER_ERRORS, *STEADY_ERRORS, RateLimited, Unavailable, StreamBroken]),
            st.booleans(),
            st.floats(0, 30),
        ),
        max_size=60,
    ),
    st.randoms(use_true_random=False),
)
def test_whatever_happens_all_that_began_ends(
    story: list[tuple[Target, type[PointsmanError] | None, bool, float]], dice: random.Random
) -> None:
    health, now = capped(a=Caps(concurrent=4)), 0.0
    running: list[tuple[Ticket, type[PointsmanError] | None]] = []

    def end_one() -> None:
        ticket, error = running.pop(dice.randrange(len(running)))
        if error is not None:
            health.failed(ticket, error("no"), now)
        health.end(ticket, now)

    for target, error, speaks, pause in story:
        now += pause
        if health.standing(target, now, 1).open_at <= now:
            ticket = health.begin(target, now, 1, cold=False)
            running.append((ticket, error))
            if speaks:
                health.spoke(ticket, now)
        elif running:
            end_one()
        for name in ("a", "b", "a/m", "a/other", "b/m"):
            assert (
                sum(name in (ticket.target.provider, str(ticket.target)) for ticket, _ in running)
                == health.place(name).running
            )
    while running:
        end_one()
    for name in ("a", "b", "a/m", "a/other", "b/m"):
        assert health.place(name).running == 0
        assert health.place(name).breaker.state is not State.PROBING
    assert all(opens(health, target, now + 3600) == now + 3600 for target in (A, A2, B)), "nobody is shut for ever"


# Limits that vendors state ------------------------------------------------------------------------------------------


def learnt(*limits: RateLimit, model: str = "m") -> tuple[Health, RateLimits]:
    said = RateLimits()
    for limit in limits:
        said.learn(model, limit)
    return Health(limits={"a": said}), said


@given(st.integers(0, 6), st.integers(0, 20))
def test_what_is_left_is_counted_down_until_the_vendor_says_more(remaining: int, sent: int) -> None:
    health, said = learnt(RateLimit("requests", 10, remaining, 60.0))
    began = 0
    for _ in range(sent):
        if opens(health) == 0.0:
            health.end(begin(health), 0.0)
            began += 1
    assert began == min(sent, remaining)
    if began == remaining:
        assert opens(health) == 60.0
        assert not health.standing(A, 0.0, 1).queue
        assert opens(health, now=60.0) == 60.0, "that window has ended"
    assert opens(health, A2) == opens(health, B) == 0.0, "limits are of one model"
    said.learn("m", RateLimit("requests", 10, 1, 60.0))
    assert opens(health) == 0.0


def test_tokens_are_counted_as_tokens_and_what_never_fits_is_the_vendors_to_refuse() -> None:
    health, said = learnt(RateLimit("input-tokens", 1000, 900, 60.0))
    begin(health, tokens=500)
    assert opens(health, tokens=400) == 0.0
    assert opens(health, tokens=401) == 60.0
    said.learn("m", RateLimit("input-tokens", 1000, 1000, 60.0))
    assert opens(health, tokens=5000) == 0.0


@pytest.mark.parametrize(
    "limit",
    [
        RateLimit("requests", 10, None, 60.0),
        RateLimit("requests", 10, 0, None),
        RateLimit("requests", None, None, None),
        RateLimit("requests", 10, 0, 0.0),
    ],
)
def test_what_says_too_little_or_is_over_holds_nobody_up(limit: RateLimit) -> None:
    health, _ = learnt(limit)
    assert opens(health, tokens=10**9) == 0.0


def test_limits_of_kinds_that_nobody_knows_are_counted_by_requests() -> None:
    health, _ = learnt(RateLimit("neurons-per-fortnight", None, 1, 70.0), RateLimit("requests", 10, 5, 60.0))
    begin(health, tokens=1000)
    assert opens(health, tokens=1000) == 70.0
    assert "its limit is used up" in str(health.standing(A, 0.0, 1).error)


# Budgets ------------------------------------------------------------------------------------------------------------


@given(st.floats(0, 2), st.booleans(), st.lists(st.booleans(), max_size=300))
def test_extra_attempts_stay_a_share_of_calls(share: float, hedges: bool, story: list[bool]) -> None:
    budget = Budget.of_hedges(share) if hedges else Budget.of_retries(share)
    calls = extra = 0
    for is_call in story:
        if is_call:
            budget.earn()
            calls += 1
        elif budget.allows:
            budget.spend()
            extra += 1
        assert budget.left >= 0
        assert extra <= share * calls + (0 if hedges else RETRY_BURST) + 1e-6
    assert not (share == 0 and extra), "none is none"


def test_what_is_saved_up_has_an_end() -> None:
    for budget, burst in ((Budget.of_hedges(0.5), HEDGE_BURST), (Budget.of_retries(0.5), RETRY_BURST)):
        for _ in range(1000):
            budget.earn()
        spent = 0
        while budget.allows:
            budget.spend()
            spent += 1
        assert spent == burst


def test_a_share_of_a_twentieth_is_one_in_twenty() -> None:
    budget, extra = Budget.of_hedges(0.05), 0
    for _ in range(2000):
        budget.earn()
        if budget.allows:
            budget.spend()
            extra += 1
    assert extra == 100


# Paces --------------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(SMALLEST, 1e6), min_size=1, max_size=200), st.floats(0, 1))
def test_quantiles_are_right_to_within_the_ratio(values: list[float], share: float) -> None:
    sketch = Sketch()
    for value in values:
        sketch.add(value, 0.0)
    exact = sorted(values)[max(0, ceil(share * len(values) - 1e-9 * len(values)) - 1)]
    assert exact * (1 - 1e-9) <= sketch.quantile(share) <= exact * RATIO * (1 + 1e-9)
    assert sketch.count == len(values)


@given(st.integers(1, 50), st.integers(1, 4))
def test_old_measurements_count_half_after_each_half_life(old: int, lives: int) -> None:
    sketch = Sketch()
    for _ in range(old * 2**lives):
        sketch.add(1.0, 0.0)
    for _ in range(old):
        sketch.add(100.0, lives * HALF_LIFE)
    assert sketch.quantile(0.499) < 2 < 99 < sketch.quantile(0.501), "both weigh the same"


@given(st.lists(st.tuples(st.floats(0, allow_infinity=True), st.floats(0, 1e9)), min_size=1, max_size=30))
def test_no_value_and_no_time_is_too_much(history: list[tuple[float, float]]) -> None:
    sketch, now = Sketch(), 0.0
    for value, pause in history:
        now += pause
        sketch.add(value, now)
        for share in (0, 0.5, 0.99, 1):
            assert 0 < sketch.quantile(share) < inf
        assert sketch.total < 2.0**70
        assert len(sketch.buckets) <= len(history)


def test_what_was_long_ago_is_forgotten_and_the_order_of_the_rest_is_kept() -> None:
    sketch = Sketch()
    for day in range(365):
        for hour in range(0, 24, 4):
            sketch.add(day + 1, (24 * day + hour) * 3600.0)
    assert 360 < sketch.quantile(0.5) <= 365 * RATIO
    assert sketch.quantile(0.0) > 300
    assert sketch.total < 2.0**60


@pytest.mark.parametrize("value", [0.0, -1.0, 1e-300, 1e300, sys.float_info.max, inf])
def test_odd_values_have_a_quantile(value: float) -> None:
    sketch = Sketch()
    sketch.add(value, 0.0)
    assert 0 < sketch.quantile(0.99) < inf


def test_nothing_was_measured_yet() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        Sketch().quantile(0.5)


@given(st.lists(st.floats(0, 1e5), max_size=60), st.floats(0, 1e5))
@example([1e5] * 40, 1e5)
@example([0.0] * 40, 0.0)
def test_limits_are_known_only_once_enough_was_seen_and_stay_in_their_bounds(
    seconds: list[float], speed: float
) -> None:
    paces = Paces()
    for number, value in enumerate(seconds):
        pace = paces.of(A)
        if number < ENOUGH:
            assert pace.first_token is pace.hedge_after is pace.stall is pace.min_speed is None
        elif number >= ENOUGH + REFRESH:
            assert pace.first_token is not None
            assert pace.stall is not None
            assert pace.min_speed is not None
            assert 1 <= pace.first_token <= 60
            assert 5 <= pace.stall <= 60
            assert pace.min_speed <= 0.2 * max(speed, SMALLEST) * RATIO
        paces.first_token(A, value, 0.0, pace.hedge_after)
        paces.answered(A, value, speed, 0.0)
    assert paces.of(B).first_token is None


def test_limits_follow_what_was_measured() -> None:
    paces = Paces()
    for number in range(100):
        paces.first_token(A, 2.0 if number % 2 else 4.0, 0.0, None)
        paces.answered(A, 3.0, 50.0, 0.0)
    pace = paces.of(A)
    assert pace.first_token == pytest.approx(20, rel=0.1)
    assert pace.stall == pytest.approx(12, rel=0.1)
    assert pace.min_speed == pytest.approx(10, rel=0.1)
    assert pace.hedge_after == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize("slow", [2, 4, 6, 8])
def test_a_hedge_does_not_wait_for_the_slow_ones_that_it_is_for(slow: int) -> None:
    """Near a twentieth of them, it is chance on which side the 95th percentile falls."""
    paces = Paces()
    for number in range(1000):
        paces.first_token(A, 5.0 if number % 100 < slow else 0.3, 0.0, None)
    hedge_after = paces.of(A).hedge_after
    assert hedge_after is not None
    assert 0.3 <= hedge_after <= 0.7


def test_where_everybody_is_late_nobody_is_hedged() -> None:
    health = Health(hedges=Budget.of_hedges(1.0))
    outlook = health.call(1)
    for _ in range(100):
        health.call(1)
        ticket = begin(health)
        health.spoke(ticket, 0.5)
        health.end(ticket, 0.5)
    assert outlook.may_hedge()
    assert outlook.pace(A).hedge_after is not None
    late = 0
    while outlook.may_hedge() and late < 100:
        health.end(begin(health), 9.0)  # It was left before it spoke: that is late too.
        late += 1
    assert 2 <= late <= 6
    assert health.paces.late > ALL_SLOW
    for _ in range(10):
        ticket = begin(health)
        health.spoke(ticket, 0.1)
        health.end(ticket, 0.5)
    assert outlook.may_hedge(), "and once they are not, again"


def test_what_ended_early_without_a_word_says_nothing_of_its_pace() -> None:
    health = Health()
    for _ in range(100):
        health.end(begin(health), 0.1)
    assert health.paces.of(A).first_token is None

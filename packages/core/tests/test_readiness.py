"""What is known of machines that come and go holds in whatever order, and by whomever, it is told."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pointsman import ScaleToZero, Target
from pointsman.engine.health.histories import Histories
from pointsman.engine.health.machines import Machines
from pointsman.engine.health.readiness import Readiness, Ready, Trial
from pointsman.engine.health.standby import Traffic, standby
from pointsman.ledger.past import PastAttempt, PastCall
from pointsman.remembering import Memory
from pointsman.scaling import machines_billed

WINDOW, START = 60.0, 20.0
SCALING = ScaleToZero(window=WINDOW, start=START, second=Decimal("0.0003"))
MODEL = Target("gpu", "m")
EPOCH_SECONDS = st.integers(0, 5_000).map(float)


@st.composite
def attempts(draw: st.DrawFn) -> tuple[float, float | None, float, bool]:
    """When one began, spoke and ended, and whether it broke after it had spoken."""
    began = draw(EPOCH_SECONDS)
    spoke = draw(st.none() | st.integers(0, 120).map(lambda wait: began + wait))
    ended = (began if spoke is None else spoke) + draw(st.integers(0, 100))
    return began, spoke, ended, spoke is not None and draw(st.booleans())


def told(several: Sequence[tuple[float, float | None, float, bool]], scaling: ScaleToZero = SCALING) -> Readiness:
    readiness = Readiness(scaling)
    for began, spoke, ended, broke in several:
        readiness.tell(began, spoke, ended, broke=broke)
    return readiness


stories = st.lists(attempts(), max_size=12)


@given(story=stories, data=st.data(), now=EPOCH_SECONDS)
def test_the_order_in_which_it_is_told_does_not_matter(
    story: list[tuple[float, float | None, float, bool]], data: st.DataObject, now: float
) -> None:
    one, other = told(story), told(data.draw(st.permutations(story)))
    assert one.of(now) == other.of(now)
    for mine, theirs in zip(one.expected(now), other.expected(now), strict=True):
        assert math.isclose(mine, theirs, abs_tol=1e-9)


def test_nor_does_it_for_those_that_began_at_the_same_time() -> None:
    quick, slow = (0.0, 0.0, 0.0, False), (0.0, 1.0, 1.0, False)
    assert told([quick, slow]).expected(0.0) == told([slow, quick]).expected(0.0)


@given(story=stories, now=EPOCH_SECONDS)
def test_what_is_expected_is_no_longer_than_what_was_seen_or_is_declared(
    story: list[tuple[float, float | None, float, bool]], now: float
) -> None:
    wait, starts = told(story).expected(now)
    longest = max((ended - began for began, _, ended, _ in story), default=0.0)
    first, last = (
        min((began for began, *_ in story), default=0.0),
        max((ended for _, _, ended, _ in story), default=0.0),
    )
    assert 0 <= wait <= max(START, longest, last - first)
    assert 0 <= starts <= len(story) + 1e-9


@given(waits=st.lists(st.integers(0, 200), min_size=1, max_size=20), gave_up=st.integers(1, 200))
def test_who_gave_up_only_pushes_it_up(waits: list[int], gave_up: int) -> None:
    """Each comes a day after the last, and waits to the end."""
    day = 86_400.0
    seen = [(at * day, at * day + wait, at * day + wait + 5.0, False) for at, wait in enumerate(waits)]
    now = len(waits) * day
    before = told(seen).expected(now)[0]
    after = told([*seen, (now, None, now + gave_up, False)]).expected(now)[0]
    assert after >= before - 1e-9
    assert after <= max(before, gave_up) + 1e-9


@given(starts=st.integers(1, 30), took=st.integers(0, 300))
def test_what_is_seen_again_and_again_is_believed(starts: int, took: int) -> None:
    seen = [(at * 1000.0, at * 1000.0 + took, at * 1000.0 + took + 1.0, False) for at in range(starts)]
    wait, known = told(seen).expected(starts * 1000.0)
    assert min(START, took) - 1e-9 <= wait <= max(START, took) + 1e-9
    assert abs(wait - took) <= abs(START - took) / (0.9 * starts + 1) + 1e-6
    assert 0.9 * starts <= known <= starts + 1e-9


@given(took=st.integers(1, 300), usual=st.integers(0, 20))
def test_what_a_first_output_takes_anyway_is_no_start(took: int, usual: int) -> None:
    """Three answers of a machine that ran, after one of a machine that did not."""
    ready = float(took + usual)
    warm = [(ready + 10 * at, ready + 10 * at + usual, ready + 10 * at + usual + 1.0, False) for at in range(1, 4)]
    wait, _ = told([(0.0, ready, ready + 1.0, False), *warm]).expected(ready)
    assert math.isclose(wait, (START + took) / 2, rel_tol=1e-3)


@given(late=st.integers(2, 60), usual=st.floats(0.0, 0.9))
def test_who_comes_when_it_is_ready_has_seen_no_start(late: int, usual: float) -> None:
    """Somebody gave up after a second; somebody else found it ready: no more than that is known of what it took."""
    readiness = told([(0.0, None, 1.0, False), (float(late), late + usual, late + 5.0, False)])
    wait, _ = readiness.expected(100.0)
    assert wait <= START + 1e-9
    if late + usual >= START:
        assert math.isclose(wait, START, rel_tol=1e-6)


class Life(RuleBasedStateMachine):
    """One process's attempts at one target, told as they happen and again once they are over, as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.readiness = Readiness(SCALING)
        self.running: list[Trial] = []
        self.answered = -math.inf
        self.before: tuple[float, Ready] | None = None

    @rule(seconds=st.integers(0, 130))
    def time_passes(self, seconds: int) -> None:
        before = self.readiness.of(self.now)
        self.now += seconds
        after = self.readiness.of(self.now)
        if before.state == after.state == "warming":
            assert after.wait <= before.wait, "nothing was told"
            assert after.wait >= before.wait - seconds
        assert (before.state, after.state) not in {("cold", "warm"), ("cold", "warming"), ("warming", "warm")}

    @rule()
    def somebody_asks(self) -> None:
        before = self.readiness.of(self.now)
        self.running.append(self.readiness.begin(self.now))
        after = self.readiness.of(self.now)
        assert after.state == ("warm" if before.state == "warm" else "warming")

    @precondition(lambda self: any(one.spoke is None for one in self.running))
    @rule(data=st.data())
    def somebody_is_answered(self, data: st.DataObject) -> None:
        trial = data.draw(st.sampled_from([one for one in self.running if one.spoke is None]))
        self.readiness.spoke(trial, self.now)
        self.answered = self.now

    @precondition(lambda self: self.running)
    @rule(data=st.data(), told=st.booleans())
    def it_ends(self, data: st.DataObject, told: bool) -> None:
        trial = data.draw(st.sampled_from(self.running))
        self.running.remove(trial)
        self.readiness.ended(trial, self.now)
        if trial.spoke is not None:
            self.answered = self.now
        if told:
            self.readiness.tell(trial.began, trial.spoke, self.now)

    @precondition(lambda self: any(one.spoke is None for one in self.running))
    @rule(data=st.data())
    def it_fails(self, data: st.DataObject) -> None:
        trial = data.draw(st.sampled_from([one for one in self.running if one.spoke is None]))
        self.running.remove(trial)
        self.readiness.broke(trial)

    @invariant()
    def it_is_warm_for_its_window_exactly(self) -> None:
        ready = self.readiness.of(self.now)
        assert ready.wait >= 0
        answering = any(one.spoke is not None for one in self.running)
        assert (ready.state == "warm") == (answering or self.now < self.answered + WINDOW)
        if not answering and self.answered > -math.inf:
            assert self.readiness.of(self.answered + WINDOW).state != "warm"
            assert self.readiness.of(math.nextafter(self.answered + WINDOW, 0.0)).state == "warm"


TestLife = Life.TestCase


# Two processes -------------------------------------------------------------------------------------------------------


def call(number: int, began: float, spoke: float | None, ended: float, *, broke: bool) -> PastCall:
    outcome = "lost" if spoke is None else "failed" if broke else "finished"
    attempt = PastAttempt(
        target=MODEL,
        outcome=outcome,
        error_type="StreamBroken" if broke else None,
        ended=ended,
        duration=ended - began,
        first_output=None if spoke is None else spoke - began,
    )
    return PastCall(call_id=str(number), ended=ended, target=MODEL, attempts=(attempt,))


@given(story=stories, mine=st.sets(st.integers(0, 11)), data=st.data())
def test_a_process_that_reads_the_ledger_knows_what_two_have_seen(
    story: list[tuple[float, float | None, float, bool]], mine: set[int], data: st.DataObject
) -> None:
    """One has made some of the calls, and is told the others by the ledger, in two readings; the other is new."""
    calls = [call(number, *one[:3], broke=one[3]) for number, one in enumerate(story)]
    own = [one for number, one in enumerate(calls) if number in mine]
    others = data.draw(st.permutations([one for one in calls if one not in own]))
    half = data.draw(st.integers(0, len(others)))
    old, new = (Memory(None, lambda: 6_000.0, Machines(lambda target: SCALING)) for _ in range(2))
    for memory in (old, new):
        memory._epoch = 0.0
    for part in (own, others[:half], [*own, *others]):
        old._learn(part, 0.0)
        for one in part:
            old._counted[one.call_id] = one.ended  # As with a ledger.
    new._learn(calls, 0.0)
    for now in (5_000.0, 6_000.0):
        one, other = (memory._machines.ready(MODEL, now) for memory in (old, new))
        assert one is not None
        assert other is not None
        assert (one.state, one.idle) == (other.state, other.idle)
        assert math.isclose(one.wait, other.wait, abs_tol=1e-6)
        assert math.isclose(one.starts, other.starts, abs_tol=1e-6)


@given(first=st.sampled_from([-1e12, -1.0, 50.0, 1e12]), duration=st.sampled_from([-1e12, -1.0, 0.0, 5.0]))
def test_what_a_ledger_cannot_mean_does_no_harm(first: float, duration: float) -> None:
    """An output before an attempt, or after its end."""
    odd = PastAttempt(target=MODEL, outcome="finished", ended=1_000.0, duration=duration, first_output=first)
    memory = Memory(None, lambda: 6_000.0, Machines(lambda target: SCALING))
    memory._epoch = 0.0
    memory._learn([PastCall(call_id="odd", ended=1_000.0, target=MODEL, attempts=(odd,))], 0.0)
    memory._learn([call(1, 5_950.0, 5_960.0, 5_970.0, broke=False)], 0.0)
    ready = memory._machines.ready(MODEL, 6_000.0)
    assert ready is not None
    assert (ready.state, ready.idle) == ("warm", 30.0)


# What it costs -------------------------------------------------------------------------------------------------------


@given(times=st.lists(st.floats(0, 1e6), max_size=30), data=st.data(), later=st.floats(0, 1e6))
def test_traffic_does_not_depend_on_the_order_and_fades(times: list[float], data: st.DataObject, later: float) -> None:
    one, other = Traffic(), Traffic()
    for at in times:
        one.add(at)
    for at in data.draw(st.permutations(times)):
        other.add(at)
    now = max(times, default=0.0)
    assert math.isclose(one.rate(now), other.rate(now), rel_tol=1e-9, abs_tol=1e-12)
    assert one.rate(now + later) <= one.rate(now)


@given(wait=st.floats(0, 600), idle=st.floats(0, 60), rate=st.floats(0, 10), more=st.floats(0, 10))
def test_standing_by_costs_each_the_less_the_more_come(wait: float, idle: float, rate: float, more: float) -> None:
    def usd(state: str, at: float) -> Decimal:
        found = standby(SCALING, Ready(state, wait if state == "cold" else 0.0, 0.0, idle), at)  # type: ignore[arg-type]
        assert found is not None
        return found

    second, slack = SCALING.second, Decimal("0.000001")
    assert second is not None
    for state in ("cold", "warm"):
        assert 0 <= usd(state, rate + more) <= usd(state, rate) + slack
    assert usd("cold", rate) <= second * Decimal(wait + WINDOW) + slack
    assert abs(usd("cold", 0.0) - second * Decimal(wait + WINDOW)) <= slack, "alone, it pays for all of it"
    assert usd("warm", rate) <= min(usd("cold", rate), second * Decimal(idle)) + slack
    assert usd("warming", rate) == 0
    assert abs(usd("warm", 0.0) - second * Decimal(idle)) <= slack, "it is kept for so much longer"


@given(wait=st.floats(0, 600), window=st.floats(1, 600), rate=st.floats(1e-5, 1.0))
def test_it_is_what_a_machine_is_billed_for_answers_that_take_no_time(wait: float, window: float, rate: float) -> None:
    """The closed form of `pointsman costs --breakeven`, by the request."""
    machine = ScaleToZero(window=window, start=wait, second=Decimal(1))
    found = standby(machine, Ready("cold", wait, 0.0, 0.0), rate)
    assert found is not None
    assert math.isclose(float(found), machines_billed(machine, rate, 1e-9) / rate, rel_tol=1e-5, abs_tol=2e-3)


def test_histories_know_nothing_of_machines() -> None:
    """A first output that waited for a start says nothing of those that did not."""
    memory = Memory(None, lambda: 6_000.0, Machines(lambda target: SCALING))
    memory._epoch = 0.0
    quick = [
        call(number, 100.0 + number * 10, 100.5 + number * 10, 103.0 + number * 10, broke=False)
        for number in range(1, 6)
    ]
    memory._learn([call(0, 0.0, 90.0, 95.0, broke=False), *quick, call(9, 1000.0, 1045.0, 1050.0, broke=False)], 0.0)
    measured = memory._histories.of(MODEL, 6_000.0).overall
    assert measured.first_token is not None
    assert 0.4 < measured.first_token < 0.6
    assert measured.attempts > 6
    assert round(measured.answers) == 5
    plain = Histories()
    assert plain.of(MODEL, 0.0).overall.answers == 0

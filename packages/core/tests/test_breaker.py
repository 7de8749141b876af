"""A breaker against a model of it that keeps every event and works out all that it is asked from the beginning."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pointsman.engine.health.breaker import FIRST_PAUSE, LEAST, LONGEST_PAUSE, REMEMBERED, WINDOW, Breaker


@dataclass
class Event:
    at: float
    kind: str
    """``begin``, ``good``, ``bad``, ``gone`` or ``well``."""
    attempt: int = -1


class Naive:
    """The rules of the breaker, as a story told anew each time."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def opens_at(self) -> float:
        return self.story()[0]

    def probes(self) -> set[int]:
        return self.story()[1]

    def story(self) -> tuple[float, set[int]]:
        """When the next attempt may begin, and which attempts were probes."""
        opens_at, pause, fresh_since = 0.0, FIRST_PAUSE, 0
        probes: set[int] = set()
        shut, out = False, False
        for index, event in enumerate(self.events):
            if event.kind == "begin":
                if shut and not out:
                    probes.add(event.attempt)
                    out = True
            elif event.kind == "well":
                if shut and not out:
                    opens_at = min(opens_at, event.at)
            elif event.attempt in probes:
                out = False
                if event.kind == "good":
                    shut, opens_at, pause, fresh_since = False, 0.0, FIRST_PAUSE, index
                elif event.kind == "bad":
                    pause = min(LONGEST_PAUSE, pause * 2)
                    opens_at = event.at + pause
                else:
                    opens_at = event.at
            elif not shut and event.kind == "bad" and self.is_too_much(fresh_since, index):
                shut, opens_at = True, event.at + pause
        return (inf if out else opens_at), probes

    def is_too_much(self, since: int, index: int) -> bool:
        """Whether what ended up to `index`, of what began after the event `since`, is an outage."""
        began = {event.attempt for event in self.events[since:index] if event.kind == "begin"}
        if self.events[index].attempt not in began:
            return False
        ended = [event for event in self.events[since : index + 1] if event.attempt in began]
        told = [event for event in ended if event.kind in ("good", "bad")][-REMEMBERED:]
        recent = [event.kind for event in told if event.at > self.events[index].at - WINDOW]
        bad = recent.count("bad")
        return bad >= LEAST and bad * 2 >= len(recent)


class Breaking(RuleBasedStateMachine):
    """Attempts begin and end in any order; all that can be seen is the same."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker, self.naive = Breaker(), Naive()
        self.now, self.count = 100.0, 0
        self.running: dict[int, tuple[float, bool]] = {}

    def told(self, kind: str, attempt: int = -1) -> None:
        self.naive.events.append(Event(self.now, kind, attempt))

    @rule(seconds=st.sampled_from([0.25, 1.0, 4.0, 29.0, 70.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.breaker.opens_at() < inf)
    @rule()
    def the_pause_ends(self) -> None:
        self.now = max(self.now, self.breaker.opens_at())

    @precondition(lambda self: self.breaker.opens_at() <= self.now)
    @rule(count=st.integers(1, 8))
    def attempts_begin(self, count: int) -> None:
        self.now += 2**-10  # What begins in the instant in which the breaker closes, begins after that.
        for _ in range(count):
            if self.breaker.opens_at() <= self.now:
                self.running[self.count] = (self.now, self.breaker.begin())
                self.told("begin", self.count)
                self.count += 1

    @precondition(lambda self: self.running)
    @rule(
        data=st.data(),
        kinds=st.lists(st.sampled_from(["good", "bad", "bad", "bad", "gone"]), min_size=1, max_size=8),
    )
    def attempts_end(self, data: st.DataObject, kinds: list[str]) -> None:
        for kind in kinds[: len(self.running)]:
            attempt = data.draw(st.sampled_from(sorted(self.running)))
            began, probe = self.running.pop(attempt)
            if kind == "good":
                self.breaker.succeeded(self.now, began=began, probe=probe)
            elif kind == "bad":
                self.breaker.failed(self.now, began=began, probe=probe)
            elif probe:
                self.breaker.abandoned(self.now)
            self.told(kind, attempt)

    @precondition(lambda self: any(probe for _, probe in self.running.values()))
    @rule(kind=st.sampled_from(["good", "bad", "gone"]))
    def the_probe_ends(self, kind: str) -> None:
        [attempt] = [number for number, (_, probe) in self.running.items() if probe]
        began, _ = self.running.pop(attempt)
        match kind:
            case "good":
                self.breaker.succeeded(self.now, began=began, probe=True)
            case "bad":
                self.breaker.failed(self.now, began=began, probe=True)
            case _:
                self.breaker.abandoned(self.now)
        self.told(kind, attempt)

    @rule()
    def somebody_says_it_is_well(self) -> None:
        self.breaker.well(self.now)
        self.told("well")

    @invariant()
    def it_opens_when_the_story_says(self) -> None:
        assert self.breaker.opens_at() == self.naive.opens_at()

    @invariant()
    def the_probes_are_those_of_the_story_and_one_at_a_time(self) -> None:
        probes = {attempt for attempt, (_, probe) in self.running.items() if probe}
        assert probes == self.naive.probes() & set(self.running)
        assert len(probes) <= 1
        assert (self.breaker.opens_at() == inf) == bool(probes)


TestBreaking = Breaking.TestCase
TestBreaking.settings = settings(stateful_step_count=40)


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(LEAST):
        breaker.failed(now, began=now, probe=False)
    assert breaker.opens_at() > now
    return breaker


def test_the_pause_doubles_up_to_a_minute_and_begins_anew_once_it_is_well() -> None:
    breaker, now, pauses = opened(), 0.0, []
    for _ in range(9):
        pauses.append(breaker.opens_at() - now)
        now = breaker.opens_at()
        assert breaker.begin()
        breaker.failed(now, began=now, probe=True)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert breaker.begin()
    breaker.succeeded(now, began=now, probe=True)
    assert breaker.opens_at() == 0
    for _ in range(LEAST):
        breaker.failed(now, began=now, probe=False)
    assert breaker.opens_at() == now + FIRST_PAUSE


def test_successes_alone_never_open_it() -> None:
    breaker = Breaker()
    for number in range(1000):
        breaker.succeeded(number, began=number, probe=False)
    for _ in range(LEAST - 1):
        breaker.failed(2000, began=2000, probe=False)
    assert breaker.opens_at() == 0


@pytest.mark.parametrize(("well", "opens"), [(0, True), (LEAST, True), (LEAST + 1, False), (45, False), (500, False)])
def test_failures_must_be_half_of_all(well: int, opens: bool) -> None:
    breaker = Breaker()
    for _ in range(well):
        breaker.succeeded(0, began=0, probe=False)
    for _ in range(LEAST):
        assert breaker.opens_at() == 0
        breaker.failed(0, began=0, probe=False)
    assert (breaker.opens_at() > 0) == opens


@pytest.mark.parametrize(("later", "opens"), [(0, True), (WINDOW - 1, True), (WINDOW, False), (10 * WINDOW, False)])
def test_only_what_is_recent_counts(later: float, opens: bool) -> None:
    breaker = Breaker()
    for _ in range(LEAST - 1):
        breaker.failed(100, began=99, probe=False)
    breaker.failed(100 + later, began=99, probe=False)
    assert (breaker.opens_at() > 0) == opens


@pytest.mark.parametrize("late", ["while it is open", "while a probe is out", "once it is closed again"])
def test_those_that_began_before_it_opened_say_nothing_new(late: str) -> None:
    breaker = opened()
    before = breaker.opens_at()
    if late != "while it is open":
        assert breaker.begin()
    if late == "once it is closed again":
        breaker.succeeded(2, began=1, probe=True)
    expected = breaker.opens_at()
    for _ in range(100):
        breaker.failed(3, began=0, probe=False)
    assert breaker.opens_at() == expected
    breaker.succeeded(3, began=0, probe=False)
    assert breaker.opens_at() == expected
    assert before == FIRST_PAUSE


def test_a_probe_that_nobody_waited_for_lets_the_next_attempt_probe_at_once() -> None:
    breaker = opened()
    assert breaker.begin()
    assert breaker.opens_at() == inf
    breaker.abandoned(7)
    assert breaker.opens_at() == 7
    assert breaker.begin(), "the next is the probe"
    breaker.failed(8, began=7, probe=True)
    assert breaker.opens_at() == 8 + 2 * FIRST_PAUSE, "nobody was charged for the first"

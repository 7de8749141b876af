"""Machines that scale to zero: what is billed, and when that is cheaper than a price by the token."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from math import exp, inf, isfinite
from random import Random

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pointsman import ScaleToZero, breakeven, machines_billed
from pointsman.scaling import breakeven_always_on, capacity, starts

MACHINE = ScaleToZero(window=60, start=20, second=Decimal("0.0003"), parallel=4)
seconds = st.floats(0.01, 100)
machines = st.builds(
    ScaleToZero,
    window=st.one_of(st.just(0.0), st.floats(0.1, 3600)),
    start=st.one_of(st.just(0.0), st.floats(0.1, 300)),
    second=st.just(Decimal("0.0003")),
    parallel=st.sampled_from([1, 2, 4, 32]),
)
requests = st.floats(1e-7, 1.0).map(lambda usd: Decimal(repr(usd)))


def worth(machine: ScaleToZero, request: Decimal) -> float:
    assert machine.second is not None
    return float(request / machine.second)


# Against closed forms -------------------------------------------------------------------------------------------------


def lambert(z: float) -> float:
    """The principal branch of Lambert's W for z from -1/e to 0: the y from -1 to 0 with y * exp(y) == z."""
    low, high = -1.0, 0.0
    for _ in range(200):
        y = (low + high) / 2
        low, high = (y, high) if y * exp(y) < z else (low, y)
    return (low + high) / 2


@given(st.floats(0.1, 60), st.floats(0.1, 3600), st.floats(1.001, 1000))
def test_the_breakeven_is_that_of_lambert_where_nobody_waits(busy: float, window: float, times: float) -> None:
    """With places for all and no start, 1 - exp(-L T) = L w, so that L = 1/w + W(-(T/w) exp(-T/w)) / T."""
    whole, places = busy + window, 500
    paid = whole / times
    assume(busy / paid < places / 5)  # Else requests would wait for a place.
    machine = ScaleToZero(window=window, start=0, second=Decimal(1), parallel=places)
    expected = 1 / paid + lambert(-times * exp(-times)) / whole
    assert breakeven(machine, busy, Decimal(paid)) == pytest.approx(expected, rel=1e-6)


@given(st.floats(1e-6, 2), st.floats(0.1, 60), st.floats(0, 600), st.floats(0, 100))
def test_what_is_billed_is_exact_with_one_place_and_with_ever_more(
    rate: float, busy: float, window: float, start: float
) -> None:
    machine = ScaleToZero(window=window, start=start, parallel=1)
    assume(rate * (window + busy) < 500)
    if rate * busy < 1:
        one = 1 - (1 - rate * busy) / (exp(rate * window) + rate * start)
        assert machines_billed(machine, rate, busy) == pytest.approx(one, rel=1e-6)
    many = 1 - 1 / (exp(rate * (busy + window)) + rate * start)
    if rate * busy < 20:  # Nobody waits.
        assert machines_billed(replace(machine, parallel=2_000), rate, busy) == pytest.approx(many, rel=0.01)


def test_a_few_figures_by_hand() -> None:
    """One place, 0.1 requests a second of 2 s each, a window of 10 s: 1 - 0.8 / e; then with 20 s of start."""
    machine = ScaleToZero(window=10, start=0, parallel=1)
    assert machines_billed(machine, 0.1, 2) == pytest.approx(1 - 0.8 / 2.718281828)
    assert starts(machine, 0.1, 2) == pytest.approx(0.1 * 0.8 / 2.718281828)
    assert machines_billed(replace(machine, start=20), 0.1, 2) == pytest.approx(1 - 0.8 / (2.718281828 + 2))
    # Two places, without a window: 1/p = 1 + 1 + 0.5 / (1 - 0.5) = 3 for a = 1.
    assert machines_billed(ScaleToZero(window=0, start=0, parallel=2), 0.5, 2) == pytest.approx(2 / 3)


# Against containers, one event at a time ------------------------------------------------------------------------------


def simulated(
    machine: ScaleToZero, rate: float, draw: Callable[[Random], float], seed: int, count: int = 15_000
) -> tuple[float, float]:
    """Machines billed on average, and starts a second, of one container to which `count` requests come."""
    random, now = Random(seed), 0.0
    began = ends = gone = billed = 0.0
    started, places = 0, [0.0] * machine.parallel
    for _ in range(count):
        now += random.expovariate(rate)
        if now >= gone:
            billed += gone - began
            began, started, places = now, started + 1, [now + machine.start] * machine.parallel
        ends = max(ends, end := max(now, places[0]) + draw(random))
        heapq.heapreplace(places, end)
        gone = ends + machine.window
    return (billed + now - began) / now, started / now


def steady(busy: float) -> Callable[[Random], float]:
    return lambda random: busy


def varied(busy: float) -> Callable[[Random], float]:
    return lambda random: random.expovariate(1 / busy)


@pytest.mark.parametrize(
    ("machine", "rate", "busy", "draw", "within"),
    [
        (ScaleToZero(window=30, start=0, parallel=1), 0.05, 4, steady, 0.03),
        (ScaleToZero(window=30, start=20, parallel=1), 0.02, 8, steady, 0.03),
        (ScaleToZero(window=10, start=20, parallel=1), 0.05, 8, varied, 0.03),
        (ScaleToZero(window=2, start=5, parallel=1), 0.1, 7, varied, 0.03),
        (ScaleToZero(window=5, start=0, parallel=4), 0.3, 6, varied, 0.03),
        (ScaleToZero(window=10, start=0, parallel=64), 0.1, 5, steady, 0.03),
        (ScaleToZero(window=10, start=60, parallel=64), 0.05, 5, steady, 0.03),
        # Between the exact cases: a queue that gets shorter while some places are free already.
        (ScaleToZero(window=5, start=30, parallel=4), 0.2, 6, steady, 0.05),
        (ScaleToZero(window=10, start=20, parallel=2), 0.1, 8, varied, 0.05),
    ],
    ids=range(9),
)
def test_it_is_what_containers_are_billed(
    machine: ScaleToZero, rate: float, busy: float, draw: Callable[[float], Callable[[Random], float]], within: float
) -> None:
    billed, started = simulated(machine, rate, draw(busy), seed=20261129)
    assert machines_billed(machine, rate, busy) == pytest.approx(billed, rel=within)
    assert starts(machine, rate, busy) == pytest.approx(started, rel=3 * within)


def test_at_the_breakeven_both_bills_are_the_same() -> None:
    """Of simulated containers, and of requests that are paid one by one."""
    machine = ScaleToZero(window=60, start=20, second=Decimal("0.0003"), parallel=1)
    rate = breakeven(machine, 5, Decimal("0.009"))
    assert rate is not None
    billed, _ = simulated(machine, rate, steady(5), seed=7)
    assert billed * 0.0003 == pytest.approx(rate * 0.009, rel=0.03)


# What holds whatever the numbers are ----------------------------------------------------------------------------------


@given(machines, st.floats(0, 1e4), seconds, st.floats(1, 10))
@example(ScaleToZero(window=0, start=0, parallel=1000), 990, 1, 1)  # Too large for a float in between.
def test_more_of_anything_is_never_billed_less(machine: ScaleToZero, rate: float, busy: float, times: float) -> None:
    billed = machines_billed(machine, rate, busy)
    assert isfinite(billed)
    assert 0 <= billed <= max(1, rate / capacity(machine, busy))
    for more in (
        machines_billed(machine, rate * times, busy),
        machines_billed(machine, rate, busy * times),
        machines_billed(replace(machine, window=machine.window * times + 1), rate, busy),
        machines_billed(replace(machine, start=machine.start * times + 1), rate, busy),
    ):
        assert more >= billed * (1 - 1e-9)
    assert 0 <= starts(machine, rate, busy) <= rate


@given(machines, st.floats(1e-9, 1e4), seconds, st.floats(1, 10))
def test_a_request_is_never_dearer_for_there_being_more(
    machine: ScaleToZero, rate: float, busy: float, times: float
) -> None:
    """That is why there is one break-even at most."""
    more = rate * times
    assert machines_billed(machine, more, busy) / more <= machines_billed(machine, rate, busy) / rate * (1 + 1e-9)


@given(machines, seconds, requests)
def test_below_it_the_machine_is_dearer_and_above_it_is_cheaper(
    machine: ScaleToZero, busy: float, request: Decimal
) -> None:
    def dearer(rate: float) -> bool:
        return machines_billed(machine, rate, busy) > rate * worth(machine, request)

    rate, most = breakeven(machine, busy, request), capacity(machine, busy)
    if rate is None:
        assert not any(
            machines_billed(machine, most * part, busy) < most * part * worth(machine, request) * (1 - 1e-9)
            for part in (0.01, 0.5, 1, 3)
        )
    else:
        assert 0 <= rate <= most
        assert not dearer(min(rate * 1.001 + 1e-12, most))
        assert rate == 0 or dearer(rate * 0.999)


@given(machines, seconds, requests, st.floats(1, 10))
def test_it_comes_sooner_beside_a_dearer_vendor_and_later_with_a_longer_window(
    machine: ScaleToZero, busy: float, request: Decimal, times: float
) -> None:
    def later(a: float | None, b: float | None) -> bool:
        return (inf if a is None else a * (1 + 1e-9)) >= (inf if b is None else b)

    rate = breakeven(machine, busy, request)
    assert later(rate, breakeven(machine, busy, request * Decimal(times)))
    assert later(breakeven(replace(machine, window=machine.window * times + 1), busy, request), rate)
    assert later(breakeven(machine, busy * times, request), rate)
    assert later(breakeven_always_on(machine, busy, request), rate)


def test_never_and_from_the_first_on() -> None:
    """A machine that is always full costs 0.0003 x 8 / 4 for a request; one that is started for it, 0.0003 x 88."""
    assert breakeven(MACHINE, 8, Decimal("0.0006")) is None
    assert breakeven_always_on(MACHINE, 8, Decimal("0.0006")) is None
    assert breakeven(MACHINE, 8, Decimal("0.000601")) == pytest.approx(0.5, rel=0.01)
    assert breakeven(MACHINE, 8, Decimal("0.0264")) == 0.0
    assert 0 < (breakeven(MACHINE, 8, Decimal("0.0263")) or 0) < 0.0002
    assert breakeven(MACHINE, 8, Decimal(0)) is None
    assert breakeven(replace(MACHINE, second=Decimal(0)), 8, Decimal("0.0001")) == 0.0
    assert breakeven(replace(MACHINE, second=Decimal(0)), 8, Decimal(0)) is None


def test_nothing_is_billed_of_nothing_and_more_than_one_machine_of_much() -> None:
    assert machines_billed(MACHINE, 0, 8) == starts(MACHINE, 0, 8) == 0
    assert machines_billed(MACHINE, 1e-15, 8) == pytest.approx(88e-15)  # The lonely one, to the last digit.
    assert machines_billed(MACHINE, 0.5, 8) == 1
    assert machines_billed(MACHINE, 1.25, 8) == 2.5
    assert starts(MACHINE, 1.25, 8) == 0


def test_what_nobody_knows_is_not_computed() -> None:
    with pytest.raises(ValueError, match="nobody knows what a second"):
        breakeven(replace(MACHINE, second=None), 8, Decimal(1))
    for rate in (-1.0, inf, float("nan")):
        with pytest.raises(ValueError, match="a number a second from 0"):
            machines_billed(MACHINE, rate, 8)
    for busy in (0.0, -1.0, inf, float("nan")):
        with pytest.raises(ValueError, match="a number of seconds above 0"):
            machines_billed(MACHINE, 1, busy)

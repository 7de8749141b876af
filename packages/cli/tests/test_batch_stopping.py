"""When a batch sends nothing new, by what its lines have met."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest

import pointsman as p
from pointsman_cli.batch.stopping import ALIKE, OUTAGE, Stop, is_no_fault

GONE = p.Unavailable("cannot connect", provider="a", begun=False, scope=p.Scope.PROVIDER)


def key(provider: str = "a") -> p.AuthFailed:
    return p.AuthFailed("wrong key", provider=provider)


def after(errors: Sequence[p.PointsmanError], at_once: int = 1) -> Stop:
    stop = Stop(None, at_once)
    for error in errors:
        stop.failed(error)
    return stop


@pytest.mark.parametrize(
    ("error", "its_own"),
    [
        (key(), False),
        (p.QuotaExhausted("no credit", provider="a"), False),
        (p.RateLimited("too many", provider="a"), False),
        (p.ConfigError("no key", missing=True), False),
        (p.NoCandidates("nobody", none_ready=True), False),
        (GONE, False),
        (p.AllTargetsFailed("all", [key(), GONE]), False),
        (p.AllTargetsFailed("all", [key(), p.StreamBroken("cut", provider="b")]), True),
        (p.Unavailable("busy", provider="a", status=503), True),
        (p.NoCandidates("none can see pictures"), True),
        (p.ModelGone("no such model", provider="a"), True),
        (p.InvalidRequest("too odd", provider="a"), True),
        (p.Refused("filtered", provider="a"), True),
    ],
    ids=lambda value: getattr(value, "message", None),
)
def test_trouble_that_is_not_the_line_s_is_not_its_result(error: p.PointsmanError, its_own: bool) -> None:
    assert Stop(None, 1).failed(error) is its_own
    assert is_no_fault(error) is not its_own


def test_a_few_that_are_alike_stop_it() -> None:
    assert after([key()] * (ALIKE - 1)).reason is None
    assert after([key()] * ALIKE).reason == "error"
    assert after([key("a"), key("b")] * (ALIKE - 1)).reason is None, "they are not alike"


def test_few_troubles_stop_nothing_and_are_told_in_the_end() -> None:
    stop = after([key()])
    assert stop.reason is None
    assert isinstance(stop.error, p.AuthFailed)


def test_whoever_has_answered_meanwhile_is_no_trouble() -> None:
    stop = Stop(None, 1)
    for _ in range(2 * ALIKE):
        stop.failed(key("a"))
        stop.answered("a")
    assert stop.reason is None
    for _ in range(ALIKE):
        stop.failed(key("a"))
        stop.answered("b")
    assert stop.reason == "error"


def test_nobody_at_the_address_is_told_at_once_unless_somebody_was_there() -> None:
    assert after([GONE]).reason == "error"
    stop = Stop(None, 1)
    stop.answered("a")
    stop.failed(GONE)
    assert stop.reason is None


@pytest.mark.parametrize(("at_once", "most"), [(1, OUTAGE), (50, 100)])
def test_lines_in_a_row_that_nobody_answers_stop_it(at_once: int, most: int) -> None:
    slow = [p.Stalled("silent", provider="a") for _ in range(most)]
    assert after(slow[1:], at_once).reason is None
    stop = after(slow, at_once)
    assert stop.reason == "error"
    assert stop.error is slow[-1]
    own = [p.InvalidRequest("odd", provider="a")] * (2 * most)
    assert after(own, at_once).reason is None, "those were the lines' own affair"


def test_a_cost_is_reached_by_what_is_known() -> None:
    stop = Stop(Decimal("0.5"), 1)
    stop.settled(p.AtLeast("0.49"))
    assert stop.reason is None
    stop.settled(p.AtLeast("0.5"))
    assert stop.reason == "cost"
    stop.interrupt()
    assert stop.reason == "interrupted"

"""Calls to keep, of every kind: as dice make them, from few values, so that groups have several members."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from random import Random
from typing import get_args

from pointsman import (
    AtLeast,
    AttemptRecord,
    CallRecord,
    Cost,
    Decision,
    Exact,
    Exclusion,
    LedgerEntry,
    Price,
    Score,
    ServerTimings,
    Target,
    Term,
    Timings,
    Unknown,
    Usage,
)
from pointsman.cost import PriceTier
from pointsman.telemetry import BreakerState, Operation, Outcome, Role

BEGINNING = 1_796_083_200
"""2026-12-01, 00:00 UTC."""
DAYS = 4

TARGETS = (Target("acme", "m"), Target("acme", "org/m"), Target("other", "m"))
TAGS = ("team", "a.b", 'say "hi"', "$[0]", "", "%s", "naïve ☃")
TASKS = (None, "code", "it's; --")
COSTS = (
    Exact(0),
    Unknown,
    Exact("0.1"),
    Exact("0.000000000001"),
    Exact("0.00000000000049"),
    AtLeast("0.2"),
    AtLeast("0.0000000000019"),
    Exact(9_000_000),
    Exact("1e9"),
    AtLeast("1e40"),
)
"""Some finer than a pico-dollar, some larger than 64 bits of them."""
PRICE = Price(
    input=Decimal("0.15"),
    output=Decimal(2),
    tiers=(PriceTier(tokens=200_001, input=Decimal("0.3"), output=Decimal("1e-7")),),
    as_of=date(2026, 11, 23),
    source="a page",
)
COUNTS = (0, 1, 1_000, 2**31, 2**62)


def entry(dice: Random, call_id: str) -> LedgerEntry:
    """Some call. Moments are 1/64 s apart, so that their microseconds are exact."""
    at = BEGINNING + dice.randrange(DAYS * 24 * 2) * 1_800 + dice.randrange(2) / 64
    started = float(dice.randrange(1_000))
    attempts = tuple(_attempt(dice, call_id, number + 1, started) for number in range(dice.choice((0, 1, 1, 1, 2, 3))))
    kept = dice.choice((None, None, "Explain\0 closures \ud800☃"))
    return LedgerEntry(
        call=CallRecord(
            call_id=call_id,
            decision=_decision(dice),
            outcome=dice.choice(get_args(Outcome)),
            attempts=attempts,
            timings=Timings(
                ttft=dice.choice((None, 0.25)), tpot=dice.choice((None, 0.015625)), e2e=dice.randrange(100) / 64
            ),
            cost=Cost.total(attempt.cost for attempt in attempts),
            tags={name: dice.choice(("x", "y", "")) for name in TAGS if dice.randrange(3) == 0},
            at=at,
            started=started,
            operation=dice.choice(get_args(Operation)),
            task=dice.choice(TASKS),
            target=dice.choice((None, *TARGETS)),
            finish_reason=dice.choice((None, "stop")),
            usage=_usage(dice),
        ),
        prompt=kept,
        answer=kept and dice.choice((None, "", "Well")),
    )


def _decision(dice: Random) -> Decision:
    policy = dice.choice(("in_order", "cheapest"))
    if dice.randrange(2):
        return Decision(policy=policy, order=dice.choice((TARGETS, TARGETS[:1])))
    return Decision(
        policy=policy,
        order=TARGETS[:2],
        excluded=(Exclusion(TARGETS[2], "it's; --"),),
        task="code",
        difficulty=0.25,
        scores=tuple(Score(one, dice.choice((0.5, -1e-9, 1e300)), (Term("price", 0.125, 2.0),)) for one in TARGETS[:2]),
        propensity=dice.choice((None, 1.0, 0.015625)),
        policy_hash="c0ffee",
        prewarm=TARGETS[1:2],
    )


def _attempt(dice: Random, call_id: str, number: int, began: float) -> AttemptRecord:
    started = began + dice.randrange(64) / 64
    return AttemptRecord(
        call_id=call_id,
        attempt=number,
        target=dice.choice(TARGETS),
        outcome=dice.choice(get_args(Outcome)),
        started=started,
        first_output=dice.choice((None, started + 0.5)),
        ended=started + dice.randrange(64) / 64,
        error=dice.choice((None, "Unavailable: 503 for 'Explain closures'")),
        usage=_usage(dice),
        cost=dice.choice(COSTS),
        server=dice.choice((None, ServerTimings(load=0.5, total=1.25))),
        served=dice.choice((None, "m-2026-11")),
        role=dice.choice(get_args(Role)),
        probe=dice.choice((True, False)),
        price=dice.choice((None, PRICE)),
        held=dice.choice((0.0, 0.25)),
        breaker=dice.choice((None, *get_args(BreakerState))),
    )


def _usage(dice: Random) -> Usage | None:
    if dice.randrange(4) == 0:
        return None
    asked, answered = dice.choice(COUNTS), dice.choice(COUNTS)
    return Usage(
        input_tokens=asked,
        cached_input_tokens=asked // 2,
        cache_write_tokens=asked // 4,
        output_tokens=answered,
        reasoning_tokens=answered // 2,
        estimated=dice.randrange(4) == 0,
    )

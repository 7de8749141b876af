"""From when on a machine of one's own that scales to zero is cheaper than vendors that bill tokens."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...as_json import cost as cost_json
from ...as_json import dumps
from ...listing import wrapped
from ...models.facts import price_json
from ...terminal import is_terminal, out
from .. import words
from ..opening import known_here, opened
from .compared import HOUR, Machine, Vendor, machines, vendor_prices
from .lines import told
from .traffic import DAY, Traffic, busy_at, observed

if TYPE_CHECKING:
    from pointsman import LedgerQuery


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the options say."""

    target: Sequence[str]
    against: Sequence[str]
    requests_per_day: float | None
    tokens: tuple[int, int] | None
    seconds: float | None


def report_breakeven(url: str | None, query: LedgerQuery, asked: Asked, *, as_json: bool) -> None:
    """Read the ledger as far as it is needed, and print what follows. Raises `ConfigError` for what cannot be told."""
    roster = known_here()
    owned, prices = machines(asked.target, roster), vendor_prices(asked.against, roster)
    with opened(url, roster) as place:
        traffic, costs = observed(place.ledger, query, prices, asked.requests_per_day, asked.tokens)
        compared: list[Machine] = []
        for target, scaling in owned.items():
            strengths = roster.candidate(target).strengths
            busy = busy_at(target, scaling, strengths, place.ledger, query, traffic, asked.seconds)
            compared.append(Machine(target=target, scaling=scaling, busy=busy, traffic=traffic))
    vendors = [Vendor(target=target, price=price, request=costs[target]) for target, price in prices.items()]
    if as_json:
        out(dumps(_json(traffic, compared, vendors)))
        return
    for line in map(words.sayable, told(traffic, compared, vendors)):
        margin = line[: len(line) - len(line.lstrip())]
        out(wrapped(line.lstrip(), margin, f"{margin}  ") if is_terminal(sys.stdout) else line)


def _json(traffic: Traffic, machines: Sequence[Machine], vendors: Sequence[Vendor]) -> dict[str, Any]:
    return {
        "traffic": {
            "requests_per_day": traffic.per_day,
            "input_tokens": traffic.input_tokens,
            "cached_input_tokens": traffic.cached_input_tokens,
            "output_tokens": traffic.output_tokens,
            "answers": traffic.answers,
        },
        "machines": [_machine_json(one, vendors) for one in machines],
    }


def _machine_json(machine: Machine, vendors: Sequence[Vendor]) -> dict[str, Any]:
    one = machine.scaling
    return {
        "target": str(machine.target),
        "second": cost_json(machine.lasting(1)),
        "hour": cost_json(machine.lasting(HOUR)),
        "window_seconds": one.window,
        "start_seconds": one.start,
        "parallel": one.parallel,
        "busy_seconds": machine.busy.seconds,
        "busy_source": machine.busy.source,
        "busy_answers": machine.busy.answers,
        "most_requests_per_hour": machine.most * HOUR,
        "machines": machine.billed,
        "starts_per_day": machine.starts_per_day,
        "month": cost_json(machine.scaled()),
        "month_always_on": cost_json(machine.always_on()),
        "against": [_beside_json(machine, vendor) for vendor in vendors],
    }


def _beside_json(machine: Machine, vendor: Vendor) -> dict[str, Any]:
    found = machine.against(vendor)
    return {
        "target": str(vendor.target),
        "price": price_json(vendor.price),
        "request": cost_json(vendor.request),
        "month": cost_json(vendor.month(machine.traffic)),
        "breakeven": _rate_json(found, 0, machine.traffic),
        "breakeven_always_on": _rate_json(found, 1, machine.traffic),
    }


def _rate_json(
    found: tuple[float | None, float | None] | None, place: int, traffic: Traffic
) -> Mapping[str, str | float | None]:
    rate = found[place] if found else None
    return {
        "is": "unknown" if found is None else "never" if rate is None else "from",
        "requests_per_hour": None if rate is None else rate * HOUR,
        "tokens_per_day": None if rate is None else rate * DAY * traffic.tokens,
    }

"""The comparison in words."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

from pointsman import Unknown

from .. import words
from .compared import DAYS, HOUR
from .traffic import DAY

if TYPE_CHECKING:
    from pointsman import Cost

    from .compared import Machine, Vendor
    from .traffic import Traffic


NOBODY = (
    "Nobody to compare with: no installed provider is known to bill tokens. pip install pointsman-sambanova, which "
    'needs no key for that; or name a target with --against PROVIDER/MODEL, and its price as [prices."PROVIDER/MODEL"].'
)


def told(traffic: Traffic, machines: Sequence[Machine], vendors: Sequence[Vendor]) -> list[str]:
    tokens = f"{_number(traffic.input_tokens)} tokens in"
    if traffic.cached_input_tokens:
        tokens += f" ({100 * traffic.cached_input_tokens / traffic.input_tokens:.0f}% of it cached)"
    often = f"{_number(traffic.per_day)} {'request' if traffic.per_day == 1 else 'requests'} a day"
    lines = [
        f"Traffic: {often} of {tokens} and {_number(traffic.output_tokens)} out, {traffic.source}. "
        f"A month has {DAYS} days."
    ]
    for machine in machines:
        lines += ["", str(machine.target), *(f"  {line}" for line in _about(machine))]
        for vendor in vendors:
            lines.append(f"  {vendor.target}: {_beside(machine, vendor)}")
    if not vendors:
        lines += ["", NOBODY]
    return lines


def _about(machine: Machine) -> list[str]:
    one, busy = machine.scaling, machine.busy
    known = {
        "given": "as given",
        "measured": f"by {words.of(busy.answers, 'answer')} in the ledger",
        "expected": "as its package expects: not measured",
    }
    places = "the only place" if one.parallel == 1 else f"one of {one.parallel} places"
    lines = [
        f"A request keeps {places} of a machine busy for {busy.seconds:.3g} s, {known[busy.source]}. "
        f"One machine serves {_number(machine.most * HOUR)} requests an hour at most. A start takes {one.start:.3g} s, "
        f"and the machine goes {one.window:.3g} s after its last answer."
    ]
    if one.second is None:
        return [*lines, "What a second of it costs is unknown: its settings have to say on what it runs."]
    lines.append(
        f"One that is there costs {_usd(machine.lasting(1))} a second, {_usd(machine.lasting(HOUR))} an hour, "
        f"{_usd(machine.lasting(DAYS * DAY))} a month."
    )
    if machine.billed >= 1 and machine.traffic.per_second > machine.most:
        return [
            *lines,
            f"This traffic needs {machine.billed:.3g} of them at least, if all are full: {_usd(machine.scaled())} a "
            "month.",
        ]
    share = 100 * machine.billed
    return [
        *lines,
        f"This traffic costs {_usd(machine.scaled())} a month: a machine is there "
        f"{'over 99.9' if share > 99.9 else f'{share:.3g}'}% of the time, and is started "
        f"{_number(machine.starts_per_day)} times a day. Always on, it costs {_usd(machine.always_on())}.",
    ]


def _beside(machine: Machine, vendor: Vendor) -> str:
    if vendor.request == Unknown:
        return "its cost is unknown, as nobody knows a price of it; so is from when on the machine is cheaper."
    said = f"{_usd(vendor.request)} a request, {_usd(vendor.month(machine.traffic))} a month."
    found = machine.against(vendor)
    if found is None:
        return f"{said} From when on the machine is cheaper is unknown."
    scaled, always = found
    if scaled is None:
        full = machine.lasting(1 / machine.most)
        return f"{said} The machine is never cheaper: even one that is always full costs {_usd(full)} a request."
    if not scaled:
        alone = machine.scaling.start + machine.busy.seconds + machine.scaling.window
        return (
            f"{said} The machine is cheaper from the first request on: one that is started for it alone costs "
            f"{_usd(machine.lasting(alone))}."
        )
    also = ""
    if always and _number(always * HOUR) != _number(scaled * HOUR):
        also = f"; always on, from {_number(always * HOUR)}"
    return (
        f"{said} The machine is cheaper from about {_number(scaled * HOUR)} requests an hour on "
        f"({_number(scaled * DAY * machine.traffic.tokens)} tokens a day{also})."
    )


def _number(value: float) -> str:
    """``0.05``, ``12.5``, ``1,973``, ``12.3k``."""
    return words.count(round(value)) if value >= 100 or value == round(value) else f"{value:.3g}"


def _usd(cost: Cost) -> str:
    """To the cent from a dollar on, and to three digits below; a lower bound stays one."""
    if not cost.known:
        return words.money(cost)
    rounding = ROUND_HALF_EVEN if cost.complete else ROUND_FLOOR
    digits = min(-2, cost.known.adjusted() - 2)
    shown = cost.known.quantize(Decimal(1).scaleb(digits), rounding=rounding).normalize()
    places = max(2, -int(shown.as_tuple().exponent))
    return f"{'' if cost.complete else '≥ '}${shown:,.{places}f}"

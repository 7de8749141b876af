"""What a deployment costs before there is one: an hour, the most of an hour, and a month at a given traffic.

All of it is an estimate from list prices (`prices.AS_OF`). CPU and memory that are used beyond what was asked for come
on top. Modal gives the first GPU of the list that is free, so amounts are ranges from the cheapest to the dearest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import NamedTuple

from pointsman import ScaleToZero, machines_billed

from ..cost import gpu_price, second_with
from ..prices import VOLUME_FREE_GIB, VOLUME_GIB

HOUR = 3600
DAY = 24 * HOUR
MONTH = 30 * DAY
_CENT = Decimal("0.01")


class Range(NamedTuple):
    """USD, from the cheapest GPU of the list to the dearest; both are None where nobody knows the price of one."""

    least: Decimal | None
    most: Decimal | None

    def __str__(self) -> str:
        """``$1.01``, ``$0.92 to $1.01`` or ``unknown``; cents are rounded up, as a bill should not surprise."""
        if self.least is None or self.most is None:
            return "unknown"
        least, most = _dollars(self.least), _dollars(self.most)
        return least if least == most else f"{least} to {most}"

    def times(self, number: Decimal) -> Range:
        """So many of it."""
        return self if self.least is None or self.most is None else Range(self.least * number, self.most * number)


def _dollars(usd: Decimal) -> str:
    return f"${usd.quantize(_CENT, rounding=ROUND_CEILING):,}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machines:
    """What of a deployment is billed."""

    gpus: Sequence[str]
    """In order: the first that is free is taken. None: a model on the CPU."""
    cores: Decimal
    gib: Decimal
    """Of memory that a container asks for."""
    regions: Sequence[str] = ()
    least: int = 0
    """Containers that always run."""
    most: int = 1
    """And that run at once at most."""
    window: float
    """Seconds that a container stays after its last answer."""
    start: float
    """Seconds that one takes to start, which are billed."""
    parallel: int
    """Requests that a container answers at once."""

    @property
    def second(self) -> Range:
        """Of one container. Raises `ValueError` for a GPU or a region that Modal does not have."""
        return price_range(self.gpus, self.cores, self.gib, self.regions)


def price_range(names: Sequence[str], cores: Decimal, gib: Decimal, regions: Sequence[str]) -> Range:
    """Of a second of a container with one of the GPUs `names`. Raises `ValueError` for what Modal does not have."""
    gpus = [gpu_price(name) for name in names] or [Decimal(0)]
    known = [second_with(gpu, cores, gib, regions) for gpu in gpus if gpu is not None]
    return Range(min(known), max(known)) if len(known) == len(gpus) else Range(None, None)


def per_hour(machines: Machines) -> Range:
    """Of one container that runs all the time."""
    return machines.second.times(Decimal(HOUR))


def most_per_hour(machines: Machines) -> Range:
    """With as many containers as may run at once, all of them busy: more than that, an hour cannot cost."""
    return per_hour(machines).times(Decimal(machines.most))


def idle_per_month(machines: Machines) -> Range:
    """What is billed although nobody asks anything."""
    return machines.second.times(Decimal(MONTH * machines.least))


def per_month(machines: Machines, requests_per_day: float, seconds_per_request: float) -> Range:
    """Of 30 days, with so many requests spread at random over all their hours: see `pointsman.machines_billed`.

    Containers that always run are billed also when they have nothing to do. Those that the traffic would need beyond
    `machines.most` do not come: its requests wait, and in the end they fail. Raises `ValueError` for a request that
    takes no time.
    """
    one = ScaleToZero(window=machines.window, start=machines.start, parallel=machines.parallel)
    needed = machines_billed(one, requests_per_day / DAY, seconds_per_request)
    return machines.second.times(Decimal(min(max(needed, machines.least), machines.most) * MONTH))


def storage_per_month(gib: Decimal) -> Decimal:
    """USD for so many GiB of weights, if the workspace has no other Volumes."""
    return max(gib - VOLUME_FREE_GIB, Decimal(0)) * VOLUME_GIB

"""What an attempt cost, in GPU seconds: a lower bound.

Modal bills for containers, not for requests: every second from the start of one to its end, whoever is served. What is
asked for here is a share of that for one attempt, such that the shares of all attempts together never exceed the bill.

Let a container answer at most `parallel` requests at once. Then, in every second of its life, at most `parallel`
attempts are receiving output from it. If each is charged ``1 / parallel`` of each second of its own output, from the
first token to the end, then at most one whole second is charged for any second of the container; added up over all
attempts, at most what is billed. It stays a bound with many containers, for each for itself, and with requests of other
clients, whose share nobody here is charged.

The time before the first token is left out, for in it an attempt may be in no container at all: it may wait for a GPU
to be free, for a container to start, or for its turn. Ten requests at once, to a container that answers one at a time
for a second each, wait 45 s together, in 10 s that are billed: charged from dispatch to end they would be 55 s. So what
a start costs, the reading of prompts, and the window in which a container idles before it ends, all come on top; so
does whatever CPU and memory is used beyond what was asked for. Time for which a reader kept the model waiting is not in
the timings that a cost hook is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_FLOOR, Context, Decimal, localcontext
from typing import TYPE_CHECKING

from pointsman import AtLeast, Cost, Price, Unknown

from .prices import (
    ALIASES,
    AS_OF,
    BROAD,
    BROAD_TIMES,
    CORE,
    GIB,
    GPUS,
    MOST_GPUS,
    NARROW,
    NARROW_TIMES,
    SOURCE,
)

if TYPE_CHECKING:
    from .config import ModalConfig

_DOWN = Context(prec=40, rounding=ROUND_FLOOR)
"""A lower bound must stay one."""


def gpu_price(name: str) -> Decimal | None:
    """USD for a second of ``L4``, ``H100:2`` or ``A10G``; None if nobody knows. Raises `ValueError` for no GPU."""
    kind, colon, text = name.strip().upper().partition(":")
    kind = ALIASES.get(kind, kind)
    if kind not in GPUS:
        raise ValueError(f"there is no GPU {name!r} at Modal: there are {', '.join([*GPUS, *ALIASES])}")
    most = MOST_GPUS.get(kind, 8)
    if colon and not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
        raise ValueError(f"{name!r}: after the colon stands how many, from 1 to {most}")
    price = GPUS[kind]
    return None if price is None else _DOWN.multiply(price, int(text or 1))


def region_times(regions: Sequence[str]) -> Decimal:
    """What a container costs that must be in one of `regions`, as a multiple. Raises `ValueError` for no region."""
    for region in regions:
        if region not in BROAD | NARROW:
            raise ValueError(f"there is no region {region!r}: there are {', '.join(sorted(BROAD | NARROW))}")
    return min((BROAD_TIMES if region in BROAD else NARROW_TIMES for region in regions), default=Decimal(1))


def container_second(config: ModalConfig) -> Decimal | None:
    """The least that a second of one container costs, in USD; None if nobody knows.

    Of several GPUs the cheapest counts, since nothing tells which one was given.
    """
    if config.price_per_second is not None:
        return config.price_per_second
    gpus = [gpu_price(name) for name in config.gpu]
    known = [price for price in gpus if price is not None]
    if not known or len(known) < len(gpus):
        return None
    return second_with(min(known), config.cpu, config.memory_gib, config.region)


def second_with(gpu: Decimal, cores: Decimal, gib: Decimal, regions: Sequence[str]) -> Decimal:
    """USD for a second of a container that has GPUs of this price, and asks for so many cores and GiB of memory."""
    with localcontext(_DOWN):
        return (gpu + cores * CORE + gib * GIB) * region_times(regions)


def price_of(config: ModalConfig) -> Price | None:
    """The price of a second in which a container answers one request: of one that answers several, a share."""
    if (second := container_second(config)) is None:
        return None
    own = config.price_per_second is not None
    return Price(
        input=Decimal(0),
        output=Decimal(0),
        second=_DOWN.divide(second, config.parallel),
        as_of=None if own else AS_OF,
        source="price_per_second of this provider's settings" if own else SOURCE,
    )


def price_of_share(second: Decimal | None, parallel: int, seconds: float) -> Cost:
    """What an answer cost that was `seconds` in a container which takes `parallel` requests at once.

    All of that time counts, also before the first token, since no wait for a container, or for a turn in one, is in it.
    """
    return Unknown if second is None else AtLeast(_DOWN.multiply(_DOWN.divide(second, parallel), Decimal(seconds)))

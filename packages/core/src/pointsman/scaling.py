"""What machines that scale to zero are billed, and from when on they are cheaper than a price by the token. Pure.

Requests arrive at random, `rate` of them a second on average (a Poisson process), and each keeps one of the `parallel`
places of a machine busy for `busy` seconds, waiting for a place if there is none. The machine goes `window` seconds
after its last answer. The next request starts another, which is billed for `start` seconds before it answers.

Think of it in cycles, from one start to the next. While nobody is served, the next request is ``1 / rate`` seconds off
on average, and comes within the window with the probability ``1 - exp(-rate * window)``. So one is served, and then
nobody, ``exp(rate * window)`` times in a cycle on average, of which the last time lasts until the start. If p is the
share of time in which a machine that is always there serves nobody, a cycle takes ``exp(rate * window) / (rate * p)``
seconds; a start makes it longer by itself and by what has piled up meanwhile, ``start / (1 - load)``, where ``load =
rate * busy / parallel``. For ``1 / rate`` of each cycle no machine is there. What is billed is the rest:

    1 - 1 / (exp(rate * window) / p + rate * start / (1 - load))

p is Erlang's for `parallel` servers and a queue:

    1 / p = sum of a**k / k! for k below parallel, + a**parallel / (parallel! * (1 - load)), where a = rate * busy

With one place the whole is exact, however long single requests take, and so it is with ever more of them, where ``1 /
p`` becomes ``exp(a)`` and, without a start, ``1 - exp(-rate * (busy + window))`` is billed. In between, p is exact for
exponential service times without a start, and close for others. A machine that is asked for more than it can serve is
there all the time; more of them are then needed, and so many are taken to be billed as are needed if all are full.
"""

from __future__ import annotations

from decimal import Decimal
from math import expm1
from typing import TYPE_CHECKING

from .types.usage import MONEY

if TYPE_CHECKING:
    from .provider import ScaleToZero

_HALVINGS = 200
"""More than a float has steps to offer."""
_LARGEST = 700.0
"""``exp`` of it is still a float. By then a machine is always there."""
_MOST = 1e300


def capacity(machine: ScaleToZero, busy: float) -> float:
    """Requests a second that one machine serves at most, each in `busy` seconds. Raises `ValueError` if that is 0."""
    if not 0 < busy < float("inf"):
        raise ValueError(f"a request keeps a machine busy for a number of seconds above 0, not {busy!r}")
    return machine.parallel / busy


def machines_billed(machine: ScaleToZero, rate: float, busy: float) -> float:
    """Machines that are billed, on average: below 1 as long as one is enough. `rate` is requests a second.

    Raises `ValueError` for a rate below 0, and for a request that takes no time.
    """
    load = _load(machine, rate, busy)
    if load >= 1:
        return load
    over = _over(machine, rate, busy, load)
    return over / (1 + over) if over < 1 else 1 - 1 / (1 + over)


def starts(machine: ScaleToZero, rate: float, busy: float) -> float:
    """Starts a second, on average. Raises as `machines_billed` does."""
    load = _load(machine, rate, busy)
    return 0.0 if load >= 1 else rate / (1 + _over(machine, rate, busy, load))


def _load(machine: ScaleToZero, rate: float, busy: float) -> float:
    if not 0 <= rate < float("inf"):
        raise ValueError(f"requests come at a number a second from 0, not at {rate!r}")
    return rate / capacity(machine, busy)


def _over(machine: ScaleToZero, rate: float, busy: float, load: float) -> float:
    """By how much the divisor of the formula is above 1: exact also where that is little."""
    part, asked = 1.0, 0.0
    for place in range(1, machine.parallel):
        part *= rate * busy / place
        asked += part
    asked = min(asked + part * load / (1 - load), _MOST)
    kept = expm1(min(rate * machine.window, _LARGEST))
    return asked + kept * (1 + asked) + rate * machine.start / (1 - load)


def breakeven(machine: ScaleToZero, busy: float, request: Decimal) -> float | None:
    """Requests a second from which the machine is cheaper than `request`, in USD for one of them elsewhere.

    0.0: from the first on, even if a machine is started for it alone. None: never, as even one that is always full
    costs as much. The dollars of a request fall the more of them there are, so there is one such rate at most. Raises
    `ValueError` if nobody knows what a second of the machine costs.
    """
    most = capacity(machine, busy)
    worth = _worth(machine, request)
    if worth <= 1 / most:
        return None
    if worth >= machine.start + busy + machine.window:
        return 0.0
    low, high = 0.0, most
    for _ in range(_HALVINGS):
        rate = (low + high) / 2
        if machines_billed(machine, rate, busy) > rate * worth:
            low = rate
        else:
            high = rate
    return high


def breakeven_always_on(machine: ScaleToZero, busy: float, request: Decimal) -> float | None:
    """The same for a machine that never goes. Raises as `breakeven` does."""
    worth = _worth(machine, request)
    return None if worth <= 1 / capacity(machine, busy) else 1 / worth


def _worth(machine: ScaleToZero, request: Decimal) -> float:
    """Seconds of the machine that the price of a request elsewhere would pay for."""
    if machine.second is None:
        raise ValueError("nobody knows what a second of the machine costs")
    if not machine.second:
        return float("inf") if request else 0.0
    return float(MONEY.divide(request, machine.second))


def dollars(machine: ScaleToZero, machines: float, seconds: float) -> Decimal | None:
    """USD for so many `machines` over so many seconds; None if nobody knows what one of them costs."""
    if machine.second is None:
        return None
    return MONEY.multiply(machine.second, Decimal(machines * seconds))

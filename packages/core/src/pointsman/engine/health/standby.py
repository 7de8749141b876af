"""What it costs that a machine is there, besides the seconds in which it answers: starts, and windows after answers.

Nobody's bill says for which request a machine was started. What counts for a choice is what asking adds to the bill:

- One that is cold starts, and idles for a window; yet those that come soon find it warm, or on its way. If requests
  come at random, r a second, q = exp(-r w) is the chance that none comes within the window w. Then a start, of s
  seconds, serves 1 / q of them before the first pause that is longer, and the r s that come meanwhile; after each
  answer it idles (1 - q) / r seconds on average. So each of them bears

      ((1 - q) / r + s q) / (1 + r s q)

  seconds: s + w where nobody else comes, and 1 / r, its share of a machine that always runs, where many do. This is
  what `pointsman.scaling` has billed for answers that take no time; their own seconds are priced apart.
- One that runs, and has idled for t seconds, would end a window after its last answer. Asked now, it ends a window
  after this one: t seconds more are billed; but who keeps it running for those that follow bears no more than they: the
  (1 - q) / r of above.
- One that is getting ready is billed whether it is asked or not.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from math import exp, exp2, expm1, log

from ...provider import ScaleToZero
from .readiness import Ready

HALF_LIFE = 120.0
"""Seconds after which a request counts half for how often they come."""
_FARTHEST = 1_000.0
"""Half-lives: what is older is nothing."""


@dataclass(slots=True, eq=False, repr=False)
class Traffic:
    """How often requests come, by those of late. It may be told of them in any order."""

    _count: float = 0.0
    """As of `_at`."""
    _at: float | None = None

    def add(self, at: float) -> None:
        """A request has come at that time, in seconds."""
        if self._at is None or at > self._at:
            self._count, self._at = 1.0 + self._left(at), at
        else:
            self._count += exp2(max(-_FARTHEST, (at - self._at) / HALF_LIFE))

    def rate(self, now: float) -> float:
        """Requests a second."""
        return self._left(now) * log(2) / HALF_LIFE

    def _left(self, now: float) -> float:
        if self._at is None:
            return 0.0
        return self._count * exp2(max(-_FARTHEST, min(0.0, (self._at - now) / HALF_LIFE)))


def standby(scaling: ScaleToZero, ready: Ready, rate: float) -> Decimal | None:
    """USD that asking the target now adds besides the seconds of its answer; None if nobody knows its price. `rate`:
    requests a second.
    """
    if scaling.second is None:
        return None
    return scaling.second * Decimal(round(_seconds(scaling.window, ready, rate), 3))


def _seconds(window: float, ready: Ready, rate: float) -> float:
    hits = rate * window
    idles = window if hits < 1e-9 else -expm1(-hits) / rate
    match ready.state:
        case "warming":
            return 0.0
        case "warm":
            return min(ready.idle, idles)
        case "cold":
            start = ready.wait * exp(-hits)
            return (idles + start) / (1 + rate * start)

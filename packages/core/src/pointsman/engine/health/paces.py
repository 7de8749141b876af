"""How fast targets answer, as limits for the next answer; known only once enough answers were seen."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...types import Target
from ..terms import Pace
from .sketch import Sketch

ENOUGH = 20
"""Measurements before a limit is made of them."""
REFRESH = 8
"""Measurements after which limits are worked out anew."""
FIRST_TOKEN = (5.0, 5.0, 60.0)
"""Times the 99th percentile; at least and at most, in seconds. Wide, since a prompt may be far longer than those
before: it is for who has fallen silent. Hedging is for who is late."""
STALL = (4.0, 5.0, 60.0)
"""The same for the longest silence within an answer."""
SLOWEST = 0.2
"""Times the 5th percentile of speeds."""
HEDGED = ((0.95, 1.0), (0.9, 2.0))
"""A hedge is worth it once such a share of answers has begun, or after so many times that: whichever is sooner. One
share alone may fall among the slow ones that hedges are for."""
ALL_SLOW = 0.3
"""The share of late answers above which everybody is slow, and a second attempt would only add to it."""
_MEMORY = 0.1
"""How much one answer moves that share."""


@dataclass(slots=True, eq=False, repr=False)
class _Measured:
    first_token: Sketch = field(default_factory=Sketch)
    silence: Sketch = field(default_factory=Sketch)
    speed: Sketch = field(default_factory=Sketch)
    pace: Pace = Pace()  # noqa: RUF009  (a tuple)
    stale: int = 0


@dataclass(slots=True, eq=False, repr=False)
class Paces:
    """The paces of all targets."""

    late: float = 0.0
    """The share of recent answers that began later than nearly all before them."""
    _measured: dict[Target, _Measured] = field(default_factory=dict[Target, _Measured])

    @property
    def all_slow(self) -> bool:
        """Whether slowness is no longer the exception."""
        return self.late > ALL_SLOW

    def of(self, target: Target) -> Pace:
        """Limits for the next answer of `target`."""
        found = self._measured.get(target)
        if found is None:
            return Pace()
        if found.stale >= REFRESH:
            found.pace, found.stale = _pace(found), 0
        return found.pace

    def first_token(self, target: Target, seconds: float, now: float, expected: float | None) -> None:
        """An answer began after so many seconds, or had not begun by then; nearly all had after `expected`."""
        found = self._measured.setdefault(target, _Measured())
        found.first_token.add(seconds, now)
        found.stale += 1
        if expected is not None:
            self.late += _MEMORY * ((seconds > expected) - self.late)

    def answered(self, target: Target, silence: float, speed: float | None, now: float) -> None:
        """An answer is whole: its longest silence in seconds, and its speed in characters a second if that is known."""
        found = self._measured.setdefault(target, _Measured())
        found.silence.add(silence, now)
        if speed is not None:
            found.speed.add(speed, now)
        found.stale += 1


def _pace(found: _Measured) -> Pace:
    first, silence, speed = found.first_token, found.silence, found.speed
    return Pace(
        first_token=_limit(first, FIRST_TOKEN) if first.count >= ENOUGH else None,
        stall=_limit(silence, STALL) if silence.count >= ENOUGH else None,
        min_speed=SLOWEST * speed.quantile(0.05) if speed.count >= ENOUGH else None,
        hedge_after=min(times * first.quantile(share) for share, times in HEDGED) if first.count >= ENOUGH else None,
    )


def _limit(sketch: Sketch, rule: tuple[float, float, float]) -> float:
    times, least, most = rule
    return min(most, max(least, times * sketch.quantile(0.99)))

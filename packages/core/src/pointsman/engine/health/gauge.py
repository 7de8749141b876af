"""What attempts of one kind came to: counts and medians in little memory, where the new counts more than the old."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp2, log2

from ...policy import Measured
from .sketch import Buckets

BUCKETS = 32
"""Of each median: values that lie up to 20 times apart are told apart by a tenth."""
RATINGS = 100
"""The newest of them are kept one by one, since each may be changed."""
STALE = 0.01
"""Of a half-life: for so long what was worked out is handed out again, if nothing has come."""
NOTHING = 1e-3
"""What is left of one attempt when it no longer says anything."""
_FARTHEST = 40.0
"""Half-lives after which the unit of weight is set anew."""


@dataclass(slots=True, eq=False, repr=False)
class Gauge:
    """Instead of shrinking what is old, what comes weighs more, by its age and by how much came before it: so that
    attempts count the same in whichever order they are told, as long as there are fewer than `most`.
    """

    half_life: float
    """Seconds after which an attempt counts half."""
    most: float
    """So many attempts count at most; then each that comes takes the place of as much of the old."""
    attempts: float = 0.0
    failures: float = 0.0
    first_token: Buckets = field(default_factory=Buckets)
    speed: Buckets = field(default_factory=Buckets)
    ratings: dict[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    """By the id of the call: when it ended, and the score."""
    _origin: float | None = None
    """When a weight of 1 was given, but for what more came since."""
    _newest: float = 0.0
    _more: float = 0.0
    """The logarithm (base 2) of how much more one weighs since, for those that came."""
    _said: Measured | None = None
    _said_at: float = 0.0

    def add(self, at: float, *, failed: bool, first_token: float | None, speed: float | None) -> None:
        """An attempt that showed how its target is; it ended at `at`."""
        weight = self._weight(at)
        self.attempts += weight
        self.failures += weight * failed
        if first_token is not None:
            self._measure(self.first_token, first_token, weight)
        if speed is not None:
            self._measure(self.speed, speed, weight)
        self._make_room()

    def late(self, at: float, seconds: float) -> None:
        """Somebody waited so long in vain, until `at`. That says something only where it is longer than usual."""
        if self.first_token.total and seconds > self.first_token.quantile(0.5):
            self._measure(self.first_token, seconds, self._weight(at))
            self._make_room()

    def rate(self, call_id: str, at: float, score: float) -> None:
        """An answer that ended at `at` was rated; the last score of a call counts."""
        self.ratings[call_id] = at, score
        if len(self.ratings) > RATINGS:
            del self.ratings[min(self.ratings, key=lambda one: (self.ratings[one], one))]
        self._said = None

    def measured(self, now: float) -> Measured:
        """All of it as of `now`."""
        if self._said is None or abs(now - self._said_at) > STALE * self.half_life:
            self._said, self._said_at = self._measured(now), now
        return self._said

    def _measured(self, now: float) -> Measured:
        unit = max(exp2(min(self._exponent(now), 1000.0)), self._heaviest / self.most) or 1.0
        first, speed = self.first_token, self.speed
        rated = [(exp2(min(0.0, (at - now) / self.half_life)), score) for at, score in self.ratings.values()]
        weights = sum(weight for weight, _ in rated)
        return Measured(
            attempts=self.attempts / unit,
            failures=self.failures / unit,
            first_token=first.quantile(0.5) if first.total > NOTHING * unit else None,
            answers=first.total / unit,
            tokens_per_second=speed.quantile(0.5) if speed.total > NOTHING * unit else None,
            timed=speed.total / unit,
            quality=sum(weight * score for weight, score in rated) / weights if weights > NOTHING else None,
            rated=weights,
        )

    def _measure(self, values: Buckets, value: float, weight: float) -> None:
        values.put(value, weight)
        values.narrow(BUCKETS)

    @property
    def _heaviest(self) -> float:
        return max(self.attempts, self.first_token.total)

    def _make_room(self) -> None:
        """What comes next weighs more, if there is as much already as may count."""
        unit = exp2(self._exponent(self._newest))
        if self._heaviest > self.most * unit:
            self._more += log2(self._heaviest / (self.most * unit))
        self._said = None

    def _exponent(self, at: float) -> float:
        return (at - (at if self._origin is None else self._origin)) / self.half_life + self._more

    def _weight(self, at: float) -> float:
        """Of an attempt at `at`."""
        if self._origin is None:
            self._origin = self._newest = at
        self._newest = max(self._newest, at)
        exponent = self._exponent(at)
        if exponent > _FARTHEST:
            factor = exp2(-min(exponent, 1000.0))
            self.attempts *= factor
            self.failures *= factor
            self.first_token.scale(factor)
            self.speed.scale(factor)
            self._origin, self._more, exponent = at, 0.0, 0.0
        return exp2(max(exponent, -1000.0))

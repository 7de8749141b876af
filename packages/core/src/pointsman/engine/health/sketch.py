"""Quantiles of what was measured, in little memory, with what is long ago counting less.

Values fall into buckets of equal ratio, so that a quantile is off by at most `RATIO` (the scheme of DDSketch: Masson,
Rim and Lee, PVLDB 12, 2019). Instead of shrinking all old weights, each new one weighs more; when numbers get large,
all are scaled down.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, exp2, log

RATIO = 1.1
_LOG = log(RATIO)
SMALLEST, LARGEST = 1e-4, 1e12
"""What lies beyond is taken for these."""
HALF_LIFE = 1800.0
"""Seconds after which a measurement counts half."""
_HEAVIEST = 2.0**40


@dataclass(slots=True, eq=False, repr=False)
class Buckets:
    """Quantiles of positive values, each with a weight."""

    buckets: dict[int, float] = field(default_factory=dict[int, float])
    total: float = 0.0
    """The sum of the weights."""

    def put(self, value: float, weight: float) -> None:
        """One value."""
        bucket = ceil(log(max(SMALLEST, min(value, LARGEST))) / _LOG)
        self.buckets[bucket] = self.buckets.get(bucket, 0.0) + weight
        self.total += weight

    def scale(self, factor: float) -> None:
        """Multiply all weights; those that are next to nothing then are dropped."""
        self.buckets = {key: one * factor for key, one in self.buckets.items() if one * factor > 1e-6}
        self.total = sum(self.buckets.values())

    def narrow(self, most: int) -> None:
        """Keep at most so many buckets: the lightest go to their neighbours."""
        while len(self.buckets) > most:
            lightest = min(self.buckets, key=self.buckets.__getitem__)
            weight = self.buckets.pop(lightest)
            self.buckets[min(self.buckets, key=lambda key: abs(key - lightest))] += weight

    def quantile(self, share: float) -> float:
        """The value that `share` of all lie at or below, to within `RATIO`. Raises `ValueError` if there is none."""
        if not self.buckets:
            raise ValueError("nothing was measured yet")
        wanted, seen = share * self.total, 0.0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= wanted - 1e-9 * self.total:
                return RATIO**bucket
        return RATIO ** max(self.buckets)


@dataclass(slots=True, eq=False, repr=False)
class Sketch(Buckets):
    """The same, with what is long ago counting less. Two of the same origin can be added, bucket by bucket."""

    origin: float | None = None
    """When a weight of 1 was given."""
    count: int = 0
    """How many values were added, however long ago."""

    def add(self, value: float, now: float) -> None:
        """One measurement, at `now` seconds."""
        if self.origin is None:
            self.origin = now
        weight = exp2(min(60.0, (now - self.origin) / HALF_LIFE))
        self.put(value, weight)
        self.count += 1
        if weight > _HEAVIEST:
            self.scale(1 / weight)
            self.origin = now

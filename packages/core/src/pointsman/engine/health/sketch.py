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
class Sketch:
    """Quantiles of positive values. Two sketches of the same origin can be added, bucket by bucket."""

    buckets: dict[int, float] = field(default_factory=dict[int, float])
    total: float = 0.0
    origin: float | None = None
    """When a weight of 1 was given."""
    count: int = 0
    """How many values were added, however long ago."""

    def add(self, value: float, now: float) -> None:
        """One measurement, at `now` seconds."""
        if self.origin is None:
            self.origin = now
        weight = exp2(min(60.0, (now - self.origin) / HALF_LIFE))
        bucket = ceil(log(max(SMALLEST, min(value, LARGEST))) / _LOG)
        self.buckets[bucket] = self.buckets.get(bucket, 0.0) + weight
        self.total += weight
        self.count += 1
        if weight > _HEAVIEST:
            self.buckets = {key: one / weight for key, one in self.buckets.items() if one / weight > 1e-6}
            self.total, self.origin = sum(self.buckets.values()), now

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

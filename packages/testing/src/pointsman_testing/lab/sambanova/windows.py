"""How much a vendor allows in a minute and in a day, on the lab's clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ..dialect import Site

MINUTE, DAY = 60, 86_400

Reset: TypeAlias = Literal["epoch", "seconds"]


@dataclass(frozen=True, slots=True)
class Window:
    """So many of something in so many `seconds`; the windows follow one another from the moment the vendor opened."""

    site: Site
    name: str
    """What is counted, and for whom."""
    seconds: int
    limit: int

    @property
    def used(self) -> int:
        number, count = self._counts.get(self._key, (0, 0))
        return count if number == self._number else 0

    @property
    def left(self) -> float:
        """Lab seconds until the next window begins."""
        return self.seconds - self.site.clock() % self.seconds

    def use(self, amount: int) -> None:
        self._counts[self._key] = (self._number, self.used + amount)

    def refusal(self, amount: int) -> str | None:
        """The vendor's words, if so much more does not fit."""
        if self.used + amount <= self.limit:
            return None
        violated = f"duration_s: {self.seconds}, current usage: {self.used}, limit: {self.limit}"
        return f"Request would exceed rate limit\nViolated {violated}"

    def headers(self, reset: Reset) -> Iterator[tuple[str, str]]:
        """What is told of it; a time of day is so many lab seconds from now on a wall clock."""
        ending = "requests-day" if self.seconds == DAY else "requests"
        until = round(self.left + (time.time() if reset == "epoch" else 0))
        told = {"limit": self.limit, "remaining": max(0, self.limit - self.used), "reset": until}
        for what, number in told.items():
            yield f"x-ratelimit-{what}-{ending}", str(number)

    @property
    def _key(self) -> str:
        return f"{self.name} in {self.seconds} s"

    @property
    def _number(self) -> int:
        return int(self.site.clock() // self.seconds)

    @property
    def _counts(self) -> dict[str, Any]:
        return self.site.memory.setdefault("windows", {})

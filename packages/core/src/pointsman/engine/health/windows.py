"""How much was sent in the last minute, and when more may be: limits that were configured, never exceeded."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Self

MINUTE = 60.0
RETRY_BURST = 10.0
HEDGE_BURST = 5.0


@dataclass(slots=True, eq=False, repr=False)
class Spent:
    """What one attempt counts for."""

    at: float
    amount: int
    window: Window | None

    def correct(self, amount: int) -> None:
        """It was another amount, as is known now."""
        if self.window is not None:
            self.window.total += amount - self.amount
        self.amount = amount


@dataclass(slots=True, eq=False, repr=False)
class Window:
    """At most `limit` in any minute."""

    limit: int
    total: int = 0
    """What those still in the window amount to."""
    _spent: deque[Spent] = field(default_factory=deque[Spent])

    def opens_at(self, now: float, amount: int) -> float:
        """When `amount` more fits. What is larger than the limit fits once nothing else is left in the window."""
        while self._spent and self._spent[0].at <= now - MINUTE:
            gone = self._spent.popleft()
            gone.correct(0)
            gone.window = None
        over = self.total + min(amount, self.limit) - self.limit
        opens = 0.0
        for one in self._spent:
            if over <= 0:
                break
            over -= one.amount
            opens = one.at + MINUTE
        return opens

    def spend(self, now: float, amount: int) -> Spent:
        """Count `amount` from now on."""
        spent = Spent(now, amount, self)
        self._spent.append(spent)
        self.total += amount
        return spent


@dataclass(slots=True, eq=False, repr=False)
class Budget:
    """Extra attempts as a share of calls: each call adds `share`, each extra attempt takes one. Never below zero."""

    share: float
    burst: float
    """How much is saved up at most."""
    left: float = 0.0

    @classmethod
    def of_retries(cls, share: float) -> Self:
        """The first calls may retry: they have had no time to save up."""
        return cls(share, RETRY_BURST, RETRY_BURST if share else 0.0)

    @classmethod
    def of_hedges(cls, share: float) -> Self:
        """The first calls may not: never more than `share` of all calls so far."""
        return cls(share, HEDGE_BURST)

    def earn(self) -> None:
        """A call begins."""
        self.left = min(self.burst, self.left + self.share)

    @property
    def allows(self) -> bool:
        """Whether there is enough for one more. Sums of fractions are a hair off."""
        return self.left > 1 - 1e-9

    def spend(self) -> None:
        """An extra attempt begins."""
        self.left = max(0.0, self.left - 1)

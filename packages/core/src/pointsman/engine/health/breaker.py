"""When a target, or a whole provider, is left alone for a while because it keeps failing.

Rule 1: only signs of an outage count (`PointsmanError.trips`); what a caller did wrong never does, nor a cold start.
Rule 2: it opens when, within `WINDOW` seconds, at least `LEAST` attempts failed and they are half of all or more.
Rule 3: after the pause exactly one attempt is let through, the probe. Its first output closes the breaker; its failure
        opens it for twice as long. A probe that nobody waited for proves nothing: the next attempt is the probe.
Rule 4: attempts that began before it opened say nothing new, neither good nor bad, even once it is closed again.

The clock comes in as an argument; nothing here waits.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass, field
from math import inf

WINDOW = 30.0
LEAST = 5
REMEMBERED = 50
"""Outcomes that are kept at most."""
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0


class State(enum.Enum):
    """What a breaker does with an attempt."""

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"


@dataclass(slots=True, eq=False, repr=False)
class Breaker:
    """One breaker. Ask `opens_at`; tell `begin`, then one of `succeeded`, `failed`, `abandoned` for that attempt."""

    state: State = State.CLOSED
    until: float = 0.0
    pause: float = FIRST_PAUSE
    _closed_at: float = -inf
    _outcomes: deque[tuple[float, bool]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def opens_at(self) -> float:
        """When an attempt may begin: 0 for at any time, ``inf`` while a probe is out."""
        match self.state:
            case State.CLOSED:
                return 0.0
            case State.OPEN:
                return self.until
            case State.PROBING:
                return inf

    def begin(self) -> bool:
        """An attempt begins, at or after `opens_at`. Whether it is the probe."""
        if self.state is not State.OPEN:
            return False
        self.state = State.PROBING
        return True

    def succeeded(self, now: float, *, began: float, probe: bool) -> None:
        """The attempt yielded output, or a refusal that only somebody who is well can give."""
        if probe:
            self.state, self.pause, self._closed_at = State.CLOSED, FIRST_PAUSE, now
            self._outcomes.clear()
        elif self._counts(began):
            self._outcomes.append((now, True))

    def failed(self, now: float, *, began: float, probe: bool) -> None:
        """The attempt met a sign of an outage."""
        if probe:
            self.pause = min(self.pause * 2, LONGEST_PAUSE)
            self._open(now)
        elif self._counts(began):
            self._outcomes.append((now, False))
            recent = [well for at, well in self._outcomes if at > now - WINDOW]
            if recent.count(False) >= max(LEAST, len(recent) / 2):
                self._open(now)

    def abandoned(self, now: float) -> None:
        """The probe was cancelled before it showed anything."""
        self.state, self.until = State.OPEN, now

    def well(self, now: float) -> None:
        """Somebody who asked says that it is well: the pause is over."""
        if self.state is State.OPEN:
            self.until = min(self.until, now)

    def _counts(self, began: float) -> bool:
        return self.state is State.CLOSED and began >= self._closed_at

    def _open(self, now: float) -> None:
        self.state, self.until = State.OPEN, now + self.pause
        self._outcomes.clear()

"""What is known of one target, or of one provider as a whole: breaker, cooldown, limits of ours, who waits."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

from ...errors import PointsmanError, RequestError
from .breaker import Breaker, State
from .line import Line
from .windows import Spent, Window

FIRST_COOLDOWN = 1.0
LONGEST_COOLDOWN = 60.0
"""Seconds that a place rests that refused for now, and did not say for how long: the first doubles each time."""
AVOIDED = 30.0
"""Seconds during which others are asked first, after what will hardly change by itself (key, credit, model)."""


class Caps(NamedTuple):
    """Limits of ours. None is without."""

    concurrent: int | None = None
    rpm: int | None = None
    """Requests a minute."""
    tpm: int | None = None
    """Tokens a minute."""


@dataclass(slots=True, eq=False, repr=False)
class Place:
    """A target or a provider."""

    caps: Caps = Caps()  # noqa: RUF009  (a tuple)
    breaker: Breaker = field(default_factory=Breaker)
    running: int = 0
    open_at: float = 0.0
    """When its cooldown ends. The later moment wins; nothing shortens it."""
    strikes: int = 0
    avoid_until: float = 0.0
    error: PointsmanError | None = None
    """What it said last, where that keeps others from asking."""
    line: Line = field(default_factory=Line)
    requests: Window | None = field(init=False)
    tokens: Window | None = field(init=False)

    def __post_init__(self) -> None:
        self.requests = Window(self.caps.rpm) if self.caps.rpm else None
        self.tokens = Window(self.caps.tpm) if self.caps.tpm else None

    @property
    def full(self) -> bool:
        """Whether as many attempts run as may."""
        return self.caps.concurrent is not None and self.running >= self.caps.concurrent

    @property
    def blocked(self) -> bool:
        """Whether an attempt of another call is in the way."""
        return self.full or self.breaker.state is State.PROBING

    def shut_until(self) -> float:
        """When it may be asked, for all that it has said and shown."""
        return max(self.open_at, self.breaker.opens_at())

    def line_opens_at(self, now: float, tokens: int, order: float) -> float:
        """When the call number `order` may ask it, for all that we have sent; ``inf`` if others come first."""
        if self.full or self.line.before(order):
            return inf
        opens = self.requests.opens_at(now, 1) if self.requests else 0.0
        return max(opens, self.tokens.opens_at(now, tokens)) if self.tokens else opens

    def used_up(self, now: float, tokens: int, order: float) -> str:
        """Which limit of ours keeps a request waiting; nothing if none does."""
        if self.full:
            return f"concurrent = {self.caps.concurrent}"
        if self.line_opens_at(now, tokens, order) <= now:
            return ""
        by_requests = self.requests and (self.requests.opens_at(now, 1) > now or not self.tokens)
        return f"rpm = {self.caps.rpm}" if by_requests else f"tpm = {self.caps.tpm}"

    def begin(self, now: float, tokens: int) -> tuple[bool, Spent | None]:
        """An attempt begins: whether it is the probe, and what it was taken to spend."""
        self.running += 1
        if self.requests:
            self.requests.spend(now, 1)
        return self.breaker.begin(), self.tokens.spend(now, tokens) if self.tokens else None

    def well(self, now: float, *, began: float, probe: bool) -> None:
        """It has begun to answer."""
        self.breaker.succeeded(now, began=began, probe=probe)
        self.strikes, self.avoid_until = 0, 0.0

    def ill(self, error: PointsmanError, now: float, *, began: float, probe: bool, getting_ready: float | None) -> None:
        """An attempt failed with `error`, which is about this place; it may only be `getting_ready`, for so long."""
        if error.trips or error.retryable or error.retry_at is not None:
            self.error = _remembered(error)
        if error.retry_at is not None:
            self.open_at = max(self.open_at, error.retry_at)
        if isinstance(error, RequestError):
            self.breaker.succeeded(now, began=began, probe=probe)
        elif getting_ready is not None:  # No failure, yet no reason to hurry back.
            self.avoid_until = max(self.avoid_until, now + getting_ready)
            self._excuse(now, probe=probe)
        elif error.trips:
            self.breaker.failed(now, began=began, probe=probe)
        elif error.retryable:
            self.breaker.succeeded(now, began=began, probe=probe)
            if error.retry_at is None and now >= self.open_at:  # Those that ran side by side are one strike.
                self.open_at = max(self.open_at, now + min(FIRST_COOLDOWN * 2**self.strikes, LONGEST_COOLDOWN))
                self.strikes = min(self.strikes + 1, 10)
        else:
            self.avoid_until = max(self.avoid_until, now + AVOIDED)
            self._excuse(now, probe=probe)

    def _excuse(self, now: float, *, probe: bool) -> None:
        if probe:
            self.breaker.abandoned(now)

    def stir(self) -> None:
        """Something has changed: tell those who wait, for as long as there is room."""
        self.line.tell(unless=lambda: self.blocked)


def _remembered(error: PointsmanError) -> PointsmanError:
    """What may be kept for long: no traceback, whose frames hold requests, and no text."""
    kept = copy(error)
    kept.__traceback__ = kept.__cause__ = kept.__context__ = None
    kept.partial = ""
    vars(kept).pop("__notes__", None)  # They are of one call.
    return kept

"""Which leg of a plan may be asked next, and when: what this call has met, and what others have.

Other targets come before second tries, and those that stand well before those that probably fail; the plan decides the
rest. A leg that cannot be asked yet is waited for only if nobody can be asked sooner.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf

from ..errors import ContextOverflow, PointsmanError, Scope
from ..types import Target
from .terms import Leg, Limits, Outlook, Standing

BACKOFF = 0.25
"""Seconds before a target is asked again, doubled each time, times 0.5 to 1.5."""


@dataclass(slots=True, eq=False, repr=False)
class Way:
    """A leg with what has happened to it in this call."""

    leg: Leg
    tries: int = 0
    error: PointsmanError | None = None
    ready_at: float = 0.0

    def fail(self, error: PointsmanError, now: float, dice: float) -> None:
        """The last try ended with `error`; `dice` in [0, 1) spreads the next."""
        pause: float = BACKOFF * 2 ** (self.tries - 1) * (0.5 + dice)
        self.error, self.ready_at = error, now + pause


@dataclass(slots=True, eq=False, repr=False)
class Route:
    """The legs of one call."""

    plan: Sequence[Leg]
    limits: Limits
    outlook: Outlook
    waiting_since: float | None = None
    """When the call began to wait for somebody who may be asked, and for no limit of ours."""
    queue: list[Target] = field(default_factory=list[Target])
    """Whom `next` found that the call waits for."""
    ways: list[Way] = field(init=False)

    def __post_init__(self) -> None:
        self.ways = [Way(leg) for leg in self.plan]

    def next(self, now: float, *, resuming: bool, deadline: float) -> tuple[float, Way | None] | None:
        """Whom to ask next, and when; with nobody yet, when to look again. None if there is nobody to wait for."""
        seen: list[tuple[int, Way, Standing, float]] = []
        for index, way in enumerate(self.ways):
            if (way.leg.prefill or not resuming) and self._eligible(way):
                standing = self.outlook.standing(way.leg.target, now)
                told = way.error.retry_at if way.error else None
                seen.append((index, way, standing, max(now, standing.open_at, told or now)))
        patient_until = self._patient_until(
            now, lined=any(s.queue and (t < deadline or t == inf) for _, _, s, t in seen)
        )
        ranked: list[tuple[float, bool, bool, int]] = []
        look_again: list[float] = []
        self.queue.clear()
        for index, way, standing, opens in seen:
            at = max(opens, way.ready_at)
            if opens == inf and now < patient_until:  # Another call is in the way; its end will poke this one.
                look_again.append(patient_until)
            elif opens <= max(patient_until, now) and at < deadline:
                ranked.append((at, way.tries > 0, standing.avoid, index))
            else:
                continue
            if at == standing.open_at > now:  # Else it is not ready itself, and would keep others waiting.
                self.queue.append(way.leg.target)
        first = min(ranked, default=None)
        if first is not None and first[0] <= min(look_again, default=inf):
            return first[0], self.ways[first[3]]
        return (min(look_again), None) if look_again else None

    def _patient_until(self, now: float, *, lined: bool) -> float:
        """How long the call waits for what is no limit of ours; as long as it stands in line, it waits anyway."""
        if lined:
            self.waiting_since = None
            return inf
        if self.waiting_since is None:
            self.waiting_since = now
        return self.waiting_since + self.limits.max_wait

    def spare(self, now: float) -> Way | None:
        """A target that was not asked yet and can be asked this instant, twice at no harm. Whose machine would have to
        be started first is none: it would be billed for an answer that comes too late.
        """
        return next(
            (
                way
                for way, one in self._fresh(now)
                if one.open_at <= now and not one.avoid and way.leg.idempotent and not way.leg.wait
            ),
            None,
        )

    def has_spare(self, now: float, *, resuming: bool) -> bool:
        """Whether somebody could take over, soon."""
        soon = now + self.limits.max_wait
        return any(one.open_at <= soon and (way.leg.prefill or not resuming) for way, one in self._fresh(now))

    def closed(self, now: float) -> Iterator[PointsmanError]:
        """Why those were not asked who might have been."""
        for _, standing in self._fresh(now):
            if standing.error is not None:
                yield standing.error

    def _fresh(self, now: float) -> Iterator[tuple[Way, Standing]]:
        for way in self.ways:
            if way.tries == 0 and not self._ruled_out(way):
                yield way, self.outlook.standing(way.leg.target, now)

    def _eligible(self, way: Way) -> bool:
        if self._ruled_out(way):
            return False
        if way.tries == 0:
            return True
        error = way.error
        return error is not None and error.retryable and way.tries <= self.limits.retries and self.outlook.may_retry()

    def _ruled_out(self, way: Way) -> bool:
        """Whether what was met so far shows that this leg would fail too. One that failed itself may be retried."""
        for other in self.ways:
            error = other.error
            if error is None:
                continue
            if error.scope is Scope.PROVIDER and other.leg.target.provider == way.leg.target.provider:
                if other is way and error.retryable:
                    continue
                return True
            if isinstance(error, ContextOverflow) and not _larger(way.leg, other.leg):
                return True
        return False


def _larger(leg: Leg, than: Leg) -> bool:
    return (
        leg.context_tokens is not None and than.context_tokens is not None and leg.context_tokens > than.context_tokens
    )

"""When nothing new is sent any more: the money is spent, somebody wants to stop, or no line would fare better. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pointsman as p

ALIKE = 3
"""Lines that met the same trouble at providers of which none has answered since: the others would meet it, too. One is
enough where nobody can be reached and nobody ever answered: it has been tried for as long as a line may wait."""
OUTAGE = 16
"""Lines in a row that nobody answers, for whatever reasons of providers; more where more are asked at once."""


class Stop:
    """Nothing new is sent once it has a `reason`."""

    def __init__(self, max_cost: Decimal | None, at_once: int) -> None:
        self._max_cost = max_cost
        self._most = max(OUTAGE, 2 * at_once)
        self._alike: dict[frozenset[tuple[str, str | None]], int] = {}
        self._unanswered = 0
        self._begun = False
        """Whether any line was answered."""
        self.reason: str | None = None
        """``cost``, ``interrupted`` or ``error``."""
        self.error: BaseException | None = None
        """What keeps lines from being sent; also if there were too few of them to stop for it."""

    def settled(self, cost: p.Cost) -> None:
        """All sendings together have cost so much."""
        if self._max_cost is not None and cost.known >= self._max_cost:
            self.reason = self.reason or "cost"

    def interrupt(self) -> None:
        """Somebody wants it to end, whatever else does."""
        self.reason = "interrupted"

    def fail(self, error: BaseException) -> None:
        """It cannot go on."""
        self.error = self.error if self.reason == "error" else error
        self.reason = self.reason or "error"

    def answered(self, provider: str) -> None:
        """A line was answered by `provider`."""
        self._unanswered, self._begun = 0, True
        self._alike = {gist: n for gist, n in self._alike.items() if all(name != provider for _, name in gist)}

    def failed(self, error: p.PointsmanError) -> bool:
        """A line was not. Whether that is its result; else it stays open, since the trouble is not the line's."""
        if is_no_fault(error):
            gist = frozenset((type(one).__name__, one.provider) for one in each(error))
            self._alike[gist] = self._alike.get(gist, 0) + 1
            if self.reason is None:
                self.error = self.error or error
            if self._alike[gist] >= ALIKE or not (self._begun or {"Unavailable"}.isdisjoint(kind for kind, _ in gist)):
                self.fail(error)
            return False
        if not isinstance(error, p.RequestError):
            self._unanswered += 1
            if self._unanswered >= self._most:
                error.add_note(f"{self._unanswered} lines in a row met errors like this one, so no more are sent")
                self.fail(error)
        return True


def is_no_fault(error: p.PointsmanError) -> bool:
    """Whether nobody has begun to answer, for a reason that has nothing to do with the line."""
    return all(map(is_nothing, error.attempts)) and all(map(_is_elsewhere, each(error)))


def is_nothing(attempt: p.AttemptRecord) -> bool:
    """Whether an attempt is over, and nobody has begun to answer it."""
    return attempt.outcome == "failed" and attempt.cost == p.Exact(0)


def _is_elsewhere(error: BaseException) -> bool:
    match error:
        case p.NoCandidates():
            return error.none_ready
        case p.Unavailable():
            return not error.begun and error.scope is p.Scope.PROVIDER
        case _:
            return isinstance(error, p.AuthFailed | p.QuotaExhausted | p.RateLimited | p.ConfigError)


def each(error: p.PointsmanError) -> Iterator[p.PointsmanError]:
    """The errors of all attempts."""
    if isinstance(error, p.AllTargetsFailed):
        for one in error.exceptions:
            yield from each(one) if isinstance(one, p.PointsmanError) else ()
    elif isinstance(error, p.DeadlineExceeded) and isinstance(error.__cause__, p.PointsmanError):
        yield from each(error.__cause__)
    else:
        yield error

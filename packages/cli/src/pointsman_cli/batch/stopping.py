"""When nothing new is sent any more: the money is spent, somebody wants to stop, or no line would fare better. Pure."""

from __future__ import annotations

from decimal import Decimal

import pointsman as p

FATAL = 3
"""Errors like that of a wrong key: after so many that are alike, nobody waits for the other lines to meet it."""
OUTAGE = 16
"""Lines in a row that nobody answers, for whatever reasons of providers; more where more are asked at once."""


class Stop:
    """Nothing new is sent once it has a `reason`."""

    def __init__(self, max_cost: Decimal | None, at_once: int) -> None:
        self._max_cost = max_cost
        self._most = max(OUTAGE, 2 * at_once)
        self._alike: dict[tuple[object, ...], int] = {}
        self._unanswered = 0
        self.reason: str | None = None
        """``cost``, ``interrupted`` or ``error``."""
        self.error: BaseException | None = None
        """The first that stands for all, also if the end was reached before there were many."""

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

    def answered(self) -> None:
        """A line was answered."""
        self._unanswered = 0

    def failed(self, error: p.PointsmanError) -> bool:
        """A line was not. Whether that is its result; else it stays open, since the error is none of its own."""
        if is_fatal(error):
            gist = _gist(error)
            self._alike[gist] = self._alike.get(gist, 0) + 1
            self.error = self.error or error
            if self._alike[gist] >= FATAL:
                self.fail(error)
            return False
        if not isinstance(error, p.RequestError):
            self._unanswered += 1
            if self._unanswered >= self._most:
                error.add_note(f"{self._unanswered} lines in a row met errors like this one, so no more are sent")
                self.fail(error)
        return True


def is_fatal(error: BaseException) -> bool:
    """Whether it says nothing about the line, and asking again changes nothing before somebody has mended something."""
    match error:
        case p.AllTargetsFailed():
            return all(map(is_fatal, error.exceptions))
        case p.NoCandidates():
            return error.none_ready
        case _:
            return isinstance(error, p.AuthFailed | p.QuotaExhausted | p.ConfigError | p.PluginError)


def _gist(error: p.PointsmanError) -> tuple[object, ...]:
    return type(error), error.provider

"""Whether a target's machines run, which come and go; and how long a start takes, as its attempts have shown.

Rule 1: a machine that has answered is there until its window has passed. So what was answered makes spans of time, and
        spans that are no further apart than a window are one.
Rule 2: an attempt that began in no span may have set a start off. Those that follow on one another, until somebody is
        answered, wait for the same start: it took from the first of them to the first output, less what a first output
        takes of a machine that runs.
Rule 3: whoever gave up has seen how long a start takes at least; whoever came later and was answered at once, how long
        at most. Such a bound moves the expectation only where that lies beyond it.
Rule 4: an answer that came at once although nobody had set a start off is a start of no seconds: somebody else keeps
        the target awake. What is expected is the wait of who comes after a pause, whatever the reason.

It is told of attempts with their times, in any order, and keeps the newest; it has no clock. Seconds are those of
whoever tells.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from math import exp2, inf
from statistics import median
from typing import NamedTuple

from ...policy import ReadyState
from ...provider import ScaleToZero

WORTH = 1.0
"""Starts that the expectation of the provider's package is worth."""
HALF_LIFE = 7 * 86_400.0
"""Seconds after which a start that was seen counts half."""
KEPT = 64
"""Attempts, and spans, of each kind: the newest."""
AT_ONCE = 1.0
"""Seconds: who waited no longer than that, and a usual first output, did not wait for a start."""
OVERDUE = 0.25
"""Of the expected wait: what is left of a start that takes longer than that, and that somebody still waits for."""
LONGEST_ASSUMED, WINDOW_ASSUMED = 60.0, 300.0
"""Seconds, where a provider says no more than how long it may be silent: how long a start takes at most, as nobody
says what is usual; and how long a target stays awake, which is Ollama's ``OLLAMA_KEEP_ALIVE``, 5 minutes."""


def assumed(cold_start: float) -> ScaleToZero:
    """For a target of which only the end of all patience is known."""
    return ScaleToZero(window=WINDOW_ASSUMED, start=min(cold_start, LONGEST_ASSUMED) / 2)


class Ready(NamedTuple):
    """How it is at a moment."""

    state: ReadyState
    wait: float
    """Seconds until it is ready, as is to be expected."""
    starts: float
    """Of how many starts that was learnt. Those that are long ago count less."""
    idle: float
    """Seconds since it has done something, if it is warm."""


@dataclass(slots=True, eq=False, repr=False)
class Trial:
    """An attempt of ours, while it runs and after. It is told how it goes on."""

    began: float
    spoke: float | None = None
    ended: float | None = None


class _Try(NamedTuple):
    began: float
    spoke: float | None
    ended: float


class _Start(NamedTuple):
    """How long a start took, at least and at most; and when it was set off."""

    at: float
    low: float
    high: float


@dataclass(slots=True, eq=False, repr=False)
class Readiness:
    """Of one target."""

    scaling: ScaleToZero
    _spans: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    """In which it has answered: from a first output to a last, apart by more than the window."""
    _tries: list[_Try] = field(default_factory=list[_Try])
    """Attempts that began in no span, nor in the window after one; by `_place`."""
    _usual: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    """When the others began that were answered, and their seconds to the first output."""
    _trials: list[Trial] = field(default_factory=list[Trial])
    """Ours, which run, or ended of late without an answer. From these nothing is learnt until they are told of."""
    _starts: list[_Start] | None = None
    """Of the tries, worked out."""
    heard: float = -inf
    """When anything last happened."""

    # What happens ----------------------------------------------------------------------------------------------------

    def begin(self, now: float) -> Trial:
        """An attempt of ours begins, or something else that starts a machine."""
        trial = Trial(now)
        self._trials = [*self._trials[1 - KEPT :], trial]
        self.heard = max(self.heard, now)
        return trial

    def spoke(self, trial: Trial, now: float) -> None:
        """It has its first output."""
        trial.spoke = now
        self._answered(now, now)

    def ended(self, trial: Trial, now: float) -> None:
        """It is over: answered to the end, or given up."""
        trial.ended = now
        self.heard = max(self.heard, now)
        if trial.spoke is not None:
            self._answered(trial.spoke, now)

    def broke(self, trial: Trial) -> None:
        """It failed in a way that leaves nothing to go by: no start need be under way for it, and after its output the
        machine may be gone.
        """
        self._trials = [one for one in self._trials if one is not trial]

    def tell(self, began: float, spoke: float | None, ended: float, *, broke: bool = False) -> bool:
        """An attempt went like that, a moment or days ago; `broke`: it failed after its output. Whether, as far as is
        known, its first output waited for a start, or would have.
        """
        insort(self._tries, _Try(began, spoke, ended), key=_place)
        del self._tries[:-KEPT]
        self._starts = None
        self.heard = max(self.heard, ended)
        if spoke is not None:
            self._answered(spoke, spoke if broke else ended)
        else:
            self._sort_out()
        if self._covered(began):
            return False
        return spoke is None or spoke - began > self.scaling.start / 2

    # What is asked ---------------------------------------------------------------------------------------------------

    def of(self, now: float) -> Ready:
        """How it is. While it is getting ready, what is left never grows but by what is told."""
        if any(one.spoke is not None and one.ended is None for one in self._trials):
            return Ready("warm", 0.0, 0.0, 0.0)
        last = self._spans[-1][1] if self._spans else -inf
        if now < last + self.scaling.window:
            return Ready("warm", 0.0, 0.0, max(0.0, now - last))
        found = self._under_way(last + self.scaling.window, now)
        if found is not None:
            since, waited_for = found
            expected, starts = self.expected(since)
            left = since + expected - now
            if waited_for:
                return Ready("warming", max(left, OVERDUE * expected), starts, 0.0)
            if left > -self.scaling.window:
                return Ready("warming", max(left, 0.0), starts, 0.0)
        return Ready("cold", *self.expected(now), 0.0)

    def expected(self, now: float) -> tuple[float, float]:
        """Seconds that who comes after a pause has to wait, as is to be expected; and of how many starts that is."""
        starts = self._learnt()
        weights = [exp2(min(0.0, (one.at - now) / HALF_LIFE)) for one in starts]
        exact = [(weight, one.low) for weight, one in zip(weights, starts, strict=True) if one.low == one.high]
        whole = WORTH + sum(weight for weight, _ in exact)
        mean = (WORTH * self.scaling.start + sum(weight * took for weight, took in exact)) / whole
        moved, total = mean * whole, whole
        for weight, one in zip(weights, starts, strict=True):
            if one.low < one.high and not one.low <= mean <= one.high:
                moved, total = moved + weight * min(max(mean, one.low), one.high), total + weight
        return max(0.0, moved / total), total - WORTH

    # Underneath ------------------------------------------------------------------------------------------------------

    def _answered(self, first: float, last: float) -> None:
        """It answered from `first` to `last`."""
        self.heard = max(self.heard, last)
        window, kept = self.scaling.window, list[tuple[float, float]]()
        for one in self._spans:
            if one[0] - window <= last and first <= one[1] + window:
                first, last = min(first, one[0]), max(last, one[1])
            else:
                kept.append(one)
        insort(kept, (first, last))
        self._spans = kept[-KEPT:]
        self._sort_out()
        until = self._spans[-1][1]
        self._trials = [one for one in self._trials if one.ended is None or one.began > until]

    def _sort_out(self) -> None:
        """Who is known to have met a machine that ran says nothing of starts, but what is usual."""
        tries = list[_Try]()
        for one in self._tries:
            if not self._covered(one.began):
                tries.append(one)
            elif one.spoke is not None:
                insort(self._usual, (one.began, one.spoke - one.began))
        self._tries, self._starts = tries, None
        del self._usual[:-KEPT]

    def _covered(self, moment: float) -> bool:
        before = bisect_left(self._spans, (moment, -inf))  # Only the last that began before it can reach it.
        return before > 0 and moment < self._spans[before - 1][1] + self.scaling.window

    def _under_way(self, since: float, now: float) -> tuple[float, bool] | None:
        """When the start was set off that may be under way, if none was answered since, and whether somebody of ours
        waits for it.
        """
        waiting = [(one.began, now) for one in self._trials if one.ended is None]
        over = [(one.began, one.ended) for one in self._trials if one.ended is not None]
        told = [(one.began, one.ended) for one in self._tries if one.spoke is None]
        tries = sorted(one for one in (*waiting, *over, *told) if since <= one[0] <= now)
        if not tries:
            return None
        first, until = tries[0]
        for began, ended in tries[1:]:
            first, until = (first, max(until, ended)) if began <= until + self._lasts else (began, ended)
        return first, bool(waiting)

    @property
    def _lasts(self) -> float:
        """Seconds after which a start that nobody has waited for is over, and its machine gone."""
        return self.scaling.start + self.scaling.window

    def _learnt(self) -> list[_Start]:
        if self._starts is None:
            usual = median(seconds for _, seconds in self._usual) if self._usual else 0.0
            self._starts = [_measured(group, usual) for group in self._groups()]
        return self._starts

    def _groups(self) -> list[list[_Try]]:
        """Those that waited for the same start, together."""
        groups, answered, until = list[list[_Try]](), inf, -inf
        for one in self._tries:
            if not groups or one.began >= answered or one.began > until + self._lasts:
                groups.append([])
                answered, until = inf, -inf
            groups[-1].append(one)
            answered = min(answered, inf if one.spoke is None else one.spoke)
            until = max(until, one.ended)
        return groups


def _place(one: _Try) -> tuple[float, float, float]:
    """In the order in which they began; where that is the same, whoever was told of first is not first for it."""
    return one.began, inf if one.spoke is None else one.spoke, one.ended


def _measured(group: list[_Try], usual: float) -> _Start:
    """What those have seen who waited for one start; `usual` is what the first output of a warm machine takes."""
    began = group[0].began
    gave_up = [one.ended - began for one in group if one.spoke is None]
    first = min((one for one in group if one.spoke is not None), key=lambda one: (one.spoke, one.began), default=None)
    if first is None or first.spoke is None:
        return _Start(began, max(gave_up), inf)
    took = max(0.0, first.spoke - began - usual)
    if first.began == began or first.spoke - first.began > usual + AT_ONCE:  # It waited to the end.
        return _Start(began, took, took)
    return _Start(began, min(max((one for one in gave_up if one <= took), default=0.0), took), took)

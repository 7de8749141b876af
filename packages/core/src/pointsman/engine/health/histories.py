"""How targets have done, as policies are told: by task and by length of the request over days, and over minutes.

It is told of calls once they have ended, those of this client and those of others that a ledger tells of, in any
order. It has no clock: moments are seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field

from ... import errors
from ...ledger import PastAttempt, PastCall
from ...policy import History, length_of
from ...types import Target
from .gauge import STALE, Gauge

DAYS = 7 * 86_400.0
"""Half-life, in seconds, of what is remembered over days."""
ENOUGH = 200.0
"""Attempts of it that count at most: with as many again, three in five are new."""
MINUTES = 300.0
"""Half-life of what is recent."""
FEW = 14.0
"""Attempts of it that count at most, so that ten more leave it half its weight."""
TARGETS, TASKS = 200, 16
"""How many are kept; those that were used last, and most."""
FLOWED = 0.1
"""Seconds that tokens must have flowed before their speed says anything."""
LEAST_TOKENS = 8
"""Of an answer whose speed is told."""

_NOT_ITS_FAULT = errors.RequestError, errors.DeadlineExceeded, errors.BudgetExceeded, errors.ConfigError
_SOON_MENDED = errors.AuthFailed, errors.QuotaExhausted, errors.ModelGone
"""They last until somebody sees to them, and then are over: they must not be held against the target for days."""


@dataclass(slots=True, eq=False, repr=False)
class _Known:
    """Of one target."""

    overall: Gauge = field(default_factory=lambda: Gauge(DAYS, ENOUGH))
    recent: Gauge = field(default_factory=lambda: Gauge(MINUTES, FEW))
    tasks: dict[str, Gauge] = field(default_factory=dict[str, Gauge])
    lengths: dict[str, Gauge] = field(default_factory=dict[str, Gauge])
    history: History | None = None
    """As it was last handed out, if nothing has come since."""
    history_at: float = 0.0

    def task(self, name: str, now: float) -> Gauge:
        found = self.tasks.get(name)
        if found is None:
            if len(self.tasks) >= TASKS:
                del self.tasks[min(self.tasks, key=lambda one: (self.tasks[one].measured(now).attempts, one))]
            found = self.tasks[name] = Gauge(DAYS, ENOUGH)
        return found

    def length(self, name: str) -> Gauge:
        found = self.lengths.get(name)
        if found is None:
            found = self.lengths[name] = Gauge(DAYS, ENOUGH)
        return found


@dataclass(slots=True, eq=False, repr=False)
class Histories:
    """Of all targets."""

    _known: dict[Target, _Known] = field(default_factory=dict[Target, _Known])
    """Those that were used last stand last."""

    def of(self, target: Target, now: float) -> History:
        """What is known of `target`. Within a hundredth of the shortest half-life the same object, if nothing came."""
        known = self._known.get(target)
        if known is None:
            return _NOTHING
        if known.history is None or abs(now - known.history_at) > STALE * MINUTES:
            known.history_at = now
            known.history = History(
                overall=known.overall.measured(now),
                recent=known.recent.measured(now),
                tasks={name: gauge.measured(now) for name, gauge in known.tasks.items()},
                lengths={name: gauge.measured(now) for name, gauge in known.lengths.items()},
            )
        return known.history

    def add(self, call: PastCall, now: float, waking: Container[PastAttempt] = ()) -> None:
        """A call has ended. What is said to have ended later than `now` comes from a clock that is wrong. Attempts that
        found their target `waking` do not say how fast it begins once it is ready.
        """
        asked = next((one.input_tokens for one in call.attempts if one.input_tokens is not None), None)
        for attempt in call.attempts:
            self._attempt(attempt, call.task, asked, min(attempt.ended, now), waking=attempt in waking)
        if call.rating is not None:
            self.rate(call, call.rating, now)

    def rate(self, call: PastCall, score: float, now: float) -> None:
        """The answer of `call` was rated; once more, and the last score counts."""
        if call.target is None:
            return
        known, at = self._of(call.target), min(call.ended, now)
        known.overall.rate(call.call_id, at, score)
        if call.task is not None:
            known.task(call.task, now).rate(call.call_id, at, score)
        known.history = None

    def targets(self) -> list[Target]:
        """All of whom anything is known."""
        return list(self._known)

    def _of(self, target: Target) -> _Known:
        known = self._known.pop(target, None) or _Known()
        self._known[target] = known
        if len(self._known) > TARGETS:
            del self._known[next(iter(self._known))]
        return known

    def _attempt(self, one: PastAttempt, task: str | None, asked: int | None, at: float, *, waking: bool) -> None:
        failed = one.outcome == "failed"
        counts = one.outcome == "finished" or (failed and not _is_one(one.error_type, _NOT_ITS_FAULT))
        silent = one.first_output is None and (not counts or _is_one(one.error_type, (errors.FirstTokenTimeout,)))
        if (not counts and one.outcome != "lost") or (silent and waking):
            return
        known = self._of(one.target)
        mended = failed and _is_one(one.error_type, _SOON_MENDED)
        asked = asked if one.input_tokens is None else one.input_tokens
        speed = _speed(one)

        def gauges() -> Iterator[Gauge]:
            yield known.recent
            if mended:
                return
            yield known.overall
            if task is not None:
                yield known.task(task, at)
            if asked is not None:
                yield known.length(length_of(asked))

        for gauge in gauges():
            if counts:
                gauge.add(at, failed=failed, first_token=None if waking else one.first_output, speed=speed)
            if silent:
                gauge.late(at, one.duration)
        known.history = None


_NOTHING = History()


def _is_one(name: str | None, kinds: Iterable[type]) -> bool:
    """Whether an error that is called so is one of `kinds`, or a plugin's own kind of it."""
    return name is not None and any(one.__name__ == name or _is_one(name, one.__subclasses__()) for one in kinds)


def _speed(one: PastAttempt) -> float | None:
    """Output tokens a second after the first output, of a whole answer whose vendor counted them."""
    if one.outcome != "finished" or one.first_output is None or one.output_tokens is None:
        return None
    flowed = one.duration - one.first_output - one.held
    if flowed < FLOWED or one.output_tokens < LEAST_TOKENS:
        return None
    return (one.output_tokens - 1) / flowed

"""What a ledger tells of calls gone by, for those who learn from them; and the same of a call that has just ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, cast

from ..errors import StoreError
from ..telemetry import CallRecord, Outcome
from ..types import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class PastAttempt:
    """What one attempt showed of its target."""

    target: Target
    outcome: Outcome
    error_type: str | None = None
    ended: float
    """Seconds since 1970 (UTC)."""
    duration: float
    """Seconds, as the next two."""
    first_output: float | None = None
    """From its beginning to its first output; None if there was none."""
    held: float = 0.0
    """For how long its reader held it up."""
    input_tokens: int | None = None
    """None where nobody counted or estimated them."""
    output_tokens: int | None = None
    """None where the vendor did not count them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastCall:
    """A call that has ended, with its attempts; nothing of what was asked."""

    call_id: str
    ended: float
    """Seconds since 1970 (UTC)."""
    target: Target | None = None
    """Whose answer stands."""
    task: str | None = None
    rating: float | None = None
    """From 0 to 1: what its answer was rated last."""
    attempts: tuple[PastAttempt, ...] = ()


def past(record: CallRecord, epoch: float) -> PastCall:
    """A call that has just ended; `epoch` is when the client's clock stood at 0, in seconds since 1970."""
    return PastCall(
        call_id=record.call_id,
        ended=epoch + record.started + record.timings.e2e,
        target=record.target,
        task=record.task,
        attempts=tuple(
            PastAttempt(
                target=one.target,
                outcome=one.outcome,
                error_type=one.error_type,
                ended=epoch + one.ended,
                duration=one.ended - one.started,
                first_output=None if one.first_output is None else one.first_output - one.started,
                held=one.held,
                input_tokens=one.usage.input_tokens if one.usage else None,
                output_tokens=one.usage.output_tokens if one.usage and not one.usage.estimated else None,
            )
            for one in record.attempts
        ),
    )


def sound(told: object) -> list[PastCall]:
    """What a ledger has told, which may be a stranger's. Raises `StoreError` if it is nothing to learn from."""
    if not isinstance(told, list):
        raise StoreError(f"the ledger told of recent calls by a {type(told).__name__}, not by a list")
    for one in cast(list[object], told):
        if not _is_sound(one):
            raise StoreError(f"the ledger told of a recent call that is none: {one!r:.300}")
    return cast(list[PastCall], told)


def _is_sound(call: object) -> bool:
    return (
        isinstance(call, PastCall)
        and _is_number(call.ended)
        and isinstance(cast(object, call.call_id), str)
        and isinstance(cast(object, call.task), str | None)
        and isinstance(cast(object, call.target), Target | None)
        and (call.rating is None or (_is_number(call.rating) and 0 <= call.rating <= 1))
        and isinstance(cast(object, call.attempts), tuple)
        and all(map(_shows, call.attempts))
    )


def _shows(one: object) -> bool:
    return (
        isinstance(one, PastAttempt)
        and isinstance(cast(object, one.target), Target)
        and isinstance(cast(object, one.error_type), str | None)
        and all(map(_is_number, (one.ended, one.duration, one.held)))
        and all(each is None or _is_number(each) for each in (one.first_output, one.input_tokens, one.output_tokens))
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and -_FARTHEST < value < _FARTHEST


_FARTHEST = 2.0**64
"""More than any number that is kept."""

OF_CALL = ("c.call_id", "c.began + COALESCE(c.e2e, 0)", "c.provider", "c.model", "c.task", "c.rating")
OF_ATTEMPT = (
    *("a.provider", "a.model", "a.outcome", "a.error_type", "a.began + COALESCE(a.duration, 0)", "a.duration"),
    *("a.first_output", "a.held", "a.input_tokens", "a.output_tokens", "a.estimated"),
)
"""What `from_rows` reads, in this order."""


def from_rows(rows: Iterable[Sequence[Any]]) -> list[PastCall]:
    """The calls of which these are the rows; those of a call stand together."""
    calls: list[PastCall] = []
    for (call_id, ended, provider, model, task, rating), several in groupby(rows, lambda row: tuple(row[:6])):
        calls.append(
            PastCall(
                call_id=call_id,
                ended=ended / 1e6,
                target=None if provider is None else Target(provider, model),
                task=task,
                rating=None if rating is None else rating / 1e6,
                attempts=tuple(_attempt(row[6:]) for row in several),
            )
        )
    return calls


def _attempt(row: Sequence[Any]) -> PastAttempt:
    provider, model, outcome, error_type, ended, duration, first_output, held, asked, answered, estimated = row
    return PastAttempt(
        target=Target(provider, model),
        outcome=cast(Outcome, outcome),
        error_type=error_type,
        ended=ended / 1e6,
        duration=(duration or 0) / 1e6,
        first_output=None if first_output is None else first_output / 1e6,
        held=(held or 0) / 1e6,
        input_tokens=asked,
        output_tokens=None if estimated else answered,
    )

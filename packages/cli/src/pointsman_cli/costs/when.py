"""Stretches of time, as one says them. Days are UTC's, as they are in the ledger."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple

DAY = timedelta(days=1)
WAYS = "today, yesterday, week, month, year, 7d, 12h, 2026-11, 2026-11-05 or 2026-11-05T14:30"


class Stretch(NamedTuple):
    """From `begin` on, and before `end`; of a moment both are the same."""

    begin: datetime
    end: datetime


def stretch(text: str, now: datetime) -> Stretch:
    """What `text` means at `now`. Raises `ValueError`, which says what may be said instead.

    ``7d`` is the moment at which the last seven days began, today included. A time without an offset is UTC.
    """
    today = datetime.combine(now.date(), time(), UTC)
    said = text.strip().lower()
    try:
        if found := re.fullmatch(r"(\d{1,5})([dhw])", said):
            count = int(found[1])
            if found[2] == "h":
                return _moment(now - timedelta(hours=count))
            return _moment(today - DAY * max(count * (7 if found[2] == "w" else 1) - 1, 0) if count else now)
        match said:
            case "today":
                return Stretch(today, today + DAY)
            case "yesterday":
                return Stretch(today - DAY, today)
            case "week":
                monday = today - DAY * today.weekday()
                return Stretch(monday, monday + 7 * DAY)
            case "month":
                return _month(today.year, today.month)
            case "year":
                return Stretch(today.replace(month=1, day=1), today.replace(year=today.year + 1, month=1, day=1))
            case _:
                pass
        if found := re.fullmatch(r"(\d{4})-(\d{2})", said):
            return _month(int(found[1]), int(found[2]))
        moment = datetime.fromisoformat(text.strip())
        if re.fullmatch(r"\d{4}-?\d{2}-?\d{2}", said):
            day = moment.replace(tzinfo=UTC)
            return Stretch(day, day + DAY)
        return _moment(moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC))
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no time: write {WAYS}") from None


def _moment(at: datetime) -> Stretch:
    return Stretch(at, at)


def _month(year: int, month: int) -> Stretch:
    first = datetime(year, month, 1, tzinfo=UTC)
    return Stretch(first, (first + 31 * DAY).replace(day=1))

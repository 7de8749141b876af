"""When a refused request may be sent again, in the spellings of ``Retry-After`` that vendors use."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_LONGEST_WAIT = 86_400.0
"""Seconds. What is closed for longer is asked again after a day."""

_EPOCH = 1_000_000_000
"""A number above this is a time of day in seconds since 1970 (a wait would be 30 years), or in milliseconds."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_PIECE = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def retry_at(headers: Mapping[str, str], now: float, *, wall: float | None = None) -> float | None:
    """When `headers` say that a refused request may be sent again, as `PointsmanError.retry_at` has it; None if they
    say nothing, or nonsense.

    ``Retry-After`` and ``retry-after-ms`` count, whatever the case of their names; the later one wins, the past is
    now, and nothing is later than a day. `now` is on the client's clock (``context.clock()``), `wall` in seconds since
    1970 (default: this machine's); dates are compared with the server's own ``Date``, so that a wrong clock does not
    matter.
    """
    told = {name.lower(): value for name, value in headers.items()}
    texts = told.get("retry-after", ""), str(_number(told.get("retry-after-ms", "")) / 1000)
    waits = [wait for text in texts if (wait := wait_seconds(text, told, wall=wall)) is not None]
    return now + max(waits) if waits else None


def wait_seconds(text: str, headers: Mapping[str, str], *, wall: float | None = None) -> float | None:
    """Seconds until the moment that `text` names, a day at most; 0 if it is over, None if `text` names none.

    Understood: ``2``, ``1.5``, ``20ms``, ``6m0s``, seconds or milliseconds since 1970, HTTP dates (RFC 9110, section
    5.6.7) and ISO 8601 dates. `headers`, their names in lower case, are those that `text` came with: their ``date`` is
    the server's time. `wall` counts where there is none, as in `retry_at`.
    """
    told = _seconds(text.strip(), headers, wall)
    return min(max(0.0, told), _LONGEST_WAIT) if math.isfinite(told) else None


def _seconds(text: str, headers: Mapping[str, str], wall: float | None) -> float:
    """As `wait_seconds`, but not yet within its bounds; not finite where `text` names no moment."""
    if _DURATION.fullmatch(text):
        return sum(float(number) * _UNITS[unit] for number, unit in _PIECE.findall(text))
    number = _number(text)
    if math.isnan(number):
        return _date(text) - _server_time(headers, wall)
    if number > _EPOCH:
        return (number / 1000 if number > _EPOCH * 1000 else number) - _server_time(headers, wall)
    return number


def _server_time(headers: Mapping[str, str], wall: float | None) -> float:
    """What the server takes for the time, in seconds since 1970."""
    told = _date(headers.get("date", ""))
    if math.isfinite(told):
        return told
    return time.time() if wall is None else wall


def _date(text: str) -> float:
    """Seconds since 1970; NaN where `text` is no date."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = read(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError, TypeError, IndexError):
            continue
    return math.nan


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan

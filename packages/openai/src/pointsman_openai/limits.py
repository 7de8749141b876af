"""How long to wait and how much is left, from headers and error texts, in every spelling that vendors use.

All functions take headers with lower-case names and are total: nonsense is ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pointsman import RateLimit, retry_at, wait_seconds

_LONGEST_BLIND_WAIT = 3600.0
"""Seconds. A window whose end is not told, such as a daily quota, or is estimated is asked again after this time at the
latest."""

_LIMIT_HEADER = re.compile(r"(?:x-)?ratelimit-(limit|remaining|reset)(?:-(.+))?")
_NAMED_LIMIT = re.compile(r'"([^"]+)"((?:\s*;\s*[a-z]+=\d+)+)')
_TRY_AGAIN = re.compile(
    r"(?:try again|retry|wait)\D{0,20}?((?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+|\d+(?:\.\d+)? ?sec)", re.IGNORECASE
)
_VIOLATED = re.compile(r"duration_s:\s*(\d{1,9})\b(?:,\s*current usage:\s*(\d{1,18}),\s*limit:\s*(\d{1,18}))?")
_WINDOWS = {"minute": 60.0, "hour": 3600.0, "day": 86400.0}
"""What the kind of a limit ends with -> the seconds of its window. One that says nothing is taken for a minute's."""


class Violation(NamedTuple):
    """A limit that a refusal names: a window of so many `seconds`, how much of it is `used`, and how much there is."""

    seconds: float
    used: int | None = None
    limit: int | None = None


def retry_after(headers: Mapping[str, str], text: str, wall: float, estimate: float | None = None) -> float | None:
    """Seconds until a refused request may be sent again: the latest moment that the headers or the body name.

    `text` is what the body says in words, and `estimate` what it says in seconds. A window that the text names ends
    when the headers say of one of its length; else it is asked again when it surely is over, or after an hour, as what
    is estimated is. At most a day.
    """
    stated = rate_limits(headers, 0.0, wall)
    waits = [
        retry_at(headers, 0.0, wall=wall),
        *(limit.reset_at for limit in stated if limit.remaining == 0),
        *_in_words(text),
        *(_end(violated, stated) for violated in violations(text)),
        None if estimate is None else min(max(0.0, estimate), _LONGEST_BLIND_WAIT),
    ]
    return max((wait for wait in waits if wait is not None), default=None)


def rate_limits(headers: Mapping[str, str], now: float, wall: float) -> list[RateLimit]:
    """The limits that `headers` state. `now` is on the client's clock and `wall` on the calendar's, both in seconds.

    A window ends within a day, whatever is said: one that ended in years would close its model for good. Understood:
    ``[x-]ratelimit-{limit,remaining,reset}[-kind]``, as OpenAI, SambaNova and most others send them, and the newer
    ``ratelimit: "kind";r=0;t=55`` with ``ratelimit-policy: "kind";q=500`` (draft-ietf-httpapi-ratelimit-headers).
    """
    stated: dict[str, dict[str, str]] = {}
    for name, value in headers.items():
        if match := _LIMIT_HEADER.fullmatch(name):
            stated.setdefault(match[2] or "requests", {})[match[1]] = value
    for kind, fields in _named(headers.get("ratelimit-policy", "")):
        stated.setdefault(kind, {}).update(limit=fields.get("q", ""))
    for kind, fields in _named(headers.get("ratelimit", "")):
        stated.setdefault(kind, {}).update(remaining=fields.get("r", ""), reset=fields.get("t", ""))
    return [
        RateLimit(
            kind=kind,
            limit=_count(fields.get("limit", "")),
            remaining=_count(fields.get("remaining", "")),
            reset_at=_end_of(fields.get("reset", ""), now, headers, wall),
        )
        for kind, fields in stated.items()
    ]


def violations(text: str) -> list[Violation]:
    """The limits that a refusal names: ``Violated duration_s: 60, current usage: 9, limit: 9`` (SambaNova)."""
    found = _VIOLATED.findall(text)
    return [
        Violation(float(one), int(used) if used else None, int(most) if most else None) for one, used, most in found
    ]


def window(kind: str) -> float:
    """Seconds of the window of a limit of that `kind`, by its name: ``requests-day``."""
    return _WINDOWS.get(kind.rpartition("-")[2], _WINDOWS["minute"])


def _end(violated: Violation, stated: list[RateLimit]) -> float:
    """Seconds until a window is over: what the headers say of one of its length, or as long as it can last."""
    ends = [limit.reset_at for limit in stated if limit.reset_at and window(limit.kind) == violated.seconds]
    return max(ends, default=min(violated.seconds, _LONGEST_BLIND_WAIT))


def _end_of(text: str, now: float, headers: Mapping[str, str], wall: float) -> float | None:
    wait = wait_seconds(text, headers, wall=wall)
    return None if wait is None else now + wait


def _in_words(text: str) -> Iterator[float]:
    if match := _TRY_AGAIN.search(text):
        wait = wait_seconds(match[1].lower().replace(" ", "").replace("sec", "s"), {})
        if wait is not None:
            yield wait


def _named(value: str) -> Iterator[tuple[str, dict[str, str]]]:
    for kind, fields in _NAMED_LIMIT.findall(value):
        yield kind, dict(field.split("=", 1) for field in re.findall(r"[a-z]+=\d+", fields))


def _count(text: str) -> int | None:
    try:
        return max(0, int(float(text)))
    except (ValueError, OverflowError):
        return None

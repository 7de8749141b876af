"""What an error of the vendor means: its status first, its codes next, its words last.

Bodies come as ``{"error": {...}}``, ``{"error": "text"}``, ``detail``, ``message``, ``errors``, plain text, HTML or
nothing, with an HTTP status or inside a stream without one. Every combination is some `PointsmanError`; nothing here
raises.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pointsman import (
    PointsmanError,
    RateLimited,
    Scope,
    StreamBroken,
    Unavailable,
    error_for_status,
)

from .limits import retry_after
from .meanings import MISPLACED, meaning
from .quirks import Quirks
from .shapes import fields, items, number, string

_MESSAGE_CHARACTERS = 500
_TITLE_CHARACTERS = 2048
"""Where the title of a web page is looked for."""
_SECRET_CHARACTERS = 4
"""What is shorter is no secret, and taking it out would garble every message."""
_CODE_FIELDS = ("code", "type", "error_type", "status", "error")
_MESSAGE_FIELDS = ("error", "message", "detail", "error_description", "msg", "title", "reason", "errors")
_REQUEST_ID_HEADERS = ("x-request-id", "request-id", "x-amzn-trace-id", "cf-ray")


class Complaint(NamedTuple):
    """What the vendor said, whatever its shape."""

    message: str = ""
    codes: tuple[str, ...] = ()
    """Lower case, the most specific first."""
    status: int | None = None
    """An HTTP status that the body itself names."""
    request_id: str | None = None
    wait: float | None = None
    """Seconds, where the body estimates them (a model that is loading)."""
    page: bool = False
    """It is a web page: something on the way answered, not the vendor's API."""


def response_error(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    quirks: Quirks,
    now: float,
    wall: float,
    secrets: Sequence[str] = (),
    url: str = "",
    **details: Any,
) -> PointsmanError:
    """The error that a response stands for.

    `headers` have lower-case names; `now` and `wall` are seconds on the client's clock and since 1970; `secrets` are
    taken out of what the vendor says, since some repeat the key that they refuse; `url` is where the request went;
    `details` go to the error.
    """
    complaint = read_body(body)
    kind = meaning(status, complaint.codes, complaint.message, quirks.codes)
    if status in MISPLACED or (kind is None and status in (400, 422) and complaint.page):
        kind = Unavailable
        details["retryable"] = False
    wait = retry_after(headers, complaint.message, wall, complaint.wait)
    details |= {
        "request_id": complaint.request_id or next((headers[h] for h in _REQUEST_ID_HEADERS if h in headers), None),
        "retry_at": None if wait is None else now + wait,
    }
    if kind is RateLimited or (kind is None and status == 429):
        details["scope"] = Scope.PROVIDER if _is_account_wide(complaint.message) else None
    message = _said(complaint, secrets) or redact(_without_words(status, headers), secrets)
    if status in (404, 405) and "model" not in message.lower():
        message = f"{message} (is {url} the right address?)"
    return kind(message, status=status, **details) if kind else error_for_status(status, message, **details)


def event_error(
    event: Any, *, quirks: Quirks, begun: bool, now: float, wall: float, secrets: Sequence[str] = (), **details: Any
) -> PointsmanError:
    """The error that a (decoded) event in a stream stands for; `begun` tells whether output came before it."""
    complaint = _read(event)
    kind = meaning(complaint.status, complaint.codes, complaint.message, quirks.codes)
    if kind is None and complaint.status is not None:
        kind = type(error_for_status(complaint.status))
    if kind is None or kind is Unavailable:
        kind = StreamBroken if begun else Unavailable
    wait = retry_after({}, complaint.message, wall, complaint.wait)
    return kind(
        _said(complaint, secrets) or "the vendor ended the stream with an error and did not say which",
        status=complaint.status,
        request_id=complaint.request_id,
        retry_at=None if wait is None else now + wait,
        **details,
    )


def redact(text: str, secrets: Sequence[str]) -> str:
    """`text` without `secrets`. To be done before anything is cut off, since half a secret is not found."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SECRET_CHARACTERS:
            text = text.replace(secret, "***")
    return text


def shortened(text: str) -> str:
    """As much of `text` as a person reads of an error, whose body may be long. After `redact`, not before."""
    return text if len(text) <= _MESSAGE_CHARACTERS else f"{text[:_MESSAGE_CHARACTERS].rstrip()}…"


def words_of(error: BaseException) -> str:
    """What an exception says or, where it says nothing, what caused it; its class, if nobody says anything."""
    cause: BaseException | None = error
    while cause is not None:
        if text := str(cause).strip():
            return text
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__


def read_body(body: bytes) -> Complaint:
    """What an error body says, in any of its shapes."""
    text = body.decode(errors="replace").strip()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        page = _from_html(text)
        return Complaint(page or text, page=bool(page))
    return _read(value)


def _read(value: Any) -> Complaint:
    outer = fields(next(iter(items(value)), value))
    levels = [fields(outer.get("error")), outer]
    codes = [string(level.get(name)).lower() for level in levels for name in _CODE_FIELDS]
    return Complaint(
        message=_text(value),
        codes=tuple(filter(None, codes)),
        status=next(filter(None, map(_status, levels)), None),
        request_id=next(filter(None, (string(level.get("request_id")) for level in levels)), None),
        wait=next((wait for level in levels if (wait := number(level.get("estimated_time"))) is not None), None),
    )


def _text(value: Any, depth: int = 4) -> str:
    """The words in a message: a string, an object with one, or a list of either (FastAPI's ``detail``)."""
    if not depth or not isinstance(value, dict | list):
        return string(value)
    inside = (_text(fields(value).get(name), depth - 1) for name in _MESSAGE_FIELDS)
    return next(filter(None, inside), "") or "; ".join(
        text for one in items(value)[:5] if (text := _text(one, depth - 1))
    )


def _status(level: Mapping[str, Any]) -> int | None:
    found = (number(level.get(name)) for name in ("status_code", "http_status", "status", "code"))
    return next((int(one) for one in found if one is not None and 400 <= one <= 599), None)


def _is_account_wide(message: str) -> bool:
    text = message.lower()
    return any(words in text for words in ("across all models", "account-wide", "for your account"))


def _from_html(text: str) -> str:
    if not re.match(r"(<!--|<!doctype html|<html|<head)", text, re.IGNORECASE):
        return ""
    title = re.search(r"<title[^>]*>(.*?)</title>", text[:_TITLE_CHARACTERS], re.IGNORECASE | re.DOTALL)
    return f"an HTML page, {' '.join(title[1].split())!r}" if title else "an HTML page"


def _without_words(status: int, headers: Mapping[str, str]) -> str:
    if 300 <= status < 400:
        where = headers.get("location", "nowhere")
        return f"redirected to {where!r}, which is not followed: set base_url to the right address"
    return f"the server answered {status}, and nothing more"


def _said(complaint: Complaint, secrets: Sequence[str]) -> str:
    return shortened(" ".join(redact(complaint.message, secrets).split()))

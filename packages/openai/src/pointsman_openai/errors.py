"""What an error of the vendor means: its status first, its codes next, its words last.

Bodies come as ``{"error": {...}}``, ``{"error": "text"}``, ``detail``, ``message``, ``errors``, plain text, HTML or
nothing, with an HTTP status or inside a stream without one. Every combination is some `PointsmanError`; nothing here
raises.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from pointsman import (
    AuthFailed,
    ContextOverflow,
    InvalidRequest,
    ModelGone,
    PointsmanError,
    QuotaExhausted,
    RateLimited,
    Refused,
    Scope,
    StreamBroken,
    Unavailable,
    error_for_status,
)

from .limits import retry_after
from .quirks import Quirks
from .shapes import fields, items, number, string

Kind: TypeAlias = type[PointsmanError]

_DECISIVE: Mapping[int, Kind] = {401: AuthFailed, 402: QuotaExhausted, 413: ContextOverflow}
"""Statuses that no code and no word can turn into something else."""

_PASSING: Mapping[int, Kind] = {
    408: Unavailable,
    409: Unavailable,
    424: Unavailable,  # A failed generation (Text Generation Inference).
    425: Unavailable,
    498: RateLimited,  # No capacity left (Groq).
    499: Unavailable,
}
"""Statuses below 500 that asking again may change."""

# Codes and types that mean the same wherever they appear. Sources: OpenAI's error guide, SambaNova's and Groq's API
# references, llama.cpp's server (`exceed_context_size_error`), Azure (`content_filter`), Hugging Face's router.
_CODES: Mapping[str, Kind] = {
    "context_length_exceeded": ContextOverflow,
    "context_window_exceeded": ContextOverflow,
    "exceed_context_size_error": ContextOverflow,
    "string_above_max_length": ContextOverflow,
    "model_not_found": ModelGone,
    "model_not_supported": ModelGone,
    "model_deprecated": ModelGone,
    "model_decommissioned": ModelGone,
    "insufficient_quota": QuotaExhausted,
    "billing_hard_limit_reached": QuotaExhausted,
    "billing_not_active": QuotaExhausted,
    "payment_method_required": QuotaExhausted,
    "payment_required": QuotaExhausted,
    "insufficient_balance": QuotaExhausted,
    "invalid_api_key": AuthFailed,
    "invalid_authentication": AuthFailed,
    "authentication_error": AuthFailed,
    "permission_denied": AuthFailed,
    "content_filter": Refused,
    "content_policy_violation": Refused,
    "moderation_blocked": Refused,
    "rate_limit_exceeded": RateLimited,
    "rate_limit_error": RateLimited,
    "too_many_requests": RateLimited,
    "queue_full": RateLimited,
    "resource_exhausted": RateLimited,
    "request_timeout": Unavailable,
    "overloaded_error": Unavailable,
    "engine_overloaded": Unavailable,
    "maintenance": Unavailable,
}

_VAGUE_CODES: Mapping[str, Kind] = {
    "invalid_request_error": InvalidRequest,
    "validation": InvalidRequest,
    "server_error": Unavailable,
    "internal_error": Unavailable,
    "internal_server_error": Unavailable,
    "service_unavailable": Unavailable,
    "unavailable_error": Unavailable,
    "overloaded": Unavailable,
}
"""Types that accompany many statuses and count only where there is none, as in a stream."""

_WORDS: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    (
        ContextOverflow,
        (
            "maximum context length",
            "exceeds the available context size",
            "context length exceeded",
            "context window",
            "reduce the length of the messages",
            "prompt is too long",
            "input is too long",
            "too many input tokens",
            "`inputs` must have less than",
            "`inputs` tokens + `max_new_tokens` must be",
        ),
    ),
    (
        QuotaExhausted,
        (
            "monthly included credits",
            "exceeded your current quota",
            "insufficient credit",
            "insufficient balance",
            "insufficient funds",
            "credit balance is too low",
            "payment method",
        ),
    ),
    (Refused, ("content management policy", "content policy", "content filter", "flagged by", "safety system")),
    (
        ModelGone,
        (
            "model not found",
            "model not supported",
            "not supported by any provider",
            "model does not exist",
            "no such model",
            "has been deprecated",
            "has been decommissioned",
        ),
    ),
    (RateLimited, ("rate limit", "too many requests")),
    (AuthFailed, ("incorrect api key", "invalid api key", "api key not valid", "invalid credentials")),
)

_WORDS_COUNT = frozenset({None, 400, 403, 404, 422, 429, 500})
"""Statuses vague enough for words to refine them; None is an error inside a stream."""
_OUTAGE_WORDS = frozenset({ContextOverflow, QuotaExhausted, Refused})
"""With status 429 or 500 only these are believed: the others restate the status or guess."""

_MESSAGE_CHARACTERS = 500
_CODE_FIELDS = ("code", "type", "error_type", "status")
_MESSAGE_FIELDS = ("error", "message", "detail", "error_description", "msg", "title", "reason", "errors")
_REQUEST_ID_HEADERS = ("x-request-id", "request-id", "x-amzn-trace-id", "cf-ray")


@dataclass(frozen=True, slots=True)
class Complaint:
    """What the vendor said, whatever its shape."""

    message: str = ""
    codes: tuple[str, ...] = ()
    """Lower case, the most specific first."""
    status: int | None = None
    """An HTTP status that the body itself names."""
    request_id: str | None = None
    wait: float | None = None
    """Seconds, where the body estimates them (a model that is loading)."""


def response_error(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    quirks: Quirks,
    now: float,
    wall: float,
    secret: str = "",
    **details: Any,
) -> PointsmanError:
    """The error that a response stands for.

    `headers` have lower-case names; `now` and `wall` are seconds on the client's clock and since 1970; `secret` is
    taken out of what the vendor says, since some repeat the key that they refuse; `details` go to the error.
    """
    complaint = read_body(body)
    kind = _kind(status, complaint, quirks)
    wait = retry_after(headers, complaint.message, wall, complaint.wait)
    details |= {
        "request_id": complaint.request_id or next((headers[h] for h in _REQUEST_ID_HEADERS if h in headers), None),
        "retry_at": None if wait is None else now + wait,
    }
    if kind is RateLimited or (kind is None and status == 429):
        details["scope"] = Scope.PROVIDER if _is_account_wide(complaint.message) else None
    message = _said(complaint, secret) or _without_words(status, headers)
    return kind(message, status=status, **details) if kind else error_for_status(status, message, **details)


def event_error(
    event: Any, *, quirks: Quirks, begun: bool, now: float, wall: float, secret: str = "", **details: Any
) -> PointsmanError:
    """The error that a (decoded) event in a stream stands for; `begun` tells whether output came before it."""
    complaint = _read(event)
    kind = _kind(complaint.status, complaint, quirks)
    if kind is None and complaint.status is not None:
        kind = type(error_for_status(complaint.status))
    if kind is None or kind is Unavailable:
        kind = StreamBroken if begun else Unavailable
    wait = retry_after({}, complaint.message, wall, complaint.wait)
    return kind(
        _said(complaint, secret) or "the vendor ended the stream with an error and did not say which",
        status=complaint.status,
        request_id=complaint.request_id,
        retry_at=None if wait is None else now + wait,
        **details,
    )


def _kind(status: int | None, complaint: Complaint, quirks: Quirks) -> Kind | None:
    """What status, codes and words amount to; None where core's reading of the status is as good."""
    if status is not None and status in _DECISIVE:
        return _DECISIVE[status]
    for codes in (quirks.codes, _CODES) if status is not None else (quirks.codes, _CODES, _VAGUE_CODES):
        for code in complaint.codes:
            if code in codes:
                return codes[code]
    if status in _WORDS_COUNT:
        text = complaint.message.lower()
        for kind, phrases in _WORDS:
            if any(phrase in text for phrase in phrases) and (status not in (429, 500) or kind in _OUTAGE_WORDS):
                return kind
    return _PASSING.get(status or 0)


def read_body(body: bytes) -> Complaint:
    """What an error body says, in any of its shapes."""
    text = body.decode(errors="replace").strip()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return Complaint(_from_html(text) or text)
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
    title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
    return f"an HTML page, {' '.join(title[1].split())!r}" if title else "an HTML page"


def _without_words(status: int, headers: Mapping[str, str]) -> str:
    if 300 <= status < 400:
        where = headers.get("location", "nowhere")
        return f"redirected to {where!r}, which is not followed: set base_url to the right address"
    return f"the server answered {status}, and nothing more"


def _said(complaint: Complaint, secret: str) -> str:
    text = complaint.message.replace(secret, "***") if secret else complaint.message
    text = " ".join(text.split())
    return text if len(text) <= _MESSAGE_CHARACTERS else f"{text[:_MESSAGE_CHARACTERS].rstrip()}…"

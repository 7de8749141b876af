"""What statuses, codes and words of vendors mean, in this order of trust. Data, and the function that reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from pointsman import (
    AuthFailed,
    ContextOverflow,
    InvalidRequest,
    ModelGone,
    PointsmanError,
    QuotaExhausted,
    RateLimited,
    Refused,
    Unavailable,
)

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
    "no_db_connection": AuthFailed,  # LiteLLM's proxy without a database, of every key that is not its own.
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

_WORDS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    (
        ContextOverflow,
        re.compile(
            "maximum context length|exceeds the available context size|context length exceeded|context window"
            "|reduce the length of the messages|prompt is too long|input is too long|too many input tokens"
            r"|`inputs` must have less than|`inputs` tokens \+ `max_new_tokens` must be"
        ),
    ),
    (
        QuotaExhausted,
        re.compile(
            "monthly included credits|exceeded your current quota|insufficient (credit|balance|funds)"
            "|credit balance is too low|payment method"
        ),
    ),
    (Refused, re.compile("content management policy|content policy|content filter|safety system")),
    (
        ModelGone,
        re.compile(
            r"\bmodel\b.{0,200}(not found|does not exist|not supported by|has been (deprecated|decommissioned))"
            "|no such model|invalid model name"
        ),
    ),
    (RateLimited, re.compile("rate limit|too many requests")),
    (AuthFailed, re.compile("incorrect api key|invalid api key|api key not valid|invalid credentials")),
)

MISPLACED = frozenset({405, 406, 407, 415, 421, 426, 451})
"""Statuses that blame the request, but for where it was sent: another vendor may well answer it."""

_WORDS_COUNT = frozenset({None, 400, 403, 404, 422, 429, 500})
"""Statuses vague enough for words to refine them; None is an error inside a stream."""
_OUTAGE_WORDS = frozenset({ContextOverflow, QuotaExhausted, Refused})
"""With status 429 or 500 only these are believed: the others restate the status or guess."""


def meaning(status: int | None, codes: Sequence[str], words: str, own: Mapping[str, Kind]) -> Kind | None:
    """What they amount to; None where core's reading of the status is as good.

    Without a `status`, as in a stream, vague codes count too. `own` is what the vendor's own codes mean.
    """
    if status is not None and status in _DECISIVE:
        return _DECISIVE[status]
    for known in (own, _CODES) if status is not None else (own, _CODES, _VAGUE_CODES):
        for code in codes:
            if code in known:
                return known[code]
    if status in _WORDS_COUNT:
        text = words.lower()
        for kind, phrases in _WORDS:
            if phrases.search(text) and (status not in (429, 500) or kind in _OUTAGE_WORDS):
                return kind
    return _PASSING.get(status or 0)

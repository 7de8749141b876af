"""What SambaNova's refusals mean beyond the common reading, and what its user may do about them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pointsman import (
    AuthFailed,
    ModelGone,
    PointsmanError,
    QuotaExhausted,
    RateLimit,
    RateLimited,
    Scope,
    Unavailable,
)
from pointsman_openai import Refusal, Violation, fields, rate_limits, violations, window

KEYS = "https://cloud.sambanova.ai/apis"
BILLING = "https://cloud.sambanova.ai/plans/billing"
LIMITS = "https://docs.sambanova.ai/docs/en/models/rate-limits"

_FEWEST_TOKENS = 100_000
"""A limit of so many or more counts tokens: of requests the most generous one is 48,000 a day, of tokens the tightest
200,000 (SambaNova's page on rate limits, July 2026)."""
_SPANS = {60.0: "a minute", 3600.0: "an hour", 86_400.0: "a day"}


class MalformedOutput(Unavailable):
    """The vendor threw away what its model wrote: a tool call or an answer that is not the JSON that was asked for.

    Another try may be better, and it is no sign of an outage.
    """

    trips = False


def refined(error: PointsmanError, refusal: Refusal) -> PointsmanError:
    """`error`, as the common reading has it, with what only this vendor means by `refusal`."""
    body = _object(refusal.body)
    inner = fields(body.get("error"))
    if "error_model_output" in body or "error_model_output" in inner:
        return _malformed(error)
    match error:
        case AuthFailed():
            if KEYS not in error.message:
                _add(error, f"make a key at {KEYS}")
        case QuotaExhausted():
            left = _balance(inner) or _balance(body)
            _say(error, f"{error.message.rstrip('.')}{left}; add a payment method or credit at {BILLING}")
        case RateLimited():
            _limited(error, refusal)
        case ModelGone() if error.target and "right address" not in error.message:
            _add(error, f"`pointsman models {error.provider}` lists what is served")
        case _:
            pass
    return error


def _malformed(error: PointsmanError) -> MalformedOutput:
    """Whatever its status: it was seen with 400, which would be the caller's mistake."""
    return MalformedOutput(
        f"the model wrote what is not the JSON that was asked for: {error.message}",
        provider=error.provider,
        target=error.target,
        status=error.status,
        request_id=error.request_id,
    )


def _limited(error: RateLimited, refusal: Refusal) -> None:
    """Say which limit it is, and whether other models are under it, too: tokens are counted for the whole account."""
    stated = rate_limits(refusal.headers, 0.0, 0.0)
    named = [(one, _unit(one, stated)) for one in violations(error.message)]
    if any(unit == "tokens" for _, unit in named):
        error.scope = Scope.PROVIDER
    used = [_used(violated, unit) for violated, unit in named]
    used = used or [_spent(limit) for limit in stated if limit.remaining == 0]
    if used:
        said = error.message.partition("Violated")[0].strip() or "rate limit"
        _say(error, f"{said}: {', '.join(used)}; limits by plan: {LIMITS}")


def _unit(violated: Violation, stated: Sequence[RateLimit]) -> str:
    """What is counted, which no refusal says: requests if a header has the same limit, tokens if it is so large."""
    if any(limit.limit == violated.limit and window(limit.kind) == violated.seconds for limit in stated):
        return "requests"
    return "tokens" if (violated.limit or 0) >= _FEWEST_TOKENS else ""


def _used(violated: Violation, unit: str) -> str:
    span = _span(violated.seconds)
    if violated.limit is None:
        return f"the limit for {span} is used up"
    what = f" {unit}" if unit else ""
    return f"{violated.used} of {violated.limit}{what} {span} are used"


def _spent(limit: RateLimit) -> str:
    most = "all" if limit.limit is None else f"all {limit.limit}"
    return f"{most} requests {_span(window(limit.kind))} are used"


def _span(seconds: float) -> str:
    return _SPANS.get(seconds, f"in {seconds:g} s")


def _balance(told: dict[str, Any]) -> str:
    units = told.get("balance_units")
    known = isinstance(units, int | float) and abs(units) < 1e12
    return f" (balance: {units:g} units)" if known else ""


def _object(body: bytes) -> dict[str, Any]:
    try:
        return fields(json.loads(body))
    except (ValueError, RecursionError):
        return {}


def _add(error: PointsmanError, more: str) -> None:
    _say(error, f"{error.message.rstrip('.')}; {more}")


def _say(error: PointsmanError, message: str) -> None:
    error.args = (message, *error.args[1:])

"""What a refusal means, and whether anything was begun: the platform's own words first, then whoever else speaks.

Four speak. Blaxel's gateway: ``{"error": {"code": "WORKLOAD_UNAVAILABLE", "origin": "platform", ...}}``. Its control
plane: ``{"error": "text", "code": 404}``. The provider behind a model, or the agent's own server: anything. A CDN: a
web page. Codes: Blaxel's docs (`troubleshooting/error-codes`) of 2026-08, and `errors.py` of its SDK 0.4.24. Fields
that tell a language model what to do (``action``, ``do_not``) are never read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from pointsman import (
    AuthFailed,
    ConfigError,
    InvalidRequest,
    ModelGone,
    PointsmanError,
    QuotaExhausted,
    RateLimited,
    Scope,
    Target,
    Unavailable,
    error_for_status,
)
from pointsman_openai import Refusal, fields, read_body, redact, retry_after, shortened, string

from .config import KEYS


class WorkloadUnavailable(Unavailable):
    """It is waking up, or is not well for now: no sign of an outage, and asking again helps."""

    trips = False


WAKING_SECONDS = 1.0
"""When to ask one again that wakes up, where nobody says: a resume is told to take 25 ms, a new start some seconds."""

_CODES: Mapping[str, type[PointsmanError]] = {
    "ROUTE_NOT_FOUND": ModelGone,
    "WORKLOAD_NOT_FOUND": ModelGone,
    "WORKSPACE_NOT_FOUND": AuthFailed,
    "WORKLOAD_UNAVAILABLE": WorkloadUnavailable,
    "AUTHENTICATION_REQUIRED": AuthFailed,
    "AUTHENTICATION_FAILED": AuthFailed,
    "TOKEN_REVOKED": AuthFailed,
    "FORBIDDEN": AuthFailed,
    "BAD_REQUEST": InvalidRequest,
    "USAGE_LIMIT_EXCEEDED": QuotaExhausted,
    "REQUEST_ENTITY_TOO_LARGE": InvalidRequest,
    "WORKLOAD_FAILED": Unavailable,
    "ROUTING_UNAVAILABLE": Unavailable,
    "UPSTREAM_CONNECT_FAILED": Unavailable,
    "UPSTREAM_CONNECT_TIMEOUT": Unavailable,
    "UPSTREAM_ERROR": Unavailable,
    "UPSTREAM_TIMEOUT": Unavailable,
    "GATEWAY_INTERNAL_ERROR": Unavailable,
}
_BEFORE_DISPATCH = frozenset(
    {
        *("AUTHENTICATION_REQUIRED", "AUTHENTICATION_FAILED", "TOKEN_REVOKED"),  # Nobody passes without a name ...
        *("FORBIDDEN", "USAGE_LIMIT_EXCEEDED"),  # ... or without the right to it, and the money.
        *("ROUTE_NOT_FOUND", "WORKLOAD_NOT_FOUND", "WORKSPACE_NOT_FOUND"),  # There is nobody to pass anything to ...
        "WORKLOAD_UNAVAILABLE",  # ... or nobody that takes it yet.
        "REQUEST_ENTITY_TOO_LARGE",  # The gateway has not taken the request itself.
    }
)
"""Codes of the platform that can only come while a request has not reached its workload."""
_REQUEST_IDS = ("x-cf-request-id", "x-amz-cf-id", "x-request-id", "cf-ray")
_FRAMES = re.compile(r"\n\s+at \S|^Traceback \(most recent call last\)")


class Platform(NamedTuple):
    """What the gateway itself says."""

    code: str
    message: str
    retryable: bool | None
    begun: bool
    """The workload may have begun to do what was asked."""


def platform_of(refusal: Refusal) -> Platform | None:
    """The gateway's own words; None if somebody else speaks.

    What names another status than the response has is an error that an agent has met itself, and passes on.
    """
    told = _error_object(refusal.body)
    code = string(told.get("code"))
    if told.get("origin") == "platform" or code in _CODES:
        if told.get("status") not in (None, refusal.status):
            return None
        retryable, safe, state = told.get("retryable"), told.get("safe_to_retry_request"), told.get("dispatch_state")
        if safe is True or state == "not_dispatched":
            begun = False
        elif safe is False or state is not None:
            begun = True
        else:
            begun = not (told.get("origin") == "platform" and code in _BEFORE_DISPATCH)
        return Platform(code, string(told.get("message")), retryable if isinstance(retryable, bool) else None, begun)
    code = refusal.headers.get("x-blaxel-error-code", "")
    # A header alone says what it is, but not who says it.
    return Platform(code, read_body(refusal.body).message, None, True) if code in _CODES else None


def platform_error(
    platform: Platform,
    refusal: Refusal,
    *,
    workspace: str,
    secrets: tuple[str, ...],
    now: float,
    wall: float,
    **details: Any,
) -> PointsmanError:
    """The error that the gateway's own words stand for."""
    said = shortened(" ".join(redact(platform.message, secrets).split())) or f"the platform answered {refusal.status}"
    message = f"{platform.code}: {said}" if platform.code else said
    details |= {"status": refusal.status, "request_id": request_id(refusal), "begun": platform.begun}
    wait = retry_after(refusal.headers, platform.message, wall)
    kind = _CODES.get(platform.code) or type(error_for_status(refusal.status))
    if refusal.status == 429:
        kind = RateLimited
    elif platform.code == "POLICY_VIOLATION":
        return AuthFailed(message, scope=Scope.TARGET, **details)  # A policy is of one model or agent.
    if kind is WorkloadUnavailable and wait is None:
        wait = WAKING_SECONDS
    if kind is AuthFailed:
        message = f"{message} ({_remedy(refusal.status, workspace)})"
    if kind is InvalidRequest and platform.code == "REQUEST_ENTITY_TOO_LARGE":
        details["scope"] = Scope.TARGET  # Others may take more.
    error = kind(message, retry_at=None if wait is None else now + wait, **details)
    if isinstance(error, Unavailable) and platform.retryable is not None:
        error.retryable = platform.retryable
    return error


def refined(error: PointsmanError, refusal: Refusal, *, workspace: str) -> PointsmanError:
    """The common reading of a refusal, where another than the gateway speaks: who that is, and how far it counts."""
    error.request_id = error.request_id or request_id(refusal)
    said = read_body(refusal.body)
    if said.page and refusal.status in (403, 404):
        # No API of Blaxel's, and not about the key: something on the way, or a wrong address.
        return _again(Unavailable, error, error.message, retryable=False)
    if isinstance(error, AuthFailed) and not _error_object(refusal.body):
        return _again(AuthFailed, error, f"{error.message} ({_remedy(refusal.status, workspace)})")
    if error.scope is Scope.PROVIDER and _error_object(refusal.body):
        # An object that is not the gateway's is the words of the provider behind the model, of whom others are no part.
        error.scope = Scope.TARGET
    return error


def agent_error(
    refusal: Refusal, target: Target, *, secrets: tuple[str, ...], now: float, wall: float
) -> PointsmanError:
    """What the agent's own server answered: it has been reached, so it may have begun, whatever it says."""
    said = read_body(refusal.body)
    text = _first_line(said.message) or f"it answered {refusal.status}, and nothing more"
    message = f"the agent's own server says: {shortened(' '.join(redact(text, secrets).split()))}"
    wait = retry_after(refusal.headers, said.message, wall, said.wait)
    details: dict[str, Any] = {
        "target": target,
        "status": refusal.status,
        "request_id": said.request_id or request_id(refusal),
        "retry_at": None if wait is None else now + wait,
        "begun": True,
        "scope": Scope.TARGET,
    }
    match refusal.status:
        case 404 | 405:
            return ModelGone(f"{message} (are the agent's `path` and `method` right?)", **details)
        case 400 | 413 | 415 | 422:
            return InvalidRequest(f"{message} (is `input` what the agent takes?)", **details)
        case status if 200 <= status < 300:
            message = (
                f"it answered {status}, which is no answer: one that works on, and calls back, cannot be waited for"
            )
            return Unavailable(message, retryable=False, **details)
        case status if 300 <= status < 400:
            where = shortened(redact(refusal.headers.get("location", "nowhere"), secrets))
            message = (
                f"redirected to {where!r}, which is not followed: set the agent's `url` or `path` to the right address"
            )
            return ConfigError(message, **details)
        case _:
            details.pop("status")
            return error_for_status(refusal.status, message, **details)


def request_id(refusal: Refusal) -> str | None:
    """What Blaxel's support finds the request by."""
    return next((refusal.headers[name] for name in _REQUEST_IDS if name in refusal.headers), None)


def _remedy(status: int, workspace: str) -> str:
    """Whom Blaxel knows, it refuses with 403, or with 404 where the workspace is not theirs."""
    if status in (403, 404):
        return f"the workspace is {workspace!r}: is the key for another one?"
    return f"keys are made at {KEYS}"


def _again(kind: type[PointsmanError], error: PointsmanError, message: str, **details: Any) -> PointsmanError:
    details = {"target": error.target, "provider": error.provider, "request_id": error.request_id, **details}
    return kind(message, status=error.status, retry_at=error.retry_at, **details)


def _first_line(text: str) -> str:
    """Of a stack trace what it is about; it is full of paths otherwise."""
    if not _FRAMES.search(text):
        return text
    lines = text.strip().splitlines()
    return lines[-1] if text.startswith("Traceback") else lines[0]


def _error_object(body: bytes) -> dict[str, Any]:
    try:
        return fields(fields(json.loads(body)).get("error"))
    except (ValueError, RecursionError):
        return {}

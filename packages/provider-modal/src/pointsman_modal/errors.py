"""What a refusal means that comes from Modal's proxy, or from Ollama's ``/v1`` behind it.

Modal speaks plain text that begins with ``modal-http: ``; the servers behind it speak JSON. Its words are those that
users report (2025-2026), and a status alone is enough where they have changed. What the common reading of the dialect
makes of the rest is left as it is.

Where a container was at work, or was started, the error has no `status`: one with a status stands for a request that
was refused before anything was done, which costs nothing, and these cost what the container does.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from pointsman import (
    AuthFailed,
    ContextOverflow,
    FirstTokenTimeout,
    InvalidRequest,
    ModelGone,
    PointsmanError,
    QuotaExhausted,
    RateLimited,
    Scope,
    Unavailable,
)
from pointsman_openai import Refusal

PREFIX = "modal-http:"
MOST_HOPS = 20
"""Result URLs that are followed, each of which answers within 150 s: 50 minutes, as Modal's guide says."""

_LOST_INPUT = "missing request"
_WORKSPACE = re.compile(r"\bac-\w+")
_LOADING = re.compile(r"\bloading\b", re.IGNORECASE)
_OVERFLOW = re.compile(r"longer than the context length|exceeds the context length", re.IGNORECASE)
_CANNOT = re.compile(r"does not support ", re.IGNORECASE)
_TOO_BIG = re.compile(r"requires more system memory", re.IGNORECASE)


class Place(NamedTuple):
    """What advice needs to know of the address."""

    base_url: str
    has_token: bool
    cold_start: float


def is_json(body: bytes) -> bool:
    """The body is a JSON object, as of a server behind the proxy."""
    try:
        return isinstance(json.loads(body), dict)
    except (ValueError, RecursionError):
        return False


def says_platform(status: int, body: bytes) -> bool:
    """Modal has refused, and no server behind it has said anything."""
    text = body.decode(errors="replace").strip().lower()
    if text.startswith((PREFIX, _LOST_INPUT)):
        return True
    # Bodies that nobody has reported: the proxy's own, unless what is said is JSON, as a server's errors are.
    return status in (303, 403, 407, 429, 503) and not is_json(body)


def is_starting(status: int, body: bytes) -> bool:
    """No container is ready, so that asking again helps: Modal says so, or a server that is loading its model.

    Ollama's 503 is not one: its queue is full.
    """
    return status == 503 and (not is_json(body) or _LOADING.search(body.decode(errors="replace")) is not None)


def refined(error: PointsmanError, refusal: Refusal, place: Place) -> PointsmanError:
    """The error that the refusal stands for, which is `error` if nothing here knows better."""
    if is_starting(refusal.status, refusal.body):
        return _like(error, FirstTokenTimeout, _cold(place), scope=Scope.PROVIDER, begun=False, status=None)
    if not says_platform(refusal.status, refusal.body):
        return _from_server(error, refusal)
    said = _WORKSPACE.sub("ac-...", error.message.partition(" (is http")[0])
    text = said.lower()
    match refusal.status:
        case _ if "is disabled" in text:
            remedy = "look at its billing on https://modal.com/settings"
            return _like(error, QuotaExhausted, f"Modal has disabled the workspace ({said}): {remedy}")
        case _ if "is stopped" in text or "invalid function call" in text:
            return _like(error, ModelGone, f"{said}: {_deploy(place)}", scope=Scope.PROVIDER)
        case 401 | 407:
            return _like(error, AuthFailed, f"{said}: {_token(place)}")
        case 403 if not refusal.body.strip():
            remedy = "or Ollama listens on loopback only and refused the name, which OLLAMA_HOST=0.0.0.0 there cures"
            return _like(error, AuthFailed, f"{said}: {_token(place)}; {remedy}")
        case 403:
            remedy = f"the proxy token may not be used in the environment of {place.base_url}: give it a role there"
            return _like(error, AuthFailed, f"{said}: {remedy}, or set the token of that environment")
        case 404 | 410:
            return _like(error, ModelGone, f"{said}: {_deploy(place)}", scope=Scope.PROVIDER)
        case 429:
            return _like(error, RateLimited, said, scope=Scope.PROVIDER)
        case 303:
            return _like(error, Unavailable, _not_followed(refusal, place), retryable=False, status=None)
        case status:
            return _of_container(error, status, said, text)


def _of_container(error: PointsmanError, status: int, said: str, text: str) -> PointsmanError:
    """What befell the container, or the input on its way to one. No other model of the address fares better."""
    told, kind = f"{said} (status {status})", Unavailable
    if "timed out" in text:
        remedy = "the deployment's own `timeout`, 300 s unless it says otherwise, ends every answer that takes longer"
        return _like(error, kind, f"{told}: {remedy}", retryable=False, status=None)
    if "terminated by signal" in text:
        remedy = "out of memory, mostly: ask for more of it, or for a GPU with more"
        return _like(error, kind, f"{told}: {remedy}", status=None)
    # A result that has expired (408), an input that was lost: asked anew, it begins anew. Else only a 5xx passes by.
    return _like(error, kind, told, retryable=status == 408 or status >= 500, status=None)


def _from_server(error: PointsmanError, refusal: Refusal) -> PointsmanError:
    """Ollama's own words under ``/v1``, as far as the dialect does not know them."""
    if refusal.status == 400 and _OVERFLOW.search(error.message):
        return _like(error, ContextOverflow, error.message)
    if refusal.status == 400 and _CANNOT.search(error.message):
        # Nothing is wrong with the request: a model that can will answer it.
        return _like(error, InvalidRequest, error.message, scope=Scope.TARGET)
    if refusal.status == 500 and _TOO_BIG.search(error.message):
        return _like(error, Unavailable, error.message, retryable=False)
    return error


def _like(error: PointsmanError, kind: type[PointsmanError], message: str, **changes: Any) -> PointsmanError:
    """An error of `kind` in the place of `error`, about the same request."""
    details: dict[str, Any] = {
        "provider": error.provider,
        "target": error.target,
        "status": error.status,
        "request_id": error.request_id,
        "retry_at": error.retry_at,
    }
    return kind(message, **(details | changes))


def _token(place: Place) -> str:
    make = "`modal workspace proxy-tokens create` makes one"
    if place.has_token:
        return f"the proxy token is wrong, or was deleted: set token_id (wk-) and token_secret (ws-) anew; {make}"
    return f"{place.base_url} asks for a proxy token: set token_id (wk-) and token_secret (ws-); {make}"


def _deploy(place: Place) -> str:
    return (
        f"nothing is deployed at {place.base_url}, or not any more: deploy it (an app of `modal run` or `modal serve` "
        "ends with its command), or set base_url to the address that `modal deploy` prints"
    )


def _cold(place: Place) -> str:
    if not place.cold_start:
        return "no container was ready, and cold_start = 0 says not to wait for one (status 503)"
    most = f"none is waited for longer than cold_start = {place.cold_start:g} s"
    return f"no container is ready (status 503), and {most}: see `modal app logs`, or set cold_start"


def _not_followed(refusal: Refusal, place: Place) -> str:
    where = refusal.headers.get("location", "")
    if not where:
        return "redirected (status 303), and it does not say where"
    if _same_host(place.base_url, where):
        return f"no answer after {MOST_HOPS} result URLs (status 303)"
    return f"redirected (status 303) to {where!r}, which is another host: the keys are not sent there"


def _same_host(base_url: str, where: str) -> bool:
    try:
        asked, told = urlsplit(base_url), urlsplit(urljoin(base_url, where))
    except ValueError:
        return False
    return (asked.scheme, asked.netloc) == (told.scheme, told.netloc)

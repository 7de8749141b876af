"""What an error of Ollama means: its status first, its words next. Whatever comes is some `PointsmanError`.

Bodies are ``{"error": "text"}``, where the text may itself be the JSON that an inner server said; or plain text, HTML
or nothing, where what answered is not Ollama's API. Texts are those of the server's source of 2026-08 and its issues.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pointsman import (
    AuthFailed,
    ConfigError,
    ContextOverflow,
    InvalidRequest,
    ModelGone,
    PointsmanError,
    QuotaExhausted,
    RateLimited,
    Scope,
    StreamBroken,
    Target,
    Unavailable,
    error_for_status,
)
from pointsman_openai import fields, read_body, redact, retry_after, shortened

from .config import CLOUD, is_cloud, runs_in_cloud

_ACCOUNT = re.compile(r"\byou \([^)]*\)", re.IGNORECASE)
_SIGN_IN = re.compile(r"https?://ollama\.com/connect\S*", re.IGNORECASE)
_QUERY = re.compile(r"(https?://[^\s\"'?]+)\?[^\s\"']+", re.IGNORECASE)
"""What addresses are signed with, as those that layers are downloaded from."""

_OVERFLOW = re.compile(
    r"exceed_context_size_error|exceeds? (the |max\w* )*(available )?context (size|length|window)"
    r"|longer than the (model's )?context|exceeded (the )?max\w* context|prompt (is )?too long|context length exceeded",
    re.IGNORECASE,
)
_MISSING = re.compile(r"\bmodel\b.{0,300}\bnot found|try pulling it first", re.IGNORECASE | re.DOTALL)
_CANNOT = re.compile(r"does not support ([\w ]+)", re.IGNORECASE)
_SPENT = re.compile(r"usage limit|requires a (\w+ )?subscription|upgrade for (higher|access|more)\b", re.IGNORECASE)
_MISTAKE = re.compile(r"option .{1,80} must be of type|invalid (format|think value|options?)\b", re.IGNORECASE)
_TOO_BIG = re.compile(r"requires more system memory", re.IGNORECASE)
_BUSY = re.compile(r"server busy", re.IGNORECASE)
_CLOUD_OFF = re.compile(r"ollama cloud is disabled", re.IGNORECASE)

_LIBRARY = "Those that can be pulled are on https://ollama.com/library"
_NO_MODEL = re.compile(r"model manifest: (404|file does not exist|.{0,200}\bnot found)", re.IGNORECASE)
_NO_ROOM = re.compile(r"no space left on device|not enough (disk )?space|disk quota exceeded", re.IGNORECASE)
_NO_WRITING = re.compile(r"permission denied|read-only file system", re.IGNORECASE)
_TOO_OLD = re.compile(r"newer version of ollama", re.IGNORECASE)
_NOT_LET_IN = re.compile(r"\bunauthorized\b|access denied|\b401\b", re.IGNORECASE)
_NO_NAME = re.compile(r"invalid model (name|path)|insecure protocol|unqualified name|use either :local", re.IGNORECASE)

_MISPLACED = frozenset({404, 405, 406, 415, 421, 426})
"""Without an ``error`` in JSON, these come from something that is not Ollama's API, or is below another path."""
_GIN = (b"404 page not found", b"405 method not allowed")
"""What Ollama itself says of a path or a method that it does not have."""


def response_error(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    base_url: str,
    now: float,
    wall: float,
    secrets: Sequence[str] = (),
    target: Target | None = None,
    provider: str | None = None,
) -> PointsmanError:
    """The error that a response other than 200 stands for.

    `headers` have lower-case names; `now` and `wall` are seconds on the client's clock and since 1970; `secrets` are
    taken out of what the server says.
    """
    said = read_body(body)
    text, limit = _inner(said.message)
    wait = retry_after(headers, text, wall)
    details: dict[str, Any] = {
        "status": status,
        "target": target,
        "provider": provider,
        "request_id": said.request_id or headers.get("x-request-id"),
        "retry_at": None if wait is None else now + wait,
    }
    shown = _shown(text, secrets) or f"the server answered {status}, and nothing more"
    if error := _misplaced(status, body, base_url, headers, shown, details):
        return error
    error = _meant(status, text, shown, limit, base_url, details) or error_for_status(message=shown, **details)
    return _narrowed(error, base_url, _of_cloud(text) or b'"signin_url"' in body)


def line_error(told: Any, *, begun: bool, base_url: str, secrets: Sequence[str] = (), target: Target) -> PointsmanError:
    """The error that a line of a stream stands for: the status that it would have had is lost.

    After output (`begun`) the stream is broken, whatever the line says.
    """
    text, limit = _inner(read_body(_dumped(told)).message)
    shown = _shown(text, secrets) or "the server ended the stream with an error and did not say which"
    details: dict[str, Any] = {"target": target}
    if begun:
        return StreamBroken(shown, **details)
    error = _meant(None, text, shown, limit, base_url, details) or Unavailable(shown, **details)
    return _narrowed(error, base_url, _of_cloud(text))


def pull_error(told: Any, *, base_url: str, secrets: Sequence[str] = (), target: Target) -> PointsmanError:
    """The error that a line of a pull stands for: what ails the server, its disk, the registry or the way there.

    Whatever is not known to stay as it is may have passed when the same is asked for again.
    """
    text = read_body(_dumped(told)).message
    shown = _shown(text, secrets) or "the server ended the pull with an error and did not say which"
    details: dict[str, Any] = {"target": target}
    if _NO_ROOM.search(text):
        hint = "free some, or have the server keep its models elsewhere (OLLAMA_MODELS)"
        return Unavailable(f"{shown}: {hint}", retryable=False, **details)
    if _NO_MODEL.search(text):
        return ModelGone(f"{shown}: the registry has no such model, or no such tag of it. {_LIBRARY}", **details)
    if _TOO_OLD.search(text):
        return Unavailable(f"{shown}: upgrade the server", retryable=False, **details)
    if _CLOUD_OFF.search(text):
        return ConfigError(f"{shown}: the server's OLLAMA_NO_CLOUD, or its settings, say so", **details)
    if _NOT_LET_IN.search(text):
        return AuthFailed(f"{shown}: the model is not for everybody, or there is none; {_sign_in(base_url)}", **details)
    if _NO_NAME.search(text):
        return InvalidRequest(shown, **details)
    if _NO_WRITING.search(text):
        return Unavailable(f"{shown}: where the server keeps its models it may not write", retryable=False, **details)
    return Unavailable(shown, **details)


def _of_cloud(text: str) -> bool:
    """A text that no Ollama says of itself, but ollama.com through it."""
    return bool(_SPENT.search(text) or _CLOUD_OFF.search(text))


def _narrowed(error: PointsmanError, base_url: str, cloud: bool) -> PointsmanError:
    """Where a server passes on what ollama.com says, its other models still answer."""
    target = error.target
    if target and error.scope is Scope.PROVIDER and not is_cloud(base_url) and (cloud or runs_in_cloud(target.model)):
        error.scope = Scope.TARGET
    return error


def _meant(
    status: int | None, text: str, shown: str, limit: str, base_url: str, details: dict[str, Any]
) -> PointsmanError | None:
    """What status and words amount to; None where core's reading of the status is as good."""
    target: Target | None = details.get("target")
    model = target.model if target else ""
    if status in (400, 413, 500, None) and _OVERFLOW.search(text):
        return ContextOverflow(f"{shown}{limit}", **details)
    if status in (402, 403, 429, None) and _SPENT.search(text):
        scope = Scope.TARGET if "subscription" in text.lower() else None  # Other models of the plan still answer.
        return QuotaExhausted(shown, scope=scope, **details)
    match status:
        case 401 | 403 if _CLOUD_OFF.search(text):
            return ConfigError(f"{shown}: the server's OLLAMA_NO_CLOUD, or its settings, say so", **details)
        case 401:
            return AuthFailed(f"{shown}: {_sign_in(base_url)}", **details)
        case 429:
            return RateLimited(shown, scope=Scope.PROVIDER, **details)
        case 408 | 499 | 503:
            return Unavailable(shown, **details)
        case 400 | 500 if _MISTAKE.search(text):
            return InvalidRequest(shown, **details)
        case 500 if _TOO_BIG.search(text):
            return Unavailable(f"{shown}: a smaller model, or a smaller num_ctx, may fit", retryable=False, **details)
        case None if _BUSY.search(text):
            return Unavailable(shown, **details)
        case None if re.search(r"\bunauthorized\b", text, re.IGNORECASE):
            return AuthFailed(f"{shown}: {_sign_in(base_url)}", **details)
        case _:
            pass
    if status in (400, 404, None) and _MISSING.search(text):
        return ModelGone(f"{shown}{_pull(model, base_url)}", **details)
    if status == 404:
        return ModelGone(shown, **details)
    if status in (400, None) and (cannot := _CANNOT.search(text)):
        # Nothing is wrong with the request: a model that can will answer it.
        return InvalidRequest(f"{shown} (it lacks what {cannot[1].strip()} needs)", scope=Scope.TARGET, **details)
    return None


def _misplaced(
    status: int, body: bytes, base_url: str, headers: Mapping[str, str], shown: str, details: dict[str, Any]
) -> PointsmanError | None:
    """Something that is not Ollama's API answered, or Ollama did not like how it was addressed."""
    ours, cloud = _has_error(body), is_cloud(base_url)
    if status == 403 and not ours and not body.strip() and not cloud:
        return ConfigError(
            f"{base_url} refused this address, and said nothing more: an Ollama that listens on loopback answers only "
            "to localhost, its own names and IP addresses; ask it by one of these, have the proxy or tunnel in between "
            "send Host: localhost, or set OLLAMA_HOST=0.0.0.0 where `ollama serve` runs",
            **details,
        )
    target: Target | None = details["target"]
    passed_on = target is not None and runs_in_cloud(target.model) and not body.startswith(_GIN)
    if status in _MISPLACED and not ours and not passed_on:
        place = f"https://{CLOUD}" if cloud else "where `ollama serve` listens, such as http://127.0.0.1:11434"
        return ConfigError(
            f"{base_url} has no Ollama API ({shown[:80]}): set base_url, or OLLAMA_HOST, to {place}, "
            "without /api or /v1",
            **details,
        )
    if 300 <= status < 400:
        where = headers.get("location", "nowhere")
        message = f"redirected to {shortened(where)!r}, which is not followed: set base_url to the right address"
        return error_for_status(message=message, **details)
    return None


def _has_error(body: bytes) -> bool:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and "error" in value


def _inner(text: str) -> tuple[str, str]:
    """The words in `text`, which may be the JSON that llama-server said, and the sizes that it tells."""
    if not text.lstrip().startswith("{"):
        return text, ""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text, ""
    told = fields(fields(value).get("error", value))
    words = f"{read_body(text.encode(errors='replace')).message or text}"
    if told.get("type") == "exceed_context_size_error" and not _OVERFLOW.search(words):
        words = f"{words} (exceed_context_size_error)"
    asked, context = told.get("n_prompt_tokens"), told.get("n_ctx")
    if not (isinstance(context, int) and isinstance(asked, int)):
        return words, ""
    return words, f" (the prompt has {asked} tokens, the context {context}; num_ctx sets it)"


def _pull(model: str, base_url: str) -> str:
    if is_cloud(base_url) or not model:
        return ""
    if runs_in_cloud(model):
        return f"; run `ollama signin` and `ollama pull {model}`"
    return f"; run `ollama pull {model}` on the server, or from here `pointsman ollama pull {model}`"


def _sign_in(base_url: str) -> str:
    if is_cloud(base_url):
        return "set OLLAMA_API_KEY to a key from https://ollama.com/settings/keys"
    return "run `ollama signin` on the server, or set api_key if a proxy before it asks for one"


def _shown(text: str, secrets: Sequence[str]) -> str:
    """`text` for people: without keys, without the account's name, and without links that sign somebody in."""
    text = redact(text, secrets)
    text = _QUERY.sub(r"\1", _SIGN_IN.sub("https://ollama.com/connect", _ACCOUNT.sub("you", text)))
    return shortened(" ".join(text.split()))


def _dumped(told: Any) -> bytes:
    try:
        return json.dumps(told).encode()
    except (ValueError, RecursionError):
        return b""

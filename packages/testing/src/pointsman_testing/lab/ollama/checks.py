"""What the server refuses before a model sees it, in its words and with its statuses."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from typing import Any, cast

from ..requests import RecordedRequest
from ..script import Fault
from .asked import Asked, asked
from .gojson import dumps, quoted
from .models import is_name

_THINK = ("high", "medium", "low", "max")
_THINK_WORDS = '"high", "medium", "low", "max", true, or false'
_INTEGERS = {
    *("num_ctx", "num_batch", "num_gpu", "main_gpu", "num_thread", "num_keep", "seed", "num_predict", "top_k"),
    *("repeat_last_n", "draft_num_predict"),
}
_FLOATS = {"top_p", "min_p", "typical_p", "temperature", "repeat_penalty", "presence_penalty", "frequency_penalty"}
_FIELDS: Mapping[str, Mapping[str, str]] = {
    "ChatRequest": {
        "model": "string",
        "messages": "[]api.Message",
        "stream": "bool",
        "tools": "api.Tools",
        "options": "map[string]interface {}",
        "truncate": "bool",
        "shift": "bool",
        "logprobs": "bool",
        "top_logprobs": "int",
    },
    "EmbedRequest": {
        "model": "string",
        "truncate": "bool",
        "dimensions": "int",
        "options": "map[string]interface {}",
    },
    "ShowRequest": {"model": "string", "verbose": "bool"},
    "PullRequest": {"model": "string", "insecure": "bool", "stream": "bool"},
}
_MESSAGE = {"role": "string", "content": "string", "thinking": "string", "images": "[]api.ImageData"}


class Refused(Exception):
    """A request that is wrong in itself; `fault` says so."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.fault = Fault(status, message=message)


def late(status: int, message: str, *, wait: float = 0.0) -> Fault:
    """An error of the part that streams, before its first line: it names no charset."""
    return Fault(status, dumps({"error": message}), headers={"content-type": "application/json"}, wait=wait)


def read(request: RecordedRequest, kind: str) -> Asked:
    """What a request of that Go type asks for; raises `Refused`."""
    if not request.body.strip():
        raise Refused("missing request body")
    try:
        body = json.loads(request.body, parse_constant=_no_number, parse_float=_number)
    except ValueError as error:
        raise Refused(_syntax(error)) from None
    except RecursionError:
        raise Refused("exceeded max depth") from None
    if body is not None and not isinstance(body, dict):
        raise Refused(f"json: cannot unmarshal {_kind(body)} into Go value of type api.{kind}")
    fields = cast("dict[str, Any]", body or {})
    _typed(fields, _FIELDS[kind], kind)
    if kind == "ChatRequest":
        _check_chat(fields)
    if kind == "EmbedRequest":
        _check_input(fields.get("input"))
    try:
        found = asked(fields)
    except ValueError as error:
        raise Refused(str(error)) from None
    if not is_name(found.model):
        raise Refused("invalid model name" if kind == "PullRequest" else "model is required")
    return found


def options_fault(options: Mapping[str, Any]) -> Fault | None:
    """Options of the wrong type. The server takes them for its own failure: a 500."""
    for name, value in options.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        wrong = None
        if name in _INTEGERS and not number:
            wrong = "type integer"
        elif name in _FLOATS and not number:
            wrong = "type float32"
        elif name == "use_mmap" and not isinstance(value, bool | None):
            wrong = "type boolean"
        elif name == "stop" and not isinstance(value, list):
            wrong = "type array"
        elif name == "stop" and not all(isinstance(word, str) for word in cast("list[Any]", value)):
            wrong = "an array of strings"
        if wrong:
            return Fault(500, message=f'option "{name}" must be of {wrong}')
    return None


def format_fault(format_: Any) -> Fault | None:
    """A ``format`` that is neither JSON nor a schema. Noticed where the model is run, so the status is 500."""
    if format_ is None or format_ in ("", "json") or isinstance(format_, dict):
        return None
    said = quoted(dumps(format_).decode())
    return late(500, f'invalid format: {said}; expected "json" or a valid JSON Schema object')


def _check_chat(body: Mapping[str, Any]) -> None:
    for message in cast("list[Any]", body.get("messages") or []):
        if not isinstance(message, dict):
            raise Refused(_mismatch(message, "ChatRequest.messages", "api.Message"))
        fields = cast("dict[str, Any]", message)
        _typed(fields, _MESSAGE, "ChatRequest.messages")
        for image in cast("list[Any]", fields.get("images") or []):
            _check_image(image)
    match body.get("think"):
        case None | bool():
            pass
        case str(level):
            if level not in _THINK:
                raise Refused(f"invalid think value: {quoted(level)} (must be {_THINK_WORDS})")
        case _:
            raise Refused(f"think must be a boolean or string ({_THINK_WORDS})")
    if not 0 <= (body.get("top_logprobs") or 0) <= 20:
        raise Refused("top_logprobs must be between 0 and 20")


def _check_input(given: Any) -> None:
    texts: list[Any] = [] if given is None else cast("list[Any]", given) if isinstance(given, list) else [given]
    if not all(isinstance(text, str) for text in texts):
        raise Refused("invalid input type")


def _check_image(image: Any) -> None:
    if not isinstance(image, str):
        raise Refused(_mismatch(image, "ChatRequest.messages.images", "api.ImageData"))
    try:
        base64.b64decode(image, validate=True)
    except ValueError:
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        place = next((at for at, letter in enumerate(image) if letter not in alphabet), len(image) // 4 * 4)
        raise Refused(f"illegal base64 data at input byte {place}") from None


def _typed(body: Mapping[str, Any], fields: Mapping[str, str], where: str) -> None:
    for name, wanted in fields.items():
        value = body.get(name)
        if value is not None and not _fits(value, wanted):
            raise Refused(_mismatch(value, f"{where}.{name}", wanted))


def _mismatch(value: Any, field: str, wanted: str) -> str:
    return f"json: cannot unmarshal {_kind(value)} into Go struct field {field} of type {wanted}"


def _fits(value: Any, wanted: str) -> bool:
    match wanted:
        case "string":
            return isinstance(value, str)
        case "bool":
            return isinstance(value, bool)
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case _:
            return isinstance(value, dict if wanted.startswith("map") else list)


def _kind(value: Any) -> str:
    """What Go calls a JSON value."""
    match value:
        case bool():
            return "bool"
        case str():
            return "string"
        case int() | float():
            return "number"
        case list():
            return "array"
        case _:
            return "object"


def _number(text: str) -> float:
    if math.isinf(value := float(text)):
        raise Refused(f"json: cannot unmarshal number {text} into Go value of type float64")
    return value


def _no_number(text: str) -> float:
    """NaN and Infinity, which Python takes for JSON."""
    raise Refused(f"invalid character '{text.lstrip('-')[0]}' looking for beginning of value")


def _syntax(error: ValueError) -> str:
    if not isinstance(error, json.JSONDecodeError):
        return "invalid character '\\u00ff' looking for beginning of value"
    rest = error.doc[error.pos :].strip()
    return f"invalid character '{rest[0]}' looking for beginning of value" if rest else "unexpected EOF"

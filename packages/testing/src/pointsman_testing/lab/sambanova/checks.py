"""What the vendor finds wrong with a chat, in its own codes; its documents say which there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ...words import count_words
from ..dialect import Model
from ..requests import text_of
from ..script import Fault

_MOST: Mapping[str, float] = {"temperature": 2, "top_p": 1, "top_k": 100, "n": 8, "top_logprobs": 20}
_EFFORTS = ("low", "medium", "high")


def model_fault(name: Any, models: Sequence[Model]) -> Fault | None:
    """What is wrong with the name of a model."""
    if not isinstance(name, str):
        return wrong("invalid_type", "Invalid type for 'model': expected a string.", "model")
    entry = entry_of(name, models)
    if entry.get("retired"):
        return Fault(410, message=f"Model {name} is deprecated and no longer available.")
    known = {_named(model)["id"] for model in models}
    if known and name not in known:
        return Fault(404, code="model_not_found", message=f"Model {name} not found.")
    return None


def chat_fault(body: Mapping[str, Any], models: Sequence[Model]) -> Fault | None:
    """The first thing that is wrong with the body of a chat request, the name of its model apart."""
    messages = cast("list[Any]", body["messages"]) if isinstance(body.get("messages"), list) else None
    if messages is None:
        return wrong("invalid_type", "Invalid type for 'messages': expected an array.", "messages")
    if not messages:
        return wrong("empty_array", "Invalid 'messages': empty array.", "messages")
    if not all(isinstance(message, dict) for message in messages):
        return wrong("invalid_type", "Invalid type for 'messages': expected objects.", "messages")
    entry = entry_of(body["model"], models)
    return _number_fault(body) or _field_fault(body, entry) or _content_fault(messages, entry)


def wrong(code: str, message: str, param: str | None = None) -> Fault:
    """A refusal of what was asked."""
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return Fault(400, {"error": error, "request_id": "lab"})


def entry_of(name: str, models: Sequence[Model]) -> Mapping[str, Any]:
    """What is said of a model."""
    nothing: Mapping[str, Any] = {}
    return next((entry for entry in map(_named, models) if entry["id"] == name), nothing)


def _named(model: Model) -> Mapping[str, Any]:
    return {"id": model} if isinstance(model, str) else model


def _number_fault(body: Mapping[str, Any]) -> Fault | None:
    for name, most in _MOST.items():
        given = body.get(name)
        if given is None:
            continue
        if isinstance(given, bool) or not isinstance(given, int | float):
            return wrong("invalid_type", f"Invalid type for {name!r}: expected a number.", name)
        if given > most:
            kind = "Integer" if isinstance(given, int) else "Decimal"
            said = f"{kind} above maximum value. Expected a value between 0 and {most:g}, but got {given} instead."
            return wrong(f"{kind.lower()}_above_max_value", said, name)
    return None


def _field_fault(body: Mapping[str, Any], entry: Mapping[str, Any]) -> Fault | None:
    match body:
        case {"response_format": {"type": "text"}}:
            return wrong("invalid_value", "response_format 'text' is not supported yet.", "response_format")
        case {"stream_options": _} if not body.get("stream"):
            return wrong("invalid_value", "stream_options is only allowed when stream is true.", "stream_options")
        case {"reasoning_effort": effort} if effort not in _EFFORTS:
            return wrong("invalid_value", f"Invalid value for 'reasoning_effort': {effort!r}.", "reasoning_effort")
        case {"tools": [_, *_]} if entry.get("tools") is False:
            return wrong("invalid_value", f"Model {entry['id']} does not support tools.", "tools")
        case {"tools": [_, *_], "n": int(count)} if count > 1:
            return wrong("invalid_value", "n must be 1 where there are tools.", "n")
        case _:
            return None


def _content_fault(messages: Sequence[Mapping[str, Any]], entry: Mapping[str, Any]) -> Fault | None:
    for message in messages:
        content = message.get("content")
        for part in cast("list[Any]", content) if isinstance(content, list) else []:
            match part:
                case {"image_url": {"url": str(url)}} if not url.startswith("data:"):
                    return wrong("invalid_value", "Only base64 encoded images are supported.", "messages")
                case _:
                    pass
    longest = entry.get("context_length")
    words = sum(count_words(text_of(message.get("content"))) for message in messages)
    if isinstance(longest, int) and words > longest:
        said = f"This model's maximum context length is {longest} tokens. However, you requested {words} tokens."
        return wrong("context_length_exceeded", said, "messages")
    return None

"""The text in a JSON value of an agent's: at a configured place, or where agents usually put it. Pure."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from pointsman_openai import fields, items, string, valid

_USUAL = ("content", "text", "message", "output", "outputs", "response", "result", "answer")
"""Of the CLI of Blaxel, which tells content, text and message, and of agents in its docs; in this order."""
_PLACE = re.compile(r"-?[0-9]{1,9}")
_NO_REASONS = ("", "tool_calls", "function_call")
"""An agent goes on after these: it calls its tools by itself."""


class Said(NamedTuple):
    """What one value says."""

    text: str | None = None
    """None: there is no text where it is looked for."""
    error: str | None = None
    """It says that something failed."""
    reason: str | None = None
    """Why the answer ends early, where it does."""


def said(value: Any, path: str = "") -> Said:
    """What `value` says at `path`, such as ``choices.0.message.content``; without one, in the usual places.

    What calls itself an error is one. Else an ``error`` counts where there is no text but its own ``message``. What is
    nested too deeply for anybody to have meant it says nothing.
    """
    try:
        return _said(value, path)
    except RecursionError:
        return Said()


def _said(value: Any, path: str) -> Said:
    text = _shown(_at(value, path)) if path else _usual(value)
    outer = fields(value)
    error = None
    named = outer.get("type") == "error" or outer.get("event") == "error"
    if named or (outer.get("error") and (not text or (not path and text == words(outer.get("message"))))):
        error = words(outer.get("error")) or words(outer.get("message")) or text or "it did not say which"
    choice = fields(next(iter(items(outer.get("choices"))), None))
    reason = string(choice.get("finish_reason"))
    return Said(text, error, reason if reason not in _NO_REASONS else None)


def words(value: Any) -> str | None:
    """The text of what may be a text, an object with one, or a list of these, as messages have it."""
    if isinstance(value, str):
        return valid(value)
    if isinstance(value, dict):
        inner = fields(value)
        return next((text for name in _USUAL if (text := words(inner.get(name))) is not None), None)
    if isinstance(value, list) and value:
        parts = [words(one) for one in items(value)]
        known = [part for part in parts if part is not None]
        return "".join(known) if len(known) == len(parts) else None
    return None


def keys_of(value: Any) -> str:
    """What a value has, for a person who looks for the right path."""
    if isinstance(value, dict):
        return ", ".join(map(valid, list(fields(value))[:8])) or "nothing"
    return f"a list of {len(items(value))}" if isinstance(value, list) else "no object"


def _usual(value: Any) -> str | None:
    outer = fields(value)
    choice = fields(next(iter(items(outer.get("choices"))), None))
    for name in ("delta", "message"):
        if name in choice:
            # A chunk of the OpenAI dialect without any text, such as the one with the role, is one all the same.
            return words(fields(choice[name]).get("content")) or ""
    if "text" in choice:
        return words(choice["text"]) or ""
    return words(outer) if outer else None


def _at(value: Any, path: str) -> Any:
    for part in path.split("."):
        if isinstance(value, list) and _PLACE.fullmatch(part):
            listed, place = items(value), int(part)
            if not -len(listed) <= place < len(listed):
                return None
            value = listed[place]
        else:
            value = fields(value).get(part)
    return value


def _shown(value: Any) -> str | None:
    """A text as it is, nothing as nothing, and any other value as JSON."""
    if value is None or isinstance(value, str):
        return None if value is None else valid(value)
    text = words(value) if isinstance(value, list) else None
    return valid(json.dumps(value, ensure_ascii=False)) if text is None else text

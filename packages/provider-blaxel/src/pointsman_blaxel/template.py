"""What an agent is told: a request, put into the template of its configuration. Pure.

A placeholder is ``{name}`` in any text of the template, but in no key; ``{{name}}`` is the text ``{name}``.

============== ========================================================================================================
``{prompt}``   what is asked: the text of the one message there is; of several, a transcript. System messages are in it
               unless the template has ``{system}``
``{messages}`` the conversation, as a list of ``{"role": ..., "content": ...}``, without the system messages if the
               template has ``{system}``
``{last}``     the text of the last message alone that is no system message, for an agent that remembers what came
               before by its thread
``{system}``   the system messages
``{thread}``   the tag ``thread`` of the request
============== ========================================================================================================

``{max_tokens}``, ``{temperature}``, ``{top_p}``, ``{seed}``, ``{reasoning_effort}`` and ``{stop}`` are those of the
request. What has no value is left out of an object, null elsewhere, and nothing inside a longer text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pointsman import ChatRequest, InvalidRequest, Message, Scope, Target

THREAD = "thread"
"""The tag of a request that names the conversation it belongs to."""
SAMPLING = ("max_tokens", "temperature", "top_p", "seed", "reasoning_effort", "stop")
_ASKED = frozenset({"prompt", "messages", "last"})
_NAMES = (*sorted(_ASKED), "system", THREAD, *SAMPLING)
_PLACEHOLDER = re.compile(r"\{\{[a-z_]+\}\}|\{([a-z_]+)\}")
_ABSENT: Any = object()
_SPEAKERS = {"system": "System", "user": "User", "assistant": "Assistant"}


def check_template(template: Any) -> Any:
    """The template, if it can be filled in and asks what was asked. Raises `ValueError`."""
    used = placeholders(template)
    for name in sorted(used.difference(_NAMES)):
        known = ", ".join(f"{{{one}}}" for one in _NAMES)
        raise ValueError(f"there is no {{{name}}}: there are {known}; write {{{{{name}}}}} for the text itself")
    if not used & _ASKED:
        raise ValueError("nothing of the question is in it: {prompt}, {messages} or {last} must be")
    if any("{messages}" in text and text != "{messages}" for text in _texts(template)):
        raise ValueError("{messages} is a list, so the text that holds it may hold nothing else")
    return template


def placeholders(template: Any) -> set[str]:
    """The names that `template` uses."""
    return {match[1] for text in _texts(template) for match in _PLACEHOLDER.finditer(text) if match[1]}


def fill(template: Any, request: ChatRequest, target: Target) -> Any:
    """`template` with `request` in it, and the request's `extra` beside.

    Raises `InvalidRequest` for what cannot be said to an agent; another target may be able to take it.
    """
    used = placeholders(template)
    _check(request, used, target)
    value = _filled(template, _values(request, used))
    if not request.extra:
        return value
    if not isinstance(value, dict):
        raise _cannot(target, "`extra` is merged into an object, and its `input` is none")
    return {**cast("dict[str, Any]", value), **request.extra}


def _check(request: ChatRequest, used: set[str], target: Target) -> None:
    messages = request.messages
    if any(message.images for message in messages):
        raise _cannot(target, "an agent is told text; pictures have no place in it")
    if request.tools or any(message.role == "tool" or message.tool_calls for message in messages):
        raise _cannot(target, "an agent has tools of its own; those of the request cannot be said to it")
    if request.response_schema is not None:
        raise _cannot(target, "an agent cannot be told to answer by a schema")
    if request.stop and "stop" not in used:
        raise _cannot(target, "its `input` has no {stop}, and without it the answer would go on")
    if "last" not in used or used & {"prompt", "messages"}:
        return
    if "system" not in used and any(message.role == "system" for message in messages):
        raise _cannot(target, "its `input` has neither {system} nor {prompt}, so a system message would be lost")
    if THREAD not in request.tags and sum(message.role != "system" for message in messages) > 1:
        raise _cannot(
            target, "its `input` has {last} alone, and no tag `thread` says which conversation it goes on with"
        )


def _values(request: ChatRequest, used: set[str]) -> dict[str, Any]:
    system = [message.text for message in request.messages if message.role == "system"]
    told = [message for message in request.messages if message.role != "system" or "system" not in used]
    sampling = {name: getattr(request, name) for name in SAMPLING}
    sampling["stop"] = list(request.stop) or None
    return {
        "prompt": transcript(told),
        "messages": [{"role": message.role, "content": message.text} for message in told],
        "last": next((message.text for message in reversed(request.messages) if message.role != "system"), ""),
        "system": "\n\n".join(system) if system else _ABSENT,
        THREAD: request.tags.get(THREAD, _ABSENT),
        **{name: _ABSENT if value is None else value for name, value in sampling.items()},
    }


def transcript(messages: Sequence[Message]) -> str:
    """One text that says it all: that of a single message of the user as it is, else each after who said it."""
    if len(messages) == 1 and messages[0].role == "user":
        return messages[0].text
    return "\n\n".join(f"{_SPEAKERS.get(message.role, message.role)}: {message.text}" for message in messages)


def _filled(template: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(template, Mapping):
        filled = {key: _filled(value, values) for key, value in cast("Mapping[str, Any]", template).items()}
        return {key: value for key, value in filled.items() if value is not _ABSENT}
    if isinstance(template, list | tuple):
        listed = [_filled(value, values) for value in cast("list[Any]", template)]
        return [None if value is _ABSENT else value for value in listed]
    if not isinstance(template, str):
        return template
    whole = _PLACEHOLDER.fullmatch(template)
    if whole and whole[1]:
        return values[whole[1]]

    def replaced(match: re.Match[str]) -> str:
        if not match[1]:
            return match[0][1:-1]
        value = values[match[1]]
        return "" if value is _ABSENT else str(value)

    return _PLACEHOLDER.sub(replaced, template)


def _texts(template: Any) -> list[str]:
    if isinstance(template, str):
        return [template]
    inside: Sequence[Any] = ()
    if isinstance(template, Mapping):
        inside = list(cast("Mapping[str, Any]", template).values())
    elif isinstance(template, list | tuple):
        inside = cast("list[Any]", template)
    return [text for one in inside for text in _texts(one)]


def _cannot(target: Target, why: str) -> InvalidRequest:
    return InvalidRequest(why, target=target, scope=Scope.TARGET)

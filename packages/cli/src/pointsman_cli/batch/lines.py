"""One line of the input: what it asks, in our form or in that of OpenAI's Batch API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, cast

from pointsman import ChatRequest, InvalidRequest, Target
from pointsman.asking import as_request
from pointsman.client import Options

from .openai_form import WrongLine, as_messages, as_tool_choice, as_tools, known_keys, of_body, table

OPTIONS = frozenset(Options.__annotations__)
"""What a line may say besides its prompt: the options of a call."""

_OURS = OPTIONS | {"id", "prompt", "messages"}
_BATCH = frozenset({"custom_id", "method", "url", "body"})
_URL = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Asked:
    """A line that can be sent."""

    id: str | int | None
    request: ChatRequest
    """All but the target."""
    model: str | list[str] | None
    options: Mapping[str, Any]
    """What else the call is told: its limits, which are no part of the request."""

    @property
    def targets(self) -> list[Target]:
        """Those that it names; none if the policy is asked."""
        if self.model is None or self.model == "auto":
            return []
        return [Target.parse(one) for one in ([self.model] if isinstance(self.model, str) else self.model)]


def read_line(data: bytes, defaults: Mapping[str, Any]) -> Asked:
    """What a line asks. `defaults` are options for what it does not say. Raises `WrongLine`."""
    said = _object(data)
    id_ = _id(said)
    try:
        options = _of_batch(said) if _BATCH & said.keys() else _ours(said)
        return _asked(id_, options.pop("messages"), options, defaults)
    except InvalidRequest as error:
        wrong = WrongLine(error.message, "correct the line")
    except WrongLine as error:
        wrong = error
    wrong.id = id_
    raise wrong


def _asked(id_: str | int | None, messages: Any, options: dict[str, Any], defaults: Mapping[str, Any]) -> Asked:
    own = any(message.role == "system" for message in messages)
    given = {name: value for name, value in defaults.items() if name != "system" or not own} | options
    if tags := {**defaults.get("tags", {}), **table(options.get("tags") or {}, "tags")}:
        given["tags"] = tags
    model = _model(given.pop("model", None))
    request = as_request(ChatRequest(messages=messages), cast(Options, given))
    for text in (request.task, *request.stop, *request.require, *request.tags, *request.tags.values()):
        if text is not None and not _is_unicode(text):
            raise WrongLine("it holds half of a surrogate pair, which cannot be sent", "write the text anew")
    if request.response_schema is not None:
        _check_schema(json.dumps(request.response_schema))
    of_request = {one.name for one in fields(ChatRequest)} | {"system"}
    return Asked(id_, request, model, {name: value for name, value in given.items() if name not in of_request})


def _object(data: bytes) -> dict[str, Any]:
    try:
        said: object = json.loads(data.decode(), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise WrongLine(f"it is not UTF-8 (byte {error.start + 1} of the line)", "save the file as UTF-8") from None
    except json.JSONDecodeError as error:
        why = f"it is not JSON ({error.msg} at character {error.pos + 1})"
        text = data.lstrip()[:1] not in b"{["
        advice = "of lines of text, jq -Rc '{prompt: .}' FILE makes such" if text else "jq -c . FILE writes them so"
        raise WrongLine(why, f"a line holds one whole JSON object; {advice}") from None
    except (ValueError, RecursionError) as error:
        raise WrongLine(f"it is not JSON ({error})", "a line holds one whole JSON object") from None
    if not isinstance(said, dict):
        raise WrongLine(
            f"it is JSON, but no object: {data.strip()[:40].decode(errors='replace')}", 'write {"prompt": "..."}'
        )
    return {name: value for name, value in cast(dict[str, Any], said).items() if value is not None}


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _id(said: Mapping[str, Any]) -> str | int | None:
    name = "custom_id" if _BATCH & said.keys() else "id"
    found = said.get(name)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, str | int) or found == "":
        raise WrongLine(f"{name} is a text or a whole number, not {json.dumps(found)[:40]}", f"correct {name}")
    return found


def _ours(said: Mapping[str, Any]) -> dict[str, Any]:
    known_keys(said, _OURS, "a line")
    options = {name: value for name, value in said.items() if name in OPTIONS}
    if ("prompt" in said) is ("messages" in said):
        which = "both prompt and messages" if "prompt" in said else "neither a prompt nor messages"
        raise WrongLine(f"it has {which}", 'a line has one of them: {"prompt": "..."} or {"messages": [...]}')
    if "prompt" in said and not isinstance(said["prompt"], str):
        raise WrongLine("prompt is no text", "write a text, or messages: [...]")
    options["messages"] = as_messages(
        [{"role": "user", "content": said["prompt"]}] if "prompt" in said else said["messages"]
    )
    if "tools" in options:
        options["tools"] = as_tools(options["tools"])
    if "tool_choice" in options:
        options["tool_choice"] = as_tool_choice(options["tool_choice"])
    return options


def _of_batch(said: Mapping[str, Any]) -> dict[str, Any]:
    known_keys(said, _BATCH, "a line of OpenAI's Batch form")
    if str(said.get("method", "POST")).upper() != "POST" or said.get("url", _URL) != _URL:
        where = f"{said.get('method', 'POST')} {said.get('url', _URL)}"[:80]
        raise WrongLine(f"it goes to {where}: only POST {_URL} is answered here", "take such lines out")
    if "body" not in said:
        raise WrongLine("it has no body", 'write {"custom_id": ..., "body": {"messages": [...]}}')
    return of_body(table(said["body"], "body"))


def _model(said: Any) -> str | list[str] | None:
    if said is None or said == "auto":
        return None if said is None else "auto"
    named: list[Any] = cast(list[Any], said) if isinstance(said, list) else [said]
    for one in named:
        try:
            Target.parse(one if isinstance(one, str) else "")
        except ValueError:
            shown = json.dumps(one)[:60]
            why = f"model {shown} is no target: write provider/model, a list of these, or auto"
            raise WrongLine(why, "correct it; or take model out of all lines, and name it with -m") from None
    if not named or len(set(named)) < len(named):
        raise WrongLine("model names nobody, or somebody twice", "name each target once")
    return named if isinstance(said, list) else str(said)


@lru_cache(maxsize=32)
def _check_schema(schema: str) -> None:
    """Many lines have the same."""
    from ..chat.schema import fault

    if why := fault(json.loads(schema)):
        raise WrongLine(f"response_schema is no JSON Schema that can be used: {why}", "correct it")


def _is_unicode(text: str) -> bool:
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False

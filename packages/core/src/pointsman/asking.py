"""From what a caller hands in to a `ChatRequest`; bad input is refused here, before anyone is asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import fields, replace
from numbers import Real
from typing import TYPE_CHECKING, Any, cast, get_args

from .errors import InvalidRequest, did_you_mean
from .provider import EmbedRequest
from .types import ChatRequest, Image, Message, Priority, Role, Text, Tool, system, user

if TYPE_CHECKING:
    from .client import Options, Prompt

_NOT_FOR_THE_REQUEST = frozenset({"model", "system", "first_token", "stall", "min_speed", "max_wait", "on_break"})
_OPTIONS = _NOT_FOR_THE_REQUEST | ({one.name for one in fields(ChatRequest)} - {"messages"})


def as_request(prompt: Prompt, options: Options, settings: Container[str] = ()) -> ChatRequest:
    """The request that `prompt` and `options` stand for. Raises `InvalidRequest` for what can be no request.

    An option goes before what a `ChatRequest` says; None is the same as leaving the option out. `settings` are names
    that hold for a whole client: whoever takes one for an option is told where it is set.
    """
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name not in _OPTIONS:
            elsewhere = f": it is a setting of [engine], for all calls of a client ({name} = ...)"
            meant = elsewhere if name in settings else did_you_mean(name, _OPTIONS)
            raise InvalidRequest(f"a call has no option {name!r}{meant}")
    instruction = given.get("system", "")
    if not isinstance(instruction, str):
        raise InvalidRequest(f"system is a text, not {kind_of(instruction)}")
    request = _asked(prompt)
    wishes = {name: value for name, value in given.items() if name not in _NOT_FOR_THE_REQUEST}
    if wishes:  # A copy takes longer than all that is checked below.
        request = replace(request, **{name: _READ.get(name, _as_it_is)(name, value) for name, value in wishes.items()})
    if instruction:
        request = replace(request, messages=(system(instruction), *request.messages))
    _check(request, given)
    return request


def as_embed_request(texts: object, model: str, deadline: object = None) -> EmbedRequest:
    """The request to embed `texts` with `model`. Raises `InvalidRequest` for what are no texts, or no seconds."""
    check_more_than_none("deadline", deadline)
    listed = cast(tuple[object, ...], (texts,) if isinstance(texts, str) else _items("texts", texts))
    for number, text in enumerate(listed, 1):
        if not isinstance(text, str):
            raise InvalidRequest(f"text {number} is {kind_of(text)}, not a text")
        if not _is_unicode(text):
            raise InvalidRequest(f"text {number} holds half of a surrogate pair, which cannot be sent: decode it anew")
    if not listed:
        raise InvalidRequest("there is no text to embed: give one, or a list of them")
    return EmbedRequest(model, cast(tuple[str, ...], listed))


def as_tags(tags: object) -> dict[str, str]:
    """The tags of a call, which are its own from now on: what its caller does to them afterwards is for the next.

    Raises `InvalidRequest` for what are none.
    """
    given = {**_table("tags", tags)}
    for name, value in cast(dict[object, object], given).items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise InvalidRequest(f"tags are texts, each under a name that is one: not {kind_of(value)} under {name!r}")
    return given


def _asked(prompt: object) -> ChatRequest:
    if isinstance(prompt, ChatRequest):
        if prompt.model:
            raise InvalidRequest("a ChatRequest leaves its model empty: name a target with model= in the call")
        return replace(prompt, tags=as_tags(prompt.tags)) if prompt.tags else prompt
    if isinstance(prompt, str):
        return ChatRequest(messages=(user(prompt),))
    if not isinstance(prompt, Iterable) or isinstance(prompt, bytes | Mapping):
        kind = kind_of(cast(object, prompt))
        raise InvalidRequest(f"a prompt is a text, a list of messages or a ChatRequest, not {kind}")
    return ChatRequest(messages=tuple(cast(Iterable[Message], prompt)))


# What a request must be ----------------------------------------------------------------------------------------------

_PRIORITIES, _ROLES = get_args(Priority), get_args(Role)


def _check(request: ChatRequest, given: Mapping[str, Any]) -> None:
    for number, message in enumerate(cast(tuple[object, ...], request.messages), 1):
        _check_message(number, message)
    if not any(message.text.strip() or message.images or message.tool_calls for message in _spoken(request)):
        raise InvalidRequest("the prompt is empty: give a text, or at least one message that says something")
    for name in ("max_tokens", "seed"):
        value: object = getattr(request, name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise InvalidRequest(f"{name} is a whole number, not {kind_of(value)}")
    if request.max_tokens is not None and request.max_tokens < 1:
        raise InvalidRequest(f"max_tokens must be at least 1, not {request.max_tokens}")
    _check_number("temperature", request.temperature, least=0)
    _check_number("top_p", request.top_p, least=0, most=1)
    for name, seconds in (
        ("deadline", request.deadline),
        *((name, given.get(name)) for name in ("first_token", "stall", "min_speed")),
    ):
        check_more_than_none(name, seconds)
    _check_number("max_wait", given.get("max_wait"), least=0)
    for name, allowed in (("priority", _PRIORITIES), ("on_break", ("raise", "restart", "continue"))):
        word = given.get(name, getattr(request, name, None))
        if word is not None and word not in allowed:
            raise InvalidRequest(f"{name} is one of {', '.join(allowed)}, not {word!r}")
    for name in ("reasoning_effort", "tool_choice", "task"):
        if not isinstance(getattr(request, name), str | None):
            raise InvalidRequest(f"{name} is a text, not {kind_of(getattr(request, name))}")
    choice, tools = request.tool_choice, [tool.name for tool in request.tools]
    if choice not in (None, "auto", "none", "required", *tools):
        raise InvalidRequest(f"tool_choice is auto, none, required or a tool's name, not {choice!r}")


def _check_message(number: int, message: object) -> None:
    made_by = "make it with user(), system(), assistant() or tool_result()"
    if not isinstance(message, Message):
        raise InvalidRequest(f"message {number} is {kind_of(message)}: {made_by}")
    if message.role not in _ROLES:
        raise InvalidRequest(f"message {number} has the role {message.role!r}: {made_by}")
    parts = cast(object, message.parts)
    if not isinstance(parts, tuple):
        raise InvalidRequest(f"the parts of message {number} are {kind_of(parts)}: {made_by}")
    for part in cast(tuple[object, ...], parts):
        said = part.text if isinstance(part, Text) else part.url if isinstance(part, Image) else None
        if not isinstance(said, str):
            raise InvalidRequest(f"message {number} holds {kind_of(part)}, which is no text and no Image: {made_by}")
        if not _is_unicode(said):
            raise InvalidRequest(
                f"message {number} holds half of a surrogate pair, which cannot be sent: decode it anew"
            )


def check_more_than_none(name: str, value: object) -> None:
    if not _check_number(name, value):
        unit = "characters a second" if name == "min_speed" else "seconds"
        raise InvalidRequest(f"{name} must be more than 0 {unit}, not {value}")


def _check_number(name: str, value: object, least: float | None = None, most: float | None = None) -> bool:
    """Whether `value` is missing or more than 0. Raises `InvalidRequest` if it is no number, or out of bounds."""
    if value is None:
        return True
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InvalidRequest(f"{name} is a number, not {kind_of(value)}")
    try:
        number = float(cast(float, value))
    except OverflowError:
        raise InvalidRequest(f"{name} is too large a number") from None
    if (least is not None and not number >= least) or (most is not None and not number <= most):
        bounds = f"at least {least}" if most is None else f"from {least} to {most}"
        raise InvalidRequest(f"{name} must be {bounds}, not {value}")
    return number > 0


def _spoken(request: ChatRequest) -> Iterable[Message]:
    """The messages that ask something; all, if there is but an instruction."""
    return [message for message in request.messages if message.role != "system"] or request.messages


def _is_unicode(text: str) -> bool:
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


# How options are read ------------------------------------------------------------------------------------------------


def _as_it_is(name: str, value: Any) -> Any:
    return value


def _texts(name: str, value: Any) -> tuple[str, ...]:
    texts: tuple[Any, ...] = (value,) if isinstance(value, str) else _items(name, value)
    if not all(isinstance(text, str) for text in texts):
        raise InvalidRequest(f"{name} is a text or a list of texts, not {kind_of(value)}")
    return texts


def _capabilities(name: str, value: Any) -> frozenset[str]:
    return frozenset(_texts(name, value))


def _tools(name: str, value: Any) -> tuple[Tool, ...]:
    tools = _items(name, value)
    for tool in tools:
        if not isinstance(tool, Tool):
            raise InvalidRequest(f"tools are made by Tool(name, description, parameters): {kind_of(tool)} is none")
    return tools


def _table(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidRequest(f"{name} is a mapping, not {kind_of(value)}")
    return cast(Mapping[str, Any], value)


def _items(name: str, value: Any) -> tuple[Any, ...]:
    if not isinstance(value, Iterable) or isinstance(value, bytes | Mapping):
        raise InvalidRequest(f"{name} is a list, not {kind_of(cast(object, value))}")
    return tuple(cast(Iterable[Any], value))


def _json_schema(name: str, schema: Any) -> Mapping[str, Any]:
    if isinstance(schema, type) and hasattr(schema, "model_json_schema"):
        try:
            made: Mapping[str, Any] = cast(Any, schema).model_json_schema()
        except Exception as error:
            raise InvalidRequest(f"{name}: no JSON Schema can be made of {schema.__name__}: {error}") from error
        return made
    if not isinstance(schema, Mapping):
        raise InvalidRequest(f"{name} is a pydantic model class or a JSON Schema mapping, not {kind_of(schema)}")
    try:
        json.dumps(schema)
    except (TypeError, ValueError) as error:
        raise InvalidRequest(f"{name} is no JSON: {error}") from None
    return cast(Mapping[str, Any], schema)


_READ: Mapping[str, Callable[[str, Any], Any]] = {
    "stop": _texts,
    "require": _capabilities,
    "tools": _tools,
    "extra": _table,
    "tags": lambda _, value: as_tags(value),
    "response_schema": _json_schema,
}


def kind_of(value: object) -> str:
    """What a value is, without showing it: it may be long, or nobody's business."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def schema_reader(schema: Any) -> Callable[[str], Any]:
    """How an answer's text is read, for `Reply.parsed`."""

    def read(text: str) -> Any:
        from pydantic import ValidationError
        from pydantic_core import from_json

        if schema is None:
            raise InvalidRequest("no response_schema was asked for, so nothing can be parsed")
        try:
            return from_json(text) if isinstance(schema, Mapping) else schema.model_validate_json(text)
        except (ValueError, ValidationError) as error:
            raise InvalidRequest(f"the answer does not fit the response schema: {error}") from error

    return read

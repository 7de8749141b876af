"""From what a caller hands in to a `ChatRequest`; bad input is refused here, before anyone is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from .errors import InvalidRequest
from .types import ChatRequest, Message, system, user

if TYPE_CHECKING:
    from .client import Options, Prompt

_NOT_FOR_THE_REQUEST = {"model", "system", "first_token", "stall", "on_break", "response_schema"}


def as_request(prompt: Prompt, options: Options) -> ChatRequest:
    """The request that `prompt` and `options` stand for. Raises `InvalidRequest` for what can be no request."""
    if isinstance(prompt, ChatRequest):
        request = prompt
    elif isinstance(prompt, str):
        request = ChatRequest(messages=(user(prompt),))
    else:
        request = ChatRequest(messages=tuple(prompt))
        strangers: list[Any] = [one for one in prompt if type(one) is not Message]
        if strangers:
            raise InvalidRequest(
                f"messages are made by user(), system(), assistant(), tool_result(): not {strangers[0]!r}"
            )
    fields: dict[str, Any] = {key: value for key, value in options.items() if key not in _NOT_FOR_THE_REQUEST}
    stop = fields.get("stop")
    if stop is not None:
        fields["stop"] = (stop,) if isinstance(stop, str) else tuple(stop)
    if "tools" in fields:
        fields["tools"] = tuple(fields["tools"])
    if "require" in fields:
        fields["require"] = frozenset([fields["require"]] if isinstance(fields["require"], str) else fields["require"])
    if (schema := options.get("response_schema")) is not None:
        fields["response_schema"] = _json_schema(schema)
    try:
        request = replace(request, **fields)
    except TypeError as error:
        raise InvalidRequest(f"a call has no such option: {error}") from None
    if text := options.get("system"):
        request = replace(request, messages=(system(text), *request.messages))
    _check(request, options)
    return request


def _check(request: ChatRequest, options: Options) -> None:
    if not request.messages:
        raise InvalidRequest("there is no message: give a prompt, or at least one message")
    if not any(message.parts or message.tool_calls for message in request.messages):
        raise InvalidRequest("the prompt is empty")
    if request.max_tokens is not None and request.max_tokens < 1:
        raise InvalidRequest(f"max_tokens must be at least 1, not {request.max_tokens}")
    for name, seconds in (
        ("deadline", request.deadline),
        ("first_token", options.get("first_token")),
        ("stall", options.get("stall")),
    ):
        if seconds is not None and not seconds > 0:
            raise InvalidRequest(f"{name} must be more than 0 seconds, not {seconds}")
    if options.get("on_break") not in (None, "raise", "restart"):
        raise InvalidRequest(f"on_break is 'raise' or 'restart', not {options.get('on_break')!r}")


def _json_schema(schema: Any) -> Mapping[str, Any]:
    if isinstance(schema, Mapping):
        return cast(Mapping[str, Any], schema)
    if hasattr(schema, "model_json_schema"):
        made: Mapping[str, Any] = schema.model_json_schema()
        return made
    raise InvalidRequest(f"response_schema is a pydantic model class or a JSON Schema mapping, not {schema!r}")


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

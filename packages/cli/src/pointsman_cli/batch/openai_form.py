"""From the JSON of OpenAI's chat completions to our values: messages, tools, and the body of a request.

Names and shapes are those of OpenAI's API reference (platform.openai.com/docs/api-reference/chat/create and /batch).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

from pointsman import Image, Message, Text, Tool, ToolCall
from pointsman.errors import did_you_mean

_SAME = ("model", "temperature", "top_p", "stop", "seed", "reasoning_effort")
_EXTRA = frozenset(
    {
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "parallel_tool_calls",
        "prediction",
        "presence_penalty",
        "prompt_cache_key",
        "safety_identifier",
        "service_tier",
        "store",
        "top_logprobs",
        "user",
        "verbosity",
    }
)
"""What goes to the vendor as it is."""
_BODY = _EXTRA | {
    *_SAME,
    "messages",
    "max_tokens",
    "max_completion_tokens",
    "tools",
    "tool_choice",
    "response_format",
    "metadata",
    "n",
    "stream",
}
_ROLES = ("system", "developer", "user", "assistant", "tool")


class WrongLine(Exception):
    """A line that cannot be sent: why, and what to do about it."""

    id: str | int | None = None
    """Of the line, if it has one that can be read."""

    def __init__(self, why: str, advice: str) -> None:
        super().__init__(why)
        self.why = why
        self.advice = advice


def table(said: Any, what: str) -> dict[str, Any]:
    """The object that `said` is. Raises `WrongLine`."""
    if not isinstance(said, dict):
        raise WrongLine(f"{what} is no object", f"correct {what}")
    return cast(dict[str, Any], said)


def known_keys(said: Mapping[str, Any], known: Collection[str], what: str) -> None:
    """Raises `WrongLine` for a key that nobody would read."""
    for name in said:
        if name not in known:
            near = did_you_mean(name, known)
            advice = "correct it" if near else f"take it out: there are {', '.join(sorted(known))}"
            raise WrongLine(f"{what} has no key {name!r}{near}", advice)


def of_body(said: Mapping[str, Any]) -> dict[str, Any]:
    """The options, with ``messages``, that a request's body stands for. Raises `WrongLine`."""
    body = {name: value for name, value in said.items() if value is not None}
    known_keys(body, _BODY, "body")
    if body.get("stream") or body.get("n", 1) != 1:
        raise WrongLine("body wants a stream, or several answers", "a line has one whole answer: take stream and n out")
    options = {name: body[name] for name in _SAME if name in body}
    options["messages"] = as_messages(body.get("messages"))
    if "max_tokens" in body or "max_completion_tokens" in body:
        options["max_tokens"] = body.get("max_completion_tokens", body.get("max_tokens"))
    if "tools" in body:
        options["tools"] = as_tools(body["tools"])
    if "tool_choice" in body:
        options["tool_choice"] = as_tool_choice(body["tool_choice"])
    if "metadata" in body:
        options["tags"] = table(body["metadata"], "metadata")
    extra = {name: body[name] for name in body if name in _EXTRA}
    match body.get("response_format"):
        case None | {"type": "text"}:
            pass
        case {"type": "json_schema", "json_schema": {"schema": dict()}} as wanted:
            options["response_schema"] = wanted["json_schema"]["schema"]
        case {"type": "json_object"} as wanted:
            extra["response_format"] = wanted
        case _:
            raise WrongLine("response_format is of no kind that is known", "text, json_object, or json_schema")
    return options | ({"extra": extra} if extra else {})


def as_messages(said: Any) -> tuple[Message, ...]:
    """Raises `WrongLine` for what are none."""
    if not isinstance(said, list) or not said:
        raise WrongLine("messages is no list of messages", 'write [{"role": "user", "content": "..."}]')
    return tuple(_message(number, one) for number, one in enumerate(cast(list[Any], said), 1))


def _message(number: int, said: Any) -> Message:
    what = f"message {number}"
    one = {name: value for name, value in table(said, what).items() if value not in (None, [])}
    known_keys(one, ("role", "content", "tool_calls", "tool_call_id"), what)
    role = one.get("role")
    if role not in _ROLES:
        raise WrongLine(f"{what} has the role {role!r}", f"a role is one of {', '.join(_ROLES)}")
    if role == "tool" and not isinstance(one.get("tool_call_id"), str):
        raise WrongLine(f"{what} answers no tool call", "a tool message has a tool_call_id")
    calls: list[Any] = one.get("tool_calls", [])
    if calls and (role != "assistant" or not isinstance(calls, list)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise WrongLine(f"{what} has tool_calls", "they are a list, of a message by the assistant")
    return Message(
        "system" if role == "developer" else role,
        tuple(_part(what, part) for part in _parts(what, one.get("content", ""))),
        tuple(_call(what, call) for call in calls),
        one.get("tool_call_id"),
    )


def _parts(what: str, content: Any) -> list[Any]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    if not isinstance(content, list):
        raise WrongLine(f"the content of {what} is neither a text nor a list of parts", "correct it")
    return cast(list[Any], content)


def _part(what: str, said: Any) -> Text | Image:
    match said:
        case {"type": "text", "text": str(text)}:
            return Text(text)
        case {"type": "image_url", "image_url": {"url": str(url)}} | {"type": "image_url", "image_url": str(url)}:
            return Image(url)
        case {"type": str(kind)}:
            raise WrongLine(f"{what} has a part of the kind {kind!r}", "parts are text, or image_url with its url")
        case _:
            raise WrongLine(f"{what} has a part that is none", 'write {"type": "text", "text": "..."}')


def _call(what: str, said: Any) -> ToolCall:
    match said:
        case {"id": str(id_), "function": {"name": str(name), "arguments": str(arguments)}}:
            return ToolCall(id_, name, arguments)
        case _:
            raise WrongLine(f"{what} has a tool call that is none", "it has an id, and a function's name and arguments")


def as_tools(said: Any) -> tuple[Tool, ...]:
    """Raises `WrongLine` for what are none."""
    if not isinstance(said, list):
        raise WrongLine("tools is no list", 'write [{"type": "function", "function": {"name": ...}}]')
    return tuple(map(_tool, cast(list[Any], said)))


def _tool(said: Any) -> Tool:
    match said:
        case {"type": "function", "function": {"name": str(name), **others}} if name:
            about, parameters = str(others.get("description") or ""), others.get("parameters")
            if parameters is None:
                return Tool(name, about)
            return Tool(name, about, table(parameters, f"parameters of the tool {name!r}"))
        case _:
            raise WrongLine("a tool is no function with a name", 'write {"type": "function", "function": {...}}')


def as_tool_choice(said: Any) -> str:
    """``auto``, ``none``, ``required``, or a tool's name. Raises `WrongLine`."""
    match said:
        case str():
            return said
        case {"type": "function", "function": {"name": str(name)}}:
            return name
        case _:
            raise WrongLine("tool_choice is none", "write auto, none, required, or a tool's name")

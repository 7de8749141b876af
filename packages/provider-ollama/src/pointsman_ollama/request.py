"""From a `ChatRequest` to the body of ``POST /api/chat``."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from pointsman import ChatRequest, EmbedRequest, Image, InvalidRequest, Message, Scope, Target
from pointsman_openai import fields

from .config import LEVELS, OllamaConfig

_EFFORTS: Mapping[str, bool | str] = {"none": False, "minimal": "low", **{level: level for level in LEVELS}}


def chat_body(
    request: ChatRequest, config: OllamaConfig, target: Target | None = None, *, elsewhere: bool = False
) -> dict[str, Any]:
    """The JSON object to send. Raises `InvalidRequest` for what the API has no way to say.

    What runs `elsewhere` has its whole context, and no memory of ours to stay in: neither is asked for.

    The server is always told not to cut a prompt that is too long, and not to drop the oldest text when an answer grows
    beyond the context. ``extra["options"]`` is merged into the options; all else in `extra` replaces what is here.
    """
    body: dict[str, Any] = {
        "model": request.model,
        "messages": _messages(request.messages, target),
        "stream": True,
        "truncate": False,
        "shift": False,
        "think": _think(request.reasoning_effort, config, target),
        "format": None if request.response_schema is None else dict(request.response_schema),
        "tools": _tools(request, target) or None,
        "keep_alive": None if elsewhere else config.keep_alive,
    }
    options = {
        "num_ctx": None if elsewhere else config.num_ctx,
        "num_predict": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "seed": request.seed,
        "stop": list(request.stop) or None,
    }
    extra = dict(request.extra)
    own = extra.pop("options", None)
    if not (own is None or isinstance(own, dict)):
        raise InvalidRequest('extra["options"] is an object, such as {"num_ctx": 8192}', target=target)
    merged: dict[str, Any] = {name: value for name, value in options.items() if value is not None} | fields(own)
    body = {name: value for name, value in body.items() if value is not None}
    return body | ({"options": merged} if merged else {}) | extra


def load_body(model: str, config: OllamaConfig, keep_alive: float | str | None) -> dict[str, Any]:
    """The body of ``POST /api/chat`` that has a model loaded, as the requests that follow will want it; or unloaded."""
    body: dict[str, Any] = {"model": model, "messages": []}
    if (stays := config.keep_alive if keep_alive is None else keep_alive) is not None:
        body["keep_alive"] = stays
    if config.num_ctx is not None:
        body["options"] = {"num_ctx": config.num_ctx}
    return body


def embed_body(request: EmbedRequest, config: OllamaConfig) -> dict[str, Any]:
    """The body of ``POST /api/embed``; a text that is too long is to be refused, not cut."""
    body: dict[str, Any] = {"model": request.model, "input": list(request.texts), "truncate": False}
    if config.keep_alive is not None:
        body["keep_alive"] = config.keep_alive
    if config.num_ctx is not None:
        body["options"] = {"num_ctx": config.num_ctx}
    return body


def _messages(messages: tuple[Message, ...], target: Target | None) -> list[dict[str, Any]]:
    """A result of a tool is told by the tool's name, which the call with the same id has."""
    names: dict[str, str] = {}
    sent: list[dict[str, Any]] = []
    for message in messages:
        names |= {call.id: call.name for call in message.tool_calls}
        told: dict[str, Any] = {"role": message.role, "content": message.text}
        if message.images:
            told["images"] = [_picture(image, target) for image in message.images]
        if message.tool_calls:
            told["tool_calls"] = [
                {
                    "id": call.id,
                    "function": {"name": call.name, "arguments": _arguments(call.arguments, call.id, target)},
                }
                for call in message.tool_calls
            ]
        if message.tool_call_id is not None:
            told["tool_call_id"] = message.tool_call_id
            if message.tool_call_id in names:
                told["tool_name"] = names[message.tool_call_id]
        sent.append(told)
    return sent


def _arguments(text: str, call_id: str, target: Target | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InvalidRequest(f"the arguments of the tool call {call_id!r} are no JSON object", target=target)
    return fields(value)


def _picture(image: Image, target: Target | None) -> str:
    """The picture's bytes in base64, from a ``data:`` URL: Ollama fetches nothing."""
    head, comma, data = image.url.partition(",")
    if not (head[:5].lower() == "data:" and comma):
        raise InvalidRequest(
            "Ollama takes pictures as data only: read the file, and send it as a data:image/png;base64,... URL",
            target=target,
            scope=Scope.TARGET,  # Others fetch what an address names.
        )
    plain = unquote_to_bytes(data)
    if not head.lower().endswith(";base64"):
        return base64.b64encode(plain).decode()
    try:
        return base64.b64encode(base64.b64decode(b"".join(plain.split()), validate=True)).decode()
    except binascii.Error as error:
        raise InvalidRequest(f"the data: URL of a picture is not base64: {error}", target=target) from None


def _tools(request: ChatRequest, target: Target | None) -> list[dict[str, Any]]:
    choice = request.tool_choice
    if choice == "none":
        return []
    if choice not in (None, "auto"):
        raise InvalidRequest(
            f"Ollama cannot be made to call a tool (tool_choice={choice!r}): leave tool_choice out, send only the tool "
            "that is wanted, and ask for it in the prompt",
            target=target,
            scope=Scope.TARGET,
        )
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)},
        }
        for tool in request.tools
    ]


def _think(effort: str | None, config: OllamaConfig, target: Target | None) -> bool | str | None:
    if effort is None:
        return config.think
    if effort not in _EFFORTS:
        raise InvalidRequest(
            f"reasoning_effort is {effort!r}, but Ollama knows {', '.join(_EFFORTS)}", target=target, scope=Scope.TARGET
        )
    return _EFFORTS[effort]

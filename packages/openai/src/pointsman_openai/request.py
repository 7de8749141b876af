"""From a `ChatRequest` to the body of ``POST /chat/completions``."""

from __future__ import annotations

import json
import re
from typing import Any

from pointsman import ChatRequest, InvalidRequest, Message, Scope, Text, Tool

from .quirks import Quirks


def request_body(request: ChatRequest, quirks: Quirks) -> dict[str, Any]:
    """The JSON object to send. Raises `InvalidRequest` for what the vendor is known not to take."""
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [_message(message, quirks) for message in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True} if quirks.include_usage else None,
        quirks.max_tokens_field: request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "stop": list(request.stop) or None,
        "seed": request.seed,
        "reasoning_effort": request.reasoning_effort,
        "tools": [_tool(tool) for tool in request.tools] or None,
        "tool_choice": _tool_choice(request.tool_choice),
        "response_format": _response_format(request, quirks),
    }
    sent = {name: value for name, value in body.items() if value is not None}
    sent = (quirks.adapt(sent) if quirks.adapt else sent) | dict(request.extra)
    if not sent.get("stream"):  # Somebody's `extra` wants it whole; vendors refuse options of a stream that is none.
        sent.pop("stream_options", None)
    return sent


def encode(body: dict[str, Any]) -> bytes:
    """`body` as JSON text. Raises `InvalidRequest` if it holds what JSON cannot, such as a date in `extra`."""
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"the request cannot be written as JSON: {error}") from error


def _message(message: Message, quirks: Quirks) -> dict[str, Any]:
    sent: dict[str, Any] = {"role": message.role, "content": _content(message, quirks)}
    if message.tool_call_id is not None:
        sent["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        sent["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    return sent


def _content(message: Message, quirks: Quirks) -> str | list[dict[str, Any]]:
    """Plain text wherever there is no picture: every server takes it, and some take nothing else."""
    if not message.images:
        return message.text
    if quirks.inline_images_only and any(not image.url.startswith("data:") for image in message.images):
        why = "this vendor takes pictures as data: URLs only, not by address"
        raise InvalidRequest(why, scope=Scope.TARGET)  # Another may take it.
    return [
        {"type": "text", "text": part.text}
        if isinstance(part, Text)
        else {"type": "image_url", "image_url": {"url": part.url}}
        for part in message.parts
    ]


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "parameters": dict(tool.parameters)}
    if tool.description:
        function["description"] = tool.description
    return {"type": "function", "function": function}


def _tool_choice(choice: str | None) -> str | dict[str, Any] | None:
    if choice is None or choice in ("auto", "none", "required"):
        return choice
    return {"type": "function", "function": {"name": choice}}


def _response_format(request: ChatRequest, quirks: Quirks) -> dict[str, Any] | None:
    if request.response_schema is None:
        return None
    schema = dict(request.response_schema)
    name = re.sub(r"[^A-Za-z0-9_-]", "_", str(schema.get("title") or "answer"))[:64]  # What OpenAI allows in a name.
    described: dict[str, Any] = {"name": name, "schema": schema}
    if quirks.strict_schema is not None:
        described["strict"] = quirks.strict_schema
    return {"type": "json_schema", "json_schema": described}

"""Keeps e-mail addresses from leaving, whatever the provider."""

import re
from collections.abc import Generator
from dataclasses import replace

from pointsman import ChatRequest, Message, Stream, Text, hookimpl, map_request

ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+")


def hide(message: Message) -> Message:
    parts = (Text(ADDRESS.sub("[address]", part.text)) if isinstance(part, Text) else part for part in message.parts)
    calls = (replace(call, arguments=ADDRESS.sub("[address]", call.arguments)) for call in message.tool_calls)
    return replace(message, parts=tuple(parts), tool_calls=tuple(calls))


def without_addresses(request: ChatRequest) -> ChatRequest:
    return replace(request, messages=tuple(map(hide, request.messages)))


@hookimpl(wrapper=True)
def pointsman_stream() -> Generator[None, Stream, Stream]:
    return map_request((yield), without_addresses)

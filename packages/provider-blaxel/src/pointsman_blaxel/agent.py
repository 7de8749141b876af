"""How an agent is asked. Nothing here is ever sent twice, unless it is sure that nothing was begun."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import httpx2

from pointsman import ChatRequest, InvalidRequest, Scope, Target
from pointsman_openai import Answer, Body, encode

from .agent_config import AgentConfig
from .decode import AgentDecoder
from .template import THREAD, fill

_HEADERS = {
    "accept": "text/event-stream, application/x-ndjson, application/json, text/plain, */*",
    "cache-control": "no-cache",
    "content-type": "application/json",
}
"""As Blaxel's own command asks: an agent that can stream is to do so."""
ANSWERS = (200, 201)


def agent_headers(config: AgentConfig, request: ChatRequest, target: Target) -> dict[str, str]:
    """What goes with the question, besides the key. Raises `InvalidRequest` for a thread that no header can carry."""
    headers = dict(_HEADERS)
    if thread := request.tags.get(THREAD):
        if not (thread.isascii() and thread.isprintable()) or thread != thread.strip():
            message = "the tag `thread` holds what no header can carry: other than ASCII, or spaces at its ends"
            raise InvalidRequest(message, target=target, scope=Scope.TARGET)
        headers["x-blaxel-thread-id"] = thread
    return headers | {name.lower(): value.get_secret_value() for name, value in config.headers.items()}


def agent_url(config: AgentConfig, url: str) -> str:
    """Where it is asked: below its address `url`."""
    if config.path:
        url = f"{url}/{config.path}"
    return f"{url}?{urlencode(config.query)}" if config.query else url


def agent_body(config: AgentConfig, request: ChatRequest, target: Target) -> bytes:
    """What it is told. Raises `InvalidRequest` for what cannot be said to it."""
    value: Any = fill(config.input, request, target)
    return encode(value)


def agent_answer(
    response: httpx2.Response, body: Body, config: AgentConfig, target: Target, secrets: tuple[str, ...]
) -> Answer:
    """The events of `response`."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Answer(body, AgentDecoder(target, config, kind=kind, bounded=has_length(response), secrets=secrets))


def has_length(response: httpx2.Response) -> bool:
    """Whether a body that ends too early is told from a whole one: by its length, its last chunk, or its last frame."""
    coding = response.headers.get("transfer-encoding", "").lower()
    return "content-length" in response.headers or "chunked" in coding or response.http_version == "HTTP/2"

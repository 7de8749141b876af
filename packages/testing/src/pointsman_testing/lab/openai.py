"""The OpenAI chat dialect, as compatible vendors speak it: chat completions, streamed or not, embeddings, models."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from pointsman import Usage

from ..words import count_words, split_words
from .dialect import HttpResponse, Route, Site, json_response
from .plan import Chunk
from .profiles import Pace
from .requests import RecordedRequest, text_of
from .script import Answer, Fault
from .vectors import embeddings

_SAME_FOR_ALL: Mapping[str, Any] = {"id": "chatcmpl-lab", "created": 1_790_000_000}
"""One id and one date for all answers, so that the bytes of an answer can be known before it is asked for."""

_USUAL_ERRORS: Mapping[int, tuple[str, str, str]] = {
    400: ("invalid_request_error", "invalid_value", "The request is not valid."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    402: ("insufficient_quota", "insufficient_quota", "You have no credit left."),
    403: ("invalid_request_error", "permission_denied", "You are not allowed to do this."),
    404: ("invalid_request_error", "model_not_found", "The model does not exist."),
    405: ("invalid_request_error", "method_not_allowed", "The method is not allowed here."),
    408: ("request_timeout", "request_timeout", "The request took too long."),
    410: ("invalid_request_error", "model_deprecated", "The model is not served any more."),
    413: ("invalid_request_error", "request_too_large", "The request is too large."),
    429: ("rate_limit_exceeded", "rate_limit_exceeded", "Too many requests."),
    503: ("server_error", "service_unavailable", "The service is not available."),
}
_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_DIMENSIONS = 16
"""Numbers in a vector."""
_TOOL_FRAGMENT = 8
"""Characters of a tool call's arguments in one token."""


@dataclass(frozen=True, slots=True)
class OpenAIChat:
    """The dialect. Bytes are a pure function of the answer and of the body of the request."""

    prefix: str = "/v1"
    error_as: Literal["object", "text"] = "object"
    """``{"error": {"message": ...}}``, or ``{"error": "..."}`` as on Hugging Face's router."""

    @property
    def routes(self) -> Sequence[Route]:
        return ("chat", "embed", "models")

    def route(self, request: RecordedRequest, site: Site) -> Route | Fault:
        routes: dict[str, tuple[str, Route]] = {
            f"{self.prefix}/chat/completions": ("POST", "chat"),
            f"{self.prefix}/embeddings": ("POST", "embed"),
            f"{self.prefix}/models": ("GET", "models"),
        }
        if request.path not in routes:
            return Fault(404, code="unknown_url", message=f"Unknown request URL: {request.method} {request.path}")
        method, route = routes[request.path]
        if request.method != method:
            return Fault(405)
        if site.api_key is not None and request.headers.get("authorization") != f"Bearer {site.api_key}":
            return Fault(401)
        return route if route == "models" else _wrong(request, route, site) or route

    def reply(self, route: Route, request: RecordedRequest, site: Site) -> HttpResponse | None:
        if route == "chat":
            return None
        if route == "embed":
            return self.json(embedded(request.json, _DIMENSIONS))
        known = {"object": "model", "created": _SAME_FOR_ALL["created"], "owned_by": "lab"}
        listed = [{"id": model} if isinstance(model, str) else model for model in site.models]
        return self.json({"object": "list", "data": [{**known, **model} for model in listed]})

    def chat(self, answer: Answer, request: Mapping[str, Any], pace: Pace, site: Site) -> HttpResponse:
        if request.get("stream"):
            return HttpResponse(
                headers=(("content-type", "text/event-stream"), ("cache-control", "no-cache")),
                body=tuple(_Stream(answer, request, pace).chunks()),
                chunked=True,
            )
        due = pace.first_token + pace.per_token * max(0, _own_counts(answer, request).output_tokens - 1)
        data = _json(_completion(answer, request)).encode()
        return HttpResponse(headers=(("content-type", "application/json"),), body=(Chunk(data),), wait=due)

    def error(self, fault: Fault) -> Mapping[str, Any]:
        unknown = ("server_error", "internal_server_error", "The server had an error.")
        kind, code, message = _USUAL_ERRORS.get(fault.status, unknown)
        message = fault.message or message
        if self.error_as == "text":
            return {"error": message}
        return {"error": {"message": message, "type": kind, "param": None, "code": fault.code or code}}

    def json(self, body: Mapping[str, Any]) -> HttpResponse:
        return json_response(body)


def _wrong(request: RecordedRequest, route: Route, site: Site) -> Fault | None:
    """What is wrong with the body of a request that is for a model."""
    try:
        body = request.json
    except ValueError:
        return Fault(400, code="invalid_json", message="The body is not JSON.")
    match route, body:
        case "chat", {"model": str(model), "messages": [*messages]} if all(isinstance(one, dict) for one in messages):
            pass
        case "embed", {"model": str(model), "input": str() | list()}:
            pass
        case _:
            wanted = "a list of messages" if route == "chat" else "an input"
            return Fault(400, message=f"A model and {wanted} are required.")
    return None if site.knows(model) else Fault(404, message=f"The model {model} does not exist.")


def embedded(asked: Mapping[str, Any], dimensions: int) -> Mapping[str, Any]:
    """The answer to a request for embeddings, in numbers or, if it asks for that, in Base64."""
    given = asked.get("input")
    texts = [given] if isinstance(given, str) else [str(one) for one in cast("list[Any]", given or [])]
    packed = asked.get("encoding_format") == "base64"
    vectors = embeddings(texts, dimensions)
    shown = [base64.b64encode(struct.pack(f"<{dimensions}f", *one)).decode() if packed else one for one in vectors]
    count = sum(map(count_words, texts))
    return {
        "object": "list",
        "model": asked["model"],
        "data": [{"object": "embedding", "index": index, "embedding": one} for index, one in enumerate(shown)],
        "usage": {"prompt_tokens": count, "total_tokens": count},
    }


def _completion(answer: Answer, request: Mapping[str, Any]) -> Mapping[str, Any]:
    """The body of an answer that is not streamed."""
    if answer.error is not None:
        return {"error": answer.error}
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or (None if answer.tool_calls else "")}
    if answer.reasoning:
        message[answer.reasoning_field] = answer.reasoning
    if answer.tool_calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in answer.tool_calls
        ]
    choice = {"index": 0, "message": message, "finish_reason": answer.finish_reason, "logprobs": None}
    body = {**_SAME_FOR_ALL, "object": "chat.completion", "model": request.get("model", ""), "choices": [choice]}
    if answer.usage != "none":
        body["usage"] = _usage(answer.counts or _own_counts(answer, request))
    return body


class _Stream:
    """The events of one streamed answer, in order, each with the time at which it is due."""

    def __init__(self, answer: Answer, request: Mapping[str, Any], pace: Pace) -> None:
        self._answer = answer
        self._pace = pace
        self._counts = answer.counts or _own_counts(answer, request)
        self._own_usage = answer.usage == "own" or (answer.usage == "asked" and _asks_for_usage(request))
        self._head = {**_SAME_FOR_ALL, "object": "chat.completion.chunk", "model": request.get("model", "")}
        # What all chunks begin with: a long answer is made before it is sent, while its reader waits.
        self._opening = _json(self._head)[:-1] + ',"choices":[{"index":0,"delta":'
        self._said = 0

    def chunks(self) -> Iterator[Chunk]:
        answer = self._answer
        if answer.role_first:
            yield self._delta({"role": "assistant", "content": ""}, due=0.0)
        for number in range(answer.keep_alives):
            due = self._pace.first_token * (number + 1) / (answer.keep_alives + 1)
            yield Chunk(f": keep-alive{answer.newline * 2}".encode(), due)
        for delta, tokens in self._deltas():
            self._said += tokens
            yield self._delta(delta)
        if answer.error is not None:
            yield self._error(answer.error)
            return
        if answer.finish_reason is not None:
            yield self._delta({}, finish=answer.finish_reason)
        if self._own_usage:
            yield self._event(_json({**self._head, "choices": [], "usage": _usage(self._counts)}))
        if answer.done:
            yield self._event("[DONE]")

    def _deltas(self) -> Iterator[tuple[dict[str, Any], int]]:
        """What each chunk says, and how many tokens that is."""
        for field, text in ((self._answer.reasoning_field, self._answer.reasoning), ("content", self._answer.text)):
            for piece, tokens in self._grouped(split_words(text)):
                yield {field: piece}, tokens
        for index, call in enumerate(self._answer.tool_calls):
            opening = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}
            yield {"tool_calls": [{"index": index, **opening}]}, 1
            for piece, tokens in self._grouped(_fragments(call.arguments)):
                yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}, tokens

    def _grouped(self, tokens: Sequence[str]) -> Iterator[tuple[str, int]]:
        size = self._answer.tokens_per_chunk
        for start in range(0, len(tokens), size):
            group = tokens[start : start + size]
            yield "".join(group), len(group)

    def _delta(self, delta: Mapping[str, Any], *, finish: str | None = None, due: float | None = None) -> Chunk:
        usage = ""
        if self._answer.usage == "every" or (self._answer.usage == "finish" and finish):
            said = self._counts.output_tokens if finish else min(self._said, self._counts.output_tokens)
            usage = f',"usage":{_json(_usage(self._counts, said))}'
        data = f'{self._opening}{_json(delta)},"finish_reason":{_json(finish)},"logprobs":null}}]{usage}}}'
        return self._event(data, due=due)

    def _error(self, error: Mapping[str, Any] | str) -> Chunk:
        if self._answer.error_as == "event":
            return self._event(_json(error), name="error")
        return self._event(_json({"error": error}))

    def _event(self, data: str, *, name: str = "", due: float | None = None) -> Chunk:
        """One event, due together with the last token that was said."""
        if due is None:
            due = self._pace.first_token + self._pace.per_token * max(0, self._said - 1)
        newline = self._answer.newline
        opening = f"event: {name}{newline}" if name else ""
        return Chunk(f"{opening}data: {data}{newline * 2}".encode(), due)


def _asks_for_usage(request: Mapping[str, Any]) -> bool:
    match request:
        case {"stream_options": {"include_usage": True}}:
            return True
        case _:
            return False


def _own_counts(answer: Answer, request: Mapping[str, Any]) -> Usage:
    """The honest count, in words: of the text of all messages, and of all that the answer says."""
    asked = sum(count_words(text_of(message.get("content"))) for message in request.get("messages", ()))
    thought = count_words(answer.reasoning)
    called = sum(1 + len(_fragments(call.arguments)) for call in answer.tool_calls)
    said = count_words(answer.text)
    return Usage(input_tokens=asked, output_tokens=thought + said + called, reasoning_tokens=thought)


def _usage(counts: Usage, output_tokens: int | None = None) -> Mapping[str, Any]:
    output = counts.output_tokens if output_tokens is None else output_tokens
    return {
        "prompt_tokens": counts.input_tokens,
        "completion_tokens": output,
        "total_tokens": counts.input_tokens + output,
        "prompt_tokens_details": {"cached_tokens": counts.cached_input_tokens},
        "completion_tokens_details": {"reasoning_tokens": min(counts.reasoning_tokens, output)},
    }


def _fragments(arguments: str) -> list[str]:
    return [arguments[start : start + _TOOL_FRAGMENT] for start in range(0, len(arguments), _TOOL_FRAGMENT)]

"""Ollama's ``/v1``, its version of the OpenAI dialect: what it takes, what it ignores, and how it answers. Pure.

As its source of 2026-08 has it (``openai/openai.go``, ``middleware/openai.go``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pointsman import ToolCall

from ...words import count_words, split_words
from ..dialect import HttpResponse, Site
from ..ollama.asked import asked
from ..ollama.chat import fitted, prompt_tokens
from ..ollama.gojson import EPOCH, dumps
from ..ollama.models import Facts, facts_of, find
from ..plan import Chunk
from ..profiles import Pace
from ..requests import RecordedRequest
from ..script import Answer, Fault
from ..vectors import embeddings

EFFORTS = ("none", "minimal", "low", "medium", "high", "max", "xhigh", "ultra")
_KINDS = {400: "invalid_request_error", 404: "not_found_error"}
_ID = "chatcmpl-557"
"""A number below 999, and so not unique."""


def error_body(status: int, message: str) -> dict[str, Any]:
    """An error that comes before the first chunk."""
    kind = _KINDS.get(status, "api_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def refusal(request: RecordedRequest, site: Site, *, chat: bool) -> Fault | None:
    """What is wrong with a request for a chat, or for embeddings."""
    try:
        body = request.json
    except ValueError:
        return Fault(400, message="invalid character '\\x00' looking for beginning of value")
    match body:
        case {"model": str(model), "messages": [_, *_]} if chat:
            pass
        case {"model": str(model), "input": str() | [*_]} if not chat:
            pass
        case {"messages": []} if chat:
            return Fault(400, message="[] is too short - 'messages'")
        case _:
            return Fault(400, message="invalid request")
    facts = find(site.models, model)
    if facts is None:
        return Fault(404, message=f"model '{model}' not found")
    return _cannot(cast("dict[str, Any]", body), facts) if chat else None


def _cannot(body: Mapping[str, Any], facts: Facts) -> Fault | None:
    if any(not url.startswith("data:") for url in _pictures(body)):
        return Fault(400, message="invalid image input")
    effort = body.get("reasoning_effort")
    if effort is not None and effort not in EFFORTS:
        return Fault(400, message=f"invalid reasoning value: '{effort}'")
    if body.get("tools") and "tools" not in facts.capabilities:
        return Fault(400, message=f"{facts.full_name} does not support tools")
    return None


def _pictures(body: Mapping[str, Any]) -> Iterator[str]:
    for message in body["messages"]:
        match message:
            case {"content": [*parts]}:
                yield from (part["image_url"]["url"] for part in parts if part.get("type") == "image_url")
            case _:
                pass


def listing(site: Site) -> dict[str, Any]:
    """The models: neither what they can do nor how long their context is."""
    names = [facts_of(model).name for model in site.models]
    return {
        "object": "list",
        "data": [{"id": name, "object": "model", "created": EPOCH, "owned_by": "library"} for name in names],
    }


def embedded(body: Mapping[str, Any], site: Site) -> dict[str, Any]:
    texts: list[str] = [body["input"]] if isinstance(body["input"], str) else body["input"]
    facts = find(site.models, body["model"]) or facts_of(body["model"])
    vectors = embeddings(texts, facts.embedding_length)
    count = sum(map(count_words, texts))
    return {
        "object": "list",
        "data": [{"object": "embedding", "embedding": one, "index": at} for at, one in enumerate(vectors)],
        "model": body["model"],
        "usage": {"prompt_tokens": count, "total_tokens": count},
    }


@dataclass(frozen=True, slots=True)
class _Said:
    """What one chunk says."""

    delta: Mapping[str, Any]
    tokens: int


class Telling:
    """One answer, as it tells it."""

    def __init__(self, answer: Answer, request: Mapping[str, Any], pace: Pace, site: Site, num_ctx: int) -> None:
        self._answer = answer
        self._request = request
        self._pace = pace
        facts = find(site.models, request["model"]) or facts_of(request["model"])
        self._head = {"id": _ID, "object": "chat.completion.chunk", "created": EPOCH, "model": request["model"]}
        limit = request.get("max_tokens")  # `max_completion_tokens` is not looked at.
        said = list(self._say(facts))
        self._said = said if limit is None else _first(said, limit)
        self._cut = len(self._said) < len(said)
        self._prompt = _prompt_tokens(request, num_ctx)

    @property
    def took(self) -> float:
        """Seconds from the first token to the last."""
        return self._pace.per_token * max(0, self._tokens - 1)

    def response(self, wait: float) -> HttpResponse:
        """The response, whose head comes with the first token."""
        answer, wait = self._answer, wait + self._pace.first_token
        if answer.error is not None and (not self._said or not self._request.get("stream")):
            return _json(error_body(500, _words(answer.error)), wait=wait, status=500)
        if not self._request.get("stream"):
            return _json(self._whole(), wait=wait + self.took)
        kind = (("content-type", "text/event-stream"),)
        return HttpResponse(headers=kind, body=tuple(self._chunks()), chunked=True, wait=wait)

    @property
    def _tokens(self) -> int:
        return sum(one.tokens for one in self._said)

    def _chunks(self) -> Iterator[Chunk]:
        answer, told = self._answer, 0
        if answer.role_first:
            yield self._delta({"role": "assistant", "content": ""}, 0.0)
        for one in self._said:
            told += one.tokens
            yield self._delta({"role": "assistant", "content": "", **one.delta}, self._pace.per_token * (told - 1))
        if answer.error is not None:
            # The line with the error is read as a line of a chat that says nothing. What it said is lost.
            yield self._event({**self._head, "model": "", "choices": [_choice({"role": "assistant", "content": ""})]})
            return
        if not answer.done or self._reason is None:
            return
        yield self._event({**self._head, "choices": [_choice({}, self._reason)]})
        if answer.usage != "none" and self._request.get("stream_options") == {"include_usage": True}:
            yield self._event({**self._head, "choices": [], "usage": self._usage()})
        yield Chunk(b"data: [DONE]\n\n", self.took)

    def _delta(self, delta: Mapping[str, Any], due: float) -> Chunk:
        return self._event({**self._head, "choices": [_choice(delta)]}, due)

    def _event(self, value: Mapping[str, Any], due: float | None = None) -> Chunk:
        return Chunk(b"data: " + dumps(value) + b"\n\n", self.took if due is None else due)

    @property
    def _reason(self) -> str | None:
        return "length" if self._cut else self._answer.finish_reason

    def _usage(self) -> dict[str, int]:
        counts = self._answer.counts
        read, told = (counts.input_tokens, counts.output_tokens) if counts else (self._prompt, self._tokens)
        return {"prompt_tokens": read, "completion_tokens": told, "total_tokens": read + told}

    def _whole(self) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": ""}
        for one in self._said:
            for name, value in one.delta.items():
                message[name] = message.get(name, type(value)()) + value
        choice = {"index": 0, "message": message, "finish_reason": self._reason}
        return {**self._head, "object": "chat.completion", "choices": [choice], "usage": self._usage()}

    def _say(self, facts: Facts) -> Iterator[_Said]:
        """What the model would say, was there no limit."""
        thinks = "thinking" in facts.capabilities and self._request.get("reasoning_effort") != "none"
        for name, text in (("reasoning", self._answer.reasoning if thinks else ""), ("content", self._answer.text)):
            words, size = split_words(text), self._answer.tokens_per_chunk
            for at in range(0, len(words), size):
                yield _Said({name: "".join(words[at : at + size])}, len(words[at : at + size]))
        for index, call in enumerate(self._answer.tool_calls):
            yield _Said({"tool_calls": [_call(index, call)]}, 1 + count_words(call.arguments))


def _prompt_tokens(request: Mapping[str, Any], num_ctx: int) -> int:
    """How many tokens are read of a prompt. One that is too long is cut, and nobody is told."""
    wish = asked({"model": request["model"], "messages": request["messages"]})
    count = prompt_tokens(wish)
    if count <= num_ctx:
        return count
    left = fitted(wish, num_ctx)
    return num_ctx // 2 + 2 if left is None else left


def _first(said: Sequence[_Said], limit: int) -> list[_Said]:
    """As many as have `limit` tokens together."""
    kept: list[_Said] = []
    for one in said:
        limit -= one.tokens
        if limit < 0:
            break
        kept.append(one)
    return kept


def _choice(delta: Mapping[str, Any], reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": reason}


def _call(index: int, call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "index": index, "type": "function", "function": function}


def _words(error: Mapping[str, Any] | str) -> str:
    return error if isinstance(error, str) else str(error.get("message", error))


def _json(value: Mapping[str, Any], *, wait: float = 0.0, status: int = 200) -> HttpResponse:
    return HttpResponse(
        status=status, headers=(("content-type", "application/json"),), body=(Chunk(dumps(value)),), wait=wait
    )

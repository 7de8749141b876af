"""How an agent answers, in each of the forms that are met. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ...words import split_words
from ..dialect import HttpResponse, Site
from ..openai import OpenAIChat
from ..plan import Chunk
from ..profiles import Pace
from ..script import Answer
from .workloads import Form

_TYPES: Mapping[Form, str] = {
    "python": "text/event-stream; charset=utf-8",
    "typescript": "text/plain; charset=utf-8",
    "events": "text/event-stream",
    "ndjson": "application/x-ndjson",
}
STACK = "Error: {}\n    at agent (file:///blaxel/src/agent.ts:14:9)\n    at processTicksAndRejections (node:internal)"


def agent_answer(answer: Answer, form: Form, pace: Pace) -> HttpResponse:
    """`answer` as an agent of that form sends it. What no form knows (tools, reasoning, usage) is not said.

    `Answer.error` without any text is a response of its own, with status 500. After text a TypeScript template writes
    it into the text; the others have no words for it: cut the answer instead.
    """
    if answer.error is not None and not answer.text:
        return _failed(_words(answer.error), form)
    if form == "sse":
        return OpenAIChat().chat(answer, {"stream": True, "model": "agent"}, pace, Site())
    if form == "json":
        data = _dumps({"output": answer.text})
        wait = pace.first_token + pace.per_token * max(0, len(split_words(answer.text)) - 1)
        return HttpResponse(headers=(("content-type", "application/json"),), body=(Chunk(data),), wait=wait)
    headers = (("content-type", _TYPES[form]), ("cache-control", "no-cache, no-transform"), ("x-accel-buffering", "no"))
    return HttpResponse(headers=headers, body=tuple(_pieces(answer, form, pace)), chunked=True)


def _pieces(answer: Answer, form: Form, pace: Pace) -> Iterator[Chunk]:
    due = pace.first_token
    for word in split_words(answer.text):
        match form:
            case "events":
                yield Chunk(b"data: " + _dumps({"content": word}) + b"\n\n", due)
            case "ndjson":
                yield Chunk(_dumps({"text": word}) + b"\n", due)
            case _:
                yield Chunk(word.encode(), due)
        due += pace.per_token
    if answer.error is not None and form == "typescript":
        yield Chunk(f"\n❌ Error: {STACK.format(_words(answer.error))}".encode(), due)


def _failed(words: str, form: Form) -> HttpResponse:
    if form == "typescript":
        kind = (("content-type", "text/plain; charset=utf-8"),)
        return HttpResponse(status=500, headers=kind, body=(Chunk(STACK.format(words).encode()),))
    return HttpResponse(
        status=500, headers=(("content-type", "application/json"),), body=(Chunk(_dumps({"error": words})),)
    )


def _words(error: Mapping[str, Any] | str) -> str:
    return error if isinstance(error, str) else str(error.get("message") or json.dumps(error))


def _dumps(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

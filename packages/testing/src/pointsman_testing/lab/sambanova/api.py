"""The dialect: paths, limits, errors, and what it adds to the chunks of the OpenAI chat dialect.

From SambaNova's OpenAPI document 1.2.0, its pages on errors, models and rate limits (July 2026), and texts of refusals
that were seen. What nobody has shown, the body of a 402, is made up.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from ...words import count_words
from ..dialect import HttpResponse, Route, Site
from ..openai import OpenAIChat, embedded
from ..plan import Chunk
from ..profiles import Pace
from ..requests import RecordedRequest, text_of
from ..script import Answer, Fault
from .checks import chat_fault, entry_of, model_fault, wrong
from .windows import DAY, MINUTE, Reset, Window

_CREATED = 1_790_000_000.6076705
"""A float, as the vendor has it, and one for all answers: their bytes are known before they are asked for."""
_DIMENSIONS = 64
_NO_KEY = "You didn't provide an API key. You need to provide it in an Authorization header."
_WRONG_KEY = "Incorrect API key provided: *****. You can find your API key at https://cloud.sambanova.ai/apis."

_OBJECTS: Mapping[int, tuple[str, str]] = {
    400: ("invalid_value", "Invalid value."),
    401: ("invalid_api_key", _WRONG_KEY),
    402: ("PAYMENT_METHOD_REQUIRED", "A payment method is required to use this API."),
    404: ("model_not_found", "Model not found."),
    429: ("insufficient_quota", "Request would exceed rate limit"),
}
"""Statuses whose bodies are ``{"error": {...}, "request_id": "..."}``, with the usual code and words."""
_TEXTS: Mapping[int, str] = {408: "request_timeout", 410: "model_deprecated"}
"""Those whose bodies are ``{"error": "text"}``; of all others they are plain text."""
_PLAIN: Mapping[int, str] = {500: "Internal Server Error", 503: "Service Temporarily Unavailable"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SambaNovaApi:
    """The dialect. But for limits, bytes are a pure function of the answer, its pace and the body of the request.

    A vendor's models are ids, or mappings with what ``/v1/models`` tells of them (``context_length``, ``pricing``, ...)
    and any of ``tools`` (False: it has none), ``embedding_length`` (it embeds, and does nothing else) and ``retired``.
    """

    rpm: int | None = 60
    """Chats a minute with one model, on the lab's clock. None, here and below: without a limit, and without headers."""
    rpd: int | None = 12_000
    """Chats a day with one model."""
    tpd: int | None = 20_000_000
    """Tokens a day with all of them; no header tells."""
    reset: Reset = "epoch"
    """Whether limits end at a time of day or in so many seconds: the documents do not say."""
    tokens_per_chunk: int = 3
    """Of an answer that does not say otherwise."""
    think_tags: bool = False
    """Reasoning is put into the text, as DeepSeek's is."""
    prefix: str = "/v1"

    @property
    def routes(self) -> Sequence[Route]:
        return ("chat", "models", "embed")

    def route(self, request: RecordedRequest, site: Site) -> Route | Fault:
        routes: dict[str, tuple[str, Route]] = {
            f"{self.prefix}/chat/completions": ("POST", "chat"),
            f"{self.prefix}/models": ("GET", "models"),
            f"{self.prefix}/embeddings": ("POST", "embed"),
        }
        method, route = routes.get(request.path, ("", ""))
        if request.method != method:
            return Fault(404, {"error": "Not found"})
        if site.api_key is not None and (fault := _key_fault(request.headers.get("authorization"), site.api_key)):
            return fault
        return route if route == "models" else self._admit(route, request, site)

    def reply(self, route: Route, request: RecordedRequest, site: Site) -> HttpResponse | None:
        match route:
            case "chat":
                return None
            case "models":
                return self.json({"object": "list", "data": list(_listed(site))})
            case _:
                return self.json(embedded(request.json, _dimensions(request.json["model"], site)))

    def chat(self, answer: Answer, request: Mapping[str, Any], pace: Pace, site: Site) -> HttpResponse:
        if answer.tokens_per_chunk == 1:
            answer = replace(answer, tokens_per_chunk=self.tokens_per_chunk)
        if self.think_tags and answer.reasoning:
            answer = replace(answer, text=f"<think>\n{answer.reasoning}\n</think>\n\n{answer.text}", reasoning="")
        plain = OpenAIChat().chat(answer, request, pace, site)
        counted = 0
        dressed: list[Chunk] = []
        for chunk in plain.body:
            data, count = _dressed(chunk.data, pace, gpt_oss=str(request.get("model")).startswith("gpt-oss"))
            dressed.append(replace(chunk, data=data))
            counted = max(counted, count)
        if tokens := self._tokens(site):
            tokens.use(counted)
        limits = tuple(self._headers(str(request.get("model")), site))
        return replace(plain, headers=(*plain.headers, *limits), body=tuple(dressed))

    def error(self, fault: Fault) -> Mapping[str, Any] | str:
        if fault.status in _TEXTS:
            return {"error": fault.message or _TEXTS[fault.status]}
        if fault.status not in _OBJECTS:
            return fault.message or _PLAIN.get(fault.status, "error")
        code, message = _OBJECTS[fault.status]
        error = {
            "message": fault.message or message,
            "type": "invalid_request_error",
            "param": None,
            "code": fault.code or code,
        }
        balance = {"balance_units": 0} if fault.status == 402 else {}
        return {"error": {**error, **balance}, "request_id": "lab"}

    def json(self, body: Mapping[str, Any]) -> HttpResponse:
        return OpenAIChat().json(body)

    def _admit(self, route: Route, request: RecordedRequest, site: Site) -> Route | Fault:
        try:
            body = request.json
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return Fault(400, "The body is not a JSON object.")
        asked = cast("dict[str, Any]", body)
        if fault := model_fault(asked.get("model"), site.models):
            return fault
        embeds = "embedding_length" in entry_of(asked["model"], site.models)
        if route == "embed":
            return route if embeds or not site.models else wrong("invalid_value", "The model does not embed.", "model")
        if embeds:
            return wrong("invalid_value", "The model does nothing but embed.", "model")
        return chat_fault(asked, site.models) or self._limit_fault(asked, site) or route

    def _limit_fault(self, asked: Mapping[str, Any], site: Site) -> Fault | None:
        """The refusal of what is too much; else it is counted."""
        model = asked["model"]
        requests = list(self._requests(model, site))
        said = next(filter(None, (window.refusal(1) for window in requests)), None)
        if said is None and (tokens := self._tokens(site)):
            words = sum(count_words(text_of(message.get("content"))) for message in asked["messages"])
            said = tokens.refusal(words + (asked.get("max_tokens") or 0))
        if said is not None:
            return Fault(429, message=said, headers=dict(self._headers(model, site)))
        for window in requests:
            window.use(1)
        return None

    def _requests(self, model: str, site: Site) -> Iterator[Window]:
        for seconds, limit in ((MINUTE, self.rpm), (DAY, self.rpd)):
            if limit is not None:
                yield Window(site, f"requests of {model}", seconds, limit)

    def _tokens(self, site: Site) -> Window | None:
        return None if self.tpd is None else Window(site, "tokens", DAY, self.tpd)

    def _headers(self, model: str, site: Site) -> Iterator[tuple[str, str]]:
        for window in self._requests(model, site):
            yield from window.headers(self.reset)


def _key_fault(sent: str | None, key: str) -> Fault | None:
    if sent == f"Bearer {key}":
        return None
    if sent is not None:
        return Fault(401)
    error = {"message": _NO_KEY, "type": "invalid_request_error", "param": None, "code": None}
    return Fault(401, {"error": error, "request_id": "lab"})


def _listed(site: Site) -> Iterator[Mapping[str, Any]]:
    """Prices are for one token, in USD, and strings."""
    known = {
        "object": "model",
        "owned_by": "no-reply@sambanova.ai",
        "context_length": 131_072,
        "max_completion_tokens": 16_384,
        "pricing": {"prompt": "0.0000006", "completion": "0.0000012"},
    }
    for model in site.models:
        entry = {"id": model} if isinstance(model, str) else dict(model)
        if not entry.get("retired"):
            own = {name: value for name, value in entry.items() if name not in ("tools", "embedding_length", "retired")}
            yield {**known, **own}


def _dressed(data: bytes, pace: Pace, *, gpt_oss: bool) -> tuple[bytes, int]:
    """An event, or a body, with what the vendor adds, and the tokens that it counts."""
    start = data.find(b"{")
    if start < 0 or (start and not data[:start].endswith(b"data: ")):
        return data, 0
    text = data[start:].decode()
    found: tuple[dict[str, Any], int] = json.JSONDecoder().raw_decode(text)
    value, end = found
    if "choices" not in value:
        return data, 0
    value |= {"created": _CREATED, "system_fingerprint": "fastcoe"}
    for choice in value["choices"]:
        if gpt_oss and "reasoning" in choice.get("delta", {}):
            choice["delta"]["channel"] = "analysis"
    usage: dict[str, Any] = value.get("usage") or {}
    if usage:
        usage |= _timings(usage["completion_tokens"], pace)
    said = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return data[:start] + (said + text[end:]).encode(), usage.get("total_tokens", 0)


def _timings(tokens: int, pace: Pace) -> Mapping[str, Any]:
    """Seconds by the server's clock, which is the lab's. No rates of what took no time."""
    after_first = pace.per_token * max(0, tokens - 1)
    total = pace.first_token + after_first
    rates = {"completion_tokens_per_sec": tokens / total} if total else {}
    if after_first:
        rates["completion_tokens_after_first_per_sec"] = (tokens - 1) / after_first
    return {
        "time_to_first_token": pace.first_token,
        "total_latency": total,
        **rates,
        "start_time": _CREATED,
        "end_time": _CREATED + total,
        "is_last_response": True,
    }


def _dimensions(model: str, site: Site) -> int:
    return entry_of(model, site.models).get("embedding_length", _DIMENSIONS)

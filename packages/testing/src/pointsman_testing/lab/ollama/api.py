"""The dialect: which paths there are, what each answers, and when a model has to be loaded first."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ...words import count_words
from ..dialect import HttpResponse, Model, Route, Site
from ..plan import Chunk
from ..profiles import Pace
from ..requests import RecordedRequest
from ..script import Answer, Fault
from ..vectors import embeddings
from . import cloud, memory, pulls
from .asked import Asked, asked
from .chat import WARM, Manner, Telling, fitted, prompt_tokens
from .checks import Refused, format_fault, late, options_fault, read
from .gojson import EPOCH, dumps, nanoseconds, quoted, stamp, without_zeros
from .models import Facts, facts_of, find

_ROUTES: Mapping[str, tuple[tuple[str, ...], Route]] = {
    "/": (("GET", "HEAD"), "root"),
    "/api/version": (("GET", "HEAD"), "version"),
    "/api/tags": (("GET", "HEAD"), "tags"),
    "/api/ps": (("GET",), "ps"),
    "/api/show": (("POST",), "show"),
    "/api/embed": (("POST",), "embed"),
    "/api/chat": (("POST",), "chat"),
    "/api/pull": (("POST",), "pull"),
}
_RUNNING = b"Ollama is running"
_FOR_EVER = 292 * 365.25 * 86_400.0
"""Seconds until what never expires does: the longest duration that Go has."""
_PLAIN = {"content-type": "text/plain"}
_SIGNIN = "https://ollama.com/connect?name=lab&key=c3NoLWVkMjU1MTkgQUFBQQ"
_USUAL_ERRORS: Mapping[int, str] = {
    400: "invalid model name",
    401: "unauthorized",
    403: "ollama cloud is disabled: remote inference is unavailable",
    404: "model 'lab' not found",
    429: "you've reached your hourly usage limit, please wait or upgrade to continue",
    499: "request canceled",
    502: 'Post "https://ollama.com:443/api/chat": dial tcp: lookup ollama.com: no such host',
    503: "server busy, please try again.  maximum pending requests exceeded",
}
_STOPPED = (
    "model runner has unexpectedly stopped, this may be due to resource limitations or an internal error, "
    "check ollama server logs for details"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OllamaApi:
    """The dialect. Without a pace and a load time, the bytes of a chat are a pure function of the answer and of the
    body of the request.

    A vendor's models are ids, or mappings with any of ``name``, ``capabilities``, ``context_length`` (trained),
    ``num_ctx`` (its Modelfile's), ``loaded`` (True, or the context that it is loaded with), ``details``, ``size``,
    ``digest``, ``modified_at``, ``license``, ``template``, ``embedding_length``, ``layers`` (bytes of each),
    ``remote_model``, ``remote_host``.

    Besides ``chat``, a request is for ``load`` (a chat without messages), ``embed``, ``show``, ``pull``, ``tags``,
    ``ps``, ``version`` or ``root``. A pull goes on where the last one was cut off: ``Usual().cut(after=3)``.
    """

    version: str = "0.32.15"
    """Before 0.12.6 ``truncate`` and ``shift`` are not looked at; before 0.12.10 tool calls have no ids."""
    load: float = 0.0
    """Seconds that a model takes into memory. The head of the answer waits for it."""
    num_ctx: int = 4096
    """The context of a model for which nobody says another."""
    tool_calls_on: Literal["line", "last"] = "line"
    """Each tool call on a line of its own, or all on the last one, as llama-server's own templates have it."""
    tool_call_ids: bool = True
    """Whether tool calls have ids, if the version knows them."""
    content_on_last: bool = False
    """Whether the last line says the last piece, or nothing."""
    half_cut: bool = True
    """Whether a last message longer than the context is cut in silence, or refused, as llama-server's own templates
    have it."""
    rich_tags: bool = True
    """Whether the list of models tells capabilities and lengths, as servers since the middle of 2026 do."""
    registry: Sequence[Model] | None = None
    """What can be pulled besides what is there; None: any name, where nothing is listed, and else nothing."""
    download: float = 500e6
    """Bytes a second of a pull."""
    cloud: bool = True
    """Whether models that run at ollama.com are allowed."""
    signed_in: bool = True
    """Whether the server may use ollama.com."""
    spent: str = ""
    """What ollama.com says instead of an answer once the plan's limit is reached."""
    prefix: str = ""

    @property
    def routes(self) -> Sequence[Route]:
        return (*(route for _, route in _ROUTES.values()), "load")

    def route(self, request: RecordedRequest, site: Site) -> Route | Fault:
        path = request.path.removeprefix(self.prefix)
        if path not in _ROUTES:
            return Fault(404, b"404 page not found", headers=_PLAIN)
        methods, route = _ROUTES[path]
        if request.method not in methods:
            return Fault(405, b"405 method not allowed", headers=_PLAIN)
        key = request.headers.get("authorization")
        if route != "root" and site.api_key is not None and key != f"Bearer {site.api_key}":
            return Fault(401)
        site = pulls.pulled(site, self.registry)
        try:
            if route == "pull":
                read(request, "PullRequest")
            if route == "chat":
                return self._admit_chat(read(request, "ChatRequest"), site)
            if route == "embed":
                self._admit_embed(read(request, "EmbedRequest"), site)
            if route == "show":
                _known(read(request, "ShowRequest"), site)
        except Refused as refused:
            return refused.fault
        return route

    def reply(self, route: Route, request: RecordedRequest, site: Site) -> HttpResponse | None:
        site = pulls.pulled(site, self.registry)
        match route:
            case "chat":
                return None
            case "root":
                return HttpResponse(headers=(("content-type", "text/plain; charset=utf-8"),), body=(Chunk(_RUNNING),))
            case "version":
                return self.json({"version": self.version})
            case "tags":
                return self.json({"models": [facts_of(model).entry(rich=self.rich_tags) for model in site.models]})
            case "ps":
                return self.json({"models": list(self._running(site))})
            case "show":
                return self.json(_known(asked(request.json), site).shown())
            case "embed":
                return self._embed(asked(request.json), site)
            case "pull":
                return self._pull(asked(request.json), request, site)
            case _:
                return self._load_or_unload(asked(request.json), site)

    def chat(self, answer: Answer, request: Mapping[str, Any], pace: Pace, site: Site) -> HttpResponse:
        site = pulls.pulled(site, self.registry)
        wish = asked(request)
        facts = find(site.models, wish.model) or facts_of(wish.model)
        loading = self._load(facts, wish, site)
        telling = Telling(answer, self._manner(facts, wish, loading), pace)
        first = loading + pace.first_token
        if wish.stream and telling.first_error is None:
            kind = (("content-type", "application/x-ndjson"),)
            response = HttpResponse(headers=kind, body=tuple(telling.lines()), chunked=True, wait=first)
        elif telling.error is not None:
            # What streams names no charset, not even for an error that comes instead of a stream.
            kind = (("content-type", f"application/json{'' if wish.stream else '; charset=utf-8'}"),)
            body = (Chunk(dumps(telling.error)),)
            response = HttpResponse(status=500, headers=kind, body=body, wait=first + telling.took)
        else:
            response = self.json(telling.whole(), wait=first + telling.took)
        self._keep(facts, wish, site, first + telling.took)
        return response

    def error(self, fault: Fault) -> Mapping[str, Any]:
        message = fault.message or _USUAL_ERRORS.get(fault.status, _STOPPED)
        return {"error": message, **({"signin_url": _SIGNIN} if fault.status == 401 else {})}

    def json(self, body: Mapping[str, Any], *, wait: float = 0.0) -> HttpResponse:
        headers = (("content-type", "application/json; charset=utf-8"),)
        return HttpResponse(headers=headers, body=(Chunk(dumps(body)),), wait=wait)

    def _admit_chat(self, wish: Asked, site: Site) -> Route | Fault:
        facts = _known(wish, site)
        if not wish.messages and not wish.keep_alive:
            return "load"
        if _is_elsewhere(wish, facts):
            refused = cloud.refusal(facts, enabled=self.cloud, signed_in=self.signed_in, spent=self.spent)
            if refused is not None:
                return refused
        if "completion" not in facts.capabilities:
            raise Refused(f"{quoted(wish.model)} does not support chat")
        if wish.tools and "tools" not in facts.capabilities:
            raise Refused(f"{facts.full_name} does not support tools")
        if wish.think and "thinking" not in facts.capabilities:
            raise Refused(f"{quoted(wish.model)} does not support thinking")
        if fault := options_fault(wish.options):
            return fault
        if not wish.messages:
            return "load"
        return format_fault(wish.format) or self._overflow(facts, wish, site) or "chat"

    def _overflow(self, facts: Facts, wish: Asked, site: Site) -> Fault | None:
        """The refusal of a prompt that does not fit. The model has been loaded to find out."""
        ctx, count = self._context(facts, wish), prompt_tokens(wish)
        cuts = wish.truncate or not self._since(0, 12, 6)
        if count <= ctx or (cuts and (self.half_cut or fitted(wish, ctx) is not None)):
            return None
        wait = self._load(facts, wish, site)
        self._keep(facts, wish, site, wait)
        said = f"request ({count} tokens) exceeds the available context size ({ctx} tokens), try increasing it"
        inner = {"code": 400, "message": said, "type": "exceed_context_size_error"}
        # llama-server's body whole, as a text inside of ours.
        return late(400, dumps({"error": {**inner, "n_prompt_tokens": count, "n_ctx": ctx}}).decode(), wait=wait)

    def _admit_embed(self, wish: Asked, site: Site) -> None:
        ctx = self._context(_known(wish, site), wish)
        if not wish.truncate and any(count_words(text) > ctx for text in wish.inputs):
            raise Refused("the input length exceeds the context length")

    def _embed(self, wish: Asked, site: Site) -> HttpResponse:
        facts = _known(wish, site)
        wait = 0.0
        if wish.inputs:
            wait = self._load(facts, wish, site)
            self._keep(facts, wish, site, wait)
        ctx = self._context(facts, wish)
        full = facts.embedding_length
        dimensions = min(wish.dimensions, full) if wish.dimensions > 0 else full
        said = {
            "model": wish.model,
            "embeddings": embeddings(wish.inputs, dimensions),
            "total_duration": nanoseconds(wait + 2 * WARM),
            "load_duration": nanoseconds(wait + WARM),
        }
        count = sum(min(count_words(text), ctx) for text in wish.inputs)
        return self.json({**said, **without_zeros({"prompt_eval_count": count})}, wait=wait)

    def _load_or_unload(self, wish: Asked, site: Site) -> HttpResponse:
        """A chat without messages: one object, streamed or not."""
        facts = _known(wish, site)
        wait, reason = 0.0, "unload"
        if wish.keep_alive:
            wait, reason = self._load(facts, wish, site), "load"
            self._keep(facts, wish, site, wait)
        else:
            memory.unload(facts, site)
        message = {"role": "assistant", "content": ""}
        said = {"model": wish.model, "created_at": stamp(0), "message": message, "done": True, "done_reason": reason}
        return self.json(said, wait=wait)

    def _pull(self, wish: Asked, request: RecordedRequest, site: Site) -> HttpResponse:
        lines = pulls.pull(wish.model, request, site, self.registry, self.download)
        if wish.stream:
            return HttpResponse(headers=(("content-type", "application/x-ndjson"),), body=tuple(lines), chunked=True)
        last = lines[-1]
        kind = (("content-type", "application/json; charset=utf-8"),)
        body = (Chunk(last.data.rstrip()),)
        return HttpResponse(status=500 if b'"error"' in last.data else 200, headers=kind, body=body, wait=last.due)

    def _running(self, site: Site) -> Iterator[Mapping[str, Any]]:
        now = time.time() - EPOCH  # Whoever reads a date compares it with a clock on the wall.
        for facts, found in memory.residents(site, self.num_ctx):
            yield {
                "name": facts.name,
                "model": facts.name,
                "size": facts.size,
                "digest": facts.digest,
                "details": facts.details,
                "expires_at": stamp(now + min(found.until - site.clock(), _FOR_EVER)),
                "size_vram": facts.size,
                "context_length": found.num_ctx,
            }

    def _manner(self, facts: Facts, wish: Asked, loading: float) -> Manner:
        ctx = self._context(facts, wish)
        fit = fitted(wish, ctx)
        count = ctx // 2 + 2 if fit is None else fit
        limit = wish.num_predict or 10 * ctx
        if not wish.shift and self._since(0, 12, 6):
            limit = min(limit, max(1, ctx - count))
        return Manner(
            name=wish.model if facts.remote_host else cloud.base(wish.model) or wish.model,
            head=without_zeros({"remote_model": facts.remote_model, "remote_host": facts.remote_host}),
            thinks=wish.think is not False and "thinking" in facts.capabilities,
            prompt_tokens=count,
            limit=limit,
            loading=loading + WARM,
            tool_calls_on=self.tool_calls_on,
            tool_call_ids=self.tool_call_ids and self._since(0, 12, 10),
            content_on_last=self.content_on_last,
        )

    def _context(self, facts: Facts, wish: Asked) -> int:
        return memory.context(facts, wish.num_ctx, self.num_ctx)

    def _load(self, facts: Facts, wish: Asked, site: Site) -> float:
        if _is_elsewhere(wish, facts):
            return 0.0
        return memory.load(facts, site, self._context(facts, wish), self.load, self.num_ctx)

    def _keep(self, facts: Facts, wish: Asked, site: Site, took: float) -> None:
        if not _is_elsewhere(wish, facts):
            memory.keep(facts, site, site.clock() + took, wish.keep_alive)

    def _since(self, *version: int) -> bool:
        """Whether this server is of that version or a later one."""
        return tuple(int(part) for part in re.findall(r"\d+", self.version)[:3]) >= version


def _is_elsewhere(wish: Asked, facts: Facts) -> bool:
    return bool(facts.remote_host) or cloud.base(wish.model) is not None


def _known(wish: Asked, site: Site) -> Facts:
    facts = find(site.models, wish.model)
    if facts is None and cloud.base(wish.model) is not None:
        return facts_of(wish.model)  # Passed on, and found there.
    if facts is None:
        raise Refused(f"model '{wish.model}' not found", 404)
    return facts

"""The dialect: Modal's proxy and its two products, with Ollama's ``/v1`` in the container behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import parse_qs

from ..dialect import HttpResponse, Route, Site
from ..ollama.gojson import dumps
from ..ollama.models import facts_of, find
from ..plan import Chunk
from ..profiles import Pace
from ..requests import RecordedRequest
from ..script import Answer, Fault
from . import container, ollama_v1
from .faults import MODAL_FAULTS

CALL_ID = "__modal_function_call_id"
_USUAL_ERRORS: Mapping[int, str] = {
    404: "model 'lab' not found",
    503: "server busy, please try again.  maximum pending requests exceeded",
}
_STOPPED = "model runner has unexpectedly stopped, this may be due to resource limitations or an internal error"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModalEndpoint:
    """The dialect of one deployment. Its clock is the lab's: a container starts with the first request.

    A vendor's ``api_key`` is its proxy token, ``wk-....ws-...``, taken as ``Authorization: Bearer`` or, in halves, as
    ``Modal-Key`` and ``Modal-Secret``; None: the deployment has no protection. Models are those of `OllamaApi`. A fault
    of the table `MODAL_FAULTS` can be scripted for any route; an `Answer` with an ``error`` loses it, as Ollama does.

    Besides ``chat``, a request is for ``embeddings``, ``models``, ``version``, ``show``, ``ps`` or ``root``.
    """

    product: Literal["held", "refusing"] = "held"
    """``held`` is a Web Function: a request waits for the container. ``refusing`` is an ``@app.server``: 503."""
    start: float = 0.0
    """Seconds from the first request until the container is ready."""
    scaledown_window: float = 60.0
    """Seconds that the container stays after its last request."""
    parallel: int = 8
    """Chats that it answers at once. Others wait for their turn."""
    redirect_after: float = 150.0
    """Seconds that a request is held; after that it is told where its result will be."""
    location: str = "relative"
    """How that address is written: ``relative``, ``absolute``, or below an address of another host."""
    refusal: str | None = None
    """What of `MODAL_FAULTS` every request gets, whatever it asks."""
    num_ctx: int = 4096
    """The context that models are loaded with. Prompts that are longer are cut in silence."""
    version: str = "0.32.15"
    prefix: str = "/v1"

    @property
    def routes(self) -> Sequence[Route]:
        return tuple(route for _, route in self._paths.values())

    @property
    def _paths(self) -> Mapping[str, tuple[str, Route]]:
        return {
            f"{self.prefix}/chat/completions": ("POST", "chat"),
            f"{self.prefix}/embeddings": ("POST", "embeddings"),
            f"{self.prefix}/models": ("GET", "models"),
            "/api/version": ("GET", "version"),
            "/api/show": ("POST", "show"),
            "/api/ps": ("GET", "ps"),
            "/": ("GET", "root"),
        }

    def route(self, request: RecordedRequest, site: Site) -> Route | Fault:
        if self.refusal is not None:
            return MODAL_FAULTS[self.refusal]
        if (fault := _unauthorised(request, site)) is not None:
            return fault
        if name := parse_qs(request.query).get(CALL_ID):
            return self._result(name[0], request, site)
        wait = self._ready_in(site)
        if wait and self.product == "refusing":
            return MODAL_FAULTS["no container"]
        if wait > self.redirect_after:
            return self._later(container.keep(site, request), request)
        return self._served(request, site, wait)

    def reply(self, route: Route, request: RecordedRequest, site: Site) -> HttpResponse | None:
        if route == "chat":
            return None
        if route == "root":
            said = HttpResponse(headers=(("content-type", "text/plain"),), body=(Chunk(b"Ollama is running"),))
        else:
            said = self.json(self._told(route, request, site))
        return replace(said, wait=container.take_place(site, self._ready_in(site), 0.0, 10**6, self.scaledown_window))

    def chat(self, answer: Answer, request: Mapping[str, Any], pace: Pace, site: Site) -> HttpResponse:
        telling = ollama_v1.Telling(answer, request, pace, site, self.num_ctx)
        took = pace.first_token + telling.took
        wait = container.take_place(site, self._ready_in(site), took, self.parallel, self.scaledown_window)
        return telling.response(wait)

    def error(self, fault: Fault) -> Mapping[str, Any]:
        """The error of the server in the container."""
        message = fault.message or _USUAL_ERRORS.get(fault.status, _STOPPED)
        return ollama_v1.error_body(fault.status, message)

    def json(self, body: Mapping[str, Any]) -> HttpResponse:
        return HttpResponse(headers=(("content-type", "application/json"),), body=(Chunk(dumps(body)),))

    def _ready_in(self, site: Site) -> float:
        return container.ready_in(site, self.start, self.scaledown_window)

    def _result(self, name: str, request: RecordedRequest, site: Site) -> Route | Fault:
        if request.method != "GET":
            return MODAL_FAULTS["bad redirect method"]
        request.replays = container.kept(site, name)
        if request.replays is None:
            return MODAL_FAULTS["expired"]
        wait = self._ready_in(site)
        if wait > self.redirect_after:
            return self._later(name, request)
        return self._served(request.replays, site, wait)

    def _later(self, name: str, request: RecordedRequest) -> Fault:
        where = f"?{CALL_ID}={name}"
        if self.location == "absolute":
            where = f"http://{request.headers['host']}{request.path}{where}"
        elif self.location != "relative":
            where = f"{self.location}{request.path}{where}"
        return Fault(303, b"", headers={"location": where}, wait=self.redirect_after)

    def _served(self, request: RecordedRequest, site: Site, wait: float) -> Route | Fault:
        """What the server in the container makes of a request."""
        if request.path not in self._paths:
            return Fault(404, b"404 page not found", headers={"content-type": "text/plain"}, wait=wait)
        method, route = self._paths[request.path]
        if request.method != method:
            return Fault(405, b"405 method not allowed", headers={"content-type": "text/plain"}, wait=wait)
        wrong = None
        if route in ("chat", "embeddings"):
            wrong = ollama_v1.refusal(request, site, chat=route == "chat")
        if route == "show" and find(site.models, request.json.get("model", "")) is None:
            wrong = Fault(404, {"error": f"model '{request.json.get('model')}' not found"})
        return route if wrong is None else replace(wrong, wait=wait)

    def _told(self, route: Route, request: RecordedRequest, site: Site) -> Mapping[str, Any]:
        match route:
            case "models":
                return ollama_v1.listing(site)
            case "embeddings":
                return ollama_v1.embedded(request.json, site)
            case "version":
                return {"version": self.version}
            case "show":
                return (find(site.models, request.json["model"]) or facts_of(request.json["model"])).shown()
            case _:
                names = [facts_of(model).name for model in site.models]
                return {"models": [{"name": one, "model": one, "context_length": self.num_ctx} for one in names]}


def _unauthorised(request: RecordedRequest, site: Site) -> Fault | None:
    """What the proxy says to a request without the vendor's token."""
    if site.api_key is None:
        return None
    headers = request.headers
    pair = f"{headers.get('modal-key', '')}.{headers.get('modal-secret', '')}"
    if headers.get("authorization") == f"Bearer {site.api_key}" or pair == site.api_key:
        return None
    given = "authorization" in headers or pair != "."
    return MODAL_FAULTS["invalid credentials" if given else "missing credentials"]

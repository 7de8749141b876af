"""The dialect: which paths there are on all of Hugging Face's hosts, here on one, and what each answers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..dialect import HttpResponse, Route, Site
from ..openai import OpenAIChat
from ..profiles import Pace
from ..requests import RecordedRequest
from ..script import Answer, Fault
from ..vectors import embeddings
from .endpoints import LabEndpoint, change, condition, described, find, hardware, start
from .router import CREDITS, PERMISSION, entry, provider_for

_ROUTES: Sequence[tuple[str, re.Pattern[str], Route]] = [
    (method, re.compile(path), route)
    for method, path, route in (
        ("POST", r"/v1/chat/completions", "chat"),
        ("GET", r"/v1/models", "models"),
        ("GET", r"/v1/models/(?P<model>[^/]+/[^/]+)", "model"),
        ("POST", r"/hf-inference/models/(?P<model>[^/]+(/[^/]+)?)/pipeline/feature-extraction", "features"),
        ("GET", r"/api/whoami-v2", "whoami"),
        ("GET", r"/v2/provider/(?P<namespace>[^/]+)", "hardware"),
        ("GET", r"/v2/endpoint/(?P<namespace>[^/]+)", "endpoints"),
        ("GET", r"/v2/endpoint/(?P<namespace>[^/]+)/(?P<name>[^/]+)", "endpoint"),
        ("POST", r"/v2/endpoint/(?P<namespace>[^/]+)/(?P<name>[^/]+)/(?P<action>resume|pause|scale-to-zero)", "change"),
        ("POST", r"/serving/(?P<name>[^/]+)/v1/chat/completions", "serving"),
        ("POST", r"/serving/(?P<name>[^/]+)/v1/embeddings", "serving-embeddings"),
        ("GET", r"/serving/(?P<name>[^/]+)/v1/models", "serving-models"),
    )
]
_PUBLIC = ("models", "model")
_MANAGING = ("hardware", "endpoints", "endpoint", "change")
_HELD = "held"
_CHAT = OpenAIChat(error_as="text")
_USUAL_ERRORS: Mapping[int, str] = {
    401: "Invalid credentials in Authorization header",
    402: CREDITS,
    403: PERMISSION,
    404: "Not Found",
    429: "Too Many Requests",
    503: "503 Service Unavailable",
    504: "Gateway Timeout",
}
INFERENCE, MANAGING = "inference.serverless.write", "inference.endpoints.write"


@dataclass(frozen=True, slots=True, kw_only=True)
class HuggingFaceApi:
    """The dialect. ``Vendor.models`` are the router's: ids, or entries as its list has them."""

    user: str = "lab-user"
    permissions: tuple[str, ...] | None = (INFERENCE, MANAGING)
    """What the token, a fine-grained one, may do. None: it is of an older kind, and may do all."""
    endpoints: tuple[LabEndpoint, ...] = ()
    hourly: Mapping[str, float] = field(default_factory=lambda: {"nvidia-l4 x1": 0.8})
    """What an hour costs, by instance and size."""
    says_who: bool = True
    """Whether the router says in a header who has answered."""
    holds: bool = True
    """Whether an endpoint's proxy knows ``X-Scale-Up-Timeout``."""
    dimensions: int = 8
    prefix: str = "/v1"

    @property
    def routes(self) -> Sequence[Route]:
        return [route for _, _, route in _ROUTES]

    def route(self, request: RecordedRequest, site: Site) -> Route | Fault:
        site.memory.pop(_HELD, None)
        found = [(method, match, name) for method, path, name in _ROUTES if (match := path.fullmatch(request.path))]
        if not found:
            return Fault(404)
        method, match, route = found[0]
        if request.method != method:
            return Fault(405)
        if route not in _PUBLIC and site.api_key is not None and not _has(request, site.api_key):
            said = "Invalid username or password." if route == "whoami" else None
            return Fault(401, message=said)
        if route in ("chat", "features") and not self._may(INFERENCE):
            return Fault(403, message=PERMISSION.format(user=self.user))
        if route in _MANAGING and not self._may(MANAGING):
            return Fault(403, message="Forbidden: missing permission")
        if route in ("chat", "serving") and (wrong := _wrong_chat(request)):
            return wrong
        if route == "chat":
            served = provider_for(site.models, request.json["model"])
            return served if isinstance(served, Fault) else route
        if "name" in match.groupdict():
            endpoint = find(self.endpoints, match["name"], match.groupdict().get("namespace"))
            if endpoint is None:
                return Fault(404, message=f"Endpoint {match['name']} not found")
            if route.startswith("serving"):
                return self._up(endpoint, request, site) or route
        return route

    def reply(self, route: Route, request: RecordedRequest, site: Site) -> HttpResponse | None:
        match = next(match for _, path, name in _ROUTES if name == route and (match := path.fullmatch(request.path)))
        host = request.headers.get("host", "")
        match route:
            case "chat" | "serving":
                return None
            case "models":
                return self.json({"object": "list", "data": [entry(model) for model in site.models]})
            case "model":
                found = next((one for one in map(entry, site.models) if one["id"] == match["model"]), None)
                return self.json(found) if found else replace(self.json({"error": "Model not found"}), status=404)
            case "features":
                return self._list(embeddings(_texts(request.json.get("inputs")), self.dimensions))
            case "whoami":
                return self.json(self._whoami())
            case "hardware":
                return self.json(hardware(self.hourly))
            case "endpoints":
                mine = [one for one in self.endpoints if one.namespace == match["namespace"]]
                return self.json({"items": [described(one, site, host) for one in mine]})
            case "serving-embeddings":
                return self._list(self._embedded(request.json))
            case "serving-models":
                endpoint = find(self.endpoints, match["name"])
                assert endpoint is not None
                return self.json(
                    {"object": "list", "data": [{"id": endpoint.model or endpoint.name, "object": "model"}]}
                )
            case _:
                endpoint = find(self.endpoints, match["name"], match["namespace"])
                assert endpoint is not None
                if route == "change" and (why := change(endpoint, site, match["action"])):
                    return replace(self.json({"error": why}), status=400)
                return self.json(described(endpoint, site, host))

    def chat(self, answer: Answer, request: Mapping[str, Any], pace: Pace, site: Site) -> HttpResponse:
        rendered = _CHAT.chat(answer, request, pace, site)
        if _HELD in site.memory:  # An endpoint answers, perhaps after it has held the request.
            return replace(rendered, wait=rendered.wait + site.memory.pop(_HELD))
        served = provider_for(site.models, str(request.get("model", "")))
        if self.says_who and isinstance(served, str):
            return replace(rendered, headers=(*rendered.headers, ("x-inference-provider", served)))
        return rendered

    def error(self, fault: Fault) -> Mapping[str, Any]:
        usual = _USUAL_ERRORS.get(fault.status, "Internal Server Error").format(user=self.user)
        return {"error": fault.message or usual}

    def json(self, body: Mapping[str, Any]) -> HttpResponse:
        return _CHAT.json(body)

    def _list(self, body: Any) -> HttpResponse:
        return _CHAT.json(body)

    def _may(self, permission: str) -> bool:
        return self.permissions is None or permission in self.permissions

    def _up(self, endpoint: LabEndpoint, request: RecordedRequest, site: Site) -> Fault | None:
        """What the proxy before an endpoint says instead of it. A request wakes one that is scaled to zero."""
        now = condition(endpoint, site)
        if now.state in ("paused", "failed"):
            return Fault(400, message="Bad Request: Invalid state")
        if now.state == "scaledToZero":
            now = start(endpoint, site)
        left = 0.0 if now.state in ("running", "updateFailed") else max(0.0, now.ready - site.clock())
        patience = float(request.headers.get("x-scale-up-timeout", 0)) if self.holds else 0.0
        if left > patience:
            return Fault(503, wait=patience)
        if endpoint.model and request.method == "POST" and request.json.get("model") != endpoint.model:
            message = f"The model `{request.json.get('model')}` does not exist."
            said = {"object": "error", "message": message, "type": "NotFoundError", "param": None, "code": 404}
            return Fault(404, said, wait=left)
        site.memory[_HELD] = left
        return None

    def _whoami(self) -> Mapping[str, Any]:
        token: dict[str, Any] = {"displayName": "lab", "createdAt": "2026-11-01T08:30:00.409Z"}
        if self.permissions is None:
            token["role"] = "write"
        else:
            own = {"entity": {"_id": "6273f303f6d63a28483fde12", "type": "user", "name": self.user}}
            scoped = [{**own, "permissions": list(self.permissions)}]
            token |= {
                "role": "fineGrained",
                "fineGrained": {"canReadGatedRepos": False, "global": [], "scoped": scoped},
            }
        return {
            "type": "user",
            "id": "6273f303f6d63a28483fde12",
            "name": self.user,
            "fullname": "Lab User",
            "isPro": False,
            "orgs": [],
            "auth": {"type": "access_token", "accessToken": token},
        }

    def _embedded(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        vectors = embeddings(_texts(asked.get("input")), self.dimensions)
        data = [{"object": "embedding", "index": place, "embedding": one} for place, one in enumerate(vectors)]
        usage = {"prompt_tokens": sum(len(text.split()) for text in _texts(asked.get("input")))}
        return {"object": "list", "model": asked.get("model"), "data": data, "usage": {**usage, "total_tokens": 0}}


def _has(request: RecordedRequest, key: str) -> bool:
    return request.headers.get("authorization") == f"Bearer {key}"


def _texts(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(one) for one in value or ()]


def _wrong_chat(request: RecordedRequest) -> Fault | None:
    """What is wrong with the body of a chat."""
    try:
        body = request.json
    except ValueError:
        return Fault(400, message="Bad Request: invalid JSON")
    match body:
        case {"model": str(), "messages": [*messages]} if all(isinstance(one, dict) for one in messages):
            return None
        case _:
            return Fault(
                422, {"error": "Input validation error: `messages` must be a list", "error_type": "validation"}
            )

"""A dialect of your own in one method: for the vendor that nobody but you has a plugin for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from pointsman import Usage

from ..words import count_words
from .dialect import HttpResponse, Route, Site, json_response
from .plan import Chunk
from .profiles import Pace
from .requests import RecordedRequest, texts_in
from .script import Answer, Fault


class SimpleApi:
    """A dialect with one address for chats. Subclass it, and write what an answer looks like in `events`.

    What a class variable cannot say, a method can: each of them may be overridden.
    """

    prefix: str = ""
    path: ClassVar[str] = "/chat"
    """Where chats are posted, after the prefix."""
    content_type: ClassVar[str] = "application/x-ndjson"
    key_header: ClassVar[str] = "authorization"
    key_format: ClassVar[str] = "Bearer {}"

    @property
    def routes(self) -> Sequence[Route]:
        return ("chat",)

    def events(self, answer: Answer, request: Mapping[str, Any]) -> Iterable[str | bytes]:
        """The body of a streamed `answer` to the JSON `request`, an item for each event or line.

        Say what `answer` says and nothing else: no finish reason if its `finish_reason` is None, no terminal if it is
        not `done`, its `error` where there is one. `counted` has the tokens.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no events(): what does an answer of this vendor look like?"
        )

    def prompt(self, request: Mapping[str, Any]) -> str:
        """All text that the JSON `request` sends, to be counted."""
        return " ".join(texts_in(request))

    def counted(self, answer: Answer, request: Mapping[str, Any]) -> Usage:
        """What the answer's usage says: what was scripted, else an honest count in words."""
        thought = count_words(answer.reasoning)
        said = count_words(answer.text) + thought
        asked = count_words(self.prompt(request))
        return answer.counts or Usage(input_tokens=asked, output_tokens=said, reasoning_tokens=thought)

    def route(self, request: RecordedRequest, site: Site) -> Route | Fault:
        if request.path != self.prefix + self.path:
            return Fault(404)
        if request.method != "POST":
            return Fault(405)
        if site.api_key is not None and request.headers.get(self.key_header) != self.key_format.format(site.api_key):
            return Fault(401)
        try:
            model = request.json["model"]
        except (ValueError, TypeError, LookupError):
            return Fault(400)
        return "chat" if site.knows(model) else Fault(404)

    def reply(self, route: Route, request: RecordedRequest, site: Site) -> HttpResponse | None:
        return None

    def chat(self, answer: Answer, request: Mapping[str, Any], pace: Pace, site: Site) -> HttpResponse:
        body: list[Chunk] = []
        for number, event in enumerate(self.events(answer, request)):
            data = event.encode() if isinstance(event, str) else event
            body.append(Chunk(data, pace.first_token + number * pace.per_token))
        return HttpResponse(headers=(("content-type", self.content_type),), body=tuple(body), chunked=True)

    def error(self, fault: Fault) -> Mapping[str, Any] | str:
        return {"error": fault.message or fault.code or f"status {fault.status}"}

    def json(self, body: Mapping[str, Any]) -> HttpResponse:
        return json_response(body)

"""Faults by name, for whoever starts a lab vendor from a terminal and cannot script it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count

from .lab import Answer, Fault, RecordedRequest, Response, Script

MISHAPS: Mapping[str, str] = {
    "cut": "the connection ends after the first word",
    "stall": "nothing comes after the first word",
    "silent": "nothing comes at all, though the request is accepted",
    "busy": "429, and to come back in 5 seconds",
    "down": "503",
}
"""What goes wrong, and how."""


def failing(mishap: str, answer: Answer, *, every: int = 1, lines: bool = False) -> Script:
    """`answer`, but for each request number `every`, to which that happens. `lines`: the dialect is Ollama's."""
    number = count(1)

    def respond(request: RecordedRequest) -> Response:
        if next(number) % every:
            return answer
        # In the OpenAI dialect an event with the role alone precedes the first word. A body that is no stream is one
        # event, which is broken inside.
        at, after = (None, 1 if lines else 2) if request.json.get("stream", lines) else (20, None)
        match mishap:
            case "cut":
                return answer.cut(at, after=after)
            case "stall":
                return answer.stall(at, after=after)
            case "silent":
                return answer.stall(at=0)
            case "busy":
                return Fault(429, headers={"retry-after": "5"})
            case "down":
                return Fault(503)
            case _:
                raise ValueError(f"there is no fault {mishap!r}; there are {', '.join(MISHAPS)}")

    return respond

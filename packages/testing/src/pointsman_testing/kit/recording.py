"""What a real vendor was asked once, what it answered, and what the plugin made of that: a JSON file to read and diff.

Headers of the request are not kept, since keys are among them; those of the response only if a plugin may need them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from pointsman import AsyncClient, PointsmanError, Target

KEPT = ("content-type", "retry-after")
"""Headers of a response that are kept, and those that begin with ``x-ratelimit-``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request, and its response."""

    method: str
    path: str
    query: str
    asked: Any
    """The body of the request: JSON, or text where it is none."""
    status: int
    headers: Mapping[str, str]
    chunked: bool
    body: tuple[tuple[float, bytes], ...]
    """What came in one piece, with the seconds since the request was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One call with all its exchanges, and how it was made."""

    made: str
    """The day, as 2026-11-29."""
    command: str
    """What makes it anew."""
    server: str
    """Who answered, as far as the recorder was told."""
    provider: str
    model: str
    prompt: str
    options: Mapping[str, Any]
    prefix: str
    """The path in the `base_url` that was asked."""
    exchanges: tuple[Exchange, ...]
    outcome: Mapping[str, Any]
    """What `ask` returned."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises `ValueError` for a file that holds no recording."""
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        try:
            told["exchanges"] = tuple(_exchange(one) for one in told["exchanges"])
            return cls(**told)
        except (TypeError, LookupError) as error:
            raise ValueError(f"{path} is no recording: {error}") from error

    def text(self) -> str:
        """The file's content."""
        told = asdict(self)
        for one in told["exchanges"]:
            one["body"] = [[round(at, 3), _text(data)] for at, data in one["body"]]
        return json.dumps(told, ensure_ascii=False, indent=1) + "\n"


async def ask(client: AsyncClient, target: Target, prompt: str, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a call comes to, as JSON can say it: the answer, or the error."""
    wishes: dict[str, Any] = {**options, "model": target, "on_break": "raise"}
    try:
        reply = await client.chat(prompt, **wishes)
    except PointsmanError as error:
        return {"error": type(error).__name__, "status": error.status, "retryable": error.retryable}
    return {
        "text": reply.text,
        "reasoning": reply.reasoning,
        "tool_calls": [asdict(call) for call in reply.tool_calls],
        "finish_reason": reply.finish_reason,
        "usage": reply.usage and asdict(reply.usage),
    }


def _exchange(told: Mapping[str, Any]) -> Exchange:
    fields: dict[str, Any] = {**told, "body": tuple((at, _bytes(data)) for at, data in told["body"])}
    return Exchange(**fields)


def _text(data: bytes) -> str | Mapping[str, str]:
    try:
        return data.decode()
    except UnicodeDecodeError:  # It ends inside of a character, or is no text.
        return {"base64": base64.b64encode(data).decode()}


def _bytes(told: str | Mapping[str, str]) -> bytes:
    return told.encode() if isinstance(told, str) else base64.b64decode(told["base64"])

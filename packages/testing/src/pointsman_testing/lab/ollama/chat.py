"""One answer of `/api/chat`: its lines, or the one object in their place. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal, cast

from pointsman import ToolCall

from ...words import count_words, split_words
from ..plan import Chunk
from ..profiles import Pace
from ..script import Answer
from .asked import Asked
from .gojson import dumps, nanoseconds, stamp, without_zeros

WARM = 0.002_5
"""Seconds that a model in memory takes to be found there: a ``load_duration`` is never nothing."""
_LINE = 0.001_000_5
"""Seconds between the dates of two lines at least, so that dates have fractions of every length."""
_TOKEN = 1e-6
"""Seconds of a token in the statistics of a vendor without a pace: a duration of nothing would be left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How one request is answered: what its dialect, its model and its own fields come to."""

    name: str
    """The model, as the request spells it."""
    head: Mapping[str, Any]
    """What stands between the model and the date: where a remote model lives."""
    thinks: bool
    prompt_tokens: int
    """Those that the model reads, after any cut."""
    limit: int
    """Tokens that it may say."""
    loading: float
    """Seconds that the model took to be ready."""
    tool_calls_on: Literal["line", "last"]
    tool_call_ids: bool
    content_on_last: bool


@dataclass(frozen=True, slots=True)
class _Piece:
    """What one line says."""

    message: Mapping[str, Any]
    tokens: int


class Telling:
    """An answer, as a server with that manner tells it."""

    def __init__(self, answer: Answer, manner: Manner, pace: Pace) -> None:
        self._answer = answer
        self._manner = manner
        self._pace = pace
        self._error = None if answer.error is None else _words(answer.error)
        self._calls: list[dict[str, Any]] = []
        for index, call in enumerate(answer.tool_calls):
            arguments = _arguments(call)
            if arguments is None:
                said = (
                    f'llama-server returned invalid tool call arguments for "{call.name}": unexpected end of JSON input'
                )
                self._error = {"error": said}
                break
            function = {"index": index, "name": call.name, "arguments": arguments}
            self._calls.append({**({"id": call.id} if manner.tool_call_ids and call.id else {}), "function": function})
        # What all lines begin with: a long answer is made before it is sent, while its reader waits.
        self._opening = dumps({"model": manner.name, **manner.head})[:-1]
        self._pieces, self._cut = _limited(list(self._say()), manner.limit)

    @property
    def first_error(self) -> Mapping[str, Any] | None:
        """The error of an answer of which nothing is said before it: that one has a status of its own."""
        return None if self._pieces else self._error

    @property
    def error(self) -> Mapping[str, Any] | None:
        """The error that breaks it off, wherever."""
        return self._error

    @property
    def took(self) -> float:
        """Seconds from the first token to the last."""
        return self._pace.per_token * max(0, self._said - 1)

    @property
    def _said(self) -> int:
        return sum(piece.tokens for piece in self._pieces)

    def lines(self) -> Iterator[Chunk]:
        """The stream, each line due with its last token, counted from the first."""
        pieces = list(self._pieces)
        last: Mapping[str, Any] = {}
        if self._error is None and self._answer.done and pieces and self._manner.content_on_last:
            last = pieces.pop().message
        due = 0.0
        for number, (piece, said) in enumerate(zip(pieces, accumulate(one.tokens for one in pieces), strict=True)):
            due = self._pace.per_token * max(0, said - 1)
            yield self._line(number, due, piece.message, {"done": False})
        due = self.took
        if self._error is not None:
            yield Chunk(dumps(self._error) + b"\n", due)
        elif self._answer.done:
            if self._manner.tool_calls_on == "last" and self._calls and not self._cut:
                last = {**last, "tool_calls": self._calls}
            yield self._line(len(pieces), due, last, self._end())

    def whole(self) -> dict[str, Any]:
        """All of it in one object."""
        said = [piece.message for piece in self._pieces]
        calls = self._calls if not self._cut else [call for one in said for call in one.get("tool_calls", ())]
        message = {
            "role": "assistant",
            "content": "".join(one.get("content", "") for one in said),
            **without_zeros({"thinking": "".join(one.get("thinking", "") for one in said), "tool_calls": calls}),
        }
        end = self._end() if self._answer.done else {"done": False}
        head = {"model": self._manner.name, **self._manner.head, "created_at": stamp(self.took)}
        return {**head, "message": message, **end}

    def _say(self) -> Iterator[_Piece]:
        """What the model would say, was there no limit."""
        for field, text in (("thinking", self._answer.reasoning), ("content", self._answer.text)):
            if field == "thinking" and not self._manner.thinks:
                continue
            words, size = split_words(text), self._answer.tokens_per_chunk
            for start in range(0, len(words), size):
                group = words[start : start + size]
                yield _Piece({field: "".join(group)}, len(group))
        if self._manner.tool_calls_on == "line":
            for call in self._calls:
                yield _Piece({"tool_calls": [call]}, _cost(call))

    def _end(self) -> dict[str, Any]:
        """What the last line says beside its message."""
        answer, manner = self._answer, self._manner
        told = self._said + (sum(map(_cost, self._calls)) if manner.tool_calls_on == "last" and not self._cut else 0)
        read, said = manner.prompt_tokens, told
        if answer.counts:
            read, said = answer.counts.input_tokens, answer.counts.output_tokens
        counted = answer.usage != "none"
        reading = max(self._pace.first_token, _TOKEN * read)
        saying = max(self._pace.per_token * told, _TOKEN * said)
        # There is no reason for tool calls: they end as text does.
        reason = "length" if self._cut else (answer.finish_reason or "").replace("tool_calls", "stop")
        statistics = {
            "done_reason": reason,
            "total_duration": nanoseconds(manner.loading + reading + saying),
            "load_duration": nanoseconds(manner.loading),
            "prompt_eval_count": counted and read,
            "prompt_eval_duration": nanoseconds(reading),
            "eval_count": counted and said,
            "eval_duration": nanoseconds(saying),
        }
        return {"done": True, **without_zeros(statistics)}

    def _line(self, number: int, due: float, message: Mapping[str, Any], end: Mapping[str, Any]) -> Chunk:
        rest = dumps({"message": {**_EMPTY, **message}, **end})[1:]
        return Chunk(b'%s,"created_at":"%s",%s\n' % (self._opening, stamp(due + number * _LINE).encode(), rest), due)


_EMPTY: Mapping[str, Any] = {"role": "assistant", "content": ""}


def prompt_tokens(asked: Asked) -> int:
    """The honest count of a prompt, in words."""
    return sum(map(count_words, asked.texts))


def fitted(asked: Asked, num_ctx: int) -> int | None:
    """How many tokens of a prompt are left when the server has made it fit by itself, which it tells nobody.

    It drops the oldest messages, but neither the system's nor the last; None: those alone are too long.
    """
    counts = [
        (message.get("role"), count_words(text)) for message, text in zip(asked.messages, asked.texts, strict=True)
    ]
    left = sum(count for _, count in counts)
    for role, count in counts[:-1]:
        if left > num_ctx and role != "system":
            left -= count
    return left if left <= num_ctx else None


def _limited(pieces: list[_Piece], limit: int) -> tuple[list[_Piece], bool]:
    """The pieces that a limit of tokens allows, and whether there were more."""
    kept: list[_Piece] = []
    for piece in pieces:
        if piece.tokens <= limit:
            kept.append(piece)
            limit -= piece.tokens
            continue
        # A text can be cut anywhere, a tool call nowhere.
        texts = {field: text for field, text in piece.message.items() if isinstance(text, str)}
        cut = {field: "".join(split_words(text)[:limit]) for field, text in texts.items()}
        return ([*kept, _Piece(cut, limit)] if limit and cut else kept), True
    return kept, False


def _arguments(call: ToolCall) -> Mapping[str, Any] | None:
    """The arguments of a call as an object; None if they are none."""
    try:
        arguments = json.loads(call.arguments or "{}")
    except ValueError:
        return None
    return cast("dict[str, Any]", arguments) if isinstance(arguments, dict) else None


def _cost(call: Mapping[str, Any]) -> int:
    """Tokens of a call: the name, and a token for each eight bytes of arguments begun."""
    return 1 + -(-len(dumps(call["function"]["arguments"])) // 8)


def _words(error: Mapping[str, Any] | str) -> Mapping[str, Any]:
    """The line of an error: a mapping with an ``error`` is the line itself, any other has a message."""
    if isinstance(error, str):
        return {"error": error}
    return error if "error" in error else {"error": error.get("message", dumps(error).decode())}

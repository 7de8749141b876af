"""From the bytes of one stream to what a reader sees, in the many dialects of ``chat.completion.chunk``.

`ChatDecoder` is pure: bytes go in, `StreamEvent`s come out, and it knows what an answer needs to be whole. A chunk
that holds nothing but output, as nearly all do, takes a typed path in C; any other takes the tolerant one. Where the
typed path applies, both give the same events.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from pointsman import (
    Finished,
    PointsmanError,
    ReasoningDelta,
    Refused,
    ServerTimings,
    StreamBroken,
    StreamEvent,
    Target,
    Terminal,
    TextDelta,
)

from .bill import read_bill
from .errors import read_body, redact, words_of
from .quirks import Quirks
from .shapes import fields, items, number, string, valid
from .sse import Event, EventParser, EventTooLong
from .toolcalls import ToolCalls
from .usage import read_timings, read_usage, told_usage

_REASONS: Mapping[str, str] = {
    **{word: word for word in ("stop", "length", "tool_calls", "content_filter")},
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "end_turn": "stop",
    "max_tokens": "length",
    "max_length": "length",
    "model_length": "length",
    "tool_use": "tool_calls",
    "tool_call": "tool_calls",
    "function_call": "tool_calls",
    "content_filtered": "content_filter",
    "safety": "content_filter",
    "sensitive": "content_filter",
}
"""OpenAI's four, and other vendors' words for them, in any case. A word that is not here is passed on as it is."""

_FAILURES = frozenset(
    {
        *("error", "abort", "aborted", "cancelled", "failed", "timeout", "incomplete"),
        *("insufficient_system_resource", "network_error"),
    }
)
"""Words in the place of a finish reason that say that there is no whole answer (OpenRouter, vLLM, DeepSeek, Zhipu)."""


_THINKING = "analysis"
"""The channel on which gpt-oss thinks (OpenAI's "harmony" format); what it says to its user is on ``final``."""
_HEAD_BYTES = 64 * 1024
"""How much of a body without events is kept, to be read as an error."""
_SSE_FIELDS = (b":", b"data", b"event", b"id", b"retry")


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: Any = None
    channel: str | None = None
    refusal: None = None
    function_call: None = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta
    index: int = 0
    finish_reason: None = None
    error: None = None
    usage: None = None


class _PlainChunk(msgspec.Struct, gc=False):
    """A chunk of the common kind; what is typed None here must be absent or null, else the tolerant path decides."""

    choices: tuple[_Choice]
    error: None = None
    usage: None = None


_decode_plain: Callable[[bytes], _PlainChunk] = msgspec.json.Decoder(_PlainChunk).decode


class ChatDecoder:
    """One answer, from its bytes. `ready` holds what is to be read next; `failure` is raised once that is empty."""

    def __init__(
        self,
        target: Target,
        quirks: Quirks,
        complaint: Callable[[Any, bool], PointsmanError],
        secrets: Sequence[str] = (),
    ) -> None:
        """`complaint` makes an error of a decoded event, told whether output came before it.

        `secrets` are taken out of what the messages of errors quote.
        """
        self.ready: deque[StreamEvent] = deque()
        self.failure: PointsmanError | None = None
        self.over = False
        """Nothing more is to be read from the body."""
        self.done = False
        """``[DONE]`` has been seen."""
        self.served: str | None = None
        """What answers, where the response itself said so."""
        self._target = target
        self._terminal = quirks.terminal
        self._complaint = complaint
        self._secrets = secrets
        self._head: bytes | None = b""  # How the body begins, as long as no event came.
        self._parser = EventParser()
        self._tool_calls = ToolCalls()
        self._reason: str | None = None
        self._revoked: str | None = None  # A finish reason that output followed.
        self._told: dict[str, Any] = {}  # The last that counts.
        self._server: ServerTimings | None = None
        self._begun = False
        self._half = ""

    @property
    def proved(self) -> bool:
        """The terminal proof is in. More output revokes it, until the next finish reason or ``[DONE]``."""
        return self.done if self._terminal is Terminal.DONE_MARKER else self._reason is not None

    def feed(self, data: bytes) -> None:
        """Take more of the body."""
        try:
            events = self._parser.feed(data)
        except EventTooLong as error:
            self._break(str(error))
            return
        if self._head is not None:
            self._head = None if events else (self._head + data)[:_HEAD_BYTES]
        for event in events:
            name, payload = event
            try:
                (choice,) = _decode_plain(payload).choices
            except (ValueError, RecursionError):
                self._take(event)
                continue
            if name == "error" or choice.index or self.done or self.over or self._reason is not None:
                self._take(event)
                continue
            delta = choice.delta
            text, thought, also = delta.content, delta.reasoning, delta.reasoning_content
            if text and delta.channel == _THINKING:
                self._take(event)
                continue
            if thought or also:
                self._emit_thoughts(thought, also)
            if text:
                self._begun = True
                self.ready.append(TextDelta(text))
            if delta.tool_calls:
                self._emit_calls(delta.tool_calls)

    def feed_whole(self, body: bytes) -> None:
        """Take a body that is one JSON value: a ``chat.completion``, or an error in the place of one."""
        try:
            self._chunk(_load(body), "message")
        except (ValueError, RecursionError):
            self._break("the body is not JSON")
        self.end()

    def end(self, lost: Exception | None = None) -> None:
        """The body has ended, or the connection was `lost`. An answer that has its proof is whole either way."""
        for event in self._parser.rest():
            self._head = None
            self._take(event, whole=False)
        if self.over:
            return
        if not self.proved:
            how = f"the connection was lost ({words_of(lost)})" if lost else "the stream ended"
            self._break(redact(f"{how}, without {self._terminal.value}", self._secrets), lost, self._head)
        elif self._reason == "content_filter" and not self._begun:
            self._fail(Refused("the vendor's content filter declined to answer", target=self._target))
        else:
            self.over = True
            self.ready.append(self._finished(self._reason or "done"))

    def _finished(self, reason: str) -> Finished:
        return Finished(reason, read_usage(self._told), read_bill(self._told), self._server, self.served)

    def _take(self, event: Event, *, whole: bool = True) -> None:
        """The tolerant path. An event that is not `whole`, since the body ended in it, may be cut."""
        name, payload = event
        if self.over:
            return
        if payload.strip() == b"[DONE]":
            self.done = True
            self._reason = self._reason or self._revoked
            if not self.proved:
                self.end()
            return
        try:
            value = _load(payload)
        except (ValueError, RecursionError):
            if whole and not self.proved:
                self._break(f"an event is not JSON: {redact(payload.decode(errors='replace'), self._secrets)[:80]!r}")
            return
        if name == "error":
            self._complain(value)
        else:
            self._chunk(value, "delta")

    def _chunk(self, value: Any, part: str) -> None:
        chunk = fields(value)
        if "usage" in chunk or "timings" in chunk or "x_groq" in chunk:
            self._count(told_usage(chunk))
            self._server = read_timings(chunk) or self._server
        if chunk.get("error") or chunk.get("object") == "error":
            self._complain(chunk)
            return
        for choice in map(fields, items(chunk.get("choices"))):
            if not (number(choice.get("index")) or self.over):
                self._choice(choice, part)

    def _count(self, told: dict[str, Any]) -> None:
        """Read at the end, since some servers count with every token. Others send zeros or nulls besides."""
        if told.get("prompt_tokens") or told.get("input_tokens"):
            self._told = told

    def _choice(self, choice: dict[str, Any], part: str) -> None:
        if "usage" in choice:  # Moonshot counts here.
            self._count(fields(choice["usage"]))
        if not self.done:
            self._output(choice, part)
        if self.over:
            return
        reason = string(choice.get("finish_reason")).strip()
        word = reason.lower()
        if choice.get("error") or word in _FAILURES:
            self._complain(choice if choice.get("error") else {"message": f"the vendor gave up: {word}"})
        elif word:
            self._reason = _REASONS.get(word, reason)

    def _output(self, choice: dict[str, Any], part: str) -> None:
        delta = choice.get(part)
        if delta is None:  # A whole message in a stream, or the text of the old completions.
            delta = choice.get("message")
        if delta is None:
            delta = {"content": choice.get("text")}
        count = len(self.ready)
        try:
            if delta and not isinstance(delta, dict):
                raise _UnknownContentError(type(delta).__name__)
            self._delta(fields(delta))
        except _UnknownContentError as unknown:
            self._revoke()
            self._break(f"the answer holds content of an unknown kind ({unknown})")
        else:
            if len(self.ready) > count:
                self._revoke()

    def _revoke(self) -> None:
        """Output that follows a finish reason shows that it was not the last."""
        if self._terminal is not Terminal.DONE_MARKER:
            self._reason, self._revoked = None, self._reason or self._revoked

    def _delta(self, delta: dict[str, Any]) -> None:
        text, thoughts = _content(delta.get("content"))
        if delta.get("channel") == _THINKING and not (delta.get("reasoning") or delta.get("reasoning_content")):
            text, thoughts = "", valid(text) + thoughts
        if thoughts or delta.get("reasoning") or delta.get("reasoning_content"):
            self._emit_thoughts(string(delta.get("reasoning")) or thoughts, string(delta.get("reasoning_content")))
        if text or delta.get("refusal"):
            text = self._mended(text + string(delta.get("refusal")))
            if text:
                self._begun = True
                self.ready.append(TextDelta(text))
        if calls := delta.get("tool_calls"):
            self._emit_calls(calls)
        elif call := delta.get("function_call"):
            self._emit_calls({"index": 0, "function": call})

    def _emit_calls(self, value: Any) -> None:
        if calls := self._tool_calls.read(value):
            self._begun = True
            self.ready.extend(calls)

    def _emit_thoughts(self, one: str | None, other: str | None) -> None:
        """Reasoning, which some servers send under two names at once."""
        for thought in (one, other if other != one else None):
            if thought:
                self._begun = True
                self.ready.append(ReasoningDelta(thought))

    def _mended(self, text: str) -> str:
        """`text` without halves of characters: servers that think in UTF-16 may cut a pair between two chunks."""
        if self._half and "\udc00" <= text[:1] <= "\udfff":
            text = self._half + text
        self._half = ""
        if "\ud800" <= text[-1:] <= "\udbff":
            self._half, text = text[-1], text[:-1]
        return valid(text)

    def _complain(self, value: Any) -> None:
        if self.proved:
            self.end()
            return
        error = self._complaint(value, self._begun)
        if self._begun and isinstance(error, Refused):
            self.ready.append(self._finished("content_filter"))
            self.over = True
        else:
            self._fail(error)

    def _break(self, message: str, cause: Exception | None = None, head: bytes | None = None) -> None:
        """The answer is no more. `head` is the body as far as it is known, if it holds no event: perhaps an error."""
        if self.proved:
            self.end()
            return
        error: PointsmanError | None = None
        if head and not head.lstrip().lower().startswith(_SSE_FIELDS) and (said := read_body(head)).message:
            try:
                error = self._complaint(_load(head), False)
            except (ValueError, RecursionError):
                message = f"{message}; the body is {redact(said.message, self._secrets)[:200]!r}"
        error = error or StreamBroken(message, target=self._target)
        error.__cause__ = cause
        self._fail(error)

    def _fail(self, error: PointsmanError) -> None:
        self.failure = error
        self.over = True


def _load(payload: bytes) -> Any:
    """JSON, strictly if possible; else with what msgspec refuses: NaN, huge numbers, bad UTF-8, half characters."""
    try:
        return msgspec.json.decode(payload)
    except (ValueError, RecursionError):
        return json.loads(payload.decode(errors="replace"), strict=False)


class _UnknownContentError(ValueError):
    """Content that would be lost, since nobody can tell what it is."""


def _content(value: Any) -> tuple[str, str]:
    """Text and reasoning in ``content``: a string, a typed part, or a list of both (Mistral).

    Parts of types other than text, such as references, are left out. Raises `_UnknownContentError` for the rest.
    """
    if isinstance(value, str):
        return value, ""
    if value is None:
        return "", ""
    if not isinstance(value, list | dict):
        raise _UnknownContentError(type(value).__name__)
    text = thoughts = ""
    for part in items(value) or [value]:
        if isinstance(part, str):
            text += part
            continue
        known = fields(part)
        said = known.get("text")
        if part and (
            not known
            or (said is not None and not isinstance(said, str))
            or not ("text" in known or "thinking" in known or string(known.get("type")))
        ):
            raise _UnknownContentError(f"a part of type {type(part).__name__}")
        thoughts += "".join(_content(known.get("thinking")))
        text += said or ""
    return text, valid(thoughts)

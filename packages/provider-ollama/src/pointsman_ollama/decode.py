"""From the bytes of one ``/api/chat`` answer to what a reader sees: one JSON object a line, the last with ``done``.

`ChatDecoder` is pure: bytes go in, `StreamEvent`s come out. A line that holds nothing but text or thoughts, as nearly
all do, takes a typed path in C; any other takes the tolerant one. Where the typed path applies, both give the same.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import msgspec

from pointsman import (
    Finished,
    PointsmanError,
    ReasoningDelta,
    ServerTimings,
    StreamBroken,
    StreamEvent,
    Target,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from pointsman_openai import fields, items, redact, string, valid, words_of

from .lines import LineSplitter, LineTooLong

_NANOSECONDS = 1e9


class _Said(msgspec.Struct, gc=False):
    content: str = ""
    thinking: str = ""
    tool_calls: None = None


class _PlainLine(msgspec.Struct, gc=False):
    """A line of the common kind; what is typed None here must be absent or null, else the tolerant path decides."""

    message: _Said
    done: bool = False
    done_reason: None = None
    error: None = None
    remote_host: str = ""


_decode_plain: Callable[[bytes], _PlainLine] = msgspec.json.Decoder(_PlainLine).decode


class ChatDecoder:
    """One answer, from its bytes. `ready` holds what is to be read next; `failure` is raised once that is empty.

    A whole answer has a line with ``done: true``; what that line says besides is read first, what follows it is not
    read at all. It counts once it is whole: its newline came, or the body ended cleanly behind it. The MLX backends end
    with a ``done_reason`` and no ``done``, which is taken for the end if nothing but a clean end of the body follows.

    Ollama has no finish reason for tool calls: ``stop`` after any becomes ``tool_calls``. ``load`` and ``unload``
    answer a request without messages, and are passed on, as is every other word; without one the reason is ``done``.
    """

    def __init__(
        self,
        target: Target,
        complaint: Callable[[Any, bool], PointsmanError],
        secrets: tuple[str, ...] = (),
        new_id: Callable[[], str] = lambda: f"call_{uuid4().hex[:8]}",
        on_remote: Callable[[], None] = lambda: None,
        on_load: Callable[[float], None] = lambda _: None,
    ) -> None:
        """`complaint` makes an error of a line that holds one, told whether output came before it.

        `secrets` are taken out of what messages of errors quote; `new_id` names tool calls that have no id. `on_remote`
        is called once if the answer says that it comes from elsewhere, `on_load` with the seconds of loading.
        """
        self.ready: deque[StreamEvent] = deque()
        self.failure: PointsmanError | None = None
        self.over = False
        """Nothing more is to be read from the body."""
        self.done = False
        """The line with ``done: true`` has been seen."""
        self._target = target
        self._complaint = complaint
        self._secrets = secrets
        self._new_id = new_id
        self._on_remote = on_remote
        self._on_load = on_load
        self._remote = False
        self._lines = LineSplitter()
        self._calls = 0
        self._begun = False
        self._finish: Finished | None = None

    @property
    def proved(self) -> bool:
        """The answer is whole, however the body may end."""
        return self.done

    def feed(self, data: bytes) -> None:
        """Take more of the body."""
        if self.over or self.done:
            return
        try:
            lines = self._lines.feed(data)
        except LineTooLong as error:
            self._break(str(error))
        else:
            self._read(lines)

    def _read(self, lines: list[bytes]) -> None:
        for line in lines:
            try:
                plain = _decode_plain(line)
            except (ValueError, RecursionError):
                self._take(line)
            else:
                if plain.done or self._finish is not None:
                    self._take(line)
                else:
                    if plain.remote_host and not self._remote:
                        self._is_remote()
                    said = plain.message
                    if said.thinking:
                        self._begun = True
                        self.ready.append(ReasoningDelta(said.thinking))
                    if said.content:
                        self._begun = True
                        self.ready.append(TextDelta(said.content))
            if self.done or self.over:
                return

    def end(self, lost: Exception | None = None) -> None:
        """The body has ended, or the connection was `lost`. An answer that has its proof is whole either way."""
        if not (self.over or self.done):
            self._end_inside(self._lines.rest(), lost)
        if self.over:
            return
        if self._finish is not None and (self.done or lost is None):
            self.over = True
            self.ready.append(self._finish)
            return
        how = f"the connection was lost ({words_of(lost)})" if lost else "the stream ended"
        self._break(f"{how}, without a line that says done: true", lost)

    def _end_inside(self, rest: bytes, lost: Exception | None) -> None:
        """What came after the last newline: an error may have none, and neither need the last line of a clean end."""
        if not rest.strip():
            return
        try:
            value = _load(rest)
        except (ValueError, RecursionError):
            how = f"the connection was lost ({words_of(lost)})" if lost else "the stream ended"
            self._break(f"{how} within a line: {self._quoted(rest)}", lost)
            return
        if lost is None or (isinstance(value, dict) and "error" in value):
            self._value(value, rest)

    def _take(self, line: bytes) -> None:
        """The tolerant path."""
        if not line.strip():
            return
        try:
            value = _load(line)
        except (ValueError, RecursionError):
            self._break(f"a line is not JSON: {self._quoted(line)}")
        else:
            self._value(value, line)

    def _value(self, value: Any, line: bytes) -> None:
        if not isinstance(value, dict):
            self._break(f"a line is not an object: {self._quoted(line)}")
            return
        told = fields(value)
        if told.get("error") or ("error" in told and "message" not in told):
            self._fail(self._complaint(told, self._begun))
            return
        if (told.get("remote_host") or told.get("remote_model")) and not self._remote:
            self._is_remote()
        message = told.get("message")
        count = len(self.ready)
        if message is not None and not (isinstance(message, dict) and self._message(fields(message))):
            self._break(f"a line holds a message of an unknown kind: {self._quoted(line)}")
            return
        if len(self.ready) > count:
            self._begun = True
            self._finish = None  # Output that follows a reason shows that it was not the last.
        if told.get("done") is True:
            self.done = True
        if self.done or string(told.get("done_reason")):
            self._finish = self._finished(told)

    def _message(self, message: dict[str, Any]) -> bool:
        """Emit what the message says, in the order in which models say it. False if it holds what nobody can read."""
        thinking, content, calls = message.get("thinking"), message.get("content"), message.get("tool_calls")
        for text in (thinking, content):
            if not (text is None or isinstance(text, str)):
                return False
        if thinking:
            self.ready.append(ReasoningDelta(valid(thinking)))
        if content:
            self.ready.append(TextDelta(valid(content)))
        if calls is None:
            return True
        return isinstance(calls, list) and all(map(self._call, items(calls)))

    def _call(self, call: Any) -> bool:
        """A call comes whole. Its own ``index`` is not used: it may be 0 for each of several lines."""
        function = fields(fields(call).get("function"))
        name, arguments = string(function.get("name")), function.get("arguments")
        if not name:
            return False
        if isinstance(arguments, str):  # Not Ollama's way, but there are other servers with its API.
            text = arguments
        elif arguments is None or isinstance(arguments, dict):
            try:
                text = json.dumps(arguments or {}, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            except ValueError:  # NaN, or a number beyond all floats: JSON has no word for what was read.
                return False
        else:
            return False
        call_id = string(fields(call).get("id")) or self._new_id()
        self.ready.append(ToolCallDelta(self._calls, call_id, name, valid(text)))
        self._calls += 1
        return True

    def _finished(self, told: dict[str, Any]) -> Finished:
        reason = string(told.get("done_reason")) or "done"
        if self._calls and reason in ("stop", "done"):
            reason = "tool_calls"
        asked, answered = _count(told.get("prompt_eval_count")), _count(told.get("eval_count"))
        if answered is None and not self._begun:
            answered = 0  # A count of 0 is left out, as is one that is not known.
        cached = _count(told.get("prompt_eval_cached_count")) or 0  # Left out by servers that do not tell.
        usage = Usage.read(input_tokens=asked, output_tokens=answered, cached_input_tokens=cached)
        timings = ServerTimings(
            load=_seconds(told.get("load_duration")),
            prompt=_seconds(told.get("prompt_eval_duration")),
            output=_seconds(told.get("eval_duration")),
            total=_seconds(told.get("total_duration")),
        )
        if timings.load is not None:
            self._on_load(timings.load)
        return Finished(reason, usage, server=None if timings == ServerTimings() else timings)

    def _is_remote(self) -> None:
        self._remote = True
        self._on_remote()

    def _break(self, message: str, cause: Exception | None = None) -> None:
        error = StreamBroken(redact(message, self._secrets), target=self._target)
        error.__cause__ = cause
        self._fail(error)

    def _fail(self, error: PointsmanError) -> None:
        self.failure = error
        self.over = True

    def _quoted(self, data: bytes) -> str:
        return repr(redact(data[:4096].decode(errors="replace"), self._secrets)[:80])


def _load(line: bytes) -> Any:
    """JSON with integers of any size, as tool calls may hold them, and whatever else of it can be read."""
    return json.loads(line.decode(errors="replace"), strict=False)


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _seconds(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    seconds = value / _NANOSECONDS if abs(value) < 1e24 else math.inf
    return seconds if 0 <= seconds < math.inf else None

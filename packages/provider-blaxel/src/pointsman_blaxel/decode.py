"""From the bytes of an agent's answer to what a reader sees, in whatever form it comes. Pure.

Bare text is passed on as it is, in as few pieces as it arrives in. An agent's stream has no last event and no count of
tokens: that it is whole is shown by the end of the body alone, if the body has a length, or chunks of which one is the
last. A body that only stops proves nothing.
"""

from __future__ import annotations

import codecs
from collections import deque
from typing import Protocol

from pointsman import ConfigError, Finished, PointsmanError, Scope, StreamBroken, StreamEvent, Target, TextDelta
from pointsman_openai import redact, shortened, valid, words_of

from .agent_config import AgentConfig
from .events import Lines, ServerSentEvents
from .forms import MOST_HELD, Form, form_of, is_json, loaded
from .said import keys_of, said
from .tail import Tail

_UNPROVED = "the answer has no length and ended with its connection, so it may be cut off"


class _Reader(Protocol):
    def feed(self, data: bytes) -> None:
        """Tell what is surely text by now. What is held back is never told, if the connection is lost."""
        ...

    def end(self) -> None:
        """The body is whole."""
        ...


class AgentDecoder:
    """One answer. `ready` holds what is to be read next; `failure` is raised once that is empty."""

    def __init__(
        self,
        target: Target,
        config: AgentConfig,
        *,
        kind: str = "",
        bounded: bool = True,
        secrets: tuple[str, ...] = (),
    ) -> None:
        """`kind` is the media type that the header claims, `bounded` whether the body has a length.

        `secrets` are taken out of what messages of errors quote.
        """
        self.ready: deque[StreamEvent] = deque()
        self.failure: PointsmanError | None = None
        self.over = False
        """Nothing more is to be read from the body."""
        self.done = False
        self.proved = False  # Nothing but the end of the body proves anything.
        self._target = target
        self._config = config
        self._kind = kind
        self._bounded = bounded
        self._secrets = secrets
        self._head = bytearray()
        self._reader = None if config.form == "auto" else self._read_as(config.form)
        self._reason = "stop"
        self._found = False
        """There was text, if only an empty one, where it was looked for."""
        self._unread = ""
        """What a value has that holds no text where it was looked for."""

    def feed(self, data: bytes) -> None:
        """Take more of the body."""
        if self.over or not data:
            return
        if self._reader is not None:
            self._reader.feed(data)
            return
        self._head += data
        # What follows the first bytes tells something new only where a line ends.
        if len(self._head) - len(data) <= 64 or b"\n" in data or b"\r" in data:
            form = form_of(bytes(self._head), self._kind, ended=False)
            if form is not None:
                self._begin(form)
                return
        if len(self._head) > MOST_HELD:
            self.break_off(f"its form is not known after {MOST_HELD} bytes: set `form`")

    def end(self, lost: Exception | None = None) -> None:
        """The body has ended, or the connection was `lost`."""
        if self.over:
            return
        if lost is not None or not self._bounded:
            how = f"the connection was lost ({words_of(lost)}) before the answer was whole" if lost else _UNPROVED
            self.break_off(how, lost)
            return
        if self._reader is None:
            form = form_of(bytes(self._head), self._kind, ended=True)
            self._begin(form or "text")
        if self._reader is not None and not self.over:
            self._reader.end()
        if not self.over and self._unread and not self._found:
            self._fail(self._lacking())
        if not self.over:
            self.over = self.done = True
            self.ready.append(Finished(self._reason))

    # For readers ------------------------------------------------------------------------------------------------------

    def tell(self, text: str) -> None:
        """Text of the answer."""
        if text and not self.over:
            self._found = True
            self.ready.append(TextDelta(text))

    def value(self, value: object, *, alone: str | None = None) -> None:
        """A JSON value of the answer: an event of many, or, `alone`, all that there is, with its text."""
        found = said(value, self._config.output)
        self._reason = found.reason or self._reason
        if found.error is not None:
            self.break_off(f"the agent says that it failed: {found.error}")
        elif found.text is not None:
            self._found = True
            self.tell(found.text)
        elif alone is None or self._config.output:
            self._unread = self._unread or keys_of(value)
        else:
            self.tell("" if value is None else valid(value) if isinstance(value, str) else alone)

    def break_off(self, message: str, cause: Exception | None = None) -> None:
        """There will be no whole answer."""
        error = StreamBroken(shortened(" ".join(redact(message, self._secrets).split())), target=self._target)
        error.__cause__ = cause
        self._fail(error)

    # ------------------------------------------------------------------------------------------------------------------

    def _begin(self, form: Form) -> None:
        self._reader = self._read_as(form)
        head, self._head = bytes(self._head), bytearray()
        self._reader.feed(head)

    def _read_as(self, form: Form) -> _Reader:
        match form:
            case "text":
                return _Text(self, with_tail=self._config.error_tail)
            case "json":
                return _Whole(self, self._kind, _Text(self, with_tail=self._config.error_tail))
            case "lines":
                return Lines(self)
            case "sse":
                return ServerSentEvents(self)

    def _lacking(self) -> PointsmanError:
        name = self._target.model.removeprefix("agent:")
        where = f"`output` says {self._config.output!r}" if self._config.output else "none of the usual names is in it"
        has = shortened(redact(self._unread, self._secrets))
        message = f"no text was found in the answer: {where}, and it has {has}; set agents.{name}.output"
        return ConfigError(message, target=self._target, scope=Scope.TARGET, begun=True)

    def _fail(self, error: PointsmanError) -> None:
        if not self.over:  # The first says it.
            self.failure = error
            self.over = True


class _Text:
    """Bare text, as it comes."""

    def __init__(self, out: AgentDecoder, *, with_tail: bool) -> None:
        self._out = out
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._tail = Tail() if with_tail else None

    def feed(self, data: bytes) -> None:
        self._say(self._decoder.decode(data))

    def end(self) -> None:
        self._say(self._decoder.decode(b"", final=True))
        if self._tail is not None:
            rest, error = self._tail.end()
            self._out.tell(rest)
            if error:
                self._out.break_off(f"the agent failed: {error.partition(chr(10))[0]}")

    def _say(self, text: str) -> None:
        self._out.tell(self._tail.feed(text) if self._tail is not None and text else text)


class _Whole:
    """One JSON value; bare text after all, if it is none."""

    def __init__(self, out: AgentDecoder, kind: str, text: _Text) -> None:
        self._out = out
        self._kind = kind
        self._text = text
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        if self._size > MOST_HELD:
            self._out.break_off(f"the answer is one value of more than {MOST_HELD} bytes")

    def end(self) -> None:
        data = b"".join(self._parts)
        text = data.decode(errors="replace")
        try:
            value = loaded(text.removeprefix("\ufeff"))
        except ValueError:
            self._text.feed(data)
            self._text.end()
        else:
            self._out.value(value, alone=text.strip() if is_json(self._kind) else text)

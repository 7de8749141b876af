"""Answers of many events: a JSON value a line, or server-sent events. Pure."""

from __future__ import annotations

from typing import Protocol

from pointsman_openai import fields, valid

from .forms import loaded
from .said import words

MOST_BYTES = 8 * 1024 * 1024
"""Of one event."""
_TOO_LONG = f"an event of the answer is longer than {MOST_BYTES} bytes"
_DONE = "[DONE]"


class Out(Protocol):
    """What is told of an answer (`decode.AgentDecoder`)."""

    def tell(self, text: str) -> None: ...
    def value(self, value: object) -> None: ...
    def break_off(self, message: str) -> None: ...


class Lines:
    """A JSON value a line. A line that is none is text, with its end: nothing is lost of a program's own words."""

    def __init__(self, out: Out) -> None:
        self._out = out
        self._rest = _Rest(out)

    def feed(self, data: bytes) -> None:
        if b"\n" not in data:
            self._rest.keep(data)
            return
        *lines, last = (self._rest.take() + data).split(b"\n")
        for line in lines:
            self._line(line, "\n")
        self._rest.keep(last)

    def end(self) -> None:
        self._line(self._rest.take(), "")

    def _line(self, line: bytes, newline: str) -> None:
        text = line.decode(errors="replace")
        if not text.strip():
            return
        try:
            value = loaded(text.removeprefix("\ufeff"))
        except ValueError:
            self._out.tell(text + newline)
        else:
            if fields(value):
                self._out.value(fields(value))
            else:
                self._out.tell(text + newline)


class ServerSentEvents:
    """``data:`` and the rest, as in the WHATWG HTML standard, and as careless servers write it.

    Events that no blank line divides are told apart if each is an object on its line. A line that is no field belongs
    to the data: its server has not marked it. Data that is no JSON is text, and from then on all data is. ``[DONE]``
    ends what is said, and proves nothing.
    """

    def __init__(self, out: Out) -> None:
        self._out = out
        self._rest = _Rest(out)
        self._name = ""
        self._data: list[str] = []
        self._size = 0
        self._plain = False
        self._done = False
        self._begun = False

    def feed(self, data: bytes) -> None:
        if self._begun and b"\n" not in data and b"\r" not in data and not self._rest.ends_with(b"\r"):
            self._rest.keep(data)
            return
        data = self._rest.take() + data
        if not self._begun:
            data, self._begun = data.removeprefix(b"\xef\xbb\xbf"), True
        ends = data.endswith(b"\r")  # Perhaps half of a line's end.
        lines = (data[:-1] if ends else data).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        last = lines.pop()
        for line in lines:
            self._line(line.decode(errors="replace"))
        self._rest.keep(last + b"\r" if ends else last)

    def end(self) -> None:
        """What a last event lacks is its blank line; many servers do without."""
        rest = self._rest.take().removesuffix(b"\r")
        if rest:
            self._line(rest.decode(errors="replace"))
        self._dispatch()

    def _line(self, line: str) -> None:
        if self._done:
            return
        if not line:
            self._dispatch()
            return
        name, colon, value = line.partition(":")
        value = value.removeprefix(" ")
        if not name and colon:
            return
        if name == "data":
            if not self._data and not self._plain and value[:1] == "{" and self._is_value(value):
                self._dispatch(value)
            else:
                self._hold(value)
        elif name == "event":
            self._name = value
        elif name not in ("id", "retry"):
            self._hold(line)

    def _hold(self, line: str) -> None:
        self._data.append(line)
        self._size += len(line) + 1
        if self._size > MOST_BYTES:
            self._out.break_off(_TOO_LONG)

    def _is_value(self, text: str) -> bool:
        try:
            loaded(text)
        except ValueError:
            return False
        return True

    def _dispatch(self, text: str | None = None) -> None:
        data = "\n".join(self._data) if text is None else text
        held = text is None and bool(self._data)
        self._data.clear()
        self._size = 0
        name = self._name
        if text is None:
            self._name = ""
        if text is None and not held:
            return
        if data.strip() == _DONE:
            self._done = True
        elif self._plain:
            self._out.tell(data)
        else:
            self._value(name, data)

    def _value(self, name: str, data: str) -> None:
        try:
            values = [loaded(data)]
        except ValueError:
            try:
                values = [loaded(line) for line in data.split("\n")]
                if not all(isinstance(value, dict) for value in values):
                    raise ValueError("lines of text, some of which happen to be JSON")
            except ValueError:
                if name == "error":
                    self._out.break_off(f"the agent says that it failed: {data}")
                    return
                self._plain = True
                self._out.tell(data)
                return
        for value in values:
            if name == "error":
                message = words(fields(value).get("error")) or words(value) or data
                self._out.break_off(f"the agent says that it failed: {message}")
            elif isinstance(value, dict):
                self._out.value(fields(value))
            else:
                self._out.tell(valid(value) if isinstance(value, str) else data)


class _Rest:
    """The bytes of a line that has not ended."""

    def __init__(self, out: Out) -> None:
        self._out = out
        self._bytes = bytearray()

    def take(self) -> bytes:
        held, self._bytes = bytes(self._bytes), bytearray()
        return held

    def ends_with(self, end: bytes) -> bool:
        return self._bytes.endswith(end)

    def keep(self, data: bytes) -> None:
        """More of it. Only where it may have ended is all of it looked at again."""
        self._bytes += data
        if len(self._bytes) > MOST_BYTES:
            self._out.break_off(_TOO_LONG)

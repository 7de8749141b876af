"""Server-sent events, from bytes that may be cut anywhere: the format alone, without I/O and without JSON.

As in the WHATWG HTML standard, section 9.2.6, with one difference: an event that the end of the body cuts short is
handed out by `rest` instead of being dropped, because many servers leave out the last blank line. Whoever asks for
the rest must be able to tell a whole payload from half a one.
"""

from __future__ import annotations

from typing import TypeAlias

Event: TypeAlias = tuple[str, bytes]
"""The event's name (empty where it has none) and its data."""

MAX_EVENT_BYTES = 8 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


class EventTooLong(ValueError):
    """An event exceeds the size limit."""


class EventParser:
    """Cuts a body into events as its bytes arrive. Linear in the number of bytes, however they are split."""

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max = max_event_bytes
        self._held: list[bytes] = []  # The unfinished event, in the pieces in which it came.
        self._size = 0
        self._started = False
        self._after_cr = False

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes. Raises `EventTooLong` if none ends within the limit."""
        if not self._started:
            data = self._without_bom(data)
        if self._after_cr or b"\r" in data:
            data = self._with_newlines(data)
        if not self._held and data[:6] == b"data: " and data[-1:] == b"\n" and data.find(b"\n") == len(data) - 2 > 6:
            return [("", data[6:-2])]  # What most servers send at a time: one event, whole, on one line.
        return self._split(data)

    def rest(self) -> list[Event]:
        """The event that the end of the body cut short, if there is one."""
        held = b"".join(self._held)
        self._held, self._size = [], 0
        event = _event(held) if held else None
        return [event] if event else []

    def _split(self, data: bytes) -> list[Event]:
        if b"\n\n" not in data and not (self._held and self._held[-1].endswith(b"\n") and data.startswith(b"\n")):
            self._hold(data)
            return []
        blocks = b"".join((*self._held, data)).split(b"\n\n")
        self._held, self._size = [], 0
        self._hold(blocks.pop())
        return [event for block in blocks if (event := _event(block))]

    def _hold(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._max:
            raise EventTooLong(f"an event is longer than {self._max} bytes")
        if data:
            self._held.append(data)

    def _without_bom(self, data: bytes) -> bytes:
        data = b"".join((*self._held, data))
        self._held, self._size = [], 0
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._hold(data)
            return b""
        self._started = True
        return data.removeprefix(_BOM)

    def _with_newlines(self, data: bytes) -> bytes:
        """`data` with CRLF and CR as LF; a CRLF may be cut in the middle."""
        if not data:
            return data
        after_cr, self._after_cr = self._after_cr, data.endswith(b"\r")
        if after_cr:
            data = data.removeprefix(b"\n")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _event(block: bytes) -> Event | None:
    """The event in `block`, which has no blank line but perhaps its first; None if it is only comments."""
    if b"\n" not in block and block.startswith(b"data: "):
        return ("", block[6:]) if len(block) > 6 else None
    name, data = "", list[bytes]()
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ").decode(errors="replace")
    joined = b"\n".join(data)
    return (name, joined) if joined else None

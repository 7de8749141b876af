"""Lines of a body, as bytes."""

from __future__ import annotations

LONGEST_LINE = 8 * 1024 * 1024
"""Bytes: what Ollama's own Go client takes."""


class LineTooLong(Exception):
    """A line without an end in sight."""


class LineSplitter:
    r"""Divides a body at ``\n`` and nowhere else.

    What makes a line for `str.splitlines`, and so for ``aiter_lines`` of httpx, may stand in a JSON string: Go escapes
    U+2028 and U+2029, but writes U+0085 as it is.
    """

    def __init__(self, longest: int = LONGEST_LINE) -> None:
        self._longest = longest
        self._parts: list[bytes] = []  # Of a line that is not whole; joined once, however many reads it takes.
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, without their ends. Raises `LineTooLong`."""
        if b"\n" not in data:
            self._keep(data)
            return []
        lines = data.split(b"\n")
        if self._parts:
            lines[0] = b"".join((*self._parts, lines[0]))
            self._parts, self._size = [], 0
        if rest := lines.pop():
            self._keep(rest)
        if len(lines[0]) > self._longest:  # The others are within one read.
            raise LineTooLong(f"a line is longer than {self._longest} bytes")
        return lines

    def rest(self) -> bytes:
        r"""What came after the last ``\n``; it is not given again."""
        rest = b"".join(self._parts)
        self._parts, self._size = [], 0
        return rest

    def _keep(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        if self._size > self._longest:
            raise LineTooLong(f"a line is longer than {self._longest} bytes")

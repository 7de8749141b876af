"""Text that arrives in pieces, broken between words as it goes."""

from __future__ import annotations

import re
from collections.abc import Callable

_PIECE = re.compile(r"\n| +|[^ \n]+")


class Flow:
    """Writes text behind `margin`, in lines of at most `width` columns. Words longer than that are left alone."""

    def __init__(self, write: Callable[[str], None], width: int, margin: str = "") -> None:
        self._write = write
        self._width = width
        self._margin = margin
        self._column = 0
        self._space = ""
        """Spaces that are written once a word follows in the same line."""

    def put(self, text: str) -> None:
        """More text. What it ends with is on the screen at once."""
        written: list[str] = []
        for piece in _PIECE.findall(text):
            if piece == "\n":
                written.append("\n")
                self._column, self._space = 0, ""
            elif piece.isspace():
                self._space += piece
            else:
                if self._column and self._space and self._column + len(self._space) + len(piece) > self._width:
                    written.append("\n")
                    self._column, self._space = 0, ""
                if not self._column:
                    self._space = self._margin + self._space
                written.append(self._space + piece)
                self._column += len(self._space) + len(piece)
                self._space = ""
        self._write("".join(written))

    def end(self) -> None:
        """End the line, if one is begun."""
        if self._column:
            self._write("\n")
        self._column, self._space = 0, ""

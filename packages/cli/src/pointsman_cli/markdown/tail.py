"""The text of a block that has not ended: on the screen as it comes, and able to be taken off it again."""

from __future__ import annotations

import re
from collections.abc import Callable

_PIECE = re.compile(r"\n| +|[^ \n]+")


class Tail:
    """Writes text in rows of at most `columns` cells, broken by us: so we know how many there are.

    `cells` measures a text. The terminal must be wider than `columns`, lest it break a row that is just full.
    """

    def __init__(self, write: Callable[[str], None], columns: int, cells: Callable[[str], int]) -> None:
        self._write = write
        self._columns = columns
        self._cells = cells
        self.rows: list[str] = [""]
        """What stands on the screen."""
        self._line = 0
        """Which of them the last line of the text begins with."""
        self._column = 0
        self._word = ""
        """What the last row ends with, if more of the same word may follow."""
        self._space = ""
        """Spaces that are written once a word follows in the same row."""

    def put(self, text: str) -> None:
        """More text. All but spaces at its end is on the screen at once."""
        made: list[str] = []
        for piece in _PIECE.findall(text.replace("\t", "    ")):
            if piece == "\n":
                self._break(made)
                self._line = len(self.rows) - 1
            elif piece[0] == " ":
                self._space += piece
                self._word = ""
            else:
                self._put_word(piece, made)
        if made:
            self._write("".join(made))

    def erase(self) -> None:
        """Take all of it off the screen; what is written next stands where it began."""
        above = len(self.rows) - 1
        if above or self._column:
            self._write("\r" + (f"\x1b[{above}A" if above else "") + "\x1b[J")
        self.forget()

    def keep_line(self) -> None:
        """Leave all but the last line of the text where it is."""
        self.rows = self.rows[self._line :]
        self._line = 0

    def forget(self) -> None:
        """Leave it where it is, and begin anew."""
        self.rows = [""]
        self._line = 0
        self._column, self._word, self._space = 0, "", ""

    def _put_word(self, piece: str, made: list[str]) -> None:
        size = self._cells(piece)
        if self._space or not self._word:
            if self._column and self._column + len(self._space) + size > self._columns:
                self._break(made)
            spaces = self._space[: max(self._columns - 1, 0)]
            self._space = ""
            self._append(spaces, len(spaces), made)
            self._word = ""
        elif self._column + size > self._columns:
            begun = self._cells(self._word)
            if begun < self._column and begun + size <= self._columns:
                # The word has outgrown the row: it moves to the next.
                word = self._word
                self.rows[-1] = self.rows[-1][: -len(word)].rstrip(" ")
                made.append(f"\x1b[{begun}D\x1b[K")
                self._break(made)
                self._append(word, begun, made)
                self._word = word
        word = self._word + piece
        if self._column + size <= self._columns:
            self._append(piece, size, made)
        else:
            for letter in piece:  # A word that is longer than a row.
                wide = self._cells(letter)
                if self._column + wide > self._columns and self._column:
                    self._break(made)
                    word = ""
                self._append(letter, wide, made)
                word += letter
        self._word = word

    def _append(self, text: str, size: int, made: list[str]) -> None:
        made.append(text)
        self.rows[-1] += text
        self._column += size

    def _break(self, made: list[str]) -> None:
        made.append("\n")
        self.rows.append("")
        self._column, self._word, self._space = 0, "", ""

"""Markdown that arrives in pieces, cut into blocks that can be shown each by itself, once it is whole.

Only where to cut is decided here; what stands in a block is read by whoever renders it. Nothing is lost or changed:
the blocks of an answer, joined, are the answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "item", "fence"]

_FENCE = re.compile(r"[ \t]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?(`{3,}(?=[^`]*$)|~{3,})")
_ITEM = re.compile(r" {0,3}(?:[-*+]|(\d{1,9})[.)])[ \t]+\S")
_HEADING = re.compile(r" {0,1}#{1,6}\s")


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, a table, one item of a list with what belongs to it, or fenced code; with the empty lines at it."""

    kind: Kind
    text: str

    @property
    def body(self) -> str:
        """The text without the empty lines at it."""
        return self.text[lead(self.text) :].rstrip()


def lead(text: str) -> int:
    """How long the empty lines are that `text` begins with."""
    return text.rfind("\n", 0, len(text) - len(text.lstrip())) + 1


class Splitter:
    """Takes text as it comes, and hands out blocks as they end. How the text was divided makes no difference."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        """The whole lines of the block that has not ended."""
        self._begun: list[str] = []
        """The pieces of the line that has not ended."""
        self._kind: Kind | None = None
        """Of the block that has not ended; None before its first line with something in it."""
        self._fence: tuple[str, bool] | None = None
        """What closes the code that we are in, and whether the block ends with it."""
        self._after_empty = False

    @property
    def kind(self) -> Kind | None:
        """Of the block that has not ended, as far as its whole lines tell."""
        return self._kind

    @property
    def tail(self) -> str:
        """What belongs to no block yet."""
        return "".join((*self._lines, *self._begun))

    def feed(self, text: str) -> list[Block]:
        """More text. Returns the blocks that ended in it."""
        *whole, rest = text.split("\n")
        blocks: list[Block] = []
        for line in whole:
            self._begun.append(line + "\n")
            whole_line = "".join(self._begun)
            self._begun.clear()
            blocks += self._line(whole_line)
        if rest:
            self._begun.append(rest)
        return blocks

    def end(self) -> list[Block]:
        """Nothing follows: the rest, whatever is still open in it."""
        blocks = list(self._line("".join(self._begun))) if self._begun else []
        self._begun.clear()
        return [*blocks, *self._cut()]

    def _line(self, line: str) -> Iterator[Block]:
        if self._fence is not None:
            self._lines.append(line)
            mark, alone = self._fence
            said = line.strip()
            if said and said.startswith(mark) and not said.strip(mark[0]):
                self._fence = None
                if alone:
                    yield from self._cut()
            return
        if not line.strip():
            self._lines.append(line)
            self._after_empty = True
            if self._kind == "text":  # What follows an item may belong to it: its next line tells.
                yield from self._cut()
            return
        if self._kind is not None and self._begins_block(line):
            yield from self._cut()
        found = _FENCE.match(line.rstrip("\n"))
        if self._kind is None:
            item = _ITEM.match(line) is not None
            self._kind = "item" if item else "fence" if found else "text"
        if found:
            self._fence = found[1], self._kind == "fence"
        self._lines.append(line)
        self._after_empty = False

    def _begins_block(self, line: str) -> bool:
        """Whether `line`, which is not empty and in no code, belongs no more to the block so far."""
        inside = line.startswith(("  ", "\t", " \t"))
        if self._kind == "item":
            if inside:
                return False
            return self._after_empty or any(one.match(line) for one in (_ITEM, _FENCE, _HEADING))
        found = _ITEM.match(line)
        # Within a paragraph a list begins with a bullet or with 1: "... in\n2019. That year ..." is none.
        return not inside and (bool(found and found[1] in (None, "1")) or bool(_FENCE.match(line.rstrip("\n"))))

    def _cut(self) -> Iterator[Block]:
        if self._lines:
            yield Block(self._kind or "text", "".join(self._lines))
        self._lines.clear()
        self._kind, self._fence, self._after_empty = None, None, False

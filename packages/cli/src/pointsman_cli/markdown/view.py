"""Markdown on a terminal: the block that flows as plain text, and each block, once it is whole, rendered in its place.

Nothing else is drawn twice. A block that outgrows the screen cannot be taken back, for its beginning is in the
scrollback: code is then rendered as far as it has come, and any other block stays the plain text that it is.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from ..terminal import colours, harmless, noted, show, width
from .blocks import Block, Splitter, lead
from .tail import Tail

if TYPE_CHECKING:
    from .render import Renderer

LEAST_COLUMNS = 40
"""On a narrower screen, tables and lists are not easier to read than what they are made of."""
LEAST_LINES = 10


def can_render() -> bool:
    """Whether stdout is a screen on which Markdown can be rendered."""
    if not colours(sys.stdout) or (os.name == "nt" and not os.environ.get("WT_SESSION")):
        return False
    size = shutil.get_terminal_size()
    return size.columns >= LEAST_COLUMNS and size.lines >= LEAST_LINES


def preload() -> None:
    """Import what renders, in a thread: it takes longer than the first words are awaited."""
    if f"{__package__}.render" in sys.modules:
        return
    threading.Thread(target=partial(__import__, f"{__package__}.render"), daemon=True).start()


class MarkdownView:
    """Where the text of one answer after the other goes; `write` takes what a terminal obeys."""

    def __init__(self, write: Callable[[str], None] = show) -> None:
        self._write = write
        self._anything = False
        self._begin()

    def _begin(self) -> None:
        from rich.cells import cell_len  # Without the rest of Rich.

        self._size = shutil.get_terminal_size()
        self._columns = min(width(), self._size.columns - 1)
        self._splitter = Splitter()
        self._tail = Tail(self._write, self._columns, cell_len)
        self._renderer: Renderer | None = None
        self._shown = ""
        """The text of the block that flows, as far as it has come, from its first line with something in it."""
        self._held = ""
        """Empty lines, and spaces, before that."""
        self._noted = noted()
        self._lines_done = 0
        """How many lines of it, if it is code, are rendered already."""
        self._stays = False
        """Whether the block stays plain text."""
        self._gap = False
        """Whether an empty line is due before what comes next."""

    def put(self, text: str) -> None:
        """More of the answer."""
        for piece in _pieces(harmless(text), self._columns):
            blocks = self._splitter.feed(piece)
            if not blocks:
                self._flow(piece)
                continue
            for block in blocks:
                self._finish(block)
            for rest in _pieces(self._splitter.tail, self._columns):
                self._flow(rest)

    def end(self, *, leave: bool = False) -> None:
        """The answer is over. With `leave`, what flows stays as it is."""
        if not leave:
            for block in self._splitter.end():
                self._finish(block)
        elif self._tail.rows[-1]:
            self._write("\n")
        self._anything = False
        self._begin()

    def _flow(self, piece: str) -> None:
        if not self._shown:
            self._held += piece
            if not self._held.strip():
                return
            empty = lead(self._held)
            piece, self._held = self._held[empty:], ""
            self._gap = self._gap or empty > 0
            self._close_gap()
            self._noted = noted()
        self._shown += piece
        self._tail.put(piece)
        if self._stays:
            self._tail.keep_line()
        elif len(self._tail.rows) > self._size.lines - 4:
            if self._splitter.kind == "fence" and "\n" in self._shown and self._unmoved():
                self._render_code_so_far()
            else:
                self._stays = True

    def _finish(self, block: Block) -> None:
        """The block that flows is whole, or more than that: its last line may be the first of the next."""
        body = block.body
        if body:
            if not self._shown:
                self._gap = self._gap or lead(block.text) > 0
                self._close_gap()
            if self._stays or not self._unmoved():
                self._finish_plain(block.text[lead(block.text) :])
            else:
                self._finish_rendered(block)
            self._anything = True
            self._gap = block.text[len(block.text.rstrip()) :].count("\n") > 1
        else:
            self._gap = self._gap or "\n" in block.text
        self._tail.forget()
        self._shown, self._held, self._lines_done, self._stays = "", "", 0, False
        if not self._unmoved():
            self._resize()

    def _finish_plain(self, text: str) -> None:
        """What stands on the screen stays there; what does not is added."""
        if text.startswith(self._shown):
            self._tail.put(text[len(self._shown) :].rstrip())
            if self._tail.rows[-1]:
                self._write("\n")
        elif self._unmoved():  # The last line is the beginning of the next block, and will be shown with it.
            self._tail.keep_line()
            self._tail.erase()
        elif self._tail.rows[-1]:
            self._write("\n")

    def _finish_rendered(self, block: Block) -> None:
        lines = self._render().lines(block, self._lines_done)
        on_screen = self._tail.rows[:-1] if self._tail.rows[-1] == "" else self._tail.rows
        if lines == on_screen:
            if self._tail.rows[-1]:
                self._write("\n")
            return
        self._tail.erase()
        self._write("".join(f"{line}\n" for line in lines))

    def _render_code_so_far(self) -> None:
        whole, _, begun = self._shown.rpartition("\n")
        lines = self._render().code(whole, self._lines_done)
        if not lines:  # One line that fills the screen: to write all of it again with each piece would never end.
            self._stays = True
            self._tail.keep_line()
            return
        self._tail.erase()
        self._write("".join(f"{line}\n" for line in lines))
        self._lines_done += len(lines)
        self._tail.put(begun)

    def _close_gap(self) -> None:
        if self._gap and self._anything:
            self._write("\n")
        self._gap = False

    def _unmoved(self) -> bool:
        """Whether our rows are where we left them: the window is as large as it was, and nobody has written below."""
        return shutil.get_terminal_size() == self._size and (not self._shown or noted() == self._noted)

    def _resize(self) -> None:
        self._size = shutil.get_terminal_size()
        self._columns = max(min(width(), self._size.columns - 1), 1)
        from rich.cells import cell_len

        self._tail = Tail(self._write, self._columns, cell_len)
        self._renderer = None

    def _render(self) -> Renderer:
        from .render import Renderer

        if self._renderer is None:
            self._renderer = Renderer(self._columns)
        return self._renderer


def _pieces(text: str, most: int) -> Iterator[str]:
    """`text`, by lines, and by `most` letters at once."""
    if len(text) <= most and "\n" not in text[:-1]:
        if text:
            yield text
        return
    *whole, rest = text.split("\n")  # `str.splitlines` knows other ends of lines.
    for line in (*(line + "\n" for line in whole), rest):
        for place in range(0, len(line), most):
            yield line[place : place + most]

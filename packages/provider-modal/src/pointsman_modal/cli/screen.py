"""What a person sees: a wait on stderr, facts below each other, and questions."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any

import click

from .figures import size, span

NARROW = 60
"""Columns below which a label stands above what it labels."""
_REPAINT = 0.1
"""Seconds between two paintings of what changes fast."""


def harmless(text: str) -> str:
    """`text` in one line, with control characters spelled out: a terminal obeys what a server says."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)


def columns() -> int:
    return max(shutil.get_terminal_size().columns, 20)


def facts(rows: Iterable[tuple[str, str]], *, whole: bool) -> list[str]:
    """Labels, and beside each what it stands for, wrapped; an empty label goes on with the one above.

    `whole`: nothing is wrapped, for whoever searches it.
    """
    rows = [(label, harmless(text)) for label, text in rows]
    room, widest = columns(), max((len(label) for label, _ in rows), default=0)
    lines: list[str] = []
    for label, text in rows:
        if whole:
            lines.append(f"{label:<{widest}}  {text}".rstrip())
        elif room < NARROW:
            lines += [label] if label else []
            lines += _wrapped(text, "  ", "  ", room)
        else:
            lines += _wrapped(text, f"{label:<{widest}}  ", " " * (widest + 2), room)
    return lines


def tell(text: str, *, error: bool = True) -> None:
    """A sentence, broken between words on a terminal."""
    stream = sys.stderr if error else sys.stdout
    lines = [harmless(line) for line in text.split("\n")]
    if stream.isatty():
        lines = [part for line in lines for part in _wrapped(line, "", "  ", columns())]
    click.echo("\n".join(lines), err=error)


def ask(question: str, *, otherwise: str) -> bool:
    """Whether somebody on this terminal says yes. Where nobody can, a usage error says what there is `otherwise`."""
    if not sys.stdin or not sys.stdin.isatty():
        raise click.UsageError(f"nobody can be asked, since stdin is no terminal: {otherwise}")
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        raise KeyboardInterrupt from None


def _wrapped(text: str, first: str, further: str, room: int) -> list[str]:
    return textwrap.wrap(
        text,
        max(room - 1, len(further) + 10),
        initial_indent=first,
        subsequent_indent=further,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first.rstrip()]


class Screen:
    """A wait, shown on stderr: one line in its place on a terminal, with the time that passes; lines elsewhere."""

    def __init__(self) -> None:
        self._in_place = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._lock = threading.Lock()
        self._text: str | Callable[[float], str] = ""
        self._since = self._painted = 0.0
        self._told: set[Any] = set()

    @contextmanager
    def step(self, text: str | Callable[[float], str]) -> Generator[None]:
        """Inside, this is being done; what is called gets the seconds that have passed. `show` says other words."""
        over = threading.Event()
        self._text, self._since, self._painted = text, time.monotonic(), 0.0
        if not self._in_place:
            self._write(f"{harmless(text if isinstance(text, str) else text(0.0))}\n")
            yield
            return
        ticker = threading.Thread(target=self._tick, args=(over,), daemon=True)
        self._paint()
        ticker.start()
        try:
            yield
        finally:
            over.set()
            ticker.join()
            self._text = ""
            self._write("\r\x1b[K")

    def show(self, text: str, key: Any = None) -> None:
        """How far it is. Where lines stay, it is told once for each `key`."""
        if self._in_place:
            with self._lock:
                self._text = text
                if time.monotonic() - self._painted >= _REPAINT:
                    self._paint()
        elif key not in self._told:
            self._told.add(key)
            self._write(f"{harmless(text)}\n")

    def line(self, text: str) -> None:
        """A line that stays."""
        with self._lock:
            room = columns() - 1 if self._in_place else None
            self._write(f"{chr(13)}\x1b[K{harmless(text)[:room]}\n" if self._in_place else f"{harmless(text)}\n")
            if self._in_place:
                self._paint()

    def _tick(self, over: threading.Event) -> None:
        while not over.wait(1):
            with self._lock:
                self._paint()

    def _paint(self) -> None:
        self._painted = time.monotonic()
        passed = self._painted - self._since
        text = harmless(self._text if isinstance(self._text, str) else self._text(passed))
        text += f" … {span(passed)}" if passed >= 1 else ""
        self._write("\r\x1b[K" + text[: columns() - 1])

    @staticmethod
    def _write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


def pulled(status: str, completed: int, total: int) -> tuple[str, Any]:
    """A line about a pull, and what makes it another one than the last: the step, and each tenth of a file."""
    if not total:
        return status, status
    share = min(completed, total) / total
    return f"{status}  {int(share * 100):>3} %  {size(completed)} of {size(total)}", (status, int(share * 10))

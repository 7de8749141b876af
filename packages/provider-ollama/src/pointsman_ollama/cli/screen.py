"""How a pull is shown on stderr: one line in its place on a terminal, a line at each tenth elsewhere."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Callable
from typing import Protocol

from ..progress import Progress
from .figures import Speed, size, span

_BAR = (8, 24)
"""Columns of a bar: fewer say nothing, more say no more."""
_ROOM_FOR_FIGURES = 66
"""Columns of all that a line says besides, with what lies between: a bar that changed its length would dance."""
_REPAINT = 0.1
"""Seconds between two paintings: a server tells sixteen times a second."""


def harmless(text: str) -> str:
    """`text` in one line, with control characters spelled out: a terminal obeys what a server says."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)


def in_place() -> bool:
    """Whether a line on stderr can be taken back."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def columns() -> int:
    return max(shutil.get_terminal_size().columns, 1)


class View(Protocol):
    """Shows what a wait has come to."""

    def show(self, progress: Progress, now: float) -> None: ...

    def tick(self, now: float) -> None:
        """Time has passed, and nothing else."""
        ...

    def end(self) -> None:
        """Nothing more follows."""
        ...


def view() -> View:
    """The one for this stderr."""
    return Line(_write, columns) if in_place() else Lines(_write)


def layer_line(progress: Progress, speed: float | None, room: int, bar: str | None = None) -> str:
    """A layer in at most `room` columns: what matters less is left out first. `bar` is what one is drawn with."""
    total = progress.total or 0
    done = min(progress.completed, total) if total else progress.completed
    share = done / total if total else 0.0
    percent = f"{int(share * 100):>3} %" if total else size(done)
    of = f"{size(done)} of {size(total)}" if total else ""
    pace = f"{size(speed)}/s" if speed else ""
    left = f"{span((total - done) / speed)} left" if speed and total else ""
    choices = (
        (progress.status, percent, of, pace, left),
        (progress.status, percent, pace, left),
        (percent, pace, left.removesuffix(" left")),
        (percent, left.removesuffix(" left")),
    )
    lines = ("  ".join(part for part in parts if part) for parts in choices)
    line = next((line for line in lines if len(line) <= room), percent.strip()[:room])
    wide = min(room - max(_ROOM_FOR_FIGURES, len(line) + 2), _BAR[1])
    if bar is None or wide < _BAR[0] or not line.startswith(progress.status):
        return line
    filled = int(share * wide)
    return f"{progress.status}  {bar[0] * filled}{bar[1] * (wide - filled)}{line.removeprefix(progress.status)}"


class Line:
    """One line, painted over."""

    def __init__(self, write: Callable[[str], None], columns: Callable[[], int]) -> None:
        self._write = write
        self._columns = columns
        self._speed = Speed()
        self._digest: str | None = None
        self._step, self._since = "", 0.0
        self._painted = float("-inf")

    def show(self, progress: Progress, now: float) -> None:
        if progress.interruption is not None:
            said = harmless(f"{progress.interruption.message}: going on")
            self._write("\r\x1b[K" + textwrap.fill(said, max(self._columns() - 1, 10), break_long_words=False) + "\n")
            self._speed.restart()
        elif progress.digest is None:
            self._step, self._since = progress.status, now
            self._paint(harmless(progress.status), now)
        else:
            if progress.digest != self._digest:
                self._speed.restart()
            self._step, self._digest = "", progress.digest
            speed = self._speed.measure(now, progress.completed)
            if now - self._painted >= _REPAINT:
                shown = Progress(harmless(progress.status), None, progress.completed, progress.total)
                self._paint(layer_line(shown, speed, self._columns() - 1, _bar()), now)

    def tick(self, now: float) -> None:
        if self._step and now - self._since >= 1:
            self._paint(f"{harmless(self._step)} … {span(now - self._since)}", now)

    def end(self) -> None:
        self._write("\r\x1b[K")

    def _paint(self, text: str, now: float) -> None:
        self._painted = now
        self._write("\r\x1b[K" + text[: self._columns() - 1])


class Lines:
    """Lines that stay, for a file or a pipe: a step, and each tenth of a layer."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._speed = Speed()
        self._tenths: dict[str, int] = {}

    def show(self, progress: Progress, now: float) -> None:
        if progress.interruption is not None:
            self._write(harmless(f"{progress.interruption.message}: going on") + "\n")
            self._speed.restart()
        elif progress.digest is None:
            self._write(harmless(progress.status) + "\n")
        else:
            before = self._tenths.get(progress.digest)
            tenths = progress.completed * 10 // progress.total if progress.total else 0
            if before is None:
                self._speed.restart()
            speed = self._speed.measure(now, progress.completed)
            if before is None or tenths > before:
                self._tenths[progress.digest] = tenths
                shown = Progress(harmless(progress.status), None, progress.completed, progress.total)
                self._write(layer_line(shown, speed, 1000) + "\n")

    def tick(self, now: float) -> None:
        pass

    def end(self) -> None:
        pass


def _bar() -> str:
    """What a bar is drawn with, where stderr can say it."""
    try:
        "━─".encode(sys.stderr.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return "#-"
    return "━─"


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()

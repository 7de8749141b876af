"""How far a batch is, on stderr: a line that is renewed on a terminal, elsewhere a line every so often."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import anyio

from .. import figures
from ..terminal import note, pass_by, takes_passing_lines, wipe
from .progress import Progress
from .words import of, span

QUICK, SLOW = 0.25, 15.0
"""Seconds between two lines: on a terminal, and elsewhere."""


@dataclass(slots=True)
class Screen:
    """Of one run."""

    progress: Progress
    lines: int
    before: int
    """Lines that had a result when it began."""
    began: float = 0.0

    def line(self, now: float) -> str:
        """``1,200/2,000 lines · 3 errors · ≥ $0.42 · 12.1 lines/s · 66 s left``."""
        done, took = self.progress.results, now - self.began
        fresh = done - self.before
        parts = [f"{done:,}/{of(self.lines, 'line')}"]
        if self.progress.errors:
            parts.append(of(self.progress.errors, "error"))
        parts.append(figures.price(self.progress.settled()))
        if fresh > 0 and took > 0:
            rate = fresh / took
            parts += [f"{rate:.3g} lines/s", f"{span((self.lines - done) / rate)} left"]
        return " · ".join(parts)

    async def run(self, now: Callable[[], float] = anyio.current_time) -> None:
        """Show it, for as long as it is not cancelled."""
        passing, self.began = takes_passing_lines(), now()
        try:
            while True:
                await anyio.sleep(QUICK if passing else SLOW)
                (pass_by if passing else note)(self.line(now()))
        finally:
            wipe()

"""Numbers for a person, and how fast something comes."""

from __future__ import annotations

from collections import deque

_UNITS = ("B", "kB", "MB", "GB", "TB")
WINDOW = 5.0
"""Seconds over which a speed is measured: long enough to be calm, short enough to be true."""


def size(count: float) -> str:
    """``4.7 GB``: powers of 1000, as Ollama and disks count."""
    amount, unit = float(count), 0
    while amount >= 999.5 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    digits = 1 if unit and amount < 9.95 else 0
    return f"{amount:.{digits}f} {_UNITS[unit]}"


def span(seconds: float) -> str:
    """``12 s``, ``1m 12s``, ``2h 05m``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}m {rest:02}s" if minutes < 60 else f"{minutes // 60}h {minutes % 60:02}m"


class Speed:
    """Bytes a second, over the last few seconds. What was there before anything came does not count."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def restart(self) -> None:
        """Another thing is counted from here, or the same anew."""
        self._seen.clear()

    def measure(self, now: float, count: int) -> float | None:
        """The speed, with `count` of it there by `now`; None as long as there is too little to tell."""
        self._seen.append((now, count))
        while len(self._seen) > 2 and now - self._seen[1][0] >= WINDOW:
            self._seen.popleft()
        since, before = self._seen[0]
        return (count - before) / (now - since) if now - since >= 0.2 else None

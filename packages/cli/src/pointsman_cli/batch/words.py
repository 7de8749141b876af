"""How a batch speaks of itself."""

from __future__ import annotations

import click


class Halt(click.ClickException):
    """The batch cannot go on: why, and what to do next. What was answered is kept."""

    def __init__(self, why: str, advice: str) -> None:
        super().__init__(f"{why}\n  next:  {advice}")


def of(count: int, what: str) -> str:
    """``1 line``, ``2,000 lines``."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def span(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"

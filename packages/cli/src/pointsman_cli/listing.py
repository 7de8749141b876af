"""Lists for a person: a name, what stands beside it, and as many lines as that takes."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import click

from .terminal import harmless, show, styled, width

COLOURS = {
    "ready": "green",
    "up": "green",
    "ok": "green",
    "not ready": "yellow",
    "disabled": "yellow",
    "unknown": "yellow",
    "cold": "yellow",
    "warming": "yellow",
    "degraded": "yellow",
}
"""Of states; all others are red."""


def show_states(rows: Iterable[tuple[str, str, Iterable[str]]]) -> None:
    """Rows of a name, a state, and lines about it, which are wrapped below each other."""
    rows = list(rows)
    names = max((len(name) for name, _, _ in rows), default=0)
    states = max((len(state) for _, state, _ in rows), default=0)
    narrow = width() < 60
    margin = " " * (4 if narrow else names + states + 4)
    for name, state, lines in rows:
        about = [wrapped(harmless(line), margin) for line in lines if line]
        gap = " " * (states - len(state))
        if about and not narrow:
            about[0] = f"{gap}  {about[0].lstrip()}"
        elif about:
            about[0] = f"\n{about[0]}"
        head = f"{harmless(name):<{names}}  {styled(state, sys.stdout, fg=COLOURS.get(state, 'red'))}"
        show(head + "\n".join(about) + "\n")


def wrapped(text: str, margin: str = "", next_margin: str | None = None) -> str:
    """`text` as a paragraph behind `margin`, and `next_margin` from its second line on."""
    return click.wrap_text(text, width(), margin, margin if next_margin is None else next_margin)

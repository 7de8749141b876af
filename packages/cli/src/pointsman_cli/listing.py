"""Lists for a person: a name, what stands beside it, and as many lines as that takes."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from textwrap import fill

from .terminal import harmless, is_terminal, note, show, styled, width

COLOURS = {
    "ready": "green",
    "up": "green",
    "ok": "green",
    "set": "green",
    "works": "green",
    "not ready": "yellow",
    "warn": "yellow",
    "slow": "yellow",
    "none": "yellow",
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


def say(text: str, **style: bool | str) -> None:
    """A note, broken between words on a terminal; elsewhere it is left whole for whoever searches it."""
    note(wrapped(text, "", "  ") if is_terminal(sys.stderr) else text, **style)


def wrapped(text: str, margin: str = "", next_margin: str | None = None) -> str:
    """`text` behind `margin`, and `next_margin` from its second line on; each of its own lines begins a new one.

    A word is never broken: a path, a name or a command that is copied must be whole.
    """
    further = margin if next_margin is None else next_margin
    first, *others = text.split("\n")
    lines = [_filled(first, margin, further)]
    for line in others:
        indent = further + line[: len(line) - len(line.lstrip())]
        lines.append(_filled(line.strip(), indent, f"{indent}  "))
    return "\n".join(lines)


def _filled(line: str, margin: str, further: str) -> str:
    return fill(
        line,
        width(),
        initial_indent=margin,
        subsequent_indent=further,
        break_long_words=False,
        break_on_hyphens=False,
    )

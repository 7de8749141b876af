"""Totals as a table; where that is too wide for the terminal, one below the other."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..listing import wrapped
from ..terminal import is_terminal, out, show, styled, width
from . import words

if TYPE_CHECKING:
    from pointsman import LedgerTotal

FIGURES = ("calls", "failed", "tokens in", "cached", "tokens out", "cost", "not priced", "lower bound")
COST = FIGURES.index("cost")
RARE = {"lower bound": "0", "cached": "", "failed": "0", "not priced": "0"}
"""Shown where any of them is something else, and there is room for it: the first of these goes first."""


def show_table(by: Sequence[str], totals: Sequence[LedgerTotal]) -> None:
    """A line for each; into a pipe as wide as it takes."""
    if not totals:
        return
    keys = [tuple(words.value(part) for part in total.key) for total in totals]
    figures = [_figures(total) for total in totals]
    cents = max(len(_cents(row[COST])) for row in figures)
    figures = [(*row[:COST], row[COST] + " " * (cents - len(_cents(row[COST]))), *row[COST + 1 :]) for row in figures]
    heads = [words.value(one.removeprefix("tag:")) for one in by]
    shown = [head for place, head in enumerate(FIGURES) if {row[place] for row in figures} != {RARE.get(head)}]
    leave_out = [head for head in RARE if head in shown] if is_terminal(sys.stdout) else []
    while True:
        places = [FIGURES.index(head) for head in shown]
        rows = [[*key, *(row[place] for place in places)] for key, row in zip(keys, figures, strict=True)]
        widths = [max(map(len, column)) for column in zip([*heads, *shown], *rows, strict=True)]
        if not is_terminal(sys.stdout) or sum(widths) + 2 * (len(widths) - 1) <= width(most=200):
            break
        if not leave_out:
            _show_stacked([" · ".join(key) for key in keys], figures)
            return
        shown.remove(leave_out.pop(0))
    titles = [*heads, *shown]
    show(styled(_line(titles, widths, len(by)), sys.stdout, dim=True) + "\n")
    for row in rows:
        out(words.sayable(_line(row, widths, len(by))))


def _figures(total: LedgerTotal) -> tuple[str, ...]:
    return (
        words.count(total.calls),
        words.count(total.failed),
        words.tokens(total.usage.input_tokens, total),
        words.cached(total),
        words.tokens(total.usage.output_tokens, total),
        str(total.cost),
        words.count(total.unpriced),
        words.count(total.bounded),
    )


def _cents(cost: str) -> str:
    """What stands behind the point, which is to be below the other points."""
    return cost[cost.index(".") :] if "." in cost else ""


def _line(cells: Sequence[str], widths: Sequence[int], keys: int) -> str:
    shown = [
        f"{cell:<{size}}" if place < keys else f"{cell:>{size}}"
        for place, (cell, size) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(shown).rstrip()


def _show_stacked(keys: Sequence[str], figures: Sequence[Sequence[str]]) -> None:
    for key, row in zip(keys, figures, strict=True):
        show(styled(words.sayable(key), sys.stdout, bold=True) + "\n")
        said = dict(zip(FIGURES, row, strict=True))
        calls = said.pop("calls")
        first = [said.pop("cost").strip(), f"{calls} {'call' if calls == '1' else 'calls'}"]
        rest = [f"{figure} {title}" for title, figure in said.items() if figure != RARE.get(title)]
        out(words.sayable(wrapped(", ".join([*first, *rest]), "    ")))

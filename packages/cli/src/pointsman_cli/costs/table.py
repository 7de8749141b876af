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
RARE = {"failed": "0", "cached": "", "not priced": "0", "lower bound": "0"}
"""Shown where any of them is something else."""


def show_table(by: Sequence[str], totals: Sequence[LedgerTotal]) -> None:
    """A line for each; into a pipe as wide as it takes."""
    if not totals:
        return
    keys = [tuple(words.value(part) for part in total.key) for total in totals]
    figures = [_figures(total) for total in totals]
    used = [
        place for place, head in enumerate(FIGURES) if head not in RARE or {row[place] for row in figures} != {RARE[head]}
    ]
    heads = [_head(one) for one in by]
    rows = [[*key, *(row[place] for place in used)] for key, row in zip(keys, figures, strict=True)]
    titles = [*heads, *(FIGURES[place] for place in used)]
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    if is_terminal(sys.stdout) and sum(widths) + 2 * (len(widths) - 1) > width(most=200):
        _show_stacked(heads, titles[len(by) :], rows)
        return
    show(styled(_line(titles, widths, len(by)), sys.stdout, dim=True) + "\n")
    for row in rows:
        out(words.sayable(_line(row, widths, len(by))))


def _figures(total: LedgerTotal) -> tuple[str, ...]:
    return (
        words.count(total.calls),
        words.count(total.failed),
        words.tokens(total.usage.input_tokens, total),
        words.cached(total) if total.usage.cached_input_tokens else "",
        words.tokens(total.usage.output_tokens, total),
        str(total.cost),
        words.count(total.unpriced),
        words.count(total.bounded),
    )


def _head(by: str) -> str:
    return words.value(by.removeprefix("tag:"))


def _line(cells: Sequence[str], widths: Sequence[int], keys: int) -> str:
    shown = [
        f"{cell:<{size}}" if place < keys else f"{cell:>{size}}"
        for place, (cell, size) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(shown).rstrip()


def _show_stacked(heads: Sequence[str], titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    for row in rows:
        key, figures = row[: len(heads)], row[len(heads) :]
        show(styled(" · ".join(key) if words.unicode() else " | ".join(key), sys.stdout, bold=True) + "\n")
        said = dict(zip(titles, figures, strict=True))
        first = [str(said.pop("cost")), f"{said['calls']} {'call' if said.pop('calls') == '1' else 'calls'}"]
        rest = [f"{figure} {title}" for title, figure in said.items() if figure not in ("", "0")]
        out(words.sayable(wrapped(", ".join([*first, *rest]), "    ")))

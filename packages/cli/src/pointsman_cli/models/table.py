"""Models as a table; where that is too wide for the terminal, one below the other."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..listing import wrapped
from ..terminal import harmless, is_terminal, out, show, styled, width
from . import facts

if TYPE_CHECKING:
    from .catalogue import Model

HEADS = ("target", "context", "output", "$ in", "$ out", "first token", "token/s", "can do")
RARE = {"output", "first token", "token/s"}
"""Shown where anybody knows one."""
NOBODY = {facts.UNKNOWN}
LEAST = 14
"""Columns without which the last one is not worth having."""


def show_table(models: Sequence[Model], *, verbose: bool) -> None:
    """A line for each model; into a pipe as wide as it takes, and the same wherever it is read."""
    rows = [_cells(model) for model in models]
    if not rows:
        return
    columns = [place for place, head in enumerate(HEADS) if head not in RARE or {row[place] for row in rows} != NOBODY]
    heads, *rows = (tuple(row[place] for place in columns) for row in (HEADS, *rows))
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    room = width(most=200) if is_terminal(sys.stdout) else sum(widths) + 2 * len(widths)
    left = room - sum(widths[:-1]) - 2 * (len(widths) - 1)
    if left < min(widths[-1], LEAST):
        _show_stacked(models)
    else:
        show(styled(_line(heads, widths).rstrip(), sys.stdout, dim=True) + "\n")
        for row in rows:
            _show_row(row, widths, left)
    if verbose:
        _show_sources(models)


def _cells(model: Model) -> tuple[str, ...]:
    price = facts.by_token(model.price)
    otherwise = facts.usd(None) if model.price is None else "otherwise"
    return (
        harmless(str(model.target)),
        facts.tokens(model.context_tokens),
        facts.tokens(model.max_output_tokens),
        facts.usd(price.input) if price else otherwise,
        facts.usd(price.output) if price else otherwise,
        facts.UNKNOWN if model.first_token is None else f"{model.first_token:.2f}s",
        facts.UNKNOWN if model.tokens_per_second is None else f"{model.tokens_per_second:.0f}",
        facts.UNKNOWN if model.capabilities is None else harmless(",".join(sorted(model.capabilities))) or "text",
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *numbers, last = cells
    middle = (f"{cell:>{size}}" for cell, size in zip(numbers, widths[1:-1], strict=True))
    return "  ".join([f"{first:<{widths[0]}}", *middle, last])


def _show_row(row: Sequence[str], widths: Sequence[int], left: int) -> None:
    """A row; what it can do takes several lines if it must."""
    abilities: list[str] = [""]
    for word in row[-1].split(","):
        longer = f"{abilities[-1]},{word}".lstrip(",")
        if len(longer) > left and abilities[-1]:
            abilities[-1] += ","
            abilities.append(word)
        else:
            abilities[-1] = longer
    margin = " " * (sum(widths[:-1]) + 2 * (len(widths) - 1))
    show(_line([*row[:-1], f"\n{margin}".join(abilities)], widths) + "\n")


def _show_stacked(models: Sequence[Model]) -> None:
    for model in models:
        target, context, output, asked, answered, first, speed, can = _cells(model)
        show(styled(target, sys.stdout, bold=True) + "\n")
        lines = [f"context {context}, output {output}", f"$ {asked} in, $ {answered} out", can.replace(",", ", ")]
        if {first, speed} != NOBODY:
            lines.insert(2, f"first token {first}, {speed} token/s")
        for line in lines:
            out(wrapped(line, "    "))


def _show_sources(models: Sequence[Model]) -> None:
    """Whose prices these are, and of which day; and those that are not by the token."""
    sources: dict[str, list[str]] = {}
    for model in models:
        if model.price:
            day = f"as of {model.price.as_of}" if model.price.as_of else "without a date"
            sources.setdefault(f"{day}, {model.price.source}", []).append(str(model.target))
    for source, targets in sorted(sources.items()):
        out(wrapped(harmless(f"Prices {source}: {', '.join(targets)}"), "", "  "))
    for model in models:
        if model.price and not facts.by_token(model.price):
            out(wrapped(harmless(f"{model.target}: {facts.price(model.price)}"), "", "  "))

"""Money a day, as bars that are stacked: for a terminal of any width, with colours or not, with Unicode or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

ROWS = 8
"""Lines of the tallest bar."""
OTHERS = "others"
COLOURS = ("blue", "yellow", "magenta", "cyan", "green", "bright_black")
"""Of the parts, the last of what has no colour of its own. Red and green are never all that tells two apart."""
SHADES = "█▓▒░#+"
LETTERS = "#o+:x."
EIGHTHS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Bar:
    """One day: what it cost, by part; `open` if there was more that nobody knows."""

    parts: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])
    open: bool = False


class Piece(NamedTuple):
    """A part of a line, in one colour, or in none."""

    text: str
    colour: str | None = None


Line = list[Piece]


def draw(days: Mapping[date, Bar], first: date, last: date, *, width: int, colour: bool, unicode: bool) -> list[Line]:
    """The picture of all days from `first` to `last`, in lines of at most `width`; none if nothing is to be seen.

    Where the days are too many each column stands for several, and the last line says so.
    """
    top_label, per, bars = _scale(days, first, last, width)
    tallest = max((sum(bar.parts.values(), Decimal()) for bar in bars), default=Decimal())
    if tallest <= 0 or len(bars) < 2:
        return []
    names = _names(bars)
    marks = SHADES if unicode else LETTERS
    paint = {name: place if name != OTHERS else len(COLOURS) - 1 for place, name in enumerate(names)}
    room = width - len(top_label) - 2
    pitch = min(room // len(bars), 4)
    wide = max(pitch - 1, 1)
    gap = " " * (pitch - wide)
    lines: list[Line] = []
    for row in reversed(range(ROWS)):
        label = top_label if row == ROWS - 1 else ""
        line = [Piece(f"{label:>{len(top_label)}} {_edge(row, unicode=unicode)}")]
        for bar in bars:
            name, mark = _cell(bar, row, tallest, names, solid=colour and unicode)
            if name is None:
                line.append(Piece(" " * wide + gap))
                continue
            place = paint[name]
            line.append(Piece((mark or marks[place]) * wide + gap, COLOURS[place] if colour else None))
        lines.append(_joined(line))
    floor = "─" if unicode else "-"
    base = "".join(("?" if bar.open else floor).ljust(wide, floor) + floor * len(gap) for bar in bars)
    lines.append([Piece(f"{'0':>{len(top_label)}} {'└' if unicode else '+'}{base}".rstrip())])
    lines.append([Piece(" " * (len(top_label) + 2) + _dates(first, last, len(base)))])
    lines += _legend(names, paint, marks, width, colour=colour, solid=colour and unicode)
    notes = [f"each column: {per} days"] if per > 1 else []
    notes += ["?: not all of it is known"] if any(bar.open for bar in bars) else []
    return lines + [[Piece(note)] for note in notes]


def _scale(days: Mapping[date, Bar], first: date, last: date, width: int) -> tuple[str, int, list[Bar]]:
    """The label of the tallest bar, days a column, and the columns."""
    count = (last - first).days + 1
    label, per, bars = "$0.00", 1, list[Bar]()
    for _ in range(2):  # What columns add up to decides the label's width, which decides how many there are.
        room = max(width - len(label) - 2, 1)
        per = max(1, -(-count // room))
        bars = [
            _sum([days[day] for day in (first + timedelta(days=begin + more) for more in range(per)) if day in days])
            for begin in range(0, count, per)
        ]
        label = _usd(max((sum(bar.parts.values(), Decimal()) for bar in bars), default=Decimal()))
    return label, per, bars


def _sum(bars: Sequence[Bar]) -> Bar:
    parts: dict[str, Decimal] = {}
    for bar in bars:
        for name, usd in bar.parts.items():
            parts[name] = parts.get(name, Decimal()) + usd
    return Bar(parts, any(bar.open for bar in bars))


def _names(bars: Sequence[Bar]) -> list[str]:
    """Parts, the dearest first, which stand at the bottom; those for which there is no colour left are `OTHERS`."""
    all_ = _sum(bars).parts
    dearest = sorted((name for name in all_ if all_[name]), key=lambda name: (-all_[name], name))
    room = len(COLOURS) - 1
    return dearest if len(dearest) <= room else [*dearest[: room - 1], OTHERS]


def _cell(bar: Bar, row: int, tallest: Decimal, names: Sequence[str], *, solid: bool) -> tuple[str | None, str | None]:
    """Whose the middle of this cell is, and how it is drawn if it is not full. What costs anything is seen."""
    scale = ROWS / tallest
    total = sum(bar.parts.values(), Decimal()) * scale
    filled = total - row
    if row == 0 and total > 0:
        filled = max(filled, Decimal("0.125"))
    if filled <= 0 or (not solid and filled < Decimal("0.5") and row > 0):
        return None, None
    middle = row + min(filled, Decimal(1)) / 2
    height = Decimal()
    for name in names:
        usd = bar.parts.get(name, Decimal()) if name != OTHERS else _rest(bar, names)
        height += usd * scale
        if height >= min(middle, total):
            break
    else:
        name = names[-1]
    return name, EIGHTHS[max(1, min(8, round(filled * 8)))] if solid else None


def _rest(bar: Bar, names: Sequence[str]) -> Decimal:
    return sum((usd for name, usd in bar.parts.items() if name not in names or name == OTHERS), Decimal())


def _edge(row: int, *, unicode: bool) -> str:
    if row == ROWS - 1:
        return "┤" if unicode else "+"
    return "│" if unicode else "|"


def _dates(first: date, last: date, room: int) -> str:
    pattern = "%m-%d" if first.year == last.year else "%Y-%m-%d"
    left, right = first.strftime(pattern), last.strftime(pattern)
    gap = room - len(left) - len(right)
    return f"{left}{' ' * gap}{right}" if gap > 0 else left


def _legend(
    names: Sequence[str], paint: Mapping[str, int], marks: str, width: int, *, colour: bool, solid: bool
) -> list[Line]:
    lines: list[Line] = [[]]
    used = 0
    for name in names:
        shown = name if len(name) <= width - 2 else f"{name[: width - 5]}..."
        size = len(shown) + 2 + (2 if lines[-1] else 0)
        if used + size > width and lines[-1]:
            lines.append([])
            used, size = 0, len(shown) + 2
        place = paint[name]
        mark = "█" if solid else marks[place]
        lines[-1] += [
            Piece(("  " if lines[-1] else "") + mark, COLOURS[place] if colour else None),
            Piece(f" {shown}"),
        ]
        used += size
    return lines


def _joined(line: Line) -> Line:
    """Without blanks at its end."""
    while line and not line[-1].text.strip():
        line.pop()
    if line:
        line[-1] = line[-1]._replace(text=line[-1].text.rstrip())
    return line


def _usd(amount: Decimal) -> str:
    """``$1,234``, ``$0.42``, ``$0.0012``: to two digits that say something, or whole above 100."""
    if amount >= 100:
        return f"${amount:,.0f}"
    if amount >= Decimal("0.1") or not amount:
        return f"${amount:.2f}"
    return f"${amount:.{1 - amount.adjusted()}f}"

"""Money a day, drawn: it fits, it shows what cost most, and it hides nothing that nobody knows."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from pointsman_cli.costs.picture import COLOURS, LETTERS, OTHERS, ROWS, SHADES, Bar, draw

FIRST = date(2026, 10, 31)
amounts = st.decimals(min_value=0, max_value=10**7, places=9)
bars = st.builds(Bar, st.dictionaries(st.sampled_from("abcdefghij"), amounts, max_size=10), st.booleans())


def lines(
    days: dict[date, Bar], count: int, *, width: int = 80, colour: bool = False, unicode: bool = True
) -> list[str]:
    drawn = draw(days, FIRST, FIRST + timedelta(days=count - 1), width=width, colour=colour, unicode=unicode)
    assert colour or not any(piece.colour for line in drawn for piece in line)
    return ["".join(piece.text for piece in line) for line in drawn]


def on(*spent: str) -> dict[date, Bar]:
    return {FIRST + timedelta(days=place): Bar({"a": Decimal(usd)}) for place, usd in enumerate(spent) if usd}


def test_bars_are_as_high_as_what_was_spent() -> None:
    shown = lines(on("4", "", "8", "1"), 4)
    heights = [sum("█" in line[place : place + 1] for line in shown[:ROWS]) for place in (7, 11, 15, 19)]
    assert heights == [4, 0, 8, 1]
    assert shown[0].startswith("$8.00 ┤")
    assert shown[ROWS + 1].split() == ["10-31", "11-03"]


def test_the_dearest_stands_at_the_bottom() -> None:
    shown = lines({FIRST: Bar({"cheap": Decimal(2), "dear": Decimal(6)}), FIRST + timedelta(days=1): Bar()}, 2)
    assert [line[7] for line in shown[:ROWS]] == ["▓"] * 2 + ["█"] * 6
    assert shown[-1] == "█ dear  ▓ cheap"


def test_what_costs_almost_nothing_is_seen() -> None:
    assert "█" in lines(on("1000", "0.000001"), 2)[ROWS - 1][9:]
    assert "▁" in lines(on("1000", "0.000001"), 2, colour=True)[ROWS - 1]


def test_a_day_of_which_not_all_is_known_is_marked() -> None:
    shown = lines({FIRST: Bar({"a": Decimal(1)}), FIRST + timedelta(days=1): Bar({"a": Decimal()}, open=True)}, 2)
    assert shown[ROWS].count("?") == 1
    assert shown[-1] == "?: not all of it is known"


def test_nothing_is_drawn_of_nothing() -> None:
    assert lines({}, 30) == lines(on("0", "0"), 30) == lines(on("1"), 1) == []


def test_more_parts_than_colours_have_one_together() -> None:
    many = Bar({name: Decimal(place + 1) for place, name in enumerate("abcdefgh")})
    legend = lines({FIRST: many, FIRST + timedelta(days=1): many}, 2)[-1]
    assert legend.split()[1::2] == [*"hgfe", OTHERS]


def test_a_year_has_columns_of_several_days() -> None:
    shown = lines({FIRST + timedelta(days=place): Bar({"a": Decimal(1)}) for place in range(366)}, 366, width=40)
    assert "each column: 12 days" in shown
    assert any("2026-10-31" in line and "2027-10-31" in line for line in shown)


@given(st.lists(bars, max_size=40), st.integers(1, 400), st.integers(40, 100), st.booleans(), st.booleans())
def test_it_fits_and_keeps_to_its_signs(given: list[Bar], count: int, width: int, colour: bool, unicode: bool) -> None:
    days = {FIRST + timedelta(days=place): bar for place, bar in enumerate(given) if place < count}
    shown = lines(days, count, width=width, colour=colour, unicode=unicode)
    assert all(len(line) <= width for line in shown)
    assert unicode or all(line.isascii() for line in shown)
    assert bool(shown) == (count > 1 and any(usd for bar in days.values() for usd in bar.parts.values()))


def test_every_part_has_a_sign_and_a_colour() -> None:
    assert len(set(SHADES)) == len(set(LETTERS)) == len(set(COLOURS)) == len(COLOURS)

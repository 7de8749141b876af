"""Money: sums hide nothing, and what costs something does not print as free."""

from __future__ import annotations

import decimal
import json
import re
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pointsman import AtLeast, ChatRequest, Cost, Exact, Unknown, user
from pointsman.cost import FLOOR_CHARACTERS_PER_TOKEN, floor_usage

amounts = st.integers(0, 10**21).map(lambda pico: Decimal(pico) / 10**12)  # Up to a billion, in the ledger's unit.
costs = st.builds(Cost, amounts, st.booleans())


@given(costs, costs, costs)
def test_sums_obey_the_laws(a: Cost, b: Cost, c: Cost) -> None:
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert a + Exact(0) == a
    assert (a + b).complete == (a.complete and b.complete)
    assert (a + b).known == a.known + b.known
    assert Cost.total([a, b, c]) == a + b + c


@given(st.lists(costs), st.integers(1, 9))
def test_sums_do_not_depend_on_the_precision_of_the_thread(parts: list[Cost], precision: int) -> None:
    exact = sum((part.known for part in parts), Decimal(0))
    with decimal.localcontext(prec=precision):
        assert Cost.total(parts).known.compare(exact) == 0


def test_nothing_costs_nothing_and_the_unknown_spreads() -> None:
    assert Cost.total([]) == Exact(0)
    assert Exact(5) + Unknown == AtLeast(5)
    assert Unknown + Unknown == Unknown
    assert AtLeast(0) == Unknown


@given(costs)
@example(Unknown)
@example(Exact(0))
@example(Exact("0.0000004"))
@example(Exact("0.000000999"))
@example(AtLeast("0.0000009"))
@example(AtLeast("0.9999999"))
@example(Exact("1e-12"))
@example(Exact(Decimal("1E+3")))
@example(AtLeast(Decimal("1.5E+70")))
def test_printing_is_honest(cost: Cost) -> None:
    shown = str(cost)
    assert "E" not in shown
    if not cost.known:
        assert shown == ("$0" if cost.complete else "unknown")
        return
    match = re.fullmatch(r"(|≥ |< )\$(\d+(?:\.\d{2,6})?|0\.0{6,}[1-9])", shown)
    assert match, shown
    sign, amount = match[1], Decimal(match[2])
    if sign == "":
        assert cost.complete
        assert amount > 0, "what costs something does not print as free"
        assert abs(amount - cost.known) <= Decimal("0.0000005")
    elif sign == "< ":
        assert cost.complete
        assert cost.known < amount
    else:
        assert not cost.complete
        assert amount <= cost.known, "a lower bound that is rounded up is none"
        assert amount > 0, "of which something is known does not print as nothing"


def test_printing_by_example() -> None:
    shown = {
        "$0": Exact(0),
        "$3": Exact(3),
        "$0.50": Exact("0.5"),
        "$0.0042": Exact("0.0042"),
        "$0.000001": Exact("0.0000012"),
        "< $0.000001": Exact("0.0000001"),
        "≥ $0.50": AtLeast("0.5"),
        "≥ $0.0000004": AtLeast("0.00000047"),
        "unknown": Unknown,
    }
    assert {text: str(cost) for text, cost in shown.items()} == {text: text for text in shown}
    assert [repr(one) for one in (Exact("0.5"), AtLeast(2), Unknown)] == ["Exact('0.5')", "AtLeast('2')", "Unknown"]


@given(st.text(), st.lists(st.text()))
@example("", ["\ud83d"])
@example("\udfff", ["", "a"])
def test_a_floor_is_a_floor(prompt: str, output: list[str]) -> None:
    """Whatever the text is, even half of a surrogate pair, which a stream may break off after."""
    usage = floor_usage(ChatRequest(messages=(user(prompt),)), output)
    assert usage.estimated
    assert 0 <= usage.input_tokens <= len(prompt) / FLOOR_CHARACTERS_PER_TOKEN
    assert 0 <= usage.output_tokens <= len("".join(output)) / FLOOR_CHARACTERS_PER_TOKEN


RUSSIAN = "Правительство Российской Федерации приняло решение о дополнительном финансировании программ. "
THAI = "ประเทศไทยเป็นประเทศที่มีวัฒนธรรมอันยาวนานและมีการท่องเที่ยวที่สำคัญ"
TABLE = "\n".join("name".ljust(40) + "value".ljust(40) for _ in range(100))
NESTED = json.dumps([{"a": {"b": {"c": {"d": {"e": [1, 2]}}}}}] * 100, indent=8)


@pytest.mark.parametrize(("text", "tokens"), [(RUSSIAN * 100, 1403), (THAI * 100, 1100), (TABLE, 499), (NESTED, 4702)])
def test_the_floor_is_below_what_a_tokenizer_counts(text: str, tokens: int) -> None:
    """Qwen2.5's or Qwen3.5's, whichever makes fewer."""
    assert floor_usage(ChatRequest(messages=(user(text),)), [text]).input_tokens <= tokens


@pytest.mark.parametrize(
    "text",
    [
        "The quick brown fox jumps over the lazy dog. " * 20,
        "def add(a: int, b: int) -> int:\n    return a + b\n\n" * 10,
        "Er fährt heute nicht mit dem Zug nach Köln. " * 10,
    ],
)
def test_the_floor_is_below_the_number_of_words(text: str) -> None:
    """Byte-level tokenizers divide at spaces first, so no count of theirs is lower than the number of words."""
    usage = floor_usage(ChatRequest(messages=(user(text),)), [text])
    assert 0 < usage.input_tokens < len(text.split())
    assert usage.output_tokens == usage.input_tokens

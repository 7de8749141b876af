"""Usage: parts stay inside their wholes, sums lose nothing and count nothing twice, and what is unknown is not 0."""

from __future__ import annotations

from dataclasses import fields
from functools import reduce
from operator import add

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pointsman import Usage

counts = st.integers(0, 10**7)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    fresh, cached, written, said, reasoned = (draw(counts) for _ in range(5))
    return Usage(
        input_tokens=fresh + cached + written,
        cached_input_tokens=cached,
        cache_write_tokens=written,
        output_tokens=said + reasoned,
        reasoning_tokens=reasoned,
        estimated=draw(st.booleans()),
    )


def classes(usage: Usage) -> tuple[int, int, int, int, int]:
    """What each price applies to, without overlap."""
    fresh = usage.input_tokens - usage.cached_input_tokens - usage.cache_write_tokens
    said = usage.output_tokens - usage.reasoning_tokens
    return fresh, usage.cached_input_tokens, usage.cache_write_tokens, said, usage.reasoning_tokens


@given(counts, counts, counts)
@example(0, 1, 0)
@example(5, 3, 3)
def test_parts_of_the_input_are_inside_it(asked: int, cached: int, written: int) -> None:
    if cached + written <= asked:
        assert min(classes(Usage(input_tokens=asked, cached_input_tokens=cached, cache_write_tokens=written))) >= 0
    else:
        with pytest.raises(ValueError, match=f"{asked} tokens cannot hold {cached} and {written}; add them to the inp"):
            Usage(input_tokens=asked, cached_input_tokens=cached, cache_write_tokens=written)


@given(counts, counts)
@example(4, 5)
def test_reasoning_is_inside_the_output(answered: int, reasoned: int) -> None:
    if reasoned <= answered:
        assert min(classes(Usage(output_tokens=answered, reasoning_tokens=reasoned))) >= 0
    else:
        with pytest.raises(ValueError, match=f"{answered} tokens cannot hold {reasoned}; add them to the output"):
            Usage(output_tokens=answered, reasoning_tokens=reasoned)


@pytest.mark.parametrize("name", [field.name for field in fields(Usage) if field.name != "estimated"])
@pytest.mark.parametrize("odd", [None, -1, 1.0, "3", True])
def test_a_count_is_a_whole_number_from_0(name: str, odd: object) -> None:
    with pytest.raises(ValueError, match="whole numbers from 0"):
        Usage(**{"input_tokens": 9, "output_tokens": 9, name: odd})  # type: ignore[arg-type]


@given(usages(), usages(), usages())
def test_sums_obey_the_laws(a: Usage, b: Usage, c: Usage) -> None:
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert a + Usage() == a
    assert (a + b).estimated == (a.estimated or b.estimated)
    assert classes(a + b) == tuple(map(add, classes(a), classes(b)))


@given(st.lists(usages() | st.none()))
def test_a_total_hides_nobody(parts: list[Usage | None]) -> None:
    total, known = Usage.total(parts), [part for part in parts if part is not None]
    if parts and not known:
        assert total is None, "unknown, and not 0"
        return
    assert total is not None
    assert classes(total) == classes(reduce(add, known, Usage()))
    assert total.estimated == (len(known) < len(parts) or any(part.estimated for part in known))


@given(st.lists(usages() | st.none(), min_size=1), st.lists(usages() | st.none(), min_size=1))
def test_totals_of_totals_are_totals(some: list[Usage | None], others: list[Usage | None]) -> None:
    assert Usage.total([*some, *others]) == Usage.total([Usage.total(some), Usage.total(others)])
    assert Usage.total([*some, *others]) == Usage.total([*others, *some])


@given(counts, counts, counts, counts, counts)
def test_what_contradicts_itself_is_a_floor(
    asked: int, cached: int, written: int, answered: int, reasoned: int
) -> None:
    read = Usage.read(
        input_tokens=asked,
        cached_input_tokens=cached,
        cache_write_tokens=written,
        output_tokens=answered,
        reasoning_tokens=reasoned,
    )
    assert read is not None
    assert (read.input_tokens, read.output_tokens) == (asked, answered), "the wholes stand"
    assert read.cached_input_tokens <= cached
    assert read.cache_write_tokens <= written
    assert read.reasoning_tokens <= reasoned
    assert read.estimated == (cached + written > asked or reasoned > answered)


@pytest.mark.parametrize("odd", [None, -1, 1.5, "3", True, [1], 10**12])
@pytest.mark.parametrize(
    "name", ["input_tokens", "output_tokens", "cached_input_tokens", "cache_write_tokens", "reasoning_tokens"]
)
def test_what_is_no_count_is_no_usage(name: str, odd: object) -> None:
    told: dict[str, object] = {"input_tokens": 3, "output_tokens": 4}
    assert Usage.read(**told) == Usage(input_tokens=3, output_tokens=4)  # type: ignore[arg-type]
    assert Usage.read(**{**told, name: odd}) is None  # type: ignore[arg-type]

"""What a request costs: nothing is billed twice, nothing that is not known is said, and what is said is exact."""

from __future__ import annotations

import decimal
import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pointsman import AtLeast, Exact, Price, PriceTier, Timings, Unknown, Usage
from pointsman.cost import price_as_json, price_of_json

MILLION = 1_000_000
counts = st.integers(0, 10**7)
usd = st.integers(0, 10**12).map(lambda pico: Decimal(pico) / 10**9)
maybe = st.none() | usd


@st.composite
def prices(draw: st.DrawFn, *, by_time: bool = True) -> Price:
    """Tiers may fall as well as rise, and a cached token may be dearer than a fresh one."""
    cached = draw(maybe)
    starts = sorted(draw(st.sets(st.integers(1, 10**6), max_size=3)))
    tiers = [
        PriceTier(
            tokens=start,
            input=draw(usd),
            output=draw(usd),
            cached_input=draw(usd if cached is not None else maybe),
            cache_write=draw(maybe),
        )
        for start in starts
    ]
    return Price(
        input=draw(usd),
        output=draw(usd),
        cached_input=cached,
        cache_write=draw(maybe),
        request=draw(st.just(Decimal(0)) | usd),
        second=draw(st.just(Decimal(0)) | usd) if by_time else Decimal(0),
        tiers=tuple(tiers),
        as_of=draw(st.none() | st.dates()),
        source="made up",
    )


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    fresh, cached, written, output = draw(st.tuples(counts, counts, counts, counts))
    return Usage(
        input_tokens=fresh + cached + written,
        cached_input_tokens=cached,
        cache_write_tokens=written,
        output_tokens=output,
    )


def price(dollars: str = "1", output: str = "4", **more: Any) -> Price:
    amounts = {name: Decimal(value) if isinstance(value, str) else value for name, value in more.items()}
    return Price(input=Decimal(dollars), output=Decimal(output), as_of=date(2026, 11, 1), source="a table", **amounts)


@given(prices(), usages())
def test_every_token_is_billed_once_at_its_own_rate(price: Price, usage: Usage) -> None:
    """Written out by hand, token by token."""
    rates: Price | PriceTier = price
    for tier in price.tiers:
        if usage.input_tokens >= tier.tokens:
            rates = tier
    fresh = usage.input_tokens - usage.cached_input_tokens - usage.cache_write_tokens
    owed = fresh * rates.input + usage.output_tokens * rates.output
    owed += usage.cached_input_tokens * (rates.input if rates.cached_input is None else rates.cached_input)
    owed += usage.cache_write_tokens * (rates.input if rates.cache_write is None else rates.cache_write)
    assert price.of(usage).known == price.request + owed / MILLION


@given(prices(), usages())
def test_it_is_exact_only_if_the_vendor_counted_and_every_part_has_a_price(price: Price, usage: Usage) -> None:
    reached = [tier for tier in price.tiers if tier.tokens <= usage.input_tokens]
    unpriced = usage.cache_write_tokens and (reached[-1] if reached else price).cache_write is None
    assert price.of(usage).complete == (not price.second and not unpriced)


@given(prices(by_time=False), usages(), usages(), st.data())
@example(
    price(tiers=(PriceTier(tokens=10, input=Decimal("0.5"), output=Decimal(1)),)), Usage(input_tokens=20), Usage(), None
)
def test_a_floor_of_the_count_makes_a_floor_of_the_cost(price: Price, true: Usage, less: Usage, data: Any) -> None:
    """Whatever of the true input was cached or written, and in whatever tier it is."""
    seen = Usage(
        input_tokens=min(true.input_tokens, less.input_tokens),
        output_tokens=min(true.output_tokens, less.output_tokens),
        estimated=True,
    )
    floor = price.of(seen)
    assert floor.known <= price.of(true).known
    dear = [
        one for tier in (price, *price.tiers) for one in (tier.input, tier.output, tier.cached_input, tier.cache_write)
    ]
    assert floor.complete == (not any(dear)), "what costs nothing is known, however much of it there was"


@given(prices(), usages(), usages())
def test_two_requests_cost_what_both_cost(price: Price, one: Usage, other: Usage) -> None:
    """Without tiers, and but for what each request costs as such."""
    flat = replace(price, tiers=(), request=Decimal(0))
    both = Usage(
        **{
            name: getattr(one, name) + getattr(other, name)
            for name in ("input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens")
        }
    )
    assert (flat.of(one) + flat.of(other)).known == flat.of(both).known


@given(prices(), usages(), counts)
def test_more_output_never_costs_less(price: Price, usage: Usage, more: int) -> None:
    longer = replace(usage, output_tokens=usage.output_tokens + more)
    assert price.of(longer).known >= price.of(usage).known


@given(prices(), usages(), st.integers(1, 9))
def test_no_digit_is_lost_whatever_the_precision_of_the_thread(price: Price, usage: Usage, precision: int) -> None:
    whole = price.of(usage)
    with decimal.localcontext(prec=precision):
        assert price.of(usage) == whole


def test_a_tier_holds_for_the_whole_request_from_its_first_token_on() -> None:
    """Gemini 2.5 Pro, on Google's price page: $1.25 and $10 for prompts up to 200k tokens, $2.50 and $15 above."""
    long = PriceTier(tokens=200_001, input=Decimal("2.5"), output=Decimal(15), cached_input=Decimal("0.25"))
    gemini = price("1.25", "10", cached_input="0.125", tiers=(long,))
    assert gemini.of(Usage(input_tokens=200_000)) == Exact("0.25")
    assert gemini.of(Usage(input_tokens=250_000)) == Exact("0.625")
    assert gemini.of(Usage(input_tokens=250_000, cached_input_tokens=250_000)) == Exact("0.0625")
    assert gemini.of(Usage(input_tokens=200_001, output_tokens=MILLION)) == Exact("15.5000025")


def test_what_is_written_to_a_cache_without_a_known_price_leaves_a_lower_bound() -> None:
    written = Usage(input_tokens=3 * MILLION, cached_input_tokens=MILLION, cache_write_tokens=MILLION)
    assert price(cached_input="0.1").of(written) == AtLeast("2.1")
    assert price(cached_input="0.1", cache_write="1.25").of(written) == Exact("2.35")


def test_of_no_usage_only_what_does_not_depend_on_it_is_known() -> None:
    assert price().of(None) == Unknown
    assert price(request="0.02").of(None) == AtLeast("0.02")
    assert price("0", "0", request="0.02").of(None) == Exact("0.02")
    assert price("0", "0").of(None) == Exact(0)


@given(usd, st.floats(0, 1e6), st.floats(0, 1e6))
def test_seconds_are_a_lower_bound_from_the_first_output_on(second: Decimal, first: float, more: float) -> None:
    run = Timings(ttft=first, e2e=first + more)
    cost = price("0", "0", second=second).of(Usage(), run)
    exact = second * Decimal(run.e2e - first)
    assert exact - Decimal("1e-12") <= cost.known <= exact
    assert cost.complete == (second == 0)
    if second:
        assert price("0", "0", second=second).of(Usage(), Timings(e2e=more)) == Unknown
        assert price("0", "0", second=second).of(Usage()) == Unknown


@given(prices())
def test_a_price_is_written_and_read_without_loss(price: Price) -> None:
    assert price_of_json(json.loads(json.dumps(price_as_json(price)))) == price


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"input": 0.1}, "input is 0.1"),
        ({"output": Decimal("NaN")}, "output is Decimal('NaN')"),
        ({"request": Decimal(-1)}, "request is Decimal('-1')"),
        ({"input": None}, "input is None"),
        ({"tiers": (PriceTier(tokens=0, input=Decimal(1), output=Decimal(1)),)}, "from 1: not at [0]"),
        ({"tiers": (PriceTier(tokens=5, input=Decimal(1), output=Decimal(1)),) * 2}, "not at [5, 5]"),
        ({"tiers": (PriceTier(tokens=5, input=Decimal(1), output=1),)}, "output is 1"),  # type: ignore[arg-type]
        (
            {"cached_input": Decimal(1), "tiers": (PriceTier(tokens=5, input=Decimal(1), output=Decimal(1)),)},
            "each tier says it",
        ),
    ],
)
def test_what_is_no_price_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        replace(price(), **wrong)
    assert said in str(raised.value)

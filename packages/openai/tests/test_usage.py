"""What vendors count, as it was published, and what it means; and whatever they send, the laws of `Usage` hold."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from decimal import Context, Decimal, localcontext
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pointsman import AtLeast, Cost, Exact, Finished, Unknown, Usage
from pointsman_openai.bill import read_bill
from pointsman_openai.usage import read_input, read_usage

PAYLOADS: list[dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("usage_payloads.toml").read_text(encoding="utf-8")
)["payload"]
TEXT: dict[str, Any] = {"choices": [{"index": 0, "delta": {"content": "hi"}}]}
STOP: dict[str, Any] = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}

published = pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: payload["of"].partition(":")[0])


def meant(payload: dict[str, Any]) -> Usage:
    return Usage(
        input_tokens=payload["input"],
        cached_input_tokens=payload.get("cached", 0),
        cache_write_tokens=payload.get("written", 0),
        output_tokens=payload.get("output", 0),
        reasoning_tokens=payload.get("reasoning", 0),
        estimated=payload.get("floor", False),
    )


def sent(payload: dict[str, Any]) -> dict[str, Any]:
    chunk: dict[str, Any] = (
        json.loads(payload["chunk"]) if "chunk" in payload else {"usage": json.loads(payload["usage"])}
    )
    return {"choices": [], **chunk}


@published
def test_what_was_published_means_what_it_says(payload: dict[str, Any], finished: Callable[..., Finished]) -> None:
    """It arrives in a stream, beside the last words of the answer or after them."""
    bill = Exact(payload["bill"]) if "bill" in payload else Unknown
    for chunks in ([TEXT, STOP, sent(payload)], [TEXT, {**sent(payload), **STOP}]):
        told = finished(*chunks)
        assert (told.usage, told.cost) == (meant(payload), bill)


@published
def test_what_it_costs_by_hand(payload: dict[str, Any], finished: Callable[..., Finished]) -> None:
    if "rates" not in payload:
        assert "cost" not in payload
        return
    usage = finished(TEXT, STOP, sent(payload)).usage
    assert usage is not None
    rates = {name: Decimal(rate) for name, rate in payload["rates"].items()}
    owed = (
        (usage.input_tokens - usage.cached_input_tokens - usage.cache_write_tokens) * rates["input"]
        + usage.cached_input_tokens * rates.get("cached", rates["input"])
        + usage.cache_write_tokens * rates.get("written", rates["input"])
        + usage.output_tokens * rates["output"]
    )
    assert owed / 1_000_000 == Decimal(payload["cost"])


def test_each_says_where_it_is_from() -> None:
    assert len({payload["of"] for payload in PAYLOADS}) == len(PAYLOADS) >= 35
    for payload in PAYLOADS:
        assert payload["source"]
        assert payload["date"].year >= 2024


def test_the_counts_of_moonshot_stand_in_the_choice(finished: Callable[..., Finished]) -> None:
    (moonshot,) = (payload for payload in PAYLOADS if "finishing choice" in payload["of"])
    stop = {"choices": [{**STOP["choices"][0], "usage": json.loads(moonshot["usage"])}]}
    assert finished(TEXT, stop).usage == meant(moonshot)


# Whatever they send ---------------------------------------------------------------------------------------------------

NUMBERS = st.integers(-3, 60) | st.just(10**13) | st.none() | st.booleans() | st.floats() | st.text(max_size=2)
PARTS = (
    *("cached_tokens", "cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens"),
    "reasoning_tokens",
)
DETAILS = st.dictionaries(st.sampled_from(PARTS), NUMBERS) | st.none()
WHOLES = ("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens", "total_tokens")
FLAT = ("cached_tokens", "num_cached_tokens", "prompt_cache_hit_tokens", "reasoning_tokens", "cache_read_input_tokens")
TOLD: st.SearchStrategy[dict[str, Any]] = st.builds(
    lambda *parts: {name: value for part in parts for name, value in part.items()},
    st.dictionaries(st.sampled_from(WHOLES), NUMBERS),
    st.dictionaries(st.sampled_from((*FLAT, "cache_creation_input_tokens")), NUMBERS),
    st.dictionaries(st.sampled_from(("prompt_tokens_details", "completion_tokens_details")), DETAILS),
)


@given(TOLD)
@example({"prompt_tokens": 5, "completion_tokens": 0, "total_tokens": 10**13})
def test_whatever_is_sent_is_a_usage_or_none(told: dict[str, Any]) -> None:
    """Never an error. The wholes that a vendor names are never made smaller, and a total that explains them is kept."""
    found = read_usage(told)
    if found is None:
        return
    asked, answered, total = told.get("prompt_tokens"), told.get("completion_tokens"), told.get("total_tokens")
    if type(asked) is int:
        assert found.input_tokens >= asked
    if type(answered) is int:
        assert found.output_tokens >= answered
    if type(asked) is type(answered) is type(total) is int and total >= asked + answered and not found.estimated:
        anthropic = "cache_read_input_tokens" in told or "cache_creation_input_tokens" in told
        assert found.input_tokens + found.output_tokens == total or anthropic


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    fresh, cached, written, said, reasoned = (draw(st.integers(0, 10**6)) for _ in range(5))
    return Usage(
        input_tokens=fresh + cached + written + 1,
        cached_input_tokens=cached,
        cache_write_tokens=written,
        output_tokens=said + reasoned,
        reasoning_tokens=reasoned,
    )


@given(usages())
@example(Usage(input_tokens=7, cached_input_tokens=3, output_tokens=5, reasoning_tokens=3))
def test_the_same_usage_in_each_dialect_is_the_same_usage(usage: Usage) -> None:
    asked, answered = usage.input_tokens, usage.output_tokens
    cached, written, reasoned = usage.cached_input_tokens, usage.cache_write_tokens, usage.reasoning_tokens
    inside = {
        "prompt_tokens": asked,
        "completion_tokens": answered,
        "total_tokens": asked + answered,
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "completion_tokens_details": {"reasoning_tokens": reasoned},
    }
    anthropic = {
        "input_tokens": asked - cached - written,
        "output_tokens": answered,
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": written,
        "output_tokens_details": {"reasoning_tokens": reasoned},
    }
    assert read_usage(inside) == usage
    assert read_usage({**inside, "completion_tokens": answered - reasoned}) == usage, "as xAI does"
    assert read_usage(anthropic) == usage
    assert read_usage({**inside, "total_tokens": 0}) == usage, "a total that holds nothing says nothing"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"prompt_tokens": 3}, None),
        ({"prompt_tokens": 3, "completion_tokens": None}, None),
        ({"prompt_tokens": 3, "completion_tokens": None, "total_tokens": 9}, None),
        ({"prompt_tokens": 3, "total_tokens": 2}, Usage(input_tokens=3)),
        ({"completion_tokens": 3, "total_tokens": 9}, None),
        (  # Both beside.
            {
                "prompt_tokens": 3,
                "completion_tokens": 4,
                "total_tokens": 14,
                "prompt_tokens_details": {"cached_tokens": 5},
                "completion_tokens_details": {"reasoning_tokens": 2},
            },
            Usage(input_tokens=8, cached_input_tokens=5, output_tokens=6, reasoning_tokens=2),
        ),
        (  # Something is beside, and nobody can tell what.
            {
                "prompt_tokens": 3,
                "completion_tokens": 4,
                "total_tokens": 9,
                "completion_tokens_details": {"reasoning_tokens": 1},
            },
            Usage(input_tokens=3, output_tokens=4, reasoning_tokens=1, estimated=True),
        ),
        (  # A proxy that adds up what Anthropic calls input and output.
            {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7, "cache_read_input_tokens": 9},
            Usage(input_tokens=12, cached_input_tokens=9, output_tokens=4),
        ),
    ],
)
def test_what_the_total_tells(told: dict[str, Any], expected: Usage | None) -> None:
    assert read_usage(told) == expected


def test_an_answer_without_its_count_is_not_free(finished: Callable[..., Finished]) -> None:
    assert finished(TEXT, {**STOP, "usage": {"prompt_tokens": 3}}).usage is None
    assert finished(TEXT, {**STOP, "timings": {"prompt_n": 3, "predicted_n": 4}}).usage is None


def test_what_was_counted_on_the_way_is_not_the_end(finished: Callable[..., Finished]) -> None:
    """Some servers count with every token. If what they say last is no count, what they said before is one no more."""
    whole, part = {"prompt_tokens": 3, "completion_tokens": 9}, {"prompt_tokens": 3, "completion_tokens": 1}
    on_the_way = {**TEXT, "usage": part}
    assert finished(on_the_way, {**STOP, "usage": whole}).usage == Usage(input_tokens=3, output_tokens=9)
    assert finished(on_the_way, {**STOP, "usage": {**whole, "completion_tokens": "many"}}).usage is None
    empty = {"prompt_tokens": 0, "completion_tokens": 0}
    for nothing in (None, {}, empty):
        assert finished({**STOP, "usage": whole}, {"choices": [], "usage": nothing}).usage is not None


def test_embeddings_have_no_output() -> None:
    assert read_input({"prompt_tokens": 8, "total_tokens": 8}) == Usage(input_tokens=8)
    assert read_input({"prompt_tokens": 8, "total_tokens": 0}) == Usage(input_tokens=8)
    assert [read_input(odd) for odd in ({}, None, {"prompt_tokens": None}, {"prompt_tokens": -1})] == [None] * 4


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"cost": 0.5}, Unknown),
        ({"cost": 0.5, "cost_details": {}}, Unknown),
        ({"cost": 0.5, "cost_details": {"upstream_inference_cost": None}}, Exact("0.5")),
        ({"cost": 0, "cost_details": {"upstream_inference_cost": None}, "is_byok": True}, AtLeast(0)),
        ({"cost": {"total_cost": 0.00515}}, Exact("0.00515")),
        ({"cost": {"total_cost": "much"}}, Unknown),
        ({"cost": -1, "cost_details": {"upstream_inference_cost": 3}}, Unknown),
        ({"cost_in_usd_ticks": 10**17}, Unknown),
        ({"cost_in_usd_ticks": True}, Unknown),
        ({"estimated_cost": 0.5}, Unknown),
    ],
)
def test_a_bill_counts_if_its_unit_is_known(told: dict[str, Any], expected: Cost) -> None:
    assert read_bill(told) == expected


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"cost_in_usd_ticks": 49_123_456}, Exact("0.0049123456")),
        ({"cost": 0.123456, "cost_details": {"upstream_inference_cost": 0.654321}}, Exact("0.777777")),
    ],
)
def test_a_bill_is_exact_in_a_program_that_rounds_its_decimals(told: dict[str, Any], expected: Cost) -> None:
    with localcontext(Context(prec=3)):
        assert read_bill(told) == expected


@given(st.dictionaries(st.sampled_from(("cost", "cost_details", "cost_in_usd_ticks", "is_byok")), NUMBERS | DETAILS))
def test_a_bill_is_never_an_error(told: dict[str, Any]) -> None:
    assert type(read_bill(told)) is Cost

"""The list of models, as far as anything can be known from it."""

from __future__ import annotations

from datetime import date
from decimal import Context, Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import ModelInfo, Price
from pointsman_openai.models import read_models

TODAY = date(2026, 11, 23)


def read(value: Any) -> list[ModelInfo]:
    return read_models(value, today=TODAY, source="test")


def priced(asked: str, answered: str, cached: str | None = None) -> Price:
    return Price(
        input=Decimal(asked),
        output=Decimal(answered),
        cached_input=None if cached is None else Decimal(cached),
        as_of=TODAY,
        source="test",
    )


@pytest.mark.parametrize(
    ("entry", "model"),
    [
        ({"id": "a"}, ModelInfo(id="a")),
        (  # SambaNova; prices for one token, as text.
            {"id": "a", "context_length": 16384, "max_completion_tokens": 4096,
             "pricing": {"prompt": "0.000005", "completion": "0.000007", "input_cache_read": "0.0000005"}},
            ModelInfo(id="a", context_tokens=16384, max_output_tokens=4096, price=priced("5", "7", "0.5")),
        ),
        ({"id": "a", "pricing": {"prompt": 2.2e-7, "completion": 0}}, ModelInfo(id="a", price=priced("0.22", "0"))),
        ({"id": "a", "pricing": {"prompt": "free", "completion": "0"}}, ModelInfo(id="a")),
        ({"id": "a", "pricing": {"prompt": -1, "completion": -1}}, ModelInfo(id="a")),
        ({"id": "a", "pricing": {"prompt": 1}}, ModelInfo(id="a")),
        ({"id": "a", "max_model_len": 32768, "max_completion_tokens": None}, ModelInfo(id="a", context_tokens=32768)),
        ({"id": "a", "meta": {"n_ctx": 2048, "n_ctx_train": 4096}}, ModelInfo(id="a", context_tokens=2048)),
        ({"id": "a", "context_length": "8192"}, ModelInfo(id="a", context_tokens=8192)),
        ({"id": "a", "context_length": 0}, ModelInfo(id="a")),
    ],
)  # fmt: skip
def test_entries(entry: dict[str, Any], model: ModelInfo) -> None:
    assert read({"object": "list", "data": [entry]}) == read([entry]) == [model]


def test_a_listed_price_is_exact_in_a_program_that_rounds_its_decimals() -> None:
    with localcontext(Context(prec=2)):
        (model,) = read([{"id": "a", "pricing": {"prompt": "0.00000125", "completion": "0.000012345"}}])
    assert model.price == priced("1.25", "12.345")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["data", "id", "meta", "n_ctx", "pricing", "prompt"]), inner)
    ),
)


@given(JSON)
def test_any_json_is_some_list(value: Any) -> None:
    assert all(model.id for model in read(value))

"""The router's list, read as far as it goes, and what follows from it for costs."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import AtLeast, Cost, Exact, Plugins, Price, PriceBook, Settings, Target, Timings, Unknown, Usage
from pointsman.engine.roster import Roster
from pointsman_hf import SPEC, HuggingFaceConfig
from pointsman_hf.catalogue import Catalogue, read_catalogue
from pointsman_hf.config import divided, pinned
from pointsman_hf.prices import Meter, live_cost, price_of, pricing, users_own

TODAY = date(2026, 11, 23)
ANYTHING: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
PRICES = st.decimals(0, 100, places=2)
OFFERS: Any = st.fixed_dictionaries(
    {
        "provider": st.sampled_from(["groq", "novita", "together", "nscale"]),
        "status": st.sampled_from(["live", "error"]),
    },
    optional={
        "pricing": st.fixed_dictionaries({"input": PRICES.map(float), "output": PRICES.map(float)}) | ANYTHING,
        "context_length": st.integers(1, 10**7) | ANYTHING,
        "supports_tools": st.booleans() | ANYTHING,
        "supports_structured_output": st.booleans(),
        "first_token_latency_ms": st.integers(1, 10**5) | ANYTHING,
        "throughput": st.floats(0.1, 1000),
        "is_free": st.booleans(),
    },
)
MODELS: Any = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["a/b", "c/d"]),
        "providers": st.lists(OFFERS, max_size=4, unique_by=lambda o: o["provider"]),
    },
    optional={"architecture": st.just({"input_modalities": ["text", "image"]}) | ANYTHING},
)
USAGE = st.builds(Usage, input_tokens=st.integers(0, 10**7), output_tokens=st.integers(0, 10**7))


def read(*models: Any) -> Catalogue:
    return read_catalogue({"object": "list", "data": list(models)}, today=TODAY, source="the list")


def test_the_documented_example() -> None:
    found = read(
        {
            "id": "deepseek-ai/DeepSeek-V4-Pro",
            "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
            "providers": [
                {
                    "provider": "novita",
                    "status": "live",
                    "context_length": 1048576,
                    "pricing": {"input": 1.69, "output": 3.38},
                    "supports_tools": True,
                    "supports_structured_output": False,
                    "first_token_latency_ms": 1490,
                    "throughput": 24.69,
                    "is_model_author": False,
                },
                {"provider": "featherless-ai", "status": "live", "is_model_author": False},
                {"provider": "nscale", "status": "error"},
                {"provider": "free", "status": "live", "is_free": True, "supports_tools": False},
            ],
        }
    )
    whole, novita, featherless, free = found.models
    assert novita.id == "deepseek-ai/DeepSeek-V4-Pro:novita"
    assert (novita.context_tokens, novita.first_token, novita.tokens_per_second) == (1048576, 1.49, 24.69)
    assert novita.capabilities == {"tools", "vision"}
    assert novita.price == Price(input=Decimal("1.69"), output=Decimal("3.38"), as_of=TODAY, source="the list")
    assert (featherless.context_tokens, featherless.capabilities, featherless.price) == (None, None, None)
    assert free.price is not None
    assert free.price.output == 0
    assert free.capabilities == {"vision"}
    assert whole.id == "deepseek-ai/DeepSeek-V4-Pro"
    assert (whole.context_tokens, whole.capabilities, whole.price) == (1048576, None, None)


@given(ANYTHING)
def test_nonsense_is_an_empty_list(value: Any) -> None:
    found = read_catalogue(value, today=TODAY, source="")
    assert isinstance(found, Catalogue)
    read_catalogue({"data": [value, {"id": "a/b", "providers": [value]}]}, today=TODAY, source="")


@given(MODELS)
def test_what_holds_for_a_model_holds_for_all_who_serve_it(model: Any) -> None:
    found = read(model)
    live = [one for one in model["providers"] if one["status"] == "live"]
    assert len(found.models) == (len(live) + 1 if live else 0)
    if not live:
        return
    whole, *offers = found.models
    assert [one.id for one in offers] == [f"{model['id']}:{one['provider']}" for one in live]
    for offer in offers:
        if offer.context_tokens is not None:
            assert whole.context_tokens is not None
            assert whole.context_tokens <= offer.context_tokens
        if whole.capabilities is not None:
            assert offer.capabilities is not None
            assert whole.capabilities <= offer.capabilities
        if whole.price is not None:
            assert offer.price == whole.price
        if whole.first_token is not None:
            assert offer.first_token is not None
            assert offer.first_token <= whole.first_token
        if whole.tokens_per_second is not None:
            assert offer.tokens_per_second is not None
            assert offer.tokens_per_second >= whole.tokens_per_second


@given(MODELS, USAGE, st.sampled_from(["", ":fastest", ":cheapest", ":preferred"]))
def test_what_the_router_chose_costs_at_least_the_cheapest(model: Any, usage: Usage, suffix: str) -> None:
    found = read(model)
    name = model["id"]
    each = [live_cost(found, one.id, usage) for one in found.models[1:]]
    cost = live_cost(found, f"{name}{suffix}", usage)
    if not each or any(one == Unknown for one in each if not one.complete):
        assert cost == Unknown
    else:
        assert cost.known == min(one.known for one in each)
        assert not cost.complete or len({one.known for one in each}) == 1
    for one, offer in zip(each, found.models[1:], strict=True):
        assert one == (offer.price.of(usage) if offer.price else Unknown)
    assert live_cost(found, f"{name}:nobody", usage) == live_cost(found, name, None) == Unknown


@pytest.mark.parametrize("price", ["1e999999", 10**400, 10**12, "-1", True, "NaN"])
def test_a_price_that_nobody_could_pay_is_none(price: Any) -> None:
    offer = {"provider": "groq", "status": "live", "pricing": {"input": price, "output": 1}, "context_length": price}
    found = read({"id": "a/b", "providers": [offer]})
    assert [(one.price, one.context_tokens) for one in found.models] == [(None, None)] * 2


def test_the_users_own_price_wins() -> None:
    mine = Price(input=Decimal(7), output=Decimal(7), as_of=TODAY, source="a contract")
    found = read(
        {"id": "a/b", "providers": [{"provider": "groq", "status": "live", "pricing": {"input": 1, "output": 1}}]}
    )
    usage = Usage(input_tokens=1_000_000)
    by_model = pricing(PriceBook(({Target("hf", "a/b"): mine},), SPEC.variant_of), lambda: found, Meter(lambda: 0.0))
    by_provider = pricing(PriceBook(({Target("hf", "a/b:groq"): mine},)), lambda: found, Meter(lambda: 0.0))
    without = pricing(PriceBook(), lambda: found, Meter(lambda: 0.0))
    asked = Target("hf", "a/b:groq")
    assert by_model(asked, usage, None) == by_provider(asked, usage, None) == Exact(7)
    assert by_provider(Target("hf", "a/b"), usage, None) == without(asked, usage, None) == Exact(1)
    end = Target("hf", "endpoint:a")
    by_token = pricing(PriceBook(({end: mine},)), lambda: found, Meter(lambda: 0.0))
    assert by_token(end, usage, Timings(e2e=1.0)) == Exact(7)
    assert without(end, usage, None) == without(end, usage, Timings(e2e=1.0)) == Unknown


def test_the_book_says_the_price_that_an_answer_costs() -> None:
    """The price beside a cost in the ledger, and in `pointsman prices`, is the one that made it."""
    mine = {"hf/a/b": {"input": 7, "output": 7}}
    book = Roster(Settings.of({"prices": mine}), Plugins.installed()).prices("hf")
    asked = Target("hf", "a/b:groq")
    book.live[asked] = Price(input=Decimal(1), output=Decimal(1), as_of=TODAY, source="the list")
    price = book.find(asked)
    assert price is not None
    cost = pricing(book, Catalogue, Meter(lambda: 0.0))
    usage = Usage(input_tokens=1_000_000)
    assert price.of(usage) == cost(asked, usage, None) == Exact(7)


def test_of_the_users_own_prices_the_nearest_wins() -> None:
    def mine(usd: int) -> Price:
        return Price(input=Decimal(usd), output=Decimal(usd), as_of=None, source="a contract")

    said = {Target("hf", "*"): mine(1), Target("hf", "a/b"): mine(2), Target("hf", "a/c:groq"): mine(3)}
    book = PriceBook((said,), SPEC.variant_of)
    models = ("a/b:groq", "a/b", "a/c:groq", "a/c:novita", "endpoint:x")
    found = [users_own(book, Target("hf", model)) for model in models]
    assert found == [mine(2), mine(2), mine(3), mine(1), mine(1)]


def test_what_the_list_said_before_stands_in_until_it_is_read() -> None:
    usage, asked = Usage(input_tokens=1_000_000), Target("hf", "a/b:groq")
    known = read(
        {"id": "a/b", "providers": [{"provider": "groq", "status": "live", "pricing": {"input": 1, "output": 1}}]}
    )
    book = PriceBook(live={asked: Price(input=Decimal(5), output=Decimal(5), as_of=TODAY, source="the list")})
    now = Catalogue()
    cost = pricing(book, lambda: now, Meter(lambda: 0.0))
    assert cost(asked, usage, None) == Exact(5)
    now = known
    assert cost(asked, usage, None) == Exact(1)
    now = read({"id": "other", "providers": [{"provider": "groq", "status": "live"}]})
    assert cost(asked, usage, None) == Unknown, "who is not listed any more has no price of today"


def test_an_hour_of_an_endpoint_that_is_set_is_in_the_book_by_the_second() -> None:
    config = HuggingFaceConfig.model_validate({"api_key": "hf_0123456789", "endpoint_prices": {"mine": "0.8"}})
    for name in ("endpoint:mine", "endpoint:team/mine"):
        price = price_of(config, name)
        assert price is not None
        assert 0 < price.second * 3600 <= Decimal("0.8")
    assert price_of(config, "endpoint:other") is None
    assert price_of(config, "mine") is None


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 100)), min_size=1, max_size=12))
def test_attempts_share_the_seconds_of_an_endpoint(spans: list[tuple[int, int]]) -> None:
    """What they cost together is the time in which any of them ran, and no more."""
    ends = sorted((begin + length, length) for begin, length in spans)
    now = 0.0
    meter = Meter(lambda: now, {"endpoint:a": Decimal(3600)})
    costs: list[Cost] = []
    for end, length in ends:
        now = float(end)
        costs.append(meter.cost("endpoint:a", Timings(ttft=7.0, e2e=7.0 + length)))
    busy = {second for end, length in ends for second in range(end - length, end)}
    assert Cost.total(costs) == AtLeast(len(busy))


def test_nobody_pays_for_waiting() -> None:
    """For a replica, perhaps, which is not paid for as long as it is not there."""
    meter = Meter(lambda: 163.0, {"endpoint:a": Decimal(3600)})
    assert meter.cost("endpoint:a", Timings(ttft=60.0, e2e=63.0)) == AtLeast(3)
    assert meter.cost("endpoint:a", Timings(e2e=63.0)) == Unknown


def test_names() -> None:
    assert divided("a/b") == ("a/b", "")
    assert divided("a/b:groq") == ("a/b", "groq")
    assert [pinned(one) for one in ("a/b", "a/b:groq", "a/b:fastest", "endpoint:a/b", "endpoint:a")] == [
        None,
        "groq",
        None,
        None,
        None,
    ]

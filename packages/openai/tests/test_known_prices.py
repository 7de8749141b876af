"""The prices of `genai-prices`, read as it means them: its own arithmetic is the judge."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import Plugins, Settings, Target, Usage
from pointsman.engine.roster import Roster
from pointsman_openai import known_prices
from pointsman_openai.known_prices import price_of

OPENAI, GOOGLE = "https://api.openai.com/v1", "https://generativelanguage.googleapis.com/v1beta/openai"


def providers() -> list[Any]:
    snapshot = known_prices._snapshot()
    assert snapshot is not None
    return snapshot().providers


@cache
def known() -> list[tuple[str, str]]:
    """Models that have a price here, with an address of their vendor."""
    addresses = {
        "openai": OPENAI,
        "google": GOOGLE,
        "groq": "https://api.groq.com/openai/v1",
        "mistral": "https://api.mistral.ai/v1",
        "deepseek": "https://api.deepseek.com",
        "x-ai": "https://api.x.ai/v1",
        "openrouter": "https://openrouter.ai/api/v1",
    }
    return [
        (addresses[vendor.id], model.id)
        for vendor in providers()
        if vendor.id in addresses
        for model in vendor.models
        if price_of(addresses[vendor.id], model.id)
    ]


@given(
    st.deferred(lambda: st.sampled_from(known())),
    st.integers(0, 400_000),
    st.integers(0, 400_000),
    st.integers(0, 100_000),
)
def test_a_request_costs_what_its_own_arithmetic_says(
    where: tuple[str, str], fresh: int, cached: int, output: int
) -> None:
    """Tiers included, whichever side of them the request is on."""
    from genai_prices import Usage as Theirs
    from genai_prices.data_snapshot import get_snapshot

    address, model = where
    mine = price_of(address, model)
    assert mine is not None
    counted = Theirs(input_tokens=fresh + cached, cache_read_tokens=cached, output_tokens=output)
    theirs = get_snapshot().calc(counted, model, None, address, datetime.now(UTC)).total_price
    usage = Usage(input_tokens=fresh + cached, cached_input_tokens=cached, output_tokens=output)
    assert mine.of(usage).known - mine.request == theirs
    assert mine.of(usage).complete


def test_most_of_what_it_knows_is_read() -> None:
    assert len(known()) > 900
    assert {address for address, _ in known()} >= {OPENAI, GOOGLE}
    assert any(price.tiers for where in known() if (price := price_of(*where)))


def test_it_says_who_said_so() -> None:
    price = price_of(OPENAI, "gpt-4o-mini")
    assert price is not None
    assert (price.input, price.output, price.cached_input) == (Decimal("0.15"), Decimal("0.6"), Decimal("0.075"))
    assert price.as_of is None
    assert price.source.startswith("genai-prices 0.")
    assert "https://" in price.source


@pytest.mark.parametrize(
    ("address", "model"),
    [
        ("https://me--app.modal.run/v1", "openai/gpt-oss-120b"),  # A deployment of one's own is billed by the second.
        ("https://me--app.modal.direct/v1", "openai/gpt-oss-120b"),
        ("https://router.huggingface.co/v1", "openai/gpt-oss-120b"),  # Whoever serves it sets the price.
        ("http://127.0.0.1:8080/v1", "gpt-4o"),
        ("http://[::1]:8080/v1", "gpt-4o"),
        ("http://localhost:8080/v1", "gpt-4o"),
        ("http://gpu-box:8080/v1", "gpt-4o"),
        ("https://api.sambanova.ai/v1", "gpt-oss-120b"),
        ("https://my-gateway.example/v1", "gpt-4o"),
        ("https://api.openai.com.my-gateway.example/v1", "gpt-4o"),  # Hosts that only begin like a vendor's.
        ("https://api.openai.community/v1", "gpt-4o"),
        ("https://api.moonshot.my-gateway.example/v1", "kimi-k2"),
        (OPENAI, "nobody-has-heard-of-it"),
    ],
)
def test_where_it_is_not_right_it_is_not_asked(address: str, model: str) -> None:
    assert price_of(address, model) is None


@pytest.mark.parametrize(
    ("address", "vendor"),
    [
        ("HTTPS://API.OpenAI.com/v1", "openai"),
        ("https://api.openai.com:443", "openai"),
        ("https://api.moonshot.cn/v1", "moonshot"),
        ("https://api.minimax.io/v1", "minimax"),
        ("https://mine.openai.azure.com/openai", "azure"),
        ("https://api.arcee.ai/v1", "arcee"),
        (GOOGLE, "google"),
    ],
)
def test_a_host_is_the_vendors_however_it_is_written(address: str, vendor: str) -> None:
    found = [one for one in providers() if vendor in one.id]
    assert any(price_of(address, model.id) for one in found for model in one.models)


def test_a_model_at_the_router_with_a_suffix_is_that_providers() -> None:
    price = price_of("https://router.huggingface.co/v1", "openai/gpt-oss-120b:novita")
    assert price is not None
    assert price.input > 0
    assert price_of("https://router.huggingface.co/v1", "openai/gpt-oss-120b:fastest") is None


class Said:
    def __init__(self, **prices: Any) -> None:
        self.pricing_urls = None
        self.prices = self
        self.said = prices

    def get_prices(self, now: datetime) -> Any:
        return type("Prices", (), {})() if not self.said else _with(self.said)


def _with(said: dict[str, Any]) -> Any:
    found = type("Prices", (), {})()
    vars(found).update(said)
    return found


MILLIONTH = {"input_mtok": Decimal(1), "output_mtok": Decimal(2)}


@pytest.mark.parametrize("odd", ["output_reasoning_mtok", "input_image_mtok", "output_citation_mtok", "moon_phase"])
def test_a_price_that_is_not_understood_whole_is_none(odd: str) -> None:
    assert known_prices._price(Said(**MILLIONTH), Said()) is not None
    assert known_prices._price(Said(**MILLIONTH, **{odd: Decimal(1)}), Said()) is None


def test_what_is_kept_longer_in_a_cache_is_dearer_so_that_writing_has_no_price() -> None:
    both = known_prices._price(
        Said(**MILLIONTH, cache_write_mtok=Decimal("1.25"), cache_write_1h_mtok=Decimal(2)), Said()
    )
    one = known_prices._price(Said(**MILLIONTH, cache_write_mtok=Decimal("1.25")), Said())
    assert both is not None
    assert one is not None
    assert (both.cache_write, one.cache_write) == (None, Decimal("1.25"))


def test_data_that_a_program_has_renewed_is_used_at_once() -> None:
    from genai_prices.data_snapshot import DataSnapshot, set_custom_snapshot

    before = price_of(OPENAI, "gpt-4o-mini")
    try:
        set_custom_snapshot(DataSnapshot([one for one in providers() if one.id != "openai"], from_auto_update=True))
        assert price_of(OPENAI, "gpt-4o-mini") is None
    finally:
        set_custom_snapshot(None)
    assert price_of(OPENAI, "gpt-4o-mini") == before


def test_a_price_for_some_hours_of_the_day_is_none() -> None:
    by_the_clock = [
        (vendor, model)
        for vendor in providers()
        for model in vendor.models
        if isinstance(model.prices, list) and any(hasattr(one.constraint, "start_time") for one in model.prices)
    ]
    assert by_the_clock
    assert all(known_prices._price(model, vendor) is None for vendor, model in by_the_clock)


def test_the_book_of_a_compatible_server_has_it_by_the_address() -> None:
    tables = {"mine": {"plugin": "openai-compatible", "base_url": OPENAI, "api_key": "sk-0123456789"}}
    book = Roster(Settings.of({"providers": tables}), Plugins.installed()).prices("mine")
    found = book.quote(Target("mine", "gpt-4o-mini"))
    assert found is not None
    assert found.layer == "package"


def test_without_the_package_nothing_is_known_and_nothing_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices.data_snapshot", None)
    known_prices._snapshot.cache_clear()
    assert price_of(OPENAI, "gpt-4o-mini") is None
    known_prices._snapshot.cache_clear()

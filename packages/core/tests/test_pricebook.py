"""Whose price holds: the user's, the list's, or the package's table; and what is kept between processes."""

from __future__ import annotations

import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import (
    AsyncClient,
    ConfigError,
    Exact,
    ModelInfo,
    Plugins,
    Price,
    PriceBook,
    PriceTier,
    Quote,
    Settings,
    Target,
    Unknown,
    Usage,
)
from pointsman.engine import pricelist
from pointsman.engine.roster import Roster
from pointsman_testing import ScriptedProvider

ONE, TWO = Target("acme", "one"), Target("acme", "two")
BASE = "http://127.0.0.1:1/v1"


def plugins_of(provider: ScriptedProvider) -> Plugins:
    return Plugins.of(providers={provider.name: provider})


def price(usd: str, day: int | None = 1, source: str = "made up") -> Price:
    as_of = None if day is None else date(2026, 11, day)
    return Price(input=Decimal(usd), output=Decimal(usd), as_of=as_of, source=source)


def test_the_users_price_goes_before_all_others() -> None:
    book = PriceBook(
        ({ONE: price("1")}, {Target("acme", "*"): price("2")}),
        table={ONE: price("4"), TWO: price("5")},
        package=lambda target, listed: price("6"),
        live={ONE: price("3")},
    )
    assert [(quote.layer, quote.price.input) for quote in book.quotes(ONE)] == [
        ("user", 1),
        ("live", 3),
        ("table", 4),
        ("package", 6),
    ]
    assert book.find(TWO) == price("2"), "all that the provider has"
    assert PriceBook(package=lambda target, listed: price("6")).quote(TWO) == Quote(price("6"), "package")
    assert PriceBook().find(ONE) is None
    assert PriceBook().cost(ONE, Usage(input_tokens=5)) == Unknown
    assert book.cost(ONE, Usage(input_tokens=1_000_000)) == Exact(1)


@given(st.none() | st.integers(1, 28), st.none() | st.integers(1, 28))
def test_a_list_that_is_older_than_the_table_does_not_hide_it(listed: int | None, shipped: int | None) -> None:
    book = PriceBook(table={ONE: price("2", shipped)}, live={ONE: price("1", listed)})
    found = book.quote(ONE)
    assert found is not None
    older = listed is not None and shipped is not None and listed < shipped
    assert found.layer == ("table" if older else "live")
    assert len(list(book.quotes(ONE))) == 2


def test_what_a_list_says_is_the_whole_of_it() -> None:
    book = PriceBook(table={ONE: price("2")}, package=lambda target, listed: listed and price("7"))
    book.learn({ONE: ModelInfo(id="one", price=price("1")), TWO: ModelInfo(id="two")})
    assert (book.find(ONE), book.find(TWO)) == (price("1"), price("7"))
    book.learn({TWO: ModelInfo(id="two")})
    assert (book.find(ONE), book.find(TWO)) == (price("2"), price("7"))
    book.learn({})
    assert book.find(TWO) is None


# What the user sets ---------------------------------------------------------------------------------------------------


def settings(prices: Any, **more: Any) -> Settings:
    return Settings.of({"prices": prices, **more})


def test_amounts_are_exactly_what_is_written() -> None:
    found = settings(
        {
            "acme/one": {"input": 0.1, "output": "0.30", "cached_input": "$0.01", "cache_write": 1, "request": "0.005"},
            "acme": {"second": 0.0003, "as_of": "2026-11-01", "source": "my contract"},
            "acme/long": {
                "input": 1,
                "output": 2,
                "tiers": [{"tokens": 200_001, "input": "2", "output": "3.5"}],
            },
        }
    ).prices
    assert found["acme/one"] == Price(
        input=Decimal("0.1"),
        output=Decimal("0.3"),
        cached_input=Decimal("0.01"),
        cache_write=Decimal(1),
        request=Decimal("0.005"),
        as_of=None,
        source="argument",
    )
    assert found["acme"].second == Decimal("0.0003")
    assert (found["acme"].as_of, found["acme"].source) == (date(2026, 11, 1), "my contract")
    assert found["acme/long"].tiers == (PriceTier(tokens=200_001, input=Decimal(2), output=Decimal("3.5")),)


@given(st.decimals(0, 1000, places=6))
def test_a_number_and_its_text_are_the_same_price(usd: Decimal) -> None:
    one = settings({"a": {"input": float(usd), "output": str(usd)}}).prices["a"]
    assert one.input == one.output == usd


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"input": -1, "output": 1}, '[prices."a/b"] input (from argument): is an amount of USD'),
        ({"input": "NaN", "output": 1}, "not 'NaN'"),
        ({"input": "cheap", "output": 1}, "not 'cheap'"),
        ({"input": True, "output": 1}, "not True"),
        ({"input": "1e-30", "output": 1}, "at most 18 decimals"),
        ({"input": 1e10, "output": 1}, "is below 1000000000"),
        ({"input": [1], "output": 1}, "not a list"),
        ({"input": 1}, "(from argument): has input without output: write both, and 0 for what is not charged"),
        ({"output": 1}, "has output without input"),
        ({}, "says no price"),
        ({"as_of": "2026-11-01"}, "says no price"),
        ({"request": 1, "as_of": 20261101}, "as_of (from argument): is a day, such as 2026-11-01, not 20261101"),
        ({"request": 1, "as_of": 0}, "not 0"),
        ({"request": 1, "cached_input": 1}, "write input and output, too"),
        ({"inptu": 1, "output": 1}, "has no setting 'inptu' (from argument)"),
        ({"input": 1, "output": 1, "tiers": 5}, "is a list of tables"),
        ({"input": 1, "output": 1, "tiers": [5]}, "tiers (from argument): number 1 is wrong: it is no table"),
        ({"input": 1, "output": 1, "tiers": [{"tokens": 9, "input": 1}]}, "number 1 is wrong: output is missing"),
        (
            {"input": 1, "output": 1, "tiers": [{"tokens": 9, "input": -1, "output": 1}]},
            "number 1 is wrong: input is an amount of USD",
        ),
        (
            {"input": 1, "output": 1, "tiers": [{"tokens": 9, "input": 1, "output": 1, "second": 1}]},
            "it has no setting 'second'",
        ),
        ({"input": 1, "output": 1, "tiers": [{"tokens": "x", "input": 1, "output": 1}]}, "tokens is a whole number"),
        ({"input": 1, "output": 1, "tiers": [{"tokens": 0, "input": 1, "output": 1}]}, "tiers begin at rising"),
    ],
)
def test_what_is_no_price_is_refused_by_name_and_origin(said: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError) as raised:
        _ = settings({"a/b": said}).prices
    assert '[prices."a/b"]' in str(raised.value)
    assert complaint in str(raised.value)


async def test_a_price_of_a_provider_that_is_not_there_is_refused_when_the_client_opens() -> None:
    wrong = settings({"acne/one": {"input": 1, "output": 1}})
    with pytest.raises(ConfigError, match=r"""\[prices\."acne/one"\]: no provider is called 'acne'.*acme"""):
        async with AsyncClient(settings=wrong, plugins=plugins_of(ScriptedProvider("acme"))):
            pass


# What vendors say, kept -----------------------------------------------------------------------------------------------


def listing(*models: ModelInfo, name: str = "acme") -> ScriptedProvider:
    return ScriptedProvider(name, models=models)


def at_home(**more: str) -> dict[str, str]:
    return {"HOME": os.environ["HOME"], **more}


async def test_what_a_list_says_is_in_the_book_and_in_the_next_clients(tmp_path: Path) -> None:
    cache = {"POINTSMAN_CACHE": str(tmp_path)}
    one, two = ModelInfo(id="one", price=price("3", 2, "its list")), ModelInfo(id="two")
    async with AsyncClient(settings=Settings.of({}, cache), plugins=plugins_of(listing(one, two))) as client:
        await (await client.connect("acme")).models()
        assert client.roster.prices("acme").quote(ONE) == Quote(price("3", 2, "its list"), "live")
    (file,) = (tmp_path / "prices").iterdir()
    assert "its list" in file.read_text()
    later = Roster(Settings.of({}, cache), plugins_of(listing())).prices("acme")
    assert later.quote(ONE) == Quote(price("3", 2, "its list"), "live")
    assert later.find(TWO) is None


async def test_without_an_environment_no_file_is_read_or_written(tmp_path: Path) -> None:
    assert pricelist.folder({}) is None
    assert pricelist.folder({"HOME": str(tmp_path)}) is None, "another home than this process's"
    if os.name == "posix":
        assert pricelist.folder(at_home()) is not None
    assert pricelist.folder(at_home(POINTSMAN_CACHE=str(tmp_path))) == tmp_path / "prices"


def test_the_home_of_nobody_is_a_setting_that_is_wrong(tmp_path: Path) -> None:
    nobody = "~nobody-of-this-name/x"
    with pytest.raises(ConfigError, match=r"POINTSMAN_CACHE is '~nobody-of-this-name/x'.*write the whole path"):
        pricelist.folder({"POINTSMAN_CACHE": nobody})
    with pytest.raises(ConfigError, match="POINTSMAN_CONFIG is"):
        Settings.discover(environ={"POINTSMAN_CONFIG": nobody})


def test_another_address_is_another_list(tmp_path: Path) -> None:
    places = [pricelist.place(tmp_path, *who) for who in (("a", BASE), ("a", f"{BASE}/"), ("b", BASE), ("A", BASE))]
    assert len({str(path).lower() for path in places}) == 4


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b'{"version": 1}',
        b'{"version": 2, "prices": {}}',
        b'{"version": 1, "prices": []}',
        b'{"version": 1, "prices": {"m": 5}}',
        b'{"version": 1, "prices": {"m": {"input": "x"}}}',
        b"[" * 100_000,
        b"x" * (pricelist.LONGEST + 2),
    ],
    ids=range(12),
)
def test_a_broken_file_is_left_out_with_a_word(broken: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "list.json"
    path.write_bytes(broken)
    assert pricelist.read(path) == {}
    assert str(path) in caplog.text
    assert pricelist.write(path, {"m": price("1")})
    assert pricelist.read(path) == {"m": price("1")}
    assert os.listdir(tmp_path) == ["list.json"], "nothing is left beside it"


def test_where_nothing_can_be_kept_the_log_says_so_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "prices").write_text("a file, where a folder is to be")
    cache = {"POINTSMAN_CACHE": str(tmp_path)}
    roster = Roster(Settings.of({}, cache), plugins_of(listing()))
    roster.prices("acme").learn({ONE: ModelInfo(id="one", price=price("1"))})
    assert roster.has_news("acme")
    roster.keep_prices("acme")
    assert not roster.has_news("acme")
    assert len([one for one in caplog.records if one.levelno == logging.WARNING and "kept" in one.message]) == 1


def test_of_several_who_write_one_wins_whole(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    lists = [{f"m{number}": price(str(number)) for number in range(size)} for size in range(1, 21)]
    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(lambda one: (pricelist.write(path, one), pricelist.read(path))[1], lists))
    assert all(one in lists for one in seen)
    assert os.listdir(tmp_path) == ["list.json"]
    assert json.loads(path.read_text())["version"] == 1


# What a package knows -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [5, ValueError("boom")])
def test_a_package_that_does_not_know_its_own_prices_costs_only_the_price(
    answer: object, caplog: pytest.LogCaptureFixture
) -> None:
    def price_of(config: object, model: ModelInfo) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    provider = listing()
    provider.spec = replace(provider.spec, price_of=price_of)
    book = Roster(Settings.of({}), plugins_of(provider)).prices("acme")
    assert book.find(ONE) is None
    assert book.find(TWO) is None
    assert len(caplog.records) == 1
    assert "acme" in caplog.text

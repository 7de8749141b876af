"""`pointsman models`: what providers list and packages ship, merged, chosen from and sorted."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st

from pointsman import Price, Target
from pointsman_cli.models import asking, facts
from pointsman_cli.models.catalogue import Choice, Model
from pointsman_cli.models.table import show_table
from pointsman_testing import Fault, Hangup, Vendor

Invoke = Callable[..., Result]


def found(done: Result) -> dict[str, Any]:
    return json.loads(done.stdout)


def targets(done: Result) -> list[str]:
    return [one["target"] for one in found(done)["models"]]


def test_ready_providers_are_asked(invoke: Invoke, place: Path, a: Vendor, b: Vendor, valid: Any) -> None:
    done = invoke("models", "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    valid("models.json", found(done))
    assert targets(done) == ["a/m1", "b/m1"]
    assert {one["origin"] for one in found(done)["models"]} == {"live"}
    assert [request.path for request in (*a.requests, *b.requests)] == ["/v1/models"] * 2
    assert targets(invoke("models", "b", "--json")) == ["b/m1"]


def test_what_nobody_knows_is_called_unknown(invoke: Invoke, place: Path) -> None:
    line = next(line for line in invoke("models").stdout.splitlines() if line.startswith("a/m1"))
    assert line.split() == ["a/m1", "unknown", "unknown", "unknown", "unknown"]


def test_what_others_like_it_can_do_is_not_known_of_a_model(invoke: Invoke, place: Path) -> None:
    """A server of which nobody knows what it serves may be asked for tools, and is not said to have them."""
    assert [one["capabilities"] for one in found(invoke("models", "--json"))["models"]] == [None, None]
    done = invoke("models", "--capability", "tools")
    assert done.stdout == ""
    assert "2 of unknown abilities left out." in done.stderr
    assert invoke("route", "hi", "--require", "tools").exit_code == 0


@pytest.mark.parametrize(
    ("of_a", "of_b", "code"), [(Hangup(), None, 0), (Fault(401), Hangup(), 4), (Fault(429), Hangup(), 5)]
)
def test_who_fails_is_named_and_the_rest_is_shown(
    invoke: Invoke, place: Path, a: Vendor, b: Vendor, of_a: Any, of_b: Any, code: int, valid: Any
) -> None:
    for vendor, script in ((a, of_a), (b, of_b)):
        if script is not None:
            vendor.script(script, on="models")
    done = invoke("models", "--json")
    assert done.exit_code == code
    valid("models.json", found(done))
    assert "✗ a: " in done.stderr
    assert targets(done) == ([] if of_b else ["b/m1"])
    assert "a" in [one["provider"] for one in found(done)["failed"]]


def test_what_a_package_ships_stands_in(
    invoke: Invoke, place: Path, a: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    a.script(Hangup(), on="models")
    monkeypatch.setenv("POINTSMAN_SAMBANOVA_BASE_URL", a.base_url)
    monkeypatch.setenv("POINTSMAN_SAMBANOVA_API_KEY", str(a.api_key))
    done = invoke("models", "sambanova", "--json")
    assert done.exit_code == 3
    assert "what its package ships stands in for it" in done.stderr
    assert {one["origin"] for one in found(done)["models"]} == {"shipped"}


def test_a_provider_that_hangs_is_given_up(
    invoke: Invoke, place: Path, a: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "PATIENCE", 1.0)
    a.script(Hangup(wait=30), on="models")
    done = invoke("models", "--json")
    assert done.exit_code == 0
    assert "a: no answer within 1 s" in done.stderr
    assert targets(done) == ["b/m1"]


def test_live_facts_are_filled_in_with_shipped_ones(
    invoke: Invoke, labs: Any, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor = labs.vendor(models=["gpt-oss-120b", "new-one"], api_key="sk-not-a-real-one-12345")
    monkeypatch.setenv("POINTSMAN_SAMBANOVA_BASE_URL", vendor.base_url)
    monkeypatch.setenv("POINTSMAN_SAMBANOVA_API_KEY", "sk-not-a-real-one-12345")
    done = invoke("models", "sambanova", "--json")
    known, new = found(done)["models"]
    assert known["target"] == "sambanova/gpt-oss-120b"
    assert known["price"]["output"] == "0.59"
    assert new["price"] is None
    assert (new["context_tokens"], new["origin"]) == (None, "live")


def test_offline_needs_no_key_and_asks_nobody(invoke: Invoke, place: Path, a: Vendor, b: Vendor, valid: Any) -> None:
    done = invoke("models", "--offline", "--json")
    assert done.exit_code == 0
    valid("models.json", found(done))
    assert "sambanova/gpt-oss-120b" in targets(done)
    assert [*a.requests, *b.requests] == []


def test_unready_providers(invoke: Invoke, nowhere: Path) -> None:
    assert invoke("models").exit_code == 4
    done = invoke("models", "sambanova", "--json")
    assert done.exit_code == 4
    assert "SAMBANOVA_API_KEY" in done.stderr
    done = invoke("models", "sambanvoa")
    assert done.exit_code == 2
    assert "did you mean 'sambanova'" in done.stderr


def test_choosing(invoke: Invoke, nowhere: Path) -> None:
    def chosen(*args: str) -> list[str]:
        return [one.removeprefix("sambanova/") for one in targets(invoke("models", "--offline", "--json", *args))]

    assert chosen("--filter", "LLAMA") == ["Meta-Llama-3.3-70B-Instruct"]
    assert chosen("--filter", "*/gpt-*") == ["gpt-oss-120b"]
    assert chosen("--filter", "gpt-?") == []
    assert chosen("--capability", "vision") == ["gemma-4-31B-it"]
    assert chosen("--capability", "vision", "--capability", "tools") == []
    assert chosen("--min-context", "1M") == ["MiniMax-M3"]
    assert "DeepSeek-V3.2" not in chosen("--min-context", "33k")
    assert chosen("--max-price", "0.59") == ["gpt-oss-120b"]
    assert chosen("--sort", "price")[0] == "gpt-oss-120b"
    assert chosen("--sort", "context")[0] == "MiniMax-M3"


def test_choosing_none_says_so(invoke: Invoke, nowhere: Path) -> None:
    done = invoke("models", "--offline", "--filter", "nothing-like-it")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "fits" in done.stderr


@pytest.mark.parametrize(
    "args", [["--min-context", "many"], ["--max-price", "-1"], ["--max-price", "NaN"], ["--sort", "age"]]
)
def test_wrong_limits(invoke: Invoke, nowhere: Path, args: list[str]) -> None:
    assert invoke("models", *args).exit_code == 2


def test_verbose_names_the_source_of_prices(invoke: Invoke, nowhere: Path) -> None:
    assert "Prices as of 2026-10-07, SambaNova's price page" in " ".join(
        invoke("models", "--offline", "-v").stdout.split()
    )


def model(price: Price | None, context: int | None) -> Model:
    return Model(
        target=Target("p", "m"),
        context_tokens=context,
        max_output_tokens=None,
        capabilities=frozenset(),
        price=price,
        listed=True,
    )


def test_speeds_that_a_vendor_states_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    mute = replace(model(None, None), target=Target("p", "mute"))
    quick = replace(mute, target=Target("p", "quick"), first_token=0.25, tokens_per_second=180.4)
    slow = replace(mute, target=Target("p", "slow"), first_token=1.5, tokens_per_second=20.0)
    assert Choice(sort="speed").of([mute, slow, quick]) == [quick, slow, mute]
    assert (quick.as_json()["first_token"], mute.as_json()["tokens_per_second"]) == (0.25, None)
    show_table([quick, mute], verbose=False)
    heads, first, second = (line.split() for line in capsys.readouterr().out.splitlines())
    assert heads[-5:-2] == ["first", "token", "token/s"]
    assert (first[4:6], second[4:6]) == (["0.25s", "180"], ["unknown", "unknown"])
    show_table([mute], verbose=False)
    assert "token/s" not in capsys.readouterr().out


amounts = st.decimals(min_value=0, max_value=100, places=2)
prices = st.none() | st.builds(
    Price, input=amounts, output=amounts, as_of=st.just(date(2026, 1, 1)), source=st.just("x")
)
models = st.lists(st.builds(model, prices, st.none() | st.integers(1, 2_000_000)), max_size=8)


@given(
    models, st.none() | amounts, st.none() | st.integers(0, 2_000_000), st.sampled_from(["name", "price", "context"])
)
def test_the_unknown_stands_last_and_fits_no_limit(
    given_: list[Model], most: Decimal | None, least: int | None, sort: str
) -> None:
    chosen = Choice(max_price=most, min_context=least, sort=sort).of(given_)
    if most is not None:
        assert all(one.price is not None and max(one.price.input, one.price.output) <= most for one in chosen)
    if least:
        assert all(one.context_tokens is not None and one.context_tokens >= least for one in chosen)
    if sort == "price":
        known = [one.price.input + one.price.output for one in chosen if one.price]
        assert known == sorted(known)
        assert all(one.price is None for one in chosen[len(known) :])
    if sort == "context":
        known_contexts = [one.context_tokens for one in chosen if one.context_tokens is not None]
        assert known_contexts == sorted(known_contexts, reverse=True)
        assert all(one.context_tokens is None for one in chosen[len(known_contexts) :])


def test_figures() -> None:
    assert [facts.tokens(one) for one in (None, 512, 131072, 999_999, 1_000_000, 1_048_576)] == [
        "unknown", "512", "131k", "1M", "1M", "1.05M",
    ]  # fmt: skip
    assert [facts.usd(one) for one in (None, Decimal(0), Decimal("0.6"), Decimal("0.125"), Decimal("1E+1"))] == [
        "unknown", "0.00", "0.60", "0.125", "10.00",
    ]  # fmt: skip


@pytest.mark.parametrize("columns", [30, 40, 80, 200])
def test_it_fits_the_terminal(terminal: Any, nowhere: Path, columns: int) -> None:
    screen = terminal("models", "--offline", columns=columns, env={"NO_COLOR": "1"})
    assert screen.code == 0
    assert "\x1b" not in screen.text
    assert max(map(len, screen.text.splitlines())) <= max(columns, len("sambanova/Meta-Llama-3.3-70B-Instruct"))


def test_a_pipe_gets_a_line_a_model(run: Any, nowhere: Path) -> None:
    lines = run("models", "--offline", env={"COLUMNS": "40"}).stdout.splitlines()
    assert [len(line.split()) for line in lines[1:]] == [5] * (len(lines) - 1)


def test_colours_are_for_terminals_that_want_them(terminal: Any, run: Any, nowhere: Path) -> None:
    assert "\x1b[" in terminal("models", "--offline").text
    assert "\x1b[" not in terminal("models", "--offline", env={"TERM": "dumb"}).text
    assert "\x1b[" not in run("models", "--offline").stdout

"""`pointsman prices`: whose price holds, what is missing or old, and asking vendors anew."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from pointsman import Price, Target
from pointsman.engine.roster import Roster
from pointsman_cli.models import facts
from pointsman_testing import Fault, Hangup, SambaNovaApi, Vendor

Invoke = Callable[..., Result]
TODAY = datetime.now(UTC).date()
SAMBA = "sambanova/gpt-oss-120b"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def samba(labs: Any, nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> Vendor:
    """A vendor whose list has prices."""
    vendor: Vendor = labs.vendor(dialect=SambaNovaApi(), models=["gpt-oss-120b"], api_key="sk-not-a-real-one-12345")
    monkeypatch.setenv("POINTSMAN_SAMBANOVA_BASE_URL", vendor.base_url)
    monkeypatch.setenv("POINTSMAN_SAMBANOVA_API_KEY", "sk-not-a-real-one-12345")
    return vendor


def settings(place: Path, text: str) -> None:
    with (place / "pointsman.toml").open("a") as file:
        file.write(text)


def shown(done: Result) -> dict[str, Any]:
    return {one["target"]: one for one in json.loads(done.stdout)["prices"]}


def test_every_price_has_its_place_and_its_age(invoke: Invoke, nowhere: Path, valid: Any) -> None:
    settings(nowhere, f'[prices."{SAMBA}"]\ninput = 0.1\noutput = "0.30"\nsource = "my contract"\n')
    done = invoke("prices", "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    valid("prices.json", json.loads(done.stdout))
    mine, table = shown(done)[SAMBA], shown(done)["sambanova/DeepSeek-V3.1"]
    assert (mine["layer"], mine["price"]["input"], mine["price"]["source"]) == ("user", "0.1", "my contract")
    assert mine["age_days"] is None
    assert [one["layer"] for one in mine["others"]] == ["table"]
    assert (table["layer"], table["price"]["as_of"]) == ("table", "2026-10-07")
    assert table["age_days"] == (TODAY - datetime(2026, 10, 7, tzinfo=UTC).date()).days
    assert invoke("prices", "show", "--json").stdout == done.stdout


def test_a_target_or_a_provider_is_shown_alone(invoke: Invoke, nowhere: Path) -> None:
    settings(nowhere, "[prices.sambanova]\nrequest = 0.002\n")
    assert list(shown(invoke("prices", "show", SAMBA, "sambanova/new", "--json"))) == [SAMBA, "sambanova/new"]
    assert {"sambanova/*", SAMBA} < set(shown(invoke("prices", "show", "sambanova", "--json")))
    line = invoke("prices", "show", "sambanova/new").stdout
    assert (
        line
        == f"sambanova/new\ta request $0.002\tyour settings, without a date: project file {nowhere}/pointsman.toml\n"
    )
    done = invoke("prices", "show", "sambanvoa")
    assert done.exit_code == 2
    assert "did you mean 'sambanova'" in done.stderr


def test_what_is_free_and_what_is_not_known_are_two_things(invoke: Invoke, nowhere: Path) -> None:
    pytest.importorskip("pointsman_ollama")
    assert invoke("prices", "show", "ollama/qwen3:8b").stdout.startswith("ollama/qwen3:8b\tfree\tthe package, ")
    assert invoke("prices", "show", "ollama/gpt-oss:120b-cloud").stdout == "ollama/gpt-oss:120b-cloud\tunknown\n"


@pytest.mark.parametrize("verb", [["show"], ["check"], ["update"], []])
def test_a_price_that_is_set_wrong_is_said_by_name_and_file(invoke: Invoke, nowhere: Path, verb: list[str]) -> None:
    settings(nowhere, f'[prices."{SAMBA}"]\ninput = -1\noutput = 1\n')
    done = invoke("prices", *verb)
    assert done.exit_code == 2
    assert f'[prices."{SAMBA}"] input (from project file {nowhere}/pointsman.toml)' in done.stderr


def test_a_provider_that_is_wrong_hides_nobody(invoke: Invoke, place: Path, valid: Any) -> None:
    settings(place, '[providers.d]\nplugin = "not-installed"\n')
    done = invoke("prices", "--json")
    assert done.exit_code == 0
    valid("prices.json", json.loads(done.stdout))
    assert SAMBA in shown(done)
    assert [one["provider"] for one in json.loads(done.stdout)["failed"]] == ["d"]


# check ----------------------------------------------------------------------------------------------------------------


def found(done: Result) -> set[tuple[str, str]]:
    return {(one["target"], one["kind"]) for one in json.loads(done.stdout)["findings"]}


def test_what_has_no_price_is_found(invoke: Invoke, place: Path, valid: Any) -> None:
    done = invoke("prices", "check", "--json")
    assert done.exit_code == 0
    valid("prices-check.json", json.loads(done.stdout))
    assert {("a/m1", "unpriced"), ("b/m1", "unpriced")} <= found(done)
    settings(place, "[prices.a]\ninput = 0\noutput = 0\n")
    assert ("a/m1", "unpriced") not in found(invoke("prices", "check", "--json"))
    assert '[prices."b/m1"]' in invoke("prices", "check", "b").stdout


def test_what_is_old_is_found(invoke: Invoke, nowhere: Path) -> None:
    old, fresh = TODAY - timedelta(days=31), TODAY - timedelta(days=30)
    for name, day in (("old", old), ("fresh", fresh)):
        settings(nowhere, f'[prices."openai-compatible/{name}"]\nsecond = 0.0001\nas_of = {day}\n')
    settings(nowhere, '[prices."openai-compatible/undated"]\nsecond = 0.0001\n')
    done = invoke("prices", "check", "openai-compatible", "--older-than", "30", "--json")
    assert found(done) == {("openai-compatible/old", "stale")}
    assert found(invoke("prices", "check", "openai-compatible", "--older-than", "31", "--json")) == set()


def test_who_contradicts_whom_is_found(invoke: Invoke, nowhere: Path) -> None:
    settings(nowhere, f'[prices."{SAMBA}"]\ninput = 0.1\noutput = 0.3\n')
    settings(nowhere, '[prices."sambanova/DeepSeek-V3.1"]\ninput = "3.0"\noutput = 4.50\n')
    done = invoke("prices", "check", "--only", "differing", "--json")
    assert found(done) == {(SAMBA, "differing")}, "3.0 and 3.00 are the same amount"
    (finding,) = json.loads(done.stdout)["findings"]
    assert "$0.10 in" in finding["message"]
    assert "$0.22 in" in finding["message"]


@pytest.mark.parametrize(("most", "code"), [("0", 7), ("1", 7), ("2", 0)])
def test_more_than_one_allows_is_a_threshold_that_is_missed(
    invoke: Invoke, place: Path, most: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = invoke("prices", "check", "a", "b", "--max-findings", most, "--json")
    assert len(found(done)) == 2
    assert done.exit_code == code


# update ---------------------------------------------------------------------------------------------------------------


def test_a_list_is_kept_and_what_changed_is_said(invoke: Invoke, samba: Vendor, valid: Any) -> None:
    done = invoke("prices", "update", "--json")
    assert done.exit_code == 0, done.output
    valid("prices-update.json", json.loads(done.stdout))
    (told,) = json.loads(done.stdout)["providers"]
    assert (told["provider"], told["stored"], told["priced"]) == ("sambanova", True, told["models"])
    (change,) = [one for one in told["changes"] if one["target"] == SAMBA]
    assert change["before"] is None
    row = shown(invoke("prices", "show", SAMBA, "--json"))[SAMBA]
    assert (row["layer"], row["price"], row["age_days"]) == ("live", change["after"], 0)
    assert row["price"]["source"] == f"{samba.base_url}/models"
    again = invoke("prices", "update", "sambanova")
    assert "nothing has changed" in again.stdout
    assert len(samba.requests) == 2, "the book was read from the file"


def test_a_newer_table_is_not_hidden_by_an_old_list(
    invoke: Invoke, samba: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoke("prices", "update")
    (file,) = (Path(os.environ["POINTSMAN_CACHE"]) / "prices").iterdir()
    file.write_text(file.read_text().replace(str(TODAY), "2026-10-06"))
    row = shown(invoke("prices", "show", SAMBA, "--json"))[SAMBA]
    assert (row["layer"], [one["layer"] for one in row["others"]]) == ("table", ["live"])


@pytest.mark.parametrize(("of_a", "code"), [(Fault(401), 4), (Hangup(), 3)])
def test_who_does_not_answer_is_named_and_stops_nobody(
    invoke: Invoke, place: Path, a: Vendor, of_a: Any, code: int, valid: Any
) -> None:
    a.script(of_a, on="models")
    done = invoke("prices", "update", "--json")
    assert done.exit_code == 0
    valid("prices-update.json", json.loads(done.stdout))
    assert [one["provider"] for one in json.loads(done.stdout)["providers"]] == ["b"]
    assert [one["provider"] for one in json.loads(done.stdout)["failed"]] == ["a"]
    assert "✗ a: " in done.stderr
    a.script(of_a, on="models")
    assert invoke("prices", "update", "a").exit_code == code


def test_a_vendor_without_prices_is_said_to_have_none(invoke: Invoke, place: Path) -> None:
    assert "a: 1 models, no prices\n" in invoke("prices", "update", "a").stdout


def test_what_cannot_be_kept_is_a_failure(invoke: Invoke, samba: Vendor) -> None:
    (Path(os.environ["POINTSMAN_CACHE"]) / "prices").write_text("no folder")
    done = invoke("prices", "update")
    assert done.exit_code == 1
    assert "cannot be kept in" in done.stderr
    assert "Not kept for other processes: the prices of sambanova." in done.stderr


def test_nobody_ready(invoke: Invoke, nowhere: Path) -> None:
    assert invoke("prices", "update").exit_code == 4


def test_models_shows_the_price_that_holds(invoke: Invoke, samba: Vendor, nowhere: Path) -> None:
    settings(nowhere, f'[prices."{SAMBA}"]\ninput = 0.1\noutput = 0.3\n')
    (model,) = json.loads(invoke("models", "sambanova", "--json").stdout)["models"]
    assert (model["price"]["input"], model["origin"]) == ("0.1", "live")


# In words -------------------------------------------------------------------------------------------------------------


def priced(**amounts: str) -> Price:
    known = {"input": Decimal(0), "output": Decimal(0)} | {name: Decimal(usd) for name, usd in amounts.items()}
    return Price(**known, as_of=None, source="x")


def test_a_price_in_words() -> None:
    assert facts.price(None) == "unknown"
    assert facts.price(priced()) == "free"
    assert facts.price(priced(input="0.22", output="0.59")) == "a million tokens $0.22 in, $0.59 out"
    assert facts.price(priced(request="0.005")) == "a request $0.005"
    assert facts.price(priced(second="0.000103333333333333333")) == "a second $0.0001033"
    both = facts.price(priced(input="1", output="2", cached_input="0.1", request="0.005"))
    assert both == "a million tokens $1.00 in, $0.10 cached, $2.00 out; a request $0.005"


def test_what_is_billed_by_the_second_is_not_cheap_by_the_token(
    invoke: Invoke, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pointsman_modal")
    settings(nowhere, '[providers.modal]\nbase_url = "https://a--b.modal.run"\ngpu = "L4"\n')
    models = json.loads(invoke("models", "--offline", "--json").stdout)["models"]
    (modal,) = [one for one in models if one["target"].startswith("modal/")]
    assert (modal["price"]["input"], modal["price"]["second"]) != ("0", "0")
    done = invoke("models", "--offline", "--max-price", "1000", "--json")
    assert modal["target"] not in [one["target"] for one in json.loads(done.stdout)["models"]]
    assert json.loads(invoke("models", "--offline", "--sort", "price", "--json").stdout)["models"][-1] == modal
    assert f"{modal['target']}: a second $0.00" in invoke("models", "--offline", "-v").stdout


@pytest.mark.parametrize("columns", [30, 80])
def test_it_fits_the_terminal(terminal: Any, nowhere: Path, columns: int) -> None:
    screen = terminal("prices", columns=columns, env={"NO_COLOR": "1"})
    assert screen.code == 0
    longest = len("github.com/api-evangelist/sambanova-systems") + 8
    assert max(map(len, screen.text.splitlines())) <= max(columns, longest)


def test_settings_are_listed_and_changed(invoke: Invoke, nowhere: Path) -> None:
    settings(nowhere, '[prices."sambanova/x"]\ninput = 0.1\noutput = 0.3\n')
    rows = {row["key"]: row["value"] for row in json.loads(invoke("config", "--json").stdout)["settings"]}
    assert rows['prices."sambanova/x".input'] == 0.1
    assert invoke("config", "get", 'prices."sambanova/x".output').stdout == "0.3\n"
    assert invoke("config", "set", "--project", 'prices."sambanova/x".cached_input', "0.05").exit_code == 0
    roster = Roster(*_configured())
    price = roster.prices("sambanova").find(Target("sambanova", "x"))
    assert price is not None
    assert price.cached_input == Decimal("0.05")
    done = invoke("config", "set", "--project", 'prices."sambanova/x".cached_input', "cheap")
    assert done.exit_code == 2
    assert "is an amount of USD" in done.stderr
    done = invoke("config", "set", "--project", 'prices."sambanova/x".inptu', "1")
    assert "did you mean 'input'" in done.stderr


def _configured() -> tuple[Any, Any]:
    from pointsman import Plugins, Settings

    return Settings.discover(), Plugins.installed()

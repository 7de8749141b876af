"""What is installed, who is ready, and how they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from pointsman_testing import Fault, Hangup, Vendor

Invoke = Callable[..., Result]


def rows(done: Result) -> dict[str, Any]:
    return {row["name"]: row for row in json.loads(done.stdout)["providers"]}


def test_providers_says_who_is_ready_and_where_keys_come_from(invoke: Invoke, place: Path, valid: Any) -> None:
    done = invoke("providers", "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    valid("providers.json", json.loads(done.stdout))
    found = rows(done)
    assert found["a"]["state"] == "ready"
    assert found["a"]["keys"] == {"api_key": "environment POINTSMAN_A_API_KEY"}
    assert found["a"]["plugin"].startswith("pointsman-openai ")
    assert found["openai-compatible"]["state"] == "not ready"
    assert "POINTSMAN_OPENAI_COMPATIBLE_BASE_URL" in found["openai-compatible"]["reason"]
    text = invoke("providers").stdout
    assert "environment POINTSMAN_A_API_KEY" in text


def test_providers_that_are_set_up_wrongly_hide_nobody(invoke: Invoke, place: Path) -> None:
    with (place / "pointsman.toml").open("a") as file:
        file.write('[providers.c]\nplugin = "openai-compatible"\nbase_url = "no-address"\n')
        file.write('[providers.d]\nplugin = "not-installed"\n')
    found = rows(invoke("providers", "--json"))
    assert found["c"]["state"] == "wrong"
    assert "base_url" in found["c"]["reason"]
    assert found["d"]["state"] == "wrong"
    assert "not-installed" in found["d"]["reason"]
    assert found["a"]["state"] == "ready"


def test_nobody_ready_points_to_the_demo(invoke: Invoke, nowhere: Path) -> None:
    done = invoke("providers")
    assert done.exit_code == 0
    assert "pointsman demo" in done.stderr


def test_check_asks_each_that_is_ready(invoke: Invoke, place: Path, a: Vendor, b: Vendor, valid: Any) -> None:
    done = invoke("providers", "check", "--json")
    assert done.exit_code == 0, done.output
    valid("providers.json", json.loads(done.stdout))
    assert {name: row["health"]["state"] for name, row in rows(done).items()} == {"a": "up", "b": "up"}
    assert [request.path for request in (*a.requests, *b.requests)] == ["/v1/models"] * 2


@pytest.mark.parametrize(
    ("of_a", "of_b", "code"),
    [
        (None, Hangup(), 3),
        (Fault(500), Hangup(), 3),
        (Fault(401), None, 4),
        (Fault(401), Fault(401), 4),
        (Fault(401), Hangup(), 3),
        (Fault(429), None, 0),
    ],
)
def test_check_exits_with_what_is_wrong(
    invoke: Invoke, place: Path, a: Vendor, b: Vendor, of_a: Any, of_b: Any, code: int
) -> None:
    for vendor, script in ((a, of_a), (b, of_b)):
        if script is not None:
            vendor.script(script, on="models")
    done = invoke("providers", "check")
    assert done.exit_code == code, done.output


def test_check_of_one(invoke: Invoke, place: Path, a: Vendor, b: Vendor) -> None:
    b.script(Hangup(), on="models")
    assert invoke("providers", "check", "a").exit_code == 0
    assert not b.requests
    assert invoke("providers", "check", "b").exit_code == 3


def test_check_of_one_that_is_not_ready_says_what_to_set(invoke: Invoke, place: Path) -> None:
    done = invoke("providers", "check", "openai-compatible")
    assert done.exit_code == 4
    assert "POINTSMAN_OPENAI_COMPATIBLE_BASE_URL" in done.stdout


def test_check_of_one_that_is_not_there(invoke: Invoke, place: Path) -> None:
    done = invoke("providers", "check", "aa")
    assert done.exit_code == 2
    assert "aa" in done.stderr


def test_check_without_anybody_ready(invoke: Invoke, nowhere: Path) -> None:
    done = invoke("providers", "check")
    assert (done.exit_code, done.stdout) == (4, "")
    assert "pointsman demo" in done.stderr


def test_plugins_lists_everything_with_its_package(invoke: Invoke, place: Path, valid: Any) -> None:
    done = invoke("plugins", "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    valid("plugins.json", found)
    by_name = {row["name"]: row for row in found["plugins"]}
    assert by_name["openai-compatible"]["distribution"] == "pointsman-openai"
    assert by_name["in_order"]["state"] == "ok"
    assert "openai-compatible" in invoke("plugins").stdout


WRAPPER = """
from pointsman import hookimpl
@hookimpl(wrapper=True)
def pointsman_stream(connection):
    return (yield)
"""


def test_plugins_shows_the_chain_and_who_is_broken_or_disabled(
    run: Any, place: Path, stranger: Any, valid: Any
) -> None:
    env = stranger(
        {
            "pointsman.wrappers": {"redact": "stranger_good", "cache": "stranger_good", "off": "stranger_good"},
            "pointsman.sinks": {"lost": "stranger_missing"},
        },
        stranger_good=WRAPPER,
    )
    with (place / "pointsman.toml").open("a") as file:
        file.write('[plugins]\nwrappers = ["redact"]\ndisable = ["off"]\n')
    done = run("plugins", "--json", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    valid("plugins.json", found)
    states = {row["name"]: (row["state"], row["distribution"], row["version"]) for row in found["plugins"]}
    assert states["redact"] == ("ok", "stranger", "1.2")
    assert states["off"] == ("disabled", "stranger", "1.2")
    assert states["lost"] == ("broken", "stranger", "1.2")
    assert found["wrappers"] == ["redact", "cache"]
    text = run("plugins", env=env)
    assert "A call passes redact > cache > the provider." in text.stdout
    assert "stranger_missing" in text.stdout
    assert "Every call fails until" in text.stderr
    assert run("chat", "hi", env=env).returncode == 1


def test_two_that_claim_one_name_are_both_listed(run: Any, place: Path, stranger: Any) -> None:
    env = stranger({"pointsman.providers": {"openai-compatible": "stranger_good"}}, stranger_good="")
    found = json.loads(run("plugins", "--json", env=env).stdout)["plugins"]
    assert [row["state"] for row in found if row["name"] == "openai-compatible"] == ["broken", "broken"]


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_listings_fit_the_terminal(terminal: Any, place: Path, columns: int) -> None:
    for verb in (["providers"], ["plugins"], ["providers", "check"]):
        screen = terminal(*verb, columns=columns, env={"NO_COLOR": "1"})
        assert screen.code == 0
        words = 45  # The longest that cannot be broken, a variable's name.
        assert max(len(line) for line in screen.text.splitlines()) <= max(columns, words)

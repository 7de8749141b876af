"""What is installed, who is ready, and how they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
    asked = {name: row["health"]["state"] for name, row in rows(done).items() if row["state"] == "ready"}
    assert (asked["a"], asked["b"]) == ("up", "up")
    lacking = rows(done)["openai-compatible"]
    assert (lacking["state"], lacking["health"]) == ("not ready", None)
    assert "POINTSMAN_OPENAI_COMPATIBLE_BASE_URL" in lacking["reason"]
    assert "POINTSMAN_OPENAI_COMPATIBLE_BASE_URL" in invoke("providers", "check").stdout.replace("\n", " ")
    assert [request.path for request in (*a.requests, *b.requests)] == ["/v1/models"] * 4


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


# Plugins that are broken ---------------------------------------------------------------------------------------------

PROVIDER = """
from contextlib import asynccontextmanager
from pydantic import BaseModel
from pointsman import ProviderSpec, Terminal, hookimpl

class Config(BaseModel):
    base_url: str = "http://127.0.0.1"

@asynccontextmanager
async def open_(config, context):
    yield None

@hookimpl
def pointsman_providers():
    return [ProviderSpec(name="NAME", config=Config, open=open_, terminal=Terminal.DONE_FIELD)]

@hookimpl
def pointsman_stream(connection):
    return connection.session
"""

BROKEN = {
    "raises": ("raise RuntimeError('no SDK here')", "broken", "RuntimeError: no SDK here"),
    "misspelt": (
        PROVIDER.replace("def pointsman_stream", "def pointsman_streem"),
        "broken",
        "unknown hook 'pointsman_streem'",
    ),
    "sleeps": ("import time\ntime.sleep(3600)", "slow", "not imported after"),
    "ancient": ("raise SystemExit('imported')", "incompatible", "it asks for pointsman<0.0.1, and "),
    "empty": (PROVIDER.partition("    return [")[0] + "    return []", "broken", "it declares nothing"),
}


@pytest.fixture
def five(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which five distributions are installed, each broken in its own way, and one that is not."""
    folder = tmp_path_factory.mktemp("site")
    for name, code in [*((name, code) for name, (code, *_) in BROKEN.items()), ("fine", PROVIDER)]:
        (folder / f"p_{name}.py").write_text(code.replace("NAME", name))
        info = folder / f"p_{name}-1.5.dist-info"
        info.mkdir()
        needs = "Requires-Dist: pointsman<0.0.1\n" if name == "ancient" else "Requires-Dist: pointsman>=0.1\n"
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: p-{name}\nVersion: 1.5\n{needs}")
        (info / "entry_points.txt").write_text(f"[pointsman.providers]\n{name} = p_{name}\n")
    return {"PYTHONPATH": str(folder)}


def test_each_broken_plugin_is_named_with_its_reason(run: Any, place: Path, five: dict[str, str], valid: Any) -> None:
    done = run("plugins", "--json", env=five)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    valid("plugins.json", found)
    by_name = {row["name"]: row for row in found["plugins"]}
    for name, (_, state, reason) in BROKEN.items():
        assert by_name[name]["state"] == state, by_name[name]
        assert reason in by_name[name]["reason"]
        assert (by_name[name]["distribution"], by_name[name]["version"]) == (f"p-{name}", "1.5")
    for name in ("fine", "openai-compatible", "sambanova", "in_order"):
        assert by_name[name]["state"] == "ok"
    text = run("plugins", env=five).stdout
    for name in BROKEN:
        assert f"p-{name} 1.5" in text


def test_the_rest_works_beside_broken_plugins(run: Any, place: Path, five: dict[str, str], a: Vendor) -> None:
    """Also where one of them would take an hour to import: nothing here ends if it is waited for."""
    from pointsman_testing import Answer

    a.script(Answer("Still me."))
    done = run("chat", "hi", env=five)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Still me.\n", "")
    lines = [
        ["--help"], ["route", "hi"], ["providers", "--json"], ["models", "--json"], ["doctor", "--json"],
        ["config"], ["keys", "list"], ["config", "get", "engine.stall"], ["providers", "check", "a"],
    ]  # fmt: skip
    with ThreadPoolExecutor(3) as pool:  # Most of them lose their patience first, which takes two seconds.
        ended = dict(zip(map(" ".join, lines), pool.map(lambda line: run(*line, env=five), lines), strict=True))
    failed = {line for line, done in ended.items() if done.returncode}
    assert failed <= {"doctor --json"}  # It is the one that complains.
    found = {row["name"]: row for row in json.loads(ended["providers --json"].stdout)["providers"]}
    assert found["a"]["state"] == "ready"
    assert (found["sleeps"]["state"], found["raises"]["state"]) == ("broken", "broken")
    models = ended["models --json"]
    assert {one["target"] for one in json.loads(models.stdout)["models"]} == {"a/m1", "b/m1"}
    assert "sleeps" in models.stderr
    doctor = json.loads(ended["doctor --json"].stdout)["checks"]
    told = " ".join(one["said"] for one in doctor if one["state"] == "warn")
    for name, (_, state, reason) in BROKEN.items():
        assert f"the provider {name} is {state}: " in told
        assert reason in told


def test_slow_loads_run_beside_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten that never end take the patience for one, and what comes after them is still tried."""
    from threading import Event

    from pointsman_cli.plugins import impatience

    monkeypatch.setattr(impatience, "PATIENCE", 0.2)
    monkeypatch.setattr(impatience, "HEAD_START", 0.001)
    never = Event()

    def fail() -> None:
        raise SystemExit(3)

    outcomes = impatience.tried([*[lambda: never.wait(3600)] * 10, lambda: 1, fail])
    assert [one.seconds for one in outcomes[:10]] == [None] * 10
    assert outcomes[10].seconds is not None
    assert isinstance(outcomes[11].error, SystemExit)
    never.set()


@pytest.mark.parametrize("columns", [40, 80])
def test_lines_are_broken_between_words_and_keep_their_own(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    from pointsman_cli.listing import wrapped

    monkeypatch.setenv("COLUMNS", str(columns))
    path = "/a/path/that-is-longer/than-any-terminal-is/wide/" + "x" * 80
    text = f"nobody is ready.\n  a: see {path}\n  b: " + "word " * 30
    lines = wrapped(text, "", "  ").splitlines()
    assert lines[0] == "nobody is ready."
    assert lines[1].startswith("    a: see")
    assert any(path in line for line in lines)
    assert all(len(line) <= columns for line in lines if path not in line)

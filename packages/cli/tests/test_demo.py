"""The demo: the whole of it, without a key, a network, or anything of whoever runs it."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pointsman.plugins import Kind, Plugins
from pointsman_cli.demo.cases import CASES

INSTALLED = Plugins.installed().names(Kind.PROVIDER)
OURS = {"sambanova", "hf", "modal", "blaxel", "ollama"}
ALONE = {("local",): "ollama/qwen2.5-coder:7b", ("agentic",): "blaxel/agent:coder"}
"""What only one vendor can do, and who that is."""
ASKED = [case for case in CASES if not case.require or ALONE[case.require].partition("/")[0] in INSTALLED]

pytestmark = pytest.mark.usefixtures("nowhere")


def words(text: str) -> str:
    return " ".join(text.split())


def shows_everything(text: str) -> None:
    """Each answer in full, what failed, the table, and what of it is real."""
    said = words(text.replace("> ", " ").replace("✗", " "))
    for case in ASKED:
        assert words(case.prompt) in said
        assert words(case.answer) in said
    assert "status 429" in said
    assert "What stands above is withdrawn; the answer starts again." in said
    assert said.index("stands low, its light") < said.index("is withdrawn") < said.index("Air scatters")
    assert "are simulated on this machine" in said
    assert "10 times faster" in said
    assert "prepared texts" in said
    assert "unknown, not 0" in said
    assert "as of None" not in said


def test_demo_without_a_terminal(run: Any) -> None:
    done = run("demo")
    assert (done.returncode, done.stderr) == (0, "")
    shows_everything(done.stdout)
    assert "\x1b" not in done.stdout
    table = done.stdout[done.stdout.index("\ntask ") :]
    for case in ASKED:
        assert case.task in table
    assert re.search(r"^general_qa +[a-z-]+ +2 ", table, re.MULTILINE)
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("columns", [50, 80, 120])
def test_demo_on_a_terminal(terminal: Any, columns: int) -> None:
    screen = terminal("demo", columns=columns)
    assert screen.code == 0
    assert "\x1b[1m" in screen.text
    plain = re.sub(r"\x1b\[[0-9;]*m", "", screen.text)
    assert "\x1b" not in plain
    shows_everything(plain)
    assert max(map(len, plain.splitlines())) <= columns
    assert "…" not in plain.replace("API_KEY=…", "")


@pytest.mark.parametrize(("args", "env"), [(["--plain"], {}), ([], {"NO_COLOR": "1"}), ([], {"TERM": "dumb"})])
def test_demo_without_colours(terminal: Any, args: list[str], env: dict[str, str]) -> None:
    screen = terminal("demo", *args, env=env)
    assert screen.code == 0
    assert "\x1b" not in screen.text
    shows_everything(screen.text)


def test_demo_as_json_is_a_line_a_call(run: Any, valid: Any) -> None:
    done = run("demo", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    calls = [json.loads(line) for line in done.stdout.splitlines()]
    for call in calls:
        valid("demo.json", call)
    by_task = {call["task"]: call["reply"] for call in calls}
    assert list(by_task) == [case.task for case in ASKED]
    assert {call["prompt"]: call["reply"]["text"] for call in calls} == {case.prompt: case.answer for case in ASKED}
    busy, broken = by_task["code_explanation"], by_task["general_qa"]
    assert [attempt["outcome"] for attempt in busy["attempts"]] == ["failed", "finished"]
    assert busy["attempts"][0]["error"].startswith("RateLimited")
    assert broken["attempts"][0]["error"].startswith("StreamBroken")
    assert broken["attempts"][0]["target"] != broken["attempts"][1]["target"]
    for task, reply in by_task.items():
        assert (reply["decision"]["policy"], reply["decision"]["task"]) == ("scored", task)
        assert reply["decision"]["propensity"] == 1, "nothing of it is left to chance"
    for case in ASKED:
        order, excluded = (by_task[case.task]["decision"][part] for part in ("order", "excluded"))
        assert order == [ALONE[case.require]] if case.require else len(order) >= 2
        assert bool(excluded) is bool(case.require)
    for task, reply in by_task.items():
        if usd := reply["cost"]["usd"]:
            own = reply["target"].startswith("ollama/")
            assert (Decimal(usd) == 0) is own, f"{task}: only a machine of one's own costs nothing"


@pytest.mark.skipif(
    not {"sambanova", "hf", "modal", "blaxel", "ollama"} <= set(INSTALLED),
    reason="not all of our vendors are installed",
)
def test_demo_shows_all_our_vendors(run: Any) -> None:
    done = run("demo", "--json", "--speed", "100")
    asked = [
        attempt["target"] for line in done.stdout.splitlines() for attempt in json.loads(line)["reply"]["attempts"]
    ]
    assert {target.partition("/")[0] for target in asked} == {"sambanova", "hf", "modal", "blaxel", "ollama"}


def test_demo_takes_nothing_of_its_user(run: Any, nowhere: Path, stranger: Any) -> None:
    """Neither settings nor keys nor wrappers nor sinks, broken ones least of all."""
    (nowhere / "pointsman.toml").write_text("[engine]\nno_such_setting = 1\n")
    groups = {f"pointsman.{kind}": {"mine": "no_such_module"} for kind in ("wrappers", "sinks", "policies")}
    env = {
        **stranger(groups),
        "POINTSMAN_SAMBANOVA_BASE_URL": "http://192.0.2.1/v1",
        "SAMBANOVA_API_KEY": "sk-mine-and-not-for-the-demo",
        "HTTP_PROXY": "http://192.0.2.1:3128",
    }
    done = run("demo", env={**env, "XDG_DATA_HOME": str(nowhere / "data")})
    assert (done.returncode, done.stderr) == (0, "")
    assert not (nowhere / "data").exists(), "what the lab answers is no spending, and is not in the ledger"


def test_demo_at_another_speed_says_so(run: Any) -> None:
    done = run("demo", "--speed", "50")
    assert done.returncode == 0
    assert "50 times faster" in words(done.stdout)

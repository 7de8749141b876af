"""`pointsman route` says where a prompt would go, as chat would send it, and sends nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from pointsman import Score, Target, Term
from pointsman_testing import Vendor

Invoke = Callable[..., Result]

OFFLINE = """
import socket, sys
def refuse(*args, **kwargs):
    raise SystemExit("a socket was made")
socket.socket.connect = socket.socket.connect_ex = refuse
from pointsman_cli.main import main
main()
"""


@pytest.fixture(autouse=True)
def steady(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No decision is late because the machine is busy, none explores, which one in fifty does, and none has learnt from
    the calls of other tests.
    """
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
    monkeypatch.setattr("pointsman.engine.decide.PATIENCE", 60.0)
    monkeypatch.setattr("random.getrandbits", lambda bits: 1)


def test_it_says_who_in_which_order_and_why(invoke: Invoke, place: Path, a: Vendor, b: Vendor) -> None:
    done = invoke("route", "Why is the sky blue?")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.index("1. a/m1") < done.stdout.index("2. b/m1")
    assert "in_order: that is the order they are listed in" in done.stdout
    assert "price of a token unknown" in done.stdout
    assert [*a.requests, *b.requests] == []


def test_wrong_usage_is_told_of_route(terminal: Any, place: Path) -> None:
    screen = terminal("route", columns=200)
    assert screen.code == 2
    assert 'there is no prompt: pointsman route "Why' in screen.text
    assert "pointsman chat" not in screen.text


def test_nothing_is_connected_to(place: Path) -> None:
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, "route", "hi"], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "a/m1" in done.stdout


def test_json(invoke: Invoke, place: Path, a: Vendor, b: Vendor, valid: Any) -> None:
    done = invoke("route", "--json", "--priority", "cost", "hi")
    found = json.loads(done.stdout)
    valid("route.json", found)
    assert found["decision"]["order"] == ["a/m1", "b/m1"]
    assert [one["target"] for one in found["candidates"]] == ["a/m1", "b/m1"]
    assert found["candidates"][0]["price"] is None
    assert [*a.requests, *b.requests] == []


def test_known_facts_of_a_model_are_shown(
    invoke: Invoke, nowhere: Path, monkeypatch: pytest.MonkeyPatch, valid: Any
) -> None:
    monkeypatch.setenv("SAMBANOVA_API_KEY", "sk-not-a-real-one-12345")
    done = invoke("route", "--json", "-m", "sambanova/gpt-oss-120b", "hi")
    found = json.loads(done.stdout)
    valid("route.json", found)
    (one,) = found["candidates"]
    assert one["price"]["input"] == "0.22"
    assert one["context_tokens"] == 131072
    assert "$0.22 in, $0.59 out" in invoke("route", "-m", "sambanova/gpt-oss-120b", "hi").stdout


def test_whom_it_would_be_worth_to_warm_is_told_with_the_verb_that_does_it(
    invoke: Invoke, nowhere: Path, monkeypatch: pytest.MonkeyPatch, valid: Any
) -> None:
    """A GPU that is better, and cold, beside a vendor who is there."""
    pytest.importorskip("pointsman_modal.cli")
    monkeypatch.setenv("SAMBANOVA_API_KEY", "sk-not-a-real-one-12345")
    monkeypatch.setenv("POINTSMAN_MODAL_BASE_URL", "https://me--app-serve.modal.run")
    asked = ("route", "--priority", "quality", "--task", "general_qa", "Who invented the railway?")
    found = json.loads(invoke(*asked, "--json").stdout)
    valid("route.json", found)
    assert found["decision"]["order"][0].startswith("sambanova/")
    assert found["decision"]["prewarm"] == ["modal/qwen2.5-coder:7b"]
    said = " ".join(invoke(*asked).stdout.split())
    assert "modal/qwen2.5-coder:7b would come first if it were warm: pointsman modal warm" in said
    assert "cold, 20 s to get ready, then" in said


def test_whom_to_warm_is_named_where_there_are_several(invoke: Invoke, nowhere: Path) -> None:
    pytest.importorskip("pointsman_modal.cli")
    from pointsman import Plugins, Settings
    from pointsman.engine.roster import Roster
    from pointsman_cli.route.explanation import _how_to_warm

    big = {"plugin": "modal", "base_url": "https://me--app-serve.modal.run"}
    roster = Roster(Settings.of({"providers": {"big": big}}), Plugins.installed())
    assert _how_to_warm(Target("big", "m"), roster) == ": pointsman modal warm --provider big"
    assert _how_to_warm(Target("modal", "m"), roster) == ": pointsman modal warm"


def test_who_has_no_verb_for_it_is_told_what_a_program_does(
    invoke: Invoke, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`pointsman ollama` loads models under another name."""
    pytest.importorskip("pointsman_ollama")
    from pointsman import Plugins, Settings
    from pointsman.engine.roster import Roster
    from pointsman_cli.route.explanation import _how_to_warm

    roster = Roster(Settings.of({}), Plugins.installed())
    said = _how_to_warm(Target("ollama", "qwen3:8b"), roster)
    assert said == ": `await client.warm(...)`, or [routing] prewarm = true"


def test_a_pinned_target_is_the_only_one(invoke: Invoke, place: Path) -> None:
    done = invoke("route", "-m", "b/m1", "hi")
    assert done.exit_code == 0
    assert "pinned: the caller named the model" in done.stdout
    assert "a/m1" not in done.stdout


def test_who_cannot_do_it_is_left_out_with_the_reason(
    invoke: Invoke, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAMBANOVA_API_KEY", "sk-not-a-real-one-12345")
    monkeypatch.setenv("POINTSMAN_ROUTING_TARGETS", "a/m1,sambanova/gpt-oss-120b")
    done = invoke("route", "--require", "vision", "hi")
    assert done.exit_code == 0
    assert "sambanova/gpt-oss-120b: cannot do vision" in done.stdout
    done = invoke("route", "--require", "flying", "hi")
    assert done.exit_code == 1
    assert "cannot do flying" in done.stderr


def test_who_is_not_ready_is_left_out_with_the_reason(
    invoke: Invoke, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POINTSMAN_ROUTING_TARGETS", "a/m1,sambanova/x")
    done = invoke("route", "hi")
    assert done.exit_code == 0
    assert "sambanova/x: sambanova: no api_key" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    "text",
    [
        "[engine]\nstal = 3\n",
        "[engine]\ndeadline = -1\n",
        "[limits.nobody]\nrpm = 3\n",
        "[limits.a]\nrpm = 0\n",
        "[engine]\nstall = 0\n[limits.nobody]\nrpm = 3\n",
    ],
)
def test_a_wrong_setting_is_told_as_chat_tells_it(invoke: Invoke, place: Path, a: Vendor, text: str) -> None:
    with (place / "pointsman.toml").open("a") as file:
        file.write(text)
    chat, route = invoke("chat", "hi"), invoke("route", "hi")
    assert (route.exit_code, route.stdout, route.stderr) == (2, "", chat.stderr)
    assert chat.exit_code == 2
    assert not a.requests


@pytest.mark.parametrize("verb", ["chat", "route"])
@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("POINTSMAN_ENGIN_HEDGE", "; did you mean POINTSMAN_ENGINE_HEDGE?"),
        ("POINTSMAN_SAMBANVOA_API_KEY", "; did you mean POINTSMAN_SAMBANOVA_API_KEY?"),
        ("POINTSMAN_OPENAI_COMPATIBEL_BASE_URL", "; did you mean POINTSMAN_OPENAI_COMPATIBLE_BASE_URL?"),
        ("POINTSMAN_CONFG", "; did you mean POINTSMAN_CONFIG?"),
        ("POINTSMAN_WEATHER", ""),
    ],
)
def test_a_variable_that_nobody_reads_is_told_once(
    invoke: Invoke, place: Path, monkeypatch: pytest.MonkeyPatch, verb: str, name: str, meant: str
) -> None:
    monkeypatch.setenv(name, "1")
    monkeypatch.setenv("POINTSMAN_HISTORY", "1")
    done = invoke(verb, "hi")
    assert done.exit_code == 0
    assert done.stderr == f"Warning: nobody reads {name}: no section and no provider has that name{meant}\n"


def test_a_variable_for_a_limit_is_told_where_limits_are_read_from(
    invoke: Invoke, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POINTSMAN_LIMITS_A_RPM", "5")
    said = "nobody reads POINTSMAN_LIMITS_A_RPM: limits are read from files and arguments only"
    assert invoke("route", "hi").stderr == f"Warning: {said}\n"
    assert f"{said} unset it" in " ".join(one["said"] + " " + one["next"] for one in checks(invoke))


def checks(invoke: Invoke) -> list[dict[str, str]]:
    return json.loads(invoke("doctor", "--json").stdout)["checks"]


@pytest.mark.parametrize("verb", ["chat", "route"])
def test_a_variable_for_a_setting_that_a_section_does_not_have_is_an_error(
    invoke: Invoke, place: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setenv("POINTSMAN_ENGINE_HEDG", "1")
    done = invoke(verb, "hi")
    assert done.exit_code == 2
    assert "[engine] has no setting 'hedg' (from environment POINTSMAN_ENGINE_HEDG)" in done.stderr
    assert "did you mean 'hedge'?" in done.stderr


def test_nobody_ready(invoke: Invoke, nowhere: Path) -> None:
    done = invoke("route", "hi")
    assert (done.exit_code, done.stdout) == (4, "")
    assert "SAMBANOVA_API_KEY" in done.stderr


def test_the_prompt_may_be_piped(run: Any, place: Path) -> None:
    assert run("route", "-", stdin="hi").returncode == 0
    assert run("route", stdin="").returncode == 2
    assert run("route", "hi", "--system", "\udcff").returncode == 2


def test_what_a_policy_says_is_shown_with_its_parts(invoke: Invoke, fussy: Path, valid: Any) -> None:
    said = " ".join(invoke("route", "hi").stdout.split())
    for part in (
        "fussy: it answers sooner",
        "task code_review (0.80)",
        "difficulty 0.40",
        "chance 0.98",
        "1. b/m1 0.82",
        "first token 0.93 × 75% 0.21 s, of 48 answers",
        "price 0.50 × 25%",
        "left out a/m1: too short a context: shorten the prompt",
    ):
        assert part in said
    found = json.loads(invoke("route", "--json", "hi").stdout)
    valid("route.json", found)
    assert found["classification"] is None, "of a stranger's policy, only what it says itself"
    decision = found["decision"]
    assert decision["scores"][0]["terms"][0] == {
        "name": "first token",
        "value": 0.93,
        "weight": 3.0,
        "note": "0.21 s, of 48 answers",
    }
    assert (decision["task"], decision["difficulty"], decision["propensity"]) == ("code_review", 0.4, 0.98)


def test_who_knows_the_task_says_so(invoke: Invoke, fussy: Path) -> None:
    done = invoke("route", "--task", "translation", "hi")
    assert "translation, as you say" in done.stdout
    assert done.stderr == ""
    assert "did you mean 'translation'?" in invoke("route", "--task", "translaton", "hi").stderr
    assert invoke("route", "--task", " ", "hi").exit_code == 2


def test_a_policy_that_states_no_number_is_replaced(
    invoke: Invoke, fussy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = pytest.importorskip("fussy_plugin")
    monkeypatch.setattr(plugin, "Score", lambda target, utility, terms: Score(target, float("nan"), terms))
    decision = json.loads(invoke("route", "--json", "hi").stdout)["decision"]
    assert decision["scores"] == []
    assert "no finite number" in decision["reason"]


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_an_explanation_fits_the_terminal(terminal: Any, fussy: Path, columns: int) -> None:
    screen = terminal("route", "hi", columns=columns, env={"NO_COLOR": "1"})
    assert screen.code == 0
    assert "0.21 s, of 48 answers" in screen.text
    assert max(map(len, screen.text.splitlines())) <= columns


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_it_fits_the_terminal(terminal: Any, place: Path, columns: int) -> None:
    screen = terminal("route", "hi", columns=columns, env={"NO_COLOR": "1"})
    assert screen.code == 0
    assert "\x1b" not in screen.text
    assert max(map(len, screen.text.splitlines())) <= columns


def test_a_long_name_leaves_its_score_on_the_screen(
    invoke: Invoke, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAMBANOVA_API_KEY", "sk-not-a-real-one-12345")
    monkeypatch.setenv("COLUMNS", "40")
    lines = invoke("route", "hi").stdout.splitlines()
    place = lines.index("  2. sambanova/Meta-Llama-3.3-70B-Instruct")  # Nothing beside it, where it fills the line.
    assert lines[place + 1].startswith("     0.")


def test_a_task_of_ones_own_is_not_told_as_a_guess(
    invoke: Invoke, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAMBANOVA_API_KEY", "sk-not-a-real-one-12345")
    said = " ".join(invoke("route", "--task", "contracts", "hi").stdout.split())
    assert "contracts, as you say; it counts as general_qa, unless [policy.tasks] says what it is like" in said
    assert "as you say; it counts" not in invoke("route", "--task", "translation", "hi").stdout


def test_what_was_read_is_not_put_beside_what_keywords_tell(
    invoke: Invoke, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAMBANOVA_API_KEY", "sk-not-a-real-one-12345")
    monkeypatch.setenv("POINTSMAN_ROUTING_POLICY", "keywords")
    assert ["task", "general_qa"] in [
        *map(str.split, invoke("route", "Translate into French: good night").stdout.splitlines())
    ]


def unlike(target: Target, utility: float, terms: tuple[Term, ...]) -> Score:
    """A score that is something else than the mean of its parts."""
    return Score(target, -0.2, terms)


def test_a_score_that_is_no_mean_is_not_called_one(
    invoke: Invoke, fussy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = pytest.importorskip("fussy_plugin")
    monkeypatch.setattr(plugin, "Score", unlike)
    assert "A score is the mean" not in invoke("route", "hi").stdout

"""One question, one answer: the answer on stdout, and nothing else there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from click.testing import Result

from pointsman import (
    AttemptFailed,
    AttemptRecord,
    Resumed,
    Retracted,
    Started,
    Target,
    TextDelta,
    Unavailable,
)
from pointsman.telemetry import Outcome, Role
from pointsman_cli import as_json
from pointsman_cli.chat.printing import AnswerText, Plain
from pointsman_testing import Answer, Fault, Hangup, Vendor

Invoke = Callable[..., Result]
pytestmark = pytest.mark.usefixtures("place")


def asked(vendor: Vendor) -> dict[str, Any]:
    """The body of the last question."""
    return vendor.requests[-1].json


# What is asked ------------------------------------------------------------------------------------------------------


def test_answer_alone_is_on_stdout(run: Any, a: Vendor) -> None:
    a.script(Answer("The sky scatters blue."))
    done = run("chat", "Why is the sky blue?")
    assert (done.returncode, done.stdout, done.stderr) == (0, "The sky scatters blue.\n", "")
    assert a.requests[-1].prompt == "Why is the sky blue?"


@pytest.mark.parametrize(
    ("argument", "stdin", "prompt"),
    [
        ("ask", "", "ask"),
        ("ask", "notes\n", "notes\n\nask"),
        (None, "notes\n", "notes"),
        ("-", "notes\nmore\n", "notes\nmore"),
        (None, "\ufeffnotes", "notes"),
        ("naïve ☃", "", "naïve ☃"),
    ],
)
def test_prompt_is_stdin_and_argument(invoke: Invoke, a: Vendor, argument: str | None, stdin: str, prompt: str) -> None:
    done = invoke("chat", *([argument] if argument is not None else []), stdin=stdin)
    assert done.exit_code == 0, done.output
    assert a.requests[-1].prompt == prompt


@pytest.mark.parametrize("args", [["chat"], ["chat", ""], ["chat", " \n"], ["chat", "-"]])
def test_empty_prompt_is_wrong_usage(invoke: Invoke, a: Vendor, args: list[str]) -> None:
    done = invoke(*args, stdin="")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "the prompt is empty" in done.stderr
    assert not a.requests


@pytest.mark.parametrize("option", ["--json", "--json-events"])
def test_conversation_is_no_object(terminal: Any, option: str) -> None:
    """Without a prompt a conversation begins, which test_repl.py is about."""
    screen = terminal("chat", option)
    assert screen.code == 2
    assert 'pointsman chat "Why is the sky blue?"' in screen.text


def test_closed_stdin_is_no_prompt(a: Vendor) -> None:
    line = f"{sys.executable} -m pointsman_cli chat <&-"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "there is no prompt" in done.stderr


def test_stdin_that_is_no_text_is_wrong_usage(run: Any) -> None:
    done = run("chat", stdin=b"\xff\xfe\x00")
    assert done.returncode == 2
    assert "not UTF-8" in done.stderr


def test_argument_that_is_no_text_is_wrong_usage(a: Vendor) -> None:
    command = [os.fsencode(sys.executable), b"-m", b"pointsman_cli", b"chat", b"na\xefve"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert done.returncode == 2
    assert b"not valid UTF-8" in done.stderr
    assert not a.requests


def test_silent_stdin_is_explained(a: Vendor) -> None:
    command = [sys.executable, "-m", "pointsman_cli", "chat", "hi"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert b"Waiting for text from stdin" in process.stderr.readline()
        process.communicate()
    assert process.returncode == 0
    assert a.requests[-1].prompt == "hi"


def test_options_reach_the_vendor(invoke: Invoke, a: Vendor) -> None:
    done = invoke("chat", "hi", "-s", "Be brief.", "--max-tokens", "7", "--temperature", "0.5", "--priority", "speed")
    assert done.exit_code == 0, done.output
    body = asked(a)
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert body["temperature"] == 0.5
    assert 7 in (body.get("max_tokens"), body.get("max_completion_tokens"))


def test_one_model_is_pinned_and_several_are_the_order(invoke: Invoke, a: Vendor, b: Vendor) -> None:
    assert invoke("chat", "hi", "-m", "b/m1").exit_code == 0
    assert (len(a.requests), len(b.requests)) == (0, 1)
    b.script(Fault(503))
    assert invoke("chat", "hi", "-m", "b/m1", "-m", "a/m1").exit_code == 0
    assert (len(a.requests), len(b.requests)) == (1, 2)


@pytest.mark.parametrize(
    "args",
    [
        ["--max-tokens", "0"],
        ["--deadline", "0"],
        ["--deadline", "nan"],
        ["--temperature", "-1"],
        ["--priority", "fun"],
        ["--json", "--json-events"],
        ["-m", "no-slash"],
        ["-m", "stranger/m1"],
        ["-m", "a/m1", "-m", "a/m1"],
        ["--no-such-option"],
    ],
)
def test_wrong_usage(invoke: Invoke, a: Vendor, args: list[str]) -> None:
    done = invoke("chat", "hi", *args)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Error: " in done.stderr
    assert not a.requests


# How it ends --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "code", "says"),
    [
        (Fault(401, message="Incorrect API key"), 4, "the key from environment POINTSMAN_A_API_KEY is wrong"),
        (Fault(402, message="pay"), 5, "no money"),
        (Fault(429, headers={"retry-after": "77"}), 5, "wait 77 s"),
        (Fault(400, message="bad"), 1, "bad"),
        (Fault(404, message="model not found"), 3, "no such model"),
        (Fault(500), 3, "pointsman providers check"),
        (Hangup(), 3, "pointsman providers check"),
        (Answer("one two three").cut(after=2), 3, "--on-break restart"),
        (Answer("", finish="content_filter"), 1, "content filter"),
    ],
)
def test_what_a_vendor_does_has_an_exit_code(invoke: Invoke, a: Vendor, script: Any, code: int, says: str) -> None:
    a.script(script, script)
    done = invoke("chat", "hi", "-m", "a/m1")
    assert done.exit_code == code, done.output
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith(("Error: a/m1: ", "✗ a/m1: "))


def test_deadline_is_a_timeout(invoke: Invoke, a: Vendor) -> None:
    a.script(Answer("late", wait=5))
    done = invoke("chat", "hi", "-m", "a/m1", "--deadline", "0.3")
    assert done.exit_code == 6
    assert "--deadline" in done.stderr


def test_several_failures_are_all_told_and_the_gravest_is_the_code(invoke: Invoke, a: Vendor, b: Vendor) -> None:
    a.script(Fault(401))
    b.script(Fault(503), Fault(503))
    done = invoke("chat", "hi", "-m", "a/m1", "-m", "b/m1")
    assert done.exit_code == 4
    told, _, block = done.stderr.partition("Error: ")
    assert {line[:8] for line in told.splitlines()} == {"✗ a/m1: ", "✗ b/m1: "}
    assert "the key from environment POINTSMAN_A_API_KEY is wrong" in block
    assert "b/m1" not in block  # It has been told as it happened,
    a.script(Fault(401))
    b.script(Fault(503), Fault(503))
    stderr = invoke("chat", "hi", "-m", "a/m1", "-m", "b/m1", "--json").stderr
    assert stderr.startswith("Error: ")
    assert "a/m1: " in stderr  # but not where nothing is told meanwhile.
    assert "b/m1: " in stderr


@pytest.mark.parametrize("columns", [40, 80])
def test_error_is_broken_between_words(terminal: Any, a: Vendor, columns: int) -> None:
    a.script(Fault(401, message="Incorrect API key provided."))
    screen = terminal("chat", "hi", "-m", "a/m1", columns=columns, env={"NO_COLOR": "1"})
    assert screen.code == 4
    assert max(map(len, screen.text.splitlines())) <= columns
    assert "  cause: the key from environment" in screen.text


def test_no_provider_ready_says_what_to_set(run: Any, place: Path) -> None:
    (place / "pointsman.toml").unlink()
    done = run("chat", "hi")
    assert (done.returncode, done.stdout) == (4, "")
    assert "POINTSMAN_OPENAI_COMPATIBLE_BASE_URL" in done.stderr
    assert "pointsman demo" in done.stderr


def test_wrong_setting_is_wrong_usage(run: Any, place: Path) -> None:
    (place / "pointsman.toml").write_text("[engine]\nspeed = 3\n")
    done = run("chat", "hi")
    assert done.returncode == 2
    assert "[engine] has no setting 'speed'" in done.stderr


def test_debug_shows_where_it_comes_from_in_either_place(invoke: Invoke, a: Vendor) -> None:
    for args in (["--debug", "chat", "hi"], ["chat", "hi", "--debug"]):
        a.script(Fault(400, message="bad"))
        done = invoke(*args, "-m", "a/m1")
        assert done.exit_code == 1
        assert "Traceback" in done.stderr


# What a person sees meanwhile ---------------------------------------------------------------------------------------


def test_failover_is_told_on_stderr(run: Any, a: Vendor, b: Vendor) -> None:
    a.script(Fault(429, message="slow down"))
    b.script(Answer("Here."))
    done = run("chat", "hi")
    assert (done.returncode, done.stdout) == (0, "Here.\n")
    assert "✗ a/m1: slow down" in done.stderr
    assert "→ b/m1 answers" in done.stderr


def test_broken_answer_keeps_what_arrived(run: Any, a: Vendor) -> None:
    a.script(Answer("one two three four").cut(after=3))
    done = run("chat", "hi")
    assert (done.returncode, done.stdout) == (3, "one two\n")


def test_restart_into_a_pipe_prints_the_answer_that_stands(run: Any, a: Vendor, b: Vendor) -> None:
    a.script(Answer("one two three four").cut(after=3))
    b.script(Answer("Anew."))
    done = run("chat", "hi", "--on-break", "restart")
    assert (done.returncode, done.stdout) == (0, "Anew.\n")
    assert "the answer starts again" in done.stderr


def test_restart_on_a_terminal_draws_a_line(terminal: Any, a: Vendor, b: Vendor) -> None:
    a.script(Answer("one two three four").cut(after=3))
    b.script(Answer("Anew."))
    screen = terminal("chat", "hi", "--on-break", "restart", columns=200)
    assert screen.code == 0
    withdrawn = screen.text.index("one two\n")
    line = screen.text.index("is withdrawn; the answer starts again. ───")
    assert withdrawn < line < screen.text.index("Anew.\n")


def test_terminal_gets_one_line_of_figures(terminal: Any, a: Vendor) -> None:
    a.script(Answer("one two three"))
    screen = terminal("chat", "hi", columns=200)
    assert screen.code == 0
    answer, figures = screen.text.splitlines()
    assert answer == "one two three"
    assert figures.startswith("\x1b[2ma/m1 · first token ")
    assert "3 tokens · cost unknown" in figures
    assert "\x1b" not in terminal("chat", "hi", columns=200, env={"NO_COLOR": "1"}).text


EVIL = "safe\x1b]0;owned\x07 \x9b31m\x1b[2J\x08 \u202eturned\u2066\r\nnext\ttab"


def test_terminal_is_not_obeying_what_a_model_says(terminal: Any, a: Vendor) -> None:
    a.script(Answer(EVIL))
    screen = terminal("chat", "hi", env={"NO_COLOR": "1"})
    assert "\x1b" not in screen.text
    assert "safe\\x1b]0;owned\\x07 \\x9b31m\\x1b[2J\\x08 \\u202eturned\\u2066" in screen.text.replace("\n", "")


def test_pipe_gets_what_a_model_says_unchanged(run: Any, a: Vendor) -> None:
    a.script(Answer("a\x1b[31mb"))
    assert run("chat", "hi").stdout == "a\x1b[31mb\n"


def test_stderr_is_harmless_wherever_it_is_read(run: Any, a: Vendor) -> None:
    a.script(Fault(400, message="no\x1b]0;owned\x07"))
    done = run("chat", "hi", "-m", "a/m1")
    assert "\x1b" not in done.stderr
    assert "no\\x1b]0;owned\\x07" in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_answer_that_the_encoding_cannot_hold_is_no_crash(run: Any, a: Vendor, encoding: str) -> None:
    a.script(Answer("né ☃"))
    done = run("chat", "hi", env={"PYTHONIOENCODING": encoding})
    assert (done.returncode, done.stdout) == (0, "n? ?\n" if encoding == "ascii" else "né ☃\n")


@pytest.mark.parametrize(("finish", "says"), [("length", "token limit"), ("content_filter", "content filter")])
def test_cut_off_answer_is_told(run: Any, a: Vendor, finish: str, says: str) -> None:
    a.script(Answer("one two", finish=finish))
    done = run("chat", "hi")
    assert (done.returncode, done.stdout) == (0, "one two\n")
    assert says in done.stderr


def test_empty_answer_is_told(run: Any, a: Vendor) -> None:
    a.script(Answer(""))
    done = run("chat", "hi")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "The answer is empty.\n")


# JSON ---------------------------------------------------------------------------------------------------------------


def test_json_is_one_reply(run: Any, a: Vendor, valid: Any) -> None:
    a.script(Answer("Here\x1b you are.", reasoning="hm"))
    done = run("chat", "hi", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    reply = json.loads(done.stdout)
    valid("chat.json", reply)
    assert (reply["text"], reply["reasoning"], reply["finish_reason"]) == ("Here\x1b you are.", "hm", "stop")
    assert (reply["target"], reply["error"]) == ("a/m1", None)
    assert reply["cost"] == {"usd": None, "complete": False}
    assert reply["decision"]["order"] == ["a/m1", "b/m1"]
    assert "\x1b" not in done.stdout


def test_json_restarts_by_default_and_tells_what_was_spent(run: Any, a: Vendor, b: Vendor, valid: Any) -> None:
    a.script(Answer("one two three").cut(after=2))
    b.script(Answer("Anew."))
    reply = json.loads(run("chat", "hi", "--json").stdout)
    valid("chat.json", reply)
    assert (reply["text"], reply["target"]) == ("Anew.", "b/m1")
    assert [attempt["outcome"] for attempt in reply["attempts"]] == ["failed", "finished"]
    assert [(attempt["role"], attempt["probe"]) for attempt in reply["attempts"]] == [
        ("first", False),
        ("failover", False),
    ]
    for role, outcome in [*product(get_args(Role), ["lost"]), *product(["first"], get_args(Outcome))]:
        record = AttemptRecord(
            call_id="c", attempt=2, target=Target("b", "m1"), started=1.0, first_output=None, ended=2.0,
            role=role, outcome=outcome, probe=True,
        )  # fmt: skip
        valid("chat.json", reply | {"attempts": [as_json.attempt(record, 0.5)]})


def test_json_of_a_failure_is_an_object_too(run: Any, a: Vendor, b: Vendor, valid: Any) -> None:
    a.script(Fault(401, message="no"))
    b.script(*[Answer("one two three").cut(after=2)] * 2)
    done = run("chat", "hi", "--json", "--on-break", "raise")
    assert done.returncode == 4
    reply = json.loads(done.stdout)
    valid("chat.json", reply)
    assert reply["text"] == "one"
    assert reply["finish_reason"] is None
    assert (reply["error"]["type"], reply["error"]["exit_code"]) == ("AllTargetsFailed", 4)
    assert [error["type"] for error in reply["error"]["attempts"]] == ["AuthFailed", "StreamBroken"]


def test_json_events_are_a_line_each_and_end_with_finished(run: Any, a: Vendor, b: Vendor, valid: Any) -> None:
    a.script(Fault(503))
    b.script(Answer("one two", reasoning="hm"))
    done = run("chat", "hi", "--json-events")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    for event in events:
        valid("chat-event.json", event)
    assert [event["type"] for event in events] == [
        "attempt_failed", "started", "reasoning", "text", "text", "finished",
    ]  # fmt: skip


def test_json_events_of_a_failure_end_with_the_error(run: Any, a: Vendor, valid: Any) -> None:
    a.script(*[Answer("one two three").cut(after=2)] * 2)
    done = run("chat", "hi", "--json-events", "-m", "a/m1")
    *_, last = (json.loads(line) for line in done.stdout.splitlines())
    valid("chat-event.json", last)
    assert (last["type"], last["error"]["type"], last["error"]["exit_code"]) == ("error", "StreamBroken", 3)
    assert done.returncode == 3


def test_an_answer_that_another_goes_on_with_is_not_torn_apart(capsys: pytest.CaptureFixture[str]) -> None:
    """Who failed and who went on is told below it."""
    a, b, c = (Target(name, "m1") for name in "abc")
    shown, reply = AnswerText(Plain(), told := []), SimpleNamespace(finish_reason="stop", text="one two three")
    failed = AttemptFailed(b, 2, Unavailable("closed", target=b))
    for event in [Started(a, 1), TextDelta("one two "), failed, Resumed(c), TextDelta("three")]:
        shown.show(event, reply)  # type: ignore[arg-type]
    assert capsys.readouterr() == ("one two three", "")
    shown.end(reply, None)  # type: ignore[arg-type]
    below = "✗ b/m1: closed\n→ c/m1 went on where the answer had broken off\n"
    assert capsys.readouterr() == ("\n", below)
    assert told == [failed.error]


def test_what_went_on_and_was_withdrawn_is_told_above_the_new_answer(capsys: pytest.CaptureFixture[str]) -> None:
    a, b, c = (Target(name, "m1") for name in "abc")
    shown, reply = AnswerText(Plain(), []), SimpleNamespace(finish_reason="stop", text="anew")
    begun = [Started(a, 1), TextDelta("one"), Resumed(b), TextDelta(" two"), Retracted("b/m1: broke")]
    for event in [*begun, Started(c, 3), TextDelta("anew")]:
        shown.show(event, reply)  # type: ignore[arg-type]
    shown.end(reply, None)  # type: ignore[arg-type]
    out, err = capsys.readouterr()
    assert out == "one two\nanew\n"
    assert err.index("b/m1 went on") < err.index("✗ b/m1: broke") < err.index("→ c/m1 answers")


def test_continue_is_understood(run: Any, a: Vendor, b: Vendor, valid: Any) -> None:
    """Half a document is nothing to go on with, so that it breaks as it would otherwise."""
    a.script(Answer("one two three").cut(after=2))
    done = run("chat", "hi", "--on-break", "continue", "--json", "--schema", "{}")
    assert done.returncode == 3
    valid("chat.json", json.loads(done.stdout))
    assert json.loads(done.stdout)["text"] == "one"


def nothing(why: str) -> str:
    return f"Warning: nothing will be continued: {why}\n"


IF_IT_DOES = 'if its server does, set capabilities = ["prefill"] in'
NONE = f"neither a nor b declares `prefill`; {IF_IT_DOES} [providers.a]"
PINNED = f"b does not declare `prefill`; {IF_IT_DOES} [providers.b]"
VENDOR = (
    "sambanova does not declare `prefill`; that takes a server behind openai-compatible, with "
    'capabilities = ["prefill"]'
)
SCHEMA = "half a document that is to fit a schema is nothing to go on with"


@pytest.mark.parametrize(
    ("args", "env", "said"),
    [
        (["--on-break", "continue"], {}, nothing(NONE)),
        (["--on-break", "continue", "--json"], {}, nothing(NONE)),
        (["--on-break", "continue", "-m", "b/m1"], {}, nothing(PINNED)),
        (["--on-break", "continue", "--schema", "{}"], {"POINTSMAN_A_CAPABILITIES": "prefill"}, nothing(SCHEMA)),
        ([], {"POINTSMAN_ENGINE_ON_BREAK": "continue"}, nothing(NONE)),
        (["--on-break", "restart"], {"POINTSMAN_ENGINE_ON_BREAK": "continue"}, ""),
        (["--on-break", "continue"], {"POINTSMAN_B_CAPABILITIES": "prefill"}, ""),
        (["--on-break", "continue", "-m", "b/m1"], {"POINTSMAN_A_CAPABILITIES": "prefill"}, nothing(PINNED)),
        ([], {}, ""),
    ],
)
def test_why_nothing_will_be_continued_is_told_once(
    invoke: Invoke, a: Vendor, monkeypatch: pytest.MonkeyPatch, args: list[str], env: dict[str, str], said: str
) -> None:
    a.script(Answer("{}"))
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    done = invoke("chat", "hi", *args)
    assert (done.exit_code, done.stderr) == (0, said)


def test_three_that_do_not_go_on_are_told_together(invoke: Invoke, a: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_SAMBANOVA_BASE_URL", a.base_url)
    monkeypatch.setenv("POINTSMAN_SAMBANOVA_API_KEY", os.environ["POINTSMAN_A_API_KEY"])
    options = [part for one in ("a", "b", "sambanova") for part in ("-m", f"{one}/m1")]
    stderr = invoke("chat", "hi", "--on-break", "continue", *options).stderr
    assert stderr.startswith("Warning: nothing will be continued: none of a, b and sambanova declares `prefill`; if ")


def test_a_vendor_that_does_not_go_on_has_no_setting_for_it(
    invoke: Invoke, a: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POINTSMAN_SAMBANOVA_BASE_URL", a.base_url)
    monkeypatch.setenv("POINTSMAN_SAMBANOVA_API_KEY", os.environ["POINTSMAN_A_API_KEY"])
    done = invoke("chat", "hi", "--on-break", "continue", "-m", "sambanova/m1")
    assert (done.exit_code, done.stderr) == (0, nothing(VENDOR))


def test_json_events_show_a_retraction(run: Any, a: Vendor, b: Vendor, valid: Any) -> None:
    a.script(Answer("one two three").cut(after=2))
    b.script(Answer("Anew."))
    done = run("chat", "hi", "--json-events", "--on-break", "restart")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    for event in events:
        valid("chat-event.json", event)
    assert [event["type"] for event in events] == ["started", "text", "retracted", "started", "text", "finished"]


def test_who_wants_to_know_why_is_told(invoke: Invoke, fussy: Path, a: Vendor, b: Vendor) -> None:
    done = invoke("chat", "-v", "--task", "translation", "hi")
    assert done.exit_code == 0
    assert "→ b/m1\n  taken for translation (0.80), difficulty 0.40\n  fussy: it answers sooner\n" in done.stderr
    assert "  not a/m1: too short a context" in done.stderr
    assert "fussy" not in invoke("chat", "hi").stderr


def test_what_the_target_must_be_able_to_do(invoke: Invoke, place: Path, a: Vendor, b: Vendor) -> None:
    done = invoke("chat", "--require", "flying", "hi")
    assert done.exit_code == 1
    assert "cannot do flying" in done.stderr
    assert not [*a.requests, *b.requests]

"""A terminal is shown Markdown, and a line while it waits; pipes, and whoever wants neither, get the text as it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pointsman_testing import Answer, Fault, Profile, Raw, Vendor

TEXT = "# Head\n\nSome **bold** `code`.\n\n- one\n- two\n\n```py\nx = 1\n```\n"
pytestmark = pytest.mark.usefixtures("place")


def test_markdown_is_rendered_on_a_terminal(terminal: Any, a: Vendor) -> None:
    a.script(Answer(TEXT))
    screen = terminal("chat", "hi")
    assert screen.code == 0
    assert "\x1b[1mbold\x1b[0m" in screen.text
    assert " • \x1b[0mone" in screen.text or " • one" in screen.text
    for literal in ("\x1b[30", "\x1b[37", "\x1b[90", "\x1b[97", "\x1b[4", "38;5", "48;5"):
        assert literal not in screen.text.replace("\x1b[4m", ""), "a colour that vanishes on some screen"


@pytest.mark.parametrize(
    ("options", "columns", "env"),
    [
        (["--raw"], 80, {}),
        ([], 80, {"NO_COLOR": "1"}),
        ([], 80, {"TERM": "dumb"}),
        ([], 20, {}),
    ],
)
def test_text_is_shown_as_it_is(terminal: Any, a: Vendor, options: list[str], columns: int, env: Any) -> None:
    a.script(Answer(TEXT))
    screen = terminal("chat", "hi", *options, columns=columns, env=env)
    assert screen.code == 0
    assert screen.text.startswith(TEXT)


def test_slow_answer_is_the_same_on_the_screen(terminal: Any, a: Vendor) -> None:
    a.script(Answer("**a** b\n\n*c* d", profile=Profile((0.0, 0.0), (20, 20))))
    screen = terminal("chat", "hi")
    assert "\x1b[1ma\x1b[0m b" in screen.text
    assert "\x1b[3mc\x1b[0m d" in screen.text


def test_withdrawn_markdown_stays_above_the_line(terminal: Any, a: Vendor, b: Vendor) -> None:
    a.script(Answer("**one** two\n\n**three** four").cut(after=4))
    b.script(Answer("**Anew.**"))
    screen = terminal("chat", "hi", "--on-break", "restart", columns=200)
    assert screen.code == 0
    above, _, below = screen.text.partition("is withdrawn; the answer starts again. ───")
    assert "\x1b[1mone\x1b[0m two\n\n**three**" in above
    assert "\x1b[1mAnew.\x1b[0m\n" in below


@pytest.mark.parametrize("columns", [50, 80])
def test_what_is_told_on_the_way_is_broken_between_words(terminal: Any, a: Vendor, b: Vendor, columns: int) -> None:
    a.script(*[Fault(503, message="it is out of order and will be for a while, says the one who knows of it all")] * 5)
    b.script(Answer("one two three").cut(after=2), Answer("Here."))
    screen = terminal("chat", "hi", "--on-break", "restart", columns=columns, env={"TERM": "dumb"})
    assert screen.code == 0
    assert "✗ a/m1: it is out of order" in screen.text
    assert "withdrawn" in screen.text
    assert max(map(len, screen.text.splitlines())) <= columns


@pytest.mark.parametrize("columns", [50, 80])
def test_where_a_setting_was_written_is_broken_between_words(terminal: Any, place: Path, columns: int) -> None:
    shown = terminal("config", "set", "--project", "routing.targets", "nobody/x", columns=columns).text
    assert "No provider is called nobody" in " ".join(shown.split())
    assert all(len(line) <= columns for line in shown.splitlines() if str(place) not in line)


def test_terminal_says_whom_it_waits_for_until_there_is_something_to_read(terminal: Any, a: Vendor, b: Vendor) -> None:
    a.script(Answer("late", wait=1.2))
    shown = terminal("chat", "hi").text
    line = "\r\x1b[K\x1b[2mwaiting for a/m1 …\x1b[0m"
    assert line in shown
    assert shown.rindex("\r\x1b[K") < shown.index("late")
    assert shown[shown.rindex("\r\x1b[K") :].startswith("\r\x1b[Klate")


@pytest.mark.parametrize("verb", [["models"], ["providers", "check"], ["doctor", "--live"]])
def test_whoever_asks_several_says_whom_it_waits_for(terminal: Any, a: Vendor, b: Vendor, verb: list[str]) -> None:
    b.script(Raw(b'{"data": []}', content_type="application/json", wait=1.4), on="models")
    screen = terminal(*verb)
    assert "waiting for b … " in screen.text
    after = screen.text[screen.text.rindex("waiting for b") :]
    assert "\r\x1b[K" in after, "it vanishes"


def test_wait_for_the_next_target_is_told_too(terminal: Any, a: Vendor, b: Vendor) -> None:
    a.script(Fault(401, message="no"))
    b.script(Answer("late", wait=1.2))
    shown = terminal("chat", "hi").text
    assert shown.index("✗ a/m1") < shown.index("waiting for b/m1") < shown.index("→ b/m1 answers")
    assert "→ b/m1 answers\n" in shown, "what has no style needs no reset"


@pytest.mark.parametrize("env", [{"TERM": "dumb"}, {"NO_COLOR": "1"}])
def test_line_has_no_colour_where_none_is_wanted(terminal: Any, a: Vendor, env: dict[str, str]) -> None:
    a.script(Answer("late", wait=1.2))
    shown = terminal("chat", "hi", env=env).text
    assert ("waiting for a/m1" in shown) is ("NO_COLOR" in env)
    assert "\x1b[2m" not in shown
    assert ("\x1b" in shown) is ("NO_COLOR" in env)


def test_pipe_sees_no_wait(run: Any, a: Vendor) -> None:
    a.script(Answer("late", wait=1.2))
    done = run("chat", "hi")
    assert (done.stdout, done.stderr) == ("late\n", "")


@pytest.mark.parametrize("args", [["--help"], ["chat", "--help"], ["chat", "hi"]])
def test_what_is_heavy_is_not_imported_where_it_is_not_needed(a: Vendor, args: list[str], place: Path) -> None:
    code = """
import sys
from pointsman_cli.main import main
try:
    main()
finally:
    heavy = {"rich", "markdown_it", "pygments", "readline", "jsonschema", "referencing"} & set(sys.modules)
    assert not heavy, heavy
"""
    done = subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
        env={**os.environ},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_prompt_that_is_typed_is_waited_for_with_a_word(a: Vendor, place: Path) -> None:
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "pointsman_cli", "chat", "-", "-m", "a/m1"],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    assert "end with Ctrl-D" in process.stderr.readline().decode()
    os.write(ours, b"hi\n\x04")
    process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == 0
    assert a.requests[-1].json["messages"][-1]["content"] == "hi"

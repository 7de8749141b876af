"""A conversation on a real terminal: what is typed, what is kept, and what Ctrl-C does."""

from __future__ import annotations

import fcntl
import json
import os
import re
import select
import stat
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pointsman_testing import Answer, Fault, Profile, Vendor

pty = pytest.importorskip("pty")

SLOW = Answer("word " * 2000, profile=Profile((0.0, 0.0), (50, 50)))
PROMPT = "> "
PNG = b"\x89PNG\r\n\x1a\n-not-looked-at"
pytestmark = pytest.mark.usefixtures("place")

# The terminal must be the process's own, or its keys are no signals.
START = """
import os, sys
os.close(os.open(os.ttyname(0), os.O_RDWR))
os.execv(sys.executable, [sys.executable, "-W", "error", "-m", "pointsman_cli", "chat", *sys.argv[1:]])
"""


class Typist:
    """Somebody at a terminal. What was seen once is not seen again."""

    def __init__(self, *args: str, columns: int = 100, env: Mapping[str, str], **streams: Any) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, *args],
            **{"stdin": theirs, "stdout": theirs, "stderr": theirs, **streams},
            env={**os.environ, "TERM": "xterm-256color", **env},
            start_new_session=True,
        )
        os.close(theirs)
        self._unseen = ""

    def sees(self, text: str, pressing: str = "") -> str:
        """Wait for `text`. Returns what came before it, without colours.

        Python does not hear a Ctrl-C in the moment between the prompt and the wait for what is typed; whoever presses
        it then presses it again, which is what `pressing` does.
        """
        give_up = time.monotonic() + 60
        self.types(pressing)
        while text not in self._unseen:
            assert time.monotonic() < give_up, self._unseen
            if select.select([self._ours], [], [], 0.5)[0]:
                more = self._read()
                assert more, f"it ended without {text!r}: {self._unseen}"
                self._unseen = re.sub(r"\x1b\[\??[0-9;]*[a-zA-Z]", "", self._unseen + more).replace("\r\n", "\n")
            else:
                self.types(pressing)
        before, _, self._unseen = self._unseen.partition(text)
        return before

    def types(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def asks(self, text: str) -> str:
        """Type a line, and wait for the next prompt. Returns what is shown until then, but for the line."""
        self.types(text + "\r")
        self.sees(text.rpartition("\r")[2])
        return self.sees("\n" + PROMPT)

    def leaves(self) -> int:
        return self.ends(pressing="\x04")

    def ends(self, pressing: str = "") -> int:
        give_up = time.monotonic() + 60
        while True:
            if pressing and self.process.poll() is None:
                self.types(pressing)
            if select.select([self._ours], [], [], 0.5)[0] and not self._read():
                return self.process.wait(60)
            assert time.monotonic() < give_up, "it does not end"

    def _read(self) -> str:
        try:
            return os.read(self._ours, 65536).decode("utf-8", "replace")
        except OSError:  # Linux says so when the other side is closed.
            return ""

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


@pytest.fixture
def history(tmp_path: Path) -> Path:
    return tmp_path / "state" / "history"


@pytest.fixture
def start(history: Path) -> Iterator[Callable[..., Typist]]:
    typists: list[Typist] = []

    def start(*args: str, env: Mapping[str, str] | None = None, **how: Any) -> Typist:
        typist = Typist(*args, env={"POINTSMAN_HISTORY": str(history), **(env or {})}, **how)
        typists.append(typist)
        return typist

    yield start
    for typist in typists:
        typist.close()


def said(vendor: Vendor, number: int = -1) -> list[Any]:
    """The messages of a question, as the vendor saw them."""
    return [(one["role"], one["content"]) for one in vendor.requests[number].json["messages"]]


# What is said and kept ----------------------------------------------------------------------------------------------


def test_conversation_is_kept_and_ctrl_d_leaves(start: Any, a: Vendor) -> None:
    a.script(Answer("The **first**."), Answer("Second."))
    typist = start()
    assert "a/m1 · /help" in typist.sees(PROMPT)
    shown = typist.asks("one")
    assert "The first." in shown
    assert "a/m1 · first token" in shown
    assert "Second." in typist.asks("two")
    assert typist.leaves() == 0
    assert said(a, 0) == [("user", "one")]
    assert said(a, 1) == [("user", "one"), ("assistant", "The **first**."), ("user", "two")]


def test_a_variable_that_nobody_reads_is_told_once(start: Any) -> None:
    typist = start(env={"POINTSMAN_ENGIN_HEDGE": "1"})
    assert "did you mean POINTSMAN_ENGINE_HEDGE?" in " ".join(typist.sees(PROMPT).split())
    assert "POINTSMAN_ENGIN" not in typist.asks("one") + typist.asks("two")
    assert typist.leaves() == 0


def test_why_nothing_will_be_continued_is_told_once(start: Any) -> None:
    typist = start("--on-break", "continue")
    assert "nothing will be continued: neither a nor b declares" in typist.sees(PROMPT)
    assert "continued" not in typist.asks("one") + typist.asks("two")
    assert typist.leaves() == 0


def test_ctrl_c_stops_the_answer_and_keeps_the_session(start: Any, labs: Any, a: Vendor) -> None:
    a.script(SLOW, Answer("Shorter."))
    typist = start()
    typist.sees(PROMPT)
    typist.types("long\r")
    typist.sees("word word")
    typist.types("\x03")
    assert "What has come is kept" in typist.sees("\n" + PROMPT)
    labs.call(a.requests[-1].gone.wait)
    assert "Shorter." in typist.asks("shorter")
    (_, long), (role, kept), _ = said(a)
    assert (long, role) == ("long", "assistant")
    assert kept.startswith("word word")
    assert len(kept) < len(SLOW.text)
    assert typist.leaves() == 0


def test_ctrl_c_before_the_first_word_keeps_nothing(start: Any, a: Vendor) -> None:
    a.script(Answer("late", wait=60), Answer("Now."))
    typist = start()
    typist.sees(PROMPT)
    typist.types("slow\r")
    typist.sees("waiting for a/m1")
    typist.types("\x03")
    assert "The question is not kept" in typist.sees("\n" + PROMPT)
    assert "Now." in typist.asks("next")
    assert said(a) == [("user", "next")]
    assert typist.leaves() == 0


def test_ctrl_c_at_any_time_leaves_a_session_that_answers(start: Any, a: Vendor) -> None:
    typist = start()
    typist.sees(PROMPT)
    for wait in (0.0, 0.001, 0.005, 0.02, 0.1):
        a.default = SLOW
        typist.types("again\r")
        typist.sees("again\n")
        time.sleep(wait)
        typist.types("\x03")
        typist.sees("\n" + PROMPT)
    a.default = Answer("Here.")
    assert "Here." in typist.asks("last")
    assert typist.leaves() == 0


def test_ctrl_c_at_the_prompt_clears_the_line_and_says_how_to_leave(start: Any, a: Vendor) -> None:
    typist = start()
    typist.sees(PROMPT)
    typist.types("half a line")
    typist.sees("half a line")
    typist.sees("\n" + PROMPT, pressing="\x03")
    typist.sees("To leave: Ctrl-D, or /exit", pressing="\x03")
    typist.sees("\n" + PROMPT)
    assert typist.leaves() == 0
    assert not a.requests


def test_error_in_a_turn_is_explained_and_the_session_goes_on(start: Any, a: Vendor, b: Vendor) -> None:
    a.script(Fault(401, message="no"), Answer("Here."))
    typist = start("-m", "a/m1")
    typist.sees(PROMPT)
    shown = typist.asks("one")
    assert "cause: the key from environment POINTSMAN_A_API_KEY is wrong" in shown
    assert "The question is not kept" in shown
    assert "Traceback" not in shown
    assert "Here." in typist.asks("/retry")
    assert said(a) == [("user", "one")]
    assert typist.leaves() == 0


def test_broken_answer_is_kept_as_far_as_it_came(start: Any, a: Vendor) -> None:
    a.script(Answer("one two three").cut(after=2), Answer("go on"))
    typist = start("-m", "a/m1")
    typist.sees(PROMPT)
    assert "What has come is kept" in typist.asks("first")
    typist.asks("second")
    assert said(a) == [("user", "first"), ("assistant", "one"), ("user", "second")]
    assert typist.leaves() == 0


def test_advice_is_what_can_be_done_in_a_conversation(start: Any, a: Vendor) -> None:
    a.script(Fault(404, message="no such model"), Fault(402, message="no credit"))
    typist = start("-m", "a/m1")
    typist.sees(PROMPT)
    for shown in (typist.asks("one"), typist.asks("two")):
        assert "next:" in shown
        assert "/model" in shown
        assert "-m" not in shown.replace("--m", "")
    assert typist.leaves() == 0


def test_failover_is_told(start: Any, a: Vendor, b: Vendor) -> None:
    a.script(Fault(503), Fault(503))
    b.script(Answer("Here."))
    typist = start()
    typist.sees(PROMPT)
    shown = typist.asks("hi")
    assert "✗ a/m1" in shown
    assert "→ b/m1 answers" in shown
    assert typist.leaves() == 0


# Commands -----------------------------------------------------------------------------------------------------------


def test_model_is_shown_set_and_refused(start: Any, a: Vendor, b: Vendor) -> None:
    typist = start()
    typist.sees(PROMPT)
    shown = typist.asks("/model")
    assert "auto" in shown
    assert "a/m1, b/m1" in shown
    assert "no provider is called 'c'" in typist.asks("/model c/m1")
    assert "did you mean b/m1?" in typist.asks("/model b/m12")
    assert "b/m1 is asked from now on" in typist.asks("/model b/m1")
    typist.asks("hi")
    assert "We choose; now a/m1" in typist.asks("/model auto")
    typist.asks("hi")
    assert (len(a.requests), len(b.requests)) == (1, 1)
    assert "model is 'provider/model'" in typist.asks("/model m1")
    assert typist.leaves() == 0


def test_system_clear_and_retry(start: Any, a: Vendor) -> None:
    a.script(*[Answer(f"answer {number}") for number in range(4)])
    typist = start("-s", "Be brief.")
    typist.sees(PROMPT)
    assert "Be brief." in typist.asks("/system")
    assert "nothing has been asked" in typist.asks("/retry")
    typist.asks("one")
    typist.asks("/system Be long.")
    assert "answer 1" in typist.asks("/retry")
    assert said(a) == [("system", "Be long."), ("user", "one")]
    typist.asks("two")
    assert [text for _, text in said(a)] == ["Be long.", "one", "answer 1", "two"]
    typist.asks("/clear")
    typist.asks("/system none")
    typist.asks("three")
    assert said(a) == [("user", "three")]
    assert typist.leaves() == 0


def test_each_conversation_is_a_thread_of_its_own(start: Any, echo: dict[str, str]) -> None:
    def thread(typist: Typist) -> str:
        found = re.search(r"thread:(\w+)", typist.asks("hi"))
        assert found
        return found[1]

    typist = start("-m", "echo/m", "--raw", "--tag", "team=a", env=echo)
    typist.sees(PROMPT)
    first = thread(typist)
    assert thread(typist) == first
    typist.asks("/clear")
    assert "team:a" in typist.asks("hi")
    second = thread(typist)
    assert second != first
    other = start("-m", "echo/m", "--raw", "--tag", f"thread={second}", env=echo)
    other.sees(PROMPT)
    assert thread(other) == second


def test_what_begins_with_a_slash_and_is_no_command(start: Any, a: Vendor) -> None:
    typist = start()
    typist.sees(PROMPT)
    assert "did you mean /model?" in typist.asks("/mdoel a/m1")
    assert not a.requests
    typist.asks("/etc/hosts, what is it?")
    assert said(a, 0) == [("user", "/etc/hosts, what is it?")]
    typist.asks("//model")
    assert a.requests[-1].prompt == "/model"
    typist.types("/exit\r")
    assert typist.ends() == 0


@pytest.mark.parametrize("columns", [20, 80, 200])
def test_help_fits_the_terminal(start: Any, columns: int) -> None:
    typist = start(columns=columns)
    typist.sees(PROMPT)
    shown = typist.asks("/help")
    for name in ("/model", "/system", "/attach", "/retry", "/clear", "/save", "/exit"):
        assert f"\n{name}" in shown
    if columns > 20:
        assert max(map(len, shown.splitlines())) <= columns
    assert typist.leaves() == 0


def test_files_go_with_the_next_question(start: Any, a: Vendor, place: Path) -> None:
    (place / "p.png").write_bytes(PNG)
    (place / "notes.md").write_text("some notes")
    typist = start("-a", "p.png")
    assert "p.png (picture) goes with what you say next" in typist.sees(PROMPT)
    assert "/attach no.png: there is no such file" in typist.asks("/attach no.png")
    typist.asks("/attach notes.md")
    typist.asks("what is this?")
    ((_, parts),) = said(a, 0)
    assert [part["type"] for part in parts] == ["image_url", "text"]
    assert "some notes" in parts[1]["text"]
    typist.asks("and now?")
    assert said(a)[-1] == ("user", "and now?")
    assert typist.leaves() == 0


def test_save_writes_a_new_file(start: Any, a: Vendor, place: Path) -> None:
    a.script(Answer("Here."))
    typist = start("-s", "Be brief.")
    typist.sees(PROMPT)
    typist.asks("hi")
    typist.asks("/save talk.json")
    assert json.loads((place / "talk.json").read_text())["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "Here."},
    ]
    assert "is left as it is" in typist.asks("/save talk.json")
    assert typist.leaves() == 0


# Lines --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ("one\\\rtwo", "one\ntwo"),
        ('"""\rone\r\rtwo\r"""', "one\n\ntwo"),
        ('"""one\rtwo"""', "one\ntwo"),
        ("\x1b[200~one\n/two\nthree\x1b[201~", "one\n/two\nthree"),
    ],
)
def test_several_lines_are_one_question(start: Any, a: Vendor, typed: str, asked: str) -> None:
    typist = start()
    typist.sees(PROMPT)
    typist.types(typed + "\r")
    typist.sees("a/m1 · first token")
    typist.sees("\n" + PROMPT)
    assert [request.prompt for request in a.requests] == [asked]
    assert typist.leaves() == 0


def test_history_is_kept_for_the_next_session_and_for_nobody_else(start: Any, a: Vendor, history: Path) -> None:
    typist = start()
    typist.sees(PROMPT)
    typist.asks("of mine")
    typist.asks(" secret")
    assert typist.leaves() == 0
    assert history.read_text() == '"of mine"\n'
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    again = start()
    again.sees(PROMPT)
    again.types("\x1b[A\r")  # The key that goes up.
    again.sees("first token")
    assert [request.prompt for request in a.requests] == ["of mine", " secret", "of mine"]
    again.sees("\n" + PROMPT)
    assert again.leaves() == 0


def test_history_that_cannot_be_written_is_told_once(start: Any, a: Vendor, place: Path) -> None:
    (place / "file").touch()
    typist = start(env={"POINTSMAN_HISTORY": str(place / "file" / "history")})
    shown = typist.sees("\n" + PROMPT)
    shown += typist.asks("one") + typist.asks("two")
    assert shown.count("The history is not kept") == 1
    assert typist.leaves() == 0


def test_history_is_in_memory_only_unless_a_file_is_named(start: Any, a: Vendor, place: Path) -> None:
    """Prompts are not stored unless asked for."""
    before = set(place.rglob("*"))
    typist = start(env={"POINTSMAN_HISTORY": "", "XDG_STATE_HOME": str(place), "HOME": str(place)})
    typist.sees(PROMPT)
    assert "POINTSMAN_HISTORY" in typist.asks("/help")
    typist.asks("one")
    typist.types("\x1b[A\r")  # The key that goes up.
    typist.sees("first token")
    typist.sees("\n" + PROMPT)
    assert [request.prompt for request in a.requests] == ["one", "one"]
    assert typist.leaves() == 0
    assert set(place.rglob("*")) == before


def test_tab_completes_commands_and_targets(start: Any, a: Vendor, b: Vendor) -> None:
    typist = start()
    typist.sees(PROMPT)
    typist.types("/mo\tb\t\r")
    typist.sees("b/m1 is asked from now on")
    typist.sees("\n" + PROMPT)
    assert typist.leaves() == 0


def test_without_readline_lines_are_read_all_the_same(start: Any, a: Vendor, place: Path) -> None:
    (place / "readline.py").write_text("raise ImportError('not here')")
    typist = start(env={"PYTHONPATH": str(place)})
    typist.sees(PROMPT)
    typist.types("hi\n")
    typist.sees("first token")
    typist.sees("\n" + PROMPT)
    assert a.requests[-1].prompt == "hi"
    typist.sees("\n" + PROMPT, pressing="\x03")
    assert typist.leaves() == 0


def test_what_is_typed_meanwhile_is_the_next_question_and_not_in_the_answer(start: Any, a: Vendor) -> None:
    a.script(Answer("one two", wait=1), Answer("three"))
    typist = start()
    typist.sees(PROMPT)
    typist.types("first\r")
    typist.sees("waiting for a/m1")
    typist.types("second\r")
    assert "second" not in typist.sees("first token")
    typist.sees("second")
    typist.sees("first token")
    typist.sees("\n" + PROMPT)
    assert [request.prompt for request in a.requests] == ["first", "second"]
    assert typist.leaves() == 0


# Where it begins ----------------------------------------------------------------------------------------------------


def test_without_a_provider_it_says_what_to_set(start: Any, place: Path) -> None:
    (place / "pointsman.toml").unlink()
    typist = start()
    typist.sees("pointsman demo")
    assert typist.ends() == 4


def test_wrong_target_does_not_begin(start: Any) -> None:
    typist = start("-m", "c/m1")
    typist.sees("no provider is called 'c'")
    assert typist.ends() == 2


def test_answers_alone_go_into_a_pipe(start: Any, a: Vendor) -> None:
    a.script(Answer("**Here.**"))
    typist = start(stdout=subprocess.PIPE)
    typist.sees(PROMPT)
    typist.types("hi\n")
    typist.sees(PROMPT)
    assert typist.leaves() == 0
    assert typist.process.stdout.read() == b"**Here.**\n"
    typist.process.stdout.close()


def test_answer_that_does_not_fit_the_schema_is_told(start: Any, a: Vendor) -> None:
    a.script(Answer('{"n": "x"}'))
    typist = start("--schema", '{"properties": {"n": {"type": "integer"}}}')
    typist.sees(PROMPT)
    assert """$.n: "x" is not of type 'integer'""" in typist.asks("hi")
    assert typist.leaves() == 0

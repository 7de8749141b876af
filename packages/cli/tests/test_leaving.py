"""Whoever stops listening, or presses Ctrl-C, is not shown a traceback; and the vendor is not kept busy."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pointsman_testing import Answer, Profile, Vendor

SLOW = Answer("word " * 2000, profile=Profile((0.0, 0.0), (50, 50)))
pytestmark = pytest.mark.usefixtures("place")


def start(*args: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "pointsman_cli", *args],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def read_some(process: subprocess.Popen[bytes], size: int) -> bytes:
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], 30)[0]
    return os.read(process.stdout.fileno(), size)


def gone(labs: Any, vendor: Vendor) -> None:
    """Wait until the vendor has noticed."""
    labs.call(vendor.requests[-1].gone.wait)


@pytest.mark.parametrize("options", [[], ["--json-events"]])
def test_reader_that_leaves_ends_the_call_quietly(labs: Any, a: Vendor, options: list[str]) -> None:
    a.script(SLOW)
    with start("chat", "hi", *options) as process:
        read_some(process, 4)
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(30) == 1
    gone(labs, a)


def test_pipe_that_is_read_for_one_line_is_no_failure_of_the_pipeline(a: Vendor) -> None:
    a.script(Answer("one\ntwo\n" + "more " * 5000))
    line = f"{sys.executable} -W error -m pointsman_cli chat hi < /dev/null | head -n 1"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "one\n", "")


@pytest.mark.parametrize("stream", [">&-", "2>&-", ">&- 2>&-"])
def test_stream_that_is_closed_from_the_start_is_no_crash(a: Vendor, stream: str) -> None:
    line = f"{sys.executable} -m pointsman_cli chat hi < /dev/null {stream}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_ctrl_c_keeps_what_arrived(labs: Any, a: Vendor) -> None:
    a.script(SLOW)
    with start("chat", "hi") as process:
        shown = read_some(process, 100)
        process.send_signal(signal.SIGINT)
        rest, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert (shown + rest).count(b"word") < 2000
    assert (shown + rest).startswith(b"word")
    assert (shown + rest).endswith(b"\n")
    assert stderr == b"Interrupted.\n"
    gone(labs, a)


def test_ctrl_c_before_the_first_word(a: Vendor) -> None:
    a.script(Answer("late", wait=60))
    with start("chat", "hi") as process:
        while not a.requests:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, b"", b"Interrupted.\n")


def test_ctrl_c_prints_the_object_that_was_asked_for(a: Vendor, valid: Any) -> None:
    a.script(SLOW)
    with start("chat", "hi", "--json") as process:
        while not (a.requests and a.requests[-1].sent > 1000):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, b"Interrupted.\n")
    reply = json.loads(out)
    valid("chat.json", reply)
    assert reply["text"].startswith("word")
    assert reply["error"]["type"] == "Interrupted"


def test_ctrl_c_ends_events_with_an_error(a: Vendor, valid: Any) -> None:
    a.script(SLOW)
    with start("chat", "hi", "--json-events") as process:
        shown = read_some(process, 10)
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=30)
    last = json.loads((shown + rest).splitlines()[-1])
    valid("chat-event.json", last)
    assert last["error"]["exit_code"] == process.returncode == 130


@pytest.mark.parametrize("seconds", [0.01, 0.02, 0.05, 0.1, 0.2, 0.4])
def test_ctrl_c_at_any_time_shows_no_traceback(a: Vendor, seconds: float) -> None:
    """From the moment that our first module runs."""
    a.script(SLOW)
    code = "from pointsman_cli.main import main; print('.', flush=True); main()"
    command = [sys.executable, "-c", code, "chat", "hi"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        read_some(process, 1)
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert b"Traceback" not in err
    assert process.returncode == 130, err


SET_NAME = """
class Late:
    def __set_name__(self, owner, name):
        raise KeyboardInterrupt
"""


@pytest.mark.parametrize("where", ["pointsman_cli.app", "pointsman_cli.chat.command"])
def test_ctrl_c_while_a_class_is_made_is_one(where: str, nowhere: Path) -> None:
    """Python 3.11 wraps it in a RuntimeError then; both before the command has begun and in it."""
    finder = f"""
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {where!r}:
            type("Made", (), {{"late": Late()}})
"""
    code = f"{SET_NAME}{finder}\nimport sys; sys.meta_path.insert(0, Finder())\n"
    code += "from pointsman_cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "chat", "hi"], capture_output=True, check=False)
    assert b"Error" not in done.stderr
    assert done.returncode == 130, done.stderr


def test_ctrl_c_while_something_is_imported_is_one(nowhere: Path) -> None:
    """What was half imported then may not import again, when the error is to be told."""
    finder = """
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "pointsman_cli.chat.command":
            raise KeyboardInterrupt
        if name == "pointsman_cli.report":
            raise NameError("name '_abc' is not defined")
"""
    code = f"{finder}\nimport sys; sys.meta_path.insert(0, Finder())\nfrom pointsman_cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "chat", "hi"], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (130, b"")


def test_ctrl_c_ends_the_demo(nowhere: Path) -> None:
    with start("demo", "--speed", "0.5") as process:
        read_some(process, 10)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, b"Interrupted.\n")


def test_reader_that_leaves_ends_the_demo(nowhere: Path) -> None:
    with start("demo") as process:
        read_some(process, 10)
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(30) == 1

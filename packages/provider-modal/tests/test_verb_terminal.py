"""`pointsman modal`, run as its users run it: in a process of its own, on a terminal, and on a pipe."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from verbs import Invoke

if TYPE_CHECKING:
    from control_plane.server import ControlPlane


def command(*args: str) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "pointsman_cli", "modal", *args]


def on_terminal(
    *args: str, columns: int = 80, answers: Sequence[tuple[str, str]] = (), then: Callable[[int], None] | None = None
) -> tuple[str, int]:
    """What was shown, and the exit code. An answer is typed once its question is there; `then` gets the process once
    there is nothing more to answer and something was shown.
    """
    pty = pytest.importorskip("pty")
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = {**os.environ, "TERM": "xterm-256color"}
    process = subprocess.Popen(
        command(*args), stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True
    )
    os.close(theirs)
    shown, left = bytearray(), list(answers)
    while True:
        try:
            more = os.read(ours, 65536)
        except OSError:  # Linux says so when the other side is closed.
            break
        if not more:
            break
        shown += more
        if left and left[0][0].encode() in shown:
            os.write(ours, left.pop(0)[1].encode())
        elif not left and then is not None:
            then(process.pid)
            then = None
    os.close(ours)
    return shown.decode().replace("\r\n", "\n"), process.wait(timeout=60)


def painted(shown: str) -> list[str]:
    """The lines that stay."""
    return [line.rpartition("\r\x1b[K")[2] for line in shown.splitlines()]


def test_deploying_asks(plane: ControlPlane, home: Path) -> None:
    answers = [("Deploy this to Modal (workspace tests)?", "y\n"), ("Make one, and keep it in your keys file?", "n\n")]
    shown, code = on_terminal("deploy", answers=answers)
    assert code == 0, shown
    assert all(len(line) < 80 for line in painted(shown) if "?" not in line and str(home) not in line)
    assert "It lacks a proxy token: `modal workspace proxy-tokens" in shown
    assert (home / "config.toml").exists()
    assert not (home / "keys.toml").exists()
    assert "\x1b" not in shown.replace("\r\x1b[K", "")  # Neither colours nor anything else.


def test_no_is_an_answer(plane: ControlPlane, home: Path) -> None:
    shown, code = on_terminal("deploy", columns=40, answers=[("Deploy this", "n\n")])
    assert code == 1
    assert "Nothing was done." in shown
    assert all(len(line) <= 40 for line in shown.splitlines() if "?" not in line)
    assert plane.memory.apps == {}
    assert not home.exists()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGHUP, -signal.SIGHUP)]
)
def test_whatever_ends_it_lets_the_container_go(deployed: ControlPlane, number: int, code: int) -> None:
    def end(process: int) -> None:
        while not deployed.requests("FunctionUpdateSchedulingParams"):
            time.sleep(0.01)
        os.kill(process, number)

    shown, ended = on_terminal("warm", "--keep", "1h", then=end)
    assert ended == code, shown
    assert [one.settings.min_containers for one in deployed.requests("FunctionUpdateSchedulingParams")] == [1, 0]
    assert "One container is kept for 1h 00m" in shown


def test_ctrl_c_while_it_is_deployed(plane: ControlPlane, home: Path) -> None:
    def end(process: int) -> None:
        while not plane.requests("AppPublish"):
            time.sleep(0.01)
        os.kill(process, signal.SIGINT)

    with plane.holding("AppPublish"):
        shown, code = on_terminal("deploy", "--yes", then=end)
    assert code == 130
    assert "Nothing was written. Whether pointsman was deployed" in " ".join(shown.split())
    assert not home.exists()


def test_a_broken_file_of_modals(home: Path, tmp_path: Path) -> None:
    """From which `import modal` raises, after a banner to stdout."""
    file = tmp_path / "modal.toml"
    file.write_text("[broken\n")
    env = {**os.environ, "MODAL_CONFIG_PATH": str(file)}
    done = subprocess.run(
        command("deploy", "--yes", "--json"), capture_output=True, text=True, env=env, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert f"modal does not load, mostly since {file} is broken" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_host_that_cannot_be_reached(deployed: ControlPlane) -> None:
    """The SDK would go on for 56 s; neither we nor the end of the process wait for it."""
    code = """
from pointsman_modal.deploy import sdk
sdk.ANSWERS_WITHIN = 0.2
from pointsman_cli.main import main
main()
"""
    env = {**os.environ, "MODAL_SERVER_URL": "http://127.0.0.1:9"}
    args = [sys.executable, "-W", "error", "-c", code, "modal", "status"]
    done = subprocess.run(args, capture_output=True, text=True, env=env, timeout=30, check=False)
    assert done.returncode == 3
    assert "unknown: signing in: Modal's control plane did not answer within 0.2 s" in done.stdout
    assert "https://status.modal.com" in done.stderr


@pytest.mark.parametrize("verb", [(), ("deploy",), ("status",), ("warm",), ("logs",), ("stop",)])
def test_help_shows_an_example(invoke: Invoke, verb: tuple[str, ...]) -> None:
    done = invoke(*verb, "--help")
    assert done.exit_code == 0
    assert re.search(rf"Examples?:\s+pointsman modal {verb[0] if verb else ''}", done.stdout)


def test_help_imports_nothing_but_click() -> None:
    code = "import sys, pointsman_modal.cli.command; print({'modal', 'httpx2', 'anyio'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"

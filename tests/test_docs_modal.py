"""docs/modal.md shows what is printed. Run this file to write it there anew."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner

from pointsman_cli.app import cli
from pointsman_modal.deploy.plan import Plan

PAGE = Path(__file__).parent.parent / "docs" / "modal.md"
SHOWN = re.compile(r"```text\n\$ pointsman ([^\n]*)\n(.*?)```", re.DOTALL)
SETTINGS = {"base_url": "https://you--pointsman-ollama-serve.modal.run", **Plan().provider_settings()}
"""As they are after `pointsman modal deploy`."""


def on_a_terminal(line: str, place: Path, env: Mapping[str, str]) -> str:
    """What the command shows on 80 columns."""
    pty, termios = pytest.importorskip("pty"), pytest.importorskip("termios")
    from fcntl import ioctl

    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "pointsman_cli", *line.split()],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        cwd=place,
        env={**env, "NO_COLOR": "1", "TERM": "dumb", "POINTSMAN_LEDGER_URL": "none"},
    )
    os.close(theirs)
    shown = bytearray()
    try:
        while more := os.read(ours, 65536):
            shown += more
    except OSError:  # Linux says so when the other side is closed.
        pass
    os.close(ours)
    assert process.wait() == 0, shown.decode()
    return shown.decode().replace("\r\n", "\n")


def settings(line: str, place: Path) -> None:
    """Before the deployment there are none."""
    told = [f"{name} = {value!r}" for name, value in SETTINGS.items()]
    text = "" if "modal deploy" in line else "\n".join(["[providers.modal]", *told])
    (place / "pointsman.toml").write_text(text.replace("'", '"'))


@pytest.mark.parametrize(("line", "shown"), SHOWN.findall(PAGE.read_text("utf-8")))
def test_the_page_shows_what_is_printed(line: str, shown: str, tmp_path: Path) -> None:
    settings(line, tmp_path)
    assert on_a_terminal(line, tmp_path, os.environ) == shown


@pytest.fixture
def printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """What a command prints into a pipe, in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POINTSMAN_LEDGER_URL", "none")

    def run(line: str) -> str:
        settings(line, tmp_path)
        done = CliRunner().invoke(cli, line.split(), prog_name="pointsman")
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


def test_its_figures_are_those_that_are_printed(printed: Callable[[str], str]) -> None:
    """Of the table, with the command that stands beside each; "the same" is the line of the month before it."""
    chapter = PAGE.read_text("utf-8").partition("\n## What it costs")[2].partition("\n### ")[0]
    rows = re.findall(r"^\| [^|]+ \| ([\d., to]+) \| (?:the same with )?`([^`]+)` \|$", chapter, re.MULTILINE)
    assert len(rows) == 5
    month = "modal deploy --dry-run --requests-per-day 200"
    for amounts, command in rows:
        whole = command.startswith("pointsman ")
        line = command.removeprefix("pointsman ") if whole else f"{month} {command}"
        assert " to ".join(f"${amount}" for amount in amounts.split(" to ")) in printed(line), line


def test_a_plan_and_the_comparison_say_the_same_of_a_month(printed: Callable[[str], str]) -> None:
    """By the same formula; the comparison counts the cheapest GPU."""
    plan = "modal deploy --dry-run --requests-per-day 200 --seconds-per-request 6.5 --json"
    cost = json.loads(printed(plan))["cost"]
    comparison = "costs --breakeven --requests-per-day 200 --tokens 1500/400 --seconds 6.5 --json"
    (machine,) = json.loads(printed(comparison))["machines"]
    for here, there in (("hour", "per_hour"), ("month", "per_month")):
        assert float(machine[here]["usd"]) == pytest.approx(float(cost[there]["least"]), abs=0.000001)


if __name__ == "__main__":
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:

        def written(found: re.Match[str]) -> str:
            settings(found[1], Path(folder))
            clean = {"PATH": os.environ["PATH"], "HOME": folder}
            return f"```text\n$ pointsman {found[1]}\n{on_a_terminal(found[1], Path(folder), clean)}```"

        PAGE.write_text(SHOWN.sub(written, PAGE.read_text("utf-8")), "utf-8")

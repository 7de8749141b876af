"""Shells complete verbs, options, providers, models and settings: asked as the shells themselves ask."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from pointsman_testing import Vendor

Invoke = Callable[..., Result]

SHELLS = ["bash", "zsh", "fish"]


def complete(line: str) -> set[str]:
    """What is offered for the last word of `line`."""
    words = line.split(" ")
    done = subprocess.run(
        [sys.executable, "-m", "pointsman_cli"],
        env={
            **os.environ,
            "_POINTSMAN_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(words),
            "COMP_CWORD": str(len(words) - 1),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return {one.partition(",")[2] for one in done.stdout.split()}


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("pointsman ro", {"route"}),
        ("pointsman config se", {"set"}),
        ("pointsman models --s", {"--sort"}),
        ("pointsman models --sort ", {"name", "price", "context", "speed"}),
        ("pointsman keys set samb", {"sambanova"}),
        ("pointsman keys test samb", {"sambanova"}),
        ("pointsman models samb", {"sambanova"}),
        ("pointsman providers check samb", {"sambanova"}),
        ("pointsman chat -m a/", {"a/m1"}),
        ("pointsman chat -m sambanova/gpt", {"sambanova/gpt-oss-120b"}),
        ("pointsman route -m sambanova/gpt", {"sambanova/gpt-oss-120b"}),
        ("pointsman config get engine.st", {"engine.stall"}),
        ("pointsman config get limits.a.r", {"limits.a.rpm"}),
        ("pointsman config set providers.a.base", {"providers.a.base_url"}),
        ("pointsman completion ", set(SHELLS)),
        ("pointsman plugins ", {"new"}),
        ("pointsman plugins new a", set()),
        ("pointsman plugins new x --kind p", {"provider", "policy"}),
    ],
)
def test_what_is_offered(place: Path, a: Vendor, b: Vendor, line: str, offered: set[str]) -> None:
    assert complete(line) == offered
    assert [*a.requests, *b.requests] == []


def test_what_is_broken_offers_nothing_and_says_nothing(place: Path, stranger: Any) -> None:
    (place / "pointsman.toml").write_text("[engine")
    assert complete("pointsman keys set samb") == {"sambanova"}
    (place / "pointsman.toml").write_text("[engin]\nstall = 3")
    assert complete("pointsman keys set samb") == set()
    assert complete("pointsman ro") == {"route"}


def test_verbs_of_other_packages_complete_by_the_same_names(
    place: Path, stranger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = """
from pointsman import CommandSpec, hookimpl
@hookimpl
def pointsman_commands():
    return [CommandSpec("greet", "Say hello.", "stranger_command:greet")]
"""
    command = """
import click
@click.command()
@click.argument("provider", metavar="PROVIDER")
def greet(provider):
    click.echo(provider)
"""
    env = stranger(
        {"pointsman.commands": {"greet": "stranger_plugin"}}, stranger_plugin=plugin, stranger_command=command
    )
    monkeypatch.setenv("PYTHONPATH", env["PYTHONPATH"])
    assert complete("pointsman greet samb") == {"sambanova"}


@pytest.mark.parametrize("shell", SHELLS)
def test_script_says_how_it_is_installed(invoke: Invoke, shell: str, valid: Any) -> None:
    done = invoke("completion", shell)
    assert done.exit_code == 0
    assert f"# To have it in every {shell}: " in done.stdout
    assert "_POINTSMAN_COMPLETE" in done.stdout
    found = json.loads(invoke("completion", shell, "--json").stdout)
    valid("completion.json", found)
    assert found["script"] == done.stdout


def test_a_shell_that_is_not_known(invoke: Invoke) -> None:
    done = invoke("completion", "powershell")
    assert done.exit_code == 2
    assert "bash" in done.stderr


# In the shells themselves --------------------------------------------------------------------------------------------


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``pointsman`` is a program; whether this environment has installed one or not."""
    program = tmp_path / "bin" / "pointsman"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pointsman_cli "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return program


def shell_of(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed here")
    return found


def test_bash_completes(place: Path, on_path: Path) -> None:
    code = """
eval "$(pointsman completion bash)"
COMP_WORDS=(pointsman keys set samb) COMP_CWORD=3
_pointsman_completion pointsman samb set
printf '%s\\n' "${COMPREPLY[@]}"
complete -p pointsman
"""
    done = subprocess.run([shell_of("bash"), "--norc", "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[0] == "sambanova", done.stderr
    assert "_pointsman_completion" in done.stdout


@pytest.mark.parametrize("line", ["chat -a no", "chat --attach no", "chat --schema no"])
def test_bash_completes_files(place: Path, on_path: Path, line: str) -> None:
    """Readline completes them, which only an interactive shell does: this one has a terminal."""
    pty = pytest.importorskip("pty")
    (place / "notes-of-mine.txt").touch()
    ours, theirs = pty.openpty()
    shell = subprocess.Popen(
        [shell_of("bash"), "--norc", "--noprofile", "-i"], stdin=theirs, stdout=theirs, stderr=theirs, cwd=place,
        env={**os.environ, "TERM": "dumb", "PS1": "", "INPUTRC": os.devnull}, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    try:
        os.write(ours, b'eval "$(pointsman completion bash)"; echo rea""dy\n')
        read_until(ours, "ready")
        os.write(ours, f"pointsman {line}\t".encode())
        assert "notes-of-mine.txt" in read_until(ours, "notes-of-mine.txt", patience=15)
    finally:
        shell.kill()
        shell.wait()
        os.close(ours)


def test_fish_completes(place: Path, on_path: Path) -> None:
    code = "pointsman completion fish | source; complete -C 'pointsman keys set samb'; complete -C 'pointsman rout'"
    done = subprocess.run([shell_of("fish"), "--no-config", "-c", code], capture_output=True, text=True, check=False)
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["sambanova", "route"], done.stderr


def test_zsh_completes(place: Path, on_path: Path) -> None:
    pty = pytest.importorskip("pty")
    zsh = shell_of("zsh")
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "dumb", "PS1": "ready> ", "ZDOTDIR": str(place)}
    process = subprocess.Popen(
        [zsh, "-f", "-i"], stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True
    )
    os.close(theirs)
    try:
        setup = 'autoload -U compinit && compinit -u; eval "$(pointsman completion zsh)"; echo set-"up"\n'
        os.write(ours, setup.encode())
        assert "set-up" in read_until(ours, "set-up")
        os.write(ours, b"echo pointsman; pointsman keys set samb\t")
        assert "sambanova" in read_until(ours, "sambanova")
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def read_until(terminal: int, text: str, patience: float = 60) -> str:
    """What a terminal shows until `text` is there, or nothing comes any more."""
    import select

    shown, end = "", time.monotonic() + patience
    while text not in shown and (left := end - time.monotonic()) > 0:
        if select.select([terminal], [], [], left)[0]:
            shown += os.read(terminal, 10_000).decode(errors="replace")
    return shown

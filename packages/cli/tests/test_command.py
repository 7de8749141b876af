"""The command itself: what it costs to start, verbs that other packages bring, and what it says to a mistake."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from pointsman_cli.app import VERBS
from pointsman_cli.exits import Exit
from pointsman_testing import Answer, Vendor

Invoke = Callable[..., Result]

HEAVY = ["pydantic", "httpx2", "anyio", "asyncio", "rich", "pointsman", "pluggy", "logging", "pointsman_testing"]
MODULES = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))
from pointsman_cli.main import main
main()
"""


def modules(*args: str) -> set[str]:
    """What is imported in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", MODULES, *args], stdin=subprocess.DEVNULL, capture_output=True, check=True
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("args", [["--help"], ["--version"], *([verb, "--help"] for verb in VERBS)], ids=" ".join)
def test_help_imports_nothing_heavy(args: list[str]) -> None:
    assert modules(*args) & set(HEAVY) == set()


def test_chat_imports_what_it_needs(place: Path) -> None:
    """Neither Rich nor the lab nor a provider that is not asked."""
    loaded = modules("chat", "hi", "-m", "a/m1")
    assert "pointsman_openai" in loaded
    assert loaded & {"rich", "pointsman_testing", "pointsman_sambanova"} == set()


def test_chat_reads_the_metadata_of_packages_once(place: Path) -> None:
    code = f"""
import importlib.metadata as metadata
found, scans = metadata.entry_points, []
metadata.entry_points = lambda **how: scans.append(how) or found(**how)
import atexit, sys
atexit.register(lambda: print(len([how for how in scans if "pydantic" not in str(how)]), file=sys.stderr))
{MODULES.partition("atexit.register")[0]}
from pointsman_cli.main import main
main()
"""
    command = [sys.executable, "-c", code, "chat", "hi", "-m", "a/m1"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "1"


def test_help_lists_verbs_and_exit_codes(invoke: Invoke) -> None:
    done = invoke("--help")
    assert done.exit_code == 0
    words = " ".join(done.output.split())
    for verb, (line, _) in VERBS.items():
        assert f"{verb} {line}" in words
    for code in Exit:
        assert f"{code.value} {code.meaning}" in words


def test_version_names_every_part_of_a_bug_report(run: Any) -> None:
    done = run("--version")
    assert done.returncode == 0
    ours = f"pointsman {version('pointsman')} (pointsman-cli {version('pointsman-cli')}, Python 3."
    assert done.stdout.startswith(ours)


def test_script_is_the_module() -> None:
    pyproject = Path(__file__).parent.parent / "pyproject.toml"
    if not pyproject.exists():
        pytest.skip("the checkout is not here")
    scripts = tomllib.loads(pyproject.read_text())["project"]["scripts"]
    assert scripts == {"pointsman": "pointsman_cli.main:main"}


def test_no_verb_shows_help_and_is_wrong_usage(run: Any) -> None:
    done = run()
    assert done.returncode == 2
    assert "Usage: pointsman" in done.stdout + done.stderr


@pytest.mark.parametrize(("typo", "meant"), [("chta", "chat"), ("provider", "providers")])
def test_typo_is_answered_with_what_was_meant(invoke: Invoke, typo: str, meant: str) -> None:
    done = invoke(typo)
    assert done.exit_code == 2
    assert f"No such command '{typo}'. Did you mean '{meant}'?" in done.stderr


def test_shells_complete_verbs_without_importing_them(invoke: Invoke) -> None:
    env = {"_POINTSMAN_COMPLETE": "bash_complete", "COMP_WORDS": "pointsman p", "COMP_CWORD": "1"}
    code = "from pointsman_cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["plain,plugins", "plain,prices", "plain,providers"]


# Verbs of other packages --------------------------------------------------------------------------------------------

PLUGIN = """
from pointsman import CommandSpec, hookimpl
@hookimpl
def pointsman_commands():
    return [CommandSpec("greet", "Say hello.", "stranger_command:greet")]
"""
COMMAND = """
import click
from pointsman import RateLimited
@click.command()
@click.option("--fail", is_flag=True)
def greet(fail):
    "Say hello, at length."
    if fail:
        raise RateLimited("not so often")
    click.echo("hello")
"""
GREET = {"pointsman.commands": {"greet": "stranger_plugin"}}


def test_verb_of_another_package_runs(run: Any, nowhere: Path, stranger: Any) -> None:
    env = stranger(GREET, stranger_plugin=PLUGIN, stranger_command=COMMAND)
    done = run("greet", env=env)
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello\n", "")
    assert "Say hello, at length." in run("greet", "--help", env=env).stdout
    failed = run("greet", "--fail", env=env)
    assert failed.returncode == 5
    assert "-m" not in failed.stderr.split()  # Which it does not have.


ADVISING = """
import click
from pointsman import AuthFailed
@click.command()
@click.argument("how")
def greet(how):
    error = AuthFailed("who are you", provider="sambanova" if how == "provider" else None)
    if how == "note":
        error.add_note("next: knock twice")
        error.add_note("it was dark")
    raise error
"""


def test_verb_of_another_package_knows_what_to_do_next(run: Any, nowhere: Path, stranger: Any) -> None:
    env = {**stranger(GREET, stranger_plugin=PLUGIN, stranger_command=ADVISING), "SAMBANOVA_API_KEY": "sk-a-key-4711"}
    assert run("greet", "note", env=env).stderr == "Error: who are you\n  next:  knock twice\n  it was dark\n"


def test_error_of_a_provider_is_explained_with_its_settings_whoever_raises_it(
    run: Any, nowhere: Path, stranger: Any
) -> None:
    env = {**stranger(GREET, stranger_plugin=PLUGIN, stranger_command=ADVISING), "SAMBANOVA_API_KEY": "sk-a-key-4711"}
    said = run("greet", "provider", env=env).stderr
    assert "the key from environment SAMBANOVA_API_KEY is wrong" in said
    assert "sk-a-key" not in said


def test_verb_of_another_package_is_listed_without_importing_it(run: Any, nowhere: Path, stranger: Any) -> None:
    env = stranger(GREET, stranger_plugin="raise SystemExit('imported')")
    done = run("--help", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"Commands of other packages:\n(  .*\n)*  greet +from stranger 1\.2\n", done.stdout)


@pytest.mark.parametrize(
    ("plugin", "command", "says"),
    [
        ("import no_such_module", "", "no_such_module"),
        ("", "", "no hook"),
        (PLUGIN, "", "stranger_command:greet"),
        (PLUGIN, "1/0", "ZeroDivisionError"),
        (PLUGIN, "greet = 3", "no click command"),
        (PLUGIN.replace('"greet"', '"other"'), COMMAND, "greet"),
    ],
)
def test_broken_verb_hides_only_itself(
    run: Any, nowhere: Path, stranger: Any, plugin: str, command: str, says: str
) -> None:
    env = stranger(GREET, stranger_plugin=plugin, stranger_command=command)
    done = run("greet", env=env)
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert run("--help", env=env).returncode == 0


def test_verb_cannot_be_taken_over(run: Any, place: Path, stranger: Any, a: Vendor) -> None:
    env = stranger({"pointsman.commands": {"chat": "stranger_plugin"}}, stranger_plugin="1/0")
    a.script(Answer("Still me."))
    assert run("chat", "hi", env=env).stdout == "Still me.\n"
    assert "stranger" not in run("--help", env=env).stdout


def test_disabled_verb_is_not_imported(run: Any, nowhere: Path, stranger: Any) -> None:
    (nowhere / "pointsman.toml").write_text('[plugins]\ndisable = ["greet"]\n')
    done = run("greet", env=stranger(GREET, stranger_plugin="raise SystemExit('imported')"))
    assert done.returncode == 2
    assert "disabled by [plugins] disable" in done.stderr


def test_bug_is_called_a_bug(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(prompt: str | None) -> str:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("pointsman_cli.chat.command.read_prompt", fail)
    done = invoke("chat", "hi")
    assert done.exit_code == 1
    assert done.stderr.splitlines()[0] == "Error: ZeroDivisionError: division by zero"
    assert "--debug" in done.stderr

"""docs/cli.md shows the help of each verb as it is. Run this file to write it there anew."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pointsman_cli.app import VERBS, cli
from pointsman_cli.exits import Exit

DOCS = Path(__file__).parents[3] / "docs"
PAGE = DOCS / "cli.md"
NESTED = {
    "config": ["show", "get", "set", "unset", "edit", "path"],
    "costs": ["export", "purge"],
    "keys": ["set", "list", "rm", "test", "path"],
    "plugins": ["new"],
    "prices": ["show", "check", "update"],
    "providers": ["check"],
}
LINES = [[], *([verb] for verb in VERBS), *([verb, below] for verb, all_ in NESTED.items() for below in all_)]

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not here")


def help_of(line: list[str]) -> str:
    done = CliRunner().invoke(cli, [*line, "--help"], prog_name="pointsman", terminal_width=80)
    assert done.exit_code == 0, done.output
    # Verbs of other packages that happen to be installed are not ours to document.
    return re.sub(r"\nCommands of other packages:\n(  .*\n)+", "", done.stdout)


def block(line: list[str]) -> str:
    command = " ".join(["pointsman", *line, "--help"])
    return f"```text\n$ {command}\n{help_of(line)}```\n"


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_page_shows_the_help(line: list[str]) -> None:
    assert block(line) in PAGE.read_text("utf-8")


def test_page_shows_no_other_help() -> None:
    assert len(re.findall(r"^\$ pointsman .*--help$", PAGE.read_text("utf-8"), re.MULTILINE)) == len(LINES)


def test_nested_verbs_are_known() -> None:
    with click.Context(cli) as ctx:
        found = {verb: getattr(cli.get_command(ctx, verb), "commands", {}) for verb in VERBS}
    assert {verb: set(below) for verb, below in found.items() if below} == {v: set(all_) for v, all_ in NESTED.items()}


@pytest.mark.parametrize("line", [line for line in LINES if line and line != ["demo"]], ids=" ".join)
def test_every_help_shows_an_example(line: list[str]) -> None:
    assert re.search(rf"Examples?:[\s\S]*pointsman {line[0]}", help_of(line))


def test_page_lists_every_exit_code() -> None:
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    assert {int(code): meaning.strip() for code, meaning in rows} == {code.value: code.meaning for code in Exit}


def test_page_links_every_schema() -> None:
    names = {path.name for path in (DOCS / "schemas").glob("*.json")}
    assert set(re.findall(r"\(schemas/([\w-]+\.json)\)", PAGE.read_text("utf-8"))) == names
    for name in names:
        assert json.loads((DOCS / "schemas" / name).read_text("utf-8"))["$id"] == name


if __name__ == "__main__":
    page = PAGE.read_text("utf-8")
    for line in LINES:
        command = re.escape(" ".join(["$ pointsman", *line, "--help"]))
        page = re.sub(rf"```text\n{command}\n.*?```\n", block(line).replace("\\", r"\\"), page, flags=re.DOTALL)
    PAGE.write_text(page, "utf-8")

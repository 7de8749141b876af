"""The documentation says what is so: pages are compared with the code, and every example is run as a reader would.

Examples in Python find a lab server behind the provider that they use, by environment variables, as the tutorial says.
The blocks of a page are run in order in one fresh interpreter: a later one may use what an earlier one defined. One
that has a title is a file for somebody else's program, and is not run with them.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import runpy
import shutil
import socket
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import click
import pytest

import pointsman
from pointsman import errors, hookspecs
from pointsman.config.prices import PriceSettings
from pointsman.config.settings import Limit
from pointsman.cost import FLOOR_CHARACTERS_PER_TOKEN
from pointsman.engine.terms import OnBreak
from pointsman.ledger import DIMENSIONS
from pointsman.ledger.rows import COLUMNS
from pointsman.plugins import Kind, Plugins
from pointsman.pricebook import PriceLayer
from pointsman.telemetry import Outcome, Role
from pointsman_cli.app import cli
from pointsman_modal.deploy.plan import Plan
from pointsman_policy import TASKS
from pointsman_testing.mishaps import MISHAPS

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "packages/*/README.md", "examples/*/README.md")
    for path in ROOT.glob(pattern)
)
FENCE = re.compile(r"^( *)```(\w*)([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)

RUN = """
import ast, asyncio, json, sys
page, blocks = json.load(sys.stdin)
with asyncio.Runner() as runner:
    for line, source in blocks:
        code = compile("\\n" * line + source, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        waiting = eval(code, globals())
        if waiting is not None:
            async def wait():
                await waiting
            runner.run(wait())
"""


def text(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def blocks(page: str, language: str, title: str = "") -> list[tuple[int, str]]:
    """The fenced blocks in `language` with that title, each with the number of lines before its first."""
    return [
        (text(page).count("\n", 0, found.start(4)), textwrap.dedent(found[4]))
        for found in FENCE.finditer(text(page))
        if (found[2], found[3].strip()) == (language, title and f'title="{title}"')
    ]


def pages_with(language: str) -> list[str]:
    return [page for page in PAGES if blocks(page, language)]


def table(page: str, first: str) -> list[list[str]]:
    """The rows of the tables whose first column is called `first`, without backticks."""
    rows: list[list[str]] = []
    inside = False
    for line in text(page).splitlines():
        cells = [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        inside = line.startswith("|") and (inside or cells[0] == first.strip("`"))
        if inside and cells[0] != first.strip("`") and not set(line) <= set("|- "):
            rows.append(cells)
    return rows


@pytest.fixture(scope="module")
def labs() -> Iterator[dict[str, str]]:
    """What points providers at lab servers, each in a process of its own."""
    with ExitStack() as stack:
        addresses: list[str] = []
        for vendor in ("lab", "ollama", "hf"):
            command = [sys.executable, "-m", "pointsman_testing", "--vendor", vendor, "--speed", "1000"]
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            stack.callback(process.terminate)
            assert process.stdout is not None
            addresses.append(process.stdout.readline().strip())
        yield {
            "POINTSMAN_SAMBANOVA_BASE_URL": addresses[0],
            "POINTSMAN_SAMBANOVA_API_KEY": "lab-key",
            "POINTSMAN_OLLAMA_BASE_URL": addresses[1],
            "POINTSMAN_HF_BASE_URL": addresses[2],
            "POINTSMAN_HF_API_KEY": "lab-key",
        }


@pytest.mark.parametrize("page", pages_with("python"))
def test_python_examples_run(page: str, labs: dict[str, str], tmp_path: Path) -> None:
    env = {**os.environ, **labs, "PYTHONWARNINGS": "error"}
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        input=json.dumps([page, blocks(page, "python")]),
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    assert done.stdout or not any("print(" in source for _, source in blocks(page, "python"))


@pytest.mark.parametrize("page", pages_with("toml"))
def test_toml_examples_are_settings_or_a_manifest(page: str) -> None:
    """`Settings` refuses names that it does not know."""
    for _, source in blocks(page, "toml"):
        document = tomllib.loads(source)
        if "project" in document:
            groups = {name for name in document["project"]["entry-points"] if name.startswith("pointsman.")}
            assert groups <= set(Kind)
        else:
            settings = pointsman.Settings.of(document)
            assert all([settings.engine, settings.routing, settings.plugins])
            assert all(settings.limits.values())
            assert all(settings.prices.values())
            found = Plugins.installed()
            if "policy" in document and settings.routing.policy in (None, *found.names(Kind.POLICY)):
                assert found.policy(settings.routing.policy, settings)


def commands() -> dict[str, set[str]]:
    """Every verb of `pointsman` in a shell example, and every one below it, with the options that it is shown with."""
    found: dict[str, set[str]] = {}
    for page in pages_with("sh"):
        for _, source in blocks(page, "sh"):
            for verb, rest in re.findall(r"^(?:.*uv run )?pointsman (\w+)([^#|\n]*)", source, re.MULTILINE):
                below = getattr(cli.get_command(click.Context(cli), verb), "commands", {})
                line = " ".join([verb, *(word for word in rest.split()[:1] if word in below)])
                found.setdefault(line, set()).update(re.findall(r"(?<= )--?\w[\w-]*", rest))
    return found


@pytest.mark.parametrize(("line", "options"), sorted(commands().items()))
def test_shell_examples_are_understood(line: str, options: set[str]) -> None:
    command = [sys.executable, "-m", "pointsman_cli", *line.split(), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert options <= set(re.findall(r"--?\w[\w-]*", done.stdout))


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Within the repository; the site's build checks its own pages again, with their headings."""
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", FENCE.sub("", text(page)))
    assert [link for link in links if ":" not in link and not (ROOT / page).parent.joinpath(link).exists()] == []


def test_hooks_page_lists_every_entry_point_group() -> None:
    assert {row[0] for row in table("docs/hooks.md", "group")} == set(Kind)


def test_hooks_page_has_a_heading_for_each_hook() -> None:
    """With its arguments and what it answers, as `pointsman.hookspecs` has them."""
    hooks = {
        f"`{name}{str(inspect.signature(hook)).replace(chr(39), '')}`"
        for name, hook in vars(hookspecs).items()
        if hasattr(hook, "pointsman_spec")
    }
    assert set(re.findall(r"^### (.+)$", text("docs/hooks.md"), re.MULTILINE)) == hooks


def test_pages_that_use_the_command_install_it() -> None:
    for page in (page for page in PAGES if "provider" in page and re.search("^pointsman ", text(page), re.MULTILINE)):
        assert re.search(r"pip install .*\bpointsman-cli\b", text(page)), page


def test_settings_for_modal_are_those_of_a_deployment() -> None:
    ((_, source),) = blocks("docs/providers/modal.md", "toml")
    deployed = Plan().provider_settings()
    shown = tomllib.loads(source)["providers"]["modal"]
    assert shown == {name: deployed[name] for name in shown}


def tree(parent: type[errors.PointsmanError]) -> Iterator[type[errors.PointsmanError]]:
    for child in parent.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from tree(child)


def test_errors_page_has_a_row_for_each_error() -> None:
    assert table("docs/errors.md", "error") == [
        [
            error.__name__,
            error.__bases__[0].__name__,
            error.scope.name.lower(),
            *("yes" if fact else "no" for fact in (error.retryable, error.trips, error.begun)),
        ]
        for error in tree(errors.PointsmanError)
    ]


def test_errors_module_draws_its_own_tree() -> None:
    drawn = re.findall(r"[├└] (\w+)", errors.__doc__ or "")
    assert drawn == [error.__name__ for error in tree(errors.PointsmanError)]


@pytest.mark.parametrize("section", ["engine", "routing", "plugins", "ledger"])
def test_configuration_page_lists_every_setting(section: str) -> None:
    model = type(getattr(pointsman.Settings.of({}), section))
    chapter = text("docs/configuration.md").partition(f"### `[{section}]`")[2].partition("\n##")[0]
    assert re.findall(r"^\| `(\w+)` \|", chapter, re.MULTILINE) == list(model.model_fields)


def test_routing_page_lists_every_setting_task_and_policy() -> None:
    model = Plugins.installed().policy_settings("scored")
    assert model is not None
    assert [row[0] for row in table("docs/routing.md", "setting")] == list(model.model_fields)
    assert [row[0] for row in table("docs/routing.md", "task")] == list(TASKS)
    assert {row[0] for row in table("docs/routing.md", "policy")} == set(Plugins.installed().names(Kind.POLICY))


def test_engine_page_shows_the_states_as_the_code_has_them() -> None:
    page = text("docs/engine.md")
    assert runpy.run_path(str(ROOT / ".ci/diagrams.py"))["written"](page) == page, "run .ci/diagrams.py"


def test_engine_page_lists_roles_and_outcomes() -> None:
    assert [row[0] for row in table("docs/engine.md", "role")] == list(get_args(Role))
    assert {row[0] for row in table("docs/engine.md", "outcome")} == set(get_args(Outcome))


def test_configuration_page_lists_every_limit() -> None:
    chapter = text("docs/configuration.md").partition("### `[limits.")[2].partition("\n##")[0]
    assert re.findall(r"^\| `(\w+)` \|", chapter, re.MULTILINE) == list(Limit.model_fields)


def test_prices_page_lists_every_setting_and_every_layer() -> None:
    assert [row[0] for row in table("docs/prices.md", "setting")] == list(PriceSettings.model_fields)
    assert [row[1] for row in table("docs/prices.md", "place") if row[1]] == list(get_args(PriceLayer))
    chapter = text("docs/configuration.md").partition("### `[prices.")[2].partition("\n##")[0]
    assert all(f"`{name}`" in chapter for name in PriceSettings.model_fields)


def test_ledger_page_lists_every_column() -> None:
    assert [row[0] for row in table("docs/ledger.md", "column of a call")] == list(COLUMNS["calls"])
    assert [row[0] for row in table("docs/ledger.md", "column of an attempt")] == list(COLUMNS["attempts"])
    assert all(f"`{dimension}`" in text("docs/ledger.md") for dimension in (*DIMENSIONS, "tag:NAME"))


def test_hooks_page_lists_what_a_request_asks_and_an_answer_says() -> None:
    page = "docs/hooks.md"
    [others] = re.findall(r"^The rest is for policies and the engine: (.*)\.$", text(page), re.MULTILINE)
    sampled = pointsman.ChatRequest(
        messages=(), max_tokens=1, temperature=1, top_p=1, stop=("x",), seed=1, reasoning_effort="low"
    ).sampling
    asked = [row[0] for row in table(page, "of the request")]
    assert {*asked, *sampled, *re.findall(r"`(\w+)`", others)} == {"sampling", *names(pointsman.ChatRequest)}
    assert all(f"`{name}`" in text(page) for name in sampled)
    assert [row[0] for row in table(page, "of a message")] == names(pointsman.Message)
    assert [row[0] for row in table(page, "of a candidate")] == names(pointsman.Candidate)
    assert [row[0] for row in table(page, "of what was measured")] == names(pointsman.Measured)
    assert [row[0] for row in table(page, "of a decision")] == names(pointsman.Decision)
    said = "\n".join(" ".join(row) for first in ("of a candidate", "of a decision") for row in table(page, first))
    assert all(f"`{name}`" in said for kind in (pointsman.History, pointsman.Strengths) for name in names(kind))
    assert all(f"{kind.__name__}({', '.join(names(kind))})" in said for kind in (pointsman.Score, pointsman.Term))
    for shape, *_ in table(page, "returned"):
        name, _, shown = shape.rstrip(")").partition("(")
        assert shown.split(", ") == list(inspect.signature(getattr(pointsman, name)).parameters)
    for event, *_ in table(page, "event"):
        name, _, shown = event.rstrip(")").partition("(")
        assert shown.split(", ") == names(getattr(pointsman, name))[: shown.count(",") + 1]


def names(kind: type[Any]) -> list[str]:
    return [field.name for field in fields(kind)]


def test_readme_of_the_lab_lists_its_faults() -> None:
    assert dict(table("packages/testing/README.md", "--fault")) == dict(MISHAPS)


def test_usage_page_lists_the_fields_of_usage_and_how_it_is_estimated() -> None:
    rows = table("docs/usage.md", "part")
    assert [row[0] for row in rows] == [field.name for field in fields(pointsman.Usage)]
    assert FLOOR_CHARACTERS_PER_TOKEN == 8
    assert "one token for eight characters" in (ROOT / "docs/usage.md").read_text(encoding="utf-8")


def test_concepts_page_lists_the_fields_of_an_attempt() -> None:
    rows = table("docs/concepts.md", "field")
    assert [row[0] for row in rows] == [field.name for field in fields(pointsman.AttemptRecord)]
    for name, words in (("outcome", get_args(Outcome)), ("role", get_args(Role))):
        (said,) = [row[1] for row in rows if row[0] == name]
        assert all(f"`{word}" in said for word in words)


@pytest.mark.skipif(sys.platform == "win32", reason="the commands are for a POSIX shell")
def test_tutorial_fails_over_as_it_says(tmp_path: Path) -> None:
    """Its commands in their order, on ports that are free, and no faster than servers come and go."""
    bash, chapter = shutil.which("bash"), text("docs/tutorial.md").partition("## See it fail over")[2]
    found = [(kind, source) for _, kind, _, source in FENCE.findall(chapter.partition("\n## ")[0])]
    shown = [source for kind, source in found if kind == "text"]
    if bash is None or shutil.which("jq") is None:
        pytest.skip("bash or jq is missing")
    script, ports = "set -m\ntrap 'kill $(jobs -p) 2>/dev/null' EXIT\n", dict[str, str]()
    for port in ("8001", "8002"):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports[port] = str(free.getsockname()[1])
    for kind, source in found:
        for port in ports:
            source = source.replace(port, ports[port])
        if kind == "toml":
            (tmp_path / "pointsman.toml").write_text(source)
        elif kind == "sh":
            script += re.sub(r"^(kill (.*))$", r"\1; wait \2 2>/dev/null", source, flags=re.MULTILINE)
            for port in re.findall(r"--port (\d+)", source):
                there = f"(: < /dev/tcp/127.0.0.1/{port}) 2>/dev/null"
                script += f"for _ in {{1..300}}; do {there} && break; sleep 0.1; done\n"
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [bash, "-c", script],
        env=env,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    heard = done.stdout.replace(ports["8001"], "8001")
    assert shown[0] in heard
    assert heard.count("The first server answers.") == 1
    assert "Error: one/any: the connection was lost" in heard
    assert "→ two/any answers\nThe second server answers.\n[" in heard
    assert heard.count('"role": "failover"') == 1


def test_concepts_page_says_what_on_break_may_be() -> None:
    assert {row[0].strip('"') for row in table("docs/concepts.md", "on_break")} == set(get_args(OnBreak))

"""`pointsman plugins new` writes packages that work. Run this file to take their templates from examples/ anew."""

from __future__ import annotations

import ast
import errno
import json
import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from pointsman_cli.plugins import new, rendering
from pointsman_cli.plugins.new import KINDS, OURS
from pointsman_cli.plugins.rendering import LONGEST, WORDS, rendered

Invoke = Callable[..., Result]

CHECKOUT = Path(__file__).parents[3]
TEMPLATES = Path(rendering.__file__).parent / "templates"
EXAMPLES = {
    template: CHECKOUT / "examples" / f"pointsman-{WORDS[template]}" for template in ("provider", "policy", "wrapper")
}
"""Template -> the example that it is. Of the one on the OpenAI dialect there is none."""

in_a_checkout = pytest.mark.skipif(not (CHECKOUT / "examples").exists(), reason="the examples are not here")


def own(example: Path) -> list[str]:
    """The files of an example that belong to it, and not to what is copied."""
    return ["LICENSE", f"tests/test_{example.name.removeprefix('pointsman-')}.py"]


def files(example: Path) -> dict[str, str]:
    """What of an example is to be copied: path -> text."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=example, capture_output=True, text=True, check=True).stdout.split()
    return {name: (example / name).read_text("utf-8") for name in sorted(listed) if name not in own(example)}


@in_a_checkout
@pytest.mark.parametrize("template", EXAMPLES)
def test_an_example_is_what_its_template_says(template: str) -> None:
    """Where they differ, the example is right: run this file, and its template says the same."""
    assert rendered(template, WORDS[template]) == files(EXAMPLES[template])


@pytest.mark.parametrize("template", KINDS)
def test_the_package_is_written(invoke: Invoke, nowhere: Path, template: str) -> None:
    done = invoke("plugins", "new", "my-thing", "--kind", template)
    assert done.exit_code == 0, done.output
    package = Path("pointsman-my-thing")
    there = sorted(path.as_posix() for path in package.rglob("*") if path.is_file())
    assert sorted(done.stdout.split()) == there
    assert {f"{package}/src/pointsman_my_thing/{name}" for name in ("__init__.py", "py.typed")} <= set(there)
    project = tomllib.loads((package / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["name"] == "pointsman-my-thing"
    assert project["entry-points"] == {KINDS[template].value: {"my-thing": "pointsman_my_thing"}}
    assert not [path for path in there if re.search(WORDS[template], Path(path).read_text("utf-8"), re.IGNORECASE)]
    assert "cd pointsman-my-thing\n" in done.stderr
    assert done.stderr.index("pip install -e") < done.stderr.index("pytest\n")


def test_a_script_is_told_what_was_written(invoke: Invoke, nowhere: Path, valid: Any) -> None:
    (nowhere / "at home").mkdir()
    done = invoke("plugins", "new", "my-thing", "--kind", "openai", "--dir", "at home", "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    valid("new-plugin.json", found)
    assert (found["package"], found["kind"]) == ("pointsman-my-thing", "provider")
    assert Path(found["folder"]) == nowhere / "at home" / "pointsman-my-thing"
    assert all((Path(found["folder"]) / name).is_file() for name in found["files"])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "'' is no name for a plugin"),
        ("Acme", "Try acme"),
        ("my_vendor", "Try my-vendor"),
        ("my vendor!", "Try my-vendor"),
        ("-x", "No such option"),
        ("3d", "Try d"),
        ("a--b", "Try a-b"),
        ("münchen", "Try munchen"),
        ("日本", "'日本' is no name for a plugin"),
        ("../x", "Try x"),
        ("a" * (LONGEST + 1), f"at most {LONGEST}"),
        ("pointsman-acme", "leave out"),
        ("Pointsman_acme", "leave out"),
        ("engine", "[engine] is a section of the settings"),
        ("telemetry", "pointsman-telemetry is a package of Pointsman itself"),
        ("openai-compatible", "is installed, by pointsman-openai 0.1.0"),
    ],
)
def test_a_name_that_would_not_work_is_refused(invoke: Invoke, nowhere: Path, name: str, said: str) -> None:
    done = invoke("plugins", "new", name)
    assert done.exit_code == 2
    assert said in done.stderr
    assert not list(nowhere.iterdir())


@pytest.mark.parametrize("name", ["class", "json", "test", "x", "a1-b2", "a" * LONGEST])
def test_a_name_that_python_has_too_is_none_the_worse(name: str) -> None:
    """The module's begins with ``pointsman_``."""
    assert new.why_not(name) is None


@pytest.mark.parametrize("template", KINDS)
def test_a_name_that_the_plugin_imports_is_none_the_worse(template: str) -> None:
    """`Decision` is imported, so the class of the policy ``decision`` is called otherwise."""
    module = f"src/pointsman_{WORDS[template]}/__init__.py"
    plain = ast.parse(rendered(template, WORDS[template])[module])
    imported = {one.name for node in plain.body if isinstance(node, ast.Import | ast.ImportFrom) for one in node.names}
    for name in imported:
        kebab = re.sub("(?<=[a-z])(?=[A-Z])", "-", name).lower()
        tree = ast.parse(rendered(template, kebab)[f"src/pointsman_{kebab.replace('-', '_')}/__init__.py"])
        assert name not in {node.name for node in tree.body if isinstance(node, ast.ClassDef)}


@in_a_checkout
def test_names_of_our_packages_are_refused() -> None:
    named = (tomllib.loads(path.read_text()) for path in CHECKOUT.glob("packages/*/pyproject.toml"))
    assert {one["project"]["name"].removeprefix("pointsman-") for one in named} <= {*OURS, "pointsman"}


def test_what_is_there_is_not_overwritten(invoke: Invoke, nowhere: Path) -> None:
    package = nowhere / "pointsman-my-thing"
    package.mkdir()
    for name in ("a", "b", "c", "d"):
        (package / name).write_text("mine")
    done = invoke("plugins", "new", "my-thing")
    assert done.exit_code == 2
    assert "pointsman-my-thing exists and holds a, b, c and 1 more: nothing was written" in done.stderr
    assert sorted(path.name for path in package.iterdir()) == ["a", "b", "c", "d"]
    (nowhere / "pointsman-a-file").write_text("mine")
    done = invoke("plugins", "new", "a-file")
    assert "pointsman-a-file exists and is no folder" in done.stderr
    (nowhere / "pointsman-empty").mkdir()
    assert invoke("plugins", "new", "empty").exit_code == 0


def test_half_a_package_is_told_as_such(invoke: Invoke, nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **named: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    done = invoke("plugins", "new", "my-thing")
    assert done.exit_code == 1
    assert (
        "pointsman-my-thing cannot be written: [Errno 28] No space left on device. Remove what is there" in done.stderr
    )


def test_a_folder_that_is_not_there_is_not_made(invoke: Invoke, nowhere: Path) -> None:
    done = invoke("plugins", "new", "my-thing", "--dir", "elsewhere")
    assert done.exit_code == 2
    assert not list(nowhere.iterdir())


def test_json_stands_after_new(invoke: Invoke, nowhere: Path) -> None:
    done = invoke("plugins", "--json", "new", "my-thing")
    assert (done.exit_code, list(nowhere.iterdir())) == (2, [])
    assert "--json stands after new" in done.stderr


@pytest.mark.parametrize("template", KINDS)
def test_the_package_passes_its_kit_as_it_is_written(package: Any, template: str) -> None:
    """Found by its entry point, with the settings that it brings."""
    done = package(template, "my-thing").test()
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^\d+ passed", done.stdout.splitlines()[-1]), done.stdout


def copy_examples() -> None:
    """Make each template of its example what the example is."""
    for template, example in EXAMPLES.items():
        for place in sorted(path for path in (TEMPLATES / template).rglob("*.txt")):
            place.unlink()
        for path, text in files(example).items():
            place = TEMPLATES / template / f"{path}.txt"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, "utf-8", newline="\n")


if __name__ == "__main__":
    copy_examples()

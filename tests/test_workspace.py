"""Every package is whole, and the workspace knows it. A package joins by existing; these tests say what it lacks."""

from __future__ import annotations

import configparser
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint, distribution
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
WORKSPACE = tomllib.loads((ROOT / "pyproject.toml").read_text())
FOLDERS = {path.parent.name: path.parent for path in sorted(ROOT.glob("packages/*/pyproject.toml"))}
CORE_RANGE = "pointsman>=0.1,<0.2"


def project(folder: str) -> dict[str, Any]:
    """What the package says of itself."""
    return tomllib.loads((FOLDERS[folder] / "pyproject.toml").read_text())


def entry_points(folder: str) -> list[EntryPoint]:
    table = project(folder)["project"]
    groups = {**table.get("entry-points", {}), "console_scripts": table.get("scripts", {})}
    return [EntryPoint(name, value, group) for group, entries in groups.items() for name, value in entries.items()]


every_package = pytest.mark.parametrize("folder", FOLDERS)


def test_files_pass_the_checks_of_the_lint_session() -> None:
    """Complete packages, modules within the cap, no lock file, no index named."""
    done = subprocess.run([sys.executable, ROOT / ".ci/check_files.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@every_package
def test_package_describes_itself(folder: str) -> None:
    table = project(folder)["project"]
    assert table["version"] == distribution(table["name"]).version
    assert table["description"].endswith(".")
    assert table["readme"] == "README.md"
    assert table["license"] == "Apache-2.0"
    assert table["requires-python"] == f">={WORKSPACE['tool']['mypy']['python_version']}"
    assert "Typing :: Typed" in table["classifiers"]


@every_package
def test_changelog_has_a_section_for_the_version(folder: str) -> None:
    version = project(folder)["project"]["version"]
    assert f"\n## {version} " in (FOLDERS[folder] / "CHANGELOG.md").read_text()


@every_package
def test_package_asks_for_one_range_of_core(folder: str) -> None:
    """A range, never a pin, so that a fix in core reaches everyone; the minor version is the contract until 1.0."""
    ours = [line for line in project(folder)["project"]["dependencies"] if line.startswith("pointsman")]
    assert [line for line in ours if line.startswith("pointsman>")] == ([] if folder == "core" else [CORE_RANGE])
    assert all(line.endswith(CORE_RANGE.removeprefix("pointsman")) for line in ours)


@pytest.mark.parametrize(
    "entry_point", [one for folder in FOLDERS for one in entry_points(folder)], ids=lambda one: one.name
)
def test_entry_point_loads(entry_point: EntryPoint) -> None:
    assert entry_point.load() is not None


def test_workspace_installs_every_package() -> None:
    names = {project(folder)["project"]["name"] for folder in FOLDERS}
    assert set(WORKSPACE["project"]["dependencies"]) == names
    assert set(WORKSPACE["tool"]["uv"]["sources"]) == names


@every_package
def test_workspace_tests_with_what_the_package_tests_with(folder: str) -> None:
    """`uv run pytest` runs the tests of all packages, so its group holds what each of theirs does."""
    there = {line for line in WORKSPACE["dependency-groups"]["test"] if isinstance(line, str)}
    there |= {f"{ours}>=0.1,<0.2" for ours in WORKSPACE["project"]["dependencies"]}
    for one in FOLDERS:
        there.update(project(one)["project"]["dependencies"])
    assert set(project(folder).get("dependency-groups", {}).get("test", [])) <= there


def test_import_contracts_cover_every_package() -> None:
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    modules = {path.parent.name for folder in FOLDERS.values() for path in folder.glob("src/*/__init__.py")}
    assert set(contracts["importlinter"]["root_packages"].split()) == modules
    layers = contracts["importlinter:contract:packages"]["layers"].replace("|", " ").split()
    assert set(layers) == modules


@every_package
def test_readme_lists_the_package(folder: str) -> None:
    name = project(folder)["project"]["name"]
    assert f"| [`{name}`](packages/{folder}) |" in (ROOT / "README.md").read_text()

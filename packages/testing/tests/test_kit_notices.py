"""The kit's right test goes red for a dozen of the bugs in `mutants.toml`; `nox -s mutants` tries all of them."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

LIST = Path(__file__).with_name("mutants.toml")
ACME = Path(__file__).parents[3] / "examples/pointsman-acme"
SOURCE = ACME / "src/pointsman_acme/__init__.py"
TESTS = """
import importlib
import runpy

import pytest

TestAcme = runpy.run_path({conformance!r})["TestAcme"]


class Broken(TestAcme):
    @pytest.fixture
    def found(self):
        plugin = importlib.import_module(type(self).__name__.lower())
        return plugin.pointsman_providers()[0], plugin


del TestAcme
"""

pytestmark = pytest.mark.skipif(not SOURCE.exists(), reason="the examples are not here")


def planted(source: str, bug: dict[str, Any]) -> str:
    """The source with the bug, which is one change or several."""
    changes = [(bug["old"], bug["new"])] if isinstance(bug["old"], str) else zip(bug["old"], bug["new"], strict=True)
    for old, new in changes:
        assert source.count(old) == 1, (bug["bug"], old)
        source = source.replace(old, new)
    return source


def test_the_right_test_goes_red(tmp_path: Path) -> None:
    """All bugs in one process, each in a copy of Acme with a class of its own; the first copy has none."""
    [listed] = [file for file in tomllib.loads(LIST.read_text("utf-8"))["file"] if SOURCE.match(file["path"])]
    bugs = [bug for bug in listed["mutants"] if bug.get("quick")]
    wanted = {bug["caught_by"] for bug in bugs}
    source = SOURCE.read_text("utf-8")
    classes = [TESTS.format(conformance=str(ACME / "tests/test_conformance.py"))]
    chosen = [f"TestSound::{name}" for name in sorted(wanted)]
    (tmp_path / "testsound.py").write_text(source, "utf-8")
    classes += ["class TestSound(Broken): ..."]
    for number, bug in enumerate(bugs):
        (tmp_path / f"testbroken{number}.py").write_text(planted(source, bug), "utf-8")
        classes += [f"class TestBroken{number}(Broken): ..."]
        chosen += [f"TestBroken{number}::{bug['caught_by']}"]
    (tmp_path / "test_all.py").write_text("\n".join(classes), "utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")

    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=told.xml"]
    ran = subprocess.run(
        [*command, *(f"test_all.py::{one}" for one in chosen)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    cases = list(ElementTree.parse(tmp_path / "told.xml").iter("testcase"))
    names = {(str(case.get("classname")).rpartition(".")[2], str(case.get("name")).partition("[")[0]) for case in cases}
    red = {
        (str(case.get("classname")).rpartition(".")[2], str(case.get("name")).partition("[")[0])
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    }
    assert len(names) == len(chosen), ran.stdout
    assert [name for tests, name in red if tests == "TestSound"] == [], ran.stdout
    assert [bug["bug"] for number, bug in enumerate(bugs) if (f"TestBroken{number}", bug["caught_by"]) not in red] == []
    assert len(bugs) >= 12

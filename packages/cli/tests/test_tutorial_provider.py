"""docs/tutorial-provider.md shows what `pointsman plugins new acme` writes, and what the kit says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pointsman_cli.plugins.rendering import rendered

PAGE = Path(__file__).parents[3] / "docs" / "tutorial-provider.md"

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not here")


def blocks(language: str) -> list[tuple[str, str]]:
    """Title and text of the fenced blocks in a language."""
    fence = re.compile(rf'^```{language}(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
    return [(found[1] or "", found[2]) for found in fence.finditer(PAGE.read_text("utf-8"))]


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("pyproject.toml", "toml"),
        ("src/pointsman_acme/__init__.py", "python"),
        ("tests/test_conformance.py", "python"),
    ],
)
def test_its_blocks_are_the_file(path: str, language: str) -> None:
    """One after the other, and all of it."""
    rest = rendered("provider", "acme")[path]
    for part in [text for title, text in blocks(language) if title == path]:
        rest = rest.lstrip("\n")
        assert rest.startswith(part), f"the page shows\n{part}\nand the file goes on with\n{rest[: len(part)]}"
        rest = rest[len(part) :]
    assert not rest.strip(), f"the page does not show\n{rest}"


def test_every_file_is_shown_or_made() -> None:
    page = PAGE.read_text("utf-8")
    assert [path for path in rendered("provider", "acme") if path not in page] == []


def test_a_failure_says_what_the_page_says(package: Any) -> None:
    """The change that the page proposes, and the test that it names."""
    [(_, change)] = blocks("diff")
    old, new = (re.findall(rf"^{re.escape(sign)}(.*)$", change, re.MULTILINE)[0] for sign in "-+")
    [said] = [text for _, text in blocks("text") if text.startswith("E ")]
    [sentence] = re.findall(r"^E +AssertionError: (.*)$", said, re.MULTILINE)
    [test] = re.findall(r"^FAILED tests/test_conformance.py::(\S+)$", said, re.MULTILINE)
    written = package("provider", "acme")
    module = written.folder / "src" / "pointsman_acme" / "__init__.py"
    source = module.read_text("utf-8")
    assert source.count(old) == 1
    module.write_text(source.replace(old, new), "utf-8")
    done = written.test(f"tests/test_conformance.py::{test}")
    assert done.returncode == 1, done.stdout + done.stderr
    assert sentence in done.stdout
    assert f"::{test}" in done.stdout

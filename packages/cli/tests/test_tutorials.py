"""The tutorials about plugins show what `pointsman plugins new` writes, and what the kit says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pointsman_cli.plugins.rendering import WORDS, rendered

DOCS = Path(__file__).parents[3] / "docs"
PROVIDER, POLICY = DOCS / "tutorial-provider.md", DOCS / "tutorial-policy.md"

pytestmark = pytest.mark.skipif(not PROVIDER.exists(), reason="the documentation is not here")


def blocks(language: str, page: Path = PROVIDER) -> list[tuple[str, str]]:
    """Title and text of the fenced blocks in a language."""
    fence = re.compile(rf'^```{language}(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
    return [(found[1] or "", found[2]) for found in fence.finditer(page.read_text("utf-8"))]


@pytest.mark.parametrize(
    ("page", "template", "path", "language"),
    [
        (PROVIDER, "provider", "pyproject.toml", "toml"),
        (PROVIDER, "provider", "src/pointsman_acme/__init__.py", "python"),
        (PROVIDER, "provider", "tests/test_conformance.py", "python"),
        (POLICY, "policy", "src/pointsman_cheapest/__init__.py", "python"),
        (POLICY, "policy", "tests/test_conformance.py", "python"),
    ],
)
def test_its_blocks_are_the_file(page: Path, template: str, path: str, language: str) -> None:
    """One after the other, and all of it."""
    rest = rendered(template, WORDS[template])[path]
    for part in [text for title, text in blocks(language, page) if title == path]:
        rest = rest.lstrip("\n")
        assert rest.startswith(part), f"the page shows\n{part}\nand the file goes on with\n{rest[: len(part)]}"
        rest = rest[len(part) :]
    assert not rest.strip(), f"the page does not show\n{rest}"


def test_every_file_is_shown_or_made() -> None:
    page = PROVIDER.read_text("utf-8")
    assert [path for path in rendered("provider", "acme") if path not in page] == []


def test_what_is_shown_of_a_manifest_stands_in_it() -> None:
    [shown] = [text for title, text in blocks("toml", POLICY) if title == "pyproject.toml"]
    assert shown in rendered("policy", "cheapest")["pyproject.toml"]


def test_a_policy_is_a_few_lines() -> None:
    """The first is whole, imports and hook included; of the second its settings and its ranking are."""
    [first, *_] = [text for title, text in blocks("python", POLICY) if not title]
    assert sum(bool(line.strip()) for line in first.splitlines()) <= 25
    source = rendered("policy", "cheapest")["src/pointsman_cheapest/__init__.py"]
    own = source.partition("class CheapestPolicy:")[2].partition("@pm.hookimpl")[0]
    code = re.sub(r'^ *"""[^"]*"""$', "", own, flags=re.MULTILINE)
    assert sum(bool(line.strip()) for line in code.splitlines()) <= 30


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

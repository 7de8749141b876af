"""Every example in the README runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pointsman_testing.kit import ProviderConformance

README = Path(__file__).parents[1] / "README.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


@pytest.mark.parametrize("code", EXAMPLES)
def test_example_runs(code: str) -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 7  # A page that lost its examples would pass every other test.


def test_every_variable_of_the_kit_is_listed() -> None:
    table = README.read_text("utf-8").partition("| variable |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \| ", table, re.MULTILINE)
    known = [
        name
        for base in ProviderConformance.__mro__
        for name, kind in vars(base).get("__annotations__", {}).items()
        if str(kind).startswith("ClassVar") and name != "pytestmark"
    ]
    assert sorted(rows) == sorted(known)

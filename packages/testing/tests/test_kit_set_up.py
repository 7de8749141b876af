"""A conformance class that is not filled in says so in one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CLASSES = {
    "nothing": ("", "names no provider"),
    "a misspelt name": ('provider, model = "openai-compatibel", "any"', "did you mean 'openai-compatible'?"),
    "no model": ('provider = "openai-compatible"', "names no model"),
    "a class for a dialect": (
        'provider, model, dialect = "openai-compatible", "any", SimpleApi',
        "make one, SimpleApi()",
    ),
    "no events": ('provider, model, dialect = "openai-compatible", "any", SimpleApi()', "has no events()"),
}


@pytest.mark.parametrize("what", CLASSES)
def test_what_is_missing_is_said_in_a_sentence(tmp_path: Path, what: str) -> None:
    pytest.importorskip("pointsman_openai")
    body, sentence = CLASSES[what]
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_it.py").write_text(
        "from pointsman_testing import SimpleApi\n"
        "from pointsman_testing.kit import ProviderConformance\n"
        f"class TestIt(ProviderConformance):\n    {body or '...'}\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "one_question or is_light"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert sentence in ran.stdout
    assert "Traceback" not in ran.stdout
    assert len(ran.stdout.splitlines()) < 30


def test_a_dialect_that_raises_is_told_and_nothing_hangs(tmp_path: Path) -> None:
    pytest.importorskip("pointsman_openai")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_it.py").write_text(
        "from pointsman_testing import SimpleApi\n"
        "from pointsman_testing.kit import ProviderConformance\n"
        "class Broken(SimpleApi):\n"
        "    prefix, path = '/v1', '/chat/completions'\n"
        "    def events(self, answer, request):\n"
        "        return 1 / 0\n"
        "class TestIt(ProviderConformance):\n"
        "    provider, model, dialect = 'openai-compatible', 'any', Broken()\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "one_question"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert "Broken raised ZeroDivisionError" in ran.stdout
    assert "2 failed, " in ran.stdout
    assert "2 errors" in ran.stdout

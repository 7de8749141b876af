"""Importing a plugin on this dialect is cheap: the HTTP library and the JSON decoder wait for the first open."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

IMPORT = "import json, sys, pointsman_openai.compatible; print(json.dumps(list(sys.modules)))"


def test_a_plugin_imports_little() -> None:
    """How long that takes, `benchmarks/overhead.py` measures."""
    done = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, check=True)
    modules = set(json.loads(done.stdout))
    assert "pydantic" in modules
    assert not {"httpx2", "msgspec", "anyio", "h11", "ssl", "asyncio", "trio"} & modules


def test_names_that_are_not_there() -> None:
    import pointsman_openai

    assert pointsman_openai.Session.__name__ == "Session"
    with pytest.raises(AttributeError, match="no attribute 'session_'"):
        _ = pointsman_openai.session_

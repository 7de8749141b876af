"""Importing a plugin on this dialect is cheap: the HTTP library and the JSON decoder wait for the first open."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

MEASURE = """
import json, sys, time
import pointsman, pydantic
from pydantic import BaseModel, SecretStr, Field, AfterValidator
class First(BaseModel, frozen=True, extra="forbid"):
    key: SecretStr | None = None
begun = time.process_time()
import pointsman_openai.compatible
took = time.process_time() - begun
print(json.dumps({"took": took, "modules": list(sys.modules)}))
"""


def test_a_plugin_imports_little() -> None:
    runs = [
        json.loads(subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, check=True).stdout)
        for _ in range(5)
    ]
    assert not {"httpx2", "msgspec", "anyio", "h11", "ssl", "asyncio", "trio"} & set(runs[0]["modules"])
    assert min(run["took"] for run in runs) < 0.015  # 3 ms on an idle machine, which this need not be.


def test_names_that_are_not_there() -> None:
    import pointsman_openai

    assert pointsman_openai.Session.__name__ == "Session"
    with pytest.raises(AttributeError, match="no attribute 'session_'"):
        _ = pointsman_openai.session_

"""What users see of `pointsman` is a list that somebody decided on; importing it costs little and touches nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import pointsman

NOT_OURS = {"TYPE_CHECKING", "Any", "annotations"}

WATCH = """
import json, sys
touched = []
def watch(event, args):
    if event == "open" and isinstance(args[0], str):
        touched.append([event, args[0]])
    elif event.partition(".")[0] in {"socket", "subprocess", "ftplib", "http", "urllib", "webbrowser"} or event in {
        "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.putenv", "os.mkdir"
    }:
        touched.append([event, repr(args)])
sys.addaudithook(watch)
before = set(sys.modules)
import pointsman
print(json.dumps({"touched": touched, "modules": sorted(set(sys.modules) - before), "path": sys.path,
                  "prefixes": [sys.prefix, sys.base_prefix, sys.pycache_prefix]}))
"""


def test_all_lists_every_public_name() -> None:
    public = {name for name in dir(pointsman) if not name.startswith("_")} - NOT_OURS
    modules = {name for name in public if isinstance(getattr(pointsman, name), ModuleType)}
    assert set(pointsman.__all__) == public - modules
    assert pointsman.__all__ == sorted(pointsman.__all__, key=lambda name: (not name.isupper(), name))


@pytest.mark.parametrize("name", pointsman.__all__)
def test_public_name_resolves(name: str) -> None:
    """Also those that are loaded when they are first used."""
    assert getattr(pointsman, name) is not None


@pytest.fixture(scope="module")
def importing() -> dict[str, list[str]]:
    """What a fresh interpreter does on ``import pointsman``."""
    command = [sys.executable, "-W", "error", "-B", "-c", WATCH]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("heavy", ["pydantic", "httpx2", "anyio", "asyncio", "trio", "click", "rich", "logging"])
def test_import_loads_nothing_heavy(importing: dict[str, list[str]], heavy: str) -> None:
    assert heavy not in importing["modules"]


def test_import_touches_nothing_but_modules(importing: dict[str, list[str]]) -> None:
    """No socket, no process, no file outside the folders that Python imports from."""
    folders = [Path(name) for name in importing["prefixes"] + importing["path"] if name]
    strange = [
        (event, what)
        for event, what in importing["touched"]
        if event != "open" or not any(Path(what).is_relative_to(folder) for folder in folders)
    ]
    assert strange == []

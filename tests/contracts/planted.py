"""Each rule in `.importlinter` is broken once, in a copy, and must be found: a rule that finds nothing is no rule.

Run by the session `contracts`, which has import-linter; a plain `pytest` does not collect this file.
"""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

PLANTED = {
    "packages": [
        ("pointsman/cost.py", "import pointsman_openai"),
        ("pointsman_openai/__init__.py", "import pointsman_sambanova"),
        ("pointsman_sambanova/__init__.py", "import pointsman_testing"),
        ("pointsman/cost.py", "import pointsman_modal_app"),
    ],
    "container": [
        ("pointsman_modal_app/settings.py", "import pointsman"),
        ("pointsman_modal_app/app.py", "import pydantic"),
    ],
    "lab": [("pointsman_testing/__init__.py", "import pointsman_openai")],
    "front-door": [("pointsman_sambanova/__init__.py", "from pointsman.errors import AuthFailed")],
    "dialect-door": [("pointsman_sambanova/__init__.py", "import pointsman_openai.planted")],
    "core": [
        ("pointsman/errors.py", "from .policy import Decision"),
        ("pointsman/provider.py", "import pointsman.engine.machine"),
        ("pointsman/newcomer.py", ""),
    ],
    "engine": [
        ("pointsman/engine/clock.py", "from . import machine"),
        ("pointsman/engine/terms.py", "from . import health"),
        ("pointsman/engine/newcomer.py", ""),
    ],
    "health": [("pointsman/engine/health/sketch.py", "from . import breaker")],
    "pure": [
        ("pointsman/engine/machine.py", "import time"),
        ("pointsman/engine/health/breaker.py", "import time"),
        ("pointsman/policy.py", "def _():\n    import random"),
        ("pointsman/errors.py", "import logging"),
    ],
    "socketless": [("pointsman/stores.py", "import socket"), ("pointsman/commands.py", "import httpx2")],
}


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of what all packages ship, which comes before the installed ones."""
    for package in ROOT.glob("packages/*/src/*"):
        shutil.copytree(package, tmp_path / package.name)
    (tmp_path / "pointsman_openai" / "planted.py").touch()
    return tmp_path


def broken(sources: Path, *contracts: str) -> bool:
    """Whether one of `contracts` is broken in `sources`. An outcome that is neither broken nor kept is an error."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"]
    options = ["--config", ROOT / ".importlinter", *(f"--contract={name}" for name in contracts), "--no-cache"]
    env = {"PYTHONPATH": str(sources), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([*command, *options], cwd=sources, env=env, capture_output=True, text=True, check=False)
    [outcome] = re.findall(r"^Contracts: \d+ kept, (\d+) broken", done.stdout, re.MULTILINE) or [
        done.stdout + done.stderr
    ]
    assert outcome.isdigit(), outcome
    return outcome != "0"


@pytest.mark.parametrize(
    ("contract", "file", "line"),
    [pytest.param(name, *plant, id=f"{name}: {plant[0]}") for name, plants in PLANTED.items() for plant in plants],
)
def test_violation_is_found(sources: Path, contract: str, file: str, line: str) -> None:
    with (sources / file).open("a") as module:
        module.write(f"\n{line}\n")
    assert broken(sources, contract)


def test_every_contract_has_a_violation() -> None:
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    names = {name.rpartition(":")[2] for name in contracts.sections() if ":contract:" in name}
    assert names == set(PLANTED)


def test_copy_without_a_violation_is_kept(sources: Path) -> None:
    """Else the tests above would prove nothing."""
    assert not broken(sources, *PLANTED)

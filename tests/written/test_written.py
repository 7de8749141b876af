"""What `pointsman plugins new` writes passes the linters with the settings that it brings, whatever its name.

That it passes its kit, the command's own tests say.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pointsman_cli.plugins.new import KINDS
from pointsman_cli.plugins.rendering import LONGEST, rendered

NAMES = ("x", "in-" * (LONGEST // 3 - 1) + "all", "w" * LONGEST)
"""Short and long ones: a line may be too long for one, or too short to be broken for another."""


def write(folder: Path, template: str, name: str) -> Path:
    package = folder / f"pointsman-{name}"
    for path, text in rendered(template, name).items():
        (package / path).parent.mkdir(parents=True, exist_ok=True)
        (package / path).write_text(text, "utf-8")
    return package


def run(*command: str, cwd: Path) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("template", KINDS)
def test_it_is_linted_and_formatted(tmp_path: Path, template: str) -> None:
    for name in NAMES:
        write(tmp_path, template, name)
    run("ruff", "check", "--no-cache", cwd=tmp_path)
    run("ruff", "format", "--check", "--no-cache", cwd=tmp_path)


@pytest.mark.parametrize("template", KINDS)
def test_its_types_hold(tmp_path: Path, template: str) -> None:
    package = write(tmp_path, template, "my-own-thing")
    run("mypy", "src", "tests", cwd=package)
    run("pyright", f"--pythonpath={sys.executable}", "src", "tests", cwd=package)

"""`python -m pointsman` where the command is installed, and where it is not."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "pointsman"]


def test_without_the_command_it_says_what_to_install(tmp_path: Path) -> None:
    """An interpreter that finds core's source, and the metadata of nothing."""
    import pointsman

    folder = Path(pointsman.__file__).parents[1]
    code = f"import sys, runpy; sys.path = [p for p in sys.path if 'site-packages' not in p] + [{str(folder)!r}]; "
    done = subprocess.run(
        [sys.executable, "-S", "-c", code + "runpy.run_module('pointsman.__main__', run_name='__main__')"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{sys.executable} -m pip install pointsman-cli" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(
    not entry_points(group="console_scripts", name="pointsman"), reason="pointsman-cli is not installed here"
)
def test_with_the_command_it_is_the_command() -> None:
    done = subprocess.run([*COMMAND, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("pointsman ")
    assert subprocess.run([*COMMAND, "no-such-verb"], capture_output=True, check=False).returncode == 2

"""The app's definition loads under the pinned `modal`, from the variable that the container reads, too."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pointsman_modal_app.settings import Deployment

pytest.importorskip("modal")
LOAD = """
import sys
from pointsman_modal_app import app
assert not [name for name in sys.modules if name.partition(".")[0] in ("pointsman", "pointsman_modal", "pydantic")]
print(app.deployment.to_json())
print(app.app.name, *sorted(app.app._local_state.functions))
"""


def loaded(tmp_path: Path, code: str, variable: str | None) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MODAL_", "POINTSMAN_"))}
    environ["MODAL_CONFIG_PATH"] = str(tmp_path / "none.toml")
    if variable is not None:
        environ["POINTSMAN_DEPLOYMENT"] = variable
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=120)


def test_it_loads_with_what_was_deployed(tmp_path: Path) -> None:
    deployment = replace(Deployment(), name="tiny", model="qwen2.5-coder:0.5b", gpu=(), max_containers=3)
    done = loaded(tmp_path, LOAD, deployment.to_json())
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [deployment.to_json(), "tiny Ollama.* pull"]


def test_neither_the_provider_nor_a_plan_imports_modal(tmp_path: Path) -> None:
    code = (
        "import sys, pointsman_modal, pointsman_modal.deploy as d; d.Plan().deployment(); print('modal' in sys.modules)"
    )
    assert loaded(tmp_path, code, None).stdout == "False\n"

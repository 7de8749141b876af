"""The app's definition loads under the pinned `modal`, from the variable that the container reads, too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("modal")
FIRST_START = """
import json, sys, warnings
from types import SimpleNamespace
from pointsman_modal_app import app
assert not [name for name in sys.modules if name.partition(".")[0] in ("pointsman", "pointsman_modal", "pydantic")]
print(app.app.name, *sorted(app.app._local_state.functions))

# What only Modal has; the rest runs as Modal runs it, in this process.
warnings.filterwarnings('ignore', message='.* is executing locally')
told, here = [], app.pull.local
app.WEIGHTS = sys.argv[1]
app.weights = SimpleNamespace(reload=lambda: told.append("reload"), commit=lambda: told.append("commit"))
app.served = SimpleNamespace(reload=lambda: told.append("reload, read-only"))
app.pull = SimpleNamespace(remote_gen=here)
one = app.Ollama()
asked = {"model": app.deployment.model, "messages": [{"role": "user", "content": "What is a closure?"}]}
print(json.dumps([one.answer.local(asked)["body"]["choices"][0]["message"]["content"], told]))
one.server.stop()
"""


def run(tmp_path: Path, code: str, *arguments: str, variable: str | None) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MODAL_", "POINTSMAN_"))}
    environ["MODAL_CONFIG_PATH"] = str(tmp_path / "none.toml")
    if variable is not None:
        environ["POINTSMAN_DEPLOYMENT"] = variable
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=120)


def test_it_loads_and_a_first_start_pulls_and_answers(tmp_path: Path, container: Any) -> None:
    """As for somebody who ran `modal deploy -m pointsman_modal_app.app`: nobody has pulled before."""
    deployment = replace(container.deployment, name="tiny", max_containers=3)
    done = run(tmp_path, FIRST_START, str(container.models), variable=deployment.to_json())
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0] == "tiny Ollama.* pull"
    assert "qwen2.5-coder:7b is not in the Volume yet: it is pulled now" in said
    assert json.loads(said[-1]) == ["It closes over x.", ["reload", "commit", "reload, read-only"]]
    assert len(container.noted("server")) == 2  # One pulls, with no GPU; one serves.
    assert all(map(container.gone, (*container.noted("server"), *container.noted("runner"))))


def test_neither_the_provider_nor_a_plan_imports_modal(tmp_path: Path) -> None:
    code = (
        "import sys, pointsman_modal, pointsman_modal.deploy as d; d.Plan().deployment(); print('modal' in sys.modules)"
    )
    assert run(tmp_path, code, variable=None).stdout == "False\n"

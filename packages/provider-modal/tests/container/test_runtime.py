"""The app in Modal's own container runtime: its start, its pull, the web, a batch, a cancellation, and its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from control_plane.loading import loaded
from modal_proto import api_pb2 as api

from pointsman_modal_app.settings import VARIABLE
from pointsman_modal_app.weights import fetched

if TYPE_CHECKING:
    import modal
    from control_plane.server import ControlPlane

ENTRY = """
import runpy, sys
import modal._runtime.asgi
import pointsman_modal_app.settings
modal._runtime.asgi.get_ip_address = lambda _: "127.0.0.1"  # That of eth0, which not every machine has.
pointsman_modal_app.settings.WEIGHTS = sys.argv[1]
runpy.run_module("modal._container_entrypoint", run_name="__main__")
"""
ASKED = {"model": "qwen2.5-coder:7b", "messages": [{"role": "user", "content": "What is a closure?"}]}
WEB = {"type": "http", "method": "GET", "path": "/v1/models", "headers": [], "query_string": b"", "http_version": "1.1"}


def test_modals_runtime_runs_what_was_deployed(
    control_plane: ControlPlane, modal_client: modal.Client, container: Any, tmp_path: Path
) -> None:
    deployment, there = container.deployment, control_plane.container
    with loaded(json.loads(deployment.to_json())) as module:
        module.app.deploy(client=modal_client)
    control_plane.calling.bodies["pull"] = lambda model: fetched(deployment, model, container.models)
    (arguments := tmp_path / "arguments").write_bytes(there.arguments("pointsman", "Ollama.*"))
    environ = {
        **os.environ,
        VARIABLE: deployment.to_json(),
        "MODAL_SERVER_URL": control_plane.url,
        "MODAL_IS_REMOTE": "1",
        "MODAL_TASK_ID": "ta-000001",
        "MODAL_CONTAINER_ARGUMENTS_PATH": str(arguments),
    }
    with (
        open(log := tmp_path / "log", "w") as output,
        subprocess.Popen(
            [sys.executable, "-c", ENTRY, str(container.models)], env=environ, stdout=output, stderr=output
        ) as process,
    ):
        try:
            there.ask("in-1", "answer", 7, ASKED)
            assert there.outputs.get(timeout=60) == ("in-1", api.GenericResult.GENERIC_STATUS_SUCCESS)
            there.ask("in-2", "serve", WEB)
            assert there.outputs.get(timeout=60) == ("in-2", api.GenericResult.GENERIC_STATUS_SUCCESS)
            assert there.said[0]["status"] == 200
            assert "qwen2.5-coder:7b" in b"".join(one["body"] for one in there.said[1:]).decode()

            there.ask("in-3", "answer", 8, {**ASKED, "messages": [{"role": "user", "content": "Wait for me"}]})
            while not container.noted("waits"):
                time.sleep(0.01)
            there.cancel("in-3")
            assert there.outputs.get(timeout=60) == ("in-3", api.GenericResult.GENERIC_STATUS_TERMINATED)
            there.ask("in-4", "answer", 9, ASKED)  # The container is there for others.
            assert there.outputs.get(timeout=60) == ("in-4", api.GenericResult.GENERIC_STATUS_SUCCESS)
            there.end(deployment.parallel)
            assert process.wait(60) == 0
        except BaseException:
            process.kill()
            print(log.read_text())
            raise
    assert there.of_its_volume == ["reload", "commit"]  # The runtime commits at each end, whatever is mounted.
    assert container.noted("left") == [True]  # Ollama knows that nobody waits any more.
    assert len(container.noted("server")) == 2  # One has pulled, and one has answered all of them.
    assert all(map(container.gone, (*container.noted("server"), *container.noted("runner"))))

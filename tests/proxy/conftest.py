"""LiteLLM's proxy, in front of llama.cpp's servers: two programs that are not ours, and not each other's."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.real.conftest import COUNT, Llama, Models, models, servers  # noqa: F401  (`models` is a fixture)

from pointsman import AsyncClient, Settings

LITELLM = os.environ.get("POINTSMAN_PROXY_LITELLM", "")  # Now: the tests themselves see no setting of ours.
MASTER = "sk-of-the-proxy-0123456789"
TEXT = "Olá, 世界 🎉! one two three"
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Lisboa"}}\n</tool_call>'
THOUGHTS = "<think>\nlet me see\n</think>\n\nforty-two"
PATIENCE = 120.0
# Should the tests themselves be killed, the proxy follows.
MORTAL = "import os, signal, sys; signal.alarm(900); os.execv(sys.argv[1], sys.argv[1:])"


@dataclass
class Proxy:
    """A running proxy, and the servers behind it by the names of their models."""

    url: str
    behind: dict[str, Llama]


def config(behind: dict[str, Llama]) -> str:
    """Models that the proxy passes on, and three that it plays itself."""
    passed_on = [(name, f'api_base: "{server.url}", api_key: {server.key}') for name, server in behind.items()]
    played = [
        ("canned", 'api_key: none, mock_response: "one two three"'),
        ("limited", 'api_key: none, mock_response: "litellm.RateLimitError"'),
        ("down", 'api_key: none, api_base: "http://127.0.0.1:9/v1"'),  # Port 9: nobody listens there.
    ]
    return "\n".join(
        [
            "model_list:",
            *(
                f"  - {{model_name: {name}, litellm_params: {{model: openai/toy, {params}}}}}"
                for name, params in passed_on + played
            ),
            f"general_settings: {{master_key: {MASTER}}}",
            "litellm_settings: {num_retries: 0, telemetry: false}",
            "",
        ]
    )


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture(scope="session")
def proxy(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:  # noqa: F811
    if not Path(LITELLM).is_file():
        pytest.skip("POINTSMAN_PROXY_LITELLM does not name LiteLLM's executable: uvx nox -s proxy")
    folder, port = tmp_path_factory.mktemp("proxy"), free_port()
    with servers(models) as start:
        behind = {"toy": start(TEXT), "calls": start(CALL), "thinks": start(THOUGHTS)}
        # Those that are killed or stopped, one for each loop.
        for backend in ("asyncio", "trio"):
            behind |= {f"{fate}-{backend}": start(COUNT, slow=True) for fate in ("left", "killed", "stopped")}
        (folder / "config.yaml").write_text(config(behind))
        options = ["--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port), "--telemetry", "False"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", MORTAL, LITELLM, *options],
                env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "DISABLE_ADMIN_UI": "True"},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            await_life(process, f"http://127.0.0.1:{port}/health/liveliness", folder / "log")
            yield Proxy(f"http://127.0.0.1:{port}/v1", behind)
        finally:
            process.kill()
            process.wait()


def await_life(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Wait until the proxy answers at `url`, which takes it some 15 s."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (OSError, urllib.error.URLError):
            assert process.poll() is None, f"the proxy did not start:\n{log.read_text()[-2000:]}"
            assert time.monotonic() < until, f"the proxy does not answer:\n{log.read_text()[-2000:]}"
            time.sleep(0.2)


@pytest.fixture
def connect(proxy: Proxy) -> Callable[..., AsyncClient]:
    """A client whose provider `proxy` is the proxy."""

    def client(key: str = MASTER, **engine: object) -> AsyncClient:
        table = {"plugin": "openai-compatible", "base_url": proxy.url, "api_key": key}
        return AsyncClient(settings=Settings.of({"engine": engine, "providers": {"proxy": table}}))

    return client

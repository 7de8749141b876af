"""What tests of `pointsman modal` ask for by name; conftest imports it. And what they share besides."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from click.testing import CliRunner, Result

from pointsman_testing import Lab, ModalEndpoint, Vendor

if TYPE_CHECKING:
    import modal
    from control_plane.server import ControlPlane

Invoke = Callable[..., Result]
SCHEMAS = Path(__file__).parents[3] / "docs" / "schemas"
TOKEN = ("wk-proxy00000001", "ws-secret00000001")
"""The first that the control plane makes."""
MODEL = "qwen2.5-coder:7b"
NUMBERS = count()


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal("asyncio") as portal:
        yield portal


@pytest.fixture(scope="module")
def lab_here(portal: BlockingPortal) -> Iterator[Lab]:
    with portal.wrap_async_context_manager(Lab(speed=600)) as lab:
        yield lab


@pytest.fixture
def dialect() -> ModalEndpoint:
    """How the endpoint behaves."""
    return ModalEndpoint(start=30)


@pytest.fixture
def endpoint(portal: BlockingPortal, lab_here: Lab, dialect: ModalEndpoint) -> Vendor:
    """What answers at the address of the deployment. It is cold."""
    name = f"modal-{next(NUMBERS)}"
    return portal.call(partial(lab_here.vendor, name, dialect=dialect, models=(MODEL,), api_key=".".join(TOKEN)))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's files are; the current folder is another."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("MODAL_CONFIG_PATH", str(tmp_path / "no.toml"))
    for name in [name for name in os.environ if name.startswith(("MODAL_TOKEN", "MODAL_PROXY", "POINTSMAN_MODAL"))]:
        monkeypatch.delenv(name)
    return tmp_path / "home" / "pointsman"


@pytest.fixture
def plane(
    control_plane: ControlPlane,
    modal_client: modal.Client,
    endpoint: Vendor,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> ControlPlane:
    """The control plane, and an account there that is set up here. The SDK keeps one client; each test has its own."""
    for name, value in control_plane.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("modal.Client.from_env", lambda: modal_client)
    control_plane.serve_at(endpoint.base_url.removesuffix("/v1"))
    control_plane.calling.bodies["pull"] = pulling
    return control_plane


def pulling(model: str) -> Iterator[dict[str, Any]]:
    for share in range(5):
        yield {"status": "pulling dae161e27b0e", "completed": share * 10**9, "total": 4 * 10**9}
    yield {"status": "success", "completed": 0, "total": 0}


@pytest.fixture
def invoke() -> Invoke:
    def invoke(*args: str, **env: str) -> Result:
        from pointsman_cli.app import cli

        return CliRunner().invoke(cli, ["modal", *args], prog_name="pointsman", env=env)

    return invoke


@pytest.fixture
def deployed(plane: ControlPlane, invoke: Invoke) -> ControlPlane:
    assert invoke("deploy", "--yes").exit_code == 0
    plane.log.clear()
    return plane


def settings(home: Path) -> Mapping[str, Any]:
    return tomllib.loads((home / "config.toml").read_text())["providers"]["modal"]


def valid(name: str, text: str) -> Any:
    """The one object that was printed, as its schema describes it, where the schemas are."""
    (line,) = text.splitlines()
    told = json.loads(line)
    if SCHEMAS.exists():
        import jsonschema

        schema = json.loads((SCHEMAS / name).read_text("utf-8"))
        lib: Any = jsonschema
        lib.Draft202012Validator.check_schema(schema)
        assert [error.message for error in lib.Draft202012Validator(schema).iter_errors(told)] == []
    return told

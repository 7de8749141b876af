"""`pointsman modal deploy`, against a control plane and an endpoint on loopback: from nothing to an answer."""

from __future__ import annotations

import re
import stat
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from verbs import MODEL, TOKEN, Invoke, settings, valid

from pointsman import ConfigError
from pointsman_cli.app import cli
from pointsman_modal.deploy import sdk
from pointsman_modal_app.container import ServerFailed
from pointsman_testing import Vendor

if TYPE_CHECKING:
    from control_plane.server import ControlPlane


def test_from_nothing_to_an_answer(plane: ControlPlane, invoke: Invoke, home: Path, endpoint: Vendor) -> None:
    plane.memory.build_output.append("Collecting it")
    done = invoke("deploy", "--yes", "--context", "16384", "--scaledown-window", "2m")
    assert done.exit_code == 0, done.output
    assert settings(home) == {
        "base_url": endpoint.base_url.removesuffix("/v1"),
        "app": "pointsman",
        "default_models": [MODEL],
        "context_tokens": 16384,
        "parallel": 4,
        "gpu": ["A10", "L4"],
        "cpu": 1.0,
        "memory_gib": 8,
        "scaledown_window": 120,
        "min_containers": 0,
        "max_containers": 1,
    }
    keys = home / "keys.toml"
    assert tomllib.loads(keys.read_text()) == {"providers": {"modal": {"token_id": TOKEN[0], "token_secret": TOKEN[1]}}}
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    assert TOKEN[1] not in done.output
    assert "Collecting it" in done.stderr
    assert re.search(r"pulling dae161e27b0e +25 % +1\.0 GB of 4\.0 GB", done.stderr)
    next_line = done.stdout.splitlines()[-1]
    assert next_line == f'Next: pointsman chat -m modal/{MODEL} "Explain closures in Python"'
    answer = CliRunner().invoke(cli, ["chat", "-m", f"modal/{MODEL}", "hi"])
    assert (answer.exit_code, answer.stdout) == (0, f"{endpoint.name} answers.\n")
    assert plane.function("pointsman", "Ollama.*").settings.scaledown_window == 120


def test_deploying_the_same_again_changes_nothing(deployed: ControlPlane, invoke: Invoke, home: Path) -> None:
    before = (home / "config.toml").read_bytes(), (home / "keys.toml").read_bytes()
    done = invoke("deploy", "--yes")
    assert done.exit_code == 0
    assert "none since it was deployed last" in done.stderr
    assert ((home / "config.toml").read_bytes(), (home / "keys.toml").read_bytes()) == before
    assert {request.existing_function_id for request in deployed.requests("FunctionCreate")} == {
        deployed.function("pointsman", name).function_id for name in ("pull", "Ollama.*")
    }
    assert deployed.requests("WebhookTokenCreate") == []


def test_what_is_not_said_stays_and_what_changes_is_told(deployed: ControlPlane, invoke: Invoke, home: Path) -> None:
    assert invoke("deploy", "--yes", "--max-containers", "3", "--region", "eu").exit_code == 0
    done = invoke("deploy", "--yes", "--gpu", "L40S", "--region", "any", "--json")
    told = valid("modal-deploy.json", done.stdout)
    assert told["changes"] == {"gpu": {"from": ["A10", "L4"], "to": ["L40S"]}, "region": {"from": ["eu"], "to": []}}
    assert (told["plan"]["max_containers"], told["token"], told["dry_run"]) == (3, "set", False)
    assert settings(home)["max_containers"] == 3
    assert "region" not in settings(home)
    shown = invoke("deploy", "--dry-run", "--max-containers", "1").stdout
    assert re.search(r"Containers +0 to 1 +\(was 0 to 3\)", shown)
    assert re.search(r"GPU +L40S\n", shown)


def test_a_dry_run_asks_nobody(home: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither credentials nor the package are needed."""
    monkeypatch.setitem(sys.modules, "modal", None)
    done = invoke(
        "deploy", "--dry-run", "--requests-per-day", "200", "--seconds-per-request", "4", "--gpu", "a10g,h100:2"
    )
    assert done.exit_code == 0, done.output
    assert re.search(r"GPU +A10, else H100:2\n", done.stdout)
    assert "200 requests a day of 4 s each: about $" in done.stdout
    assert not home.exists()
    told = valid("modal-deploy.json", invoke("deploy", "--dry-run", "--json").stdout)
    assert (told["dry_run"], told["url"], told["changes"]) == (True, None, {})
    assert told["cost"]["per_hour"] == {"least": "0.910296", "most": "1.212696"}


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--gpu", "H1000"], "--gpu: there is no GPU 'H1000'"),
        (["--gpu", "L4:0"], "--gpu: 'L4:0'"),
        (["--region", "us-esat"], "--region: there is no region 'us-esat'"),
        (["--memory", "16GB"], "--memory: write a number of GiB"),
        (["--context", "1"], "--context: "),
        (["--min-containers", "2"], "--min-containers (2) is more than --max-containers (1)"),
        (["--max-containers", "0"], "--max-containers: "),
        (["--scaledown-window", "2h"], "--scaledown-window: "),
        (["--scaledown-window", "soon"], "'soon' is no time"),
        (["--name", "a/b"], "--name: 'a/b' is no name"),
        (["--model", "../x"], "--model: "),
        (["--parallel", "many"], "--parallel"),
        (["--seconds-per-request", "0"], "--seconds-per-request"),
        (["--seconds-per-request", "inf"], "--seconds-per-request"),
        (["--requests-per-day", "nan"], "--requests-per-day"),
        (["--provider", "a/b"], "a provider's name"),
        (["--provider", "openai-compatible"], "openai-compatible"),
    ],
)
def test_a_mistake_is_named_before_anybody_is_asked(
    home: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, args: list[str], says: str
) -> None:
    monkeypatch.setitem(sys.modules, "modal", None)
    done = invoke("deploy", "--yes", *args)
    assert (done.exit_code, done.stdout) == (2, "")
    assert says in done.stderr
    assert not home.exists()


def test_what_cannot_be_known_or_done_is_said(home: Path, invoke: Invoke) -> None:
    unknown = invoke("deploy", "--dry-run", "--gpu", "B300,A10").stdout
    assert re.search(r"Cost +unknown, since the price of one of its GPUs is", unknown)
    told = valid("modal-deploy.json", invoke("deploy", "--dry-run", "--gpu", "B300", "--json").stdout)
    assert told["cost"]["per_hour"] == {"least": None, "most": None}
    busy = invoke("deploy", "--dry-run", "--requests-per-day", "1e6", "--seconds-per-request", "4").stdout
    assert "1,000,000 requests a day of 4 s each" in busy
    assert "more than 1 container can answer, about 86,400 a day" in busy


def test_nobody_can_be_asked(plane: ControlPlane, invoke: Invoke) -> None:
    done = invoke("deploy")
    assert done.exit_code == 2
    assert "--yes deploys without asking, --dry-run shows the plan" in done.stderr
    assert plane.memory.apps == {}


def test_an_address_of_somebody_else_is_replaced_with_a_word(plane: ControlPlane, invoke: Invoke, home: Path) -> None:
    home.mkdir(parents=True)
    (home / "config.toml").write_text('# mine\n[providers.modal]\nbase_url = "https://old.modal.run"\ngpu = "H100"\n')
    done = invoke("deploy", "--yes")
    assert "lead to https://old.modal.run/v1, which this replaces" in done.stderr
    assert settings(home)["gpu"] == ["A10", "L4"]
    assert (home / "config.toml").read_text().startswith("# mine\n")


def test_a_second_deployment_is_a_provider_of_its_own(
    plane: ControlPlane, invoke: Invoke, home: Path, endpoint: Vendor
) -> None:
    done = invoke("deploy", "--yes", "--provider", "big", "--name", "big", "--gpu", "H100")
    assert done.exit_code == 0, done.output
    assert tomllib.loads((home / "config.toml").read_text())["providers"]["big"]["plugin"] == "modal"
    answer = CliRunner().invoke(cli, ["chat", "-m", f"big/{MODEL}", "hi"])
    assert answer.stdout == f"{endpoint.name} answers.\n"
    assert invoke("stop", "--provider", "big", "--yes", "--forget").exit_code == 0
    assert CliRunner().invoke(cli, ["providers", "--json"]).exit_code == 0


def test_a_token_that_is_set_is_kept(plane: ControlPlane, invoke: Invoke, home: Path) -> None:
    done = invoke(
        "deploy", "--yes", POINTSMAN_MODAL_TOKEN_ID="wk-Ab12Cd34Ef56", POINTSMAN_MODAL_TOKEN_SECRET="ws-Gh78Ij90"
    )
    assert done.exit_code == 0
    assert "Token" not in done.stderr
    assert plane.requests("WebhookTokenCreate") == []
    assert not (home / "keys.toml").exists()


def test_a_pull_that_fails_says_what_stands(plane: ControlPlane, invoke: Invoke, home: Path) -> None:
    def failing(model: str) -> Iterator[dict[str, Any]]:
        yield {"status": "pulling manifest", "completed": 0, "total": 0}
        raise ServerFailed(f"Ollama's library has no {model}: its models and their tags are at ollama.com/library")

    plane.calling.bodies["pull"] = failing
    done = invoke("deploy", "--yes", "--model", "qwen2.5-codr:7b")
    assert done.exit_code == 3
    assert "pointsman is deployed at http://" in done.stderr
    assert "Your settings were not changed" in done.stderr
    assert "Ollama's library has no qwen2.5-codr:7b" in done.stderr
    assert not home.exists()


def test_an_image_that_cannot_be_built_ends_in_its_last_lines(plane: ControlPlane, invoke: Invoke, home: Path) -> None:
    plane.memory.build_output += [f"line {number}" for number in range(40)] + ["manifest unknown"]
    plane.break_build("FROM ollama/ollama", "no such tag")
    done = invoke("deploy", "--yes")
    assert done.exit_code == 3
    *_, error = done.stderr.partition("Error: ")
    assert "the image of pointsman could not be built" in error
    assert "manifest unknown" in error
    assert "line 0\n" not in error
    assert not home.exists()


@pytest.mark.parametrize(
    ("rpc", "status", "code", "says"),
    [
        ("WorkspaceNameLookup", "UNAUTHENTICATED", 4, "MODAL_TOKEN_ID"),
        ("AppCreate", "PERMISSION_DENIED", 4, "has no right to do this"),
        ("AppPublish", "RESOURCE_EXHAUSTED", 5, "raise the limit"),
        ("FunctionCreate", "INVALID_ARGUMENT", 2, "Modal refuses it: no such thing"),
        ("AppCreate", "INTERNAL", 3, "status.modal.com"),
    ],
)
def test_what_modal_refuses(
    plane: ControlPlane, invoke: Invoke, home: Path, rpc: str, status: str, code: int, says: str
) -> None:
    from grpclib import Status

    plane.fail(rpc, Status[status], "no such thing", times=8)
    done = invoke("deploy", "--yes")
    assert done.exit_code == code, done.output
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not home.exists()


def test_a_token_that_cannot_be_made_leaves_what_works_without(plane: ControlPlane, invoke: Invoke, home: Path) -> None:
    from grpclib import Status

    plane.fail("WebhookTokenCreate", Status.PERMISSION_DENIED, "members may not")
    done = invoke("deploy", "--yes")
    assert done.exit_code == 4
    assert "It lacks a proxy token" in done.stderr
    assert settings(home)["app"] == "pointsman"
    assert not (home / "keys.toml").exists()


def test_a_token_that_cannot_be_kept_is_told(
    plane: ControlPlane, invoke: Invoke, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> str:
        raise ConfigError("keys.toml cannot be written: No space left on device")

    monkeypatch.setattr("pointsman_cli.host.Host.store_keys", full)
    done = invoke("deploy", "--yes")
    assert done.exit_code == 2
    assert "The one called 'pointsman pointsman' was made now, but is not kept: delete it there." in done.stderr
    assert settings(home)["app"] == "pointsman"


def test_the_environment_is_kept(plane: ControlPlane, invoke: Invoke, home: Path) -> None:
    """Also where Modal's own variable says which it is, since that may be another one tomorrow."""
    assert invoke("deploy", "--yes", MODAL_ENVIRONMENT="staging").exit_code == 0
    assert settings(home)["environment"] == "staging"
    plane.log.clear()
    assert invoke("status").exit_code == 0
    assert {request.environment_name for request in plane.requests("ClassGet")} == {"staging"}
    told = valid("modal-deploy.json", invoke("deploy", "--yes", "--environment", "dev", "--json").stdout)
    assert told["plan"]["environment"] == settings(home)["environment"] == "dev"


def test_what_another_environment_leaves_behind_is_told(deployed: ControlPlane, invoke: Invoke) -> None:
    """A container of it may always run, and be billed."""
    shown = invoke("deploy", "--dry-run", "--environment", "dev").stdout
    assert "the app pointsman in the default environment stays deployed, unless dev is that one" in shown
    assert "none since" not in shown
    assert invoke("deploy", "--yes", "--environment", "dev").exit_code == 0
    assert "stays deployed" not in invoke("deploy", "--dry-run").stdout
    away = invoke("deploy", "--dry-run", "--environment", "prod")
    assert "`modal app stop pointsman --env dev` ends it" in away.stdout
    told = valid("modal-deploy.json", invoke("deploy", "--dry-run", "--environment", "prod", "--json").stdout)
    assert told["changes"] == {"environment": {"from": "dev", "to": "prod"}}


def test_settings_that_cannot_be_deployed_are_named_and_can_be_mended(
    deployed: ControlPlane, invoke: Invoke, home: Path
) -> None:
    """Somebody has written them there."""
    file = home / "config.toml"
    file.write_text(file.read_text().replace("parallel = 4", "parallel = 512"))
    done = invoke("deploy", "--dry-run")
    assert done.exit_code == 2
    assert "parallel in the settings of modal, which --parallel goes before: 512 is out of range" in done.stderr
    mended = invoke("deploy", "--dry-run", "--parallel", "8")
    assert mended.exit_code == 0
    assert re.search(r"At once +8 requests in a container +\(was 512 requests in a container\)", mended.stdout)


def test_an_environment_that_is_not_there(plane: ControlPlane, invoke: Invoke, home: Path) -> None:
    from grpclib import Status

    plane.fail("EnvironmentGetOrCreate", Status.NOT_FOUND, "Environment 'dve' not found", times=2)
    done = invoke("deploy", "--yes", "--environment", "dve")
    assert done.exit_code == 2
    assert "`modal environment list` shows which there are" in done.stderr


def test_a_variable_that_goes_before_is_told(plane: ControlPlane, invoke: Invoke) -> None:
    done = invoke("deploy", "--yes", POINTSMAN_MODAL_BASE_URL="https://mine.modal.run")
    assert done.exit_code == 0
    assert "providers.modal.base_url has no effect here" in done.stderr
    assert "unset POINTSMAN_MODAL_BASE_URL to use it" in done.stderr


def test_containers_that_always_run_are_billed_from_now_on(plane: ControlPlane, invoke: Invoke) -> None:
    done = invoke("deploy", "--yes", "--min-containers", "1")
    assert "1 container of it will always run" in done.stderr
    assert "a month without a request" in done.stderr
    assert plane.function("pointsman", "Ollama.*").settings.min_containers == 1


def test_an_old_package(home: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modal.__version__", "1.5.4")
    done = invoke("deploy", "--yes")
    assert done.exit_code == 1
    assert "modal 1.5.4 is too old" in done.stderr


def test_the_control_plane_is_not_waited_for_for_ever(
    plane: ControlPlane, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sdk, "ANSWERS_WITHIN", 0.05)
    with plane.holding("WorkspaceNameLookup"):
        done = invoke("deploy", "--yes")
    assert done.exit_code == 3
    assert "did not answer within 0.05 s" in done.stderr


def test_no_account(home: Path, invoke: Invoke) -> None:
    done = invoke("deploy", "--yes")
    assert done.exit_code == 4
    assert "`modal setup` signs you in" in done.stderr
    half = invoke("deploy", "--yes", MODAL_TOKEN_SECRET="as-fedcba9876543210")
    assert half.exit_code == 4
    assert "MODAL_TOKEN_SECRET is set, and MODAL_TOKEN_ID is not" in half.stderr
    assert "as-fedcba" not in half.stderr


def test_no_package(home: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "modal", None)
    done = invoke("deploy", "--yes")
    assert done.exit_code == 1
    assert "next:  pip install 'pointsman-modal[deploy]'" in done.stderr

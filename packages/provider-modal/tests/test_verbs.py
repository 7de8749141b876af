"""`pointsman modal status`, `warm`, `logs` and `stop`: looking starts nothing, and what was kept is let go."""

from __future__ import annotations

import json
import re
import signal
import sys
import threading
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from grpclib import Status
from modal_proto import api_pb2
from verbs import TOKEN, Invoke, settings, valid

from pointsman_modal.cli import warming
from pointsman_modal.deploy import sdk
from pointsman_testing import ModalEndpoint, Vendor

if TYPE_CHECKING:
    from control_plane.server import ControlPlane


def serving(plane: ControlPlane) -> Any:
    return plane.function("pointsman", "Ollama.*")


# Looking ------------------------------------------------------------------------------------------------------------


def test_status_starts_nothing(deployed: ControlPlane, invoke: Invoke, endpoint: Vendor) -> None:
    told = valid("modal-status.json", invoke("status", "--json").stdout)
    assert (told["state"], told["containers"], told["drift"], told["last_line"]) == ("cold", 0, [], None)
    assert told["cost_per_hour_now"] == {"least": "0.000000", "most": "0.000000"}
    assert endpoint.requests == []
    shown = invoke("status").stdout
    assert re.search(r"State +cold: no container is up", shown)
    assert re.search(r"Cost +\$0\.92 to \$1\.22 an hour", shown)


def test_status_tells_what_runs(deployed: ControlPlane, invoke: Invoke) -> None:
    serving(deployed).containers, serving(deployed).backlog = 2, 3
    deployed.write("pointsman", "loaded\n")
    told = valid("modal-status.json", invoke("status", "--json").stdout)
    assert (told["state"], told["containers"], told["backlog"]) == ("warm", 2, 3)
    assert told["cost_per_hour_now"] == {"least": "1.820592", "most": "2.425392"}
    assert told["last_line"]["text"] == "loaded"
    shown = invoke("status").stdout
    assert "warm: 2 containers up, 3 requests waiting" in shown
    assert re.search(r"Last log +\d+ s ago: loaded", shown)


def test_status_tells_where_modal_and_the_settings_differ(deployed: ControlPlane, invoke: Invoke, home: Path) -> None:
    now = serving(deployed).settings
    now.min_containers, now.max_containers, now.scaledown_window = 1, 5, 60
    deployed.serve_at("https://other.modal.run")
    told = valid("modal-status.json", invoke("status", "--json").stdout)
    assert {one["setting"]: (one["modal"], one["settings"]) for one in told["drift"]} == {
        "base_url": ("https://other.modal.run", f"{settings(home)['base_url']}/v1"),
        "min_containers": (1, 0),
        "max_containers": (5, 1),
        "scaledown_window": (60, 300),
    }
    assert "`pointsman modal warm --keep 0` sets it back" in invoke("status").stdout


def test_status_without_an_account_tells_what_the_settings_say(
    deployed: ControlPlane, invoke: Invoke, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MODAL_TOKEN_SECRET")
    done = invoke("status", "--json")
    told = valid("modal-status.json", done.stdout)
    assert (done.exit_code, told["state"], told["containers"]) == (0, "unknown", None)
    assert "MODAL_TOKEN_SECRET is not" in told["reason"]
    monkeypatch.setitem(sys.modules, "modal", None)
    shown = invoke("status")
    assert shown.exit_code == 0
    assert re.search(r"GPU +A10, else L4", shown.stdout)
    assert "pip install 'pointsman-modal[deploy]'" in shown.stdout


def test_status_of_what_is_not_there(deployed: ControlPlane, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed.fail("FunctionGetCurrentStats", Status.UNAUTHENTICATED, "token is revoked")
    refused = invoke("status")
    assert refused.exit_code == 4
    assert re.search(
        r"State +unknown: reading the state of pointsman: Modal refuses the account's token", refused.stdout
    )
    assert invoke("stop", "--yes").exit_code == 0
    gone = invoke("status", "--json")
    assert gone.exit_code == 2
    assert valid("modal-status.json", gone.stdout)["state"] == "not deployed"
    assert "`pointsman modal deploy` deploys it" in gone.stderr
    monkeypatch.setattr(sdk, "ANSWERS_WITHIN", 0.05)
    with deployed.holding("ClassGet"):
        late = invoke("status")
    assert late.exit_code == 3
    assert "did not answer within 0.05 s" in late.stdout


@pytest.mark.parametrize("verb", [["status"], ["logs"], ["stop", "--yes"], ["warm"], ["warm", "--keep", "1m"]])
def test_nothing_is_deployed(home: Path, invoke: Invoke, verb: list[str]) -> None:
    done = invoke(*verb)
    assert (done.exit_code, done.stdout) == (4, "")
    assert "next:  pointsman modal deploy" in done.stderr


def test_what_was_deployed_by_hand_needs_its_name(home: Path, invoke: Invoke) -> None:
    done = invoke("status", POINTSMAN_MODAL_BASE_URL="https://mine.modal.run")
    assert done.exit_code == 4
    assert "next:  pointsman config set providers.modal.app NAME" in done.stderr


def test_logs(deployed: ControlPlane, invoke: Invoke) -> None:
    assert invoke("logs").stdout == ""
    for number in range(5):
        deployed.write("pointsman", f"line {number}\x1b[2J\n")
    shown = invoke("logs", "-n", "2").stdout.splitlines()
    assert [line.split("  ")[1] for line in shown] == [r"line 3\x1b[2J", r"line 4\x1b[2J"]
    told = valid("modal-logs.json", invoke("logs", "-n", "3", "--json").stdout)
    assert [one["text"] for one in told["lines"]] == [f"line {number}\x1b[2J" for number in (2, 3, 4)]


def test_logs_go_on_until_the_app_is_stopped(deployed: ControlPlane, invoke: Invoke) -> None:
    """What was there is told once."""
    deployed.write("pointsman", "before\n")

    def end_once_it_is_followed() -> None:
        while not deployed.requests("AppGetLogs"):
            time.sleep(0.01)
        deployed.write("pointsman", "after\n")
        deployed.app("pointsman").state = api_pb2.APP_STATE_STOPPED

    thread = threading.Thread(target=end_once_it_is_followed)
    thread.start()
    lines = invoke("logs", "-f", "--json").stdout.splitlines()
    thread.join()
    assert [json.loads(line)["text"] for line in lines] == ["before", "after"]


# Warming ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dialect", "requests"),
    [
        (ModalEndpoint(start=30), 1),
        (ModalEndpoint(start=200), 2),  # A 303 after 150 s.
        (ModalEndpoint(start=300, product="refusing"), 2),  # 503, and again half a second later, which is 300 here.
    ],
)
def test_warm_waits_for_a_start(
    deployed: ControlPlane, invoke: Invoke, endpoint: Vendor, dialect: ModalEndpoint, requests: int
) -> None:
    """By a request to the address, with the proxy token; the control plane is not asked."""
    done = invoke("warm")
    assert done.exit_code == 0, done.output
    assert re.match(r"modal answers: it took \d+ s\n", done.stdout)
    assert "It stays 5m 00s after its last answer, which costs $0." in done.stderr
    assert [request.path for request in endpoint.requests] == ["/v1/models"] * requests
    assert deployed.log == []
    told = valid("modal-warm.json", invoke("warm", "--json").stdout)
    assert (told["provider"], told["kept"]) == ("modal", None)


def test_warm_needs_neither_the_package_nor_an_account(
    deployed: ControlPlane, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "modal", None)
    assert invoke("warm").exit_code == 0


@pytest.mark.parametrize(
    ("set_", "said"),
    [
        ({}, "and nobody knows what that costs."),
        ({"GPU": "B300"}, "and nobody knows what that costs."),
        ({"GPU": "H100"}, "which costs $0.07."),  # 0.001097 a second for the GPU, 60 of them.
        ({"PRICE_PER_SECOND": "0.01", "GPU": "H100"}, "which costs $0.60."),
    ],
)
def test_warm_tells_no_cost_that_the_settings_do_not_tell(
    home: Path, invoke: Invoke, endpoint: Vendor, set_: dict[str, str], said: str
) -> None:
    """What was deployed by hand has a GPU, whether the settings say which or not: it is not free."""
    token = {"TOKEN_ID": TOKEN[0], "TOKEN_SECRET": TOKEN[1], "BASE_URL": endpoint.base_url}
    done = invoke("warm", **{f"POINTSMAN_MODAL_{name}": value for name, value in (token | set_).items()})
    assert done.exit_code == 0, done.output
    assert f"It stays 1m 00s after its last answer, {said}" in done.stderr


def test_status_goes_by_a_price_of_ones_own(deployed: ControlPlane, invoke: Invoke) -> None:
    assert "$3.60 an hour" in invoke("status", POINTSMAN_MODAL_PRICE_PER_SECOND="0.001").stdout
    assert re.search(r"Cost +not known", invoke("status", POINTSMAN_MODAL_GPU="B300").stdout)


def test_warm_tells_that_the_model_is_not_there(deployed: ControlPlane, invoke: Invoke) -> None:
    done = invoke("warm", POINTSMAN_MODAL_DEFAULT_MODELS="other:3b")
    assert "It answers, but has no other:3b" in done.stderr


def test_a_wrong_proxy_token(deployed: ControlPlane, invoke: Invoke) -> None:
    done = invoke("warm", POINTSMAN_MODAL_TOKEN_SECRET="ws-another0000000")
    assert (done.exit_code, done.stdout) == (4, "")
    assert "pointsman keys set modal --setting token_secret" in done.stderr


def updates(plane: ControlPlane) -> list[int]:
    return [request.settings.min_containers for request in plane.requests("FunctionUpdateSchedulingParams")]


def test_what_is_kept_is_let_go(deployed: ControlPlane, invoke: Invoke) -> None:
    done = invoke("warm", "--keep", "0.01", "--json")
    assert done.exit_code == 0, done.output
    assert valid("modal-warm.json", done.stdout)["kept"] == 0.01
    assert updates(deployed) == [1, 0]
    assert serving(deployed).settings.min_containers == 0
    assert "One container is kept for" in done.stderr


@pytest.mark.parametrize("when", ["holding", "waiting", "keeping"])
def test_ctrl_c_lets_it_go(deployed: ControlPlane, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    """Wherever it comes."""

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        raise KeyboardInterrupt

    if when == "holding":
        hold = warming.control.hold

        def held(place: sdk.Place, containers: int) -> None:
            hold(place, containers)
            if containers:
                raise KeyboardInterrupt

        monkeypatch.setattr(warming.control, "hold", held)
    else:
        monkeypatch.setattr(*{"waiting": (warming.anyio, "run"), "keeping": (warming.time, "sleep")}[when], interrupted)
    done = invoke("warm", "--keep", "1h")
    assert done.exit_code == 130
    assert updates(deployed) == [1, 0]


def test_what_ends_it_waits_while_modal_is_told(
    deployed: ControlPlane, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the wish to keep one could reach Modal after the wish to let it go."""
    hold = warming.control.hold

    def held(place: sdk.Place, containers: int) -> None:
        signal.raise_signal(signal.SIGINT)
        hold(place, containers)

    monkeypatch.setattr(warming.control, "hold", held)
    assert invoke("warm", "--keep", "1h").exit_code == 130
    assert updates(deployed) == [1, 0]


def test_an_endpoint_that_refuses_lets_it_go(deployed: ControlPlane, invoke: Invoke, endpoint: Vendor) -> None:
    done = invoke("warm", "--keep", "1h", POINTSMAN_MODAL_TOKEN_SECRET="ws-another0000000")
    assert done.exit_code == 4
    assert updates(deployed) == [1, 0]


def test_what_cannot_be_let_go_is_told_loudly(
    deployed: ControlPlane, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sleep(_: float) -> None:
        deployed.fail("FunctionUpdateSchedulingParams", Status.PERMISSION_DENIED, "not any more")

    monkeypatch.setattr(warming.time, "sleep", sleep)
    done = invoke("warm", "--keep", "1h")
    assert done.exit_code == 3
    assert "THE CONTAINER IS STILL KEPT, AND BILLED, AT $0.92 to $1.22 AN HOUR" in done.stderr
    assert "next:  pointsman modal warm --keep 0" in done.stderr
    assert serving(deployed).settings.min_containers == 1
    again = invoke("warm", "--keep", "0")
    assert again.exit_code == 0
    assert serving(deployed).settings.min_containers == 0


def test_what_is_to_be_done_names_the_provider(
    plane: ControlPlane, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be done to another deployment."""
    big = ("--provider", "big")
    assert "pointsman modal deploy --provider big" in invoke("warm", *big).stderr
    assert invoke("deploy", "--yes", *big).exit_code == 0

    def sleep(_: float) -> None:
        plane.fail("FunctionUpdateSchedulingParams", Status.PERMISSION_DENIED, "not any more")

    monkeypatch.setattr(warming.time, "sleep", sleep)
    assert "next:  pointsman modal warm --keep 0 --provider big;" in invoke("warm", "--keep", "1h", *big).stderr
    assert "`pointsman modal warm --keep 0 --provider big` sets it back" in invoke("status", *big).stdout
    stopped = invoke("stop", "--yes", *big)
    assert "`pointsman modal stop --forget --provider big` removes that" in stopped.stderr


def test_nobody_knows_whether_one_is_kept_if_modal_does_not_answer(
    deployed: ControlPlane, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sdk, "ANSWERS_WITHIN", 0.1)
    with deployed.holding("FunctionUpdateSchedulingParams"):
        done = invoke("warm", "--keep", "1h")
    assert done.exit_code == 3
    assert "STILL KEPT, AND BILLED" in done.stderr
    assert "next:  pointsman modal warm --keep 0" in done.stderr


def test_what_was_refused_is_not_taken_back(deployed: ControlPlane, invoke: Invoke) -> None:
    deployed.fail("FunctionUpdateSchedulingParams", Status.PERMISSION_DENIED, "not you")
    done = invoke("warm", "--keep", "1h")
    assert done.exit_code == 4
    assert "STILL KEPT" not in done.stderr
    assert updates(deployed) == [1]


def test_one_that_always_runs_need_not_be_kept(plane: ControlPlane, invoke: Invoke) -> None:
    assert invoke("deploy", "--yes", "--min-containers", "1").exit_code == 0
    done = invoke("warm", "--keep", "1h")
    assert done.exit_code == 0
    assert "a container runs all the time" in done.stderr
    assert updates(plane) == []


# Stopping -----------------------------------------------------------------------------------------------------------


def test_stop(deployed: ControlPlane, invoke: Invoke, home: Path) -> None:
    refused = invoke("stop")
    assert refused.exit_code == 2
    assert "--yes stops without asking" in refused.stderr
    before = (home / "config.toml").read_text()
    done = invoke("stop", "--yes")
    assert done.exit_code == 0
    assert "`modal volume delete pointsman-weights` removes them" in done.stderr
    assert (home / "config.toml").read_text() == before
    again = invoke("stop", "--yes")
    assert again.exit_code == 2
    assert "no app called pointsman is deployed" in again.stderr


def test_what_is_no_name_at_modal_is_not_deployed(deployed: ControlPlane, invoke: Invoke, home: Path) -> None:
    file = home / "config.toml"
    file.write_text(file.read_text().replace('"pointsman"', '"my app"'))
    done = invoke("stop", "--yes")
    assert done.exit_code == 2
    assert "my app" in done.stderr
    assert "ValidationError" not in done.stderr


def test_stop_and_forget(deployed: ControlPlane, invoke: Invoke, home: Path) -> None:
    file = home / "config.toml"
    file.write_text(f"# mine\n{file.read_text()}connect_timeout = 3  # slow here\n[engine]\nstall = 9\n")
    told = valid("modal-stop.json", invoke("stop", "--yes", "--forget", "--json").stdout)
    assert (told["stopped"], told["forgotten"]) == (True, True)
    assert tomllib.loads(file.read_text()) == {
        "providers": {"modal": {"connect_timeout": 3}},
        "engine": {"stall": 9},
    }
    assert "# slow here" in file.read_text()
    assert (home / "keys.toml").exists()


def test_what_is_stopped_already_can_be_forgotten(deployed: ControlPlane, invoke: Invoke, home: Path) -> None:
    assert invoke("stop", "--yes").exit_code == 0
    told = valid("modal-stop.json", invoke("stop", "--yes", "--forget", "--json").stdout)
    assert (told["stopped"], told["forgotten"]) == (False, True)
    assert tomllib.loads((home / "config.toml").read_text()) == {}


def test_a_second_deployment_leaves_the_first_one_alone(deployed: ControlPlane, home: Path, invoke: Invoke) -> None:
    """An app of the same name would be replaced, and what led there would reach another model."""
    done = invoke("deploy", "--yes", "--provider", "big", "--model", "qwen2.5-coder:14b", "--gpu", "L40S")
    assert done.exit_code == 0, done.output
    found = tomllib.loads((home / "config.toml").read_text())["providers"]
    assert (found["modal"]["app"], found["big"]["app"]) == ("pointsman", "pointsman-big")
    assert deployed.app("pointsman").name != deployed.app("pointsman-big").name
    assert "L40S" not in invoke("status").stdout
    assert invoke("stop", "--provider", "big", "--yes").exit_code == 0
    assert deployed.app("pointsman")

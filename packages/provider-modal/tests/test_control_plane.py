"""The control plane on loopback does what Modal's own SDK expects of Modal's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import modal
import modal.exception
import pytest
from control_plane.calling import Died
from control_plane.server import ControlPlane
from grpclib import Status


def small_app(**options: object) -> modal.App:
    image = modal.Image.from_registry("ollama/ollama:0.32.15", add_python="3.12").run_commands("echo hello")
    app = modal.App("small", image=image)

    @app.function(**{"gpu": ["A10", "L4"], "serialized": True, "name": "double", "max_containers": 3, **options})
    def double(number: int) -> int:
        return 2 * number

    @app.function(serialized=True, name="count", is_generator=True)
    def count(to: int) -> Iterator[int]:
        yield from range(to)

    @app.cls(serialized=True, max_containers=2)
    @modal.concurrent(max_inputs=2)
    class Served:
        @modal.web_server(8000, requires_proxy_auth=True)
        def serve(self) -> None: ...

        @modal.method()
        def answer(self, number: int) -> int:
            return -number

    return app


@pytest.fixture
def plane(control_plane: ControlPlane, modal_client: modal.Client) -> ControlPlane:
    """With `small_app` deployed."""
    small_app().deploy(client=modal_client)
    control_plane.calling.bodies |= {
        "double": lambda number: 2 * number,
        "count": lambda to: (number for number in range(to)),
        "answer": lambda number: -number,
    }
    return control_plane


def test_a_deployed_function_answers(plane: ControlPlane, modal_client: modal.Client) -> None:
    double = modal.Function.from_name("small", "double", client=modal_client)
    assert double.remote(21) == 42
    assert list(double.map(range(100))) == list(range(0, 200, 2))
    containers = {container for container, _ in plane.calling.served}
    assert len(containers) == 3


def test_a_generator_yields(plane: ControlPlane, modal_client: modal.Client) -> None:
    count = modal.Function.from_name("small", "count", client=modal_client)
    assert list(count.remote_gen(5)) == [0, 1, 2, 3, 4]


def test_a_class_has_methods_and_an_address(plane: ControlPlane, modal_client: modal.Client) -> None:
    served = modal.Cls.from_name("small", "Served", client=modal_client)()
    assert served.serve.get_web_url() == "https://tests--small-served-serve.modal.run"
    assert sorted(served.answer.map([1, 2], order_outputs=False)) == [-2, -1]


@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        (KeyError("no such"), KeyError),
        (modal.exception.FunctionTimeoutError("late"), modal.exception.FunctionTimeoutError),
        (modal.exception.InternalFailure("lost"), modal.exception.InternalFailure),
        (Died("terminated by signal"), modal.exception.RemoteError),
    ],
)
def test_what_a_container_raises_arrives(
    plane: ControlPlane, modal_client: modal.Client, raised: Exception, seen: type[Exception]
) -> None:
    def fail(number: int) -> int:
        raise raised

    plane.calling.bodies["double"] = fail
    with pytest.raises(seen, match=str(raised.args[0])):
        modal.Function.from_name("small", "double", client=modal_client).remote(1)


def test_a_second_deployment_changes_the_first(plane: ControlPlane, modal_client: modal.Client) -> None:
    before = dict(plane.app("small").function_ids)
    built = list(plane.memory.builds)
    small_app(gpu="L4").deploy(client=modal_client)
    assert plane.app("small").function_ids == before
    assert plane.app("small").version == 2
    assert plane.memory.builds == built
    assert plane.requests("FunctionCreate")[-1].existing_function_id


def test_a_wrong_token_is_refused(control_plane: ControlPlane) -> None:
    with control_plane.client(("ak-wrong", "as-wrong")) as client:
        with pytest.raises(modal.exception.AuthError):
            small_app().deploy(client=client)
    assert not control_plane.log


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"gpu": "L5"}, "GPU type: L5"),
        ({"gpu": ["L4", "H1000"]}, "GPU type: H1000"),
        ({"gpu": "A10:8"}, "GPU count: 8"),
        ({"gpu": "L4:0"}, "GPU count: 0"),
        ({"region": "us-esat"}, "region: us-esat"),
        ({"timeout": 90_000}, "timeout: 90000"),
        ({"startup_timeout": 90_000}, "startup timeout: 90000"),
        ({"memory": 10**6}, "memory: 1000000"),
        ({"nonpreemptible": True}, "nonpreemptible"),
    ],
)
def test_the_server_checks_names_and_limits_that_the_sdk_does_not(
    control_plane: ControlPlane, modal_client: modal.Client, options: dict[str, object], said: str
) -> None:
    with pytest.raises(modal.exception.InvalidError, match=said):
        small_app(**options).deploy(client=modal_client)
    with pytest.raises(KeyError):
        control_plane.app("small")


def test_a_build_can_break(control_plane: ControlPlane, modal_client: modal.Client) -> None:
    control_plane.break_build("echo hello", "no space left")
    with pytest.raises(modal.exception.RemoteError, match="no space left"):
        small_app().deploy(client=modal_client)
    assert control_plane.requests("AppClientDisconnect")


@pytest.mark.parametrize(
    ("status", "seen"),
    [
        (Status.PERMISSION_DENIED, modal.exception.PermissionDeniedError),
        (Status.RESOURCE_EXHAUSTED, modal.exception.ResourceExhaustedError),
    ],
)
def test_calls_can_be_refused(
    control_plane: ControlPlane, modal_client: modal.Client, status: Status, seen: type[Exception]
) -> None:
    control_plane.fail("FunctionCreate", status, "not for you")
    with pytest.raises(seen, match="not for you"):
        small_app().deploy(client=modal_client)


def test_a_call_that_fails_for_once_is_made_again(control_plane: ControlPlane, modal_client: modal.Client) -> None:
    control_plane.fail("AppCreate", Status.UNAVAILABLE, "back soon")
    small_app().deploy(client=modal_client)
    assert len(control_plane.requests("AppCreate")) == 2
    assert control_plane.app("small").version == 1


def test_the_autoscaler_is_set_and_read(plane: ControlPlane, modal_client: modal.Client) -> None:
    double = modal.Function.from_name("small", "double", client=modal_client)
    assert double.get_current_stats().num_total_runners == 0
    double.autoscaler.update(min_containers=1)
    assert double.get_current_stats().num_total_runners == 1
    assert double.autoscaler.settings().min_containers == 1
    small_app().deploy(client=modal_client)
    assert double.autoscaler.settings().min_containers is None


def test_logs_are_fetched_and_followed(plane: ControlPlane, modal_client: modal.Client) -> None:
    double = plane.function("small", "double").function_id
    plane.write("small", "before\n", at=time.time() - 60)
    plane.write("small", "of it\n", function_id=double)
    app = modal.App.lookup("small", client=modal_client)
    assert [entry.message for entry in app.logs.tail(1)] == ["of it\n"]
    recent = app.logs.fetch(since=datetime.now(UTC) - timedelta(seconds=30))
    assert [entry.message for entry in recent] == ["of it\n"]
    function = modal.Function.from_name("small", "double", client=modal_client)
    assert [entry.message for entry in function.logs.tail(5)] == ["of it\n"]
    app.stop(client=modal_client)
    assert [entry.message for entry in app.logs.stream()] == ["before\n", "of it\n"]


def test_a_stopped_app_is_no_longer_found(plane: ControlPlane, modal_client: modal.Client) -> None:
    modal.App.lookup("small", client=modal_client).stop()
    with pytest.raises(modal.exception.NotFoundError, match="small"):
        modal.Function.from_name("small", "double", client=modal_client).remote(1)
    with pytest.raises(modal.exception.NotFoundError, match="small"):
        modal.App.lookup("small", client=modal_client)


def test_what_is_not_played_says_its_name(control_plane: ControlPlane, modal_client: modal.Client) -> None:
    with pytest.raises(modal.exception.UnimplementedError, match="QueueGetOrCreate"):
        modal.Queue.from_name("q", create_if_missing=True).hydrate(modal_client)

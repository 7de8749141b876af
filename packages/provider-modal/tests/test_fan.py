"""Batches on the containers of a deployment: each request one answer, whatever becomes of containers."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeAlias

import anyio.to_thread
import modal
import modal.exception
import pytest
from control_plane.calling import Died
from control_plane.loading import loaded
from control_plane.server import ControlPlane
from grpclib import Status
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pointsman import (
    AtLeast,
    AuthFailed,
    ChatRequest,
    ConfigError,
    ContextOverflow,
    Exact,
    FanAnswer,
    InvalidRequest,
    ModelGone,
    ProviderError,
    StreamBroken,
    Target,
    Tool,
    ToolCall,
    Unavailable,
    Unknown,
    Usage,
    user,
)
from pointsman_modal import SPEC, ModalConfig
from pointsman_modal.deploy import fan
from pointsman_modal_app.container import Server, ServerFailed
from pointsman_modal_app.settings import Deployment
from pointsman_testing import Answer, Lab, ModalEndpoint

Container: TypeAlias = Callable[[int, dict[str, Any]], Any]

CONFIG = ModalConfig.model_validate({"base_url": "https://t--pointsman-ollama-serve.modal.run"})
CONTAINERS, PARALLEL = 3, 2


@pytest.fixture
def plane(
    control_plane: ControlPlane, modal_client: modal.Client, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ControlPlane]:
    """With our app deployed, for as many containers as `CONTAINERS`."""
    monkeypatch.setattr(fan, "client", lambda: modal_client)
    with loaded({"max_containers": CONTAINERS, "parallel": PARALLEL}) as module:
        module.app.deploy(client=modal_client)
    return control_plane


def ask(number: int, **more: Any) -> tuple[int, ChatRequest]:
    return number, ChatRequest(messages=(user(f"say {number}"),), model="m", **more)


def completion(text: str, **message: Any) -> dict[str, Any]:
    """As Ollama writes it."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "m",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
    }


def says(number: int, body: dict[str, Any]) -> dict[str, Any]:
    """A container that answers with what it was asked."""
    text = body["messages"][0]["content"].removeprefix("say ")
    return {"number": number, "call": "fc-1", "status": 200, "body": completion(text), "seconds": 0.5}


def run(requests: Any, config: ModalConfig = CONFIG, at_once: int | None = None) -> list[FanAnswer]:
    with fan.fan_out(config, "modal", requests, at_once=at_once) as answers:
        return list(answers)


def test_the_provider_names_it() -> None:
    assert SPEC.fan_out == "pointsman_modal.deploy.fan:fan_out"


def test_each_of_many_requests_is_answered_once(plane: ControlPlane) -> None:
    plane.calling.bodies["answer"] = says
    answers = run(ask(number) for number in range(200))
    assert sorted(answer.number for answer in answers) == list(range(200))
    assert all(answer.text == str(answer.number) for answer in answers)
    assert len({container for container, _ in plane.calling.served}) == CONTAINERS


def test_one_that_takes_long_holds_nobody_up(plane: ControlPlane) -> None:
    last = threading.Event()

    def slow(number: int, body: dict[str, Any]) -> dict[str, Any]:
        if number == 0:
            assert last.wait(10)
        return says(number, body)

    plane.calling.bodies["answer"] = slow
    got = []
    with fan.fan_out(CONFIG, "modal", [ask(number) for number in range(20)], at_once=4) as answers:
        for answer in answers:
            got.append(answer.number)
            if len(got) == 19:
                last.set()
    assert got[-1] == 0


FAILURES: dict[str, tuple[Callable[[int], Any], type[Exception]]] = {
    "timeout": (lambda _: modal.exception.FunctionTimeoutError("too long"), Unavailable),
    "lost": (lambda _: modal.exception.InternalFailure("lost track of input"), Unavailable),
    "died": (lambda _: Died("terminated by signal"), Unavailable),
    "bug": (lambda _: KeyError("x"), ProviderError),
    "no start": (lambda _: ServerFailed("no GPU"), Unavailable),
    "gone": (lambda n: {"number": n, "status": 404, "body": {"error": {"message": "model 'm' not found"}}}, ModelGone),
    "down": (lambda n: {"number": n, "status": 0, "body": {"error": {"message": "no server"}}}, Unavailable),
    "cut": (lambda n: {"number": n, "status": 200, "body": {"choices": []}}, StreamBroken),
    "older": (lambda n: {"number": n, "text": "hi"}, ProviderError),
}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    fates=st.lists(st.sampled_from(["fine", "fine", "fine", "refused", *FAILURES]), max_size=40),
    at_once=st.one_of(st.none(), st.integers(1, 10)),
)
def test_none_is_lost_and_none_comes_twice(plane: ControlPlane, fates: list[str], at_once: int | None) -> None:
    taken: set[int] = set()
    here = threading.get_ident()
    came: list[FanAnswer] = []

    def requests() -> Iterator[tuple[int, ChatRequest]]:
        for number, fate in enumerate(fates):
            out = {one for one in taken if fates[one] != "refused"} - {answer.number for answer in came}
            assert len(out) < (at_once or CONTAINERS * PARALLEL * fan.AHEAD)
            assert threading.get_ident() == here  # Who reads a file or a database from one thread can go on doing so.
            taken.add(number)
            yield ask(number, reasoning_effort="very" if fate == "refused" else None)

    def container(number: int, body: dict[str, Any]) -> Any:
        if fates[number] == "fine":
            return says(number, body)
        made = FAILURES[fates[number]][0](number)
        if isinstance(made, Exception):
            raise made
        return {"call": "fc-1", "seconds": 0.25, **made}

    plane.calling.bodies["answer"] = container
    with fan.fan_out(CONFIG, "modal", requests(), at_once=at_once) as answers:
        came.extend(answers)
    by_number = {answer.number: answer for answer in came}
    assert len(came) == len(by_number) == len(fates)
    silent = sorted(fate for fate in fates if fate in ("timeout", "lost", "died", "bug", "no start"))
    told = []
    for number, fate in enumerate(fates):
        answer = by_number[number]
        assert (answer.error is None) == (fate == "fine")
        if fate == "fine":
            assert answer.text == str(number)
        elif fate == "refused":
            assert isinstance(answer.error, InvalidRequest)
            assert answer.cost == Exact(0), "it was not sent"
        elif fate in silent:
            told.append(type(answer.error))
        else:
            assert isinstance(answer.error, FAILURES[fate][1])
            assert answer.error.target == Target("modal", "m")
    assert sorted(one.__name__ for one in told) == sorted(FAILURES[fate][1].__name__ for fate in silent)


def test_containers_that_all_die_do_not_eat_the_whole_file(plane: ControlPlane) -> None:
    """Modal does not say whose answer is lost; it is known when nobody else waits."""

    def die(number: int, body: dict[str, Any]) -> dict[str, Any]:
        raise Died("terminated by signal")

    plane.calling.bodies["answer"] = die
    taken: list[int] = []
    requests = (taken.append(number) or ask(number) for number in range(1000))
    with fan.fan_out(CONFIG, "modal", requests, at_once=8) as answers:
        first = next(answers)
    assert isinstance(first.error, Unavailable)
    assert "terminated by signal" in str(first.error)
    assert len(taken) <= 9


def test_who_was_lost_is_told_while_the_batch_goes_on(plane: ControlPlane) -> None:
    """A few of them, and the rest of those that are out is waited for."""

    both = threading.Barrier(2, action=(dead := threading.Event()).set)

    def die_at_first(number: int, body: dict[str, Any]) -> dict[str, Any]:
        if number < 2:
            both.wait(10)
            raise Died("terminated by signal")
        assert dead.wait(10)
        return says(number, body)

    plane.calling.bodies["answer"] = die_at_first
    answers = run((ask(number) for number in range(200)), at_once=8)
    places = {answer.number: place for place, answer in enumerate(answers)}
    assert len(places) == 200
    assert max(places[0], places[1]) < 50


def test_an_answer_costs_its_share_of_the_container(plane: ControlPlane) -> None:
    """The deployment says how many share it: the settings, which need not, would charge for each of them the whole."""
    assert CONFIG.parallel == 1
    plane.calling.bodies["answer"] = says
    config = CONFIG.model_copy(update={"price_per_second": Decimal("0.0004")})
    (answer,) = run([ask(1)], config)
    assert (answer.cost, answer.seconds) == (AtLeast("0.0001"), 0.5)
    assert run([ask(1)])[0].cost == Unknown


def test_what_it_did_before_it_failed_costs_too(plane: ControlPlane) -> None:
    plane.calling.bodies["answer"] = lambda number, body: {"number": number, "status": 500, "body": "", "seconds": 2}
    (answer,) = run([ask(1)], CONFIG.model_copy(update={"price_per_second": Decimal("0.0004")}))
    assert isinstance(answer.error, Unavailable)
    assert answer.cost == AtLeast("0.0004")


def test_a_prompt_that_was_cut_is_an_error(plane: ControlPlane) -> None:
    plane.calling.bodies["answer"] = says
    words = " ".join(str(number) for number in range(20_000))
    long = ChatRequest(messages=(user(words),), model="m")
    (answer,) = run([(1, long)])
    assert isinstance(answer.error, ContextOverflow)
    assert "cut the rest off" in answer.error.message
    (refused,) = run([(1, long)], CONFIG.model_copy(update={"context_tokens": 4096}))
    assert "context_tokens is 4096" in str(refused.error)


@pytest.mark.parametrize("scripted", ["text", "calls", "short"])
async def test_it_says_the_same_as_a_stream(
    plane: ControlPlane, lab: Lab, opened: Callable[..., Any], scripted: str
) -> None:
    """By the container's own code, on the lab's Ollama."""

    class Running(Server):
        alive = True

    call = ToolCall("call_1", "look", '{"at": "it"}')
    answer = {
        "text": Answer("so be it", reasoning="hm well"),
        "calls": Answer("", tool_calls=(call, replace(call, id="call_2", arguments="{}"))),
        "short": Answer("one two three"),
    }[scripted]
    model = {"id": "m", "capabilities": ["completion", "tools", "thinking"]}
    vendor = lab.vendor("modal", dialect=ModalEndpoint(), models=[model], default=answer)
    port = int(vendor.base_url.split(":")[2].partition("/")[0])
    server = Running(Deployment(port=port), models=None)  # type: ignore[arg-type]
    plane.calling.bodies["answer"] = lambda number, body: {"number": number, "call": "", **server.answer(body)}
    number, request = ask(7, tools=(Tool("look"),), max_tokens=2 if scripted == "short" else None, temperature=0.5)
    (fanned,) = await anyio.to_thread.run_sync(run, [(number, request)])
    async with opened(vendor.base_url) as session, session.stream(request) as events:
        streamed = FanAnswer.of(number, [event async for event in events], cost=fanned.cost, seconds=fanned.seconds)
    assert fanned == streamed
    assert fanned.error is None
    assert fanned.seconds > 0
    bodies = [asked.json for asked in vendor.requests]
    assert bodies[0].pop("stream") is False
    assert bodies[1].pop("stream") is True
    assert bodies[1].pop("stream_options") == {"include_usage": True}
    assert bodies[0] == bodies[1]


def test_leaving_early_ends_what_runs(plane: ControlPlane) -> None:
    begun, release = threading.Semaphore(0), threading.Event()
    ids: list[str] = []

    def stuck(number: int, body: dict[str, Any]) -> dict[str, Any]:
        begun.release()
        if number:
            release.wait(10)
        call = plane.requests("FunctionPutInputs")[-1].function_call_id
        ids.append(call)
        return {**says(number, body), "call": call}

    plane.calling.bodies["answer"] = stuck
    try:
        with fan.fan_out(CONFIG, "modal", (ask(number) for number in range(100)), at_once=5) as answers:
            assert next(answers).number == 0
    finally:
        release.set()
    assert plane.calling.cancelled == ids[:1]
    assert len(plane.calling.served) <= 6


def test_another_thread_can_end_what_somebody_waits_for(plane: ControlPlane) -> None:
    """As Ctrl-C does."""
    begun, release, told = threading.Semaphore(0), threading.Event(), threading.Event()

    def stuck(number: int, body: dict[str, Any]) -> dict[str, Any]:
        begun.release()
        if number:
            release.wait(10)
        return {**says(number, body), "call": plane.requests("FunctionPutInputs")[-1].function_call_id}

    plane.calling.bodies["answer"] = stuck
    context = fan.fan_out(CONFIG, "modal", (ask(number) for number in range(100)), at_once=5)
    answers, got = context.__enter__(), list[FanAnswer]()

    def read() -> None:
        for answer in answers:
            got.append(answer)
            told.set()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert told.wait(10)
        assert all(begun.acquire(timeout=10) for _ in range(6)), "the sixth has the place of the first"
        context.__exit__(None, None, None)
        assert plane.calling.cancelled
        reader.join(10)
    finally:
        release.set()
    assert not reader.is_alive()
    assert [answer.number for answer in got if answer.error is None] == [0]


def test_who_leaves_when_all_is_done_cancels_nothing(plane: ControlPlane) -> None:
    plane.calling.bodies["answer"] = says
    run([ask(1)])
    assert not plane.requests("FunctionCallCancel")


def test_requests_that_cannot_be_read_are_told_once_the_others_are_answered(plane: ControlPlane) -> None:
    plane.calling.bodies["answer"] = says

    def broken() -> Iterator[tuple[int, ChatRequest]]:
        yield ask(1)
        raise OSError("the disk is gone")

    got: list[int] = []
    with fan.fan_out(CONFIG, "modal", broken(), at_once=None) as answers:
        with pytest.raises(OSError, match="the disk is gone"):
            for answer in answers:
                got.append(answer.number)
    assert got == [1]


def test_who_waits_when_the_whole_batch_breaks_is_told(plane: ControlPlane) -> None:
    plane.calling.bodies["answer"] = says
    plane.fail("FunctionPutInputs", Status.PERMISSION_DENIED, "not any more")
    got: list[FanAnswer] = []
    with fan.fan_out(CONFIG, "modal", [ask(1), ask(2)], at_once=None) as answers:
        with pytest.raises(AuthFailed, match="not any more"):
            for answer in answers:
                got.append(answer)
    assert sorted(answer.number for answer in got) == [1, 2]
    assert all(isinstance(answer.error, Unavailable) for answer in got)


def test_nothing_deployed_is_said_on_entering(
    control_plane: ControlPlane, modal_client: modal.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fan, "client", lambda: modal_client)
    with pytest.raises(ConfigError, match="no app called mine is deployed") as raised:
        run([ask(1)], CONFIG.model_copy(update={"app": "mine"}))
    assert any("pointsman modal deploy" in note for note in raised.value.__notes__)


def test_an_account_that_is_refused_is_said_on_entering(
    control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    with control_plane.client(("ak-wrong", "as-wrong")) as wrong:
        monkeypatch.setattr(fan, "client", lambda: wrong)
        with pytest.raises(AuthFailed):
            run([ask(1)])


def test_usage_is_read(plane: ControlPlane) -> None:
    plane.calling.bodies["answer"] = says
    (answer,) = run([ask(1)])
    assert (answer.finish_reason, answer.usage) == ("stop", Usage(input_tokens=5, output_tokens=2))


BATCH = """
from pointsman import ChatRequest, user
from pointsman_modal import SPEC, ModalConfig
from pointsman_modal.deploy.fan import fan_out

config = ModalConfig(base_url="https://t--pointsman-ollama-serve.modal.run")
requests = ((number, ChatRequest(messages=(user(f"say {number}"),), model="m")) for number in range(5))
with fan_out(config, "modal", requests, at_once=2) as answers:
    print(sorted(answer.text for answer in answers))
"""


def test_a_program_needs_no_more_than_an_account(plane: ControlPlane) -> None:
    plane.calling.bodies["answer"] = says
    command, environment = [sys.executable, "-W", "error", "-c", BATCH], {**os.environ, **plane.environment}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.strip(), done.stderr) == ("['0', '1', '2', '3', '4']", "")


def test_who_has_no_account_is_told_how_to_get_one() -> None:
    with pytest.raises(ConfigError, match="no token of a Modal account is set") as raised:
        run([ask(1)])
    assert any("modal setup" in note for note in raised.value.__notes__)

"""`pointsman batch --on`: the same lines, on machines that a provider starts; here a pool of threads over the lab."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import Result

from pointsman import LedgerQuery, open_ledger
from pointsman_cli.batch.stopping import Stop
from pointsman_testing import Answer, Vendor

Invoke = Callable[..., Result]

FLEET = """
import json
import urllib.request
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import asynccontextmanager, contextmanager
from itertools import islice

from pydantic import BaseModel
from pointsman import Exact, FanAnswer, ProviderSpec, Terminal, Unavailable, Usage, hookimpl

class Config(BaseModel):
    base_url: str = "http://127.0.0.1:9/v1"
    api_key: str = "sk-a-key-that-nobody-may-see-4711"
    forgets: bool = False

def ask(config, number, request):
    body = {"model": request.model, "messages": [{"role": m.role, "content": m.text} for m in request.messages]}
    call = urllib.request.Request(config.base_url + "/chat/completions", json.dumps(body).encode(),
                                  {"authorization": f"Bearer {config.api_key}", "content-type": "application/json"})
    try:
        with urllib.request.urlopen(call) as answer:
            said = json.load(answer)
    except OSError as error:
        return FanAnswer(number=number, error=Unavailable(f"machine {number} failed: {error}", provider="fleet"))
    used = Usage(input_tokens=said["usage"]["prompt_tokens"], output_tokens=said["usage"]["completion_tokens"])
    return FanAnswer(number=number, text=said["choices"][0]["message"]["content"], finish_reason="stop", usage=used,
                     cost=Exact("0.001"), seconds=2.5)

@contextmanager
def fan_out(config, name, requests, *, at_once):
    with ThreadPoolExecutor(at_once) as pool:
        def answers():
            running = {pool.submit(ask, config, *one) for one in islice(requests, at_once)}
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for one in done:
                    if not config.forgets:
                        yield one.result()
                running |= {pool.submit(ask, config, *one) for one in islice(requests, len(done))}
        yield answers()

@asynccontextmanager
async def open_(config, context):
    yield None

@hookimpl
def pointsman_providers():
    return [ProviderSpec(name="fleet", config=Config, open=open_, terminal=Terminal.DONE_FIELD,
                         default_models=("m1",), fan_out="fleet_plugin:fan_out")]

@hookimpl
def pointsman_stream(connection):
    return connection.session
"""


REDACT = """
from pointsman import hookimpl

@hookimpl(wrapper=True)
def pointsman_stream(connection):
    return (yield)
"""


@pytest.fixture(autouse=True)
def _fleet(place: Path, a: Vendor, stranger: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    env = stranger({"pointsman.providers": {"fleet": "fleet_plugin"}}, fleet_plugin=FLEET)
    monkeypatch.delitem(sys.modules, "fleet_plugin", raising=False)
    monkeypatch.syspath_prepend(env["PYTHONPATH"])
    monkeypatch.setenv("PYTHONPATH", env["PYTHONPATH"])
    monkeypatch.setenv("POINTSMAN_FLEET_BASE_URL", a.base_url)
    monkeypatch.setenv("POINTSMAN_LEDGER_URL", f"sqlite:{place}/books/ledger.db")


def questions(count: int) -> None:
    lines = [json.dumps({"id": number, "prompt": f"question {number}"}) for number in range(1, count + 1)]
    Path("in.jsonl").write_text("\n".join(lines))


def results() -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path("in.results.jsonl").read_text().splitlines()]


def test_lines_go_to_the_machines_and_into_the_same_files(
    invoke: Invoke, a: Vendor, place: Path, valid: Callable[[str, Any], None]
) -> None:
    questions(7)
    done = invoke("batch", "in.jsonl", "--on", "fleet", "-c", "3", "--tag", "team=blue", "--task", "writing", "--json")
    assert done.exit_code == 0, done.output
    said = results()
    assert [one["line"] for one in said] == [*range(1, 8)]
    for one in said:
        valid("batch-result.json", one)
        assert one["reply"]["target"] == "fleet/m1"
        assert (one["cost"], one["reply"]["timings"]["e2e"]) == ({"usd": "0.001", "complete": True}, 2.5)
    assert json.loads(done.stdout)["cost"] == {"usd": "0.007", "complete": True}
    assert not [one for one in threading.enumerate() if "batch" in one.name]
    with open_ledger(f"sqlite:{place}/books/ledger.db") as ledger:
        rows = list(ledger.rows("calls", LedgerQuery()))
        attempts = list(ledger.rows("attempts", LedgerQuery()))
    assert [(row["provider"], row["model"], row["tags"], row["task"], row["outcome"]) for row in rows] == [
        ("fleet", "m1", {"team": "blue"}, "writing", "finished")
    ] * 7
    assert len(attempts) == 7
    shown = json.loads(invoke("costs", "--json").stdout)
    assert (shown["total"]["calls"], shown["total"]["cost"]["usd"]) == (7, "0.007")
    assert invoke("batch", "in.jsonl", "--on", "fleet", "--tag", "team=blue", "--task", "writing").exit_code == 0
    assert len(a.requests) == 7


def test_it_stops_at_a_cost_and_goes_on(invoke: Invoke, a: Vendor) -> None:
    questions(12)
    assert invoke("batch", "in.jsonl", "--on", "fleet", "-c", "1", "--max-cost", "0.003").exit_code == 5
    assert 3 <= len(results()) < 12
    assert invoke("batch", "in.jsonl", "--on", "fleet").exit_code == 0
    assert [one["sent"] for one in results()] == [1] * 12
    assert len(a.requests) == 12


def test_machines_that_hang_do_not_hold_up_who_wants_to_leave(invoke: Invoke, a: Vendor) -> None:
    questions(5)
    a.script(Answer("well"), *[Answer("late", wait=60.0)] * 2)
    command = [sys.executable, "-W", "error", "-m", "pointsman_cli", "batch", "in.jsonl", "--on", "fleet", "-c", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    while len(a.requests) < 3:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert b"Ctrl-C again" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"1 answered, 0 errors, 4 open" in told
    assert invoke("batch", "in.jsonl", "--on", "fleet").exit_code == 0
    assert sorted(one["sent"] for one in results()) == [1, 1, 1, 2, 2]


def test_a_machine_that_fails_is_the_line_s_error(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_FLEET_BASE_URL", "http://127.0.0.1:9/v1")
    questions(2)
    assert invoke("batch", "in.jsonl", "--on", "fleet").exit_code == 1
    assert [one["error"]["type"] for one in results()] == ["Unavailable"] * 2


def test_answers_that_never_come_leave_their_lines_open(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    questions(2)
    with monkeypatch.context() as patch:
        patch.setenv("POINTSMAN_FLEET_FORGETS", "true")
        done = invoke("batch", "in.jsonl", "--on", "fleet")
    assert done.exit_code == 1
    assert "it ended without an answer to 2 requests" in done.stderr
    assert invoke("batch", "in.jsonl", "--on", "fleet").exit_code == 0
    assert [one["sent"] for one in results()] == [2, 2]


ENDLESS = """
@contextmanager
def fan_out(config, name, requests, *, at_once):
    from pathlib import Path
    from threading import Event
    left = Event()

    def answers():
        next(requests)
        Path("asked").touch()
        left.wait()
        yield from ()

    yield answers()
    Path("left").touch()
    left.set()
"""


def test_whoever_is_interrupted_ends_what_the_machines_run(
    invoke: Invoke, stranger: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = FLEET.replace("fleet_plugin", "endless_plugin").replace(
        "@asynccontextmanager", ENDLESS + "\n@asynccontextmanager"
    )
    env = stranger({"pointsman.providers": {"fleet": "endless_plugin"}}, endless_plugin=endless)
    monkeypatch.delitem(sys.modules, "endless_plugin", raising=False)
    monkeypatch.syspath_prepend(env["PYTHONPATH"])

    async def at_once(stop: Stop, sending: anyio.CancelScope) -> None:
        """Two signals."""
        while not Path("asked").exists():
            await anyio.sleep(0.001)
        stop.interrupt()
        sending.cancel()

    monkeypatch.setattr("pointsman_cli.batch.run._heed", at_once)
    questions(3)
    assert invoke("batch", "in.jsonl", "--on", "fleet").exit_code == 130
    assert Path("left").exists()
    assert results() == []


@pytest.mark.parametrize(
    ("was", "is_", "kept"),
    [
        ("yield one.result()", "yield one.result(); raise __import__('asyncio').CancelledError('gone')", 1),
        ("seconds=2.5", "seconds=2.5 if number > 1 else 'x'", 2),
    ],
    ids=["cancelled", "no seconds"],
)
def test_what_breaks_the_machines_own_code_ends_it_and_what_was_answered_is_kept(
    invoke: Invoke,
    stranger: Callable[..., dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    was: str,
    is_: str,
    kept: int,
) -> None:
    broken = FLEET.replace(was, is_)
    env = stranger(
        {"pointsman.providers": {"fleet": "broken_plugin"}}, broken_plugin=broken.replace("fleet_pl", "broken_pl")
    )
    monkeypatch.delitem(sys.modules, "broken_plugin", raising=False)
    monkeypatch.syspath_prepend(env["PYTHONPATH"])
    questions(3)
    assert invoke("batch", "in.jsonl", "--on", "fleet", "-c", "3").exit_code == 1
    assert len(results()) == kept


@pytest.mark.parametrize(
    ("line", "args", "said"),
    [
        ({"prompt": "x", "model": "a/m1"}, ["--on", "fleet"], "--on fleet asks one model of fleet"),
        ({"prompt": "x"}, ["--on", "a"], "providers that have: fleet"),
        ({"prompt": "x"}, ["--on", "fleets"], "no provider is called 'fleets'"),
    ],
)
def test_what_no_machine_can_take_is_told(
    invoke: Invoke, a: Vendor, line: dict[str, str], args: list[str], said: str
) -> None:
    Path("in.jsonl").write_text(json.dumps(line))
    done = invoke("batch", "in.jsonl", *args)
    assert done.exit_code == 2
    assert said in done.stderr
    assert not a.requests


def test_what_a_wrapper_must_see_is_not_sent_past_it(
    invoke: Invoke, a: Vendor, stranger: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = {"pointsman.providers": {"fleet": "fleet_plugin"}, "pointsman.wrappers": {"redact": "redact_plugin"}}
    env = stranger(groups, fleet_plugin=FLEET, redact_plugin=REDACT)
    monkeypatch.syspath_prepend(env["PYTHONPATH"])
    a.script(Answer("never"))
    questions(1)
    done = invoke("batch", "in.jsonl", "--on", "fleet")
    assert done.exit_code == 2
    assert "redact would not see it" in done.stderr
    assert not a.requests

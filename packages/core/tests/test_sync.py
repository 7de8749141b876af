"""The synchronous client: the same answers, from any thread, and nothing that hangs or is left behind."""

from __future__ import annotations

import gc
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from functools import partial
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pointsman
from pointsman import (
    AllTargetsFailed,
    AttemptFailed,
    Client,
    ConfigError,
    Connection,
    Finished,
    Health,
    HealthState,
    InvalidRequest,
    NoCandidates,
    PluginError,
    Plugins,
    Settings,
    Started,
    Stream,
    StreamBroken,
    SyncStreamedReply,
    TextDelta,
    Unavailable,
    Usage,
    hookimpl,
    map_request,
)
from pointsman.engine import channel
from pointsman_testing import Hang, ScriptedProvider, Sleep


def client(*providers: ScriptedProvider, wrappers: dict[str, object] | None = None, **engine: object) -> Client:
    plugins = Plugins.of(providers={one.name: one for one in providers}, wrappers=wrappers)
    return Client(settings=Settings.of({"engine": {"retries": 0, **engine}}), plugins=plugins)


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "pointsman"]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    gc.collect()
    for thread in threads():
        thread.join(10)
    assert threads() == []


def test_a_whole_answer() -> None:
    with client(ScriptedProvider("a", "hello there")) as one:
        reply = one.chat("hi", model="a/scripted-1", tags={"team": "blue"})
    assert (reply.text, str(reply.target), reply.finish_reason) == ("hello there", "a/scripted-1", "stop")
    assert [type(event) for event in reply.events] == [TextDelta, TextDelta, Finished]
    assert [attempt.outcome for attempt in reply.attempts] == ["finished"]


def test_a_stream_and_all_that_it_says() -> None:
    a, b = ScriptedProvider("a", [Unavailable]), ScriptedProvider("b", "hello there")
    with client(a, b) as one:
        with one.stream("hi") as reply:
            assert isinstance(reply, SyncStreamedReply)
            kinds = [type(event) for event in reply.events]
            assert reply.text == "hello there"
        with one.stream("hi") as again:
            assert "".join(again.text_stream) == "ok"
            assert list(again.text_stream) == []
    assert kinds == [AttemptFailed, Started, TextDelta, TextDelta, Finished]
    assert reply.usage == Usage(input_tokens=1, output_tokens=2)
    assert reply.timings.ttft is not None
    assert reply.timings.ttft <= reply.timings.e2e
    assert [attempt.outcome for attempt in reply.attempts] == ["failed", "finished"]
    assert reply.decision.order[0] == reply.attempts[0].target


def test_errors_are_those_of_the_asynchronous_client() -> None:
    with client() as none, pytest.raises(NoCandidates), none.stream("hi"):
        raise AssertionError("it was entered")
    a, b = ScriptedProvider("a", default=[Unavailable]), ScriptedProvider("b", default=["one", StreamBroken])
    with client(a, b) as one:
        with pytest.raises(AllTargetsFailed):
            one.chat("hi")
        with one.stream("hi", model="b/scripted-1") as reply, pytest.raises(StreamBroken) as caught:
            list(reply.text_stream)
        assert caught.value.partial == "one"
        with one.stream("hi", on_break="restart") as reply, pytest.raises(InvalidRequest, match="iterate events"):
            _ = reply.text_stream
        with pytest.raises(InvalidRequest):
            one.chat("hi", max_tokens=-1)
        with one.stream("hi", model="b/scripted-1") as reply, pytest.raises(StreamBroken):
            reply.collect()


@pytest.mark.parametrize("leave", ["break", "raise", "return"])
def test_leaving_early_closes_everything(leave: str) -> None:
    a = ScriptedProvider("a", default=["one", Hang()])

    def read(one: Client) -> None:
        with one.stream("hi") as reply:
            for _ in reply.text_stream:
                if leave == "raise":
                    raise OverflowError
                if leave == "return":
                    return
                break

    with client(a) as one:
        try:
            read(one)
        except OverflowError:
            assert leave == "raise"
        assert a.open_calls == []
        assert [call.cancelled for call in a.calls] == [True]
    assert a.connections == 0


def test_reading_after_leaving_says_so() -> None:
    with client(ScriptedProvider("a", ["one", Hang()])) as one:
        with one.stream("hi") as reply:
            assert next(reply.text_stream) == "one"
        with pytest.raises(ConfigError, match="has been left"):
            list(reply.events)


def test_pointsman_chat_closes_after_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    a = ScriptedProvider("a", "hello there")
    made = Plugins.of(providers={"a": a})
    monkeypatch.setattr("pointsman.plugins.Plugins.installed", lambda **_: made)
    assert pointsman.chat("Write a haiku", model="a/scripted-1").text == "hello there"
    assert (a.connections, threads()) == (0, [])


async def test_inside_a_running_loop() -> None:
    """As in a notebook: the loop that runs there stands still meanwhile, and is not touched."""
    with client(ScriptedProvider("a", default="hello there")) as one:
        assert one.chat("hi").text == "hello there"
        with one.stream("hi") as reply:
            assert "".join(reply.text_stream) == "hello there"
        assert (await anyio.to_thread.run_sync(one.chat, "hi")).text == "hello there"


@pytest.mark.parametrize("window", [2, channel.WINDOW])
def test_sixteen_threads_do_not_mix(window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "WINDOW", window)
    monkeypatch.setattr("pointsman.engine.runner.WINDOW", window)
    a = ScriptedProvider("a", default=lambda request: f"{request.messages[0].text} " * 600)

    def ask(number: int) -> bool:
        if number % 2:
            return one.chat(f"n{number}").text == f"n{number} " * 600
        with one.stream(f"n{number}") as reply:
            return "".join(reply.text_stream) == f"n{number} " * 600

    with client(a) as one, ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(64)))
    assert a.open_calls == []


@given(st.lists(st.tuples(st.integers(1, 700), st.booleans()), max_size=6), st.booleans())
def test_whatever_the_pace_nothing_is_lost(bursts: list[tuple[int, bool]], sleepy: bool) -> None:
    """The provider pauses between bursts; the reader is as fast as it can, or falls behind."""
    words: list[str] = []
    script: list[Any] = []
    for size, pause in bursts:
        for _ in range(size):
            words.append(f"{len(words)} ")
            script.append(words[-1])
        if pause:
            script.append(Sleep(0.001))
    a = ScriptedProvider("a", [*script, Finished("stop")])
    got: list[str] = []
    with client(a) as one, one.stream("hi") as reply:
        for text in reply.text_stream:
            got.append(text)
            if sleepy and len(got) % 300 == 0:
                time.sleep(0.002)
    assert got == words


def test_a_reader_that_is_behind_pauses_the_provider() -> None:
    told = 0

    class Counting:
        @hookimpl(wrapper=True)
        def pointsman_stream(self, connection: Connection[Any]) -> Generator[None, Stream, Stream]:
            inner = yield

            def count(event: Any) -> Any:
                nonlocal told
                told += 1
                return event

            return pointsman.map_events(inner, count)

    a = ScriptedProvider("a", "word " * 5_000)
    with client(a, wrappers={"counting": Counting()}) as one, one.stream("hi") as reply:
        texts = reply.text_stream
        next(texts)
        time.sleep(0.2)
        assert told <= channel.WINDOW + 2
        assert len(list(texts)) == 4_999


def test_two_readers_of_one_reply_are_refused() -> None:
    with client(ScriptedProvider("a", ["one", Hang()])) as one, one.stream("hi") as reply:
        first = reply.text_stream
        assert next(first) == "one"
        failed: list[Exception] = []

        def wait() -> None:
            try:
                next(first)
            except Exception as error:
                failed.append(error)

        waiting = threading.Thread(target=wait)
        waiting.start()
        while not reply._call.channel._turn.locked():
            time.sleep(0.001)
        with pytest.raises(ConfigError, match="read already"):
            next(reply.text_stream)
        one.close()
        waiting.join(10)
        assert "closed under this stream" in str(failed[0])


def test_closing_ends_what_others_wait_for() -> None:
    a = ScriptedProvider("a", default=["one", Hang()])
    one = client(a)
    failed: list[str] = []

    def expect(act: Callable[[], object]) -> None:
        try:
            act()
        except ConfigError as error:
            failed.append(str(error))

    def read() -> None:
        with one.stream("hi") as reply:
            list(reply.events)

    waiting = [threading.Thread(target=expect, args=[act]) for act in (read, lambda: one.chat("hi"))]
    for thread in waiting:
        thread.start()
    while len(a.open_calls) < 2:
        time.sleep(0.001)
    one.close()
    for thread in waiting:
        thread.join(10)
    assert len(failed) == 2
    assert all("the client was closed" in text for text in failed)
    assert (a.open_calls, a.connections) == ([], 0)
    one.close()
    with pytest.raises(ConfigError, match="this client is closed"):
        one.chat("hi")


def test_closing_before_anything_was_asked() -> None:
    one = client(ScriptedProvider("a"))
    one.close()
    assert threads() == []
    with pytest.raises(ConfigError, match="this client is closed"), one:
        raise AssertionError("it was entered")


def test_what_cannot_be_opened_is_told_and_leaves_no_thread() -> None:
    class Broken:
        @property
        def pointsman_stream(self) -> None:
            raise RuntimeError("no")

    one = client(ScriptedProvider("a"), wrappers={"broken": Broken()})
    for _ in range(3):
        with pytest.raises(PluginError, match="broken"), one:
            raise AssertionError("it was entered")
        for thread in threads():  # The next finds it gone.
            thread.join(10)


def test_a_plugin_that_calls_its_own_client_is_told() -> None:
    class Calling:
        @hookimpl(wrapper=True)
        def pointsman_stream(self, connection: Connection[Any]) -> Generator[None, Stream, Stream]:
            inner = yield
            return map_request(inner, lambda request: one.chat("hi") and request)

    with client(ScriptedProvider("a"), wrappers={"calling": Calling()}) as one:
        with pytest.raises(ConfigError, match="cannot call the client that runs it"):
            one.chat("hi")


def test_a_plugin_that_ends_the_loop_leaves_nobody_waiting() -> None:
    def leave(request: object) -> Any:
        raise SystemExit(3)

    one = client(ScriptedProvider("a", default=leave))
    with pytest.raises(BaseExceptionGroup) as caught:
        one.chat("hi")
    assert caught.value.subgroup(SystemExit) is not None
    for thread in threads():
        thread.join(10)
    with pytest.raises(ConfigError, match="this client is closed"):
        one.chat("hi")


class Odd(BaseException):
    """Such as those of gevent and of pytest: no `Exception`."""


def test_whatever_a_plugin_raises_the_reader_is_not_left_waiting() -> None:
    with client(ScriptedProvider("a", default=["one", Odd])) as one, one.stream("hi") as reply:
        with pytest.raises(PluginError, match="raised Odd"):
            list(reply.text_stream)


def test_a_thread_that_cannot_start_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    one = client(ScriptedProvider("a", "hello"))

    def refuse(self: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start"):
            one.chat("hi")
    assert one.chat("hi").text == "hello"
    one.close()


def test_ctrl_c_while_the_thread_starts_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    one = client(ScriptedProvider("a", "hello"))
    start = threading.Thread.start

    def interrupted(self: threading.Thread) -> None:
        start(self)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            one.chat("hi")
    assert one.chat("hi").text == "hello"
    one.close()
    assert threads() == []


def test_closing_beside_the_first_call_leaves_no_thread() -> None:
    for _ in range(60):
        one = client(ScriptedProvider("a", default="ok"))
        said: list[str] = []

        def ask(one: Client = one, said: list[str] = said) -> None:
            try:
                said.append(one.chat("hi").text)
            except ConfigError as error:
                said.append(str(error))

        asking = [threading.Thread(target=ask) for _ in range(3)]
        for thread in asking:
            thread.start()
        one.close()
        for thread in asking:
            thread.join(10)
        known = {"ok", "this client is closed", "the client was closed while this call was under way"}
        assert len(said) == 3
        assert {text if "under this stream" not in text else "ok" for text in said} <= known


def test_context_variables_come_along() -> None:
    trace: ContextVar[str] = ContextVar("trace", default="none")
    seen: list[str] = []

    def look(request: object) -> str:
        seen.append(trace.get())
        return "ok"

    with client(ScriptedProvider("a", default=look)) as one:
        one.chat("hi")
        trace.set("t-1")
        one.chat("hi")
        with one.stream("hi") as reply:
            reply.collect()
    assert seen == ["none", "t-1", "t-1"]


def test_context_variables_are_the_caller_s_where_threads_inherit_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """As they do where OpenTelemetry instruments threads, and in Python without a global lock from 3.14 on."""
    trace: ContextVar[str] = ContextVar("trace", default="none")
    seen: list[str] = []
    start = threading.Thread.start

    def start_in_context(thread: threading.Thread) -> None:
        thread.run = partial(copy_context().run, thread.run)  # type: ignore[method-assign]
        start(thread)

    def look(request: object) -> str:
        seen.append(trace.get())
        return "ok"

    monkeypatch.setattr(threading.Thread, "start", start_in_context)
    opening = trace.set("opening")
    with client(ScriptedProvider("a", default=look)) as one:
        trace.reset(opening)
        one.chat("hi")
        trace.set("t-1")
        one.chat("hi")
    assert seen == ["none", "t-1"]


def test_health_models_and_decisions() -> None:
    a = ScriptedProvider("a", models=("m1", "m2"), health=Health(HealthState.COLD, "it sleeps"))
    with client(a) as one:
        assert one.health("a") == a.health
        assert [model.id for model in one.models("a")] == ["m1", "m2"]
        assert [str(target) for target in one.decide("hi").order] == ["a/m1", "a/m2"]
        assert one.roster.names == ["a"]
        with pytest.raises(ConfigError, match="no provider is called"):
            one.health("b")


def test_one_that_nobody_closed_warns_once_and_ends() -> None:
    a = ScriptedProvider("a")
    one = client(a)
    one.chat("hi")
    with pytest.warns(ResourceWarning, match="unclosed") as warned:
        del one
    assert len(warned) == 1
    for thread in threads():
        thread.join(10)
    assert a.connections == 0


# Whole programs ------------------------------------------------------------------------------------------------------

PROGRAM = """
import contextlib, os, sys, threading, time
from pointsman import Client, ConfigError, Plugins, Settings
from pointsman_testing import Hang, ScriptedProvider
a = ScriptedProvider("a", default=["one", Hang()])
b = ScriptedProvider("b", default=lambda request: time.sleep(60))
c = ScriptedProvider("c")
one = Client(settings=Settings.of(), plugins=Plugins.of(providers={"a": a, "b": b, "c": c}))
def later(act):
    def run():
        with contextlib.suppress(ConfigError):  # The client was closed.
            act()
    threading.Thread(target=run, daemon=True).start()
    time.sleep(0.3)
"""


def program(text: str, *, dev: bool = True) -> subprocess.Popen[str]:
    command = [sys.executable, *(["-X", "dev"] if dev else []), "-W", "always", "-c", PROGRAM + textwrap.dedent(text)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        ("", 0),
        ("one.close()", 0),
        ("one.chat('hi', model='c/scripted-1')", 1),
        ("one.chat('hi', model='c/scripted-1'); del one", 1),
        ("one.chat('hi', model='c/scripted-1'); one.me = one; del one", 1),
        ("with one.stream('hi', model='a/scripted-1') as reply: next(reply.text_stream); sys.exit()", 1),
        ("held = one.stream('hi', model='a/scripted-1'); reply = held.__enter__(); next(reply.text_stream)", 1),
        ("later(lambda: one.chat('hi', model='a/scripted-1'))", 1),
        ("later(lambda: one.chat('hi', model='b/scripted-1'))", 1),  # Its event loop is blocked.
    ],
)
def test_an_exit_without_closing(text: str, warnings: int) -> None:
    with program(text) as process:
        stdout, stderr = process.communicate(timeout=40)
    assert (process.returncode, stdout) == (0, "")
    assert len(re.findall("ResourceWarning: .*Client", stderr)) == warnings, stderr
    assert stderr.count("ResourceWarning") <= 3 * warnings, "each says where it stands, and how to learn more"
    assert "Traceback" not in stderr


def test_a_forked_child_is_told() -> None:
    text = """
    one.chat("hi", model="c/scripted-1")
    if child := os.fork():
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        one.close()
    else:
        try:
            one.chat("hi", model="c/scripted-1")
        except Exception as error:
            print(error, flush=True)
            sys.exit(5)
    """
    with program(text, dev=False) as process:
        stdout, _ = process.communicate(timeout=40)
    assert stdout.splitlines() == ["this client was made before the process was forked: make one in each process", "5"]


def test_a_child_that_was_forked_inside_a_stream_can_leave_it() -> None:
    text = """
    with one.stream("hi", model="a/scripted-1") as reply:
        texts = reply.text_stream
        next(texts)
        if not (child := os.fork()):
            try:
                next(texts)
            except ConfigError as error:
                print(error, flush=True)
            sys.exit(5)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    one.close()
    """
    with program(text, dev=False) as process:
        stdout, _ = process.communicate(timeout=40)
    assert stdout.splitlines() == [
        "this stream was begun before the process was forked: nobody fills it here",
        "5",
    ]


@pytest.mark.parametrize("act", ["one.chat('hi', model='a/scripted-1')", "list(reply.text_stream)"])
def test_ctrl_c_while_waiting_ends_the_call(act: str) -> None:
    text = f"""
    with one, one.stream("hi", model="a/scripted-1") as reply:
        next(reply.text_stream)
        print("ready", flush=True)
        try:
            {act}
        except KeyboardInterrupt:
            print("interrupted")
        while len(a.open_calls) > 1:
            time.sleep(0.01)
    print(a.open_calls, [call.cancelled for call in a.calls])
    """
    with program(text) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=40)
    assert (process.returncode, stderr) == (0, "")
    calls = 2 if "chat" in act else 1
    assert stdout.splitlines() == ["interrupted", f"[] {[True] * calls}"]

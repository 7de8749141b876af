"""The client's own duties: what is opened once, what sinks are told, and what is refused."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import anyio
import pytest

from pointsman import (
    AsyncClient,
    AttemptRecord,
    AuthFailed,
    CallRecord,
    Client,
    ConfigError,
    Connection,
    DeadlineExceeded,
    Exact,
    Finished,
    Health,
    HealthState,
    InvalidRequest,
    NoCandidates,
    PluginError,
    Plugins,
    PriceAttempt,
    ServerTimings,
    Settings,
    Sink,
    StreamBroken,
    Target,
    Timings,
    Tool,
    Unavailable,
    hookimpl,
)
from pointsman_testing import Hang, ScriptedConfig, ScriptedProvider, Sleep


class Recorder:
    """A sink that keeps what it receives, and fails at every second record if it is told to."""

    def __init__(self, *, failing: bool = False) -> None:
        self.records: list[AttemptRecord | CallRecord] = []
        self.failing = failing

    @hookimpl
    def pointsman_sinks(self) -> Sequence[Sink]:
        return [self.take]

    def take(self, record: AttemptRecord | CallRecord) -> None:
        self.records.append(record)
        if self.failing:
            raise OSError("the disk is full")


def client(*providers: ScriptedProvider, sinks: dict[str, object] | None = None) -> AsyncClient:
    plugins = Plugins.of(providers={one.name: one for one in providers}, sinks=sinks)
    return AsyncClient(settings=Settings.of({"engine": {"retries": 0}}), plugins=plugins)


async def test_sinks_are_told_of_each_attempt_and_then_of_the_call() -> None:
    sink = Recorder()
    a, b = ScriptedProvider("a", [Unavailable]), ScriptedProvider("b", "hello there")
    async with client(a, b, sinks={"keep": sink}) as one:
        reply = await one.chat("hi", tags={"team": "blue"})
    first, second, call = sink.records
    assert isinstance(first, AttemptRecord)
    assert isinstance(second, AttemptRecord)
    assert isinstance(call, CallRecord)
    assert (first.outcome, second.outcome, call.outcome) == ("failed", "finished", "finished")
    assert call.attempts == (first, second) == reply.attempts
    assert call.tags == {"team": "blue"}
    assert call.cost == reply.cost
    assert first.call_id == second.call_id == call.call_id
    assert "hello" not in repr(sink.records), "no text of prompts or answers"


@pytest.mark.parametrize(("script", "outcome"), [([StreamBroken], "failed"), (["one", Hang()], "cancelled")])
async def test_calls_that_end_otherwise_are_told_too(script: Any, outcome: str) -> None:
    sink = Recorder()
    async with client(ScriptedProvider("a", script), sinks={"keep": sink}) as one:
        try:
            async with one.stream("hi") as reply:
                async for _ in reply.text_stream:
                    break
        except StreamBroken:
            assert outcome == "failed"
    assert [type(record) for record in sink.records] == [AttemptRecord, CallRecord]
    assert [record.outcome for record in sink.records] == [outcome, outcome]


class Watcher(Recorder):
    """A sink that is told when calls begin, too."""

    def __init__(self, *, failing: bool = False) -> None:
        super().__init__(failing=failing)
        self.begun: list[tuple[str, str]] = []

    @hookimpl
    def pointsman_sinks(self) -> Sequence[Sink]:
        return [self]

    __call__ = Recorder.take

    def started(self, call_id: str) -> None:
        self.begun.append((call_id, TRACE.get()))
        if self.failing:
            raise OSError("the disk is full")


TRACE: ContextVar[str] = ContextVar("trace", default="none")


@pytest.mark.parametrize("script", ["hello", [Unavailable], ["one", Hang()]])
async def test_a_sink_that_wants_to_know_is_told_when_a_call_begins(script: Any) -> None:
    """In the context of the caller; and the record of the call follows, whatever becomes of it."""
    sink, provider = Watcher(), ScriptedProvider("a", script)
    async with client(provider, sinks={"watch": sink}) as one:
        TRACE.set("t-1")
        try:
            async with one.stream("hi") as reply:
                assert (sink.begun, sink.records) == ([(reply.call_id, "t-1")], [])
                async for _ in reply.text_stream:
                    break
        except Unavailable:
            assert script == [Unavailable]
        with pytest.raises(InvalidRequest, match="does not embed"):
            await one.embed("hi", model="a/scripted-1")
        calls = [record for record in sink.records if isinstance(record, CallRecord)]
        assert [call.operation for call in calls] == ["chat", "embeddings"]
        assert [call_id for call_id, _ in sink.begun] == [call.call_id for call in calls]


async def test_a_sink_that_fails_when_a_call_begins_is_said_once_and_never_felt(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sink = Watcher(failing=True)
    async with client(ScriptedProvider("a", default="hello"), sinks={"bad": sink}) as one:
        assert [(await one.chat("hi")).text for _ in range(2)] == ["hello"] * 2
    assert len(sink.begun) == 2
    first, last = [record.getMessage() for record in caplog.records]
    assert first.startswith("the sink 'bad' failed")
    assert last == "the sink 'bad' failed to take 6 records"


async def test_a_sink_that_fails_is_said_once_and_counted_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    bad = Recorder(failing=True)
    async with client(ScriptedProvider("a", default="hello"), sinks={"bad": bad}) as one:
        for _ in range(3):
            await one.chat("hi")
        (said,) = caplog.records
        assert said.exc_info is not None
        assert "'bad'" in said.getMessage()
    assert [record.getMessage() for record in caplog.records[1:]] == ["the sink 'bad' failed to take 6 records"]


async def test_a_sink_that_fails_costs_nothing_but_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    good, bad = Recorder(), Recorder(failing=True)
    with caplog.at_level(logging.ERROR, "pointsman"):
        async with client(ScriptedProvider("a", "hello"), sinks={"bad": bad, "good": good}) as one:
            assert (await one.chat("hi")).text == "hello"
    assert len(good.records) == len(bad.records) == 2
    assert "'bad'" in caplog.text


async def test_a_provider_is_opened_once_and_kept_until_the_client_closes() -> None:
    a = ScriptedProvider("a")
    async with client(a) as one:
        assert a.connections == 0, "nothing is opened before it is needed"
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(one.chat, "hi")
        assert a.connections == 1
    assert a.connections == 0


async def test_a_failed_open_is_tried_anew() -> None:
    a = ScriptedProvider("a")
    opened = a.spec.open
    fail = True

    @asynccontextmanager
    async def flaky(config: Any, context: Any, /) -> AsyncGenerator[Any]:
        if fail:
            raise OSError("no route")
        async with opened(config, context) as session:
            yield session

    object.__setattr__(a.spec, "open", flaky)
    async with client(a) as one:
        with pytest.raises(PluginError, match="no route"):
            await one.chat("hi")
        fail = False
        assert (await one.chat("hi")).text == "ok"


async def test_connect_hands_out_what_a_provider_can_do() -> None:
    provider = ScriptedProvider("a", models=["m"])
    async with client(provider) as one:
        hooks = await one.connect("a")
        assert (await hooks.health()).state is HealthState.UP
        assert [model.id for model in await hooks.models()] == ["m"]
        assert hooks.session is provider  # What its `open` yields, for what no hook asks about.


async def test_a_decision_can_be_had_without_asking_anyone() -> None:
    a, b = ScriptedProvider("a"), ScriptedProvider("b", capabilities=["vision"])
    one = client(a, b)
    decision = one.decide("hi", require=["vision"])
    assert [str(target) for target in decision.order] == ["b/scripted-1"]
    assert "a/scripted-1: cannot do vision" in decision.explain()
    with pytest.raises(NoCandidates, match="cannot do telepathy"):
        one.decide("hi", require=["telepathy"])


@pytest.mark.parametrize("door", [AsyncClient, Client])
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"settings": {"engine": {}}}, "settings is pointsman.Settings.of({...}), not a dict"),
        ({"plugins": []}, "plugins is pointsman.Plugins.installed() or pointsman.Plugins.of(...), not a list"),
        ({"settings": Settings}, "settings is pointsman.Settings.of({...}), not the class Settings"),
    ],
)
def test_what_is_handed_in_instead_of_settings_is_named(door: Any, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        door(**given)
    assert str(caught.value) == said


async def test_a_setting_that_is_taken_for_an_option_is_told_where_it_is_set() -> None:
    said = r"no option 'hedge': it is a setting of \[engine\], for all calls of a client \(hedge = \.\.\.\)"
    async with client(ScriptedProvider("a")) as one:
        with pytest.raises(InvalidRequest, match=said):
            await one.chat("hi", hedge=0.5)  # type: ignore[call-arg]
        with pytest.raises(InvalidRequest, match=said):
            one.decide("hi", hedge=0.5)  # type: ignore[call-arg]


async def test_a_capability_that_nobody_has_heard_of_is_told_with_what_was_meant() -> None:
    async with client(ScriptedProvider("a")) as one:
        with pytest.raises(NoCandidates, match=r"no capability 'prefil': there are .*; did you mean 'prefill'\?"):
            await one.chat("hi", require=["prefil"])
        with pytest.raises(NoCandidates) as caught:
            await one.chat("hi", require=["vision"])
    assert "no capability" not in str(caught.value)


async def test_a_pinned_target_is_not_asked_for_what_it_cannot_do() -> None:
    """It would leave out the tools, and nobody would know."""
    a, b = ScriptedProvider("a"), ScriptedProvider("b", capabilities=["tools"])
    async with client(a, b) as one:
        with pytest.raises(NoCandidates, match="a/scripted-1: cannot do tools"):
            await one.chat("hi", model="a/scripted-1", tools=[Tool("f", "does", {})])
        reply = await one.chat("hi", model=["a/scripted-1", "b/scripted-1"], tools=[Tool("f", "does", {})])
    assert reply.target == Target("b", "scripted-1")
    assert reply.decision.policy == "pinned"
    assert not a.calls


@pytest.mark.parametrize("model", ["a/scripted-1", None])
async def test_who_knows_better_what_a_server_can_do_is_told_where_to_say_so(model: str | None) -> None:
    class Config(ScriptedConfig, frozen=True):
        capabilities: frozenset[str] = frozenset()

    a = ScriptedProvider("a")
    a.spec = replace(a.spec, config=Config)
    async with client(a) as one:
        with pytest.raises(NoCandidates) as caught:
            await one.chat("hi", model=model, tools=[Tool("f", "does", {})], require=["telepathy"])
    assert str(caught.value).endswith('\n  if a can after all, say so: capabilities = ["tools"] under [providers.a]')
    async with client(ScriptedProvider("a")) as one:
        with pytest.raises(NoCandidates) as caught:
            await one.chat("hi", model=model, tools=[Tool("f", "does", {})])
    assert "capabilities =" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "environ", "origin"),
    [
        ({"routing": {"policy": "cheapest"}}, {}, "argument"),
        ({}, {"POINTSMAN_ROUTING_POLICY": "cheapest"}, "environment POINTSMAN_ROUTING_POLICY"),
    ],
)
def test_a_policy_that_is_not_there_is_told_with_the_place_that_names_it(
    table: dict[str, Any], environ: dict[str, str], origin: str
) -> None:
    plugins = Plugins.of(providers={"a": ScriptedProvider("a")})
    one = AsyncClient(settings=Settings.of(table, environ), plugins=plugins)
    with pytest.raises(ConfigError) as caught:
        one.decide("hi")
    assert str(caught.value).startswith(f"[routing] policy (from {origin}): no policy is called 'cheapest'")


async def test_a_client_that_is_not_open_says_how_to_open_it() -> None:
    one = client(ScriptedProvider("a"))
    with pytest.raises(ConfigError, match="async with"):
        await one.chat("hi")
    async with one:
        with pytest.raises(ConfigError, match="open already"):
            await one.__aenter__()
    with pytest.raises(ConfigError, match="async with"):
        await one.chat("hi")


async def test_a_stream_that_nobody_entered_says_how_to() -> None:
    async with client(ScriptedProvider("a")) as one:
        with pytest.raises(AttributeError) as caught:
            _ = one.stream("hi").text_stream  # type: ignore[attr-defined]
    assert str(caught.value) == (
        "a stream is not open yet, so that it has no text_stream: use `async with client.stream(...) as reply:`"
    )
    with (
        Client(settings=Settings.of({}), plugins=Plugins.of(providers={"a": ScriptedProvider("a")})) as two,
        pytest.raises(AttributeError, match=r"it has no collect: use `with client\.stream\(\.\.\.\) as reply:`"),
    ):
        two.stream("hi").collect()  # type: ignore[attr-defined]


async def test_an_open_that_hangs_does_not_hold_up_the_close() -> None:
    a = ScriptedProvider("a")

    @asynccontextmanager
    async def never(config: Any, context: Any, /) -> AsyncGenerator[Any]:
        await anyio.sleep_forever()
        yield

    object.__setattr__(a.spec, "open", never)
    with anyio.fail_after(3):
        async with client(a) as one:
            with pytest.raises(DeadlineExceeded):
                await one.chat("hi", deadline=0.05)


async def test_each_waiter_of_a_failed_open_gets_an_error_of_its_own() -> None:
    a = ScriptedProvider("a", models=["m1", "m2"])

    @asynccontextmanager
    async def broken(config: Any, context: Any, /) -> AsyncGenerator[Any]:
        await anyio.sleep(0.01)
        raise OSError("no route")
        yield

    object.__setattr__(a.spec, "open", broken)
    told: dict[str, str] = {}
    async with client(a) as one, anyio.create_task_group() as group:

        async def ask(model: str) -> None:
            with pytest.raises(PluginError) as caught:
                await one.chat("hi", model=model)
            told[model] = str(caught.value.target)

        for model in ("a/m1", "a/m2"):
            group.start_soon(ask, model)
    assert told == {"a/m1": "a/m1", "a/m2": "a/m2"}


@pytest.mark.parametrize("script", [[Hang()], ["one", Hang()], [Unavailable]])
async def test_closing_the_client_ends_the_streams_that_others_read(script: Any) -> None:
    a = ScriptedProvider("a", script, default=[Unavailable])
    plugins = Plugins.of(providers={"a": a})
    one = AsyncClient(settings=Settings.of({"engine": {"retries": 100}}), plugins=plugins)
    reading = anyio.Event()

    async def read() -> None:
        async with one.stream("hi") as reply:
            reading.set()
            with pytest.raises(ConfigError, match="client was closed under this stream"):
                async for _ in reply.events:
                    pass
            asked = len(a.calls)
            await anyio.sleep(0.05)
            assert len(a.calls) == asked, "nobody is asked any more"

    async with anyio.create_task_group() as group:
        async with one:
            group.start_soon(read)
            await reading.wait()
            await anyio.wait_all_tasks_blocked()
        assert (a.open_calls, a.connections) == ([], 0)


async def test_closing_the_client_takes_no_answer_away() -> None:
    async with anyio.create_task_group() as group:
        async with client(ScriptedProvider("a", "one two")) as one:
            heard = anyio.Event()

            async def read() -> None:
                async with one.stream("hi") as reply:
                    while reply.finish_reason is None:
                        await anyio.sleep(0)
                    heard.set()
                    await anyio.sleep(0.01)
                    assert (await reply.collect()).text == "one two"

            group.start_soon(read)
            await heard.wait()


async def test_what_the_server_measured_is_handed_on() -> None:
    said = ServerTimings(load=2.5, output=1.0, first_token=2.75)
    seen: list[Timings | None] = []

    class Listening:
        @hookimpl(wrapper=True)
        def pointsman_cost(self, connection: Connection[Any]) -> Generator[None, Any, PriceAttempt]:
            yield
            return lambda target, usage, timings: seen.append(timings) or Exact(0)

    a = ScriptedProvider("a", ["hi", Finished("stop", server=said)])
    plugins = Plugins.of(providers={"a": a}, wrappers={"listening": Listening()})
    async with AsyncClient(settings=Settings.of(), plugins=plugins) as one:
        reply = await one.chat("hi")
    assert reply.timings.server == reply.attempts[0].server == said
    assert [timings and timings.server for timings in seen] == [said]


async def test_a_provider_s_cold_start_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    a = ScriptedProvider("a", [Sleep(0.2), "there", Finished("stop")])
    monkeypatch.setattr("pointsman.engine.machine.PATIENCE_WITH_LAST", 0.05)
    a.spec = replace(a.spec, cold_start=60.0)
    async with client(a) as one:
        assert (await one.chat("hi")).text == "there"


async def test_a_key_in_a_vendor_s_report_is_not_shown() -> None:
    key = "sk-0123456789abcdef"
    refused = AuthFailed(f"{key} is not known here")
    a = ScriptedProvider("a", health=Health(HealthState.DOWN, f"the key {key} is wrong", error=refused))
    settings = Settings.of({"providers": {"a": {"api_key": key}}})
    async with AsyncClient(settings=settings, plugins=Plugins.of(providers={"a": a})) as one:
        found = await (await one.connect("a")).health()
    assert "[redacted]" in found.reason
    assert found.error is refused
    assert key not in f"{found.reason} {refused} {refused!r} {refused.args}"


@pytest.mark.parametrize("name", ["engine", "", "a/b", "a\nb", "\x1b[31mx", "ä"])
def test_a_provider_s_name_is_one_that_can_be_named(name: str) -> None:
    with pytest.raises(ConfigError, match=r"name|section"):
        Settings.of({"providers": {name: {"plugin": "openai-compatible"}}})

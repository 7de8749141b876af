"""The client's own duties: what is opened once, what sinks are told, and what is refused."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from pointsman import (
    AsyncClient,
    AttemptRecord,
    CallRecord,
    ConfigError,
    HealthState,
    NoCandidates,
    PluginError,
    Plugins,
    Settings,
    Sink,
    StreamBroken,
    Unavailable,
    hookimpl,
)
from pointsman_testing import Hang, ScriptedProvider


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
    async with client(ScriptedProvider("a", models=["m"])) as one:
        hooks = await one.connect("a")
        assert (await hooks.health()).state is HealthState.UP
        assert [model.id for model in await hooks.models()] == ["m"]


async def test_a_decision_can_be_had_without_asking_anyone() -> None:
    a, b = ScriptedProvider("a"), ScriptedProvider("b", capabilities=["vision"])
    one = client(a, b)
    decision = one.decide("hi", require=["vision"])
    assert [str(target) for target in decision.order] == ["b/scripted-1"]
    assert "a/scripted-1: cannot do vision" in decision.explain()
    with pytest.raises(NoCandidates, match="cannot do telepathy"):
        one.decide("hi", require=["telepathy"])


async def test_a_client_that_is_not_open_says_how_to_open_it() -> None:
    one = client(ScriptedProvider("a"))
    with pytest.raises(ConfigError, match="async with"):
        await one.chat("hi")
    async with one:
        with pytest.raises(ConfigError, match="open already"):
            await one.__aenter__()
    with pytest.raises(ConfigError, match="async with"):
        await one.chat("hi")

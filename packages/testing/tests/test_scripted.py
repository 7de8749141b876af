"""The scripted provider, asked through the hooks, in virtual time on both event loops."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import anyio
import pluggy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import (
    ChatRequest,
    Connection,
    Exact,
    Finished,
    Health,
    HealthState,
    ModelInfo,
    Price,
    PriceBook,
    ProviderContext,
    RateLimited,
    RateLimits,
    ReasoningDelta,
    StreamBroken,
    Target,
    TextDelta,
    ToolCallDelta,
    Unavailable,
    Unknown,
    Usage,
    hookspecs,
    user,
)
from pointsman_testing import (
    VIRTUAL_BACKENDS,
    Accepted,
    Hang,
    ScriptedConfig,
    ScriptedProvider,
    Sleep,
    Steps,
    virtual_backend,
    virtual_run,
)

ASKED = ChatRequest(messages=(user("say something nice"),), model="scripted-1")
PRICE = Price(input=Decimal(1), output=Decimal(2), as_of=date(2026, 11, 1), source="made up")


@pytest.fixture(params=VIRTUAL_BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return virtual_backend(request.param)


@asynccontextmanager
async def connected(provider: ScriptedProvider) -> AsyncGenerator[tuple[Any, Connection[Any]]]:
    """The hooks of a plugin manager that holds `provider` alone, and a connection, as a client would open it."""
    plugins = pluggy.PluginManager("pointsman")
    plugins.add_hookspecs(hookspecs)
    plugins.register(provider)
    plugins.check_pending()
    ((spec,),) = plugins.hook.pointsman_providers()
    context = ProviderContext(
        name=spec.name,
        clock=anyio.current_time,
        secrets=MappingProxyType({}),
        limits=RateLimits(),
        log=logging.LoggerAdapter(logging.getLogger(__name__)),
    )
    config = spec.config.model_validate({})
    book = PriceBook(({Target(spec.name, "scripted-1"): PRICE},))
    async with spec.open(config, context) as session:
        yield plugins.hook, Connection(spec=spec, config=config, session=session, context=context, prices=book)


async def collect(provider: ScriptedProvider, request: ChatRequest = ASKED) -> list[Any]:
    async with connected(provider) as (hook, connection):
        async with hook.pointsman_stream(connection=connection)(request) as events:
            return [event async for event in events]


async def test_the_short_form_fails_on_entering_and_then_streams_words() -> None:
    provider = ScriptedProvider("a", RateLimited, "hello there")
    with pytest.raises(RateLimited) as caught:
        await collect(provider)
    assert (caught.value.target, caught.value.partial) == (Target("a", "scripted-1"), "")
    assert await collect(provider) == [
        TextDelta("hello"),
        TextDelta(" there"),
        Finished("stop", Usage(input_tokens=3, output_tokens=2)),
    ]
    assert (await collect(provider))[0] == TextDelta("ok")
    assert [call.accepted for call in provider.calls] == [False, True, True]
    assert provider.requests == [ASKED] * 3


async def test_every_hook_answers() -> None:
    provider = ScriptedProvider("a", models=("scripted-1", ModelInfo(id="b", context_tokens=9)), capabilities={"tools"})
    provider.health = Health(HealthState.COLD, "asleep", wait=40)
    async with connected(provider) as (hook, connection):
        assert provider.connections == 1
        assert await hook.pointsman_health(connection=connection)() == Health(HealthState.COLD, "asleep", 40)
        assert [info.id for info in await hook.pointsman_models(connection=connection)()] == ["scripted-1", "b"]
        cost = hook.pointsman_cost(connection=connection)
        usage = Usage(input_tokens=1_000_000, output_tokens=1_000_000)
        assert cost(Target("a", "scripted-1"), usage, None) == Exact(3)
        assert cost(Target("a", "b"), usage, None) == Unknown
    assert provider.connections == 0
    assert provider.spec.default_models == ("scripted-1", "b")
    assert provider.spec.capabilities == {"tools"}
    with pytest.raises(ValueError, match="forbidden"):
        ScriptedConfig.model_validate({"base_ulr": "x"})


async def test_events_of_every_kind_pass_as_they_are() -> None:
    events: list[Any] = [ReasoningDelta("hm"), TextDelta("a"), ToolCallDelta(0, "c", "f", "{}"), Finished("length")]
    assert await collect(ScriptedProvider("a", events)) == events
    assert await collect(ScriptedProvider("a", ["no end"])) == [TextDelta("no end")]
    assert await collect(ScriptedProvider("a", [])) == []
    assert await collect(ScriptedProvider("a", lambda request: request.messages[0].text))
    assert await collect(ScriptedProvider("a", default=lambda request: [request.model])) == [TextDelta("scripted-1")]


@pytest.mark.parametrize(
    ("script", "entering", "reading"),
    [
        ([2.0, "a"], 2, 0),
        ([Sleep(2), Accepted(), 3, "a"], 2, 3),
        ([Accepted(), 3, "a", Sleep(1), "b"], 0, 4),
        (["a", 0, 5], 0, 5),
    ],
)
async def test_time_passes_where_it_is_scripted(script: Steps, entering: float, reading: float) -> None:
    provider = ScriptedProvider("a", script)
    begun = anyio.current_time()
    async with provider.stream(ASKED) as events:
        entered = anyio.current_time()
        assert [event async for event in events]
    assert entered - begun == pytest.approx(entering)
    assert anyio.current_time() - entered == pytest.approx(reading)


@pytest.mark.parametrize(
    ("script", "accepted", "text"),
    [
        (Unavailable, False, ""),
        ([1, Unavailable], False, ""),
        ([Accepted(), Unavailable], True, ""),
        (["hello", " there", Unavailable], True, "hello there"),
        (["hello", Unavailable, "never"], True, "hello"),
    ],
)
async def test_failures_happen_where_they_are_scripted(script: Steps, accepted: bool, text: str) -> None:
    provider = ScriptedProvider("a", script)
    entered = False
    with pytest.raises(Unavailable) as caught:
        async with provider.stream(ASKED) as events:
            entered = True
            async for _ in events:
                pass
    (call,) = provider.calls
    assert entered is call.accepted is accepted
    assert call.text == caught.value.partial == text
    assert (call.state, call.cancelled) == ("closed", False)


async def test_an_instance_is_raised_as_it_is() -> None:
    error = StreamBroken("mine", partial="so far")
    with pytest.raises(StreamBroken) as caught:
        await collect(ScriptedProvider("a", ["x", error]))
    assert caught.value is error
    with pytest.raises(ZeroDivisionError):
        await collect(ScriptedProvider("a", ZeroDivisionError))


@pytest.mark.parametrize("script", [Hang(), [Accepted(), Hang()], ["a", Hang()], [1e9]])
async def test_cancellation_is_seen(script: Steps) -> None:
    provider = ScriptedProvider("a", script)

    async def ask() -> None:
        async with provider.stream(ASKED) as events:
            async for _ in events:
                pass

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await anyio.sleep(1)
        assert [call.state for call in provider.open_calls] == ["open" if provider.calls[0].accepted else "entering"]
        tasks.cancel_scope.cancel()
    assert provider.open_calls == []
    assert [call.cancelled for call in provider.calls] == [True]


async def test_leaving_early_is_no_cancellation() -> None:
    provider = ScriptedProvider("a", "one two three")
    async with provider.stream(ASKED) as events:
        async for _ in events:
            break
        assert len(provider.open_calls) == 1
    assert provider.open_calls == []
    assert not provider.calls[0].cancelled
    assert provider.calls[0].text == "one"


async def test_a_cancellation_inside_a_group_is_seen() -> None:
    provider = ScriptedProvider("a", "one two")
    with anyio.move_on_after(1):
        async with provider.stream(ASKED), anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep_forever)
    assert provider.calls[0].cancelled


steps = st.one_of(
    st.text(min_size=1, max_size=3),
    st.floats(0, 5),
    st.sampled_from([Accepted(), Hang(), RateLimited, Unavailable("x"), Finished("stop"), ReasoningDelta("r")]),
)


@pytest.mark.parametrize("backend", VIRTUAL_BACKENDS)
@given(
    scripts=st.lists(st.one_of(st.text(max_size=9), st.lists(steps, max_size=5)), max_size=4),
    patience=st.lists(st.floats(0, 20), min_size=4, max_size=4),
)
def test_nothing_is_left_open_and_nothing_is_lost(backend: Any, scripts: list[Any], patience: list[float]) -> None:
    provider = ScriptedProvider("a", *scripts)
    heard: list[str] = []
    outcomes: list[str] = []

    async def ask(number: int) -> None:
        heard.append("")
        outcomes.append("cancelled")
        with anyio.move_on_after(patience[number]):
            try:
                async with provider.stream(ASKED) as events:
                    async for event in events:
                        if isinstance(event, TextDelta):
                            heard[number] += event.text
                outcomes[number] = "whole"
            except (RateLimited, Unavailable):
                outcomes[number] = "failed"

    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(connected(provider))
            for number in range(len(scripts)):
                await ask(number)
            assert provider.connections == 1

    virtual_run(scenario, backend=backend)
    assert provider.connections == 0
    assert provider.open_calls == []
    assert [call.text for call in provider.calls] == heard
    assert [call.cancelled for call in provider.calls] == [outcome == "cancelled" for outcome in outcomes]
    for call, script, outcome in zip(provider.calls, scripts, outcomes, strict=True):
        if isinstance(script, str) and outcome == "whole":
            assert call.text == script
            assert isinstance(call.events[-1], Finished)

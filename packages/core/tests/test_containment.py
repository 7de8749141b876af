"""Whatever a plugin does wrong costs its own attempt: not the caller's code, not other calls, not the client."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any, Self

import anyio
import pytest

from pointsman import (
    AsyncClient,
    ChatRequest,
    CheckHealth,
    ConfigError,
    Connection,
    Cost,
    Decision,
    Exact,
    Finished,
    Health,
    HealthState,
    PluginError,
    Plugins,
    PointsmanError,
    ProviderContext,
    RateLimit,
    RateLimited,
    ServerTimings,
    Settings,
    StreamBroken,
    StreamEvent,
    TextDelta,
    Unavailable,
    Unknown,
    Usage,
    hookimpl,
)
from pointsman.engine.connections import CLOSING_GRACE, OPENING
from pointsman.engine.contain import contained
from pointsman_testing import VIRTUAL_BACKENDS, Hang, ScriptedConfig, ScriptedProvider, virtual_backend


@pytest.fixture(params=VIRTUAL_BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return virtual_backend(request.param)


def client(*providers: ScriptedProvider, wrappers: dict[str, object] | None = None, **engine: object) -> AsyncClient:
    plugins = Plugins.of(providers={one.name: one for one in providers}, wrappers=wrappers or {})
    return AsyncClient(settings=Settings.of({"engine": engine}), plugins=plugins)


Opens = Callable[[ScriptedConfig, ProviderContext], AbstractAsyncContextManager[ScriptedProvider]]


def opened_by(provider: ScriptedProvider, opens: Opens) -> ScriptedProvider:
    provider.spec = dataclasses.replace(provider.spec, open=opens)
    return provider


BOTH = ["a/scripted-1", "b/scripted-1"]


class WithoutInit(PluginError):
    def __init__(self) -> None: ...


class WithItsOwnNew(Unavailable):
    def __new__(cls, status: int, body: str) -> Self:
        return super().__new__(cls, body)

    def __init__(self, status: int, body: str) -> None:
        super().__init__(body)


class Mute(StreamBroken):
    def __str__(self) -> str:
        raise ValueError("not a word")


class Panic(BaseException):
    """Such as pyo3's, which is no `Exception`."""


class Stubborn(StreamBroken):
    def __init__(self) -> None: ...

    @property
    def partial(self) -> str:  # type: ignore[override]
        return ""


class Vague(StreamBroken):
    retryable = "perhaps"  # type: ignore[assignment]


ODD: dict[str, BaseException] = {
    "it never called its parent": WithoutInit(),
    "it cannot be copied": WithItsOwnNew(500, "no"),
    "it cannot be shown": Mute("gone"),
    "its facts are none": Vague("gone"),
    "its scope is none": StreamBroken("gone", scope=7),  # type: ignore[arg-type]
    "a time beyond all floats": RateLimited("later", retry_at=10**400),
    "a time that is none": RateLimited("later", retry_at="soon"),  # type: ignore[arg-type]
    "a cancellation of nobody": asyncio.CancelledError(),
    "a torn group": BaseExceptionGroup("torn", [GeneratorExit()]),
    "a panic": Panic("of an extension in Rust"),
    "it cannot be written into": Stubborn(),
}
SOUND = {
    "it never called its parent": "WithoutInit",
    "a time beyond all floats": "RateLimited",
    "a time that is none": "RateLimited",
}
"""Those that can be used all the same."""


@pytest.mark.parametrize("said", [[], ["half "]], ids=["before", "after"])
@pytest.mark.parametrize("odd", ODD)
async def test_odd_errors_end_their_attempt_alone(odd: str, said: list[str]) -> None:
    a = ScriptedProvider("a", default=[*said, ODD[odd]])
    b = ScriptedProvider("b", default="from b")
    async with client(a, b) as one:
        reply = await one.chat("hi", model=BOTH)
    assert (reply.text, [record.outcome for record in reply.attempts]) == ("from b", ["failed", "finished"])
    assert str(reply.attempts[0].error).startswith(SOUND.get(odd, "PluginError"))


@pytest.mark.parametrize("odd", ODD)
async def test_odd_errors_of_opening_are_told_to_all_who_wait(odd: str) -> None:
    @asynccontextmanager
    async def opens(config: ScriptedConfig, context: ProviderContext) -> AsyncGenerator[ScriptedProvider]:
        await anyio.sleep(1)
        raise ODD[odd]
        yield  # type: ignore[unreachable]

    a = opened_by(ScriptedProvider("a"), opens)
    errors: list[PointsmanError] = []

    async with client(a, ScriptedProvider("b", default="from b")) as one:

        async def ask() -> None:
            with pytest.raises(PointsmanError) as caught:
                await one.chat("hi", model=BOTH[:1])
            errors.append(caught.value)
            assert (await one.chat("hi", model=BOTH)).text == "from b"

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(ask)
    assert len({id(error) for error in errors}) == 3, "each has one of his own"


async def test_one_error_raised_for_two_calls_is_two() -> None:
    """A plugin may keep an error; what one call met must not be told to another."""
    broken = StreamBroken("connection lost", retryable=False)
    a = ScriptedProvider(
        "a", default=lambda request: [f"answer to {request.messages[0].text}", broken], models=("m", "n")
    )
    async with client(a) as one:
        for name, model in (("alice", "a/m"), ("bob", "a/n")):
            with pytest.raises(StreamBroken) as caught:
                await one.chat(name, model=model, on_break="raise")
            assert (str(caught.value.target), caught.value.partial) == (model, f"answer to {name}")
    assert (broken.target, broken.partial) == (None, "")


ODD_FINISHES: dict[str, Callable[[], Finished]] = {
    "a null": lambda: Finished("stop", Usage(input_tokens=3, output_tokens=None)),  # type: ignore[arg-type]
    "words": lambda: Finished("stop", Usage(input_tokens="3")),  # type: ignore[arg-type]
    "less than nothing": lambda: Finished("stop", Usage(input_tokens=3, output_tokens=-1)),
    "a truth": lambda: Finished("stop", Usage(input_tokens=True)),
    "a table": lambda: Finished("stop", {"input_tokens": 3}),  # type: ignore[arg-type]
    "no cost": lambda: Finished("stop", None, None),  # type: ignore[arg-type]
    "a cost in words": lambda: Finished("stop", None, Cost("3", complete=True)),  # type: ignore[arg-type]
    "an endless cost": lambda: Finished("stop", None, Exact("Infinity")),
    "one timing": lambda: Finished("stop", None, Unknown, 1.5),  # type: ignore[arg-type]
    "timings in words": lambda: Finished("stop", None, Unknown, ServerTimings(total="1.5")),  # type: ignore[arg-type]
    "no number": lambda: Finished("stop", None, Unknown, ServerTimings(total=float("nan"))),
    "a token before the question": lambda: Finished("stop", None, Unknown, ServerTimings(first_token=-1.0)),
    "no reason": lambda: Finished(None),  # type: ignore[arg-type]
}


class Careless(ScriptedProvider):
    """It says `last` in the end, however odd."""

    last: Callable[[], Finished]

    @asynccontextmanager
    async def stream(self, request: ChatRequest) -> AsyncGenerator[AsyncIterator[StreamEvent]]:
        async def events() -> AsyncGenerator[StreamEvent]:
            yield TextDelta("two")
            yield self.last()

        async with aclosing(events()) as said:
            yield said


@pytest.mark.parametrize("odd", ODD_FINISHES)
async def test_an_odd_finish_fails_the_attempt_and_gives_back_its_place(odd: str) -> None:
    one = ScriptedProvider("a", ["one ", StreamBroken("gone")], "three", capabilities=["prefill"])
    two = Careless("b", capabilities=["prefill"])
    two.last = ODD_FINISHES[odd]
    async with client(one, two) as asked:
        reply = await asked.chat("hi", model=BOTH, on_break="continue", deadline=30)
        assert reply.text == "one twothree"
        assert "PluginError" in (reply.attempts[1].error or "")
        assert asked._health.place("b").running == 0
        with pytest.raises(PluginError, match="not "):
            await asked.chat("hi", model="b/scripted-1")


@pytest.mark.parametrize(
    "raised", [RuntimeError("x"), asyncio.CancelledError(), *ODD.values(), GeneratorExit()], ids=repr
)
async def test_a_cost_hook_costs_only_the_cost(raised: BaseException) -> None:
    class Odd:
        @hookimpl(wrapper=True)
        def pointsman_cost(self, connection: Connection[Any]) -> Any:
            yield

            def cost(*args: object) -> Cost:
                raise raised

            return cost

    async with client(ScriptedProvider("a", default="hello"), wrappers={"odd": Odd()}) as one:
        reply = await one.chat("hi", deadline=50)
    assert (reply.text, reply.cost) == ("hello", Unknown)


class Sick(ScriptedProvider):
    """Its health check does something else than to answer."""

    does: Callable[[], Any]

    @hookimpl
    def pointsman_health(self, connection: Connection[Any]) -> CheckHealth:
        async def check() -> Health:
            await self.does()
            return Health(HealthState.UP)

        return check


async def torn() -> None:
    raise BaseExceptionGroup("torn", [GeneratorExit()])


async def cancelled() -> None:
    raise asyncio.CancelledError


async def panicked() -> None:
    raise Panic


async def stuck() -> None:
    with anyio.CancelScope(shield=True):
        await anyio.sleep(100)


@pytest.mark.parametrize("does", [torn, cancelled, panicked, stuck])
async def test_a_health_check_does_not_end_the_others_nor_the_caller(does: Callable[[], Any]) -> None:
    a, b = Sick("a", default="ok"), ScriptedProvider("b", default="ok")
    a.does = does
    async with client(a, b, health_checks=1.0) as one:
        for model in BOTH:
            await one.chat("hi", model=model)
        await anyio.sleep(5)
        b.health = Health(HealthState.DOWN)
        await anyio.sleep(3)
        assert one._health.place("b").avoid_until > anyio.current_time(), "the others are asked as before"


@pytest.mark.parametrize(
    "odd",
    [
        RateLimit("requests", "60", "0", 5.0),  # type: ignore[arg-type]
        RateLimit("requests", 60, 0, float("nan")),
        RateLimit("requests", 60, 0, float("inf")),
        RateLimit(None, 60, 0, 5.0),  # type: ignore[arg-type]
    ],
    ids=str,
)
async def test_an_odd_limit_is_its_plugins_own_error(odd: RateLimit) -> None:
    @asynccontextmanager
    async def opens(config: ScriptedConfig, context: ProviderContext) -> AsyncGenerator[ScriptedProvider]:
        context.limits.learn("scripted-1", odd)
        yield a

    a = opened_by(ScriptedProvider("a", default="from a"), opens)
    async with client(a, ScriptedProvider("b", default="from b")) as one:
        for _ in range(2):
            reply = await one.chat("hi", model=BOTH)
            assert reply.text == "from b"
            assert "a RateLimit has" in (reply.attempts[0].error or "")


async def test_a_wrong_setting_leaves_no_scope_open() -> None:
    with anyio.fail_after(5):
        for _ in range(2):
            with pytest.raises(ConfigError, match="hedge"):
                async with client(ScriptedProvider("a"), hedge=5.0):
                    raise AssertionError
        async with client(ScriptedProvider("a", default="well")) as one:
            assert (await one.chat("hi")).text == "well"


@pytest.mark.parametrize("raised", [RuntimeError("x"), Mute("x"), *map(ODD.get, ["a panic", "a torn group"])], ids=repr)
async def test_sinks_and_policies_cost_no_call(raised: BaseException) -> None:
    class Broken:
        name = "broken"

        def rank(self, *asked: object) -> Decision:
            raise raised

        @hookimpl
        def pointsman_policies(self) -> list[Any]:
            return [self]

        @hookimpl
        def pointsman_sinks(self) -> list[Any]:
            return [self.rank]

    broken = Broken()
    plugins = Plugins.of(
        providers={"a": ScriptedProvider("a", default="well")}, policies={"broken": broken}, sinks={"broken": broken}
    )
    async with AsyncClient(settings=Settings.of({"routing": {"policy": "broken"}}), plugins=plugins) as one:
        reply = await one.chat("hi")
    assert reply.text == "well"
    assert "the policy 'broken' raised" in reply.decision.reason


async def test_notes_of_one_caller_are_not_told_to_another() -> None:
    noted = RateLimited("later", retry_at=1e9)
    noted.add_note("the plugin's")
    async with client(ScriptedProvider("a", default=[noted]), retries=0) as one:
        for _ in range(3):
            with pytest.raises(RateLimited) as caught:
                await one.chat("hi")
            assert "mine" not in getattr(caught.value, "__notes__", [])
            caught.value.add_note("mine")


async def test_a_reader_that_is_shielded_is_told_that_its_call_was_cancelled() -> None:
    """Such as one that is to finish an answer after its own client has left."""
    async with client(ScriptedProvider("a", default=["one ", Hang()])) as one:
        with anyio.move_on_after(1):
            async with one.stream("hi", stall=50) as reply:
                with anyio.CancelScope(shield=True), pytest.raises(ConfigError, match="was cancelled"):
                    await reply.collect()
                assert reply.text == "one "
        assert anyio.current_time() < 1e9


# Slow ones -----------------------------------------------------------------------------------------------------------


async def test_an_opening_that_hangs_is_given_up_and_tried_anew() -> None:
    opens = 0

    @asynccontextmanager
    async def sometimes(config: ScriptedConfig, context: ProviderContext) -> AsyncGenerator[ScriptedProvider]:
        nonlocal opens
        opens += 1
        if opens == 1:
            await anyio.sleep_forever()
        yield a

    a = opened_by(ScriptedProvider("a", default="hello"), sometimes)
    async with client(a) as one:
        began = anyio.current_time()
        reply = await one.chat("hi")
        assert [record.outcome for record in reply.attempts] == ["failed", "finished"]
        assert "not open within 30 s" in (reply.attempts[0].error or "")
        assert OPENING <= anyio.current_time() - began < OPENING + 1
        await anyio.sleep(10 * OPENING)
        await one.chat("hi")
    assert opens == 2, "what is open stays open"


async def test_an_opening_that_hangs_in_a_shield_is_not_waited_for() -> None:
    opens = 0

    @asynccontextmanager
    async def stubborn(config: ScriptedConfig, context: ProviderContext) -> AsyncGenerator[ScriptedProvider]:
        nonlocal opens
        opens += 1
        if opens == 1:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(100)
        yield a

    a = opened_by(ScriptedProvider("a", default="hello"), stubborn)
    async with client(a) as one:
        began = anyio.current_time()
        assert (await one.chat("hi")).text == "hello"
        assert OPENING <= anyio.current_time() - began < OPENING + 1
    assert opens == 2


async def test_all_readers_are_told_at_once_when_their_client_is_closed() -> None:
    """Also those of others, while one provider is slow to close and cannot be hurried."""

    class Slow(ScriptedProvider):
        @asynccontextmanager
        async def stream(self, request: ChatRequest) -> AsyncGenerator[AsyncIterator[StreamEvent]]:
            async def events() -> AsyncGenerator[StreamEvent]:
                yield TextDelta("x")
                await anyio.sleep_forever()

            try:
                yield events()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(20)

    told: list[float] = []
    one = client(Slow("a"), ScriptedProvider("b", default=["y", Hang()]))

    async def read(model: str) -> None:
        with pytest.raises(ConfigError, match="closed under this stream"):
            async with one.stream("hi", model=model, stall=1000) as reply:
                try:
                    async for _ in reply.events:
                        pass
                finally:
                    told.append(anyio.current_time())

    async with anyio.create_task_group() as group:
        await one.__aenter__()
        for model in (*BOTH, *BOTH):
            group.start_soon(read, model)
        await anyio.sleep(1)
        closed = anyio.current_time()
        await one.__aexit__(None, None, None)
        assert told == [closed] * 4
        assert anyio.current_time() == pytest.approx(closed + CLOSING_GRACE)


async def test_a_call_that_cannot_begin_leaves_nothing_behind() -> None:
    a = ScriptedProvider("a", default="from a")
    async with client(a, ScriptedProvider("b", default="from b")) as one:
        await one.chat("hi", model=BOTH[0])
        one._health.limits["a"].seen["scripted-1", "requests"] = RateLimit("requests", 60, 0, "soon")  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            await one.chat("hi", model=BOTH)
        assert not one._calls
        assert (await one.chat("hi", model=BOTH[1])).text == "from b"


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
async def test_the_end_of_the_program_is_nobodys_error(end: type[BaseException]) -> None:
    for raised in (end(), BaseExceptionGroup("in a group", [end(), ValueError()])):
        with pytest.raises(type(raised)) as caught:
            await contained(raised)
        assert caught.value is raised

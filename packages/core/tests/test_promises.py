"""What a client has learnt from one call decides the next: single stories, on a virtual clock and both loops."""

from __future__ import annotations

import pickle
from copy import copy
from dataclasses import replace
from typing import Any

import anyio
import pytest

from pointsman import (
    AsyncClient,
    AuthFailed,
    CheckHealth,
    ConfigError,
    Connection,
    DeadlineExceeded,
    Finished,
    Health,
    HealthState,
    NoCandidates,
    Plugins,
    RateLimited,
    Scope,
    Settings,
    StreamBroken,
    Tool,
    Unavailable,
    Usage,
    hookimpl,
)
from pointsman.engine.health.breaker import FIRST_PAUSE, LEAST
from pointsman.engine.health.windows import RETRY_BURST
from pointsman_testing import VIRTUAL_BACKENDS, Hang, ScriptedProvider, virtual_backend

DONE = Finished("stop", Usage(input_tokens=3, output_tokens=2))


@pytest.fixture(params=VIRTUAL_BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return virtual_backend(request.param)


def client(*providers: ScriptedProvider, limits: dict[str, Any] | None = None, **engine: object) -> AsyncClient:
    plugins = Plugins.of(providers={one.name: one for one in providers})
    return AsyncClient(settings=Settings.of({"engine": engine, "limits": limits or {}}), plugins=plugins)


def a_and_b(*scripts: Any, **more: Any) -> tuple[ScriptedProvider, ScriptedProvider]:
    return ScriptedProvider("a", *scripts, **more), ScriptedProvider("b", default="from b")


# Breakers and cooldowns ----------------------------------------------------------------------------------------------


async def test_a_target_that_keeps_failing_is_left_alone_then_probed_once_then_used_again() -> None:
    a, b = a_and_b(default=[Unavailable])
    async with client(a, b) as one:
        for _ in range(20):
            assert (await one.chat("hi")).target.provider == "b"
        assert len(a.calls) == LEAST, "it is not hammered"
        a.default = "from a"
        await anyio.sleep(FIRST_PAUSE)
        probe = await one.chat("hi")
        assert (probe.text, probe.attempts[0].probe) == ("from a", True)
        assert not (await one.chat("hi")).attempts[0].probe


async def test_only_one_of_many_probes_and_the_others_go_elsewhere() -> None:
    a, b = a_and_b(default=[Unavailable])
    async with client(a, b) as one:
        for _ in range(LEAST):
            await one.chat("hi")
        await anyio.sleep(FIRST_PAUSE)
        a.default = [3.0, "slow but well", DONE]
        targets: list[str] = []

        async def ask() -> None:
            targets.append((await one.chat("hi")).target.provider)

        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(ask)
    assert sorted(targets) == ["a", *"b" * 9]


async def test_a_probe_that_is_cancelled_leaves_the_next_to_probe() -> None:
    a, b = a_and_b(default=[Unavailable])
    async with client(a, b) as one:
        for _ in range(LEAST):
            await one.chat("hi")
        await anyio.sleep(FIRST_PAUSE)
        a.default = [Hang()]
        with anyio.move_on_after(1):
            await one.chat("hi")
        a.default = "well"
        assert (await one.chat("hi")).attempts[0].probe


async def test_a_host_that_cannot_be_reached_is_known_for_all_its_models() -> None:
    down = Unavailable("no connection", scope=Scope.PROVIDER)
    a = ScriptedProvider("a", default=lambda request: [copy(down)], models=["m", "n"])
    b = ScriptedProvider("b", default="from b")
    async with client(a, b) as one:
        for _ in range(LEAST):
            await one.chat("hi", model=["a/m", "b/scripted-1"])
        assert (await one.chat("hi", model=["a/n", "b/scripted-1"])).target.provider == "b"
    assert {call.request.model for call in a.calls} == {"m"}


async def test_what_a_vendor_told_one_call_holds_for_the_others() -> None:
    a, b = a_and_b(lambda request: [RateLimited("wait", retry_at=anyio.current_time() + 7)])
    async with client(a, b) as one:
        await one.chat("hi")
        for _ in range(3):
            assert (await one.chat("hi")).target.provider == "b"
        await anyio.sleep(7)
        assert (await one.chat("hi")).target.provider == "a"
    assert len(a.calls) == 2


async def test_a_call_waits_for_a_cooldown_if_it_may_and_says_who_rests_if_not() -> None:
    a = ScriptedProvider("a", [RateLimited("wait", retry_at=4.0)], default="ok")
    async with client(a) as one:
        assert (await one.chat("hi")).text == "ok"
        assert anyio.current_time() == pytest.approx(4.0)
        a.scripts.append([RateLimited("wait", retry_at=60.0)])
        with pytest.raises(RateLimited):
            await one.chat("hi")
        began = anyio.current_time()
        with pytest.raises(RateLimited, match=r"a/scripted-1: not asked for another 5\d.\d s") as caught:
            await one.chat("hi", max_wait=1.0)
        assert anyio.current_time() == began, "nobody waits for nothing"
        assert caught.value.retry_at == 60.0
        assert (await one.chat("hi", max_wait=90.0)).text == "ok"
    assert len(a.calls) == 4


async def test_a_key_that_is_refused_makes_others_be_asked_first_and_is_tried_where_nobody_else_is() -> None:
    a, b = a_and_b([AuthFailed], default="from a")
    async with client(a, b) as one:
        await one.chat("hi")
        assert (await one.chat("hi")).target.provider == "b"
        assert (await one.chat("hi", model="a/scripted-1")).text == "from a"
        assert (await one.chat("hi")).target.provider == "a"


async def test_second_tries_are_a_share_of_calls_however_many_fail() -> None:
    a = ScriptedProvider("a", default=lambda request: [RateLimited("wait", retry_at=anyio.current_time() + 0.01)])
    async with client(a, retry_budget=0.2) as one:
        for _ in range(100):
            with pytest.raises(RateLimited):
                await one.chat("hi")
            await anyio.sleep(1)
    assert 110 <= len(a.calls) <= 100 + RETRY_BURST + 0.2 * 100


async def test_a_stream_that_ends_without_its_proof_is_left_at_once() -> None:
    a, b = a_and_b(["half"])
    async with client(a, b) as one:
        assert (await one.chat("hi")).text == "from b"
        assert anyio.current_time() == 0.0


# Limits of ours ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a", "a/scripted-1"])
async def test_no_more_run_at_once_than_allowed_and_nobody_is_passed_over(name: str) -> None:
    most = 0
    order: list[int] = []
    a = ScriptedProvider("a", default=["one ", 1.0, "two", DONE])

    async def ask(number: int) -> None:
        nonlocal most
        async with one.stream("hi") as reply:
            async for _ in reply.events:
                most = max(most, len(a.open_calls))
        order.append(number)

    async with client(a, limits={name: {"concurrent": 2}}) as one, anyio.create_task_group() as group:
        for number in range(10):
            group.start_soon(ask, number)
            await anyio.sleep(0.01)
    assert most == 2
    assert order == sorted(order)
    assert anyio.current_time() == pytest.approx(5.0, abs=0.2)


async def test_who_waits_in_line_leaves_it_when_cancelled() -> None:
    a = ScriptedProvider("a", default=["one ", 1.0, "two", DONE])
    async with client(a, limits={"a": {"concurrent": 1}}) as one, one.stream("first") as reply:
        with anyio.move_on_after(0.5) as scope:
            await one.chat("second")
        assert scope.cancelled_caught
        assert (await reply.collect()).text == "one two"
        assert (await one.chat("third")).text == "one two"
    assert len(a.calls) == 2


async def test_requests_beyond_the_minute_s_wait_or_go_elsewhere() -> None:
    a, b = a_and_b(default="from a")
    async with client(a, b, limits={"a": {"rpm": 3}}) as one:
        answers = [(await one.chat("hi")).target.provider for _ in range(5)]
        assert answers == ["a", "a", "a", "b", "b"]
        assert (await one.chat("hi", model="a/scripted-1")).text == "from a"
        assert anyio.current_time() == pytest.approx(60.0, abs=0.1)


async def test_none_is_as_if_it_had_been_left_out() -> None:
    async with client(ScriptedProvider("a"), stall=3.0) as one:
        nothing: Any = dict.fromkeys(("first_token", "stall", "min_speed", "max_wait", "on_break"))
        assert (await one.chat("hi", **nothing)).text == "ok"


async def test_a_limit_on_half_a_target_is_refused() -> None:
    with pytest.raises(ConfigError, match=r'\[limits."a/"\]'):
        async with client(ScriptedProvider("a"), limits={"a/": {"rpm": 3}}):
            pass


async def test_a_limit_on_somebody_who_is_not_there_is_refused_with_the_likely_name() -> None:
    with pytest.raises(ConfigError, match=r'\[limits."acne/m"\]: .*acme'):
        async with client(ScriptedProvider("acme"), limits={"acne/m": {"rpm": 3}}):
            pass


# Hedging -------------------------------------------------------------------------------------------------------------


async def warm(one: AsyncClient, rounds: int = 30) -> None:
    for _ in range(rounds):
        await one.chat("hi", model="a/scripted-1")


async def test_a_late_answer_is_overtaken_and_the_loser_is_told_as_such() -> None:
    a, b = a_and_b(default=[0.2, "from a", DONE])
    async with client(a, b, hedge=0.1) as one:
        await warm(one)
        a.scripts.append([5.0, "late", DONE])
        reply = await one.chat("hi")
        assert reply.text == "from b"
        assert [(record.role, record.outcome) for record in reply.attempts] == [
            ("first", "lost"),
            ("hedge", "finished"),
        ]
        assert reply.timings.ttft is not None
        assert reply.timings.ttft < 0.5
        assert a.calls[-1].cancelled
        again = await one.chat("hi")
        assert [record.role for record in again.attempts] == ["first"]
    assert not a.open_calls


async def test_hedges_are_a_share_of_calls_however_many_are_late() -> None:
    a, b = a_and_b(default=[0.2, "from a", DONE])
    async with client(a, b, hedge=0.1) as one:
        await warm(one)
        for number in range(100):
            if number % 5 == 0:
                a.scripts.append([4.0, "late", DONE])
            await one.chat("hi")
    assert 8 <= len(b.calls) <= 13


async def test_tools_are_never_hedged() -> None:
    a, b = a_and_b(default=[0.2, "from a", DONE], capabilities=["tools"])
    b.spec = replace(b.spec, capabilities=frozenset({"tools"}))
    async with client(a, b, hedge=1.0) as one:
        await warm(one)
        a.scripts.append([4.0, "late", DONE])
        assert (await one.chat("hi", tools=[Tool("f", "does", {})])).text == "late"
    assert not b.calls


async def test_when_everybody_is_slow_nobody_is_hedged() -> None:
    a, b = a_and_b(default=[0.2, "from a", DONE])
    async with client(a, b, hedge=1.0) as one:
        await warm(one, 100)
        a.default, b.default = [4.0, "slow a", DONE], [4.0, "slow b", DONE]
        for _ in range(40):
            await one.chat("hi")
    assert 0 < len(b.calls) < 8, "some, until that was seen"


# Health checks -------------------------------------------------------------------------------------------------------


class Checked(ScriptedProvider):
    """Counts how often it is asked."""

    checks = 0

    @hookimpl
    def pointsman_health(self, connection: Connection[Any]) -> CheckHealth:
        async def check() -> Health:
            self.checks += 1
            return self.health

        return check


async def test_nobody_is_asked_in_the_background_unless_that_was_asked_for() -> None:
    a = Checked("a")
    async with client(a) as one:
        await one.chat("hi")
        await anyio.sleep(1000)
    assert a.checks == 0


async def test_a_check_that_says_well_ends_the_pause_and_one_that_says_down_sends_calls_elsewhere() -> None:
    a, b = Checked("a", default=[Unavailable]), ScriptedProvider("b", default="from b")
    async with client(a, b, health_checks=5.0) as one:
        for pause in (0, 1, 2, 4, 8, 16):
            await anyio.sleep(pause)
            for _ in range(LEAST):
                await one.chat("hi")
        a.default = "from a"
        await anyio.sleep(6)  # The pause would last longer.
        assert (await one.chat("hi")).text == "from a"
        a.health = Health(HealthState.DOWN)
        await anyio.sleep(6)
        assert (await one.chat("hi")).text == "from b"
    assert a.checks > 5


async def test_a_check_that_fails_or_hangs_harms_nobody() -> None:
    class Bad(ScriptedProvider):
        @hookimpl
        def pointsman_health(self, connection: Connection[Any]) -> CheckHealth:
            async def check() -> Health:
                if anyio.current_time() < 8:
                    raise ValueError("no")
                await anyio.sleep_forever()
                raise AssertionError

            return check

    a = Bad("a", default="from a")
    async with client(a, health_checks=5.0) as one:
        await one.chat("hi")
        await anyio.sleep(100)
        assert (await one.chat("hi")).text == "from a"


async def test_a_check_that_says_well_tells_those_who_wait() -> None:
    a = ScriptedProvider("a", default=[Unavailable("down", retryable=False)])
    async with client(a, health_checks=1.0) as one:
        a.health = Health(HealthState.UNKNOWN)
        breaker = one._health.place("a/scripted-1").breaker
        while breaker.until - anyio.current_time() < 20:
            with pytest.raises(Unavailable):
                await one.chat("hi", max_wait=100)
        a.default, a.health = "well", Health(HealthState.UP)
        began = anyio.current_time()
        assert (await one.chat("hi", max_wait=100)).text == "well"
        assert anyio.current_time() - began < 1.5


# What is told -------------------------------------------------------------------------------------------------------


async def test_the_error_of_a_chat_has_the_records_of_its_attempts() -> None:
    a, b = ScriptedProvider("a", default=["half", StreamBroken("gone")]), ScriptedProvider("b", default=[Hang()])
    async with client(a, b, retries=0) as one:
        with pytest.raises(DeadlineExceeded) as caught:
            await one.chat("hi", deadline=3)
    records = caught.value.attempts
    assert [(str(record.target), record.outcome) for record in records] == [
        ("a/scripted-1", "failed"),
        ("b/scripted-1", "failed"),
    ]
    assert records[1].ended - records[1].started == pytest.approx(3)
    assert pickle.loads(pickle.dumps(caught.value)).attempts == records
    async with client() as none:
        with pytest.raises(NoCandidates) as unasked:
            await none.chat("hi")
    assert unasked.value.attempts == ()

"""Cold, warming, warm: told from our own traffic, and never by asking, since that would start a GPU."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, ExitStack
from typing import Any, Literal, TypeAlias

import anyio
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pointsman import AuthFailed, ChatRequest, FirstTokenTimeout, Health, HealthState, ModelGone, Unavailable, user
from pointsman_modal.state import EXPECTED, REFUSED, Warmth
from pointsman_testing import MODAL_FAULTS, Answer, Lab, ModalEndpoint, Profile

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]

WINDOW = 60.0
REQUEST = ChatRequest(messages=(user("hi"),), model="qwen2.5-coder:7b")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def known(clock: Clock) -> Warmth:
    return Warmth(clock, WINDOW)


def test_from_cold_to_warm_and_back() -> None:
    clock = Clock()
    warmth = known(clock)
    assert warmth.health() == Health(HealthState.COLD, warmth.health().reason, EXPECTED)
    assert "by an estimate" in warmth.health().reason
    assert "any request would start one, and a started GPU is billed" in warmth.health().reason
    with warmth.asking():
        clock.now += 5
        assert warmth.health() == Health(
            HealthState.WARMING, "a request of ours has set off a start, 5 s ago", EXPECTED - 5
        )
        clock.now += 30
        assert warmth.health().wait == 0.0  # It takes longer than was expected.
        warmth.answered()
    with warmth.answering():
        clock.now += 1000
        assert warmth.health() == Health(HealthState.UP, "it is answering")
    clock.now += WINDOW - 1
    assert warmth.health().state is HealthState.UP
    clock.now += 1
    health = warmth.health()
    assert (health.state, health.wait) == (HealthState.COLD, 35.0)
    assert "as the last one" in health.reason


def test_how_long_a_start_takes_is_learnt_only_where_it_was_seen_whole() -> None:
    clock = Clock()
    warmth = known(clock)
    with pytest.raises(TimeoutError), warmth.asking():
        clock.now += 10
        raise TimeoutError
    assert warmth.health().state is HealthState.WARMING  # It goes on without us.
    clock.now += 9
    with warmth.asking():  # It may have been ready for a while.
        clock.now += 0.5
        warmth.answered()
    assert warmth.wait == EXPECTED
    clock.now += 1000
    with warmth.asking():
        clock.now += 3
        with warmth.asking():  # Both wait for the same one.
            clock.now += 4
            warmth.answered()
    assert warmth.wait == 7.0


def test_who_took_it_for_warm_and_is_turned_away_has_set_off_a_start() -> None:
    clock = Clock()
    warmth = known(clock)
    warmth.answered()
    with warmth.asking():
        warmth.starting()
        clock.now += 4
        warmth.starting()
        assert warmth.health() == Health(
            HealthState.WARMING, "a request of ours has set off a start, 4 s ago", EXPECTED - 4
        )
        clock.now += 5
        warmth.answered()
    assert (warmth.wait, warmth.health().state) == (9.0, HealthState.UP)


def test_a_start_that_nobody_waits_for_is_over_some_time() -> None:
    clock = Clock()
    warmth = known(clock)
    with warmth.asking():
        clock.now += 1
    clock.now += EXPECTED
    assert warmth.health().state is HealthState.COLD


def test_what_will_not_pass_by_itself_is_told_for_a_while() -> None:
    clock = Clock()
    warmth = known(clock)
    error = ModelGone("nothing is deployed")
    warmth.refused(error)
    clock.now += REFUSED - 1
    assert warmth.health() == Health(HealthState.DOWN, "59 s ago: nothing is deployed", error=error)
    clock.now += 1
    assert warmth.health().state is HealthState.COLD  # It may have been mended: let somebody ask.
    warmth.refused(error)
    warmth.answered()
    assert warmth.health().state is HealthState.UP


class Traffic(RuleBasedStateMachine):
    """Requests that begin, are answered, given up and overlap in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.warmth = known(self.clock)
        self.asking: list[ExitStack] = []
        self.answering: list[ExitStack] = []
        self.heard: float | None = None

    @rule(seconds=st.floats(0.01, 200))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def ask(self) -> None:
        stack = ExitStack()
        stack.enter_context(self.warmth.asking())
        self.asking.append(stack)

    @precondition(lambda self: self.asking)
    @rule(index=st.integers(0, 10))
    def give_up(self, index: int) -> None:
        self.asking.pop(index % len(self.asking)).close()

    @precondition(lambda self: self.asking)
    @rule(index=st.integers(0, 10))
    def answer(self, index: int) -> None:
        self.warmth.answered()
        self.heard = self.clock.now
        self.asking.pop(index % len(self.asking)).close()
        stack = ExitStack()
        stack.enter_context(self.warmth.answering())
        self.answering.append(stack)

    @precondition(lambda self: self.answering)
    @rule(index=st.integers(0, 10))
    def finish(self, index: int) -> None:
        self.answering.pop(index % len(self.answering)).close()
        self.heard = self.clock.now

    @rule(starting=st.booleans())
    def turned_away(self, starting: bool) -> None:
        (self.warmth.starting if starting else self.warmth.lost)()
        self.heard = None

    @invariant()
    def says_what_it_knows(self) -> None:
        health = self.warmth.health()
        recent = self.heard is not None and self.clock.now - self.heard < WINDOW
        assert self.warmth.warm == bool(self.answering or recent) == (health.state is HealthState.UP)
        assert health.reason
        assert "inf" not in health.reason
        assert self.warmth.wait >= 0
        if health.state is HealthState.WARMING:
            assert health.wait is not None
            assert 0 <= health.wait <= self.warmth.wait
        if health.state is HealthState.COLD:
            assert health.wait == self.warmth.wait
        assert self.warmth._waiting >= 0


TestTraffic = Traffic.TestCase
TestTraffic.settings = settings(deadline=None)


async def test_health_asks_nobody(opened: Open, lab: Lab) -> None:
    endpoint = ModalEndpoint(start=400, redirect_after=1e9)
    vendor = lab.vendor("modal", dialect=endpoint, profile=Profile((1, 1), (1, 1)), default=Answer("a " * 100))
    async with opened(vendor.base_url, scaledown_window=2) as session:
        assert (await session.health()).state is HealthState.COLD
        states: list[HealthState] = []

        async def watch() -> None:
            await vendor.received(1)
            await anyio.sleep(0.05)
            states.append((await session.health()).state)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            async with session.stream(REQUEST) as events:
                await anext(aiter(events))
                states.append((await session.health()).state)
        states.append((await session.health()).state)
        health = None
        with anyio.fail_after(5):
            while health is None or health.state is HealthState.UP:
                await anyio.sleep(0.1)
                health = await session.health()
    assert states == [HealthState.WARMING, HealthState.UP, HealthState.UP]
    assert health.state is HealthState.COLD
    assert health.wait is not None
    assert 400 / lab.speed <= health.wait < EXPECTED  # As the last one took.
    assert len(vendor.requests) == 1


@pytest.mark.parametrize(
    ("what", "kind"), [("not deployed", ModelGone), ("invalid credentials", AuthFailed), ("terminated", None)]
)
async def test_a_lasting_refusal_is_told_by_health(
    opened: Open, lab: Lab, what: str, kind: type[Exception] | None
) -> None:
    vendor = lab.vendor("modal", dialect=ModalEndpoint())
    vendor.script(Answer("well"), MODAL_FAULTS[what])
    async with opened(vendor.base_url) as session:
        async with session.stream(REQUEST) as events:
            assert [event async for event in events]
        assert (await session.health()).state is HealthState.UP
        with pytest.raises(kind or Unavailable):
            async with session.stream(REQUEST):
                pass
        health = await session.health()
        if kind is None:
            assert health.state in (HealthState.WARMING, HealthState.COLD)  # The container is gone.
        else:
            assert health.state is HealthState.DOWN
            assert isinstance(health.error, kind)
        async with session.stream(REQUEST):
            assert (await session.health()).state is HealthState.UP
    assert len(vendor.requests) == 3


async def test_where_a_container_always_runs_it_is_asked(opened: Open, lab: Lab) -> None:
    vendor = lab.vendor("modal", dialect=ModalEndpoint(), models=["m"])
    async with opened(vendor.base_url, min_containers=1) as session:
        assert (await session.health()).state is HealthState.UP
    assert [request.path for request in vendor.requests] == ["/v1/models"]


# Warming -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("product", ["held", "refusing"])
@pytest.mark.parametrize("redirect_after", [150.0, 1e9])
async def test_warming_starts_a_container_by_one_get_and_waits_for_it(
    opened: Open, lab: Lab, product: Literal["held", "refusing"], redirect_after: float
) -> None:
    endpoint = ModalEndpoint(product=product, start=400, redirect_after=redirect_after, scaledown_window=1e6)
    vendor = lab.vendor("modal", dialect=endpoint, api_key="wk-Ab12Cd34Ef56.ws-Gh78Ij90Kl12")
    async with opened(vendor.base_url, api_key="wk-Ab12Cd34Ef56.ws-Gh78Ij90Kl12") as session:
        began = anyio.current_time()
        states: list[HealthState] = []

        async def watch() -> None:
            await vendor.received(1)
            await anyio.sleep(0.05)
            states.append((await session.health()).state)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            health = await session.warm("qwen2.5-coder:7b")
        assert anyio.current_time() - began >= 400 / lab.speed
        assert health.state is HealthState.UP
        assert (await session.health()).state is HealthState.UP
    assert states == [HealthState.WARMING]
    assert {request.method for request in vendor.requests} == {"GET"}
    assert {request.path for request in vendor.requests} == {"/api/version"}, "no token is spent"
    if product == "held" and redirect_after > 400:
        assert len(vendor.requests) == 1


async def test_another_server_than_ollama_is_warmed_by_its_list_of_models(opened: Open, lab: Lab) -> None:
    vendor = lab.vendor("modal", dialect=ModalEndpoint(start=30))
    async with opened(vendor.base_url, server="other") as session:
        assert (await session.warm("m")).state is HealthState.UP
    assert [request.path for request in vendor.requests] == ["/v1/models"]


@pytest.mark.parametrize(
    ("what", "kind"),
    [("not deployed", ModelGone), ("invalid credentials", AuthFailed), ("no container", FirstTokenTimeout)],
)
async def test_what_cannot_be_warmed_says_why(opened: Open, lab: Lab, what: str, kind: type[Exception]) -> None:
    vendor = lab.vendor("modal", dialect=ModalEndpoint(refusal=what))
    async with opened(vendor.base_url, cold_start=1.0) as session:
        with pytest.raises(kind):
            await session.warm("m")
        assert (await session.health()).state is not HealthState.UP


async def test_who_stops_waiting_for_it_leaves_nothing_open(opened: Open, lab: Lab) -> None:
    vendor = lab.vendor("modal", dialect=ModalEndpoint(start=1e9, redirect_after=1e9))
    async with opened(vendor.base_url) as session:
        with anyio.move_on_after(0.2) as scope:
            await session.warm("m")
        assert scope.cancelled_caught
        assert (await session.health()).state is HealthState.WARMING, "what was set off goes on"
        with anyio.fail_after(2):
            await vendor.requests[-1].done.wait()

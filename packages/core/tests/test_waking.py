"""Machines that come and go: a start is waited for, is held against nobody, and can be set off ahead of time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import anyio
import pytest

from pointsman import (
    AsyncClient,
    AuthFailed,
    Candidate,
    ChatRequest,
    Client,
    ConfigError,
    Connection,
    DeadlineExceeded,
    Decision,
    Finished,
    FirstTokenTimeout,
    Health,
    HealthState,
    InvalidRequest,
    Plugins,
    PointsmanError,
    ScaleToZero,
    Settings,
    Target,
    Unavailable,
    Usage,
    Warm,
    hookimpl,
)
from pointsman.engine.health import Health as Known
from pointsman.engine.health.machines import Machines
from pointsman.engine.health.paces import ENOUGH
from pointsman.engine.machine import PATIENCE_WITH_LAST, PATIENCE_WITH_OTHERS_LEFT, Machine
from pointsman.engine.terms import Leg, Limits, Pace, Start, Untried
from pointsman.engine.warming import HINTS_AN_HOUR
from pointsman_testing import VIRTUAL_BACKENDS, ScriptedProvider, VirtualBackend, virtual_run

A, B = Target("a", "scripted-1"), Target("b", "scripted-1")
WINDOW, START = 60.0, 20.0
SCALING = ScaleToZero(window=WINDOW, start=START, second=Decimal("0.001"))
DONE = Finished("stop", Usage(input_tokens=3, output_tokens=20))

virtual = pytest.mark.parametrize("backend", VIRTUAL_BACKENDS)


def known() -> Known:
    return Known(machines=Machines(lambda target: SCALING))


# The engine's clocks -------------------------------------------------------------------------------------------------


def test_a_target_that_is_getting_ready_is_given_so_much_longer() -> None:
    one = Machine([Leg(A, wait=25.0), Leg(B)], Limits(), began=0.0)
    one.start(0.0)
    assert one.due == 25.0 + PATIENCE_WITH_OTHERS_LEFT


def test_half_of_the_time_that_is_left_stays_for_others_all_the_same() -> None:
    one = Machine([Leg(A, wait=25.0), Leg(B)], Limits(deadline=30.0), began=0.0)
    one.start(0.0)
    assert one.due == 15.0


def test_the_last_is_given_no_less() -> None:
    """Its package may say how machines come and go, and nothing of the end of all patience; or too little of that."""
    one = Machine([Leg(A, cold_start=10.0, wait=90.0)], Limits(), began=0.0)
    one.start(0.0)
    assert one.due == PATIENCE_WITH_LAST + 90.0


class Measured(Untried):
    def pace(self, target: Target) -> Pace:
        return Pace(first_token=5.0, hedge_after=1.0)


def test_no_machine_is_started_for_a_hedge() -> None:
    plan = [Leg(A), Leg(B, wait=25.0), Leg(Target("c", "scripted-1"))]
    for several, asked in ((plan, ["c"]), (plan[:2], [])):
        one = Machine(several, Limits(hedge=True), began=0.0, outlook=Measured())
        one.start(0.0)
        begun = [command for command in one.tick(1.0, 0.5) if isinstance(command, Start)]
        assert [command.target.provider for command in begun] == asked


def test_a_hedge_waits_until_it_should_be_ready() -> None:
    one = Machine([Leg(A, wait=25.0), Leg(B)], Limits(hedge=True), began=0.0, outlook=Measured())
    one.start(0.0)
    assert one.due == 26.0


# What a start is not -------------------------------------------------------------------------------------------------


def test_a_start_says_nothing_of_how_fast_answers_begin() -> None:
    """Neither one that was waited for, nor one that was given up."""
    health, now = known(), 0.0
    for _ in range(ENOUGH + 8):  # Each an answer after a second, while the machine runs.
        ticket = health.begin(A, now, 1, cold=True)
        health.spoke(ticket, now + 1.0)
        health.end(ticket, now + 2.0)
        now += 10.0
    before, late = health.paces.of(A), health.paces.late
    assert before.hedge_after == pytest.approx(1.0, rel=0.2)
    for _ in range(20):
        now += 1_000.0
        slow, gave_up = (health.begin(A, now, 1, cold=True) for _ in range(2))
        health.end(gave_up, now + 30.0)
        health.spoke(slow, now + 50.0)
        health.end(slow, now + 55.0)
    assert health.paces.of(A) == before
    assert health.paces.late == late


FAILURES: dict[str, Callable[[], PointsmanError]] = {
    "silent": lambda: FirstTokenTimeout("nothing came"),
    "not there yet": lambda: Unavailable("no container is ready", status=503),
}


@pytest.mark.parametrize("how", FAILURES)
@pytest.mark.parametrize("answered_before", [False, True])
@pytest.mark.parametrize("cold", [False, True], ids=["scaling only", "cold_start, too"])
def test_many_calls_that_meet_one_start_trip_no_breaker(how: str, answered_before: bool, cold: bool) -> None:
    health, now = known(), 10_000.0
    if answered_before:
        ticket = health.begin(A, 0.0, 1, cold=True)
        health.spoke(ticket, 1.0)
        health.end(ticket, 2.0)
    for _ in range(20):
        tickets = [health.begin(A, now, 1, cold=cold) for _ in range(5)]
        now += 1.0
        for ticket in tickets:
            health.failed(ticket, FAILURES[how](), now)
            health.end(ticket, now)
    assert health.breaker(A) == "closed"
    standing = health.standing(A, now, 1)
    assert standing.open_at <= now
    assert standing.avoid, "others are asked first meanwhile"


def test_a_machine_that_runs_and_is_down_does() -> None:
    health = known()
    ticket = health.begin(A, 0.0, 1, cold=True)
    health.spoke(ticket, 1.0)
    health.end(ticket, 2.0)
    for _ in range(5):
        ticket = health.begin(A, 3.0, 1, cold=True)
        health.failed(ticket, Unavailable("down", status=503), 4.0)
        health.end(ticket, 4.0)
    assert health.breaker(A) == "open"


@pytest.mark.parametrize("error", [AuthFailed("no key"), Unavailable("down")])
def test_a_failure_that_starts_nothing_leaves_it_cold(error: PointsmanError) -> None:
    health = known()
    ticket = health.begin(A, 0.0, 1, cold=True)
    assert (ready := health.machines.ready(A, 1.0)) is not None
    assert (ready.state, ready.wait) == ("warming", 19.0)
    health.failed(ticket, error, 1.0)
    health.end(ticket, 1.0)
    assert (ready := health.machines.ready(A, 1.0)) is not None
    assert (ready.state, ready.wait) == ("cold", 20.0)


def test_who_comes_later_waits_for_what_is_left_of_the_same_start() -> None:
    health = known()
    first, second = health.begin(A, 0.0, 1, cold=True), health.begin(A, 10.0, 1, cold=True)
    assert health.machines.wait(A, 11.0) == 9.0
    health.end(first, 12.0)
    assert health.machines.wait(A, 12.0) == 8.0
    assert health.machines.wait(A, 24.0) == 5.0, "somebody still waits: a quarter of what was expected"
    health.spoke(second, 30.0)
    assert health.machines.wait(A, 30.0) is None


def test_one_that_was_left_goes_on_starting_and_ends_unless_somebody_comes() -> None:
    health = known()
    ticket = health.begin(A, 0.0, 1, cold=True)
    health.end(ticket, 5.0)  # Another was quicker.
    told = [health.machines.ready(A, at) for at in (5.0, 19.0, 30.0, 79.9, 80.1)]
    assert [(one.state, one.wait) for one in told if one] == [
        ("warming", 15.0),
        ("warming", 1.0),
        ("warming", 0.0),
        ("warming", 0.0),
        ("cold", 20.0),
    ]


class Pool(ScriptedProvider):
    """Its machine takes a minute to start, then answers at once, and counts what was asked meanwhile."""

    def __init__(self, name: str, start: float = 60.0, **more: Any) -> None:
        super().__init__(name, default=self._answer, **more)
        self.spec = replace(self.spec, scaling=lambda config, model: SCALING, cold_start=300.0)
        self._start = start
        self._ready_at: float | None = None
        self.warmed: list[str] = []
        self.fault: BaseException | None = None
        self.open_then = 0
        """Its connections when warming ended."""

    def _answer(self, request: ChatRequest) -> list[Any]:
        return [self._wait() + 0.5, "well", DONE]

    def _wait(self) -> float:
        now = anyio.current_time()
        if self._ready_at is None:
            self._ready_at = now + self._start
        return max(0.0, self._ready_at - now)

    @hookimpl
    def pointsman_warm(self, connection: Connection[Any]) -> Warm:
        async def warm(model: str) -> Health:
            self.warmed.append(model)
            if self.fault is not None:
                raise self.fault
            try:
                await anyio.sleep(self._wait())
            finally:
                self.open_then = self.connections
            return Health(HealthState.UP)

        return warm


class Hinting:
    """A policy that takes the targets as they are listed, and would warm some."""

    name = "hinting"

    def __init__(self, *prewarm: Target) -> None:
        self.prewarm = prewarm
        self.told: list[Sequence[Candidate]] = []

    def rank(self, request: ChatRequest, candidates: Sequence[Candidate], now: float, seed: int) -> Decision:
        self.told.append(candidates)
        order = tuple(one.target for one in candidates)
        return Decision(policy=self.name, order=order, reason="as listed", prewarm=self.prewarm)

    @hookimpl
    def pointsman_policies(self) -> Sequence[Hinting]:
        return [self]

    def state(self, target: Target) -> tuple[str | None, float]:
        """Of the candidate, as it was told last."""
        [found] = [one for one in self.told[-1] if one.target == target]
        return found.state, found.cold_wait


def client(policy: Hinting, *providers: ScriptedProvider, prewarm: bool = False, **engine: Any) -> AsyncClient:
    plugins = Plugins.of(providers={one.name: one for one in providers}, policies={"hinting": policy})
    targets = [f"{one.name}/scripted-1" for one in providers]
    own = {"policy": "hinting", "targets": targets, "prewarm": prewarm}
    given: dict[str, Any] = {"routing": own, "ledger": {"url": "none"}, "engine": engine}
    return AsyncClient(settings=Settings.of(given), plugins=plugins)


@virtual
def test_a_pool_that_is_cold_all_over_answers_in_the_end_and_nobody_is_shut_out(backend: VirtualBackend) -> None:
    """Thirty calls at once, over three machines that all have to start: some are left for others, no breaker opens."""
    pool = [Pool(name) for name in "abc"]
    policy = Hinting()

    async def main() -> None:
        async with client(policy, *pool, max_attempts=3) as one:
            targets: list[str] = []
            breakers: set[str | None] = set()

            async def ask() -> None:
                reply = await one.chat("hi", deadline=200.0)
                targets.append(str(reply.target))
                breakers.update(attempt.breaker for attempt in reply.attempts)

            async with anyio.create_task_group() as group:
                for _ in range(30):
                    group.start_soon(ask)
            assert len(targets) == 30
            assert breakers == {"closed"}
            one.decide("hi")
            assert policy.state(Target("c", "scripted-1"))[0] == "warm"
            assert policy.state(A)[0] == "cold", "nobody has waited for what it has started"

    virtual_run(main, backend=backend)
    assert not any(provider.open_calls for provider in pool)


# Warming -------------------------------------------------------------------------------------------------------------


@virtual
def test_a_target_is_warmed_on_demand_and_what_it_took_is_learnt(backend: VirtualBackend) -> None:
    policy, pool = Hinting(), Pool("a")

    async def main() -> None:
        async with client(policy, pool) as one:
            one.decide("hi")
            assert policy.state(A) == ("cold", 20.0)
            async with anyio.create_task_group() as group:
                group.start_soon(one.warm, "a/scripted-1")
                await anyio.sleep(5.0)
                one.decide("hi")
                assert policy.state(A) == ("warming", pytest.approx(15.0))
            one.decide("hi")
            assert policy.state(A) == ("warm", 0.0)
            await anyio.sleep(WINDOW)
            one.decide("hi")
            assert policy.state(A) == ("cold", pytest.approx(40.0, rel=0.01)), "between 20 and 60"
            assert policy.told[-1][0].starts == pytest.approx(1.0, rel=0.01)
            assert policy.told[-1][0].standby_cost == pytest.approx(Decimal("0.1"), rel=Decimal("0.01")), "alone"

    virtual_run(main, backend=backend)
    assert pool.warmed == ["scripted-1"]


@virtual
def test_warming_fails_as_its_provider_does_and_leaves_it_cold(backend: VirtualBackend) -> None:
    policy, pool = Hinting(), Pool("a")
    pool.fault = Unavailable("no GPU is free", target=A)

    async def main() -> None:
        async with client(policy, pool, ScriptedProvider("b")) as one:
            with pytest.raises(Unavailable, match="no GPU is free"):
                await one.warm(A)
            one.decide("hi")
            assert policy.state(A) == ("cold", 20.0)
            with pytest.raises(ConfigError, match="b has nothing to warm"):
                await one.warm("b/scripted-1")
            with pytest.raises(ConfigError, match="c"):
                await one.warm("c/x")

    virtual_run(main, backend=backend)


@virtual
def test_a_start_that_never_ends_is_given_up_and_counts_as_a_long_one(backend: VirtualBackend) -> None:
    policy, pool = Hinting(), Pool("a", start=1e9)

    async def main() -> None:
        async with client(policy, pool) as one:
            began = anyio.current_time()
            with pytest.raises(DeadlineExceeded, match="no machine was ready within 100 s"):
                await one.warm(A, deadline=100.0)
            assert anyio.current_time() - began == pytest.approx(100.0)
            await anyio.sleep(WINDOW)
            one.decide("hi")
            assert policy.state(A) == ("cold", pytest.approx(60.0, rel=0.01)), "between 20 and the 100 that it took"
            with pytest.raises(InvalidRequest, match="deadline"):
                await one.warm(A, deadline=0.0)

    virtual_run(main, backend=backend)


@virtual
def test_a_hint_waits_no_longer_than_a_start_can_take(backend: VirtualBackend) -> None:
    """Else nobody would be warmed any more, and requests would be sent to where none is ever ready."""
    vendor, pool, policy = ScriptedProvider("b"), Pool("a", start=1e9), Hinting(A)

    async def main() -> None:
        async with client(policy, vendor, pool, prewarm=True) as one:
            for _ in range(100):
                await one.chat("hi")
                await anyio.sleep(5.0)
            assert len(pool.warmed) == 2

    virtual_run(main, backend=backend)


def test_programs_without_a_loop_can_warm_too() -> None:
    pool = Pool("a", start=0.0)
    with Client(settings=Settings.of({"ledger": {"url": "none"}}), plugins=Plugins.of(providers={"a": pool})) as one:
        assert one.warm("a/scripted-1").state is HealthState.UP
    assert pool.warmed == ["scripted-1"]


@virtual
@pytest.mark.parametrize(("prewarm", "expected"), [(True, 1), (False, 0)])
def test_hints_are_followed_only_where_settings_say_so_and_once_at_a_time(
    backend: VirtualBackend, prewarm: bool, expected: int
) -> None:
    vendor, pool = ScriptedProvider("b"), Pool("a")

    async def main() -> None:
        async with client(Hinting(A), vendor, pool, prewarm=prewarm) as one:
            for _ in range(20):
                await one.chat("hi")
                await anyio.sleep(2.0)
            assert len(pool.warmed) == expected
            await anyio.sleep(30.0)
            await one.chat("hi")
            assert len(pool.warmed) == expected, "it runs"
        assert not pool.calls, "it is started, and not asked"

    virtual_run(main, backend=backend)


@virtual
def test_what_runs_is_not_started_again_whatever_a_policy_says(backend: VirtualBackend) -> None:
    vendor, pool = ScriptedProvider("b"), Pool("a")

    async def main() -> None:
        async with client(Hinting(A), vendor, pool, prewarm=True) as one:
            for _ in range(60):  # For ten minutes, of which each window has its answer.
                await one.chat("hi")
                await one.chat("hi", model="a/scripted-1")
                await anyio.sleep(10.0)

    virtual_run(main, backend=backend)
    assert pool.warmed == []


@virtual
def test_who_comes_alone_warms_nothing(backend: VirtualBackend) -> None:
    vendor, pool = ScriptedProvider("b"), Pool("a")

    async def main() -> None:
        async with client(Hinting(A), vendor, pool, prewarm=True) as one:
            for _ in range(5):
                await one.chat("hi")
                await anyio.sleep(600.0)

    virtual_run(main, backend=backend)
    assert pool.warmed == []


@virtual
def test_hints_have_a_budget_and_what_goes_wrong_is_said_but_loses_no_call(
    backend: VirtualBackend, caplog: pytest.LogCaptureFixture
) -> None:
    vendor, pool = ScriptedProvider("b"), Pool("a")
    pool.fault = RuntimeError("a bug of the plugin's")

    async def main() -> None:
        async with client(Hinting(A), vendor, pool, prewarm=True) as one:
            for _ in range(340):  # For 57 minutes.
                await one.chat("hi")
                await anyio.sleep(10.0)
            assert len(pool.warmed) == HINTS_AN_HOUR
            for _ in range(60):
                await one.chat("hi")
                await anyio.sleep(10.0)
            assert len(pool.warmed) > HINTS_AN_HOUR, "an hour later there are more"

    virtual_run(main, backend=backend)
    assert "a/scripted-1 was to be warmed, and was not: a bug of the plugin's" in caplog.text


@virtual
def test_a_client_that_closes_waits_for_no_start(backend: VirtualBackend) -> None:
    vendor, pool = ScriptedProvider("b"), Pool("a", start=10_000.0)

    async def main() -> None:
        async with client(Hinting(A), vendor, pool, prewarm=True) as one:
            for _ in range(20):
                await one.chat("hi")
                await anyio.sleep(2.0)
            began = anyio.current_time()
        assert anyio.current_time() - began < 1.0
        assert pool.warmed
        assert (pool.open_then, pool.connections) == (1, 0), "it was left before its connection was closed"

    virtual_run(main, backend=backend)


# Facts of packages ---------------------------------------------------------------------------------------------------


def test_what_a_package_says_is_always_there_is_not_cold() -> None:
    """Although it may take long to get ready where it is set up otherwise."""
    policy, pool = Hinting(), Pool("a")
    pool.spec = replace(pool.spec, scaling=lambda config, model: None)
    client(policy, pool).decide("hi")
    assert policy.state(A) == (None, 0.0)
    pool.spec = replace(pool.spec, scaling=None)
    client(policy, pool).decide("hi")
    assert policy.state(A) == ("cold", 30.0)


@pytest.mark.parametrize("shared", [False, True])
def test_where_all_models_are_on_the_same_machines_none_is_cold_beside_one_that_answers(shared: bool) -> None:
    machines = Machines(lambda target: replace(SCALING, shared=shared))
    machines.told(A, 0.0, 30.0, 40.0, broke=False)
    states = [machines.ready(target, 50.0) for target in (A, Target("a", "another"), B)]
    assert [one and one.state for one in states] == ["warm", "warm" if shared else "cold", "cold"]


ODD: dict[str, dict[str, Any]] = {
    "a price that is no Decimal": {"second": 0.0003},
    "a price that is no number": {"second": Decimal("NaN")},
    "a window without end": {"window": float("inf")},
    "a window in words": {"window": "60"},
    "a start before it": {"start": -1.0},
    "no number": {"start": float("nan")},
    "nothing at once": {"parallel": 0},
}


@pytest.mark.parametrize("odd", ODD.values(), ids=list(ODD))
def test_what_cannot_be_reckoned_with_is_refused_by_name(odd: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(odd))} is "):
        ScaleToZero(**{"window": 60.0, "start": 20.0, **odd})


@pytest.mark.parametrize(
    "scaling",
    [
        lambda config, model: 1 / 0,
        lambda config, model: "soon",
        lambda config, model: ScaleToZero(window=60.0, start=20.0, second=0.0003),  # type: ignore[arg-type]
    ],
)
def test_a_package_that_is_wrong_about_its_machines_loses_no_call(
    scaling: Any, caplog: pytest.LogCaptureFixture
) -> None:
    policy, pool = Hinting(), Pool("a")
    pool.spec = replace(pool.spec, scaling=scaling)
    client(policy, pool).decide("hi")
    assert policy.state(A) == (None, 0.0)
    assert "whether its machines run is not known" in caplog.text

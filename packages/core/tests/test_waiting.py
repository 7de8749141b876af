"""Lines, cooldowns and breakers together: nobody gives up who may wait, nobody waits who may go, all in order."""

from __future__ import annotations

from typing import Any, Self

import anyio
import pytest

from pointsman import AsyncClient, Finished, Plugins, PointsmanError, RateLimited, Settings, Unavailable
from pointsman.engine.machine import Machine
from pointsman_testing import VIRTUAL_BACKENDS, ScriptedProvider, virtual_backend

DONE = Finished("stop")


@pytest.fixture(params=VIRTUAL_BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return virtual_backend(request.param)


class Crowd:
    """Calls of one client, and when each of them was answered."""

    def __init__(self, *providers: ScriptedProvider, limits: dict[str, Any], **engine: object) -> None:
        plugins = Plugins.of(providers={one.name: one for one in providers})
        settings = Settings.of({"engine": {"stall": 1e4, **engine}, "limits": limits})
        self.client = AsyncClient(settings=settings, plugins=plugins)
        self.began: list[tuple[float, int]] = []
        self.failed: dict[int, PointsmanError] = {}

    async def ask(self, number: int, prompt: str = "hi", **options: Any) -> None:
        try:
            reply = await self.client.chat(prompt, **{"deadline": 1000.0, **options})
        except PointsmanError as error:
            self.failed[number] = error
        else:
            self.began.append((reply.attempts[-1].started - self.start, number))

    async def __aenter__(self) -> Self:
        self.start = anyio.current_time()
        await self.client.__aenter__()
        self.group = anyio.create_task_group()
        await self.group.__aenter__()
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.group.__aexit__(*raised)
        health = self.client._health
        assert not health.waiting
        assert not any(place.line or place.running for place in health._places.values())
        await self.client.__aexit__(*raised)

    async def arrive(self, numbers: range, every: float, **options: Any) -> None:
        for number in numbers:
            self.group.start_soon(lambda number=number: self.ask(number, **options))
            await anyio.sleep(every)

    @property
    def order(self) -> list[int]:
        return [number for _, number in sorted(self.began)]


async def test_a_line_outlives_a_cooldown_however_long_it_has_stood() -> None:
    asked = 0

    def script(request: object) -> list[Any]:
        nonlocal asked
        asked += 1
        return [RateLimited("slow", retry_at=anyio.current_time() + 1)] if asked == 10 else [1.0, "ok", DONE]

    async with Crowd(ScriptedProvider("a", default=script), limits={"a": {"concurrent": 1}}) as crowd:
        await crowd.arrive(range(30), 0.001)
        await anyio.sleep(9.5)
        crowd.group.start_soon(crowd.ask, 99)
    assert not crowd.failed
    assert crowd.order == [*range(30), 99]


async def test_a_line_outlives_an_open_breaker() -> None:
    asked = 0

    def script(request: object) -> list[Any]:
        nonlocal asked
        asked += 1
        return [Unavailable("down", retryable=False)] if 10 <= asked < 20 else [1.0, "ok", DONE]

    async with Crowd(ScriptedProvider("a", default=script), limits={"a": {"concurrent": 1}}) as crowd:
        await crowd.arrive(range(30), 0.001)
    assert all("down" in str(error) and "not asked" not in str(error) for error in crowd.failed.values())
    assert len(crowd.failed) == 10
    assert crowd.order == [number for number in range(30) if number not in crowd.failed]


@pytest.mark.parametrize("limits", [{"concurrent": 1}, {"rpm": 3}, {"tpm": 40}])
async def test_after_a_cooldown_all_go_in_order(limits: dict[str, int]) -> None:
    first = lambda request: [RateLimited("slow", retry_at=anyio.current_time() + 2)]  # noqa: E731
    a = ScriptedProvider("a", first, default=[0.5, "ok", DONE])
    async with Crowd(a, limits={"a": limits}) as crowd:
        await crowd.arrive(range(12), 0.01, prompt="p" * 80)
    assert not crowd.failed
    assert crowd.order == list(range(12))


async def test_who_waits_in_line_also_goes_elsewhere_once_that_opens() -> None:
    a = ScriptedProvider("a", lambda request: [RateLimited("x", retry_at=anyio.current_time() + 10)], default="from a")
    b = ScriptedProvider("b", default=["ok", 300.0, DONE])
    async with Crowd(a, b, limits={"b": {"concurrent": 1}}) as crowd:
        crowd.group.start_soon(lambda: crowd.ask(0, model="b/scripted-1"))
        await anyio.sleep(0.1)
        await crowd.ask(1, model="a/scripted-1", max_wait=0.0)
        crowd.group.start_soon(lambda: crowd.ask(2, model=["a/scripted-1", "b/scripted-1"]))
    assert list(crowd.failed) == [1]
    assert sorted(crowd.began)[1] == (pytest.approx(10.1), 2)


async def test_a_cooldown_and_a_limit_of_ours_are_waited_for_one_after_the_other() -> None:
    """The cooldown, which is short enough for `max_wait`, and then in line."""
    a = ScriptedProvider("a", lambda request: [RateLimited("x", retry_at=anyio.current_time() + 2)], default="ok")
    async with Crowd(a, limits={"a": {"rpm": 1}}, retry_budget=0.0) as crowd:
        await crowd.ask(0)
        await anyio.sleep(0.1)
        crowd.group.start_soon(crowd.ask, 1)
        await anyio.sleep(3)
        crowd.group.start_soon(crowd.ask, 2)
    assert list(crowd.failed) == [0]
    assert crowd.began == [(pytest.approx(60.0), 1), (pytest.approx(120.0), 2)]


async def test_a_call_with_many_targets_looks_again_only_when_it_may_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else thousands of waiting calls would cost the square of their number."""
    looks, poke = 0, Machine.poke

    def counted(machine: Machine, now: float) -> Any:
        nonlocal looks
        looks += 1
        return poke(machine, now)

    monkeypatch.setattr(Machine, "poke", counted)
    models = ("m1", "m2")
    providers = [ScriptedProvider(name, default=[1.0, "ok", DONE], models=models) for name in "ab"]
    caps = {name: {"concurrent": 2} for name in "ab"} | {f"{name}/m1": {"concurrent": 1} for name in "ab"}
    async with Crowd(*providers, limits=caps) as crowd:
        await crowd.arrive(range(200), 0.0, model=["a/m1", "b/m1", "a/m2", "b/m2"])
    assert not crowd.failed
    assert crowd.order == list(range(200))
    assert looks <= 2 * 200

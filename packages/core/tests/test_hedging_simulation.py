"""Hedging against slow tails, by the real client on a virtual clock: what it gains, what it costs, when it keeps still.

Run as a script it prints figures for more seeds.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from pointsman import AsyncClient, Finished, Plugins, Settings
from pointsman_testing import VIRTUAL_BACKENDS, ScriptedProvider, VirtualBackend, virtual_run

WARM_UP, CALLS = 300, 2000
SHARE = 0.05
Latency = Callable[[random.Random, int], float]


def bimodal(dice: random.Random, call: int) -> float:
    """One answer in twenty begins late."""
    return 5.0 if dice.random() < 0.05 else 0.3


def storm(dice: random.Random, call: int) -> float:
    """After the warm-up all are slow, wherever they are asked."""
    return 0.3 if call < WARM_UP else 5.0 + dice.random()


@dataclass(frozen=True)
class Figures:
    """Seconds to the first token after the warm-up; attempts as a share of all calls, since budgets save up."""

    p50: float
    p99: float
    hedges: float
    extra: float
    """Hedges, and those that followed on an attempt that was left for its silence."""


def simulate(hedge: float, latency: Latency, backend: VirtualBackend, seed: int = 1, calls: int = CALLS) -> Figures:
    dice, count = random.Random(seed), 0
    first_tokens: list[float] = []
    hedges = extra = 0

    async def main() -> None:
        nonlocal count, hedges, extra
        providers = {
            name: ScriptedProvider(name, default=lambda _: [latency(dice, count), "hello", Finished("stop")])
            for name in ("a", "b")
        }
        plugins = Plugins.of(providers=providers)
        order = [f"{name}/scripted-1" for name in providers]
        async with AsyncClient(settings=Settings.of({"engine": {"hedge": hedge}}), plugins=plugins) as client:
            for count in range(WARM_UP + calls):  # noqa: B007  (read by the scripts)
                reply = await client.chat("hi", model=order)
                assert reply.timings.ttft is not None
                first_tokens.append(reply.timings.ttft)
                hedges += sum(attempt.role == "hedge" for attempt in reply.attempts)
                extra += len(reply.attempts) - 1
        assert not any(one.open_calls for one in providers.values())

    virtual_run(main, backend=backend)
    after = sorted(first_tokens[WARM_UP:])
    total = len(first_tokens)
    return Figures(after[calls // 2], after[calls * 99 // 100], hedges / total, extra / total)


@pytest.mark.parametrize("backend", VIRTUAL_BACKENDS)
def test_a_twentieth_more_attempts_halves_the_tail(backend: VirtualBackend) -> None:
    without, hedged = simulate(0.0, bimodal, backend), simulate(SHARE, bimodal, backend)
    assert without.extra == 0
    assert 0 < hedged.hedges <= SHARE
    assert hedged.extra <= SHARE
    assert hedged.p99 <= without.p99 / 2
    assert hedged.p50 <= without.p50 + 1e-6


@pytest.mark.parametrize("backend", VIRTUAL_BACKENDS)
def test_where_all_are_slow_hedging_does_not_add_to_it(backend: VirtualBackend) -> None:
    stormy = simulate(SHARE, storm, backend, calls=300)
    assert stormy.hedges <= SHARE / 2, "the slow ones are no exception"
    assert stormy.extra <= SHARE


if __name__ == "__main__":
    for number in range(1, 9):
        print(number, *(simulate(hedge, bimodal, "asyncio", number) for hedge in (0.0, SHARE)))
    print("storm", simulate(SHARE, storm, "asyncio"))

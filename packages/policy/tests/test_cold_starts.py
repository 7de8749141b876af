"""A GPU that starts when it is asked, beside a vendor who bills by the token: what it is worth to know which is cold.

By the real client on a virtual clock. The GPU is better and quicker than the vendor while it runs, and cheaper while
many ask. Requests come at random, in quiet hours and in busy ones, each with a deadline.

Run as a script it prints the table of docs/decisions/cold-starts.md, for more seeds.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from math import inf
from statistics import mean
from typing import Any, Literal, TypeAlias
from unittest.mock import patch

import anyio
import pytest

from pointsman import (
    AsyncClient,
    AttemptRecord,
    CallRecord,
    Candidate,
    ChatRequest,
    Connection,
    Decision,
    Finished,
    Health,
    HealthState,
    ModelInfo,
    Plugins,
    PointsmanError,
    Policy,
    Price,
    ScaleToZero,
    Settings,
    Sink,
    StreamEvent,
    Strengths,
    Usage,
    Warm,
    hookimpl,
)
from pointsman_policy import TASKS, Classification
from pointsman_policy.scored import Scored
from pointsman_policy.settings import ScoredSettings
from pointsman_testing import ScriptedProvider, virtual_run

SECOND = Decimal("0.000306")
"""USD of an A10 at Modal (2026-11)."""
TOKENS, DOLLARS = 300, "10"
"""Of an answer; and USD for a million of the vendor's."""
WINDOW, EXPECTED = 60.0, 20.0
STARTS = 20.0, 90.0
"""Seconds, from and to; each site has its own usual one, and each start is about that."""
DEADLINES = 6.0, 40.0
Manner: TypeAlias = Literal["blind", "aware", "prewarming"]
Phase: TypeAlias = tuple[float, float]
"""Seconds that it lasts, and seconds from one request to the next on average."""
DAY: Sequence[Phase] = ((5400.0, 240.0), (300.0, 4.0)) * 2
SHORT = DAY[:2]
BUSY: Sequence[Phase] = ((600.0, 4.0),)


class Gpu(ScriptedProvider):
    """One machine, and what it is billed. A start goes on when nobody waits for it any more."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__("gpu")
        self._dice = dice
        self._usual = dice.uniform(*STARTS)
        self._set_off: float | None = None
        self._ready_at = self._last = 0.0
        self._active = 0
        self.seconds = 0.0
        self.starts = 0
        price = Price(input=Decimal(0), output=Decimal(0), second=SECOND, as_of=date(2026, 11, 1), source="a test")
        self.spec = replace(
            self.spec,
            models=(ModelInfo(id="scripted-1", price=price),),
            scaling=lambda config, model: ScaleToZero(window=WINDOW, start=EXPECTED, second=SECOND, parallel=1),
            cold_start=300.0,
            strengths=Strengths(first_token=(0.3, 0.6), tokens_per_second=(100, 140), tasks={"general": 8}),
        )

    @asynccontextmanager
    async def stream(self, request: ChatRequest) -> AsyncGenerator[AsyncIterator[StreamEvent]]:
        with self._asking() as wait:
            self.scripts.append([wait + 0.4, *_answer(120.0)])
            async with super().stream(request) as events:
                yield events

    @contextmanager
    def _asking(self) -> Generator[float]:
        """Something asks, and has to wait for so many seconds."""
        self.settle()
        now = anyio.current_time()
        if self._set_off is None:
            self._set_off, self.starts = now, self.starts + 1
            self._ready_at = self._last = now + self._usual * self._dice.uniform(0.9, 1.1)
        self._active += 1
        try:
            yield max(0.0, self._ready_at - now)
        finally:
            self._active -= 1
            self._last = max(self._last, anyio.current_time())

    @hookimpl
    def pointsman_warm(self, connection: Connection[Any]) -> Warm:
        async def warm(model: str) -> Health:
            with self._asking() as wait:
                await anyio.sleep(wait)
            return Health(HealthState.UP)

        return warm

    def settle(self) -> None:
        """It ends a window after its last answer."""
        ends = self._last + WINDOW
        if self._set_off is not None and not self._active and anyio.current_time() >= ends:
            self.seconds += ends - self._set_off
            self._set_off = None


class Vendor(ScriptedProvider):
    """It is always there."""

    def __init__(self) -> None:
        super().__init__("vendor", default=[0.8, *_answer(70.0)])
        usd = Decimal(DOLLARS)
        price = Price(input=Decimal(0), output=usd, as_of=date(2026, 11, 1), source="a test")
        self.spec = replace(
            self.spec,
            models=(ModelInfo(id="scripted-1", price=price),),
            strengths=Strengths(first_token=(0.6, 1.0), tokens_per_second=(60, 80), tasks={"general": 7}),
        )


def _answer(speed: float) -> list[StreamEvent | str | float]:
    return ["an", TOKENS / speed, " answer", Finished("stop", Usage(input_tokens=10, output_tokens=TOKENS))]


class Sighted:
    """`scored`; or `scored` that is told nothing of machines."""

    def __init__(self, *, blind: bool) -> None:
        self.name = "blind" if blind else "sighted"
        self._blind = blind
        self._scored = Scored(ScoredSettings(explore=0), _general)

    def rank(self, request: ChatRequest, candidates: Sequence[Candidate], now: float, seed: int) -> Decision:
        if self._blind:
            candidates = [replace(one, cold_wait=0.0, state=None, starts=0.0, standby_cost=None) for one in candidates]
        return replace(self._scored.rank(request, candidates, now, seed), policy=self.name)

    @hookimpl
    def pointsman_policies(self) -> Sequence[Policy]:
        return [self]


def _general(request: ChatRequest | str) -> Classification:
    probabilities = {task: float(task == "general_qa") for task in TASKS}
    return Classification(task="general_qa", probabilities=probabilities, difficulty=0.5, language="en", confidence=1.0)


@dataclass
class Outcome:
    """What a day came to."""

    calls: int = 0
    missed: int = 0
    by_gpu: int = 0
    starts: int = 0
    usd: float = 0.0
    opened: int = 0
    """Attempts after which a breaker was open."""
    first_tokens: list[float] = field(default_factory=list[float])

    @hookimpl
    def pointsman_sinks(self) -> Sequence[Sink]:
        return [self._note]

    def _note(self, record: AttemptRecord | CallRecord) -> None:
        if isinstance(record, AttemptRecord):
            self.opened += record.breaker == "open"
            self.usd += float(record.cost.known) if record.target.provider == "vendor" else 0.0


def simulate(manner: Manner, seed: int, phases: Sequence[Phase] = DAY) -> Outcome:
    dice, outcome = random.Random(seed), Outcome()
    arrivals: list[tuple[float, float]] = []
    begins = 0.0
    for lasts, gap in phases:
        at = begins + dice.expovariate(1 / gap)
        while at < begins + lasts:
            arrivals.append((at, dice.uniform(*DEADLINES)))
            at += dice.expovariate(1 / gap)
        begins += lasts
    gpu, vendor, policy = Gpu(random.Random(seed)), Vendor(), Sighted(blind=manner == "blind")

    async def main() -> None:
        plugins = Plugins.of(
            providers={"gpu": gpu, "vendor": vendor}, policies={policy.name: policy}, sinks={"outcome": outcome}
        )
        own = {"routing": {"policy": policy.name, "prewarm": manner == "prewarming"}, "ledger": {"url": "none"}}
        async with (
            AsyncClient(settings=Settings.of(own), plugins=plugins) as client,
            anyio.create_task_group() as group,
        ):

            async def call(deadline: float) -> None:
                outcome.calls += 1
                question = f"Who invented the railway number {outcome.calls}?"  # None goes on with another.
                try:
                    reply = await client.chat(question, deadline=deadline)
                except PointsmanError:
                    outcome.missed += 1
                else:
                    outcome.by_gpu += reply.target is not None and reply.target.provider == "gpu"
                    outcome.first_tokens.append(reply.timings.ttft or 0.0)

            for at, deadline in arrivals:
                await anyio.sleep(max(0.0, at - anyio.current_time()))
                group.start_soon(call, deadline)
        await anyio.sleep(1000.0)
        gpu.settle()

    with patch("pointsman.engine.decide.PATIENCE", inf):  # It is real time, of which a machine may be short.
        virtual_run(main)
    outcome.starts = gpu.starts
    outcome.usd += gpu.seconds * float(SECOND)
    return outcome


@pytest.mark.parametrize("seed", range(3))
def test_who_sees_what_is_cold_misses_fewer_deadlines_and_pays_less(seed: int) -> None:
    blind, aware, prewarming = (simulate(manner, seed, SHORT) for manner in ("blind", "aware", "prewarming"))
    assert blind.calls == aware.calls == prewarming.calls > 50
    assert blind.missed > 0
    assert aware.missed < blind.missed
    assert aware.usd < blind.usd
    assert prewarming.missed < blind.missed
    assert prewarming.usd < aware.usd
    assert prewarming.by_gpu > blind.calls / 2, "the busy hours are the GPU's"
    assert [blind.opened, aware.opened, prewarming.opened] == [0, 0, 0], "a cold start trips no breaker"


def test_where_many_ask_the_gpu_is_used_and_nobody_waits_for_it() -> None:
    busy = simulate("prewarming", 0, BUSY)
    assert busy.starts == 1
    assert busy.missed == 0
    assert busy.by_gpu > 0.75 * busy.calls
    assert max(busy.first_tokens) < 1.0


def test_where_nobody_else_will_come_nothing_is_warmed() -> None:
    """Each request alone would pay for a start, which it does not wait for."""
    quiet = simulate("prewarming", 0, ((3600.0, 300.0),))
    assert quiet.calls > 5
    assert (quiet.starts, quiet.by_gpu, quiet.missed) == (0, 0, 0)


if __name__ == "__main__":
    SEEDS = range(20)
    print("| requests | policy | calls | deadlines missed | USD | by the GPU | starts | first token, mean (s) |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, phases in (("quiet and busy", DAY), ("busy", BUSY)):
        for manner in ("blind", "aware", "prewarming"):
            days = [simulate(manner, seed, phases) for seed in SEEDS]
            calls, missed = sum(day.calls for day in days), sum(day.missed for day in days)
            print(
                f"| {name} | {manner} | {calls} | {missed} | {sum(day.usd for day in days):.2f} "
                f"| {sum(day.by_gpu for day in days) / calls:.0%} | {sum(day.starts for day in days)} "
                f"| {mean(one for day in days for one in day.first_tokens):.1f} |",
                flush=True,
            )
            assert not any(day.opened for day in days)

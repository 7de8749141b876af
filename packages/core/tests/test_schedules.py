"""Random faults, by the ten thousand, through the real client on a virtual clock: DESIGN's promises hold after each.

A world is one client with a few targets that misbehave at random, and calls that come, wait, leave and are cancelled.
It is made from its number alone: `play(number, backend)` shows it again. SCHEDULES in the environment asks for more.
"""

from __future__ import annotations

import gc
import logging
import os
import random
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise, takewhile
from typing import Any

import anyio
import pytest
import trio

from pointsman import (
    AllTargetsFailed,
    AsyncClient,
    AttemptRecord,
    AuthFailed,
    CallRecord,
    ChatRequest,
    ContextOverflow,
    DeadlineExceeded,
    Finished,
    InvalidRequest,
    Plugins,
    PointsmanError,
    RateLimited,
    ReasoningDelta,
    Resumed,
    Retracted,
    Scope,
    Settings,
    Sink,
    Started,
    StreamBroken,
    StreamEvent,
    Target,
    TextDelta,
    Unavailable,
    hookimpl,
)
from pointsman.engine.health.breaker import State
from pointsman.engine.health.windows import MINUTE, RETRY_BURST
from pointsman.engine.seam import LEAST
from pointsman_testing import VIRTUAL_BACKENDS, Hang, ScriptedProvider, VirtualBackend, virtual_run

SCHEDULES = int(os.environ.get("SCHEDULES") or 10_000)
"""Over both loops."""
PARTS = 10
DONE = Finished("stop")
ENDS = [*["whole"] * 8, *["refuse"] * 5, "silent", "cut", "cut", "bug", "unproven", "stall"]


@dataclass
class Asked:
    """What one call of a provider was told to do."""

    call: str
    target: Target
    says: str = ""
    """What of its text may reach the reader."""
    whole: bool = False


class Misbehaving(ScriptedProvider):
    """Draws what it does, and counts how often it is asked at once."""

    def __init__(self, name: str, world: World, prefill: bool) -> None:
        models = ("m", "n") if world.rng.random() < 0.3 else ("m",)
        super().__init__(
            name,
            default=self.draw,
            models=models,
            capabilities=["prefill"] if prefill else [],
            idempotent=world.rng.random() < 0.9,
        )
        self.world = world
        self.running = 0

    @asynccontextmanager
    async def stream(self, request: ChatRequest) -> AsyncGenerator[AsyncIterator[StreamEvent]]:
        self.running += 1
        assert self.running <= self.world.concurrent.get(self.name, 99), "never more at once than allowed"
        try:
            async with super().stream(request) as events:
                yield events
        except RateLimited as error:
            if error.retry_at is not None:
                told = anyio.current_time()
                self.world.promises.append((Target(self.name, request.model), told, error.retry_at))
            raise
        finally:
            self.running -= 1

    def draw(self, request: ChatRequest) -> list[Any]:
        world, rng = self.world, self.world.rng
        target = Target(self.name, request.model)
        asked = Asked(request.messages[0].text, target)
        world.asked.append(asked)
        end = rng.choice(ENDS)
        steps: list[Any] = [rng.choice([0.0, 0.0, 0.1, 2.0, 12.0])]
        if end == "refuse":
            return [*steps, self.refusal(target)]
        if end == "silent":
            return [Hang()]
        if rng.random() < 0.1:
            steps.append(ReasoningDelta("hm"))
        words = [f"{self.name}{len(world.asked)}-word-{number} " for number in range(rng.randrange(4))]
        asked.whole, asked.says = end == "whole", "".join(words)
        if request.messages[-1].role == "assistant":
            words = self.go_on(asked, request.messages[-1].text, words)
        for word in words:
            steps += [rng.choice([0.0, 0.0, 0.2, 3.0, 25.0]), word]
        ends = {"whole": [DONE], "cut": [StreamBroken], "bug": [ValueError], "unproven": [], "stall": [Hang()]}
        return [*steps, *ends[end]]

    def go_on(self, asked: Asked, before: str, words: list[str]) -> list[str]:
        """A continuation, as models give them: at once, after repeating the end, or all, or none of it at all."""
        match self.world.rng.randrange(4):
            case 0 if len(before) >= LEAST:
                return [before, " ", *words]
            case 1 if len(before) >= LEAST:
                return [before[-LEAST:], " ", *words]
            case 2 if len(before) > LEAST:
                asked.whole, asked.says = False, ""
                return [before[:LEAST], "~ something else"]
            case _:
                return [" ", *words]

    def refusal(self, target: Target) -> PointsmanError | Finished:
        rng, now = self.world.rng, anyio.current_time()
        match rng.randrange(12):
            case 0:
                return AuthFailed("as drawn", target=target)
            case 1:
                return InvalidRequest("as drawn", target=target)
            case 2:
                return ContextOverflow("as drawn", target=target)
            case 3:
                return Finished("content_filter")
            case 4 | 5 | 6:
                return RateLimited("as drawn", target=target, retry_at=now + rng.choice([0.5, 3.0, 20.0]))
            case 7:
                return RateLimited("as drawn", target=target)
            case 8:
                return Unavailable("as drawn", target=target, scope=Scope.PROVIDER, begun=False)
            case _:
                return Unavailable("as drawn", target=target)


@dataclass
class Said:
    """What one call of the client came to."""

    name: str
    began: float
    mode: str
    deadline: float | None
    collected: bool = False
    left: bool = False
    ended: float = 0.0
    events: list[StreamEvent] = field(default_factory=list[StreamEvent])
    text: str | None = None
    error: PointsmanError | None = None
    attempts: tuple[AttemptRecord, ...] = ()


class World:
    """One client, its targets, its calls."""

    def __init__(self, number: int) -> None:
        self.rng = rng = random.Random(number)
        self.asked: list[Asked] = []
        self.promises: list[tuple[Target, float, float]] = []
        """Who has said, at which time, until when it will not listen."""
        self.concurrent = {name: rng.randint(1, 2) for name in "abc" if rng.random() < 0.2}
        self.providers = [Misbehaving(name, self, rng.random() < 0.6) for name in "abc"[: rng.randint(1, 3)]]
        self.plan = [Target(one.name, model.id) for one in self.providers for model in one.spec.models]
        self.rates = self.drawn_rates(random.Random(f"the rates of {number}"))
        self.engine: dict[str, Any] = {
            "retries": rng.randrange(3),
            "max_attempts": rng.choice([1, 3, 8, 20]),
            "max_wait": rng.choice([0.0, 5.0, 30.0]),
            "hedge": rng.choice([0.0, 0.2, 1.0]),
            "retry_budget": rng.choice([0.0, 0.2, 1.0]),
        }
        for name, values in {"first_token": [1.0, 5.0], "stall": [1.0, 10.0], "min_speed": [1.0, 40.0]}.items():
            if rng.random() < 0.2:
                self.engine[name] = rng.choice(values)
        self.said: list[Said] = []
        self.records: dict[str, CallRecord] = {}

    def drawn_rates(self, dice: random.Random) -> dict[str, dict[str, int]]:
        """How much may be asked of some providers and targets in a minute."""
        names = [*(one.name for one in self.providers), *map(str, self.plan)]
        return {
            name: {kind: dice.choice(most) for kind, most in {"rpm": (1, 2, 5), "tpm": (5, 12)}.items()}
            for name in names
            if dice.random() < 0.15
        }

    @hookimpl
    def pointsman_sinks(self) -> Sequence[Sink]:
        return [self.take]

    def take(self, record: AttemptRecord | CallRecord) -> None:
        if isinstance(record, CallRecord):
            assert record.tags["call"] not in self.records, "one record a call"
            self.records[record.tags["call"]] = record

    async def play(self) -> None:
        limits = {name: dict(rates) for name, rates in self.rates.items()}
        for name, most in self.concurrent.items():
            if name <= self.plan[-1].provider:
                limits.setdefault(name, {})["concurrent"] = most
        table = {"engine": self.engine, "limits": limits}
        plugins = Plugins.of(providers={one.name: one for one in self.providers}, sinks={"keep": self})
        async with AsyncClient(settings=Settings.of(table), plugins=plugins) as client:
            if self.rng.random() < 0.3:  # So that hedges have something to go by.
                for target in self.plan:
                    for _ in range(24):
                        client._health.paces.first_token(target, 0.2, anyio.current_time(), None)
            async with anyio.create_task_group() as group:
                for number in range(self.rng.randint(1, 4)):
                    group.start_soon(self.call, client, f"call {number}", self.rng.choice([0.0, 0.0, 1.0, 30.0]))
            self.nothing_is_left(client)
        assert not any(one.open_calls or one.connections for one in self.providers)

    async def call(self, client: AsyncClient, name: str, after: float) -> None:
        rng = self.rng
        mode, deadline = rng.choice(["raise", "restart", "continue"]), rng.choice([None, None, 1.0, 7.0, 40.0])
        leave, dawdle = rng.choice([None] * 5 + [0.05, 3.0]), rng.choice([0.0] * 5 + [2.0])
        await anyio.sleep(after)
        said = Said(name, anyio.current_time(), mode, deadline)
        self.said.append(said)
        options: dict[str, Any] = {"on_break": mode, "tags": {"call": name}} | (
            {"deadline": deadline} if deadline else {}
        )
        collected = rng.random() < 0.5
        with anyio.move_on_after(leave) as scope:
            try:
                if collected:
                    reply = await client.chat(name, **options)
                    said.text, said.events = reply.text, list(reply.events)
                else:
                    async with client.stream(name, **options) as flow:
                        async for event in flow.events:
                            said.events.append(event)
                            await anyio.sleep(dawdle)
                        said.text = flow.text
            except PointsmanError as error:
                said.error = error
        said.left = scope.cancelled_caught
        said.ended = anyio.current_time() if not (dawdle and not collected) else said.began
        said.collected, said.attempts = collected, self.records[name].attempts

    def nothing_is_left(self, client: AsyncClient) -> None:
        health = client._health
        for place in health._places.values():
            assert place.running == 0, "every place in use is given back"
            assert not place.line, "nobody stands in a line"
            assert not place.tokens or place.tokens.total == sum(one.amount for one in place.tokens._spent)
            assert place.breaker.state is not State.PROBING, "no probe is lost"
        assert not health.waiting
        calls = len(self.said)
        hedges = sum(one.role == "hedge" for said in self.said for one in said.attempts)
        assert hedges <= self.engine["hedge"] * calls + 1e-9, "the budget of hedges"
        again = sum(
            max(0, [one.target for one in said.attempts if one.outcome != "lost"].count(target) - 1)
            for said in self.said
            for target in self.plan
        )
        share = self.engine["retry_budget"]
        assert again <= (share * calls + RETRY_BURST if share else 0), "the budget of retries"

    # What must hold ----------------------------------------------------------------------------------------------

    def check(self) -> None:
        begun = [(one.started, one.target) for said in self.said for one in said.attempts]
        for name, rates in self.rates.items():
            mine = sorted(at for at, target in begun if name in (target.provider, str(target)))
            assert all(later - at > MINUTE - 1e-6 for at, later in zip(mine, mine[rates["rpm"] :], strict=False))
        for said in self.said:
            if said.text is not None:
                self.check_answer(said)
            elif not said.left:
                assert said.error is not None
                assert not any(isinstance(event, Finished) for event in said.events)
                self.check_verdict(said)
            if said.deadline is not None:
                assert said.ended - said.began <= said.deadline + 1e-6, "never past the deadline"
            self.check_attempts(said)

    def check_attempts(self, said: Said) -> None:
        attempts = said.attempts
        assert [one.attempt for one in attempts] == list(range(1, len(attempts) + 1))
        assert len(attempts) <= self.engine["max_attempts"]
        assert said.left or sum(one.outcome == "finished" for one in attempts) == (said.text is not None)
        for one, after in pairwise(attempts):
            assert one.started <= after.started
        for target in self.plan:
            tries = [one for one in attempts if one.target == target]
            asked = [one for one in self.asked if (one.call, one.target) == (said.name, target)]
            assert sum(one.outcome != "lost" for one in tries) <= 1 + self.engine["retries"]
            assert len(asked) <= len(tries), "every attempt is recorded"
            assert all(one.first_output is None for one in tries[len(asked) :]), "what was not asked has not answered"

    def check_answer(self, said: Said) -> None:
        """The text is one target's whole answer, or a declared continuation of one by others."""
        assert isinstance(said.events[-1], Finished)
        assert sum(isinstance(event, Finished) for event in said.events) == 1
        shown: list[str] = []
        for event in said.events:
            match event:
                case Started():
                    assert not shown, "nothing stands when an answer begins"
                case Retracted():
                    assert said.mode != "raise"
                    shown = []
                case TextDelta(text):
                    shown.append(text)
                case Resumed():
                    assert said.mode == "continue"
                case _:
                    pass
        assert "".join(shown) == said.text, "what was shown and not withdrawn is the answer"
        spoke = [one for one in said.attempts if one.first_output is not None or one.outcome == "finished"]
        chain = [spoke.pop()]
        while spoke and chain[0].role == "resume":
            chain.insert(0, spoke.pop())
        parts = [self.asked_of(said, one) for one in chain]
        assert parts[-1].whole, "never a part for the whole"
        words, told = (said.text or "").split(" "), [part.says.split(" ")[:-1] for part in parts]
        for part in told[:-1]:
            given = [word for word, _ in takewhile(lambda pair: pair[0] == pair[1], zip(words, part, strict=False))]
            assert given, "each who spoke is heard"
            del words[: len(given)]
        assert words == [*told[-1], ""], "no loss, no duplicate, no interleaving"

    def asked_of(self, said: Said, one: AttemptRecord) -> Asked:
        before = sum(other.target == one.target for other in said.attempts[: one.attempt - 1])
        return [asked for asked in self.asked if (asked.call, asked.target) == (said.name, one.target)][before]

    def check_verdict(self, said: Said) -> None:
        """Whoever gives up has asked everybody that could be asked, or may not go on."""
        error = said.error
        assert error is not None
        if isinstance(error, DeadlineExceeded) or (
            error.scope is Scope.REQUEST and not isinstance(error, AllTargetsFailed)
        ):
            return
        takes_back = said.mode == "restart" or (said.mode == "continue" and said.collected)
        if not takes_back and any(one.first_output is not None for one in said.attempts):
            return
        if len(said.attempts) >= self.engine["max_attempts"] or self.acted(said):
            return
        met = list(error.exceptions) if isinstance(error, AllTargetsFailed) else [error]
        reasons = [one for one in met if isinstance(one, PointsmanError)]
        for target in self.plan:
            ruled_out = any(
                (one.scope is Scope.PROVIDER and one.provider == target.provider) or isinstance(one, ContextOverflow)
                for one in reasons
            )
            assert ruled_out or any(one.target == target for one in reasons), f"{target} was not asked"

    def acted(self, said: Said) -> bool:
        repeatable = {one.name: one.spec.idempotent for one in self.providers}
        return any(not repeatable[one.target.provider] for one in said.attempts)

    def check_promises(self) -> None:
        """No attempt begins while its target has said that it will not listen."""
        for target, told, until in self.promises:
            for one in (one for said in self.said for one in said.attempts):
                if one.target == target and one.started > told:
                    assert one.started >= until, "not before the vendor will listen"


def play(number: int, backend: VirtualBackend) -> None:
    """One world, from its beginning to its end."""
    random.seed(number)  # The engine spreads retries, and trio shuffles tasks.
    trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING = True
    trio._core._run._r.seed(number)
    world = World(number)
    virtual_run(world.play, backend=backend)
    world.check()
    world.check_promises()


@pytest.mark.parametrize("backend", VIRTUAL_BACKENDS)
@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_targets_do_the_promises_hold(part: int, backend: VirtualBackend) -> None:
    each = SCHEDULES // PARTS // 2
    first = part * each + (SCHEDULES if backend == "trio" else 0)
    logging.disable(logging.CRITICAL)
    try:
        for number in range(first, first + each):
            try:
                play(number, backend)
            except BaseException as error:
                error.add_note(f"play({number}, {backend!r}) shows it again")
                raise
    finally:
        logging.disable(logging.NOTSET)
    gc.collect()

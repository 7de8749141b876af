"""A policy is told what calls came to: this client's at once, others' by the ledger, whatever state that is in."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import (
    AsyncClient,
    Candidate,
    ChatRequest,
    Client,
    ConfigError,
    Decision,
    Family,
    Finished,
    Health,
    HealthState,
    InvalidRequest,
    LedgerQuery,
    Plugins,
    Score,
    Settings,
    StoreSpec,
    Strengths,
    Target,
    Term,
    Unavailable,
    Usage,
    assistant,
    hookimpl,
    open_ledger,
    user,
)
from pointsman import remembering as memory
from pointsman.engine.health.histories import Histories
from pointsman.engine.health.readiness import LONGEST_ASSUMED, WINDOW_ASSUMED
from pointsman.ledger.past import PastAttempt, PastCall, past
from pointsman.telemetry import CallRecord
from pointsman_testing import ScriptedProvider
from pointsman_testing.kit.ledgers.entries import entry

DONE = Finished("stop", Usage(input_tokens=3, output_tokens=20))
A = Target("a", "scripted-1")
B = Target("b", "scripted-1")


@dataclass
class Watching:
    """A policy that notes what it is told, and takes whoever `first` says first."""

    name: str = "watching"
    first: str = "a"
    told: list[dict[str, Candidate]] = field(default_factory=list)
    task: str | None = "code_review"

    def rank(self, request: ChatRequest, candidates: Sequence[Candidate], now: float, seed: int) -> Decision:
        self.told.append({one.target.provider: one for one in candidates})
        order = sorted((one.target for one in candidates), key=lambda one: one.provider != self.first)
        scores = tuple(Score(one, 0.5, (Term("price", 1.0, 0.25, "free, said the secret prompt"),)) for one in order)
        return Decision(
            policy=self.name,
            order=tuple(order),
            reason="the secret prompt said so",
            task=self.task,
            confidence=0.75,
            difficulty=0.5,
            scores=scores,
            propensity=0.9,
            policy_hash="c0ffee",
        )

    @hookimpl
    def pointsman_policies(self) -> Sequence[Watching]:
        return [self]

    @property
    def last(self) -> dict[str, Candidate]:
        return self.told[-1]


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy this machine is, the first decision sees the ledger."""
    monkeypatch.setattr(memory, "PATIENCE", 10.0)


@pytest.fixture
def policy() -> Watching:
    return Watching()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def settings(file: Path | None) -> Settings:
    url = "none" if file is None else f"sqlite:{file}"
    return Settings.of({"ledger": {"url": url}, "routing": {"policy": "watching"}, "engine": {"retries": 0}})


def plugins(policy: Watching, *providers: ScriptedProvider, **more: Any) -> Plugins:
    given = providers or (ScriptedProvider("a", default=["well", DONE]), ScriptedProvider("b", default=["well", DONE]))
    return Plugins.of(providers={one.name: one for one in given}, policies={"watching": policy}, **more)


def client(policy: Watching, file: Path | None, *providers: ScriptedProvider, **more: Any) -> AsyncClient:
    return AsyncClient(settings=settings(file), plugins=plugins(policy, *providers, **more))


def rows(file: Path) -> list[Any]:
    with open_ledger(f"sqlite:{file}") as ledger:
        return list(ledger.rows("calls", LedgerQuery()))


# This client's own calls ---------------------------------------------------------------------------------------------


async def test_the_next_decision_knows_what_the_last_call_came_to(policy: Watching) -> None:
    a = ScriptedProvider("a", ["well", DONE], Unavailable, default="ok")
    async with client(policy, None, a, ScriptedProvider("b", default=["well", DONE])) as one:
        for _ in range(3):
            await one.chat("hi")
        assert [told["a"].history.overall.attempts for told in policy.told] == pytest.approx([0, 1, 2], abs=1e-3)
        assert policy.last["a"].history.overall.failures == pytest.approx(1, abs=1e-3)
        assert policy.last["b"].history.overall.attempts == pytest.approx(1, abs=1e-3), "it stood in for the other"
        assert policy.last["b"].history.tasks["code_review"].answers == pytest.approx(1, abs=1e-3)
        assert policy.last["a"].history.lengths["short"].answers == pytest.approx(1, abs=1e-3)


async def test_pinned_calls_are_remembered_and_cost_no_look_into_the_ledger(policy: Watching, file: Path) -> None:
    async with client(policy, file) as one:
        await one.chat("hi", model="a/scripted-1")
        assert one._memory._read_at is None
        await one.chat("hi")
        assert policy.last["a"].history.overall.attempts == pytest.approx(1, abs=1e-3)


async def test_of_very_many_calls_that_nobody_asked_about_the_newest_are_remembered(policy: Watching) -> None:
    async with client(policy, None) as one:
        for _ in range(memory.PENDING + 5):
            await one.chat("hi", model="a/scripted-1")
        one.decide("hi")
        assert policy.last["a"].history.overall.attempts == pytest.approx(memory.AT_ONCE, abs=0.1)
        assert len(one._memory._pending) == memory.PENDING - memory.AT_ONCE


async def test_the_configured_order_looks_at_nothing(file: Path) -> None:
    given = Plugins.of(providers={"a": ScriptedProvider("a")})
    async with AsyncClient(settings=Settings.of({"ledger": {"url": f"sqlite:{file}"}}), plugins=given) as one:
        await one.chat("hi")
        assert one._memory._read_at is None


# Others' calls, by the ledger ----------------------------------------------------------------------------------------


async def test_memory_outlives_the_process(policy: Watching, file: Path) -> None:
    async with client(policy, file, ScriptedProvider("a", Unavailable), ScriptedProvider("b")) as one:
        for _ in range(2):
            await one.chat("hi")
        one.decide("hi")
        before = policy.last
    async with client(policy, file) as other:
        await other.chat("hi")
        for name in ("a", "b"):
            seen, due = policy.last[name].history, before[name].history
            assert seen.overall.attempts == pytest.approx(due.overall.attempts, abs=0.05)
            assert seen.overall.failures == pytest.approx(due.overall.failures, abs=0.05)
            assert seen.tasks.keys() == due.tasks.keys()


async def test_two_clients_see_each_others_calls_and_their_own_once(
    policy: Watching, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "EVERY", 0.0)
    both = Watching()
    async with client(policy, file) as one, client(both, file) as other:
        for turn in range(1, 4):
            await one.chat("hi")
            await other.chat("hi", model="auto")
            await one.flush()
            await other.flush()
            for asked, watching in ((one, policy), (other, both)):
                await looked(asked)
                asked.decide("hi")
                assert watching.last["a"].history.overall.attempts == pytest.approx(2 * turn, abs=0.1)


async def test_what_others_have_met_arrives_while_a_client_is_open(
    policy: Watching, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "EVERY", 0.0)
    async with client(policy, file) as one, client(Watching(), file) as other:
        await one.chat("hi")
        assert policy.last["b"].history.overall.attempts == 0
        await other.chat("hi", model="b/scripted-1")
        await other.flush()
        for _ in range(500):
            await one.chat("hi")
            if policy.last["b"].history.overall.attempts:
                break
            await anyio.sleep(0.01)
        assert policy.last["b"].history.overall.attempts == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("ahead", [0, 45, 3600, 5 * 365 * 86_400])
@pytest.mark.parametrize("slept", [0, 8 * 3600])
async def test_no_call_counts_twice_whatever_clocks_say(
    policy: Watching, file: Path, monkeypatch: pytest.MonkeyPatch, ahead: int, slept: int
) -> None:
    """`ahead`: another host's clock. `slept`: this machine did, in which its monotonic clock stands still."""
    async with client(policy, file) as another:
        await another.chat("hi", model="b/scripted-1")
    move(file, "b", ahead)
    real, late = time.time, [0]
    monkeypatch.setattr(time, "time", lambda: real() + late[0])
    seen = list[float]()
    async with client(policy, file) as one:
        late[0] += slept
        await one.chat("hi", model="a/scripted-1")
        for _ in range(8):
            await looked(one)
            one.decide("hi")
            seen += (policy.last[name].history.overall.attempts for name in ("a", "b"))
            late[0] += 30
            one._memory._epoch += 30
    assert seen == pytest.approx([1.0, float(ahead <= slept + 60)] * 8, abs=0.1)


def move(file: Path, provider: str, seconds: int) -> None:
    """As if the calls that it answered had been written by a host whose clock is so far ahead."""
    with sqlite3.connect(file) as db:
        for table in ("calls", "attempts"):
            db.execute(f"UPDATE {table} SET began = began + ? WHERE provider = ?", (seconds * 1_000_000, provider))
    db.close()


async def test_many_calls_of_a_clock_that_is_ahead_crowd_out_no_others(
    policy: Watching, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "CALLS", 2)
    async with client(policy, file) as another:
        for name in ("a", "b", "b"):
            await another.chat("hi", model=f"{name}/scripted-1")
    move(file, "b", 365 * 86_400)
    async with client(policy, file) as one:
        await one.chat("hi")
    assert policy.last["a"].history.overall.attempts == pytest.approx(1, abs=0.1)


async def looked(one: AsyncClient) -> None:
    """Until it has read the ledger once more, from beginning to end."""
    arrived = anyio.Event()
    assert one._memory._book is not None
    await one._memory._read(one._memory._book, arrived)


def test_a_client_that_is_not_open_recalls_what_the_ledger_tells(policy: Watching, file: Path) -> None:
    with Client(settings=settings(file), plugins=plugins(policy)) as one:
        one.chat("hi")
    closed = Client(settings=settings(file), plugins=plugins(policy))
    closed.decide("hi")
    assert policy.last["a"].history.overall.attempts == pytest.approx(1, abs=1e-3)
    closed.decide("hi")
    assert policy.last["a"].history.overall.attempts == pytest.approx(1, abs=1e-3), "it is not counted again"


async def test_a_client_that_was_closed_counts_its_calls_once(
    policy: Watching, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, late = time.time, [0]
    monkeypatch.setattr(time, "time", lambda: real() + late[0])
    one = client(policy, file)
    async with one:
        for _ in range(4):
            await one.chat("hi", model="a/scripted-1")
            late[0] += 40
    one.decide("hi")
    assert policy.last["a"].history.overall.attempts == pytest.approx(4, abs=0.1)


@pytest.mark.parametrize("name", ["x" * 300, "a/" * 3000])
def test_a_decision_is_made_without_a_ledger_whose_name_no_disk_takes(
    policy: Watching, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    AsyncClient(settings=settings(tmp_path / name), plugins=plugins(policy)).decide("hi")
    assert "File name too long" in caplog.text


def test_nobody_begins_a_ledger_for_a_decision(policy: Watching, file: Path) -> None:
    AsyncClient(settings=settings(file), plugins=plugins(policy)).decide("hi")
    assert policy.told
    assert not file.exists()


class Trouble:
    """A store whose ledger cannot be used, or takes its time."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.opened = 0

    @hookimpl
    def pointsman_stores(self) -> Sequence[StoreSpec]:
        return [StoreSpec(scheme="trouble", ledger=self.open)]

    def open(self, url: str) -> Any:
        self.opened += 1
        time.sleep(self.seconds)
        raise OSError("the disk is on fire")


ONCE = PastAttempt(target=A, outcome="finished", ended=1e9, duration=1.0, first_output=0.5, output_tokens=20)
TOLD = PastCall(call_id="x", ended=1e9, target=A, attempts=(ONCE,))


class Wrong(Trouble):
    """Its ledger tells what no ledger should."""

    def __init__(self, told: Any) -> None:
        super().__init__()
        self.told = told

    def open(self, url: str) -> Any:
        ledger = open_ledger("memory:")
        vars(ledger)["recent"] = lambda since, limit, until: self.told
        return ledger


@pytest.mark.parametrize(
    "told",
    [
        None,
        [{"call_id": "x"}],
        [replace(TOLD, call_id=None)],
        [replace(TOLD, ended=None)],
        [replace(TOLD, ended=float("nan"))],
        [replace(TOLD, target=str(A))],
        [replace(TOLD, task=["x"])],
        [replace(TOLD, rating="good")],
        [replace(TOLD, rating=7.0)],
        [replace(TOLD, attempts=None)],
        [replace(TOLD, attempts=(replace(ONCE, ended=float("-inf")),))],
        [replace(TOLD, attempts=(replace(ONCE, duration=None),))],
        [replace(TOLD, attempts=(replace(ONCE, target=None),))],
        [replace(TOLD, attempts=(replace(ONCE, output_tokens=10**400),))],
        [replace(TOLD, attempts=(replace(ONCE, error_type=7),))],
    ],
)
async def test_a_ledger_that_tells_nonsense_costs_no_call(
    policy: Watching, caplog: pytest.LogCaptureFixture, told: Any
) -> None:
    async with in_trouble(policy, Wrong(told)) as one:
        for _ in range(2):
            assert (await one.chat("hi")).text == "well"
        assert policy.last["a"].history.overall.attempts == pytest.approx(1, abs=1e-3)
    assert caplog.text.count("the ledger told of ") == 1
    in_trouble(policy, Wrong(told)).decide("hi")
    assert policy.last["a"].history.overall.attempts == 0


def in_trouble(policy: Watching, store: Trouble) -> AsyncClient:
    given = Settings.of({"ledger": {"url": "trouble:x"}, "routing": {"policy": "watching"}})
    return AsyncClient(settings=given, plugins=plugins(policy, stores={"trouble": store}))


async def test_a_broken_ledger_costs_no_call_and_is_said_once(
    policy: Watching, caplog: pytest.LogCaptureFixture
) -> None:
    async with in_trouble(policy, Trouble()) as one:
        for _ in range(3):
            assert (await one.chat("hi")).text == "well"
            await looked(one)
        assert policy.last["a"].history.overall.attempts == pytest.approx(2, abs=1e-3)
    said = [record.getMessage() for record in caplog.records if "on fire" in record.getMessage()]
    assert len([text for text in said if "missing in the ledger" not in text]) == 1, said


async def test_nobody_waits_for_a_ledger_that_hangs(
    policy: Watching, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(memory, "PATIENCE", 0.01)
    monkeypatch.setattr(memory, "READING", 0.1)
    monkeypatch.setattr("pointsman.ledger.bookkeeper.CLOSING_SECONDS", 0.1)
    async with in_trouble(policy, Trouble(0.4)) as one:
        for _ in range(3):
            assert (await one.chat("hi")).text == "well"
        await looked(one)
        assert one._memory._arrived is not None
    assert sum("has not answered within 0.1 s: it hangs" in one.getMessage() for one in caplog.records) == 1


def test_a_closed_client_says_why_it_recalls_nothing(
    policy: Watching, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    in_trouble(policy, Trouble()).decide("hi")
    monkeypatch.setattr(memory, "RECALLING", 0.01)
    in_trouble(policy, Trouble(0.2)).decide("hi")
    with caplog.at_level(logging.WARNING):
        first, second = (record.getMessage() for record in caplog.records)
    assert first == "the decision is made without the ledger trouble:x: the disk is on fire"
    assert second == "the decision is made without the ledger trouble:x: it has not answered within 0.01 s"


@given(st.randoms(use_true_random=False), st.integers(1, 8))
def test_what_is_folded_from_the_ledger_is_what_was_seen(dice: Any, count: int) -> None:
    entries = [entry(dice, f"call {number}") for number in range(count)]
    chats = [one for one in entries if one.call.operation == "chat"]
    live, folded = Histories(), Histories()
    now = max(one.call.at for one in entries) + 1e4
    in_order = sorted(chats, key=lambda one: (one.call.at + one.call.timings.e2e, one.call.call_id))
    for one in in_order:
        live.add(past(one.call, one.call.at - one.call.started), now)
    with open_ledger("memory:") as ledger:
        ledger.write(entries)
        for call in ledger.recent(datetime.fromtimestamp(0, UTC), 1000):
            folded.add(call, now)
    assert sorted(live.targets()) == sorted(folded.targets())
    for target in live.targets():
        assert live.of(target, now) == folded.of(target, now)


# What else candidates know -------------------------------------------------------------------------------------------


async def test_a_conversation_is_warm_where_it_was_answered(policy: Watching) -> None:
    async with client(policy, None) as one:
        first = user("explain " * 100)
        await one.chat([first])
        await one.chat([first, assistant("well"), user("and then?")])
        assert {name: told.warm_tokens for name, told in policy.last.items()} == {"a": 200, "b": 0}
        policy.first = "b"
        await one.chat([first, assistant("well"), user("and then?")])
        assert policy.last["a"].warm_tokens == 202, "the same once more is as warm"
        await one.chat([first, assistant("well"), user("and then?"), assistant("so"), user("so?")])
        assert {name: told.warm_tokens for name, told in policy.last.items()} == {"a": 200, "b": 202}
        await one.chat([user("something else")])
        assert not any(told.warm_tokens for told in policy.last.values())


async def test_a_call_that_failed_warms_nobody(policy: Watching) -> None:
    async with client(policy, None, ScriptedProvider("a", Unavailable)) as one:
        with pytest.raises(Unavailable):
            await one.chat("explain " * 100)
        one.decide("explain " * 100)
        assert policy.last["a"].warm_tokens == 0


async def test_a_target_that_rests_says_until_when(policy: Watching) -> None:
    busy = Unavailable("busy", retry_at=anyio.current_time() + 1000)
    async with client(policy, None, ScriptedProvider("a", busy), ScriptedProvider("b")) as one:
        await one.chat("hi")
        one.decide("hi")
        assert policy.last["a"].open_at == pytest.approx(anyio.current_time() + 1000, abs=60)
        assert policy.last["b"].open_at == 0.0


class Sleeper(ScriptedProvider):
    """It may have to get ready."""

    def __init__(self, cold_start: float = 40.0, **more: Any) -> None:
        super().__init__("a", default=["well", DONE], **more)
        spec = self.spec
        self.spec = type(spec)(
            name=spec.name,
            config=spec.config,
            open=spec.open,
            terminal=spec.terminal,
            default_models=spec.default_models,
            models=spec.models,
            cold_start=cold_start,
            strengths=Strengths(speed=7, first_token=(1.0, 2.0)),
        )


async def test_a_target_that_may_be_cold_is_awake_once_it_has_answered(policy: Watching) -> None:
    async with client(policy, None, Sleeper()) as one:
        await one.chat("hi")
        assert (policy.last["a"].state, policy.last["a"].cold_wait) == ("cold", 20.0)
        await one.chat("hi")
        assert (policy.last["a"].state, policy.last["a"].cold_wait) == ("warm", 0.0)
        clock = one._memory.clock
        one._memory.clock = lambda: clock() + WINDOW_ASSUMED + 1
        one.decide("hi")
        assert policy.last["a"].state == "cold"
        assert policy.last["a"].cold_wait == pytest.approx(10.0, abs=0.5), "it was quick, once"
        assert policy.last["a"].starts == pytest.approx(1.0, abs=0.01)


async def test_a_process_that_has_just_begun_knows_who_is_awake_and_how_long_a_start_took(
    policy: Watching, file: Path
) -> None:
    """By the ledger: also one that is not open, such as `pointsman route`."""
    slow = Sleeper()
    slow.scripts.append([0.5, "well", DONE])
    async with client(policy, file, slow) as one:
        await one.chat("hi")
        await one.flush()
    fresh = AsyncClient(settings=settings(file), plugins=plugins(policy, Sleeper()))
    fresh.decide("hi")
    assert (policy.last["a"].state, policy.last["a"].cold_wait) == ("warm", 0.0)
    clock = fresh._memory.clock
    fresh._memory.clock = lambda: clock() + WINDOW_ASSUMED + 1
    fresh.decide("hi")
    assert policy.last["a"].state == "cold"
    assert policy.last["a"].starts == pytest.approx(1.0, abs=0.01)
    assert 10.2 < policy.last["a"].cold_wait < 14.0, "between 20 and what it took, half a second and a little"


async def test_a_health_check_says_how_cold_it_is(policy: Watching) -> None:
    async with client(policy, None, Sleeper()) as one:
        now = anyio.current_time()
        for state, wait, expected in (
            (HealthState.UP, None, 0.0),
            (HealthState.COLD, 7.0, 7.0),
            (HealthState.COLD, None, 20.0),
            (HealthState.UNKNOWN, 5.0, 20.0),
        ):
            one._health.machines.checked("a", Health(state, wait=wait), now, now + 100)
            one.decide("hi")
            assert policy.last["a"].cold_wait == expected
        one._health.machines.checked("a", Health(HealthState.WARMING, wait=7.0), now, now + 100)
        clock = one._memory.clock
        one._memory.clock = lambda: now + 3.0
        one.decide("hi")
        assert (policy.last["a"].state, policy.last["a"].cold_wait) == ("warming", 4.0)
        one._memory.clock = clock
        await one.chat("hi")
        one.decide("hi")
        assert policy.last["a"].state == "warm", "it has answered since"
        one._memory.clock = lambda: now + 1_000.0
        one._health.machines.checked("a", Health(HealthState.COLD, wait=7.0), now + 900.0, now + 950.0)
        one.decide("hi")
        assert policy.last["a"].cold_wait == pytest.approx(10.0, abs=0.5), "what it said is long ago"
        one._memory.clock = lambda: now + 920.0
        one.decide("hi")
        assert policy.last["a"].cold_wait == pytest.approx(10.0, abs=0.5), "what was seen goes before what is said"


@pytest.mark.parametrize(
    ("state", "wait", "expected"),
    [
        (HealthState.UP, None, 0.0),
        (HealthState.DEGRADED, None, 0.0),
        (HealthState.WARMING, 900.0, 900.0),
        (HealthState.COLD, 33.0, 33.0),
        (HealthState.UNKNOWN, None, 20.0),
    ],
)
async def test_health_checks_are_heard(
    policy: Watching, state: HealthState, wait: float | None, expected: float
) -> None:
    given = Settings.of(
        {"ledger": {"url": "none"}, "routing": {"policy": "watching"}, "engine": {"health_checks": 0.01}}
    )
    asleep = Sleeper(health=Health(state, wait=wait))
    async with AsyncClient(settings=given, plugins=plugins(policy, asleep)) as one:
        await one.connect("a")
        for _ in range(200):
            await anyio.sleep(0.01)
            one.decide("hi")
            if policy.last["a"].cold_wait == pytest.approx(expected, rel=0.1):
                break
        assert policy.last["a"].cold_wait == pytest.approx(expected, rel=0.1)


def test_an_agent_that_may_be_silent_at_its_work_is_not_cold(policy: Watching) -> None:
    """It is given time for both, and nobody starts it."""
    agent = Sleeper()
    model = agent.spec.default_models[0]
    works = Family(terminal=agent.spec.terminal, idempotent=False, cold_start=40.0, silence=100.0)
    agent.spec = replace(agent.spec, families={model: works})
    AsyncClient(settings=settings(None), plugins=plugins(policy, agent)).decide("hi")
    assert policy.last["a"].cold_wait == 0.0


def test_patience_says_little_of_what_is_usual(policy: Watching) -> None:
    AsyncClient(settings=settings(None), plugins=plugins(policy, Sleeper(600.0))).decide("hi")
    assert policy.last["a"].cold_wait == LONGEST_ASSUMED / 2


def test_strengths_are_the_packages_and_a_models_own_go_before(policy: Watching) -> None:
    from pointsman import ModelInfo

    quick = ModelInfo(id="scripted-1", first_token=0.25, tokens_per_second=300.0)
    for models, expected in (
        (("scripted-1",), Strengths(speed=7, first_token=(1.0, 2.0))),
        ((quick,), Strengths(speed=7, first_token=(0.25, 0.25), tokens_per_second=(300.0, 300.0))),
    ):
        AsyncClient(settings=settings(None), plugins=plugins(policy, Sleeper(models=models))).decide("hi")
        assert policy.last["a"].strengths == expected


# Ratings -------------------------------------------------------------------------------------------------------------


async def test_a_rating_is_heard_by_the_policy_and_kept(policy: Watching, file: Path) -> None:
    async with client(policy, file) as one:
        reply = await one.chat("hi")
        await one.rate(reply, 1)
        await one.rate(reply, 0.25)
        async with one.stream("hi") as stream:
            await stream.collect()
        await one.rate(stream, 0.75)
        one.decide("hi")
        assert policy.last["a"].history.tasks["code_review"].quality == pytest.approx(0.5)
        assert policy.last["a"].history.overall.rated == pytest.approx(2, abs=1e-3)
        await one.flush()
        assert sorted(row["rating"] for row in rows(file)) == [0.25, 0.75]
    async with client(policy, file) as other:
        await other.chat("hi")
        assert policy.last["a"].history.tasks["code_review"].quality == pytest.approx(0.5)


async def test_a_call_of_another_process_is_rated_by_its_id(policy: Watching, file: Path) -> None:
    async with client(policy, file) as one:
        call_id = (await one.chat("hi")).call_id
    async with client(policy, file) as other:
        await other.chat("hi")
        await other.rate(call_id, 1.0)
        await looked(other)
        other.decide("hi")
        assert policy.last["a"].history.overall.quality == 1.0
        assert policy.last["a"].history.overall.attempts == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize("score", [-0.1, 1.1, float("nan"), float("inf"), True, "good", None])
async def test_a_score_that_is_none_is_refused(policy: Watching, score: Any) -> None:
    async with client(policy, None) as one:
        reply = await one.chat("hi")
        with pytest.raises(InvalidRequest, match="a score is a number from 0 to 1, not "):
            await one.rate(reply, score)


@pytest.mark.parametrize("what", [None, 3, b"id"])
async def test_what_is_no_answer_cannot_be_rated(policy: Watching, what: Any) -> None:
    async with client(policy, None) as one:
        with pytest.raises(InvalidRequest, match=f"what is rated is a reply, or the id of its call, not {what!r}"):
            await one.rate(what, 1.0)


async def test_what_nobody_knows_cannot_be_rated(policy: Watching, file: Path) -> None:
    for kept, said in ((None, "has it, and no ledger is kept"), (file, "nor its ledger has it")):
        async with client(policy, kept, ScriptedProvider("a", Unavailable, default=["well", DONE])) as one:
            with pytest.raises(InvalidRequest, match=f"no call is known as 'gone': neither this client {said}; give"):
                await one.rate("gone", 1.0)
            with pytest.raises(Unavailable) as caught:
                await one.chat("hi")
            with pytest.raises(InvalidRequest, match="has no answer that could be rated: it did not finish"):
                await one.rate(caught.value.attempts[0].call_id, 1.0)
            async with one.stream("hi") as stream:
                await stream.collect()
                with pytest.raises(InvalidRequest, match="a stream can be rated once its block has been left"):
                    await one.rate(stream, 1.0)


async def test_only_an_open_client_takes_ratings(policy: Watching) -> None:
    with pytest.raises(ConfigError, match="the client is not open"):
        await client(policy, None).rate("x", 1.0)


def test_synchronous_programs_rate_too(policy: Watching, file: Path) -> None:
    with Client(settings=settings(file), plugins=plugins(policy)) as one:
        one.rate(one.chat("hi"), 0.5)
        with one.stream("hi") as stream:
            stream.collect()
        one.rate(stream, 0.5)
    assert [row["rating"] for row in rows(file)] == [0.5, 0.5]


# Decisions in records ------------------------------------------------------------------------------------------------


async def test_why_a_call_went_where_it_did_is_kept_without_a_word_of_it(policy: Watching, file: Path) -> None:
    async with client(policy, file) as one:
        await one.chat("the secret prompt")
        await one.chat("the secret prompt", task="mine")
        await one.chat("the secret prompt", model="a/scripted-1")
    first, second, pinned = rows(file)
    assert (first["policy"], first["task"], first["propensity"]) == ("watching", "code_review", 0.9)
    assert first["policy_hash"] == "c0ffee"
    assert first["decision"] == {
        "order": [str(A), str(B)],
        "scores": {str(one): {"utility": 0.5, "terms": {"price": [1.0, 0.25]}} for one in (A, B)},
        "confidence": 0.75,
        "difficulty": 0.5,
    }
    assert second["task"] == "mine", "the caller knows better"
    assert (pinned["decision"], pinned["propensity"], pinned["policy_hash"]) == (None, None, None)
    assert b"secret" not in b"".join(path.read_bytes() for path in file.parent.iterdir())


async def test_sinks_hear_of_the_task_that_the_policy_saw(policy: Watching) -> None:
    kept: list[Any] = []

    class Sinks:
        @hookimpl
        def pointsman_sinks(self) -> Iterable[Any]:
            return [kept.append]

    async with client(policy, None, sinks={"kept": Sinks()}) as one:
        await one.chat("hi")
    (record,) = [one for one in kept if isinstance(one, CallRecord)]
    assert (record.task, record.decision.policy_hash) == ("code_review", "c0ffee")

"""What records say of calls and attempts, however they end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import (
    AsyncClient,
    AtLeast,
    AttemptRecord,
    CallRecord,
    Connection,
    Cost,
    DeadlineExceeded,
    Decision,
    Embed,
    Embeddings,
    EmbedRequest,
    Exact,
    Finished,
    InvalidRequest,
    ModelInfo,
    Plugins,
    Price,
    PriceAttempt,
    PriceBook,
    RateLimited,
    Settings,
    Sink,
    Target,
    Timings,
    Unavailable,
    Unknown,
    Usage,
    hookimpl,
)
from pointsman.engine.health.breaker import FIRST_PAUSE, LEAST
from pointsman_testing import VIRTUAL_BACKENDS, Hang, ScriptedProvider, virtual_backend

PRICE = Price(input=Decimal(2), output=Decimal(6), as_of=date(2026, 11, 1), source="https://example.com/prices")
USAGE = Usage(input_tokens=1_000_000, output_tokens=500_000)
DONE = Finished("stop", USAGE)


class Kept:
    """A sink that keeps what it receives."""

    def __init__(self) -> None:
        self.records: list[AttemptRecord | CallRecord] = []

    @hookimpl
    def pointsman_sinks(self) -> Sequence[Sink]:
        return [self.records.append]

    @property
    def calls(self) -> list[CallRecord]:
        return [one for one in self.records if isinstance(one, CallRecord)]


class Priced(ScriptedProvider):
    """A provider whose models have a price, and that embeds texts."""

    def __init__(self, name: str, *scripts: Any, embedding: Any = None, **more: Any) -> None:
        super().__init__(name, *scripts, **more)
        models = tuple(ModelInfo(id=model.id, price=PRICE) for model in self.spec.models)
        object.__setattr__(self.spec, "models", (*models, ModelInfo(id="served-1", price=PRICE)))
        self.embedding = embedding
        self.embedded = 0

    @hookimpl
    def pointsman_cost(self, connection: Connection[Any]) -> PriceAttempt:
        return connection.prices.cost

    @hookimpl
    def pointsman_embed(self, connection: Connection[Any]) -> Embed:
        async def embed(request: EmbedRequest) -> Embeddings:
            self.embedded += 1
            if isinstance(self.embedding, Exception):
                raise self.embedding
            await anyio.sleep(1)
            if isinstance(self.embedding, Hang):
                await anyio.sleep(1e6)
            return self.embedding or Embeddings(((1.0,),), USAGE)

        return embed


@pytest.fixture(params=VIRTUAL_BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return virtual_backend(request.param)


def client(kept: Kept, *providers: ScriptedProvider, **engine: Any) -> AsyncClient:
    plugins = Plugins.of(providers={one.name: one for one in providers}, sinks={"kept": kept})
    return AsyncClient(settings=Settings.of({"engine": engine}), plugins=plugins)


# Calls ----------------------------------------------------------------------------------------------------------------


async def test_a_call_says_what_was_asked_who_answered_and_when() -> None:
    kept = Kept()
    before = time.time()
    async with client(kept, Priced("a", [1.0, "well", DONE])) as one:
        await anyio.sleep(5)
        reply = await one.chat("hi", task="code", tags={"team": "blue"})
    (call,) = kept.calls
    assert (call.operation, call.task, call.target, call.finish_reason) == ("chat", "code", reply.target, "stop")
    assert (call.usage, call.started) == (USAGE, pytest.approx(call.attempts[0].started))
    assert before <= call.at <= time.time()
    assert call.attempts[0].price == PRICE
    assert call.cost == call.attempts[0].cost == Exact(5)


FREE = Price(input=Decimal(0), output=Decimal(0), as_of=None, source="a machine of one's own")


@pytest.mark.parametrize("script", [["well", Hang()], [Hang()], [Unavailable("cut")]])
@pytest.mark.parametrize(("price", "complete"), [(FREE, True), (PRICE, False)])
async def test_where_nothing_costs_anything_what_was_cut_off_costs_nothing_either(
    script: list[Any], price: Price, complete: bool
) -> None:
    """What is known to be free is not called unpriced."""
    kept, a = Kept(), Priced("a", script)
    object.__setattr__(a.spec, "models", tuple(ModelInfo(id=model.id, price=price) for model in a.spec.models))
    async with client(kept, a, retries=0) as one:
        with anyio.move_on_after(5):
            with pytest.raises((Unavailable, anyio.get_cancelled_exc_class())):
                await one.chat("hi")
            await anyio.lowlevel.checkpoint()
    (call,) = kept.calls
    assert call.cost.complete is call.attempts[0].cost.complete is complete
    assert (call.cost == Exact(0)) is complete


async def test_a_call_without_an_answer_names_nobody() -> None:
    kept = Kept()
    async with client(kept, Priced("a", [Unavailable("down", status=503)]), retries=0) as one:
        with pytest.raises(Unavailable):
            await one.chat("hi")
    (call,) = kept.calls
    assert (call.outcome, call.target, call.finish_reason, call.usage) == ("failed", None, None, None)
    assert (call.cost, call.attempts[0].price) == (Exact(0), PRICE)
    assert call.attempts[0].error_type == "Unavailable"


async def test_the_price_is_that_of_the_model_that_answered() -> None:
    kept = Kept()
    async with client(kept, Priced("a", ["x", Finished("stop", USAGE, served="served-1")])) as one:
        await one.chat("hi", model="a/scripted-1")
        await one.chat("hi", model="a/nobody-knows")
    assert [call.attempts[0].price for call in kept.calls] == [PRICE, None]


async def test_a_price_book_that_fails_costs_no_call(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(PriceBook):
        def find(self, target: Target) -> Price | None:
            raise KeyError(target)

    kept, a = Kept(), ScriptedProvider("a", default="well")
    async with client(kept, a) as one:
        one.roster.prices = lambda name: Broken()  # type: ignore[method-assign]
        assert (await one.chat("hi", model="a/scripted-1")).text == "well"
    assert kept.calls[0].attempts[0].price is None
    assert "its price book failed" in caplog.text


async def test_an_attempt_tells_what_its_target_s_breaker_does_next() -> None:
    kept, a = Kept(), ScriptedProvider("a", default=[Unavailable])
    async with client(kept, a, ScriptedProvider("b", default="from b"), retries=0) as one:
        for _ in range(LEAST):
            await one.chat("hi")
        await anyio.sleep(FIRST_PAUSE)
        await one.chat("hi")
        await anyio.sleep(2 * FIRST_PAUSE)
        a.default = "well"
        await one.chat("hi")
    told = [attempt.breaker for call in kept.calls for attempt in call.attempts if attempt.target.provider == "a"]
    assert told == [*["closed"] * (LEAST - 1), "open", "open", "closed"]
    assert {x.breaker for call in kept.calls for x in call.attempts if x.target.provider == "b"} == {"closed"}


async def test_overhead_is_what_passed_without_any_attempt() -> None:
    a = ScriptedProvider(
        "a", lambda request: [1.0, RateLimited("wait", retry_at=anyio.current_time() + 3)], [2.0, "x", DONE]
    )
    kept = Kept()
    async with client(kept, a) as one:
        await one.chat("hi")
    assert kept.calls[0].timings.e2e == pytest.approx(5.0)
    assert kept.calls[0].overhead == pytest.approx(2.0)


TIMES = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=6)


@given(times=TIMES, e2e=st.integers(0, 100), began=st.integers(-5, 5))
def test_overhead_counts_each_second_once(times: list[tuple[int, int]], e2e: int, began: int) -> None:
    """The oracle counts seconds one by one."""
    spans = sorted((began + start, began + min(start + length, e2e)) for start, length in times if start <= e2e)
    attempts = tuple(
        AttemptRecord(
            call_id="c", attempt=n, target=Target("a", "m"), outcome="lost", started=s, first_output=None, ended=e
        )
        for n, (s, e) in enumerate(spans, 1)
    )
    call = CallRecord(
        call_id="c",
        decision=Decision(policy="pinned", order=()),
        outcome="failed",
        attempts=attempts,
        timings=Timings(e2e=e2e),
        cost=Unknown,
        at=0.0,
        started=began,
    )
    busy = {second for start, end in spans for second in range(start, end)}
    assert call.overhead == e2e - len(busy)


# Embeddings -----------------------------------------------------------------------------------------------------------


async def test_embedding_is_a_call_of_one_attempt() -> None:
    kept, a = Kept(), Priced("a")
    async with client(kept, a) as one:
        await one.embed(["hi"], model="a/scripted-1", tags={"team": "blue"})
    attempt, call = kept.records
    assert isinstance(call, CallRecord)
    assert call.attempts == (attempt,)
    assert (call.operation, call.outcome, call.target) == ("embeddings", "finished", Target("a", "scripted-1"))
    assert (call.usage, call.cost, call.tags) == (USAGE, Exact(5), {"team": "blue"})
    assert (call.attempts[0].price, call.attempts[0].role, call.timings.e2e) == (PRICE, "first", pytest.approx(1.0))
    assert call.decision.policy == "pinned"


FAILS: list[tuple[Any, dict[str, Any], str, str | None, Cost]] = [
    (RateLimited("no", status=429), {}, "failed", "RateLimited", Exact(0)),
    (Unavailable("cut"), {}, "failed", "Unavailable", Unknown),
    (KeyError("a bug"), {}, "failed", "PluginError", Unknown),
    (Hang(), {"deadline": 5}, "failed", "DeadlineExceeded", Unknown),
    (Hang(), {}, "cancelled", None, Unknown),
]


@pytest.mark.parametrize(("embedding", "options", "outcome", "error", "cost"), FAILS)
async def test_embedding_that_does_not_end_well_is_recorded_too(
    embedding: Any, options: Any, outcome: str, error: str | None, cost: Cost
) -> None:
    kept, a = Kept(), Priced("a", embedding=embedding)
    async with client(kept, a) as one:
        with anyio.move_on_after(20):
            with pytest.raises((RateLimited, Unavailable, KeyError, DeadlineExceeded, anyio.get_cancelled_exc_class())):
                await one.embed("hi", model="a/scripted-1", **options)
            await anyio.lowlevel.checkpoint()
    (call,) = kept.calls
    assert (call.outcome, call.attempts[0].error_type, call.cost) == (outcome, error, cost)
    assert (call.target, call.usage, call.attempts[0].outcome, a.embedded) == (None, None, outcome, 1)


async def test_embedding_without_a_count_has_a_floor() -> None:
    kept = Kept()
    async with client(kept, Priced("a", embedding=Embeddings(((1.0,),)))) as one:
        await one.embed("four words of text, or so", model="a/scripted-1")
    (call,) = kept.calls
    assert call.usage == Usage(input_tokens=3, estimated=True)
    assert call.cost == AtLeast(Decimal("0.000006"))


async def test_who_cannot_embed_was_not_asked_and_costs_nothing() -> None:
    kept = Kept()
    async with client(kept, ScriptedProvider("a")) as one:
        with pytest.raises(InvalidRequest):
            await one.embed("hi", model="a/scripted-1")
    (call,) = kept.calls
    assert (call.outcome, call.cost, call.attempts[0].error_type) == ("failed", Exact(0), "InvalidRequest")


async def test_an_embedding_that_is_none_costs_no_more_than_itself() -> None:
    kept = Kept()
    async with client(kept, Priced("a", embedding="no vectors")) as one:
        assert await one.embed("hi", model="a/scripted-1") == "no vectors"
    assert kept.calls[0].usage == Usage(estimated=True)

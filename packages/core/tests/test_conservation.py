"""Every call is one row and every physical attempt one, and their sums agree: whatever targets do and callers want.

The oracle is what providers saw and would bill, not our own records. All but the ledger runs on a virtual clock.
"""

from __future__ import annotations

import logging
import tempfile
from collections import Counter, defaultdict
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pointsman import (
    AsyncClient,
    AuthFailed,
    CallRecord,
    Connection,
    Cost,
    Embed,
    Embeddings,
    EmbedRequest,
    Exact,
    Finished,
    Ledger,
    LedgerQuery,
    ModelInfo,
    Plugins,
    PointsmanError,
    Price,
    PriceAttempt,
    RateLimited,
    Settings,
    Sink,
    StoreSpec,
    StreamBroken,
    Target,
    Unavailable,
    Usage,
    hookimpl,
    open_ledger,
)
from pointsman_testing import VIRTUAL_BACKENDS, Hang, ScriptedProvider, VirtualBackend, virtual_run

PRICE = Price(input=Decimal("0.5"), output=Decimal("1.5"), as_of=date(2026, 11, 1), source="https://example.com")
WORDS = ["one ", "two ", "three "]

KINDS = ["whole", "whole", "silent whole", "counted", "refused", "down", "key", "cut", "bug", "hang", "stall", "filter"]


def script(kind: str) -> Any:
    """What a target does. Times are far enough apart for hedges, limits and deadlines to fall in between."""
    match kind:
        case "whole":
            return [0.3, *WORDS, Finished("stop", Usage(input_tokens=20, output_tokens=3))]
        case "silent whole":
            return [0.3, *WORDS, Finished("stop")]
        case "counted":
            return [2.5, WORDS[0], Finished("length", Usage(input_tokens=20, cached_input_tokens=5, output_tokens=1))]
        case "refused":
            return [RateLimited("no", status=429)]
        case "down":
            return [0.1, Unavailable("no connection", begun=False)]
        case "key":
            return [AuthFailed("no", status=401)]
        case "cut":
            return [*WORDS[:2], 0.1, StreamBroken]
        case "bug":
            return [WORDS[0], ValueError("a bug")]
        case "hang":
            return [Hang()]
        case "stall":
            return [WORDS[0], Hang()]
        case _:
            return [Finished("content_filter")]


@dataclass(frozen=True)
class Wish:
    """A call that somebody makes."""

    kind: str
    on_break: str
    after: float
    deadline: float | None
    leave: float | None


WISHES = st.builds(
    Wish,
    kind=st.sampled_from(["chat", "chat", "stream", "stream", "embed"]),
    on_break=st.sampled_from(["raise", "restart", "continue"]),
    after=st.sampled_from([0.0, 0.0, 0.5, 4.0]),
    deadline=st.sampled_from([None, None, 1.0, 6.0]),
    leave=st.sampled_from([None, None, None, 0.05, 0.4, 3.0]),
)


@dataclass
class World:
    """Providers, calls of a client, and the ledger of all that."""

    providers: dict[str, list[str]]
    wishes: list[Wish]
    hedge: float
    tags: list[str] = field(default_factory=list[str])
    records: list[CallRecord] = field(default_factory=list[CallRecord])

    @hookimpl
    def pointsman_sinks(self) -> Sequence[Sink]:
        return [lambda record: self.records.append(record) if isinstance(record, CallRecord) else None]

    async def play(self, url: str, store: object) -> list[Vendor]:
        vendors = [Vendor(name, kinds) for name, kinds in self.providers.items()]
        plugins = Plugins.of(
            providers={one.name: one for one in vendors}, sinks={"kept": self}, stores={"shared": store}
        )
        engine = {"hedge": self.hedge, "max_attempts": 4, "first_token": 3.0, "stall": 2.0, "max_wait": 3.0}
        async with AsyncClient(
            settings=Settings.of({"ledger": {"url": url}, "engine": engine}), plugins=plugins
        ) as one:
            for vendor in vendors:  # So that hedges have something to go by.
                for _ in range(24):
                    one._health.paces.first_token(vendor.target, 0.2, anyio.current_time(), None)
            async with anyio.create_task_group() as group:
                for number, wish in enumerate(self.wishes):
                    group.start_soon(self.ask, one, str(number), wish)
        return vendors

    async def ask(self, client: AsyncClient, name: str, wish: Wish) -> None:
        await anyio.sleep(wish.after)
        options: dict[str, Any] = {"deadline": wish.deadline} if wish.deadline else {}
        tags = {"call": name}
        self.tags.append(name)
        with anyio.move_on_after(wish.leave):
            try:
                if wish.kind == "embed":
                    model = f"{next(iter(self.providers))}/m"
                    await client.embed(name, model=model, tags=tags, **options)
                elif wish.kind == "chat":
                    await client.chat(name, tags=tags, on_break=wish.on_break, **options)  # type: ignore[misc]
                else:
                    async with client.stream(name, tags=tags, on_break=wish.on_break, **options) as reply:  # type: ignore[misc]
                        async for _ in reply.events:
                            pass
            except (PointsmanError, ValueError):
                pass


class Vendor(ScriptedProvider):
    """Bills by the token, and knows for whom."""

    def __init__(self, name: str, kinds: list[str]) -> None:
        model = ModelInfo(id="m", price=PRICE)
        super().__init__(name, *map(script, kinds), default=script("whole"), models=[model], capabilities=["prefill"])
        self.embedded: list[str] = []

    @property
    def target(self) -> Target:
        return Target(self.name, "m")

    @hookimpl
    def pointsman_cost(self, connection: Connection[Any]) -> PriceAttempt:
        return connection.prices.cost

    @hookimpl
    def pointsman_embed(self, connection: Connection[Any]) -> Embed:
        async def embed(request: EmbedRequest) -> Embeddings:
            self.embedded.append(request.texts[0])
            await anyio.sleep(0.2)
            if len(self.embedded) % 3 == 0:
                raise ValueError("a bug")
            return Embeddings(((1.0,),), Usage(input_tokens=7))

        return embed

    def bills(self) -> dict[str, list[Decimal]]:
        """What it asks for each request of each call. A refusal is free; all else costs what was read and written."""
        owed: dict[str, list[Decimal]] = defaultdict(list)
        for call in self.calls:
            name = call.request.messages[0].text
            usage = Usage(input_tokens=20 + len(call.request.messages[-1].text), output_tokens=len(call.text.split()))
            said = next((one for one in call.events if isinstance(one, Finished)), None)
            usage = (said and said.usage) or usage
            owed[name].append(PRICE.of(usage).known if call.accepted else Decimal(0))
        for text in self.embedded:
            owed[text].append(PRICE.of(Usage(input_tokens=7)).known)
        return owed


class Shared:
    """A store whose ledger is the test's, and outlives its client."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @hookimpl
    def pointsman_stores(self) -> Sequence[StoreSpec]:
        return [StoreSpec(scheme="shared", ledger=lambda url: self)]  # type: ignore[arg-type, return-value]

    def write(self, entries: Any) -> None:
        self._ledger.write(entries)
        self._ledger.write(entries)  # As if the answer of the store had been lost.

    def close(self) -> None:
        pass


@contextmanager
def kept(backend: str) -> Generator[tuple[str, Any]]:
    """A URL for the client, and how the ledger is read afterwards."""
    if backend == "memory":
        with open_ledger("memory:") as ledger:
            yield "shared:", lambda: ledger
    else:
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:{Path(folder) / 'ledger.db'}"
            yield url, lambda: open_ledger(url)


def cost_of(row: Any) -> Cost:
    return Cost(Decimal(row["cost"] or 0), row["cost_exact"])


@pytest.mark.parametrize("loop", VIRTUAL_BACKENDS)
@pytest.mark.parametrize("backend", ["memory", "sqlite"])
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    providers=st.lists(st.lists(st.sampled_from(KINDS), max_size=6), min_size=1, max_size=3),
    wishes=st.lists(WISHES, max_size=6),
    hedge=st.sampled_from([0.0, 1.0]),
)
def test_calls_attempts_and_money_are_conserved(
    backend: str, loop: VirtualBackend, providers: list[list[str]], wishes: list[Wish], hedge: float
) -> None:
    world = World(dict(zip("abc", providers, strict=False)), wishes, hedge)
    logging.disable(logging.CRITICAL)
    try:
        with kept(backend) as (url, opened):
            vendors = virtual_run(world.play, url, Shared(opened()) if backend == "memory" else None, backend=loop)
            with opened() as ledger:
                check(world, vendors, ledger)
    finally:
        logging.disable(logging.NOTSET)


def check(world: World, vendors: list[Vendor], ledger: Ledger) -> None:
    calls, attempts = (list(ledger.rows(table, LedgerQuery())) for table in ("calls", "attempts"))
    assert sorted(row["tags"]["call"] for row in calls) == sorted(world.tags), "every call is one row"
    assert len(calls) == len(world.records)
    names = {row["call_id"]: row["tags"]["call"] for row in calls}

    seen = Counter((name, one.name) for one in vendors for name, owed in one.bills().items() for _ in owed)
    told = Counter((names[row["call_id"]], row["provider"]) for row in attempts)
    assert not seen - told, "every request that a provider saw is one row"
    unsent = sum((told - seen).values())
    mute = [
        row for row in attempts if row["first_output"] is None and row["outcome"] in ("cancelled", "lost", "failed")
    ]
    assert unsent <= len(mute), "and what was never sent has not answered"

    bills: dict[str, Decimal] = defaultdict(Decimal)
    for one in vendors:
        for name, owed in one.bills().items():
            bills[name] += sum(owed, Decimal(0))
    for row in calls:
        own = [one for one in attempts if one["call_id"] == row["call_id"]]
        assert [one["attempt"] for one in own] == list(range(1, len(own) + 1))
        cost = Cost.total(map(cost_of, own))
        assert cost == cost_of(row), "a call costs what its attempts cost"
        bill = bills[names[row["call_id"]]]
        assert cost.known <= bill, "never more than is billed"
        assert not cost.complete or cost.known == bill, "and what is exact is what is billed"
        assert (row["outcome"] == "finished") == (row["provider"] is not None)

    (whole,) = ledger.totals(LedgerQuery())
    assert (whole.calls, whole.attempts) == (len([1 for row in calls if told_of(row, attempts)]), len(attempts))
    assert whole.cost == Cost.total(map(cost_of, attempts)) == Cost.total(map(cost_of, calls))
    for by in ("provider", "outcome", "operation", "role", "tag:call"):
        parts = ledger.totals(LedgerQuery(), [by])
        assert sum(part.attempts for part in parts) == len(attempts)
        assert sum((part.cost for part in parts), Exact(0)) == whole.cost


def told_of(call: Any, attempts: list[Any]) -> bool:
    return any(one["call_id"] == call["call_id"] for one in attempts)

"""A story that has everything in it: a failover, a hedge, a refusal, a reader who leaves, a price that nobody knows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, TypeAlias

import pytest

from pointsman import (
    AsyncClient,
    AttemptRecord,
    CallRecord,
    Connection,
    Embed,
    Embeddings,
    EmbedRequest,
    Finished,
    InvalidRequest,
    ModelInfo,
    Plugins,
    Price,
    PriceAttempt,
    Refused,
    Settings,
    Sink,
    Unavailable,
    Usage,
    hookimpl,
)
from pointsman_testing import VIRTUAL_BACKENDS, ScriptedProvider, virtual_backend

PRICE = Price(
    input=Decimal(2),
    cached_input=Decimal(1),
    cache_write=Decimal(3),
    output=Decimal(6),
    as_of=date(2026, 11, 1),
    source="https://example.com/prices",
)
USAGE = Usage(
    input_tokens=1000, cached_input_tokens=200, cache_write_tokens=100, output_tokens=101, reasoning_tokens=40
)
"""By `PRICE`: (700 x 2 + 200 x 1 + 100 x 3 + 101 x 6) / 1,000,000 = 0.002506 USD."""
DONE = Finished("stop", USAGE)
Story: TypeAlias = Callable[..., Awaitable[list[CallRecord]]]


class Embedding(ScriptedProvider):
    """A provider of one model, which embeds, too."""

    def __init__(self, name: str, price: Price | None) -> None:
        super().__init__(name, default=[0.5, "Hello", 1.0, " there", DONE], models=[ModelInfo(id="m", price=price)])

    @hookimpl
    def pointsman_cost(self, connection: Connection[Any]) -> PriceAttempt:
        return connection.prices.cost

    @hookimpl
    def pointsman_embed(self, connection: Connection[Any]) -> Embed:
        async def embed(request: EmbedRequest) -> Embeddings:
            return Embeddings(((1.0,),), Usage(input_tokens=7))

        return embed


class Kept:
    """A sink that keeps the records of calls."""

    def __init__(self) -> None:
        self.calls: list[CallRecord] = []

    @hookimpl
    def pointsman_sinks(self) -> Sequence[Sink]:
        return [self.take]

    def take(self, record: AttemptRecord | CallRecord) -> None:
        if isinstance(record, CallRecord):
            self.calls.append(record)


@pytest.fixture(params=VIRTUAL_BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return virtual_backend(request.param)


@pytest.fixture
def providers() -> Mapping[str, Embedding]:
    """`hf` has a price, `lan` none."""
    return {"hf": Embedding("hf", PRICE), "lan": Embedding("lan", None)}


@pytest.fixture
def client(providers: Mapping[str, Embedding]) -> Iterator[Callable[..., AsyncClient]]:
    """A client of both, with these plugins for sinks."""

    def make(*sinks: object, **engine: Any) -> AsyncClient:
        plugins = Plugins.of(providers=providers, sinks={str(number): one for number, one in enumerate(sinks)})
        return AsyncClient(settings=Settings.of({"engine": {"retries": 0, **engine}}), plugins=plugins)

    return make  # type: ignore[return-value]


@pytest.fixture
def story(providers: Mapping[str, Embedding], client: Callable[..., AsyncClient]) -> Story:
    """Tells it to these sinks. What it was is returned: six calls.

    At ``hf/m`` an attempt takes 1.5 s, 0.5 of them until its first output.
    """

    async def tell(*sinks: object) -> list[CallRecord]:
        kept, (hf, lan) = Kept(), providers.values()
        async with client(kept, *sinks) as one:
            await one.chat("hi", model="hf/m", task="code", tags={"thread": "t-1", "team": "blue"})
            hf.scripts.append([2.0, Unavailable])
            await one.chat("hi", model=["hf/m", "lan/m"])
            hf.scripts.append([0.25, Refused])
            with pytest.raises(Refused):
                await one.chat("hi", model=["hf/m", "lan/m"])
            async with one.stream("hi", model="lan/m") as reply:
                async for _ in reply.text_stream:
                    break
            lan.scripts.append([InvalidRequest])
            with pytest.raises(InvalidRequest):
                await one.chat("hi", model="lan/never-heard-of")
            await one.embed("hi", model="hf/m")
        return kept.calls

    return tell


@pytest.fixture
def hedged(providers: Mapping[str, Embedding], client: Callable[..., AsyncClient]) -> Story:
    """Tells of one call: what `hf/m` was late with, `lan/m` has answered. Of calls before it no sink hears."""

    async def tell(*sinks: object) -> list[CallRecord]:
        kept, late = Kept(), Late(sinks)
        async with client(kept, late, hedge=0.1) as one:
            for _ in range(30):
                await one.chat("hi", model="hf/m")
            kept.calls.clear()
            late.awake = True
            providers["hf"].scripts.append([9.0, "late", DONE])
            await one.chat("hi", model=["hf/m", "lan/m"])
        return kept.calls

    return tell


class Late:
    """Sinks that hear nothing until they are awake."""

    def __init__(self, sinks: Sequence[Any]) -> None:
        self.sinks, self.awake = sinks, False

    @hookimpl
    def pointsman_sinks(self) -> Sequence[Sink]:
        return [self]

    def __call__(self, record: AttemptRecord | CallRecord) -> None:
        for sink in self.sinks if self.awake else ():
            sink(record)

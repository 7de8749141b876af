"""What a wrapper's test class says of itself, and the wrapper around a provider that does as it is told."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import count
from typing import Any, ClassVar

import anyio
import pytest

from pointsman import AsyncClient, ChatRequest, ModelInfo, Plugins, Price, Settings, StreamEvent, user
from pointsman.plugins import HookCallables, Kind

from ...scripted import ScriptedProvider
from ..overriding import Overridable
from ..settled import Settled

PATIENCE = 5.0
"""Seconds for one call. All is in memory, so nothing takes so long, unless it hangs."""

PRICE = Price(input=Decimal(1), output=Decimal(1), as_of=date(2026, 1, 1), source="the kit")
PRICED = ModelInfo(id="m", price=PRICE)
CAPABILITIES = ("tools", "schema", "vision")


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A wrapper around a provider, in a client."""

    client: AsyncClient
    provider: ScriptedProvider
    hooks: HookCallables

    async def read(self, request: ChatRequest, *, into: list[StreamEvent] | None = None) -> list[StreamEvent]:
        """All events of an answer; into a list at hand, for what comes before an error."""
        events: list[StreamEvent] = [] if into is None else into
        with anyio.fail_after(PATIENCE):
            async with self.hooks.stream(request) as stream:
                async for event in stream:
                    events.append(event)  # noqa: PERF401  (what came before an error is kept)
        return events

    async def read_until_stuck(self, request: ChatRequest) -> tuple[bool, list[StreamEvent]]:
        """Whether it was entered, and what had come when nothing moved any more; then it is cancelled."""
        entered, events = anyio.Event(), list[StreamEvent]()

        async def read() -> None:
            async with self.hooks.stream(request) as stream:
                entered.set()
                async for event in stream:
                    events.append(event)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        return entered.is_set(), events


class WrapperSetting(Settled, Overridable):
    """The variables and methods to set in a subclass, and the fixtures that come of them."""

    pytestmark: ClassVar[list[pytest.MarkDecorator]] = [pytest.mark.anyio, pytest.mark.filterwarnings("error")]

    wrapper: ClassVar[str]
    """The wrapper's name, which is that of its entry point."""

    def changes(self, request: ChatRequest) -> ChatRequest:
        """What the provider is asked for `request`. Override it if changing requests is what the wrapper is for."""
        return request

    def alters(self, events: Sequence[StreamEvent]) -> Sequence[StreamEvent]:
        """What the caller gets for `events`. Override it if changing answers is what the wrapper is for."""
        return events

    # ---------------------------------------------------------------------------------------------------------------

    _numbers: ClassVar[Iterator[int]] = count(1)

    def ask(self, text: str = "What is a pointsman?", **fields: Any) -> ChatRequest:
        """A request that nobody made before, addressed to a model, as a provider gets it."""
        return ChatRequest(messages=(user(f"{text} ({next(self._numbers)})"),), model="m", **fields)

    @pytest.fixture(params=("asyncio", "trio"))
    def anyio_backend(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def plugin(self) -> object:
        """The wrapper, as everybody finds it: by the entry point."""
        return Plugins.installed().load(Kind.WRAPPER, self.wrapper)

    @asynccontextmanager
    async def around(
        self, plugin: object, *scripts: Any, others: Mapping[str, object] | None = None, **engine: Any
    ) -> AsyncGenerator[Wrapped]:
        """`plugin` around a provider that does `scripts`. `others` are wrappers whose names say where they stand: the
        first is the outermost, and `plugin` is called ``m``.
        """
        provider = ScriptedProvider("vendor", *scripts, models=(PRICED, "n"), capabilities=CAPABILITIES)
        plugins = Plugins.of(providers={"vendor": provider}, wrappers={"m": plugin, **(others or {})})
        settings = Settings.of({"engine": {"retries": 0, "deadline": PATIENCE, **engine}}, {})
        async with AsyncClient(settings=settings, plugins=plugins) as client:
            yield Wrapped(client, provider, await client.connect("vendor"))


def differing(asked: ChatRequest, other: ChatRequest) -> str:
    """The fields in which two requests differ."""
    names = ChatRequest.__dataclass_fields__
    return ", ".join(name for name in names if getattr(asked, name) != getattr(other, name))

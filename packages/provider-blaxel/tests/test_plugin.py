"""The plugin as core meets it: found by its entry point, an answer for every hook."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import date
from decimal import Decimal
from importlib.metadata import entry_points
from typing import Any, TypeAlias

from pointsman import (
    ChatRequest,
    Connection,
    EmbedRequest,
    Exact,
    HealthState,
    ModelInfo,
    Price,
    PriceBook,
    Target,
    Terminal,
    TextDelta,
    Unknown,
    Usage,
    user,
)
from pointsman_blaxel import SPEC, BlaxelConfig
from pointsman_testing import Answer, Vendor

from .conftest import table

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]


async def test_its_plugin_answers_every_hook(opened: Open, vendor: Vendor) -> None:
    plugin: Any = next(point for point in entry_points(group="pointsman.providers") if point.name == "blaxel").load()
    assert plugin.pointsman_providers() == [SPEC]
    vendor.script(Answer("hi"))
    model, agent = Target("blaxel", "gpt"), Target("blaxel", "agent:coder")
    price = Price(input=Decimal(1), output=Decimal(2), as_of=date(2026, 11, 1), source="my contract")
    async with opened(vendor) as session:
        config = BlaxelConfig.model_validate(table(vendor, agents={"coder": {"price": "0.5"}}))
        ask = SPEC.price_of
        assert ask is not None
        book = PriceBook(({model: price},), package=lambda target, _: ask(config, ModelInfo(id=target.model)))
        connection = Connection(spec=SPEC, config=config, session=session, context=session._context, prices=book)
        async with plugin.pointsman_stream(connection)(ChatRequest(messages=(user("hi"),), model="gpt")) as events:
            assert [event async for event in events][:-1] == [TextDelta("hi")]
        assert (await plugin.pointsman_health(connection)()).state is HealthState.UP
        assert "agent:coder" in [found.id for found in await plugin.pointsman_models(connection)()]
        assert len((await plugin.pointsman_embed(connection)(EmbedRequest("gpt", ("a",)))).vectors) == 1
        cost = plugin.pointsman_cost(connection)
    usage = Usage(input_tokens=1_000_000, output_tokens=1_000_000)
    assert cost(model, usage, None) == Exact(3)
    assert cost(agent, usage, None) == cost(agent, None, None) == Exact(Decimal("0.5"))
    assert cost(Target("blaxel", "agent:other"), usage, None) == cost(Target("blaxel", "x"), usage, None) == Unknown


def test_its_spec() -> None:
    assert SPEC.terminal is Terminal.FINISH_REASON
    agents = SPEC.family("agent:coder")
    assert agents.terminal is Terminal.BODY_LENGTH
    assert agents.capabilities == {"agentic"}
    assert not agents.idempotent
    assert agents.silence > 100  # After which the platform closes the connection itself.
    assert SPEC.family("gpt").idempotent
    assert not SPEC.trusts("agt-x-lab.us.bl.run")
    assert SPEC.env_keys == {"api_key": "BL_API_KEY", "client_credentials": "BL_CLIENT_CREDENTIALS"}

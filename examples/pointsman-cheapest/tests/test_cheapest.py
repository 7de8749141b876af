"""The policy, installed as everybody would install it: found by its entry point, and asked by a client."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from pointsman import (
    AsyncClient,
    ChatRequest,
    Image,
    ModelInfo,
    NoCandidates,
    Plugins,
    Price,
    Settings,
    Unavailable,
    user,
)
from pointsman.plugins import Kind
from pointsman_testing import ScriptedProvider


def priced(name: str, input: str, output: str, *scripts: Any, can: Iterable[str] = ()) -> ScriptedProvider:
    price = Price(input=Decimal(input), output=Decimal(output), as_of=date(2026, 11, 1), source="a test")
    return ScriptedProvider(name, *scripts, models=[ModelInfo(id="m", price=price)], capabilities=can)


def client(*providers: ScriptedProvider) -> AsyncClient:
    """A client with the installed policy and scripted providers."""
    policies = {"cheapest": Plugins.installed().load(Kind.POLICY, "cheapest")}
    plugins = Plugins.of(providers={one.name: one for one in providers}, policies=policies)
    return AsyncClient(settings=Settings.of({"engine": {"retries": 0}}), plugins=plugins)


async def test_the_cheapest_is_asked_first() -> None:
    async with client(priced("a", "1", "2"), priced("b", "0.1", "0.2"), priced("c", "5", "5")) as pointsman:
        reply = await pointsman.chat("Hi")
    assert str(reply.target) == "b/m"
    assert [str(target) for target in reply.decision.order] == ["b/m", "a/m", "c/m"]
    assert reply.decision.reason == "b/m should answer for $0.0001"


async def test_the_next_one_if_it_fails() -> None:
    async with client(priced("a", "1", "2", "fine"), priced("b", "0.1", "0.2", Unavailable)) as pointsman:
        assert (await pointsman.chat("Hi")).text == "fine"


@pytest.mark.parametrize(
    ("prompt", "max_tokens", "first"),
    [("Hi", None, "reads/m"), ("Hi" * 4_000, None, "writes/m"), ("Hi" * 100, 10, "writes/m")],
)
def test_it_depends_on_how_much_is_read_and_written(prompt: str, max_tokens: int | None, first: str) -> None:
    reads, writes = priced("reads", "2", "1"), priced("writes", "1", "3")
    asked = ChatRequest(messages=(user(prompt),), max_tokens=max_tokens)
    assert str(client(reads, writes).decide(asked).order[0]) == first


def test_an_unknown_price_comes_last_and_a_price_of_nothing_first() -> None:
    decision = client(ScriptedProvider("a"), priced("b", "9", "9"), priced("c", "0", "0")).decide("Hi")
    assert [target.provider for target in decision.order] == ["c", "b", "a"]
    unknown = client(ScriptedProvider("b"), ScriptedProvider("a")).decide("Hi")
    assert [target.provider for target in unknown.order] == ["a", "b"], "as they are listed"
    assert unknown.reason == "nobody's price is known"


def test_what_is_billed_by_the_second_is_not_taken_for_free() -> None:
    nothing = Decimal(0)
    price = Price(input=nothing, output=nothing, second=Decimal("0.0003"), as_of=None, source="a test")
    own = ScriptedProvider("own", models=[ModelInfo(id="m", price=price)])
    assert [target.provider for target in client(own, priced("b", "9", "9")).decide("Hi").order] == ["b", "own"]


def test_who_cannot_see_is_not_asked_to() -> None:
    asked = [user("What is this?", Image("https://pictures.example/1.png"))]
    seeing, blind = priced("seeing", "2", "2", can=["vision"]), priced("blind", "1", "1")
    decision = client(seeing, blind).decide(asked)
    assert [target.provider for target in decision.order] == ["seeing"]
    assert [(item.target.provider, item.reason) for item in decision.excluded] == [("blind", "cannot do vision")]
    with pytest.raises(NoCandidates, match="nobody can do what is asked for"):
        client(blind).decide(asked)


def test_it_is_found_by_its_entry_point() -> None:
    assert Plugins.installed().policy("cheapest").name == "cheapest"

"""The policy, installed as everybody would install it: found by its entry point, and asked by a client."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from pointsman import (
    AsyncClient,
    Candidate,
    ChatRequest,
    ConfigError,
    History,
    Image,
    Measured,
    ModelInfo,
    NoCandidates,
    Plugins,
    Price,
    Settings,
    Target,
    Unavailable,
    user,
)
from pointsman.plugins import Kind
from pointsman_testing import ScriptedProvider


def priced(name: str, input: str, output: str, *scripts: Any, can: Iterable[str] = ()) -> ScriptedProvider:
    price = Price(input=Decimal(input), output=Decimal(output), as_of=date(2026, 11, 1), source="a test")
    return ScriptedProvider(name, *scripts, models=[ModelInfo(id="m", price=price)], capabilities=can)


def client(*providers: ScriptedProvider, **policy: object) -> AsyncClient:
    """A client with the installed policy, those settings of it, and scripted providers."""
    policies = {"cheapest": Plugins.installed().load(Kind.POLICY, "cheapest")}
    plugins = Plugins.of(providers={one.name: one for one in providers}, policies=policies)
    return AsyncClient(settings=Settings.of({"engine": {"retries": 0}, "policy": policy}), plugins=plugins)


async def test_the_cheapest_is_asked_first() -> None:
    async with client(priced("a", "1", "2"), priced("b", "0.1", "0.2"), priced("c", "5", "5")) as pointsman:
        reply = await pointsman.chat("Hi")
    assert str(reply.target) == "b/m"
    assert [str(target) for target in reply.decision.order] == ["b/m", "a/m", "c/m"]
    assert reply.decision.reason == "b/m: an answer should cost $0.0001"


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


def test_how_long_answers_are_can_be_set() -> None:
    reads, writes = priced("reads", "2", "1"), priced("writes", "1", "3")
    assert str(client(reads, writes, answer_tokens=1).decide("Hi" * 100).order[0]) == "writes/m"
    with pytest.raises(ConfigError, match=r"answer_tokens .* is 1 or more, not 0"):
        client(reads, writes, answer_tokens=0).decide("Hi")


def ranked(*shares: tuple[str, float]) -> list[str]:
    """The order of targets that cost the same, by the share of their last ten attempts that failed."""
    price = Price(input=Decimal(1), output=Decimal(1), as_of=None, source="a test")
    known = [
        Candidate(
            target=Target(name, "m"),
            capabilities=frozenset(),
            price=price,
            history=History(recent=Measured(attempts=10, failures=10 * share)),
        )
        for name, share in shares
    ]
    policy = Plugins.installed().policy("cheapest")
    return [target.provider for target in policy.rank(ChatRequest(messages=(user("Hi"),)), known, 0.0, 0).order]


def test_who_fails_too_often_comes_last() -> None:
    assert ranked(("a", 0.6), ("b", 0.5), ("c", 0.0)) == ["b", "c", "a"]


def test_an_unknown_price_comes_last_and_a_price_of_nothing_first() -> None:
    decision = client(ScriptedProvider("a"), priced("b", "9", "9"), priced("c", "0", "0")).decide("Hi")
    assert [target.provider for target in decision.order] == ["c", "b", "a"]
    unknown = client(ScriptedProvider("b"), ScriptedProvider("a")).decide("Hi")
    assert [target.provider for target in unknown.order] == ["a", "b"], "as they are listed"
    assert unknown.reason == "a/scripted-1: an answer should cost unknown"


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

"""Calls to vendors that are not as their packages say, or do not stay so: the order follows what was measured.

What candidates say of the past is what core makes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import exp
from random import Random

import pytest

from pointsman import Candidate, ChatRequest, Strengths, Target, user
from pointsman.engine.health.histories import Histories
from pointsman.ledger import PastAttempt, PastCall
from pointsman_policy import TASKS, Classification
from pointsman_policy.scored import Scored
from pointsman_policy.settings import ScoredSettings

REQUEST = ChatRequest(messages=(user("Who invented the railway?"),))


class Truth:
    """How a vendor really is."""

    def __init__(self, first_token: float, tokens_per_second: float, fails: float = 0.0) -> None:
        self.first_token = first_token
        self.tokens_per_second = tokens_per_second
        self.fails = fails


@dataclass
class World:
    """Vendors as they are, as they are expected to be, and what was seen of them."""

    truths: dict[str, Truth]
    expected: Mapping[str, Strengths] = field(default_factory=dict[str, Strengths])
    seed: int = 1
    now: float = 0.0

    def __post_init__(self) -> None:
        self.policy = Scored(ScoredSettings(), _general)
        self.histories = Histories()
        self.dice = Random(self.seed)

    def candidates(self) -> list[Candidate]:
        return [
            Candidate(
                target=Target(name, "m"),
                capabilities=frozenset(),
                strengths=self.expected.get(name, Strengths()),
                history=self.histories.of(Target(name, "m"), self.now),
            )
            for name in self.truths
        ]

    def order(self) -> list[str]:
        """Without chance."""
        policy = Scored(ScoredSettings(explore=0), _general)
        return [target.provider for target in policy.rank(REQUEST, self.candidates(), self.now, 0).order]

    def call(self, choose: Callable[[list[str]], str] = lambda order: order[0]) -> str:
        """One call, two seconds after the last. Whoever was asked, and, if it failed, the next too, is measured."""
        self.now += 2.0
        decision = self.policy.rank(REQUEST, self.candidates(), self.now, self.dice.getrandbits(32))
        name = choose([target.provider for target in decision.order])
        truth, spread = self.truths[name], exp(self.dice.gauss(0, 0.2))
        failed = self.dice.random() < truth.fails
        self.histories.add(_ended(name, truth, spread, self.now, failed=failed), self.now)
        return name


def _ended(name: str, truth: Truth, spread: float, now: float, *, failed: bool) -> PastCall:
    """A call that was answered with 300 tokens, or refused."""
    target, first = Target(name, "m"), truth.first_token * spread
    attempt = PastAttempt(
        target=target,
        outcome="failed" if failed else "finished",
        error_type="Unavailable" if failed else None,
        ended=now,
        duration=first + 299 * spread / truth.tokens_per_second,
        first_output=None if failed else first,
        input_tokens=8,
        output_tokens=None if failed else 300,
    )
    return PastCall(call_id=f"{now}", ended=now, target=target, task="general_qa", attempts=(attempt,))


def _general(request: ChatRequest | str) -> Classification:
    probabilities = {task: float(task == "general_qa") for task in TASKS}
    return Classification(task="general_qa", probabilities=probabilities, difficulty=0.5, language="en", confidence=1.0)


EXPECTED = {
    "one": Strengths(first_token=(0.1, 0.3), tokens_per_second=(100, 200)),
    "two": Strengths(first_token=(0.3, 0.8), tokens_per_second=(80, 150)),
    "three": Strengths(first_token=(1.0, 2.0), tokens_per_second=(50, 100)),
    "four": Strengths(first_token=(2.0, 5.0), tokens_per_second=(10, 30)),
}
REVERSED = {"one": (4.0, 15.0), "two": (1.5, 60.0), "three": (0.5, 110.0), "four": (0.2, 180.0)}


@pytest.mark.parametrize("seed", range(3))
def test_after_200_calls_the_order_follows_the_measurements(seed: int) -> None:
    """Each is asked as often: what was expected is all wrong."""
    world = World({name: Truth(*truth) for name, truth in REVERSED.items()}, EXPECTED, seed)
    assert world.order() == ["one", "two", "three", "four"]
    turns = iter([*REVERSED] * 50)
    for _ in range(200):
        world.call(lambda _: next(turns))
    assert world.order() == ["four", "three", "two", "one"]


@pytest.mark.parametrize("seed", range(3))
def test_whoever_is_asked_is_found_out(seed: int) -> None:
    """Only those that it chooses are measured, and after 200 calls it has left the two that are bad."""
    world = World({name: Truth(*truth) for name, truth in REVERSED.items()}, EXPECTED, seed)
    asked = [world.call() for _ in range(200)]
    assert asked[0] == "one"
    assert world.order()[0] in ("three", "four")
    assert asked[100:].count("one") + asked[100:].count("two") <= 10


@pytest.mark.parametrize("seed", range(5))
def test_whoever_slows_down_tenfold_is_left_within_20_calls_and_taken_back_after_it_heals(seed: int) -> None:
    truths = {"quick": Truth(0.3, 120.0), "usual": Truth(0.8, 70.0), "slow": Truth(3.0, 20.0)}
    world = World(truths, seed=seed)
    turns = iter([*truths] * 30)
    for _ in range(90):
        world.call(lambda _: next(turns))
    for _ in range(100):
        world.call()
    assert world.order()[0] == "quick"

    truths["quick"] = Truth(3.0, 12.0)
    sick = [world.call() for _ in range(20)]
    assert world.order()[0] == "usual", sick
    assert "quick" in sick

    truths["quick"] = Truth(0.3, 120.0)
    world.now += 1_200.0
    healed = [world.call() for _ in range(60)]
    assert world.order()[0] == "quick", healed
    assert healed.count("quick") > 40


def test_whoever_fails_is_left_and_taken_back() -> None:
    truths = {"quick": Truth(0.3, 120.0), "usual": Truth(0.8, 70.0)}
    world = World(truths)
    turns = iter([*truths] * 30)
    for _ in range(60):
        world.call(lambda _: next(turns))
    assert world.order()[0] == "quick"
    truths["quick"] = Truth(0.3, 120.0, fails=1.0)
    for _ in range(20):
        world.call()
    assert world.order()[0] == "usual"
    truths["quick"] = Truth(0.3, 120.0)
    world.now += 1_200.0
    for _ in range(60):
        world.call()
    assert world.order()[0] == "quick"


def test_chance_finds_out_who_was_underrated() -> None:
    """About as good in what is expected, and much better in truth: exploring tries it, and never choosing it again."""
    expected = {"one": Strengths(speed=7.0), "two": Strengths(speed=6.0)}
    world = World({"one": Truth(0.6, 80.0), "two": Truth(0.1, 250.0)}, expected)
    asked = [world.call() for _ in range(300)]
    assert asked[0] == "one"
    assert world.order()[0] == "two"
    assert asked[-50:].count("two") > 40

"""Whatever a policy does wrong, the call goes on in the listed order, and the decision says what was wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import Candidate, ChatRequest, Decision, Exclusion, Score, Target, Term, Tool, user
from pointsman.engine.decide import PATIENCE, decide
from pointsman.policy import InOrder

A, B, C = (Target("acme", name) for name in "abc")
STRANGER = Target("stranger", "x")
REQUEST = ChatRequest(messages=(user("hi"),))
UNREADY = [Exclusion(Target("lan", "*"), "no base_url")]


def candidates(*targets: Target, capabilities: frozenset[str] = frozenset()) -> list[Candidate]:
    return [Candidate(target=target, capabilities=capabilities) for target in targets]


@dataclass
class Scripted:
    """A policy that does what it is told."""

    rank_: Callable[[Sequence[Candidate]], Any]
    name: str = "scripted"

    def rank(self, request: ChatRequest, candidates: Sequence[Candidate], now: float, seed: int) -> Any:
        return self.rank_(candidates)


def decided(
    rank: Callable[[Sequence[Candidate]], Any], took: float = 0.0, offered: Sequence[Target] = (A, B, C)
) -> Decision:
    ticks = count(0.0, took)
    return decide(Scripted(rank), REQUEST, candidates(*offered), UNREADY, 1.0, 7, timer=lambda: next(ticks))


def order(*targets: Any, excluded: Any = ()) -> Callable[[object], Decision]:
    return lambda _: Decision(policy="scripted", order=targets, excluded=excluded, reason="it likes them")


def told(**said: Any) -> Callable[[object], Decision]:
    return lambda _: Decision(policy="scripted", order=(A, B), **{"reason": "it likes them", **said})


def raising(error: BaseException) -> Callable[[object], Decision]:
    def rank(_: object) -> Decision:
        raise error

    return rank


def test_a_sound_decision_stands() -> None:
    decision = decided(order(C, A, excluded=(Exclusion(B, "too dear"),)))
    assert decision.order == (C, A)
    assert decision.policy == "scripted"
    assert decision.excluded == (Exclusion(B, "too dear"), *UNREADY)
    assert decision.explain() == (
        "scripted: acme/c > acme/a\n  because it likes them\n  not acme/b: too dear\n  not lan/*: no base_url"
    )


@pytest.mark.parametrize(
    ("rank", "said"),
    [
        (raising(ValueError("oops")), "raised ValueError: oops"),
        (raising(RecursionError("deep")), "raised RecursionError: deep"),
        (raising(GeneratorExit()), "raised GeneratorExit"),
        (order(C, STRANGER), "named stranger/x, which it was not offered"),
        (order(C, "acme/a"), "named acme/a, which it was not offered"),
        (order(C, A, C), "named a target twice"),
        (order(C, A, excluded=(Exclusion(A, "no"),)), "named acme/a, which it excluded"),
        (order(), "named nobody"),
        (order(excluded=(Exclusion(A, "no"), Exclusion(B, "no"))), "named nobody"),
        (lambda _: None, "answered with a NoneType, which is no Decision"),
        (lambda _: [A, B], "answered with a list, which is no Decision"),
        (lambda _: Decision(policy="x", order=None), "raised TypeError"),  # type: ignore[arg-type]
        (lambda _: Decision(policy="x", order=(A,), excluded=None), "raised TypeError"),  # type: ignore[arg-type]
        (order(A, excluded=("acme/b",)), "excluded what is no Exclusion"),
        (order([A]), "raised TypeError"),
        (order(A, excluded=(Exclusion("acme/b", "old"),)), "excluded what is no Exclusion"),  # type: ignore[arg-type]
        (order(A, excluded=(Exclusion(B, None),)), "excluded what is no Exclusion"),  # type: ignore[arg-type]
        (told(reason=None), "told a reason of None"),
        (told(task=12), "told a task of 12"),
        (told(task="x" * 50, policy_hash=b"x"), "told a policy_hash of b'x'"),
        (told(confidence=nan), "told a confidence of nan"),
        (told(difficulty="hard"), "told a difficulty of 'hard'"),
        (told(propensity=0.0), "told a propensity of 0.0"),
        (told(propensity=1.5), "told a propensity of 1.5"),
        (told(scores=(Score(B, 1.0), Score(A, 0.0))), "scored others than it ordered"),
        (told(scores=(Score(A, 1.0),)), "scored others than it ordered"),
        (told(scores=({A: 1.0}, {B: 1.0})), "scored with what is no Score, or no finite number"),
        (told(scores=(Score(A, nan), Score(B, 0.0))), "scored with what is no Score, or no finite number"),
        (told(scores=(Score(A, 1.0, (Term("speed", inf, 1.0),)), Score(B, 0.0))), "or no finite number"),
        (told(scores=(Score(A, 1.0, ("speed",)), Score(B, 0.0))), "scored with what is no Score"),  # type: ignore[arg-type]
        (told(scores=(Score(A, 1.0, None), Score(B, 0.0))), "raised TypeError"),  # type: ignore[arg-type]
        (told(scores=None), "raised TypeError"),
        (told(prewarm=(STRANGER,)), "would warm stranger/x, which it did not order"),
        (told(prewarm=(C,)), "would warm acme/c, which it did not order"),
        (told(prewarm=("acme/a",)), "would warm acme/a, which it did not order"),
        (told(prewarm=(B, B)), "would warm a target twice"),
        (told(prewarm=None), "raised TypeError"),
    ],
)
def test_an_unsound_one_is_replaced_and_said_so(rank: Callable[[object], Any], said: str) -> None:
    decision = decided(rank)
    assert decision.order == (A, B, C)
    assert decision.policy == "in_order"
    assert said in decision.reason
    assert "'scripted'" in decision.reason
    assert decision.excluded == tuple(UNREADY)
    assert said in decision.explain()


def test_whom_to_warm_is_told_and_explained() -> None:
    decision = decided(told(prewarm=[B]))
    assert decision.prewarm == (B,)
    assert "  acme/b would come first if it were warm" in decision.explain().splitlines()


def test_what_it_tells_stands_too() -> None:
    scores = [Score(A, 2, (Term("speed", 1.0, 0, "fast"),)), Score(B, -0.5)]
    decision = decided(told(scores=scores, task="cooking", confidence=0, difficulty=1, propensity=1))
    assert (decision.policy, decision.task, decision.scores) == ("scripted", "cooking", tuple(scores))


def test_what_a_policy_writes_into_the_request_is_lost() -> None:
    class Writing(Scripted):
        def rank(self, request: ChatRequest, candidates: Sequence[Candidate], now: float, seed: int) -> Decision:
            for table in (request.tags, request.extra):
                table.update(mine="yes")  # type: ignore[attr-defined]
            return order(A)(candidates)

    asked = ChatRequest(messages=(user("hi"),), tags={"team": "blue"}, extra={"top_k": 4})
    decision = decide(Writing(order(A)), asked, candidates(A), [], 0.0, 0)
    assert decision.policy == "scripted"
    assert (asked.tags, asked.extra) == ({"team": "blue"}, {"top_k": 4})


@pytest.mark.parametrize(
    ("took", "stands"), [(PATIENCE / 2, True), (PATIENCE, True), (PATIENCE * 1.01, False), (60, False)]
)
def test_a_late_decision_is_discarded(took: float, stands: bool) -> None:
    decision = decided(order(C, B, A), took)
    assert decision.order == ((C, B, A) if stands else (A, B, C))
    assert stands or f"took {took * 1000:.0f} ms" in decision.reason


def test_excluding_everyone_with_a_reason_is_a_decision() -> None:
    everyone = tuple(Exclusion(target, "over the budget") for target in (A, B, C))
    decision = decided(order(excluded=everyone))
    assert decision.order == ()
    assert decision.policy == "scripted"


def test_a_list_is_as_good_as_a_tuple() -> None:
    decision = decided(lambda _: Decision(policy="scripted", order=[C, B], excluded=[]))  # type: ignore[arg-type]
    assert decision.order == (C, B)
    assert decision.explain().startswith("scripted: acme/c > acme/b")


def test_a_policy_cannot_spoil_what_it_is_given() -> None:
    def greedy(offered: Sequence[Candidate]) -> Decision:
        offered.clear()  # type: ignore[attr-defined]
        return Decision(policy="greedy", order=())

    decision = decided(greedy)
    assert decision.order == (A, B, C)
    assert "raised AttributeError" in decision.reason


def test_being_interrupted_is_not_a_mistake_of_the_policy() -> None:
    with pytest.raises(KeyboardInterrupt):
        decided(raising(KeyboardInterrupt()))


targets = st.sampled_from([A, B, C, STRANGER])


@given(
    offered=st.lists(st.sampled_from([A, B, C]), unique=True, min_size=1),
    ranked=st.lists(targets, max_size=5) | st.none(),
    excluded=st.lists(st.builds(Exclusion, targets, st.text(max_size=3)), max_size=3),
    took=st.sampled_from([0.0, 1.0]),
)
def test_no_policy_loses_a_call(
    offered: list[Target], ranked: list[Target] | None, excluded: list[Exclusion], took: float
) -> None:
    def rank(_: object) -> Decision:
        return Decision(policy="scripted", order=ranked, excluded=tuple(excluded))  # type: ignore[arg-type]

    decision = decided(rank, took, offered)
    assert set(decision.order) <= set(offered)
    assert len(set(decision.order)) == len(decision.order)
    ruled_out = {item.target for item in excluded}
    assert decision.order or set(offered) <= ruled_out
    if decision.policy == "in_order":
        assert decision.order == tuple(offered)
        assert "'scripted'" in decision.reason
    else:
        assert list(decision.order) == ranked


def test_in_order_leaves_out_who_cannot_do_it() -> None:
    request = ChatRequest(messages=(user("hi"),), tools=(Tool("look"),))
    offered = [*candidates(A), *candidates(B, capabilities=frozenset({"tools"}))]
    decision = decide(InOrder(), request, offered, [], 0.0, 0)
    assert decision.order == (B,)
    assert decision.excluded == (Exclusion(A, "cannot do tools"),)

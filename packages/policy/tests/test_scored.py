"""How `scored` ranks: what counts, and what cannot."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import (
    Candidate,
    ChatRequest,
    Client,
    Decision,
    History,
    Measured,
    Plugins,
    Price,
    Settings,
    Strengths,
    Target,
    assistant,
    user,
)
from pointsman_policy import TASKS, Classification, plugin
from pointsman_policy.scored import Scored
from pointsman_policy.settings import ScoredSettings
from pointsman_testing import ScriptedProvider


def policy(*, task: str = "general_qa", difficulty: float = 0.5, **settings: Any) -> Scored:
    """`scored`, which takes all for `task`, and explores only where that is said."""
    return Scored(ScoredSettings.model_validate({"explore": 0, **settings}), Certain(task, difficulty))


class Certain:
    """A classifier that always says the same."""

    def __init__(self, task: str, difficulty: float) -> None:
        probabilities = {name: float(name == task) for name in TASKS}
        self._answer = Classification(
            task=task, probabilities=probabilities, difficulty=difficulty, language="en", confidence=1.0
        )

    def __call__(self, request: ChatRequest | str) -> Classification:
        return self._answer


def ask(text: str = "Hello", **wishes: Any) -> ChatRequest:
    return ChatRequest(messages=(user(text),), **wishes)


def usd(amount: str, **more: Any) -> Price:
    """Of a million tokens, read or written."""
    each = Decimal(amount)
    known: dict[str, Any] = {"input": each, "output": each, "as_of": date(2026, 1, 1), "source": "a test", **more}
    return Price(**known)


def one(
    name: str,
    *,
    overall: Mapping[str, Any] | None = None,
    recent: Mapping[str, Any] | None = None,
    tasks: Mapping[str, Measured] | None = None,
    lengths: Mapping[str, Measured] | None = None,
    strengths: Mapping[str, Any] | None = None,
    **facts: Any,
) -> Candidate:
    """A candidate; `overall` and `recent` are the fields of its `Measured`."""
    history = History(
        overall=Measured(**(overall or {})),
        recent=Measured(**(recent or {})),
        tasks=tasks or {},
        lengths=lengths or {},
    )
    known: dict[str, Any] = {
        "capabilities": frozenset[str](),
        "strengths": Strengths(**(strengths or {})),
        "history": history,
        **facts,
    }
    return Candidate(target=Target.parse(name), **known)


def names(decision: Decision) -> list[str]:
    return [str(target) for target in decision.order]


def ranked(*candidates: Candidate, request: ChatRequest | None = None, now: float = 0.0, **settings: Any) -> list[str]:
    return names(policy(**settings).rank(request or ask(), candidates, now, 0))


FAST = {"first_token": (0.2, 0.2), "tokens_per_second": (200.0, 200.0)}
SLOW = {"first_token": (4.0, 4.0), "tokens_per_second": (10.0, 10.0)}

# What counts ---------------------------------------------------------------------------------------------------------


def test_what_is_measured_goes_before_what_is_expected() -> None:
    liar = one("a/m", strengths=FAST, overall={"first_token": 5.0, "answers": 50.0})
    modest = one("b/m", strengths=SLOW, overall={"first_token": 0.1, "answers": 50.0})
    assert ranked(liar, modest, request=ask(priority="speed")) == ["b/m", "a/m"]


def test_a_single_measurement_is_no_proof() -> None:
    unlucky = one("a/m", strengths=FAST, overall={"first_token": 2.0, "answers": 1.0})
    assert ranked(one("b/m", strengths=SLOW), unlucky, request=ask(priority="speed")) == ["a/m", "b/m"]


def test_how_it_is_just_now_goes_before_how_it_was_for_days() -> None:
    days = {"first_token": 0.2, "answers": 200.0}
    sick = one("a/m", overall=days, recent={"first_token": 8.0, "answers": 8.0})
    assert ranked(sick, one("b/m", overall={"first_token": 1.0, "answers": 200.0})) == ["b/m", "a/m"]


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"overall": {"attempts": 50.0}}, {"overall": {"attempts": 50.0, "failures": 20.0}}),
        ({"overall": {"quality": 0.9, "rated": 30.0}}, {"overall": {"quality": 0.4, "rated": 30.0}}),
        ({"price": usd("0.1")}, {"price": usd("10")}),
        ({"price": usd("0")}, {"price": usd("0.000001")}),
        ({"cold_wait": 0.0}, {"cold_wait": 60.0}),
        ({"warm_tokens": 100}, {}),
        ({"strengths": {"cost": 9.0}}, {"strengths": {"cost": 2.0}}),
        ({"strengths": {"speed": 9.0}}, {"strengths": {"speed": 2.0}}),
        ({"strengths": {"tasks": {"general": 9.0}}}, {"strengths": {"tasks": {"general": 6.0}}}),
        ({"price": usd("0", second=Decimal("0.0001"))}, {"price": usd("0", second=Decimal("0.01"))}),
        (
            {"lengths": {"short": Measured(first_token=0.1, answers=9.0)}},
            {"lengths": {"huge": Measured(first_token=0.1, answers=9.0)}},
        ),
        (
            {"tasks": {"general_qa": Measured(quality=0.9, rated=9.0)}},
            {"tasks": {"writing": Measured(quality=0.9, rated=9.0)}},
        ),
    ],
)
@pytest.mark.parametrize("priority", ["balanced", "speed", "quality", "cost"])
def test_each_fact_counts(better: Any, worse: Any, priority: str) -> None:
    """Whoever is listed first would win if it did not."""
    request = ask("Hello there. " * 40, priority=priority)
    assert ranked(one("b/m", **worse), one("a/m", **better), request=request) == ["a/m", "b/m"]


def test_the_shortest_prompt_is_billed_too() -> None:
    """Listed last, and with nothing else to its credit."""
    dear, cheap = (one(name, price=usd(each, output=Decimal(0))) for name, each in (("dear/m", "2"), ("cheap/m", "1")))
    assert ranked(dear, cheap, request=ask("Hi", priority="cost")) == ["cheap/m", "dear/m"]


def test_an_unknown_price_is_not_taken_for_nothing() -> None:
    silent, boasting = one("a/m"), one("b/m", strengths={"cost": 10.0})
    cheap = one("c/m", price=usd("0.01"))
    assert ranked(silent, boasting, cheap, request=ask(priority="cost")) == ["c/m", "b/m", "a/m"]


def test_what_is_hard_goes_to_the_strong_and_what_is_easy_to_the_cheap() -> None:
    cheap = one("cheap/m", price=usd("0.2"), strengths={"tasks": {"general": 6.0}})
    strong = one("strong/m", price=usd("6"), strengths={"tasks": {"general": 9.0}})
    text = "word " * 400
    assert ranked(cheap, strong, request=ask(text), difficulty=0.05) == ["cheap/m", "strong/m"]
    assert ranked(cheap, strong, request=ask(text), difficulty=0.95) == ["strong/m", "cheap/m"]


def test_a_conversation_stays_unless_it_pays_to_go() -> None:
    text = "word " * 400
    here, better = one("here/m", warm_tokens=450, price=usd("1")), one("there/m", price=usd("0.5"))
    assert ranked(better, here, request=ask(text)) == ["here/m", "there/m"]
    assert ranked(better, here, request=ask(text), stay=0) == ["there/m", "here/m"]
    sick = one("here/m", warm_tokens=450, price=usd("1"), recent={"first_token": 30.0, "answers": 8.0})
    assert ranked(better, sick, request=ask(text)) == ["there/m", "here/m"]


def test_what_is_cached_is_billed_as_such() -> None:
    request = ask("word " * 20_000, priority="cost")
    warm = one("a/m", warm_tokens=25_000, price=usd("2", cached_input=Decimal("0.1")))
    assert ranked(one("b/m", price=usd("1")), warm, request=request, stay=0) == ["a/m", "b/m"]


def test_whoever_would_miss_the_deadline_comes_after_those_who_keep_it() -> None:
    good, quick = one("good/m", cold_wait=60.0, overall={"quality": 1.0, "rated": 1e6}), one("quick/m", strengths=FAST)
    assert ranked(good, quick, request=ask(priority="quality")) == ["good/m", "quick/m"]
    decision = policy().rank(ask(priority="quality", deadline=20.0), [good, quick], 0.0, 0)
    assert names(decision) == ["quick/m", "good/m"]
    assert decision.reason == "quick/m should keep the deadline, which good/m would miss"


def test_whoever_is_probably_too_small_comes_last_and_is_not_left_out() -> None:
    """Eight characters a token are certain, and four are usual."""
    best, roomy = one("best/m", strengths=FAST, context_tokens=1000), one("roomy/m", strengths=SLOW)
    assert ranked(best, roomy, request=ask("x" * 3_000)) == ["best/m", "roomy/m"]
    decision = policy().rank(ask("x" * 6_000), [best, roomy], 0.0, 0)
    assert (names(decision), decision.excluded) == (["roomy/m", "best/m"], ())
    assert decision.reason == "roomy/m has room for the prompt, which is probably too long for best/m"
    prefers = policy(tasks={task: {"prefer": ["best/*"]} for task in TASKS}).rank(
        ask("x" * 6_000), [best, roomy], 0.0, 0
    )
    assert (names(prefers)[0], prefers.reason) == ("roomy/m", decision.reason)


def test_an_open_breaker_is_no_reason_to_leave_anybody_out() -> None:
    best, other = one("a/m", strengths=FAST, open_at=10.0), one("b/m", strengths=SLOW)
    decision = policy().rank(ask(), [best, other], 9.0, 0)
    assert names(decision) == ["b/m", "a/m"]
    assert not decision.excluded
    assert decision.reason == "b/m can be asked now, and a/m, which would be better, not at once"
    assert ranked(best, other, now=10.0) == ["a/m", "b/m"]


# Who could not serve -------------------------------------------------------------------------------------------------


def test_whoever_cannot_serve_is_left_out_with_what_can_be_done() -> None:
    request = ask("word " * 8_000, max_tokens=5_000, require=frozenset({"vision"}))
    can = frozenset({"vision"})
    decision = policy().rank(
        request,
        [
            one("blind/m"),
            one("small/m", capabilities=can, context_tokens=4_096),
            one("terse/m", capabilities=can, max_output_tokens=4_096),
            one("good/m", capabilities=can, context_tokens=5_000, max_output_tokens=5_000),
        ],
        0.0,
        0,
    )
    assert {str(item.target): item.reason for item in decision.excluded} == {
        "blind/m": "cannot do vision: the request needs it",
        "small/m": "the prompt has at least 5,000 tokens, and its context is 4,096: "
        "shorten the prompt, or add a target with a larger context",
        "terse/m": "max_tokens is 5,000, and it writes 4,096 at most: ask for fewer",
    }
    assert names(decision) == ["good/m"]
    assert decision.reason == "good/m is the only one that can serve"
    nobody = policy().rank(request, [one("blind/m")], 0.0, 0)
    assert (nobody.order, nobody.propensity) == ((), None)
    assert nobody.reason == "none of them can do what is asked for"


# What is asked -------------------------------------------------------------------------------------------------------

CODER = {"tasks": {"code_generation": 10.0, "general": 2.0}}
TALKER = {"tasks": {"code_generation": 2.0, "general": 10.0}}


def test_the_task_decides_who_is_good_at_it() -> None:
    pool = one("coder/m", strengths=CODER), one("talker/m", strengths=TALKER)
    assert ranked(*pool, task="code_refactoring") == ["coder/m", "talker/m"]
    assert ranked(*pool, task="translation") == ["talker/m", "coder/m"]


def test_the_request_knows_its_task_better() -> None:
    pool = one("talker/m", strengths=TALKER), one("coder/m", strengths=CODER)
    decision = policy(task="translation").rank(ask(task="test_writing"), pool, 0.0, 0)
    assert names(decision) == ["coder/m", "talker/m"]
    assert (decision.task, decision.confidence) == ("test_writing", 1.0)


def test_a_task_that_nobody_knows_is_kept_and_taken_for_a_general_one() -> None:
    pool = one("coder/m", strengths=CODER), one("talker/m", strengths=TALKER)
    decision = policy(task="code_generation").rank(ask(task="baking"), pool, 0.0, 0)
    assert names(decision) == ["talker/m", "coder/m"]
    assert decision.task == "baking"


def test_what_is_measured_of_a_task_of_ones_own_counts() -> None:
    baker = one("b/m", tasks={"baking": Measured(quality=1.0, rated=20.0)})
    assert ranked(one("a/m"), baker, request=ask(task="baking")) == ["b/m", "a/m"]


# Rules of the user ---------------------------------------------------------------------------------------------------

POOL = (one("a/x", strengths=FAST), one("b/x"), one("b/y"), one("c/x", strengths=SLOW), one("d/x", strengths=SLOW))


def test_without_rules_the_score_decides() -> None:
    assert ranked(*POOL) == ["a/x", "b/x", "b/y", "c/x", "d/x"]


@pytest.mark.parametrize(
    ("rule", "order"),
    [
        ({"prefer": ["c/x", "b/*"]}, "c/x b/x b/y a/x d/x"),
        ({"prefer": ["nobody/x", "d/?"]}, "d/x a/x b/x b/y c/x"),
        ({"fallback": ["d/x", "c/*"]}, "a/x d/x c/x b/x b/y"),
        ({"prefer": ["b/y"], "fallback": ["d/x"]}, "b/y d/x a/x b/x c/x"),
        ({"avoid": ["a/*"]}, "b/x b/y c/x d/x a/x"),
        ({"avoid": ["*"]}, "a/x b/x b/y c/x d/x"),
        ({"prefer": ["b/*"], "avoid": ["b/x"]}, "b/y a/x c/x d/x b/x"),
    ],
)
def test_rules_of_a_task(rule: dict[str, Any], order: str) -> None:
    assert ranked(*POOL, tasks={"general_qa": rule}) == order.split()
    assert ranked(*POOL, tasks={"translation": rule}) == ranked(*POOL)


def test_a_preferred_target_that_cannot_serve_falls_to_the_next() -> None:
    pool = (one("c/x", context_tokens=1), *POOL[:2])
    rule = {"general_qa": {"prefer": ["c/x", "b/x"]}}
    assert ranked(*pool, request=ask("word " * 100), tasks=rule) == ["b/x", "a/x"]
    closed = (one("c/x", open_at=9.0), *POOL[:2])
    assert ranked(*closed, tasks=rule) == ["b/x", "a/x", "c/x"]


def test_a_rule_says_so() -> None:
    decision = policy(tasks={"general_qa": {"prefer": ["c/x"]}}).rank(ask(), POOL, 0.0, 0)
    assert decision.reason == "[policy.tasks] general_qa prefers c/x"
    decision = policy(tasks={"general_qa": {"avoid": ["a/*"]}}).rank(ask(), POOL, 0.0, 0)
    assert decision.reason == "[policy.tasks] general_qa avoids a/x"
    decision = policy(tasks={"general_qa": {"avoid": ["c/*"]}}).rank(ask(), POOL, 0.0, 0)
    assert decision.reason.startswith("a/x before b/x, mostly for first token: ")


def test_a_rule_that_has_no_effect_says_so() -> None:
    """A name in it may be misspelt, and no setting can know which providers there will be."""
    pool = [one("a/x", strengths=FAST), one("b/x", strengths=SLOW)]
    rule = {"general_qa": {"prefer": ["moddal/*"]}}
    said = policy(tasks=rule).rank(ask(), pool, 0.0, 0).reason
    assert said.startswith("nobody that [policy.tasks] general_qa prefers can serve; a/x before b/x, mostly for ")
    rule = {"general_qa": {"prefer": ["b/*"]}}
    said = policy(tasks=rule).rank(ask(), [pool[0], one("b/x", strengths=SLOW, open_at=9.0)], 0.0, 0).reason
    assert said == "a/x can be asked now, and b/x, which would be better, not at once"


def test_the_priority_of_a_task_holds_for_requests_that_say_none() -> None:
    dear, cheap = one("dear/m", price=usd("50"), strengths={**FAST, "cost": 1.0}), one("cheap/m", price=usd("0"))
    rule = {"general_qa": {"priority": "cost"}}
    assert ranked(dear, cheap, tasks=rule) == ["cheap/m", "dear/m"]
    assert ranked(dear, cheap, request=ask(priority="speed"), tasks=rule) == ["dear/m", "cheap/m"]


def test_a_task_of_ones_own_is_like_one_that_is_known() -> None:
    pool = one("talker/m", strengths=TALKER), one("coder/m", strengths=CODER)
    rules = {"migrations": {"like": "code_refactoring"}}
    assert ranked(*pool, request=ask(task="migrations"), tasks=rules) == ["coder/m", "talker/m"]


def test_the_user_knows_how_good_answers_are() -> None:
    assert ranked(one("a/x"), one("a/y"), quality={"a/*": 3, "a/y": 9}) == ["a/y", "a/x"]
    assert ranked(one("a/x"), one("a/y"), quality={"a/x": 9, "a/*": 3}) == ["a/x", "a/y"]


def test_other_weights_make_another_order() -> None:
    quick, cheap = one("quick/m", strengths=FAST, price=usd("20")), one("cheap/m", strengths=SLOW, price=usd("0"))
    assert ranked(cheap, quick, request=ask(priority="cost")) == ["cheap/m", "quick/m"]
    weights = {"cost": {"price": 0.01, "first_token": 5}}
    assert ranked(cheap, quick, request=ask(priority="cost"), weights=weights) == ["quick/m", "cheap/m"]


# Chance --------------------------------------------------------------------------------------------------------------


def test_propensities_are_how_often_each_comes_first() -> None:
    pool = [one("a/m"), one("b/m"), one("c/m"), one("far/m", strengths=SLOW, cold_wait=60.0)]
    tried, seeds = policy(explore=0.6), range(1_000)
    firsts = [tried.rank(ask(), pool, 0.0, seed) for seed in seeds]
    stated = {str(decision.order[0]): decision.propensity for decision in firsts}
    assert stated == {"a/m": pytest.approx(0.6), "b/m": pytest.approx(0.2), "c/m": pytest.approx(0.2)}
    for name, propensity in stated.items():
        seen = sum(str(decision.order[0]) == name for decision in firsts) / len(seeds)
        assert seen == pytest.approx(propensity, abs=0.06)
    other = next(decision for decision in firsts if str(decision.order[0]) == "b/m")
    assert names(other) == ["b/m", "a/m", "c/m", "far/m"]
    assert other.reason == "it is tried for once: b/m is about as good as a/m, and so are 3 in all"


@pytest.mark.parametrize(
    ("request_", "pool", "settings"),
    [
        (ask(priority="speed"), [one("a/m"), one("b/m")], {}),
        (ask(priority="quality"), [one("a/m"), one("b/m")], {}),
        (ask(priority="cost"), [one("a/m"), one("b/m")], {}),
        (ask("word " * 99), [one("a/m", warm_tokens=9), one("b/m")], {"stay": 0}),
        (ask(), [one("a/m"), one("b/m")], {"tasks": {"general_qa": {"prefer": ["a/m"]}}}),
        (ask(), [one("a/m", open_at=9.0), one("b/m", open_at=9.0)], {}),
        (ask(), [one("a/m")], {}),
        (ask(), [one("a/m"), one("b/m", capabilities=frozenset({"agentic"}))], {}),
    ],
)
def test_nothing_is_left_to_chance_where_somebody_has_said_what_counts(
    request_: ChatRequest, pool: list[Candidate], settings: Any
) -> None:
    decisions = [policy(explore=1, **settings).rank(request_, pool, 0.0, seed) for seed in range(8)]
    assert {(names(decision)[0], decision.propensity) for decision in decisions} == {("a/m", 1.0)}


def test_another_setting_is_another_policy() -> None:
    hashes = [policy().policy_hash, policy(explore=0.5).policy_hash, policy(stay=0.5).policy_hash]
    assert len(set(hashes)) == 3
    assert policy().policy_hash == hashes[0]


def test_the_same_settings_in_another_order_are_the_same_policy_but_where_later_ones_win() -> None:
    tasks = {"writing": {"prefer": ["a/*"]}, "translation": {"avoid": ["b/*"]}}
    weights = {"cost": {"price": 0.5}, "speed": {"price": 0.1}}
    quality = {"a/*": 5, "b/*": 6}

    def turned(table: dict[str, Any]) -> dict[str, Any]:
        return dict(reversed(table.items()))

    found = policy(tasks=tasks, weights=weights, quality=quality)
    same = policy(tasks=turned(tasks), weights=turned(weights), quality=quality)
    assert found.policy_hash == same.policy_hash
    assert found.policy_hash != policy(tasks=tasks, weights=weights, quality=turned(quality)).policy_hash


# Whatever comes ------------------------------------------------------------------------------------------------------

odd = st.sampled_from([nan, inf, -inf, -1.0, 0.0, 1e-320, 1e308, 0.5]) | st.floats()
maybe = st.none() | odd
measured = st.builds(
    Measured,
    attempts=odd,
    failures=odd,
    first_token=maybe,
    answers=odd,
    tokens_per_second=maybe,
    timed=odd,
    quality=maybe,
    rated=odd,
)
by_name = st.dictionaries(st.sampled_from([*TASKS[:2], "general_qa", "general", "short"]), measured, max_size=2)
strengths = st.builds(
    Strengths,
    speed=maybe,
    cost=maybe,
    tasks=st.dictionaries(st.sampled_from([*TASKS[:2], "general"]), odd, max_size=2),
    first_token=st.none() | st.tuples(odd, odd),
    tokens_per_second=st.none() | st.tuples(odd, odd),
)
amounts = st.sampled_from([Decimal(text) for text in ("0", "1e-9", "2.5", "1e30", "1e999999")])
prices = st.builds(
    Price, input=amounts, output=amounts, second=amounts, request=amounts, as_of=st.none(), source=st.just("a test")
)
oddities = st.builds(
    Candidate,
    target=st.builds(Target, st.sampled_from("ab"), st.sampled_from(["m", "\x1b[31m", "x" * 300])),
    capabilities=st.just(frozenset[str]()),
    context_tokens=st.none() | st.integers(),
    price=st.none() | prices,
    strengths=strengths,
    history=st.builds(History, overall=measured, recent=measured, tasks=by_name, lengths=by_name),
    warm_tokens=st.integers(),
    cold_wait=odd,
    open_at=odd,
)


@given(
    pool=st.lists(oddities, max_size=4, unique_by=lambda one: one.target),
    task=st.none() | st.sampled_from([TASKS[0], "\n\x00", "\u202e" * 300]),
    priority=st.sampled_from(["balanced", "speed", "quality", "cost", "whatever"]),
    deadline=st.none() | odd,
    max_tokens=st.none() | st.integers(),
    difficulty=odd,
    explore=st.sampled_from([0, 1]),
    seed=st.integers(),
    now=odd,
)
def test_it_decides_whatever_comes(
    pool: list[Candidate],
    task: str | None,
    priority: Any,
    deadline: float | None,
    max_tokens: int | None,
    difficulty: float,
    explore: int,
    seed: int,
    now: float,
) -> None:
    request = ask("word " * 50, task=task, priority=priority, deadline=deadline, max_tokens=max_tokens)
    decision = policy(difficulty=difficulty, explore=explore).rank(request, pool, now, seed)
    left_out = {item.target for item in decision.excluded}
    assert set(decision.order) | left_out == {each.target for each in pool}
    assert len(decision.order) + len(decision.excluded) == len(pool)
    assert 0 < len(decision.reason) <= 200
    assert decision.reason.isprintable()
    assert [score.target for score in decision.scores] == list(decision.order)
    for score in decision.scores:
        assert 0 <= score.utility <= 1 + 1e-9
        assert all(0 <= term.value <= 1 and term.weight >= 0 and term.note.isprintable() for term in score.terms)


def test_a_conversation_that_goes_on_was_read_as_a_whole() -> None:
    """The share is of two estimates, core's of what was read and the policy's of the prompt: they go by one measure."""
    plugins = Plugins.of(providers={"a": ScriptedProvider("a", "Well.")}, policies={"scored": plugin})
    settings = Settings.of({"routing": {"policy": "scored", "targets": ["a/m"]}, "ledger": {"url": "none"}})
    asked = [user("Here is a story about trains. " * 200)]
    with Client(settings=settings, plugins=plugins) as one:
        reply = one.chat(asked)
        decision = one.decide([*asked, assistant(reply.text), user("Who is it about?")])
    stay = next(term for term in decision.scores[0].terms if term.name == "stay")
    assert stay.value > 0.95


# Machines that come and go -------------------------------------------------------------------------------------------

GOOD = {"overall": {"quality": 1.0, "rated": 1e6}, "strengths": FAST}
COLD = {"state": "cold", "cold_wait": 30.0}


def note(decision: Decision, target: str, term: str) -> str:
    [score] = [score for score in decision.scores if str(score.target) == target]
    return next(each.note for each in score.terms if each.name == term)


def test_who_must_start_first_comes_behind_and_is_named_as_one_to_warm() -> None:
    asleep, vendor = one("gpu/m", **GOOD, **COLD), one("vendor/m", overall={"quality": 0.9, "rated": 1e6})
    decision = policy().rank(ask(), [asleep, vendor], 0.0, 0)
    assert names(decision) == ["vendor/m", "gpu/m"]
    assert decision.prewarm == (Target("gpu", "m"),)
    assert note(decision, "gpu/m", "first token") == "cold, 30 s to get ready, then 0.2 s, expected by its package"


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"state": "warm", "cold_wait": 0.0}, "it is warm, and first"),
        ({"state": "warming", "cold_wait": 30.0}, "a start is under way"),
        ({**COLD, "open_at": 100.0}, "it cannot be asked anyway"),
        ({**COLD, "price": usd("1"), "standby_cost": Decimal(10)}, "it would cost too much, where cost counts"),
        ({**COLD, "overall": {"quality": 0.0, "rated": 1e6}}, "it would not come first"),
        ({"state": None, "cold_wait": 30.0}, "nothing is known of its machines"),
    ],
)
def test_nobody_is_warmed_for_nothing(facts: Mapping[str, Any], why: str) -> None:
    asleep = one("gpu/m", **{**GOOD, **facts})
    vendor = one("vendor/m", price=usd("1"), overall={"quality": 0.9, "rated": 1e6})
    decision = policy().rank(ask(priority="cost"), [asleep, vendor], 0.0, 0)
    assert decision.prewarm == (), why


def test_who_is_first_although_it_is_cold_is_not_warmed_but_asked() -> None:
    decision = policy().rank(ask(), [one("gpu/m", **GOOD, **COLD)], 0.0, 0)
    assert names(decision) == ["gpu/m"]
    assert decision.prewarm == ()


@pytest.mark.parametrize("deadline", [5.0, 20.0, 29.0])
def test_with_a_deadline_before_it_would_begin_it_is_last_and_not_left_out(deadline: float) -> None:
    asleep = one("gpu/m", **GOOD, **COLD)
    slow = one("slow/m", strengths={"first_token": (4.0, 4.0), "tokens_per_second": (1.0, 1.0)})
    quick = one("quick/m", strengths=FAST, overall={"quality": 0.0, "rated": 1e6})
    assert ranked(asleep, slow, quick, request=ask(deadline=deadline))[-1] == "gpu/m"
    assert "gpu/m" in ranked(asleep, request=ask(deadline=deadline))


def test_with_time_enough_the_better_is_waited_for() -> None:
    asleep = one("gpu/m", **GOOD, state="cold", cold_wait=3.0)
    poor = one("poor/m", overall={"quality": 0.0, "rated": 1e6})
    assert ranked(asleep, poor, request=ask(priority="quality", deadline=60.0)) == ["gpu/m", "poor/m"]


def test_what_a_machine_costs_that_stands_by_is_part_of_the_price() -> None:
    alike = {"price": usd("1"), "state": "cold", "cold_wait": 1.0}
    shared, alone = one("b/m", **alike, standby_cost=Decimal("0.001")), one("a/m", **alike, standby_cost=Decimal("0.1"))
    decision = policy().rank(ask(max_tokens=100), [alone, shared], 0.0, 0)
    assert names(decision) == ["b/m", "a/m"]
    assert note(decision, "a/m", "price") == "0.1 USD, 0.1 of them for a machine that stands by"
    assert "mostly for price: 0.0011 USD against 0.1 USD" in decision.reason


def test_small_and_large_amounts_are_written_without_an_exponent() -> None:
    small = one("a/m", price=usd("0.0001"), state="up", standby_cost=Decimal("0.000065"))
    large = one("b/m", price=usd("12345678"), state="up", standby_cost=Decimal(0))
    decision = policy().rank(ask(max_tokens=100), [small, large], 0.0, 0)
    assert note(decision, "a/m", "price") == "0.000065 USD, 0.000065 of them for a machine that stands by"
    assert note(decision, "b/m", "price").replace("0", "") == "12 USD"


def test_it_says_how_long_and_how_it_knows() -> None:
    cold = one("a/m", state="cold", cold_wait=20.4, starts=2.7)
    warming = one("b/m", state="warming", cold_wait=8.0)
    warm = one("c/m", state="warm")
    decision = policy().rank(ask(), [cold, warming, warm], 0.0, 0)
    assert "cold, 20 s to get ready (learnt from 3 starts), then " in note(decision, "a/m", "first token")
    assert "warming, 8 s left, then " in note(decision, "b/m", "first token")
    assert "ready" not in note(decision, "c/m", "first token")
    once = policy().rank(ask(), [one("a/m", state="cold", cold_wait=20.4, starts=0.9)], 0.0, 0)
    assert "(learnt from 1 start)" in note(once, "a/m", "first token")


@pytest.mark.parametrize("odd", [Decimal("NaN"), Decimal("Infinity"), Decimal(-1), Decimal("1e999")])
def test_whatever_standing_by_is_said_to_cost_it_ranks(odd: Decimal) -> None:
    strange = one("a/m", price=usd("1"), state="cold", cold_wait=nan, starts=inf, standby_cost=odd)
    decision = policy().rank(ask(), [strange, one("b/m")], 0.0, 0)
    assert sorted(names(decision)) == ["a/m", "b/m"]

"""What holds of `scored` whatever is asked, whoever is there, and whatever was measured of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from math import isfinite
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pointsman import (
    Candidate,
    ChatRequest,
    Decision,
    History,
    Measured,
    Plugins,
    Policy,
    Price,
    Settings,
    Strengths,
    Target,
    Tool,
    floor_usage,
    user,
)
from pointsman_policy import TASKS

LENGTHS = ("short", "medium", "long", "huge")
NAMES = [Target(provider, model) for provider in "abc" for model in ("m", "large")]


def scored(**policy: Any) -> Policy:
    return Plugins.installed().policy("scored", Settings.of({"policy": policy}))


SCORED = scored()
EXPLORING = scored(explore=0.9)

counts = st.sampled_from([0.0, 0.4, 1.0, 7.5, 200.0, 1e5])
seconds = st.floats(0.01, 90) | st.none()
speeds = st.floats(0.5, 500) | st.none()
shares = st.floats(0, 1)
anything = st.floats() | st.none()


@st.composite
def measured(draw: st.DrawFn) -> Measured:
    attempts = draw(counts)
    return Measured(
        attempts=attempts,
        failures=attempts * draw(shares),
        first_token=draw(seconds),
        answers=draw(counts),
        tokens_per_second=draw(speeds),
        timed=draw(counts),
        quality=draw(shares | st.none()),
        rated=draw(counts),
    )


def histories(each: st.SearchStrategy[Measured]) -> st.SearchStrategy[History]:
    return st.builds(
        History,
        overall=each,
        recent=each,
        tasks=st.dictionaries(st.sampled_from([*TASKS, "my_own"]), each, max_size=2),
        lengths=st.dictionaries(st.sampled_from(LENGTHS), each, max_size=2),
    )


points = st.floats(0, 10) | st.none()
strengths = st.builds(
    Strengths,
    speed=points,
    cost=points,
    tasks=st.dictionaries(st.sampled_from([*TASKS, "general", "code_explanation"]), st.floats(0, 10), max_size=2),
    first_token=st.tuples(st.floats(0.01, 1), st.floats(1, 9)) | st.none(),
    tokens_per_second=st.tuples(st.floats(1, 50), st.floats(50, 200)) | st.none(),
)
usd = st.sampled_from(["0", "0.00001", "0.2", "0.6", "3", "15"]).map(Decimal)
prices = st.builds(
    Price, input=usd, output=usd, cached_input=usd | st.none(), as_of=st.none(), source=st.just("a test")
)


def candidates(target: Target) -> st.SearchStrategy[Candidate]:
    return st.builds(
        Candidate,
        target=st.just(target),
        capabilities=st.sampled_from([frozenset({"tools"}), frozenset({"tools"}), frozenset[str]()]),
        context_tokens=st.sampled_from([None, 32_000, 32_000, 100]),
        max_output_tokens=st.sampled_from([None, 4_096, 10]),
        price=prices | st.none(),
        strengths=strengths,
        history=histories(measured()),
        warm_tokens=st.sampled_from([0, 0, 50, 10_000]),
        cold_wait=st.sampled_from([0.0, 0.0, 3.0, 60.0]),
        open_at=st.sampled_from([0.0, 0.0, 100.0, 2_000.0]),
    )


NOW = 1_000.0
pools = st.lists(st.sampled_from(NAMES), unique=True, max_size=5).flatmap(
    lambda targets: st.tuples(*map(candidates, targets))
)
wishes = st.fixed_dictionaries(
    {},
    optional={
        "priority": st.sampled_from(["balanced", "speed", "quality", "cost"]),
        "task": st.sampled_from(["code_generation", "general_qa", "my_own", ""]),
        "deadline": st.sampled_from([0.5, 10.0, 100.0]),
        "max_tokens": st.sampled_from([1, 100, 1_000_000]),
        "tools": st.just((Tool("look_up"),)),
    },
)
prompts = st.sampled_from(["Hi", "Write a function that sorts a list", "Explique o que é uma closure", "word " * 4_000])
requests = st.builds(lambda prompt, asked: ChatRequest(messages=(user(prompt),), **asked), prompts, wishes)
seeds = st.integers(0, 2**32 - 1)


def could_serve(one: Candidate, request: ChatRequest) -> bool:
    fits = one.context_tokens is None or floor_usage(request, ()).input_tokens <= one.context_tokens
    short = one.max_output_tokens is None or (request.max_tokens or 0) <= one.max_output_tokens
    return not one.lacks(request) and fits and short


def check(decision: Decision, request: ChatRequest, pool: Sequence[Candidate]) -> None:
    able = [one.target for one in pool if could_serve(one, request)]
    assert sorted(decision.order) == sorted(able), "exactly those that could serve, each once"
    assert {item.target for item in decision.excluded} == {one.target for one in pool} - {*able}
    assert [score.target for score in decision.scores] == list(decision.order)
    for score in decision.scores:
        assert 0 <= score.utility <= 1
        assert all(0 <= term.value <= 1 and term.weight >= 0 and isfinite(term.weight) for term in score.terms)
    assert decision.propensity is None or 0 < decision.propensity <= 1


@given(request=requests, pool=pools, seed=seeds)
def test_everybody_who_could_serve_is_ranked_and_nobody_else(
    request: ChatRequest, pool: Sequence[Candidate], seed: int
) -> None:
    decision = SCORED.rank(request, pool, NOW, seed)
    check(decision, request, pool)
    assert scored().rank(request, pool, NOW, seed) == decision, "it follows from what it is given"


nonsense = st.builds(
    Candidate,
    target=st.sampled_from(NAMES),
    capabilities=st.just(frozenset({"tools"})),
    strengths=st.builds(
        Strengths,
        speed=anything,
        cost=anything,
        tasks=st.dictionaries(st.sampled_from(["general", "code_generation"]), st.floats(), max_size=2),
        first_token=st.tuples(st.floats(), st.floats()) | st.none(),
        tokens_per_second=st.tuples(st.floats(), st.floats()) | st.none(),
    ),
    history=histories(
        st.builds(
            Measured,
            attempts=st.floats(),
            failures=st.floats(),
            first_token=anything,
            answers=st.floats(),
            tokens_per_second=anything,
            timed=st.floats(),
            quality=anything,
            rated=st.floats(),
        )
    ),
    warm_tokens=st.integers(-10, 10**12),
    cold_wait=st.floats(),
    open_at=st.floats(),
)


@given(
    request=requests,
    pool=st.lists(nonsense, unique_by=lambda one: one.target, max_size=4),
    now=st.floats(allow_nan=False),
    seed=seeds,
)
def test_numbers_that_are_none_upset_nothing(
    request: ChatRequest, pool: Sequence[Candidate], now: float, seed: int
) -> None:
    check(SCORED.rank(request, pool, now, seed), request, pool)


@given(request=requests, pool=pools, seed=seeds, data=st.data())
def test_scores_do_not_depend_on_the_list(
    request: ChatRequest, pool: Sequence[Candidate], seed: int, data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(pool))
    one, other = (SCORED.rank(request, pool, NOW, seed), SCORED.rank(request, shuffled, NOW, seed))
    assert sorted(one.scores, key=lambda score: score.target) == sorted(other.scores, key=lambda score: score.target)


# What is better is not ranked lower ----------------------------------------------------------------------------------


def better_measured(draw: st.DrawFn, one: Measured) -> Measured:
    """The same attempts, of which one thing went better."""
    share = draw(shares)
    match draw(st.sampled_from(["first_token", "tokens_per_second", "failures", "quality"])):
        case "first_token" if one.first_token is not None:
            return replace(one, first_token=one.first_token * share)
        case "tokens_per_second" if one.tokens_per_second is not None:
            return replace(one, tokens_per_second=one.tokens_per_second / max(share, 1e-3))
        case "quality" if one.quality is not None:
            return replace(one, quality=max(one.quality, share))
        case _:
            return replace(one, failures=one.failures * share)


@st.composite
def better(draw: st.DrawFn, one: Candidate) -> Candidate:
    """`one`, of which one thing is better than it was."""
    history, share = one.history, draw(shares)
    match draw(st.sampled_from(["overall", "recent", "tasks", "lengths", "price", "cold_wait", "open_at", "speed"])):
        case "overall":
            return replace(one, history=replace(history, overall=better_measured(draw, history.overall)))
        case "recent":
            return replace(one, history=replace(history, recent=better_measured(draw, history.recent)))
        case "tasks":
            tasks = {name: better_measured(draw, each) for name, each in history.tasks.items()}
            return replace(one, history=replace(history, tasks=tasks))
        case "lengths":
            lengths = {name: better_measured(draw, each) for name, each in history.lengths.items()}
            return replace(one, history=replace(history, lengths=lengths))
        case "price" if one.price is not None:
            return replace(one, price=cheaper(one.price, Decimal(str(round(share, 3)))))
        case "open_at":
            return replace(one, open_at=0.0)
        case "speed" if one.strengths.speed is not None:
            return replace(one, strengths=replace(one.strengths, speed=max(one.strengths.speed, 10 * share)))
        case _:
            return replace(one, cold_wait=one.cold_wait * share)


def cheaper(price: Price, share: Decimal) -> Price:
    cached = None if price.cached_input is None else price.cached_input * share
    return replace(price, input=price.input * share, output=price.output * share, cached_input=cached)


@given(request=requests, pool=pools.filter(len), seed=seeds, data=st.data())
def test_who_gets_better_never_ranks_lower(
    request: ChatRequest, pool: Sequence[Candidate], seed: int, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(pool) - 1))
    improved = [*pool]
    improved[place] = data.draw(better(pool[place]))
    for policy in (SCORED, EXPLORING):
        before, after = (policy.rank(request, each, NOW, seed).order for each in (pool, improved))
        assert set(before) == set(after)
        if (target := pool[place].target) in before:
            assert after.index(target) <= before.index(target)


@given(request=requests, pool=pools.filter(len), price=prices, share=st.sampled_from(["0", "0.5", "0.999"]), seed=seeds)
def test_a_cheaper_equal_never_ranks_lower_where_cost_counts(
    request: ChatRequest, pool: Sequence[Candidate], price: Price, share: str, seed: int
) -> None:
    dear = replace(pool[0], target=Target("dear", "m"), price=price, warm_tokens=0)
    cheap = replace(dear, target=Target("cheap", "m"), price=cheaper(price, Decimal(share)))
    asked = replace(request, priority="cost")
    order = SCORED.rank(asked, [dear, *pool, cheap], NOW, seed).order
    if dear.target in order and (price.input or price.output):  # Nothing is cached, so that price says nothing here.
        assert order.index(cheap.target) < order.index(dear.target)


# The user's rules ----------------------------------------------------------------------------------------------------

patterns = st.lists(st.sampled_from(["a/*", "*/large", "b/m", "c/?", "*", "nobody/*"]), unique=True, max_size=3)
rules = st.fixed_dictionaries(
    {}, optional={"prefer": patterns, "fallback": patterns, "avoid": patterns, "priority": st.just("quality")}
).map(lambda rule: {**rule, "avoid": [one for one in rule.get("avoid", []) if one not in rule.get("prefer", [])]})


@given(
    request=requests,
    pool=pools,
    rule=rules,
    seed=seeds,
    explore=st.sampled_from([0.0, 1.0]),
    quality=st.dictionaries(st.sampled_from(["a/*", "*"]), st.floats(0, 10), max_size=2),
)
def test_a_rule_never_adds_or_loses_anybody(
    request: ChatRequest,
    pool: Sequence[Candidate],
    rule: Mapping[str, Any],
    seed: int,
    explore: float,
    quality: Mapping[str, float],
) -> None:
    tasks = {**dict.fromkeys(TASKS, rule), "my_own": {**rule, "like": "general_qa"}}
    decision = scored(tasks=tasks, explore=explore, quality=quality).rank(request, pool, NOW, seed)
    check(decision, request, pool)
    free = [one.target for one in pool if one.target in decision.order and one.open_at <= NOW]
    avoided = [target for target in free if any(_fits(target, pattern) for pattern in rule["avoid"])]
    for pattern in rule.get("prefer", []):
        if preferred := [target for target in free if _fits(target, pattern) and target not in avoided]:
            assert decision.order[0] in preferred, "the first pattern of whom somebody is there"
            break
    if avoided and len(avoided) < len(free):
        assert decision.order[0] not in avoided


def _fits(target: Target, pattern: str) -> bool:
    provider, _, model = pattern.partition("/")
    return provider in ("*", target.provider) and (
        model in ("*", "", target.model) or (model, target.model) == ("?", "m")
    )

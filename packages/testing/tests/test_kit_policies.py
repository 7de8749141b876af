"""The kit for policies, before policies that are broken on purpose: the right test goes red."""

from __future__ import annotations

import gc
import inspect
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

import pytest

from pointsman import Candidate, ChatRequest, Decision, Exclusion, Plugins, Policy, Score, Target, Term
from pointsman_testing.kit import PolicyConformance
from pointsman_testing.kit.deciding import rank_everything
from pointsman_testing.kit.situations import REQUESTS
from pointsman_testing.kit.watching import watching

Break = Callable[[Decision, ChatRequest, list[Candidate]], Decision]
HERE = Path(__file__)
IN_ORDER = Plugins.of().policy("in_order")


class Broken:
    """`in_order`, whose decision is then spoilt."""

    name = "in_order"

    def __init__(self, spoil: Break) -> None:
        self.spoil = spoil

    def rank(self, request: ChatRequest, candidates: Sequence[Candidate], now: float, seed: int) -> Decision:
        sound = IN_ORDER.rank(request, candidates, now, seed)
        return self.spoil(sound, request, candidates)


KIT: Any = PolicyConformance()
KIT.policy = "in_order"
TESTS = {
    name: test
    for name, test in inspect.getmembers(KIT, inspect.ismethod)
    if name.startswith("test_") and not inspect.iscoroutinefunction(test) and "process" not in name
}
"""Those that need neither a client nor a process."""


def fails(name: str, policy: Policy) -> bool:
    """Whether that test of the kit goes red for `policy`."""
    wanted = inspect.signature(TESTS[name]).parameters
    for asked in REQUESTS if "asked" in wanted else [""]:
        ranked = rank_everything(policy) if "ranked" in wanted else []
        fixtures = {"ranker": policy, "ranked": ranked, "asked": asked}
        try:
            TESTS[name](**{one: fixtures[one] for one in wanted})
        except AssertionError as error:
            print(error)  # For whoever finds the wrong test red.
            return True
    return False


@pytest.mark.parametrize("name", TESTS)
def test_a_sound_policy_is_green(name: str) -> None:
    assert not fails(name, Broken(lambda sound, *_: sound))


def test_what_is_done_when_garbage_is_collected_is_nobodys_doing() -> None:
    told: list[float] = []

    def tell(phase: str, info: dict[str, int]) -> None:
        told.append(time.perf_counter())

    gc.callbacks.append(tell)
    try:
        with watching() as watch:
            kept = [[number] for number in range(100_000)]
    finally:
        gc.callbacks.remove(tell)
    assert len(kept) == 100_000
    assert watch.touched == []
    assert gc.isenabled()


def _names_whom_it_prefers(sound: Decision, request: ChatRequest, candidates: list[Candidate]) -> Decision:
    order = tuple(sorted(sound.order))
    return replace(sound, order=order, reason=f"{order[0]} comes before {order[-1]}" if order else "nobody can")


def _imports_late(sound: Decision, request: ChatRequest, candidates: list[Candidate]) -> Decision:
    sys.modules.pop("colorsys", None)
    import colorsys

    return replace(sound, reason=f"{colorsys.__name__} {PurePath('a', 'b').with_suffix('.c')}")


@pytest.mark.parametrize(
    ("spoil", "name"),
    [(_names_whom_it_prefers, "test_explains_itself"), (_imports_late, "test_touches_nothing")],
)
def test_what_is_unusual_is_no_bug(spoil: Break, name: str) -> None:
    assert not fails(name, Broken(spoil))


def _raises(sound: Decision, request: ChatRequest, candidates: list[Candidate]) -> Decision:
    return replace(sound, reason=str(min(one.context_tokens for one in candidates)))


def _learns(sound: Decision, request: ChatRequest, candidates: list[Candidate], seen: list[object] = []) -> Decision:  # noqa: B006
    seen.append(request)
    return replace(sound, reason=f"asked {len(seen)} times")


def _remembers_the_last(
    sound: Decision,
    request: ChatRequest,
    candidates: list[Candidate],
    last: list[str] = [""],  # noqa: B006
) -> Decision:
    sticky, last[0] = last[0], "".join(one.text for one in request.messages[:1])[:20]
    return replace(sound, order=sound.order[::-1]) if sticky == "Hi" else sound


def _compares_each_word_with_each(sound: Decision, request: ChatRequest, candidates: list[Candidate]) -> Decision:
    words = request.messages[0].text.split()[::10]
    pairs = sum(one.casefold() == other.casefold() for one in words for other in words)
    return replace(sound, reason=f"{pairs} pairs")


def _sorts_what_it_was_given(sound: Decision, request: ChatRequest, candidates: list[Candidate]) -> Decision:
    if isinstance(candidates, list):
        candidates.sort(key=lambda one: one.target, reverse=True)
    return sound


def _tags(sound: Decision, request: ChatRequest, candidates: list[Candidate]) -> Decision:
    request.tags.pop("thread", None)
    return sound


def _with_term(sound: Decision, term: Term) -> Decision:
    return replace(sound, scores=tuple(Score(one, 1.0, (term,)) for one in sound.order))


def _forgets(sound: Decision, request: ChatRequest, candidates: list[Candidate]) -> Decision:
    for one in candidates:
        tasks: Any = one.history.tasks
        tasks.clear()
    return sound


def _draws_the_first(share: float) -> Policy:
    """One that asks the last first in a quarter of all decisions, and says that it is `share`."""

    class Drawing(Broken):
        def rank(self, request: ChatRequest, candidates: Sequence[Candidate], now: float, seed: int) -> Decision:
            sound = super().rank(request, candidates, now, seed)
            explores = random.Random(seed).random() < 0.25
            order = (*sound.order[-1:], *sound.order[:-1]) if explores else sound.order
            return replace(sound, order=order, propensity=share if explores else 1 - share)

    return Drawing(lambda sound, *_: sound)


@pytest.mark.parametrize(("share", "seen"), [(0.25, False), (0.6, True), (0.01, True)])
def test_a_propensity_is_a_frequency(share: float, seen: bool) -> None:
    assert fails("test_comes_first_as_often_as_it_says", _draws_the_first(share)) is seen


@pytest.mark.parametrize(
    ("spoil", "caught_by"),
    [
        pytest.param(_raises, "test_always_answers", id="raises where a context is unknown"),
        pytest.param(
            lambda sound, *_: replace(sound, order=(*sound.order, Target("best", "1"))),
            "test_names_no_stranger",
            id="has a favourite of its own",
        ),
        pytest.param(
            lambda sound, request, _: replace(sound, excluded=(*sound.excluded, Exclusion(Target("x", "y"), "old"))),
            "test_names_no_stranger",
            id="excludes a stranger",
        ),
        pytest.param(
            lambda sound, *_: replace(sound, order=(*sound.order, *sound.order[:1])),
            "test_names_nobody_twice",
            id="asks the first again in the end",
        ),
        pytest.param(lambda sound, *_: replace(sound, order=sound.order[:1]), "test_loses_nobody", id="names one"),
        pytest.param(lambda sound, *_: replace(sound, excluded=()), "test_loses_nobody", id="excludes in silence"),
        pytest.param(
            lambda sound, _, candidates: replace(sound, order=tuple(one.target for one in candidates), excluded=()),
            "test_sends_nobody_what_it_cannot_do",
            id="does not look at what is needed",
        ),
        pytest.param(lambda sound, *_: replace(sound, reason=""), "test_says_why", id="gives no reason"),
        pytest.param(
            lambda sound, *_: replace(sound, excluded=tuple(replace(one, reason=" ") for one in sound.excluded)),
            "test_says_why",
            id="excludes without a reason",
        ),
        pytest.param(lambda sound, *_: replace(sound, policy="other"), "test_explains_itself", id="has two names"),
        pytest.param(
            lambda sound, request, _: replace(sound, reason=f"you said {request.messages[0].text}"),
            "test_explains_itself",
            id="quotes the prompt",
        ),
        pytest.param(
            lambda sound, request, _: replace(sound, reason=f"so says {request.messages[-1].text[:60]!r}"),
            "test_explains_itself",
            id="quotes some of the prompt",
        ),
        pytest.param(lambda sound, *_: replace(sound, reason=None), "test_explains_itself", id="a reason of no text"),
        pytest.param(lambda sound, *_: replace(sound, order=list(sound.order)), "test_a_decision_is_data", id="a list"),
        pytest.param(
            lambda sound, *_: replace(sound, order=map(Target.parse, map(str, sound.order))),
            "test_a_decision_is_data",
            id="an iterator",
        ),
        pytest.param(
            lambda sound, *_: replace(sound, reason=f"{random.random()}"), "test_decides_the_same_again", id="dice"
        ),
        pytest.param(
            lambda sound, *_: replace(sound, order=tuple(random.sample(sound.order, len(sound.order)))),
            "test_touches_nothing",
            id="shuffles with everybody's dice",
        ),
        pytest.param(_learns, "test_decides_the_same_again", id="counts"),
        pytest.param(
            _remembers_the_last, "test_does_not_depend_on_what_it_was_asked_before", id="remembers the last question"
        ),
        pytest.param(
            lambda sound, *_: replace(sound, reason=f"it is after {time.time() > 0}"),
            "test_touches_nothing",
            id="looks at the clock",
        ),
        pytest.param(
            lambda sound, *_: replace(sound, reason=os.environ.get("NOBODY", "it is so")),
            "test_touches_nothing",
            id="the environment",
        ),
        pytest.param(
            lambda sound, *_: replace(sound, reason=HERE.read_text()[:3]), "test_touches_nothing", id="a file"
        ),
        pytest.param(lambda sound, *_: (print(sound), sound)[1], "test_touches_nothing", id="prints"),
        pytest.param(
            lambda sound, *_: (sys.stdout.write("x"), sound)[1], "test_touches_nothing", id="writes to the terminal"
        ),
        pytest.param(
            lambda sound, *_: replace(sound, reason=f"{HERE.exists()}"), "test_touches_nothing", id="looks for a file"
        ),
        pytest.param(
            lambda sound, *_: replace(sound, reason=f"{os.getpid() > 0}"),
            "test_touches_nothing",
            id="knows its process",
        ),
        pytest.param(
            lambda sound, *_: replace(sound, scores=tuple(Score(one, 1.0) for one in sound.order[1:])),
            "test_scores_are_of_whom_it_orders",
            id="does not score the best",
        ),
        pytest.param(
            lambda sound, *_: replace(sound, scores=tuple(Score(one, float("nan")) for one in sound.order)),
            "test_scores_are_numbers",
            id="a utility that is no number",
        ),
        pytest.param(
            lambda sound, *_: _with_term(sound, Term("speed", 1.0, weight=-0.1)),
            "test_scores_are_numbers",
            id="a negative weight",
        ),
        pytest.param(
            lambda sound, *_: _with_term(sound, Term("speed", 7.0, weight=1.0)),
            "test_scores_are_numbers",
            id="a value out of ten",
        ),
        pytest.param(
            lambda sound, *_: _with_term(sound, Term("speed", 1.0, weight=1.0, note="fast\nenough")),
            "test_explains_itself",
            id="a note of two lines",
        ),
        pytest.param(
            lambda sound, *_: replace(sound, propensity=0.0),
            "test_probabilities_are_probabilities",
            id="what never comes has come",
        ),
        pytest.param(
            lambda sound, *_: replace(sound, confidence=1.5), "test_probabilities_are_probabilities", id="too sure"
        ),
        pytest.param(
            lambda sound, *_: replace(sound, difficulty=float("nan")),
            "test_probabilities_are_probabilities",
            id="a difficulty that is no number",
        ),
        pytest.param(
            lambda sound, *_: replace(sound, propensity=0.5),
            "test_comes_first_as_often_as_it_says",
            id="less sure than it is",
        ),
        pytest.param(
            lambda sound, *_: replace(sound, prewarm=sound.order[:1]),
            "test_would_warm_only_whom_it_orders",
            id="warms whom it asks",
        ),
        pytest.param(
            lambda sound, *_: replace(sound, policy_hash=str(len(sound.order))),
            "test_says_which_policy_has_decided",
            id="a hash of what was decided",
        ),
        pytest.param(
            lambda sound, request, _: replace(sound, task=request.messages[0].text if request.messages else None),
            "test_names_the_task",
            id="the prompt is the task",
        ),
        pytest.param(_forgets, "test_changes_nothing_that_it_is_given", id="empties a history"),
        pytest.param(_sorts_what_it_was_given, "test_changes_nothing_that_it_is_given", id="sorts in place"),
        pytest.param(_tags, "test_changes_nothing_that_it_is_given", id="takes a tag out"),
        pytest.param(
            _compares_each_word_with_each, "test_work_grows_no_faster_than_the_prompt", id="compares words with words"
        ),
    ],
)
def test_a_bug_is_seen_by_the_right_test(spoil: Break, caught_by: str) -> None:
    assert fails(caught_by, Broken(spoil))

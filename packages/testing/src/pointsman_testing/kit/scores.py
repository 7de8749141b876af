"""What a decision says of itself in numbers, and who made it: whoever compares policies later goes by that."""

from __future__ import annotations

import random
from collections.abc import Iterator
from math import isfinite, sqrt
from typing import cast

from pointsman import Decision, Policy, Score, Target, Term

from .deciding import FIRST, Ranked, rank_everything
from .situations import FIELDS, REQUESTS
from .speech import expect

DRAWS = 200
"""Seeds with which one question is asked, to see how often each candidate comes first."""
SPREAD = 5.0
"""Standard deviations by which a frequency may differ from its probability: by chance, once in a million."""


class ScoreCases:
    """A policy need not say any of it; what it says has to hold."""

    def test_scores_are_of_whom_it_orders(self, ranked: list[Ranked]) -> None:
        for one in ranked:
            given = cast(object, one.decision.scores)
            odd = [type(item).__name__ for item in one.decision.scores if type(item) is not Score]
            odd += [type(term).__name__ for term in _terms(one.decision) if type(term) is not Term]
            expect(
                type(given) is tuple and not odd,
                f"{one}, `scores` is a {type(given).__name__} with {', '.join(odd) or 'scores'}: make it a tuple of "
                "Score, each with a tuple of Term",
            )
            scored = [score.target for score in one.decision.scores]
            expect(
                not scored or scored == list(one.decision.order),
                f"{one}, it orders {_listed(one.decision.order)} and scores {_listed(scored)}: where there are scores, "
                "each of `order` has one, in the order of `order`, and nobody else",
            )

    def test_scores_are_numbers(self, ranked: list[Ranked]) -> None:
        for one in ranked:
            odd = [f"the utility {score.utility} of {score.target}" for score in _scores(one) if not _is(score.utility)]
            for term in _terms(one.decision):
                value, weight = cast(object, term.value), cast(object, term.weight)
                odd += [] if _is(value, 0.0, 1.0) else [f"the value {value} of {term.name!r}"]
                odd += [] if _is(weight, 0.0) else [f"the weight {weight} of {term.name!r}"]
            expect(
                not odd,
                f"{one}, there is {'; '.join(odd[:3])}: values are from 0 to 1, weights 0 or more, utilities finite, "
                "whatever numbers the candidates bring",
            )

    def test_probabilities_are_probabilities(self, ranked: list[Ranked]) -> None:
        for one in ranked:
            for name in ("confidence", "difficulty", "propensity"):
                said: object = getattr(one.decision, name)
                if said is None:
                    continue
                least = "above 0" if name == "propensity" else "0 or more"
                holds = _is(said, 0.0, 1.0) and (name != "propensity" or said != 0)
                expect(holds, f"{one}, its {name} is {said}: it is a probability, {least} and at most 1, or None")

    def test_comes_first_as_often_as_it_says(self, ranker: Policy) -> None:
        """Only then can decisions be weighed by their propensity, to tell what another policy would have got."""
        dice = random.Random(7)  # noqa: S311
        seeds = [dice.getrandbits(32) for _ in range(DRAWS)]
        for asked, field in (("a-short-prompt", "measured"), ("code", "equal")):
            seen: dict[Target, int] = {}
            said: dict[Target, set[float]] = {}
            for seed in seeds:
                try:
                    decision = ranker.rank(REQUESTS[asked], tuple(FIELDS[field]), FIRST[0], seed)
                    first, propensity = decision.order[0], decision.propensity
                except Exception:  # noqa: S112
                    continue
                if propensity is not None:
                    seen[first] = seen.get(first, 0) + 1
                    said.setdefault(first, set()).add(propensity)
            many = sum(seen.values())
            for first, times in seen.items():
                low, high = min(said[first]), max(said[first])
                slack = SPREAD * sqrt(max(low * (1 - low), high * (1 - high), 0.0) / many)
                expect(
                    low - slack <= times / many <= high + slack,
                    f"asked for {asked} with the candidates {field!r} and {many} seeds, {first} came first in "
                    f"{times / many:.0%} and its propensity was {low:.2g}: `propensity` is the probability, over all "
                    "seeds, with which the first came first",
                )

    def test_would_warm_only_whom_it_orders(self, ranked: list[Ranked]) -> None:
        for one in ranked:
            given, order = one.decision.prewarm, one.decision.order
            expect(
                type(given) is tuple and len(set(given)) == len(given) and set(given) <= set(order[1:]),
                f"{one}, its `prewarm` is {given!r}: make it a tuple of targets out of `order`, none twice, and "
                "not the first, which is asked anyway",
            )

    def test_says_which_policy_has_decided(self, ranker: Policy, ranked: list[Ranked]) -> None:
        again = rank_everything(ranker)
        hashes = dict.fromkeys(cast(object, one.decision.policy_hash) for one in [*ranked, *again])
        expect(
            len(hashes) <= 1,
            f"its decisions are by {len(hashes)} policies, says `policy_hash`: make it of the version and the settings "
            "once, and of nothing that is asked",
        )
        [said] = hashes or [""]
        expect(
            type(said) is str and len(said) <= 100 and said.isprintable(),
            f"`policy_hash` is {said!r}: it is a short text that can be printed",
        )

    def test_names_the_task(self, ranked: list[Ranked]) -> None:
        for one in ranked:
            said = cast(object, one.decision.task)
            expect(
                said is None or (type(said) is str and len(said) <= 100 and said.isprintable()),
                f"{one}, its task is {said!r:.100}: it is a short name that can be printed, or None",
            )


def _scores(one: Ranked) -> Iterator[Score]:
    yield from (score for score in one.decision.scores if type(score) is Score)


def _terms(decision: Decision) -> Iterator[Term]:
    for score in decision.scores:
        yield from getattr(score, "terms", ())


def _listed(targets: object) -> str:
    return ", ".join(map(str, cast("tuple[object, ...]", targets))) or "nobody"


def _is(number: object, least: float = float("-inf"), most: float = float("inf")) -> bool:
    """Whether it is a number between the two, and finite."""
    return isinstance(number, int | float) and isfinite(number) and least <= number <= most

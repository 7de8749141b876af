"""The policy `scored`: measured speed, price, reliability and quality for what is asked, by what the caller wishes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import blake2b
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from pointsman import Candidate, ChatRequest, Decision, Score, Target, length_of

from . import priors, reasons, scoring
from .classification import TASKS, Classification
from .eligibility import eligible, floor_tokens
from .estimates import View
from .rules import LAST, LEFT, Places, said_of
from .scoring import WEIGHTS, Asked, Rated, Weights

if TYPE_CHECKING:
    from .settings import ScoredSettings, TaskRule

MARGIN = 0.05
"""Of utility: what is so near to the best may be tried in its place."""
PROBABLE = 0.1
"""A task less probable than that has no say in how good answers would be."""


class _Placed(NamedTuple):
    rated: Rated
    waits: bool
    """Its breaker is open, or it has asked to be left alone."""
    late: int
    """1 if it would miss the request's deadline, 2 if even its first output would."""
    small: bool
    """The prompt is probably too long for it; if that were certain, it would be excluded."""
    listed: int

    @property
    def target(self) -> Target:
        return self.rated.candidate.target


class Scored:
    """Ranks by `scoring.rate`. It keeps nothing between calls: what is learnt stands in the candidates."""

    name = "scored"

    def __init__(
        self, settings: ScoredSettings, classify: Callable[[ChatRequest], Classification], *, version: str = ""
    ) -> None:
        """`version` says which package, and which model of `classify`, it is: it goes into the decisions' hash."""
        self._settings = settings
        self._classify = classify
        self._weights = {name: _weights(settings, name) for name in WEIGHTS}
        tables = (scoring.FORMULA, self._weights, scoring.FIRST_TOKEN, scoring.ANSWER, scoring.PRICE, MARGIN)
        # In which order tables stand counts for no decision but for quality, where later patterns win.
        own = (settings.explore, sorted(settings.tasks.items()), [*settings.quality.items()])
        said = repr((self.name, version, tables, priors.OUTPUT_TOKENS, priors.KINDS, own))
        self.policy_hash = blake2b(said.encode(), digest_size=8).hexdigest()

    def rank(self, request: ChatRequest, candidates: Sequence[Candidate], now: float, seed: int) -> Decision:
        floor = floor_tokens(request)
        able, excluded = eligible(request, candidates, floor)
        found = self._classify(request)
        task, confidence = (request.task, 1.0) if request.task else (found.task, found.confidence)
        rule = self._settings.tasks.get(task)
        asked = self._asked(request, found, task, rule, max(1, 2 * floor))
        warm = any(one.warm_tokens > 0 for one in able)
        asked = asked._replace(weights=scoring.shifted(asked.weights, found.difficulty, warm=warm))
        said = self._settings.quality
        rated = [scoring.rate(one, asked, said_of(said, one.target) if said else None) for one in able]
        placed = [_placed(one, asked, now, listed) for listed, one in enumerate(rated)]
        places = Places.of(rule)
        leaders = sorted(placed, key=lambda one: _key(one, places.first(one.target)))
        explores = rule is None and not warm and self._priority(request, rule) == "balanced"
        first, propensity, peers = _first(leaders, self._settings.explore if explores else 0.0, seed)
        rest = [one for one in leaders if one is not first]
        cold = [one for one in leaders[1:] if one.rated.candidate.state == "cold" and one is not first]
        prewarm = tuple(one.target for one in cold if self._would_lead(one, leaders[0], asked, now, places))
        if rule:
            rest.sort(key=lambda one: _key(one, places.next(one.target)))
        order = [first, *rest] if first else rest
        return Decision(
            policy=self.name,
            order=tuple(one.target for one in order),
            excluded=excluded,
            reason=_reason(order, leaders, places, task, peers),
            task=task,
            confidence=confidence,
            difficulty=found.difficulty,
            scores=tuple(Score(one.target, one.rated.utility, one.rated.terms) for one in order),
            propensity=propensity,
            policy_hash=self.policy_hash,
            prewarm=prewarm,
        )

    def _would_lead(self, one: _Placed, leader: _Placed, asked: Asked, now: float, places: Places) -> bool:
        """Whether it would come before `leader` if it had not to get ready. What it costs to stand by still counts."""
        said = self._settings.quality
        warm = replace(one.rated.candidate, cold_wait=0.0)
        rated = scoring.rate(warm, asked, said_of(said, one.target) if said else None)
        ready = _placed(rated, asked, now, one.listed)
        return _key(ready, places.first(one.target)) < _key(leader, places.first(leader.target))

    def _asked(
        self, request: ChatRequest, found: Classification, task: str, rule: TaskRule | None, tokens: int
    ) -> Asked:
        if request.task:
            like = task if task in TASKS else (rule and rule.like) or priors.GENERAL
            views: tuple[View, ...] = (View(task, like, 1.0),)
        else:
            shares = found.probabilities.items()
            others = [View(name, name, share) for name, share in shares if share >= PROBABLE and name != task]
            like, own = task, max(found.probabilities.get(task, 0.0), PROBABLE)
            views = (View(task, task, own), *others)
        output = priors.OUTPUT_TOKENS.get(like, priors.OUTPUT_TOKENS[priors.GENERAL])
        output = output if request.max_tokens is None else min(output, max(1, request.max_tokens))
        weights = self._weights[self._priority(request, rule)]
        return Asked(tokens, length_of(tokens), output, views, weights, request.deadline)

    def _priority(self, request: ChatRequest, rule: TaskRule | None) -> str:
        """The request's own wish, or else the rule's."""
        wished = request.priority if request.priority in WEIGHTS else "balanced"
        return rule.priority if wished == "balanced" and rule and rule.priority else wished


def _weights(settings: ScoredSettings, priority: str) -> Weights:
    weights = WEIGHTS[priority]
    if settings.stay is not None:
        weights = weights._replace(stay=settings.stay)
    own = next((table for name, table in settings.weights.items() if name == priority), None)
    said = {name: getattr(own, name) for name in Weights._fields} if own else {}
    return weights._replace(**{name: value for name, value in said.items() if value is not None})


def _placed(one: Rated, asked: Asked, now: float, listed: int) -> _Placed:
    known = one.candidate
    late = 0 if asked.deadline is None else (one.seconds > asked.deadline) + (one.begins > asked.deadline)
    small = known.context_tokens is not None and asked.tokens > known.context_tokens
    return _Placed(one, known.open_at > now, late, small, listed)


def _key(one: _Placed, place: int) -> tuple[bool, bool, int, int, float, int]:
    return one.waits, one.small, place, one.late, -one.rated.utility, one.listed


def _first(leaders: Sequence[_Placed], explore: float, seed: int) -> tuple[_Placed | None, float | None, int]:
    """Who comes first, with which probability, and among how many that chance chose; 0 if it did not.

    With the probability `explore` all that are about as good as the best, itself among them, have the same chance; but
    an agent, which does things, is not asked just to see how it fares. Which of them `seed` prefers does not depend on
    who else is there, nor on where they are listed: so whoever gets better never loses its place by it.
    """
    if not leaders:
        return None, None, 0
    best = leaders[0]
    peers = [
        one
        for one in leaders
        if (one.waits, one.small, one.late) == (best.waits, best.small, best.late)
        and one.rated.utility >= best.rated.utility - MARGIN
        and (one is best or "agentic" not in one.rated.candidate.capabilities)
    ]
    if not explore or len(peers) < 2 or best.waits:
        return best, 1.0, 0
    share = explore / len(peers)
    if Random(seed).random() >= explore:  # noqa: S311  (no secret)
        return best, 1 - explore + share, 0
    first = max(peers, key=lambda one: Random(f"{seed} {one.target}").random())  # noqa: S311
    return first, share if first is not best else 1 - explore + share, len(peers) if first is not best else 0


def _reason(order: Sequence[_Placed], leaders: Sequence[_Placed], places: Places, task: str, chosen_among: int) -> str:
    """Why the first comes first: before the best by score, if that is another, else before who is next."""
    if len(order) < 2:
        return reasons.alone([one.rated for one in order])
    first, best = order[0], max(order, key=lambda one: one.rated.utility)
    if chosen_among:
        return reasons.by_chance(first.target, leaders[0].target, chosen_among)
    preferred = next((one for one in leaders if places.first(one.target) < LEFT), None)
    if preferred is first:
        return reasons.by_rule(task, first.target, "prefers")
    if preferred is not None:
        by = reasons.by_context if preferred.small and not first.small else reasons.by_wait
        return by(first.target, preferred.target)
    why = _without_rule(first, best, leaders, places, task)
    return reasons.unmet(task, why) if places.prefer else why


def _without_rule(first: _Placed, best: _Placed, leaders: Sequence[_Placed], places: Places, task: str) -> str:
    """Why it comes first, where nobody that can serve is preferred."""
    if best.rated.utility > first.rated.utility:
        if best.waits and not first.waits:
            return reasons.by_wait(first.target, best.target)
        if best.small and not first.small:
            return reasons.by_context(first.target, best.target)
        if places.first(best.target) == LAST:
            return reasons.by_rule(task, best.target, "avoids")
        return reasons.by_deadline(first.target, best.target)
    rival = next(one for one in leaders if one is not first)
    return reasons.by_score(first.rated, rival.rated)

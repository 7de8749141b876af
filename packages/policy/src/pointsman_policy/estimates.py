"""From what is expected and what was measured to one figure for each quantity of a candidate.

Each step of measurements moves the figure by its evidence::

    estimate = (k * estimate before + n * measured) / (k + n)

where ``n`` is how many attempts were measured, and ``k`` how many the estimate before is worth (`OVERALL`, `ALIKE`,
`RECENT`). Times and speeds are averaged as logarithms. The steps are: the prior; all of the last days; those of the
task, or of the length, of this request; the last minutes. No coefficient is negative, so a better measurement never
makes a worse estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log
from typing import NamedTuple, TypeAlias

from pointsman import Candidate

from . import priors
from .priors import Prior, bounded

OVERALL, ALIKE, RECENT = 6.0, 4.0, 3.0
"""Attempts that the estimate before a step is worth: `k` above."""
PREFILL = 2_000
"""With so many tokens to read, the first one of the answer takes twice as long as with none: assumed."""
MOST = 1e9
"""Attempts that can be told from more of them."""


class Estimate(NamedTuple):
    """A figure, and where it comes from."""

    value: float
    origin: str


class View(NamedTuple):
    """A task that the request may be: under which name it is measured, what it is like, and how probable it is."""

    task: str
    like: str
    probability: float


_Step: TypeAlias = tuple[float, float | None, float]
"""What the estimate before is worth, what was measured, and of how many attempts. Made often, so a mere tuple."""


def first_token(one: Candidate, tokens: int, length: str) -> Estimate:
    """Seconds to the first output of a prompt of `tokens`, from when the target is ready."""
    history, reading = one.history, 1 + tokens / PREFILL
    steps: list[_Step] = [(OVERALL, history.overall.first_token, history.overall.answers)]
    if alike := history.lengths.get(length):  # As it would be of a prompt with nothing to read.
        steps.append((ALIKE, alike.first_token and alike.first_token / reading, alike.answers))
    steps.append((RECENT, history.recent.first_token, history.recent.answers))
    found = _logarithmic(priors.first_token(one.strengths), steps)
    unread = tokens - (bounded(one.warm_tokens, 0, tokens) or 0)
    return Estimate(found.value * (1 + unread / PREFILL), found.origin)


def tokens_per_second(one: Candidate, task: str) -> Estimate:
    """Output tokens a second, once output has begun."""
    history = one.history
    steps: list[_Step] = [(OVERALL, history.overall.tokens_per_second, history.overall.timed)]
    if alike := history.tasks.get(task):
        steps.append((ALIKE, alike.tokens_per_second, alike.timed))
    steps.append((RECENT, history.recent.tokens_per_second, history.recent.timed))
    return _logarithmic(priors.tokens_per_second(one.strengths), steps)


def failures(one: Candidate) -> Estimate:
    """The share of attempts that fail by no fault of the caller's."""
    value, most = priors.FAILURE, 0.0
    for pseudo, each in ((OVERALL, one.history.overall), (RECENT, one.history.recent)):
        count, failed = _count(each.attempts), _count(each.failures)
        value, most = min(1.0, (pseudo * value + failed) / (pseudo + count)), max(most, count)
    return Estimate(value, _origin(most, "attempts"))


def quality(one: Candidate, views: Sequence[View], said: float | None) -> Estimate:
    """How good its answers are, from 0 to 1: the mean over what the request may be.

    `said` is what the user says of it, from 0 to 10; None leaves it to the package.
    """
    overall, tasks = one.history.overall, one.history.tasks
    users = None if said is None else Prior(priors.strength(said).value / 10, said=True)
    total, value, most, expected = 0.0, 0.0, 0.0, False
    for view in views:
        prior = users or priors.quality(one.strengths, view.like)
        steps: list[_Step] = [(OVERALL, bounded(overall.quality, 0.0, 1.0), overall.rated)]
        if alike := tasks.get(view.task):
            steps.append((ALIKE, bounded(alike.quality, 0.0, 1.0), alike.rated))
        own, count = _mean(prior.value, steps)
        value, total = value + view.probability * own, total + view.probability
        most, expected = max(most, count), expected or prior.said
    return Estimate(value / total if total > 0 else priors.USUAL / 10, _origin(most, "ratings", expected=expected))


def _mean(value: float, steps: Sequence[_Step]) -> tuple[float, float]:
    """`value` after all steps, and the most evidence that one of them has."""
    most = 0.0
    for pseudo, measured, evidence in steps:
        if measured is not None and (weight := _count(evidence)):
            value = (pseudo * value + weight * measured) / (pseudo + weight)
            if weight > most:
                most = weight
    return value, most


def _logarithmic(prior: Prior, steps: Sequence[_Step]) -> Estimate:
    """The same of what counts by how many times as much it is."""
    logs = [(pseudo, _log(said), evidence) for pseudo, said, evidence in steps if evidence]
    value, most = _mean(log(prior.value), logs)
    return Estimate(exp(value), _origin(most, "answers", expected=prior.said))


def _log(value: float | None) -> float | None:
    within = bounded(value, 1e-6, 1e6)
    return None if within is None else log(within)


def _count(value: float) -> float:
    return value if 0.0 <= value <= MOST else bounded(value, 0.0, MOST) or 0.0


def _origin(count: float, what: str, *, expected: bool = False) -> str:
    if count >= 0.5:
        return f"of {count:.0f} {what if round(count) != 1 else what[:-1]}"
    return "expected by its package" if expected else "assumed"

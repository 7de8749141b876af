"""From what is expected and what was measured to one figure for each quantity of a candidate.

Each step of measurements moves the figure by its evidence::

    estimate = (k * estimate before + n * measured) / (k + n)

where ``n`` is how many attempts were measured, and ``k`` how many the estimate before is worth (`PSEUDO`). Times and
speeds are averaged as logarithms. The steps are: the prior; all of the last days; those of the task, or of the length,
of this request; the last minutes. No coefficient is negative, so a better measurement never makes a worse estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log
from typing import NamedTuple

from pointsman import Candidate, Measured

from . import priors
from .priors import Prior, bounded

PSEUDO = {"overall": 6.0, "alike": 4.0, "recent": 3.0}
"""Attempts that the estimate before a step is worth."""
PREFILL = 2_000
"""With so many tokens to read, the first one of the answer takes twice as long as with none: assumed."""

NOTHING = Measured()


class Estimate(NamedTuple):
    """A figure, and where it comes from."""

    value: float
    origin: str


class View(NamedTuple):
    """A task that the request may be: under which name it is measured, what it is like, and how probable it is."""

    task: str
    like: str
    probability: float


def first_token(one: Candidate, tokens: int, length: str) -> Estimate:
    """Seconds to the first output of a prompt of `tokens`, from when the target is ready."""
    history, prior = one.history, priors.first_token(one.strengths)
    alike, reading = history.lengths.get(length, NOTHING), 1 + tokens / PREFILL
    steps = [
        ("overall", _seconds(history.overall, 1.0), history.overall.answers),
        ("alike", _seconds(alike, reading), alike.answers),
        ("recent", _seconds(history.recent, 1.0), history.recent.answers),
    ]
    warm = bounded(one.warm_tokens, 0, tokens) or 0
    found = _shrunk(prior, steps, logarithmic=True)
    return Estimate(found.value * (1 + (tokens - warm) / PREFILL), found.origin)


def tokens_per_second(one: Candidate, task: str) -> Estimate:
    """Output tokens a second, once output has begun."""
    history = one.history
    measured = (history.overall, history.tasks.get(task, NOTHING), history.recent)
    steps = [
        (name, bounded(each.tokens_per_second, 1e-3, 1e6), each.timed)
        for name, each in zip(PSEUDO, measured, strict=True)
    ]
    return _shrunk(priors.tokens_per_second(one.strengths), steps, logarithmic=True)


def failures(one: Candidate) -> Estimate:
    """The share of attempts that fail by no fault of the caller's."""
    history, value = one.history, priors.FAILURE
    for step, each in (("overall", history.overall), ("recent", history.recent)):
        pseudo, count, failed = PSEUDO[step], _count(each.attempts), _count(each.failures)
        value = min(1.0, (pseudo * value + failed) / (pseudo + count))
    return Estimate(value, _origin(max(map(_count, (history.overall.attempts, history.recent.attempts))), "attempts"))


def quality(one: Candidate, views: Sequence[View], said: float | None) -> Estimate:
    """How good its answers are, from 0 to 1: the mean over what the request may be.

    `said` is what the user says of it, from 0 to 10; None leaves it to the package.
    """
    history, total, value = one.history, 0.0, 0.0
    rated, expected = _count(history.overall.rated), False
    for view in views:
        prior = _users(said) or priors.quality(one.strengths, view.like)
        alike = history.tasks.get(view.task, NOTHING)
        steps = [
            ("overall", bounded(history.overall.quality, 0.0, 1.0), history.overall.rated),
            ("alike", bounded(alike.quality, 0.0, 1.0), alike.rated),
        ]
        value += view.probability * _shrunk(prior, steps, logarithmic=False).value
        total += view.probability
        rated, expected = max(rated, _count(alike.rated)), expected or prior.said
    return Estimate(value / total if total > 0 else priors.USUAL / 10, _origin(rated, "ratings", expected=expected))


def _shrunk(prior: Prior, steps: Sequence[tuple[str, float | None, float]], *, logarithmic: bool) -> Estimate:
    value, most = log(prior.value) if logarithmic else prior.value, 0.0
    for step, measured, count in steps:
        weight = _count(count)
        if measured is not None and weight:
            own, pseudo = log(measured) if logarithmic else measured, PSEUDO[step]
            value, most = (pseudo * value + weight * own) / (pseudo + weight), max(most, weight)
    return Estimate(exp(value) if logarithmic else value, _origin(most, "answers", expected=prior.said))


def _seconds(measured: Measured, reading: float) -> float | None:
    """The first token, as it would be of a prompt with nothing to read."""
    seconds = bounded(measured.first_token, 1e-3, 1e6)
    return None if seconds is None else max(seconds / reading, 1e-3)


def _users(value: float | None) -> Prior | None:
    return None if value is None else Prior(priors.strength(value).value / 10, said=True)


def _count(value: float) -> float:
    return bounded(value, 0.0, 1e9) or 0.0


def _origin(count: float, what: str, *, expected: bool = False) -> str:
    if count >= 0.5:
        return f"of {count:.0f} {what if round(count) != 1 else what[:-1]}"
    return "expected by its package" if expected else "assumed"

"""What is assumed of a target of which nothing was measured, and of an answer that nobody has read yet."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite, sqrt
from typing import NamedTuple

from pointsman import Strengths

GENERAL = "general_qa"
"""What a task is taken for that nobody knows."""

OUTPUT_TOKENS: Mapping[str, int] = {
    "code_generation": 600,
    "code_explanation": 500,
    "code_debugging": 500,
    "code_refactoring": 700,
    "code_review": 500,
    "test_writing": 700,
    "math_reasoning": 600,
    "writing": 600,
    "summarization_extraction": 200,
    "translation": 300,
    "general_qa": 300,
    "agentic": 1_200,
}
"""Tokens of a usual answer: assumed, not measured. What counts is how they compare."""

KINDS: Mapping[str, str] = {
    "code_generation": "code_generation",
    "code_debugging": "code_generation",
    "code_refactoring": "code_generation",
    "test_writing": "code_generation",
    "agentic": "code_generation",
    "code_explanation": "code_explanation",
    "code_review": "code_explanation",
}
"""The kind of a task, where a package says nothing of the task itself; of those that are not here it is ``general``."""

USUAL = 5.0
"""The strength of a target of which nothing is said: nothing unusual."""
FAILURE = 0.03
"""The share of attempts that fail."""


class Prior(NamedTuple):
    """What is expected. `said` is False where that is a mere guess."""

    value: float
    said: bool


def bounded(value: float | None, low: float, high: float) -> float | None:
    """`value`, within bounds; None where it is no number at all, or none that is finite."""
    if value is None:
        return None
    if low <= value <= high:
        return value
    return min(max(float(value), low), high) if isfinite(value) else None


def strength(value: float | None) -> Prior:
    """A declared strength from 0 to 10, as it can be used."""
    said = bounded(value, 0.0, 10.0)
    return Prior(USUAL if said is None else said, said is not None)


def first_token(strengths: Strengths) -> Prior:
    """Seconds to the first output of a short prompt."""
    return _middle(strengths.first_token) or _of_speed(strengths, 1.0, -1)


def tokens_per_second(strengths: Strengths) -> Prior:
    """Output tokens a second."""
    return _middle(strengths.tokens_per_second) or _of_speed(strengths, 50.0, 1)


def quality(strengths: Strengths, task: str) -> Prior:
    """How good answers to this task are, from 0 to 1."""
    by_task = strengths.tasks
    names = (task, KINDS.get(task, "general"), "general")
    value, said = strength(next((by_task[name] for name in names if name in by_task), None))
    return Prior(value / 10, said)


def _middle(between: tuple[float, float] | None) -> Prior | None:
    """The geometric mean of a range, which is its middle where what counts is how many times as much."""
    if between is None:
        return None
    low, high = (bounded(one, 1e-3, 1e6) for one in between)
    return Prior(sqrt(low * high), True) if low is not None and high is not None else None


def _of_speed(strengths: Strengths, usual: float, sign: int) -> Prior:
    """Each 2.5 points are twice as fast."""
    speed = strength(strengths.speed)
    return Prior(usual * 2.0 ** (sign * (speed.value - USUAL) / 2.5), speed.said)

"""What is kept of a decision: enough to see why, and to score another policy on it; nothing of what was asked."""

from __future__ import annotations

from math import isfinite
from typing import Any

from ..policy import Decision, Score

MOST = 20
"""Targets of whom is told, in the order that was decided, and as many that were excluded."""
LONGEST = 200
"""Characters of a reason, and of a term's name."""

LARGEST = 1e6
"""What is beyond is taken for it."""


def decided(decision: Decision) -> dict[str, Any] | None:
    """`decision` in JSON; None if there was nothing to decide. Notes and the reason of the whole are left out: a
    policy may quote in them what was asked.
    """
    if len(decision.order) < 2 and not decision.excluded and not decision.scores:
        return None
    told: dict[str, Any] = {"order": [str(target) for target in decision.order[:MOST]]}
    if decision.excluded:
        told["excluded"] = {str(one.target): one.reason[:LONGEST] for one in decision.excluded[:MOST]}
    if decision.scores:
        told["scores"] = {str(one.target): _scored(one) for one in decision.scores[:MOST]}
    if decision.prewarm:
        told["prewarm"] = [str(target) for target in decision.prewarm[:MOST]]
    for name in ("confidence", "difficulty"):
        if (value := getattr(decision, name)) is not None:
            told[name] = _number(value)
    return told


def _scored(score: Score) -> dict[str, Any]:
    terms = {term.name[:LONGEST]: [_number(term.value), _number(term.weight)] for term in score.terms[:MOST]}
    return {"utility": _number(score.utility), "terms": terms}


def _number(value: float) -> float | None:
    """JSON has finite numbers only, and databases write the larger ones each in their own way."""
    return round(max(-LARGEST, min(float(value), LARGEST)), 4) + 0.0 if isfinite(value) else None  # No -0.0.

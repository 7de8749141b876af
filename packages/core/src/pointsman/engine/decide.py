"""Asking the policy, without letting it cost a call: whatever it does wrong, `in_order` takes over and says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter
from typing import cast

from ..config.secrets import said
from ..policy import Candidate, Decision, Exclusion, InOrder, Policy, Score, Term
from ..types import ChatRequest

PATIENCE = 0.05
"""Seconds of real time that a policy may take, measured afterwards."""


def decide(
    policy: Policy,
    request: ChatRequest,
    candidates: Sequence[Candidate],
    unready: Sequence[Exclusion],
    now: float,
    seed: int,
    timer: Callable[[], float] = perf_counter,
) -> Decision:
    """The policy's decision if it is sound, else the one of `in_order` with the reason why."""
    name = policy.name
    began = timer()
    try:
        decision = policy.rank(request, tuple(candidates), now, seed)
        fault = _fault(decision, candidates, timer() - began)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # Nothing can be cancelled here, since nothing is awaited.
        decision, fault = Decision(policy=name, order=()), f"raised {said(error)}"
    if fault:
        decision = InOrder().rank(request, candidates, now, seed)
        decision = replace(decision, reason=f"the policy {name!r} {fault}")
    return replace(
        decision,
        order=tuple(decision.order),
        excluded=(*decision.excluded, *unready),
        scores=tuple(decision.scores),
    )


def _fault(decision: object, candidates: Sequence[Candidate], took: float) -> str | None:
    """What is wrong with a decision, which may be anything; it may also raise."""
    if took > PATIENCE:
        return f"took {took * 1000:.0f} ms"
    if type(decision) is not Decision:  # A subclass may not be copied as one.
        return f"answered with a {type(decision).__name__}, which is no Decision"
    if not all(isinstance(item, Exclusion) for item in cast(tuple[object, ...], tuple(decision.excluded))):
        return "excluded what is no Exclusion"
    if odd := _odd(decision):
        return odd
    offered = {one.target for one in candidates}
    strangers = [str(target) for target in tuple(decision.order) if target not in offered]
    if strangers:
        return f"named {', '.join(strangers)}, which it was not offered"
    if len(set(decision.order)) < len(decision.order):
        return "named a target twice"
    if not decision.order and offered - {item.target for item in decision.excluded}:
        return "named nobody"
    return None


def _odd(decision: Decision) -> str | None:
    """What is wrong with what it says besides, which is printed, recorded and kept."""
    for name in ("task", "reason", "policy_hash"):
        if not isinstance(said := getattr(decision, name), str) and not (said is None and name == "task"):
            return f"says as its {name} {said!r}, which is no text"
    for name in ("confidence", "difficulty", "propensity"):
        said = getattr(decision, name)
        if said is not None and not (isinstance(said, int | float) and 0 <= said <= 1):
            return f"says as its {name} {said!r}, which is no number from 0 to 1"
    for score in cast(tuple[object, ...], tuple(decision.scores)):
        if not isinstance(score, Score) or not isinstance(cast(object, score.utility), int | float):
            return "scored with what is no Score"
        for term in cast(tuple[object, ...], tuple(score.terms)):
            numbers = isinstance(term, Term) and (cast(object, term.value), cast(object, term.weight))
            if not numbers or not all(isinstance(one, int | float) for one in numbers):
                return "scored by what is no Term"
    return None

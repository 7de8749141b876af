"""Asking the policy, without letting it cost a call: whatever it does wrong, `in_order` takes over and says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from time import perf_counter
from typing import cast

from ..config.secrets import said
from ..policy import Candidate, Decision, Exclusion, InOrder, Policy, Score, Term
from ..types import ChatRequest, Target

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
        decision = policy.rank(_copied(request), tuple(candidates), now, seed)
        fault = _fault(decision, candidates, timer() - began)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # Nothing can be cancelled here, since nothing is awaited.
        decision, fault = Decision(policy=name, order=()), f"raised {said(error)}"
    if fault:
        decision = InOrder().rank(request, candidates, now, seed)
        decision = replace(decision, reason=f"the policy {name!r} {fault}")
    excluded, scores = (*decision.excluded, *unready), tuple(decision.scores)
    prewarm = tuple(decision.prewarm)
    return replace(decision, order=tuple(decision.order), excluded=excluded, scores=scores, prewarm=prewarm)


def _copied(request: ChatRequest) -> ChatRequest:
    """So that what a policy writes into its tables is not sent, nor recorded."""
    if not request.tags and not request.extra:
        return request
    return replace(request, tags=dict(request.tags), extra=dict(request.extra))


def _fault(decision: object, candidates: Sequence[Candidate], took: float) -> str | None:
    """What is wrong with a decision, which may be anything; it may also raise."""
    if took > PATIENCE:
        return f"took {took * 1000:.0f} ms"
    if type(decision) is not Decision:  # A subclass may not be copied as one.
        return f"answered with a {type(decision).__name__}, which is no Decision"
    if not all(map(_is_exclusion, decision.excluded)):
        return "excluded what is no Exclusion"
    offered = {one.target for one in candidates}
    strangers = [str(target) for target in tuple(decision.order) if target not in offered]
    if strangers:
        return f"named {', '.join(strangers)}, which it was not offered"
    if len(set(decision.order)) < len(decision.order):
        return "named a target twice"
    excluded = {item.target for item in decision.excluded}
    if both := [str(target) for target in decision.order if target in excluded]:
        return f"named {', '.join(both)}, which it excluded"
    if not decision.order and offered - excluded:
        return "named nobody"
    warmed = tuple(decision.prewarm)
    if strangers := [str(target) for target in warmed if target not in decision.order]:
        return f"would warm {', '.join(strangers)}, which it did not order"
    if len(set(warmed)) < len(warmed):
        return "would warm a target twice"
    return _untold(decision)


def _untold(decision: Decision) -> str | None:
    """What of it cannot be recorded, printed or added up."""
    for name, holds in _TOLD.items():
        if not holds(said := getattr(decision, name)):
            return f"told a {name} of {said!r:.100}"
    if not all(map(_is_score, decision.scores)):
        return "scored with what is no Score, or no finite number"
    if decision.scores and [score.target for score in decision.scores] != list(decision.order):
        return "scored others than it ordered"
    return None


_NUMBERS = (int, float)


def _is_text(said: object) -> bool:
    return isinstance(said, str)


def _is_number(said: object) -> bool:
    return isinstance(said, _NUMBERS) and isfinite(said)


def _is_share(said: object) -> bool:
    return said is None or (isinstance(said, _NUMBERS) and 0 <= said <= 1)


_TOLD: Mapping[str, Callable[[object], bool]] = {
    "policy": _is_text,
    "reason": _is_text,
    "policy_hash": _is_text,
    "task": lambda said: said is None or _is_text(said),
    "confidence": _is_share,
    "difficulty": _is_share,
    "propensity": lambda said: said != 0 and _is_share(said),
}
"""What each field may hold. Decisions are weighed by one over the propensity."""


def _is_exclusion(one: object) -> bool:
    return isinstance(one, Exclusion) and isinstance(cast(object, one.target), Target) and _is_text(one.reason)


def _is_score(one: object) -> bool:
    return isinstance(one, Score) and _is_number(one.utility) and all(map(_is_term, one.terms))


def _is_term(one: object) -> bool:
    return (
        isinstance(one, Term)
        and _is_text(one.name)
        and _is_text(one.note)
        and _is_number(one.value)
        and _is_number(one.weight)
    )

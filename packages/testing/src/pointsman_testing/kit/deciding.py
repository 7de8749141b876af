"""Asking a policy all that the kit asks, and comparing what it decides."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from pointsman import Candidate, ChatRequest, Decision, Policy, Target

from .situations import FIELDS, LONG, MOMENTS, REQUESTS
from .speech import expect


@dataclass(frozen=True, slots=True)
class Ranked:
    """One decision, and what it was made of."""

    asked: str
    field: str
    now: float
    seed: int
    candidates: Sequence[Candidate]
    request: ChatRequest
    decision: Decision

    def __str__(self) -> str:
        return f"asked for {self.asked} with the candidates {self.field!r}"

    @property
    def offered(self) -> set[Target]:
        """Whom it may name."""
        return {one.target for one in self.candidates}


Question: TypeAlias = tuple[str, str, float, int]
"""What is asked, with which candidates, `now` and `seed`."""

FIRST, *_REST = MOMENTS
QUESTIONS: Sequence[Question] = [
    *((asked, field, *FIRST) for asked in REQUESTS for field in (FIELDS if asked not in LONG else ["fifty"])),
    *(("a-short-prompt", field, *moment) for field in FIELDS for moment in _REST),
]


def questions_of(asked: str) -> Sequence[Question]:
    """All that is asked with that request."""
    return [one for one in QUESTIONS if one[0] == asked]


def rank_everything(policy: Policy, questions: Iterable[Question] = QUESTIONS) -> list[Ranked]:
    """Its decisions, sorted, in whichever order it is asked. One that raises is left out: a test of its own says so."""
    ranked: list[Ranked] = []
    for asked, field, now, seed in questions:
        try:
            decision = cast(object, policy.rank(REQUESTS[asked], tuple(FIELDS[field]), now, seed))
        except Exception:  # noqa: S112
            continue
        if isinstance(decision, Decision):
            ranked.append(Ranked(asked, field, now, seed, FIELDS[field], REQUESTS[asked], decision))
    return sorted(ranked, key=lambda one: (one.asked, one.field, one.now))


def expect_same(one: Sequence[Ranked], other: Sequence[Ranked], sentence: str) -> None:
    """Fail with `sentence` if two runs decided differently, and say where."""
    __tracebackhide__ = True
    differ = [(a, b) for a, b in zip(one, other, strict=False) if a.decision != b.decision]
    told = "".join(f" ({a}: {a.decision}, then {b.decision})" for a, b in differ[:1])
    expect(not differ and len(one) == len(other), sentence + told)


_PROGRAM = """
import pickle, sys
from pointsman import Plugins, Settings
name, own, questions = pickle.load(sys.stdin.buffer)
policy = Plugins.installed().policy(name, Settings.of({"policy": own}))
pickle.dump([repr(policy.rank(*question)) for question in questions], sys.stdout.buffer)
"""


def decide_elsewhere(policy: str, own: Mapping[str, Any], asked: Sequence[Ranked], hash_seed: str) -> list[str]:
    """What the installed policy decides on the same in a fresh process, which orders sets of texts in its own way.

    `own` are its settings. Empty where that process could not ask it.
    """
    questions = [(one.request, tuple(one.candidates), one.now, one.seed) for one in asked]
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", _PROGRAM],
        input=pickle.dumps((policy, own, questions)),
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        check=False,
    )
    return pickle.loads(done.stdout) if done.returncode == 0 else []  # noqa: S301

"""The page of first choices says what `scored` does. Run this file to write the page anew."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from pointsman import Candidate, ChatRequest, Decision, ModelInfo, Priority, ProviderSpec, Target, user
from pointsman_policy import TASKS, Classification, priors, reasons, scoring
from pointsman_policy.difficulty import TYPICAL
from pointsman_policy.keywords import Keywords
from pointsman_policy.scored import Scored
from pointsman_policy.settings import ScoredSettings

PAGE = Path(__file__).parents[3] / "docs" / "routing-scores.md"
PROVIDERS = {"sambanova": (), "hf": (), "modal": (), "blaxel": ("agent:coder",), "ollama": ("llama3.1:8b",)}
"""With a model for those that suggest none."""
COLD = 20.0
"""Seconds, of a container that is not warm: what Modal's package expects of a start before one was seen."""
PROMPT = 800
"""Characters of a prompt, about: 200 tokens."""
PRIORITIES: tuple[Priority, ...] = get_args(Priority)

QUESTIONS = {
    "code_generation": "Write a function that reverses a list",
    "code_explanation": "Explain this code",
    "code_debugging": "This code raises a KeyError",
    "code_refactoring": "Simplify this code",
    "code_review": "Review this code",
    "test_writing": "Cover this code with tests",
    "math_reasoning": "Solve x**2 = 2",
    "writing": "A poem about rails, please",
    "summarization_extraction": "Summarize this text",
    "translation": "Translate this into Portuguese",
    "general_qa": "Who invented the railway?",
    "agentic": "Port this repository to Python 3",
}
"""For `keywords`, which reads; `scored` is told the task."""

in_a_checkout = pytest.mark.skipif(not PAGE.parent.exists(), reason="the docs are not here")


def candidates(*, cold: bool = False) -> list[Candidate]:
    """All five, as their packages declare them, with nothing measured."""
    return [one for name in PROVIDERS for one in _of(importlib.import_module(f"pointsman_{name}").SPEC, cold=cold)]


def _of(spec: ProviderSpec[Any], *, cold: bool) -> Iterator[Candidate]:
    known, config = {model.id: model for model in spec.models}, spec.config.model_construct()
    for model in PROVIDERS[spec.name] or spec.default_models:
        info = known.get(model, ModelInfo(id=model))
        yield Candidate(
            target=Target(spec.name, model),
            capabilities=spec.family(model).capabilities,
            price=info.price or (spec.price_of(config, info) if spec.price_of else None),
            strengths=spec.strengths,
            cold_wait=COLD if cold and spec.name == "modal" else 0.0,
            state="cold" if cold and spec.name == "modal" else None,
        )


def untold(request: ChatRequest | str) -> Classification:
    """Of medium difficulty; the task is told."""
    even: dict[str, float] = dict.fromkeys(TASKS, 1 / len(TASKS))
    return Classification(task="general_qa", probabilities=even, difficulty=TYPICAL, language="en", confidence=0.1)


def choices(task: str, priority: Priority, field: list[Candidate]) -> tuple[Decision, Decision]:
    """What `scored` and `keywords` decide."""
    text = QUESTIONS[task].ljust(PROMPT, ".")
    told = ChatRequest(messages=(user(text),), task=task, priority=priority)
    read = ChatRequest(messages=(user(text),), priority=priority)
    scored = Scored(ScoredSettings(explore=0), untold).rank(told, field, 0.0, 0)
    return scored, Keywords().rank(read, field, 0.0, 0)


def why(scored: Decision, other: Target, field: list[Candidate]) -> str:
    """What put the first of `scored` before another provider's best."""
    of = {one.target: one for one in field}
    rated = [scoring.Rated(of[score.target], score.utility, score.terms, 0.0) for score in scored.scores]
    return reasons.by_score(rated[0], next(one for one in rated if one.candidate.target.provider == other.provider))


def tables(*, cold: bool = False) -> Iterator[str]:
    """First choices, and the reason of each that is not that of `keywords`; if `cold`, not that of a warm one."""
    field, warm, differences = candidates(cold=cold), candidates(), list[str]()
    yield f"| task | {' | '.join(PRIORITIES)} |"
    yield f"| --- {'| --- ' * len(PRIORITIES)}|"
    for task in TASKS:
        cells = list[str]()
        for priority in PRIORITIES:
            scored, keywords = choices(task, priority, field)
            first = scored.order[0]
            other = choices(task, priority, warm)[0].order[0] if cold else keywords.order[0]
            differs = first.provider != other.provider
            cells.append(f"**{first.provider}**" if differs else first.provider)
            if differs:
                reason = why(scored, other, field)
                differences.append(f"| {task} | {priority} | {other.provider} | {first.provider} | {reason} |")
        yield f"| {task} | {' | '.join(cells)} |"
    yield ""
    before = "that of a warm one" if cold else "that of `keywords`"
    yield f"{len(differences)} of {len(TASKS) * len(PRIORITIES)}, in bold above, differ from {before}:"
    yield ""
    yield f"| task | priority | {'warm' if cold else '`keywords`'} | {'cold' if cold else '`scored`'} | why |"
    yield "| --- | --- | --- | --- | --- |"
    yield from differences


def formula() -> str:
    """The docstring of `scoring`, where units and formula stand."""
    return re.sub(r"`pointsman_policy\.estimates` says .*", "", scoring.__doc__ or "").strip()


def weights() -> Iterator[str]:
    names = scoring.Weights._fields
    yield f"| priority | {' | '.join(name.replace('_', ' ') for name in names)} |"
    yield f"| --- {'| ---: ' * len(names)}|"
    for priority, own in scoring.WEIGHTS.items():
        yield f"| {priority} | {' | '.join(f'{value:.2f}' for value in own)} |"


def expected(one: Candidate) -> str:
    first, speed = (
        "{:g}-{:g}".format(*(each or ())) for each in (one.strengths.first_token, one.strengths.tokens_per_second)
    )
    kinds = ("code_generation", "code_explanation", "general_qa", "agentic")
    good = " | ".join(f"{priors.quality(one.strengths, task).value * 10:g}" for task in kinds)
    price = f"{one.price.input}, {one.price.output}" if one.price else f"unknown; {one.strengths.cost:g} of 10"
    return f"| {one.target} | {first} | {speed} | {good} | {price} |"


def page() -> str:
    """The whole page."""
    return "\n".join(
        [
            "# How candidates are scored",
            "",
            "The policy `scored` orders the targets that can serve a request by a score. `pointsman route PROMPT` "
            "shows it for your own. `python packages/policy/tests/test_golden.py` writes this page.",
            "",
            "## The formula",
            "",
            formula(),
            "",
            "## The weights",
            "",
            *weights(),
            "",
            "`[policy.weights.PRIORITY]` sets others. Only how they compare matters.",
            "",
            "## What is expected",
            "",
            "Before anything was measured, the packages of the five providers say what to expect. These figures are "
            "expectations that this project began with, not measurements; each measured call moves them.",
            "",
            "| target | first token (s) | tokens/s | code generation | code explanation | general | agentic "
            "| USD for a million tokens of input, of output |",
            "| --- | --- | --- | ---: | ---: | ---: | ---: | --- |",
            *map(expected, candidates()),
            "",
            "Hugging Face's prices are in its live list, which nobody has read yet here; Modal's depend on the GPU "
            "that its settings name; an agent's price is its owner's to say.",
            "",
            "## First choices with nothing measured",
            "",
            f"All of them are ready, Modal's container is warm, a prompt has about {PROMPT // 4} tokens, and its "
            f"difficulty is that of the mean prompt, {TYPICAL}.",
            "",
            *tables(),
            "",
            f"## The same while Modal's container is cold ({COLD:.0f} s)",
            "",
            *tables(cold=True),
            "",
        ]
    )


@in_a_checkout
def test_the_page_says_what_the_policy_does() -> None:
    """If the policy is right, run this file, and read what changed."""
    for name in PROVIDERS:
        pytest.importorskip(f"pointsman_{name}")
    assert PAGE.read_text("utf-8") == page()


def test_a_free_local_target_does_not_win_everything() -> None:
    for name in PROVIDERS:
        pytest.importorskip(f"pointsman_{name}")
    field = candidates()
    first = {
        (task, priority): choices(task, priority, field)[0].order[0].provider
        for task in TASKS
        for priority in PRIORITIES
    }
    assert {priority for (_, priority), name in first.items() if name == "ollama"} <= {"cost"}
    assert set(first.values()) == set(PROVIDERS)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")

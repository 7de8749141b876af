"""What is asked: the task, how hard it is, and in which language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from pointsman import ChatRequest

from .difficulty import difficulty_of
from .features import features
from .model import Model
from .reading import Reading, read

TASKS = (
    "code_generation",
    "code_explanation",
    "code_debugging",
    "code_refactoring",
    "code_review",
    "test_writing",
    "math_reasoning",
    "writing",
    "summarization_extraction",
    "translation",
    "general_qa",
    "agentic",
)
"""What can be asked, in the order of the model's outputs."""

MODEL = "tasks.model"
ABSTAIN = 0.3
"""Below this probability of the best task we would be wrong in more than seven of ten: `general_qa` instead."""
UNSURE = 0.5
"""Below this, what was asked the time before counts as well: ``and in Rust?`` goes on with it."""
FORMER = 0.5
"""How much it counts, beside the last message."""
FEW = 3
"""A last message of so few words, such as ``go on``, counts as little beside the former one."""
TOOLS_WERE_USED = 1.0
"""What is added to the score of `agentic` if tools were called in the last `MESSAGES`. Between two likely tasks, scores
differ by about as much. No training row has a conversation, so this and the three above are set by hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """What a request is about, as far as its text says."""

    task: str
    """One of `TASKS`: the most probable, or ``general_qa`` where none is probable enough."""
    probabilities: Mapping[str, float]
    """Of each task; they add up to 1."""
    difficulty: float
    """From 0 to 1: the chance that a strong model answers better than a weak one; mostly from 0.1 to 0.5."""
    language: str
    """``en``, ``pt``, another ISO 639-1 code, or ``other``: the language of the prose, not of the code."""
    confidence: float
    """The probability of the most probable task, calibrated."""


def classify(request: ChatRequest | str) -> Classification:
    """What `request` asks for. Never raises; the same text gives the same answer. Opens nothing."""
    return classified(read(request), difficulty_of(request))


def classified(reading: Reading, difficulty: float) -> Classification:
    """What was read asks for; its difficulty stands on the text itself."""
    model = tasks_model()
    scores = model.scores(features(reading))
    if "earlier tools" in reading.signs:
        scores[TASKS.index("agentic")] += TOOLS_WERE_USED
    probabilities = model.probabilities(scores)
    few = sum(word.isalpha() for word in reading.words) <= FEW
    if reading.before is not None and (few or max(probabilities.values()) < UNSURE):
        former = model.scores(features(reading.before))
        last, first = (FORMER, 1.0) if few else (1.0, FORMER)
        probabilities = model.probabilities([last * one + first * two for one, two in zip(scores, former, strict=True)])
    if reading.before is None and not reading.code and all(word in "?:" for word in reading.words):
        probabilities = {task: 1 / len(TASKS) for task in TASKS}  # nothing is asked
    best = max(probabilities, key=lambda task: probabilities[task])
    confidence = probabilities[best]
    return Classification(
        task=best if confidence >= ABSTAIN else "general_qa",
        probabilities=probabilities,
        difficulty=difficulty,
        language=reading.language,
        confidence=confidence,
    )


@cache
def tasks_model() -> Model:
    """The model of tasks that this package brings, read on first use."""
    return Model.loads(resources.files("pointsman_policy").joinpath(MODEL).read_bytes())

"""What is asked: the task, how hard it is, and in which language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pointsman import ChatRequest

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """What a request is about, as far as its text says."""

    task: str
    """One of `TASKS`: the most probable, or ``general_qa`` where none is probable enough."""
    probabilities: Mapping[str, float]
    """Of each task; they add up to 1."""
    difficulty: float
    """From 0 to 1: the chance that a stronger model is worth it."""
    language: str
    """``en``, ``pt``, another ISO 639-1 code, or ``other``: the language of the prose, not of the code."""
    confidence: float
    """The probability of the most probable task, calibrated."""


def classify(request: ChatRequest | str) -> Classification:
    """What `request` asks for. Never raises; the same text gives the same answer. Opens nothing."""
    even = dict.fromkeys(TASKS, 1 / len(TASKS))
    return Classification(
        task="general_qa", probabilities=even, difficulty=0.5, language="en", confidence=even["general_qa"]
    )

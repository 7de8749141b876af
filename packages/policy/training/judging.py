"""Scores of rows whose source was left out, and what they come to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import corpus
import fitting
import numpy as np
from numpy.typing import NDArray

from pointsman_policy.classification import TASKS

GENERATION = {"code_generation", "code_debugging", "code_refactoring", "test_writing", "agentic"}
EXPLANATION = {"code_explanation", "code_review"}
COLLAPSED = np.array([0 if task in GENERATION else 1 if task in EXPLANATION else 2 for task in TASKS])
"""The three ways of the first sketch: code_generation, code_explanation, general."""


def requests_of(row: corpus.Row) -> set[str]:
    """The first and the last line, which hold the request: what must not stand on both sides of a fold."""
    lines = [line.strip().lower() for line in row.text.splitlines() if line.strip(" `")]
    return {line for line in (lines[:1] + lines[-1:]) if len(line.split()) > 3}


def each_fold(rows: Sequence[corpus.Row]) -> list[tuple[list[int], list[int]]]:
    """For each fold, the rows to learn from and those to ask.

    A row that asks in the words of one of those is not learnt from.
    """
    found = list[tuple[list[int], list[int]]]()
    where = corpus.folds(rows)
    said = [requests_of(row) for row in rows]
    for fold in sorted(set(where)):
        asked = [index for index, other in enumerate(where) if other == fold]
        wording = set[str]().union(*(said[index] for index in asked))
        learnt = [index for index, other in enumerate(where) if other != fold and not said[index] & wording]
        found.append((fitting.chosen(rows, learnt), asked))
    return found


def left_out(rows: Sequence[corpus.Row], seen: Sequence[Any], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Our scores of each row, by a model that has learnt from other sources only."""
    scores = np.zeros((len(rows), len(TASKS)))
    for learnt, asked in each_fold(rows):
        columns = fitting.vocabulary(seen, learnt)
        weights, bias = fitting.fit(fitting.matrix([seen[index] for index in learnt], columns), labels[learnt])
        scores[asked] = fitting.matrix([seen[index] for index in asked], columns) @ weights.T + bias
    return scores


def macro_f1(told: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    each = list[float]()
    for task in range(len(TASKS)):
        right = float(((told == task) & (labels == task)).sum())
        each.append(2 * right / max(float((told == task).sum() + (labels == task).sum()), 1))
    return float(np.mean(each))


def calibration_error(probabilities: NDArray[np.float64], labels: NDArray[np.int64], bins: int = 10) -> float:
    """Expected calibration error of the most probable task, in bins of the same width."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    of = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(float(confidence[of == one].mean() - right[of == one].mean())) * float((of == one).mean())
        for one in set(of)
    ]
    return sum(gaps)

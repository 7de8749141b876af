"""What makes strong models better: what measures say of it everywhere, and what terms say within one kind of prompt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from difficulty_data import Outcomes
from difficulty_texts import Floats, Rows, Texts
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

TERMS, FEWEST = 2_500, 400
"""How many terms an expert keeps; a kind of fewer prompts has none, but a level."""
SHRINK_BASE, SHRINK, BESIDE = 1e5, 5.0, 0.07
"""Of the base; of the experts, where a measure weighs so much beside a term."""
SHRINK_LEVEL = 50
"""A kind's level is that of its set until it has many more prompts than these."""
LEAST = 0.1
"""An expert who is right by less than that share of what it says is not asked."""


@dataclass(frozen=True, slots=True)
class Expert:
    """By how much the gap differs from what the base says, and from the mean of the set."""

    level: float
    measures: Floats
    columns: Rows
    terms: Floats

    def __call__(self, texts: Texts, scaled: Floats) -> Floats:
        result: Floats = self.level + texts.terms[:, self.columns] @ self.terms + scaled @ self.measures
        return result


def base_of(rows: Outcomes, scaled: Floats) -> Floats:
    """Weights of the measures, from differences within sets only: sets differ by their models, too."""
    x, y = scaled.copy(), rows.gap.copy()
    for kind in np.unique(rows.sets):
        own = rows.sets == kind
        x[own] -= x[own].mean(0)
        y[own] -= y[own].mean()
    result: Floats = np.linalg.solve(x.T @ x + SHRINK_BASE * np.eye(x.shape[1]), x.T @ y)
    return result


def expert_of(texts: Texts, scaled: Floats, gap: Floats, inner: NDArray[np.intp]) -> tuple[Expert, Floats]:
    """Of one kind; and what it says of its own prompts when it is made without their fold."""
    columns = texts.frequent(TERMS, np.ones(len(gap))) if len(gap) >= FEWEST else np.zeros(0, np.intp)
    x = sp.hstack([texts.terms[:, columns], sp.csr_matrix(scaled * BESIDE)]).tocsr()
    level, unseen = np.zeros(len(gap)), np.zeros(len(gap))
    for fold in np.unique(inner):
        seen, new = np.flatnonzero(inner != fold), np.flatnonzero(inner == fold)
        level[new] = gap[seen].sum() / (len(seen) + SHRINK_LEVEL)
        if len(columns) and len(seen):
            unseen[new] = x[new] @ (fit := _fit(x[seen], gap[seen])) - (x[seen] @ fit).mean()
    rest = gap - gap.mean()
    right = float(np.clip(unseen @ rest / (unseen @ unseen + 1e-9), 0, 1))
    own = gap.sum() / (len(gap) + SHRINK_LEVEL)
    if right < LEAST:
        return Expert(float(own), np.zeros(scaled.shape[1]), columns[:0], np.zeros(0)), level
    weights = right * _fit(x, gap)
    terms, measures = weights[: len(columns)], weights[len(columns) :] * BESIDE
    return Expert(float(own - (x @ weights).mean()), measures, columns, terms), level + right * unseen


def _fit(x: sp.csr_matrix, gap: Floats) -> Floats:
    result: Floats = Ridge(alpha=SHRINK, solver="sparse_cg", tol=1e-3).fit(x, gap).coef_
    return result

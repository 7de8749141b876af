"""Learns to tell of which kind a prompt is, and when to say: of none that is known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from difficulty_texts import Floats, Rows, Texts
from numpy.typing import NDArray

GATE_TERMS = 1_200
SHRINK = 1e-3
"""Of a ridge whose prompts weigh 1 + `prior` together."""


@dataclass(frozen=True, slots=True)
class Gate:
    """A vote for each kind; the last is for none. The winner is trusted as far as its vote is usual among its own."""

    columns: Rows
    constants: Floats
    weights: Floats
    floors: Floats
    """For each kind, the vote at which it is not trusted at all,"""
    ceilings: Floats
    """and the one from which on it is trusted wholly."""

    def votes(self, texts: Texts) -> Floats:
        result: Floats = self.constants + texts.terms[:, self.columns] @ self.weights
        return result

    def trust(self, votes: Floats) -> Floats:
        """A column for each kind. Only the winner's is above 0."""
        own = votes[:, :-1]
        won = own >= votes.max(1)[:, None]
        result: Floats = won * np.clip((own - self.floors) / (self.ceilings - self.floors), 0, 1)
        return result


@dataclass(frozen=True, slots=True)
class Voted:
    """A gate without thresholds, and how those voted that were fitted without the fold of the prompt."""

    gate: Gate
    held: Floats
    labels: NDArray[np.intp]

    def strict(self, share: float) -> Gate:
        """So much of each kind's own prompts is not trusted at all, three times as much not wholly."""
        kinds = range(self.held.shape[1] - 1)
        low, high = np.array([np.quantile(self.held[self.labels == at, at], [share, 3 * share]) for at in kinds]).T
        return Gate(self.gate.columns, self.gate.constants, self.gate.weights, low, np.maximum(high, low + 1e-6))


def vote(
    texts: Texts, labels: NDArray[np.intp], last: int, folds: NDArray[np.intp], others: Texts, priors: Iterable[float]
) -> dict[float, Voted]:
    """Ridges on the indicator of each kind: far from all that was learnt, no vote is near 1.

    `labels` number the kinds; `last` is for no kind. Each kind weighs the same; no kind weighs `prior` as
    much as all kinds together. Prompts of other traffic are in every fold: they are no near-duplicates of any.
    """
    label = np.concatenate([labels, np.full(others.terms.shape[0], last)])
    weight = (1 / np.bincount(label))[label]
    both = texts + others
    columns = both.frequent(GATE_TERMS, weight)
    x = sp.hstack([both.terms[:, columns], np.ones((len(label), 1))]).tocsr()
    fold = np.concatenate([folds, np.full(others.terms.shape[0], -1)])
    parts = {int(at): _normal(x, label, weight * (fold == at), last) for at in np.unique(fold)}
    result = {}
    for prior in priors:
        each = {at: (own + prior * none, right + prior * other) for at, (own, none, right, other) in parts.items()}
        whole = (sum(gram for gram, _ in each.values()), sum(right for _, right in each.values()))
        held = np.zeros((len(labels), last + 1))
        for at in np.unique(folds):
            new = np.flatnonzero(folds == at)
            held[new] = x[new] @ _solved(whole[0] - each[at][0], whole[1] - each[at][1])
        solved, nothing = _solved(*whole), np.zeros(last)
        result[prior] = Voted(Gate(columns, solved[-1], solved[:-1], nothing, nothing), held, labels)
    return result


def _normal(
    x: sp.csr_matrix, label: NDArray[np.intp], weight: Floats, last: int
) -> tuple[Floats, Floats, Floats, Floats]:
    """The two sides of the normal equations: of the kinds, of no kind; and again of the kinds, of no kind."""
    sides = []
    for wanted, scale in ((label < last, 1 / last), (label == last, 1.0)):
        used = np.flatnonzero(weight * wanted)
        weighed = (sp.diags(weight[used] * scale) @ x[used]).T
        sides.append(((weighed @ x[used]).toarray(), weighed @ np.eye(last + 1)[label[used]]))
    (own, right), (none, other) = sides
    return own, none, right, other


def _solved(gram: Floats, right: Floats) -> Floats:
    shrink = SHRINK * np.eye(len(gram))
    shrink[-1, -1] = 0.0  # the constant
    result: Floats = np.linalg.solve(gram + shrink, right)
    return result

"""How the classifier is fitted: features to columns, one-against-the-rest margins, a temperature."""

from __future__ import annotations

import collections
import random
from collections.abc import Collection, Sequence
from typing import Any

import corpus
import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from sklearn.svm import LinearSVC

from pointsman_policy.classification import TASKS
from pointsman_policy.features import GROUPS, SPELT, features, pieces_of
from pointsman_policy.reading import read

SEED = 9
RARE = 3
"""A feature that fewer rows have is left out."""
MOST = 500
"""Rows of one public source that are learnt from: more of the same wording would only be more of the same."""
OWN = "authored-a"
"""How our own sources begin: each of their rows was written by itself, so all are learnt from."""
STRENGTH = 1.0
"""Of the fit (C of a support vector machine); smaller is smoother."""

Groups = tuple[Collection[str], ...]
Vocabulary = list[dict[str, int]]


def features_of(text: str) -> Groups:
    """As at run time, with the pieces of words written out."""
    groups: list[Collection[str]] = list(features(read(text)))
    groups[SPELT] = [piece for word in groups[SPELT] for piece in pieces_of(word)]
    return tuple(groups)


def chosen(rows: Sequence[corpus.Row], candidates: Sequence[int]) -> list[int]:
    """Of `candidates`, those to learn from."""
    by_source = collections.defaultdict[str, list[int]](list)
    for index in candidates:
        by_source[rows[index].source].append(index)
    found: list[int] = []
    for source, members in by_source.items():
        most = len(members) if source.startswith(OWN) else min(len(members), MOST)
        found += random.Random(SEED).sample(members, most)  # noqa: S311
    return sorted(found)


def vocabulary(features: Sequence[Groups], learnt: Sequence[int]) -> Vocabulary:
    counts = [collections.Counter[str]() for _ in range(GROUPS)]
    for index in learnt:
        for count, group in zip(counts, features[index], strict=True):
            count.update(set(group))
    start, found = 0, Vocabulary()
    for count in counts:
        names = sorted(name for name, times in count.items() if times >= RARE)
        found.append({name: start + at for at, name in enumerate(names)})
        start += len(names)
    return found


def matrix(features: Sequence[Groups], columns: Vocabulary) -> Any:
    """A row for each message: counts, divided in each group by the root of how many features the message has."""
    values, indices, ends = list[float](), list[int](), [0]
    for groups in features:
        for group, column in zip(groups, columns, strict=True):
            here = [column[name] for name in group if name in column]
            indices += here
            values += [1 / max(len(group), 1) ** 0.5] * len(here)
        ends.append(len(indices))
    found = sparse.csr_matrix((values, indices, ends), shape=(len(features), sum(map(len, columns))), dtype=np.float64)
    found.sum_duplicates()
    return found


def fit(x: Any, labels: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights (tasks x columns) and bias. Tasks weigh the same, however many rows they have."""
    weights, bias = np.zeros((len(TASKS), x.shape[1])), np.full(len(TASKS), -9.0)
    balance = len(labels) / len(TASKS) / np.maximum(np.bincount(labels, minlength=len(TASKS)), 1)
    for task in np.unique(labels):
        machine = LinearSVC(C=STRENGTH, tol=0.05, max_iter=60, random_state=SEED)
        machine.fit(x, np.where(labels == task, 1, -1), sample_weight=balance[labels])
        weights[task], bias[task] = machine.coef_[0], machine.intercept_[0]
    return weights, bias


def softmax(scores: NDArray[np.float64], temperature: float = 1.0) -> NDArray[np.float64]:
    parts = np.exp((scores - scores.max(axis=1, keepdims=True)) / temperature)
    return parts / parts.sum(axis=1, keepdims=True)


def temperature_of(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The temperature under which `labels` are most probable; scores must come from models that did not see them."""

    def loss(temperature: float) -> float:
        return -float(np.log(softmax(scores, temperature)[np.arange(len(labels)), labels] + 1e-12).mean())

    return float(min(np.geomspace(0.05, 5, 200), key=loss))

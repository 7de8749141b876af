"""Prompts as the model of difficulty sees them, in columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from pointsman_policy.difficulty import SPREAD, measured, terms_of, tokens_of, window

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

RAREST = 3
"""A term of fewer prompts is in no list of the most frequent ones."""


@dataclass(frozen=True, slots=True)
class Texts:
    """A row for each prompt."""

    names: NDArray[np.str_]
    terms: sp.csr_matrix
    """A column for each of `names`: 0, or 1 / sqrt(how many terms the prompt has)."""
    measures: Floats

    @classmethod
    def of(cls, prompts: Sequence[str]) -> Texts:
        found: list[frozenset[str]] = []
        rows: list[list[float]] = []
        for prompt in prompts:
            text = prompt.strip()
            read = window(text)
            tokens = tokens_of(read)
            found.append(frozenset(terms_of(tokens)))
            rows.append(measured(read, tokens, len(text)))
        counts = Counter(term for terms in found for term in terms)
        names = sorted(term for term, count in counts.items() if count >= RAREST)
        column = {name: number for number, name in enumerate(names)}
        pointers, indices, values = [0], list[int](), list[float]()
        for terms in found:
            own = sorted(column[term] for term in terms if term in column)
            indices += own
            values += [len(terms) ** -0.5] * len(own)
            pointers.append(len(indices))
        matrix = sp.csr_matrix((values, indices, pointers), shape=(len(found), len(names)))
        return cls(np.array(names, dtype=object), matrix, np.array(rows))

    def __getitem__(self, rows: Rows) -> Texts:
        return Texts(self.names, self.terms[rows], self.measures[rows])

    def __add__(self, other: Texts) -> Texts:
        """Both, one after the other; they are parts of one `Texts`."""
        terms = sp.vstack([self.terms, other.terms]).tocsr()
        return Texts(self.names, terms, np.concatenate([self.measures, other.measures]))

    def frequent(self, number: int, weights: Floats) -> Rows:
        """The columns of the most frequent terms, where each prompt counts as its weight says."""
        shares = np.round(weights @ (self.terms > 0), 9)  # so that ties are ties on every machine
        chosen = np.argsort(-shares, kind="stable")[:number]
        return np.sort(chosen[shares[chosen] > 0])


@dataclass(frozen=True, slots=True)
class Scaling:
    """Brings measures to mean 0 and standard deviation 1, and no further than `SPREAD`."""

    means: Floats
    scales: Floats

    @classmethod
    def of(cls, texts: Texts) -> Scaling:
        return cls(texts.measures.mean(0), 1 / (texts.measures.std(0) + 1e-9))

    def __call__(self, texts: Texts) -> Floats:
        return np.clip((texts.measures - self.means) * self.scales, -SPREAD, SPREAD)

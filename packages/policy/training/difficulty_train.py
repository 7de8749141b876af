"""Train the model of difficulty and write it into the package: `python difficulty_train.py`.

Everything is closed-form or convex and nothing is random but the hash of a prompt: a second run writes the same file.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from difficulty_data import Outcomes, elsewhere, folds, outcomes
from metrics import Ranked, apgr
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge

from pointsman_policy.difficulty import (
    EVERYWHERE,
    MEASURES,
    SPREAD,
    UNLIKELY,
    measured,
    read_model,
    terms_of,
    tokens_of,
    window,
)

Floats = NDArray[np.float64]
WRITTEN = Path(__file__).resolve().parents[1] / "src" / "pointsman_policy" / "difficulty.json"

TERMS, GATE_TERMS = 2_500, 700
"""How many terms an expert, and all gates together, keep: the size of the file and the time of a decision."""
SHRINK_BASE = 1e5
CHOICES = ((5.0, 0.07), (10.0, 0.07), (5.0, 0.2))
"""Chosen by the inner folds: how strongly the experts are shrunk, and how much a measure weighs beside a term."""
INNER, SEED = 3, 9
OTHER = "other"


@dataclass(frozen=True, slots=True)
class Texts:
    """Prompts as the model sees them."""

    terms: Sequence[frozenset[str]]
    measures: Floats

    @classmethod
    def of(cls, prompts: Sequence[str]) -> Texts:
        terms: list[frozenset[str]] = []
        rows: list[list[float]] = []
        for prompt in prompts:
            text = prompt.strip()
            read = window(text)
            tokens = tokens_of(read)
            terms.append(frozenset(terms_of(tokens)))
            rows.append(measured(read, tokens, len(text)))
        return cls(terms, np.array(rows))

    def __getitem__(self, rows: NDArray[np.intp]) -> Texts:
        return Texts([self.terms[row] for row in rows], self.measures[rows])

    def counted(self, names: Sequence[str]) -> sp.csr_matrix:
        """A column each of `names`, scaled by the number of terms of the prompt."""
        column = {name: number for number, name in enumerate(names)}
        pointers, indices, values = [0], list[int](), list[float]()
        for terms in self.terms:
            found = sorted(column[term] for term in terms if term in column)
            indices += found
            values += [len(terms) ** -0.5] * len(found)
            pointers.append(len(indices))
        return sp.csr_matrix((values, indices, pointers), shape=(len(self.terms), len(names)))


@dataclass(frozen=True, slots=True)
class Weights:
    """A weighted sum of measures and terms."""

    constant: float = 0.0
    measures: Floats = field(default_factory=lambda: np.zeros(len(MEASURES)))
    names: Sequence[str] = ()
    terms: Floats = field(default_factory=lambda: np.zeros(0))

    def __call__(self, texts: Texts, scaled: Floats) -> Floats:
        said = texts.counted(self.names) @ self.terms if len(self.names) else 0.0
        return self.constant + said + scaled @ self.measures


@dataclass(frozen=True, slots=True)
class Trained:
    """The model before it is rounded and written."""

    means: Floats
    scales: Floats
    base: Weights
    gates: Mapping[str, Weights]
    gaps: Mapping[str, Weights]
    """On top of the base; for each kind, the two add up to 0 on average."""
    slopes: Mapping[str, float]
    offset: float

    def scaled(self, texts: Texts) -> Floats:
        return np.clip((texts.measures - self.means) * self.scales, -SPREAD, SPREAD)

    def __call__(self, texts: Texts) -> Floats:
        scaled = self.scaled(texts)
        base = self.base(texts, scaled)
        votes = np.array([gate(texts, scaled) for gate in self.gates.values()])
        shares = np.exp(votes - votes.max(0))
        shares[shares <= UNLIKELY] = 0.0
        trust = (shares / shares.sum(0))[:-1] ** 2  # the last is of no kind
        known = [self.slopes[kind] * (base + gap(texts, scaled)) for kind, gap in self.gaps.items() if kind != OTHER]
        odds = (trust * np.array(known)).sum(0)
        odds += self.slopes[OTHER] * base * (1 - (1 - EVERYWHERE) * trust.sum(0))
        result: Floats = 1 / (1 + np.exp(-odds - self.offset))
        return result


def train(rows: Outcomes, texts: Texts, others: Texts) -> Trained:
    means = texts.measures.mean(0)
    scales = 1 / (texts.measures.std(0) + 1e-9)
    scaled = np.clip((texts.measures - means) * scales, -SPREAD, SPREAD)
    base = _base(rows, scaled)
    known = np.isin(rows.sets, rows.large)
    owns = {kind: np.flatnonzero(rows.sets == kind) for kind in rows.large}
    learners = {kind: _Learner.of(rows[own], texts[own], scaled[own], base) for kind, own in owns.items()}
    tried = [(choice, {kind: learner.unseen(choice) for kind, learner in learners.items()}) for choice in CHOICES]
    choice, unseen = max(tried, key=lambda one: np.mean([learners[k].area(guess) for k, guess in one[1].items()]))
    guess = np.zeros(len(rows.gap))
    for kind, own in owns.items():
        guess[own] = unseen[kind] - unseen[kind].mean()
    better = rows.gap > 0
    slope, offset = _curve(guess[known], better[known], np.ones(int(known.sum())))
    gaps = {kind: learner.expert(choice) for kind, learner in learners.items()} | {OTHER: Weights()}
    slopes = dict.fromkeys(owns, slope) | {OTHER: _other_slope(rows, scaled)}
    gates = _gates(rows, texts, scaled, others, np.clip((others.measures - means) * scales, -SPREAD, SPREAD))
    return Trained(means, scales, base, {kind: gates[kind] for kind in gaps}, gaps, slopes, offset)


def _base(rows: Outcomes, scaled: Floats) -> Weights:
    """What measures say everywhere, learnt from differences within sets only: sets differ by their models, too."""
    x, y = scaled.copy(), rows.gap.copy()
    for kind in np.unique(rows.sets):
        own = rows.sets == kind
        x[own] -= x[own].mean(0)
        y[own] -= y[own].mean()
    weights = np.linalg.solve(x.T @ x + SHRINK_BASE * np.eye(x.shape[1]), x.T @ y)
    return Weights(0.0, weights)


@dataclass(frozen=True, slots=True)
class _Learner:
    """What makes the expert of one set."""

    names: Sequence[str]
    x: sp.csr_matrix
    scaled: Floats
    base: Floats
    gap: Floats
    inner: NDArray[np.intp]

    @classmethod
    def of(cls, rows: Outcomes, texts: Texts, scaled: Floats, base: Weights) -> _Learner:
        counts = Counter(term for terms in texts.terms for term in terms)
        names = sorted(sorted(counts, key=lambda term: (-counts[term], term))[:TERMS])
        inner = folds(rows.clusters.tolist(), INNER, SEED)
        return cls(names, texts.counted(names), scaled, base(texts, scaled), rows.gap, inner)

    def unseen(self, choice: tuple[float, float]) -> Floats:
        """The gap of each prompt as those who were trained without it say."""
        guess = self.base + (self.gap - self.base).mean()
        for number in range(INNER):
            seen, new = np.flatnonzero(self.inner != number), np.flatnonzero(self.inner == number)
            if len(seen) and len(new):
                guess[new] = self.base[new] + self._fit(seen, choice)(self.x[new], self.scaled[new])
        return guess

    def area(self, guess: Floats) -> float:
        return apgr(Ranked.of(guess, self.gap))

    def expert(self, choice: tuple[float, float]) -> Weights:
        fit = self._fit(np.arange(len(self.gap)), choice)
        return Weights(fit.constant - float(self.gap.mean()), fit.measures, self.names, fit.terms)

    def _fit(self, rows: NDArray[np.intp], choice: tuple[float, float]) -> _Fit:
        return _fit(self.x[rows], self.scaled[rows], (self.gap - self.base)[rows], choice)


@dataclass(frozen=True, slots=True)
class _Fit:
    constant: float
    measures: Floats
    terms: Floats

    def __call__(self, x: sp.csr_matrix, scaled: Floats) -> Floats:
        result: Floats = self.constant + x @ self.terms + scaled @ self.measures
        return result


def _fit(x: sp.csr_matrix, scaled: Floats, y: Floats, choice: tuple[float, float]) -> _Fit:
    shrink, weight = choice
    both = sp.hstack([x, sp.csr_matrix(scaled * weight)]).tocsr()
    ridge = Ridge(alpha=shrink, solver="sparse_cg", tol=1e-3).fit(both, y)
    return _Fit(float(ridge.intercept_), ridge.coef_[x.shape[1] :] * weight, ridge.coef_[: x.shape[1]])


def _curve(gap: Floats, better: NDArray[np.bool_], weights: Floats) -> tuple[float, float]:
    scale = gap.std() or 1.0
    fitted = LogisticRegression(C=100.0).fit((gap / scale)[:, None], better, sample_weight=weights / weights.mean())
    return max(0.0, float(fitted.coef_[0, 0] / scale)), float(fitted.intercept_[0])


def _other_slope(rows: Outcomes, scaled: Floats) -> float:
    """For prompts of no kind: what the measures, learnt from the other sets, say of a set; sets weigh the same."""
    guess, weights = np.zeros(len(rows.gap)), np.zeros(len(rows.gap))
    for kind in rows.large:
        own = rows.sets == kind
        apart = ~np.isin(rows.clusters, rows.clusters[own])
        if apart.any():
            guess[own] = scaled[own] @ _base(rows[apart], scaled[apart]).measures
            guess[own] -= guess[own].mean()
            weights[own] = 1 / own.sum()
    used = weights > 0
    return _curve(guess[used], rows.gap[used] > 0, weights[used])[0]


def _gates(rows: Outcomes, texts: Texts, scaled: Floats, others: Texts, others_scaled: Floats) -> dict[str, Weights]:
    kinds = np.concatenate(
        [np.where(np.isin(rows.sets, rows.large), rows.sets, OTHER), np.full(len(others.terms), OTHER)]
    )
    both = Texts([*texts.terms, *others.terms], np.concatenate([texts.measures, others.measures]))
    counts: Counter[str] = Counter()  # of shares, so that a large kind does not choose the terms for all
    for kind in np.unique(kinds):
        own = np.flatnonzero(kinds == kind)
        for term, count in Counter(term for row in own for term in both.terms[row]).items():
            counts[term] += count / len(own)  # type: ignore[assignment]
    names = sorted(sorted(counts, key=lambda term: (-counts[term], term))[:GATE_TERMS])
    x = both.counted(names)
    fitted = LogisticRegression(C=10.0, class_weight="balanced", max_iter=100, tol=1e-3).fit(x, kinds)
    none = np.zeros(len(MEASURES))
    return {
        str(kind): Weights(float(fitted.intercept_[at]), none, names, fitted.coef_[at])
        for at, kind in enumerate(fitted.classes_)
    }


def written(trained: Trained) -> str:
    """The model as `pointsman_policy.difficulty.read_model` reads it."""
    kinds = [
        {
            "kind": kind,
            "gate": _short(trained.gates[kind].constant),
            "gates": _packed(trained.gates[kind].terms),
            "slope": _short(trained.slopes[kind]),
            "constant": _short(gap.constant),
            "measures": _shorts(gap.measures) if gap.measures.any() else [],
            "terms": "\t".join(gap.names),
            "weights": _packed(gap.terms),
        }
        for kind, gap in trained.gaps.items()
    ]
    model = {
        "means": _shorts(trained.means),
        "scales": _shorts(trained.scales),
        "offset": _short(trained.offset),
        "base": _shorts(trained.base.measures),
        "gated": "\t".join(next(iter(trained.gates.values())).names),
        "kinds": kinds,
    }
    return json.dumps(model, ensure_ascii=False, separators=(",", ":")) + "\n"


def _short(number: float) -> float:
    return float(f"{number:.4g}")


def _shorts(numbers: Floats) -> list[float]:
    return [_short(number) for number in numbers]


def _packed(weights: Floats) -> tuple[float, str]:
    """Signed bytes in base 64, and what one step of them is worth."""
    scale = _short(float(np.abs(weights).max()) / 126) if len(weights) else 0.0
    return scale, b64encode(np.round(weights / (scale or 1.0)).astype(np.int8).tobytes()).decode()


def main() -> None:
    rows = outcomes()
    texts = Texts.of(rows.prompts)
    trained = train(rows, texts, Texts.of(elsewhere(rows.clusters)))
    text = written(trained)
    WRITTEN.write_text(text, "utf-8")
    model, some = read_model(text), np.arange(0, len(rows.prompts), 29)
    apart = max(abs(model(rows.prompts[row]) - stated) for row, stated in zip(some, trained(texts[some]), strict=True))
    print(f"{WRITTEN.name}: {len(text.encode()) / 1000:.0f} kB; kinds {', '.join(trained.gaps)}")
    print(f"The file differs from what was trained by at most {apart:.4f}.")


if __name__ == "__main__":
    main()

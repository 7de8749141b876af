"""Train the model of difficulty and write it into the package: `python difficulty_train.py`.

Everything is closed-form or convex and nothing is random but the hash of a prompt: a second run writes the same file.
"""

from __future__ import annotations

import json
import sys
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from difficulty_data import ASKED_ONLY, Outcomes, elsewhere, folds, outcomes
from difficulty_experts import Expert, base_of, expert_of
from difficulty_gate import Gate, Voted, vote
from difficulty_texts import Floats, Rows, Scaling, Texts
from metrics import Ranked, apgr
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from pointsman_policy.difficulty import read_model

WRITTEN = Path(__file__).resolve().parents[1] / "src" / "pointsman_policy" / "difficulty.json"

PRIORS, SHARES = (0.03, 0.1, 0.3, 1.0), (0.05,)
"""How much other traffic weighs in the gate, chosen by inner splits, half by prompts of known sets, half by sets left
out; and the share of each kind's own prompts that is not trusted, which made no difference there (0.02 to 0.2)."""
NO_GAIN = 0.005
"""Of two choices whose mean APGR differs by less, the one that trusts experts less is taken."""
INNER, SEED, FEWEST = 3, 9, 60
"""Inner folds; prompts that make a kind."""


@dataclass(frozen=True, slots=True)
class Trained:
    """The model before it is rounded and written."""

    scaling: Scaling
    base: Floats
    kinds: Sequence[str]
    experts: Sequence[Expert]
    gate: Gate
    slope: float
    offset: float

    def __call__(self, texts: Texts) -> Floats:
        scaled = self.scaling(texts)
        gap = scaled @ self.base + (self.gate.trust(self.gate.votes(texts)) * said(self.experts, texts, scaled)).sum(1)
        result: Floats = 1 / (1 + np.exp(-self.slope * gap - self.offset))
        return result


@dataclass(frozen=True, slots=True)
class Learnt:
    """What is learnt from some sets, but for how much the gate trusts."""

    scaling: Scaling
    base: Floats
    kinds: Sequence[str]
    experts: Sequence[Expert]
    votes: dict[float, Voted]
    base_said: Floats
    held: Floats
    """What each expert says of the prompts that were learnt from; of its own, as if they were new."""

    def unseen(self, choice: tuple[float, float]) -> Floats:
        """The gap of each prompt that was learnt from, as if it were new."""
        voted = self.votes[choice[0]]
        result: Floats = self.base_said + (voted.strict(choice[1]).trust(voted.held) * self.held).sum(1)
        return result

    def new(self, texts: Texts) -> dict[tuple[float, float], Floats]:
        """The gap of prompts that are new, by each choice."""
        scaled = self.scaling(texts)
        base, each = scaled @ self.base, said(self.experts, texts, scaled)
        gaps = {}
        for prior, voted in self.votes.items():
            votes = voted.gate.votes(texts)
            for share in SHARES:
                gaps[prior, share] = base + (voted.strict(share).trust(votes) * each).sum(1)
        return gaps


def said(experts: Sequence[Expert], texts: Texts, scaled: Floats) -> Floats:
    """A column for each expert."""
    return np.array([expert(texts, scaled) for expert in experts]).T


def train(rows: Outcomes, texts: Texts, others: Texts) -> Trained:
    learnable = np.flatnonzero(~np.isin(rows.sets, ASKED_ONLY))
    rows, texts = rows[learnable], texts[learnable]
    whole = learn(rows, texts, others)
    areas = dict.fromkeys(product(PRIORS, SHARES), 0.0)
    for name in rows.large:
        own = np.flatnonzero(rows.sets == name)
        apart = np.flatnonzero(~np.isin(rows.clusters, rows.clusters[own]))
        strange = learn(rows[apart], texts[apart], others).new(texts[own])
        for choice in areas:
            areas[choice] += _area(strange[choice], rows.gap[own]) + _area(whole.unseen(choice)[own], rows.gap[own])
    means = {choice: area / 2 / len(rows.large) for choice, area in areas.items()}
    best = max(choice for choice, mean in means.items() if mean > max(means.values()) - NO_GAIN)
    print("mean APGR inside:", {str(choice): round(mean, 3) for choice, mean in means.items()}, best, file=sys.stderr)
    gap = whole.unseen(best)
    known = np.isin(rows.sets, rows.large)
    for name in rows.large:
        gap[rows.sets == name] -= gap[rows.sets == name].mean()
    slope, offset = _curve(gap[known], (rows.gap > 0)[known])
    gate = whole.votes[best[0]].strict(best[1])
    return Trained(whole.scaling, whole.base, whole.kinds, whole.experts, gate, slope, offset)


def learn(rows: Outcomes, texts: Texts, others: Texts) -> Learnt:
    scaling = Scaling.of(texts)
    scaled = scaling(texts)
    base = base_of(rows, scaled)
    base_said: Floats = scaled @ base
    rest = rows.gap - base_said
    inner = folds(rows.clusters, INNER, SEED)
    kinds = [
        str(kind)
        for kind, count in zip(*np.unique(rows.kinds, return_counts=True), strict=True)
        if count >= FEWEST and kind.split("/")[0] in rows.large
    ]
    labels = np.full(len(rest), len(kinds))
    experts, held = list[Expert](), np.zeros((len(rest), len(kinds)))
    for at, kind in enumerate(kinds):
        own = np.flatnonzero(rows.kinds == kind)
        labels[own] = at
        level = float(rest[rows.sets == rows.sets[own[0]]].mean())
        expert, unseen = expert_of(texts[own], scaled[own], rest[own] - level, inner[own])
        experts.append(expert)
        held[:, at] = expert(texts, scaled)
        held[own, at] = unseen
    return Learnt(
        scaling, base, kinds, experts, vote(texts, labels, len(kinds), inner, others, PRIORS), base_said, held
    )


def _area(score: Floats, gap: Floats) -> float:
    return apgr(Ranked.of(score, gap))


def _curve(gap: Floats, better: NDArray[np.bool_]) -> tuple[float, float]:
    """From a gap to the log odds that the strong model is the better one."""
    scale = gap.std() or 1.0
    fitted = LogisticRegression(C=100.0).fit((gap / scale)[:, None], better)
    return max(0.0, float(fitted.coef_[0, 0] / scale)), float(fitted.intercept_[0])


def written(trained: Trained, names: NDArray[np.str_]) -> str:
    """The model as `pointsman_policy.difficulty.read_model` reads it: log odds, not gaps."""
    gate, slope = trained.gate, trained.slope
    kinds = [
        {
            "kind": kind,
            "floor": _short(gate.floors[at]),
            "ceiling": _short(gate.ceilings[at]),
            "level": _short(slope * expert.level),
            "measures": _shorts(slope * expert.measures) if expert.measures.any() else [],
            "terms": "\t".join(names[expert.columns]),
            "weights": _packed(slope * expert.terms),
        }
        for at, (kind, expert) in enumerate(zip(trained.kinds, trained.experts, strict=True))
    ]
    model = {
        "means": _shorts(trained.scaling.means),
        "scales": _shorts(trained.scaling.scales),
        "offset": _short(trained.offset),
        "base": _shorts(slope * trained.base),
        "gated": "\t".join(names[gate.columns]),
        "votes": [
            [_short(constant), *_packed(own)] for constant, own in zip(gate.constants, gate.weights.T, strict=True)
        ],
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
    rows = rows[~np.isin(rows.sets, ASKED_ONLY)]
    count, both = len(rows.prompts), Texts.of([*rows.prompts, *elsewhere(rows.clusters)])
    own: Rows = np.arange(count)
    trained = train(rows, both[own], both[np.arange(count, both.terms.shape[0])])
    text = written(trained, both.names)
    WRITTEN.write_text(text, "utf-8")
    model, some = read_model(text), own[::29]
    apart = [abs(model(rows.prompts[row]) - stated) for row, stated in zip(some, trained(both[some]), strict=True)]
    print(f"{WRITTEN.name}: {len(text.encode()) / 1000:.0f} kB; experts {', '.join(trained.kinds)}")
    print(f"The file differs from what was trained by {np.mean(apart):.4f}, at most {max(apart):.4f}.")


if __name__ == "__main__":
    main()

"""How good a router and its stated probabilities are, as RouteLLM (arXiv 2406.18665) defines it, without its bins.

A router gives each prompt a score; the prompts with the highest scores go to the strong model. Performance gap
recovered (PGR) at a share of strong calls is (router - weak) / (strong - weak), where each is a mean quality. APGR is
the area under PGR over all shares, CPT(x) the smallest share at which PGR reaches x %. RouteLLM reads the curve at ten
quantiles; here it is read at every prompt. Prompts of equal score go in random order, so the curve is straight across
them: a constant score has exactly the random router's APGR, 0.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ranked:
    """Prompts in the order in which a router sends them to the strong model; equal scores are one step."""

    order: NDArray[np.intp]
    starts: NDArray[np.intp]
    gap: Floats

    @classmethod
    def of(cls, scores: Floats, gap: Floats) -> Ranked:
        """`gap` is the strong model's quality minus the weak one's, a prompt each."""
        order = np.argsort(-scores, kind="stable")
        ranked = scores[order]
        starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))
        return cls(order, starts, gap[order])

    def curve(self, weights: Floats | None = None) -> tuple[Floats, Floats]:
        """The share of strong calls and the gap recovered there, from (0, 0) to (1, 1).

        `weights` says how often each prompt counts (a resample). All NaN where the strong model is not the better one.
        """
        weight = np.ones(len(self.gap)) if weights is None else weights[self.order]
        share = np.concatenate(([0.0], np.cumsum(np.add.reduceat(weight, self.starts))))
        gain = np.concatenate(([0.0], np.cumsum(np.add.reduceat(weight * self.gap, self.starts))))
        if gain[-1] <= 0:
            return share / share[-1], np.full(len(gain), np.nan)
        return share / share[-1], gain / gain[-1]


def apgr(ranked: Ranked, weights: Floats | None = None) -> float:
    return area(*ranked.curve(weights))


def cpt(ranked: Ranked, percent: float, weights: Floats | None = None) -> float:
    """The share of strong calls, from 0 to 1, at which `percent` of the gap is recovered for the first time."""
    return reached(*ranked.curve(weights), percent / 100)


def area(share: Floats, recovered: Floats) -> float:
    return float(np.trapezoid(recovered, share))


def reached(share: Floats, recovered: Floats, wanted: float) -> float:
    """The first share at which `wanted` is recovered; NaN where it never is."""
    above = np.flatnonzero(recovered >= wanted)
    if not len(above):
        return float("nan")
    at = int(above[0])
    if at == 0:
        return 0.0
    part = (wanted - recovered[at - 1]) / (recovered[at] - recovered[at - 1])
    return float(share[at - 1] + part * (share[at] - share[at - 1]))


def auc(scores: Floats, positive: Floats) -> float:
    """The chance that a positive scores above a negative; equal scores count half."""
    _, rank, count = np.unique(scores, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - (count - 1) / 2
    yes = positive > 0
    n, m = int(yes.sum()), int((~yes).sum())
    return float((middle[rank][yes].sum() - n * (n + 1) / 2) / (n * m)) if n and m else float("nan")


def ece(stated: Floats, happened: Floats, bins: int = 10) -> float:
    """Expected calibration error over bins with the same number of prompts: mean |stated - happened|."""
    order = np.argsort(stated, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return float(sum(abs(float((stated[p] - happened[p]).sum())) for p in parts) / len(stated))


def resamples(clusters: Sequence[object], times: int, seed: int) -> Floats:
    """`times` rows of weights. Clusters, not prompts, are drawn with replacement: near-duplicates are one draw."""
    _, number = np.unique(np.array([str(cluster) for cluster in clusters]), return_inverse=True)
    total = int(number.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(total, np.full(total, 1 / total), size=times)
    return drawn[:, number].astype(np.float64)


def interval(values: Floats) -> tuple[float, float]:
    """The middle 95 % of a bootstrap's values."""
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)

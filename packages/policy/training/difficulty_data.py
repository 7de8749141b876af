"""The outcomes that difficulty is learnt from, and what may not be on both sides of a split."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import corpus
import numpy as np
from numpy.typing import NDArray

DATA = Path(os.environ.get("POINTSMAN_DATA") or Path(__file__).resolve().parents[4] / "shared" / "data")
OUTCOMES = "routing-dev.jsonl.gz"
SMALLEST = 100
"""A set of fewer prompts cannot tell routers apart, nor is it a kind of its own."""
ASKED_ONLY = ("routerarena",)
"""Its authors ask that its prompts serve for evaluation only: nothing is learnt from them."""
MIXED = ("llmrouter-9",)
"""Sets of unlike tasks: each task is a kind of its own."""
# Sources of the classifier's prompts whose text or manner is in the outcomes, too: no example of other traffic.
SHARED = ("GSM8K", "MATH", "MGSM", "LogicGrid", "MBPP", "AQuA")


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Of each prompt its text, set and group, and what the strong and the weak model's answers were worth."""

    prompts: Sequence[str]
    sets: NDArray[np.str_]
    groups: NDArray[np.str_]
    clusters: NDArray[np.str_]
    strong: NDArray[np.float64]
    weak: NDArray[np.float64]

    def __getitem__(self, chosen: NDArray[Any]) -> Outcomes:
        rows = np.arange(len(self.prompts))[chosen]
        columns = (self.sets, self.groups, self.clusters, self.strong, self.weak)
        sets, groups, clusters, strong, weak = (column[rows] for column in columns)
        return Outcomes([self.prompts[row] for row in rows], sets, groups, clusters, strong, weak)

    @property
    def gap(self) -> NDArray[np.float64]:
        return self.strong - self.weak

    @property
    def kinds(self) -> NDArray[np.str_]:
        """What a prompt is recognised as: its set, or its task in a set that is mixed."""
        return np.where(np.isin(self.sets, MIXED), self.groups, self.sets)

    @property
    def large(self) -> list[str]:
        return [
            str(name)
            for name, count in zip(*np.unique(self.sets, return_counts=True), strict=True)
            if count >= SMALLEST
        ]


def lines(name: str) -> Iterable[dict[str, Any]]:
    path = DATA / name
    if not path.exists():
        raise SystemExit(f"{path} is missing: set POINTSMAN_DATA to the folder that holds {name}")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def outcomes() -> Outcomes:
    rows = list(lines(OUTCOMES))
    return Outcomes(
        [row["prompt"] for row in rows],
        np.array([row["set"] for row in rows]),
        np.array([f"{row['set']}/{row['group']}" for row in rows]),
        np.array([cluster(row["prompt"]) for row in rows]),
        np.array([float(row["models"][row["strong"]]["score"]) for row in rows]),
        np.array([float(row["models"][row["weak"]]["score"]) for row in rows]),
    )


def elsewhere(known: Iterable[str]) -> list[str]:
    """Prompts of other traffic, ours among them, for the gate; none of whose clusters is `known`."""
    seen = set(known)
    return [
        row.text
        for row in corpus.rows()
        if cluster(row.text) not in seen and not any(name in row.source for name in SHARED)
    ]


def cluster(prompt: str) -> str:
    """What near-duplicates share: the first 100 characters of the question, or the problem whose solution has a bug."""
    if bug := re.match(r'Fix the bug in this \w+ solution of "([^"]*)"', prompt):
        return f"bug: {bug[1]}"
    if told := re.match(r"Please .*?Context:\s*(?!None)(.+)", prompt, re.DOTALL) or re.match(
        r"Please .*?Question:\s*(.+)", prompt, re.DOTALL
    ):
        prompt = told[1]
    return " ".join(prompt.lower().split())[:100]


def folds(clusters: Iterable[str], number: int, seed: int) -> NDArray[np.intp]:
    """The fold of each prompt; a cluster is in one fold whole."""
    hashes = {name: hashlib.sha256(f"{seed} {name}".encode()).digest() for name in set(clusters)}
    return np.array([int.from_bytes(hashes[name][:8], "big") % number for name in clusters])

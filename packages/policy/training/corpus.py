"""The rows that the classifier learns from, and in which folds it is judged."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
DATA = Path(os.environ.get("POINTSMAN_DATA", HERE.parents[3] / "shared" / "data"))
PROMPTS = DATA / "prompts-train.jsonl.gz"

FOLDS = (
    ("templates-train-en",),
    ("compositional-train-en", "CommitPackFT sample"),
    ("authored-train-en",),
    ("templates-train-pt", "authored-train-multilingual"),
    ("GSM8K train", "self-instruct-starcoder", "MultiQ", "IFEval", "AgentBench OS tasks"),
    ("MATH", "AQuA-RAT", "LogicGrid", "MGSM", "MBPP", "CoSQA", "NQ-open", "OASST1", "WritingBench", "BFCL"),
    ("authored-a2",),
    ("authored-a3",),
    ("authored-a4",),
    ("authored-a5",),
    ("authored-a6",),
)
"""Which sources are left out together, by how their names begin. Together with what is left, every task has rows to
learn from; sources by one author, or around the same snippets, are not both seen and asked where that can be helped."""


class Row(NamedTuple):
    """A prompt, and the task that it asks for."""

    text: str
    label: str
    lang: str
    source: str
    kind: str


def rows(authored: bool = True) -> list[Row]:
    """All rows, in a fixed order, each text once."""
    with gzip.open(PROMPTS, "rt", encoding="utf-8") as lines:
        found = [json.loads(line) for line in lines]
    if authored:
        for path in sorted((HERE / "authored").glob("*.jsonl")):
            found += [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    unique = {row["text"].strip(): row for row in reversed(found)}
    return [
        Row(text, row["label"], row["lang"], row["source"], row.get("kind", "authored"))
        for text, row in reversed(unique.items())
    ]


def fold_of(source: str) -> int:
    """In which fold `source` is asked. Raises `ValueError` for one that `FOLDS` does not name."""
    for index, names in enumerate(FOLDS):
        if source.startswith(names):
            return index
    raise ValueError(f"the source {source!r} is in none of FOLDS: add it to packages/policy/training/corpus.py")


def folds(all_rows: Iterable[Row]) -> list[int]:
    return [fold_of(row.source) for row in all_rows]

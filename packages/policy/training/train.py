"""Fit the model of tasks on all rows and write it into the package: `nox -s train`.

The temperature is fitted on scores of rows whose source was left out, so that a probability is true of new sources.
"""

from __future__ import annotations

import sys
from pathlib import Path

import corpus
import fitting
import numpy as np
from judging import left_out

import pointsman_policy
from pointsman_policy.classification import MODEL, TASKS
from pointsman_policy.model import Header, Model

KEPT = 30_000
"""Features in the file: those with the largest weights."""


def main() -> None:
    if not corpus.PROMPTS.exists():
        sys.exit(f"{corpus.PROMPTS} is not there: set POINTSMAN_DATA to the folder that has it")
    rows = corpus.rows()
    seen = [fitting.features_of(row.text) for row in rows]
    labels = np.array([TASKS.index(row.label) for row in rows])
    temperature = fitting.temperature_of(left_out(rows, seen, labels), labels)
    learnt = fitting.chosen(rows, range(len(rows)))
    columns = fitting.vocabulary(seen, learnt)
    x = fitting.matrix([seen[index] for index in learnt], columns)
    weights, bias = fitting.fit(x, labels[learnt])
    sizes = np.abs(weights).max(axis=0)
    least = np.sort(sizes)[-min(KEPT, len(sizes))]
    scales, groups = list[float](), list[dict[str, list[int]]]()
    for column in columns:
        kept = [name for name, at in column.items() if sizes[at] >= least]
        scale = float(np.abs(weights[:, [column[name] for name in kept]]).max() / 127)
        groups.append({name: np.rint(weights[:, column[name]] / scale).astype(int).tolist() for name in kept})
        scales.append(scale)
    header = Header(
        outputs=list(TASKS),
        bias=[round(float(number), 5) for number in bias],
        scales=scales,
        sizes=[len(group) for group in groups],
        temperature=round(temperature, 4),
    )
    path = Path(pointsman_policy.__file__).with_name(MODEL)
    path.write_bytes(Model.dumps(header, groups))
    print(
        f"{path.name}: {path.stat().st_size / 1000:.0f} KB, {sum(header['sizes'])} features of {len(sizes)},", end=" "
    )
    print(f"{len(learnt)} rows of {len(rows)}, temperature {temperature:.3f}, seed {fitting.SEED}")


if __name__ == "__main__":
    main()

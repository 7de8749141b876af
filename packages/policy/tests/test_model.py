"""The file of the model: what training writes, the package reads."""

from __future__ import annotations

import json
import math
import zlib
from importlib import resources

from hypothesis import given
from hypothesis import strategies as st

from pointsman_policy import TASKS
from pointsman_policy.features import GROUPS, SPELT, pieces_of
from pointsman_policy.model import Header, Model

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=1, max_size=6)
ROWS = st.lists(st.integers(-127, 127), min_size=3, max_size=3)
TABLES = st.lists(st.dictionaries(NAMES, ROWS, max_size=8), min_size=GROUPS, max_size=GROUPS)


def model_of(tables: list[dict[str, list[int]]]) -> Model:
    sizes, scales = [len(table) for table in tables], [0.5 + group for group in range(GROUPS)]
    header = Header(outputs=["a", "b", "c"], bias=[0.5, 0.0, -1.0], scales=scales, sizes=sizes, temperature=0.5)
    return Model.loads(Model.dumps(header, tables))


@given(TABLES, st.lists(st.lists(NAMES, max_size=30), min_size=GROUPS, max_size=GROUPS), st.booleans())
def test_scores_are_those_of_the_weights_that_were_written(
    tables: list[dict[str, list[int]]], found: list[list[str]], known: bool
) -> None:
    if known:
        found = [[*names, *table] for names, table in zip(found, tables, strict=True)]
    expected = [0.5, 0.0, -1.0]
    for group, (table, names) in enumerate(zip(tables, found, strict=True)):
        seen = [piece for word in names for piece in pieces_of(word)] if group == SPELT else names
        for output in range(3):
            total = sum(table[name][output] for name in seen if name in table)
            expected[output] += (0.5 + group) * total / math.sqrt(max(len(seen), 1))
    model = model_of(tables)
    for _ in range(2):  # words are spelt once
        assert all(math.isclose(*pair, abs_tol=1e-9) for pair in zip(model.scores(found), expected, strict=True))


@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3))
def test_probabilities_add_up_and_follow_the_scores(scores: list[float]) -> None:
    found = list(model_of([{} for _ in range(GROUPS)]).probabilities(scores).values())
    assert math.isclose(sum(found), 1)
    assert found.index(max(found)) == scores.index(max(scores)) or math.isclose(
        max(found), found[scores.index(max(scores))]
    )


def test_the_file_is_what_the_package_expects_and_small() -> None:
    data = resources.files("pointsman_policy").joinpath("tasks.model").read_bytes()
    assert len(data) < 500_000
    header = json.loads(zlib.decompress(data).split(b"\n", 1)[0])
    assert header["outputs"] == list(TASKS)
    assert len(header["sizes"]) == len(header["scales"]) == GROUPS
    assert header["temperature"] > 0

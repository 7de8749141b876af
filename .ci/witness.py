"""A plugin of pytest for `.ci/mutants.py`: which tests failed, and whether it was the planted module that they used."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest

MODULE, FOLDER, CHOSEN, REPORT = (os.environ[f"MUTANT_{name}"] for name in ("MODULE", "FOLDER", "CHOSEN", "REPORT"))
_failed: dict[str, None] = {}
_ran = 0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if CHOSEN:
        others = [item for item in items if getattr(item, "originalname", None) not in CHOSEN.split()]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    global _ran
    _ran += report.when == "call"
    if report.failed:
        _failed[report.nodeid.rpartition("::")[2].partition("[")[0]] = None
    tell()


def pytest_sessionfinish() -> None:
    tell()


def tell() -> None:
    """After each test, so that a run that hangs and is ended has said what it saw."""
    module = sys.modules.get(MODULE)
    # A test that has it imported by another interpreter does not import it here: then it is what would be.
    found = module or importlib.util.find_spec(MODULE.partition(".")[0])
    file = getattr(found, "__file__", None) or getattr(found, "origin", None) or ""
    seen = {"planted": Path(file).is_relative_to(FOLDER), "ran": _ran, "failed": list(_failed)}
    Path(REPORT).write_text(json.dumps(seen))

"""Core's own ledgers keep what every ledger has to keep."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman import Ledger, open_ledger
from pointsman_testing.kit import LedgerConformance
from pointsman_testing.kit.ledgers import walk


class TestSqlite(LedgerConformance):
    scheme = "sqlite"

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:{tmp_path}/a%20folder/ledger.db"


class TestMemory(LedgerConformance):
    scheme = "memory"
    lasting = False

    @pytest.fixture
    def url(self) -> str:
        return "memory:"


def in_file(folder: str) -> Callable[[], Ledger]:
    return lambda: open_ledger(f"sqlite:{folder}/ledger.db")


@settings(max_examples=max(8, settings().max_examples // 3))  # Files are made, and closed, and made.
@given(dice=st.randoms(use_true_random=False), steps=st.integers(1, 12))
def test_a_file_says_what_the_reference_says(dice: Random, steps: int) -> None:
    with TemporaryDirectory() as folder:
        walk(in_file(folder), dice, steps, lasting=True)


@given(dice=st.randoms(use_true_random=False), steps=st.integers(1, 12))
def test_memory_says_what_the_reference_says(dice: Random, steps: int) -> None:
    walk(lambda: open_ledger("memory:"), dice, steps, lasting=False)

"""Whoever overrides a case of the kit need not know with which rows it is asked."""

from __future__ import annotations

import pytest

from pointsman_testing.kit.overriding import Overridable


class Cases(Overridable):
    @pytest.mark.parametrize("row", ["one", "two"])
    def test_rows(self, row: str) -> None:
        raise AssertionError(f"{row} is not overridden")


class TestAnOverrideHasTheRows(Cases):
    def test_rows(self, row: str) -> None:
        assert row in ("one", "two")


class TestAReasonIsEnough(Cases):
    @pytest.mark.xfail(strict=True, raises=AssertionError, reason="a test that could not be run would raise another")
    def test_rows(self, row: str) -> None:
        super().test_rows(row)


class TestRowsOfItsOwnAreKept(Cases):
    @pytest.mark.parametrize("row", ["three"])
    def test_rows(self, row: str) -> None:
        assert row == "three"

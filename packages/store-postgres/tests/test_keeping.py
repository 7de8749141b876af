"""The ledger in PostgreSQL keeps what every ledger has to keep."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pointsman import open_ledger
from pointsman_testing.kit import LedgerConformance
from pointsman_testing.kit.ledgers import walk


class TestPostgres(LedgerConformance):
    scheme = "postgres"

    @pytest.fixture
    def url(self, server: Any) -> str:
        return str(server.new_schema())


@settings(
    max_examples=max(8, settings().max_examples // 3),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(dice=st.randoms(use_true_random=False), steps=st.integers(1, 8))
def test_a_schema_says_what_the_reference_says(server: Any, dice: Random, steps: int) -> None:
    url = server.new_schema()
    walk(lambda: open_ledger(url), dice, steps, lasting=True)

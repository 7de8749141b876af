"""Each test of the kit pays for what it left open itself."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


class Settled:
    """Fixtures that collect garbage after each test, where a warning is still that test's own."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _settled_memory(cls) -> Iterator[None]:
        """What is there already is not looked through after each test, which would take longer than the tests."""
        if gc.get_freeze_count():  # Somebody has done so for the whole session.
            yield
            return
        gc.collect()
        gc.freeze()
        yield
        gc.unfreeze()

    @pytest.fixture(autouse=True)
    def _nothing_left_open(self, _settled_memory: None) -> Iterator[None]:
        """What a test left open is complained of in that test, not in a later one."""
        yield
        gc.collect()

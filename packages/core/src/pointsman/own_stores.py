"""Core's own stores, entering by the door that everyone's stores use."""

from __future__ import annotations

from collections.abc import Sequence

from .hookspecs import hookimpl
from .ledger import Ledger
from .stores import StoreSpec


@hookimpl
def pointsman_stores() -> Sequence[StoreSpec]:
    return [StoreSpec(scheme="memory", ledger=_memory), StoreSpec(scheme="sqlite", ledger=_sqlite)]


def _memory(url: str) -> Ledger:
    from .ledger.sqlite import memory_ledger

    return memory_ledger(url)


def _sqlite(url: str) -> Ledger:
    from .ledger.sqlite import sqlite_ledger

    return sqlite_ledger(url)

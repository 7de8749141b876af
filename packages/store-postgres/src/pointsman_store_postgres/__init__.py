"""The ledger of Pointsman in PostgreSQL, for many processes and hosts."""

from __future__ import annotations

from collections.abc import Sequence

from pointsman import Ledger, StoreSpec, hookimpl


@hookimpl
def pointsman_stores() -> Sequence[StoreSpec]:
    return [StoreSpec(scheme=scheme, ledger=_open) for scheme in ("postgres", "postgresql")]


def _open(url: str) -> Ledger:
    from .ledger import postgres_ledger  # psycopg takes longer to import than all of core.

    return postgres_ledger(url)

"""Backends that keep records, budgets and shared state, chosen by the scheme of a URL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .ledger import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSpec:
    """A kind of store, by the scheme of its URLs: ``postgres`` for ``postgres://...``. Declaring it does no I/O."""

    scheme: str
    ledger: Callable[[str], Ledger]
    """Opens the ledger at a URL; it raises `StoreError` if that cannot be done now."""

    @property
    def name(self) -> str:
        """The name of its entry point."""
        return self.scheme

"""Backends that keep records, budgets and shared state, chosen by the scheme of a URL."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class StoreSpec:
    """A kind of store: ``postgres`` opens ``postgres://...``. Opening does I/O, declaring does not."""

    scheme: str
    open: Callable[[str], AbstractAsyncContextManager[Any]]

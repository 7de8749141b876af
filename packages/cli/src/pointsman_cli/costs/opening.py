"""The ledger that is asked: the one that clients keep, or another."""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from ..context import remember

if TYPE_CHECKING:
    from pointsman import Ledger
    from pointsman.engine.roster import Roster


@dataclass(frozen=True)
class Place:
    """A ledger, and how one speaks of it. None: nobody has written into it yet, or none is kept."""

    ledger: Ledger | None
    where: str
    """`` in /home/ada/.local/share/pointsman/ledger.db``"""
    advice: str
    """What makes it have something in it."""


def known_here() -> Roster:
    """The providers, stores and settings of this place."""
    from pointsman.client import AsyncClient

    client = AsyncClient()
    remember(client)
    return client.roster


@contextmanager
def opened(chosen: str | None, roster: Roster | None = None) -> Generator[Place]:
    """Open the ledger at `chosen`, a URL or the path of a file, else the one that clients keep.

    Looking makes no file. Raises `StoreError` if it cannot be opened, `ConfigError` if the settings are wrong.
    """
    from pointsman import StoreError, open_ledger
    from pointsman.config import ledger_file, ledger_url, without_password

    roster = roster or known_here()
    url = ledger_url(roster.settings) if chosen is None else _as_url(chosen)
    if url is None:
        origin = roster.settings.origin("ledger", "url")
        yield Place(None, "", f"No ledger is kept: [ledger] url is none, from {origin}. Without that, one is kept.")
        return
    file = ledger_file(url)
    where = f" in {file or without_password(url)}"
    if chosen and file is not None and not file.exists():
        raise StoreError(f"there is no ledger{where}: correct --ledger, or leave it out for the one that is kept")
    advice = "Calls are recorded as they end: ask something, such as pointsman chat 'Hi', then look again."
    if url.startswith("memory:"):
        advice = "That one is gone with each process: keep one in a file, such as sqlite:ledger.db."
    if file is not None and not file.exists():
        yield Place(None, where, advice)
        return
    with open_ledger(url, plugins=roster.plugins) as ledger:
        yield Place(ledger, where, advice)


def _as_url(text: str) -> str:
    if not text.strip():
        raise click.UsageError("--ledger names nothing: write a URL, or the path of a file")
    return text if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", text) else f"sqlite:{quote(os.path.abspath(text))}"

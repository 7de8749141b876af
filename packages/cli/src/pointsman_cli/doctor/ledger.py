"""Checks of the ledger: where it is, how large, and whether calls can be written into it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from pointsman import ConfigError, LedgerQuery, PluginError, StoreError, open_ledger
from pointsman.config import ledger_file, ledger_url, without_password

from ..figures import size
from ..settings.situation import Situation
from .findings import Check
from .remedy import remedy, set_command, unset_command

URL = ("ledger", "url")
LITTLE = 10_000_000
"""Bytes of room, for some ten thousand calls."""
ELSEWHERE = set_command(URL, None, "sqlite:PATH")


def ledger(situation: Situation, *, live: bool) -> Iterator[Check]:
    """Without `live` only a file is opened: nothing is sent."""
    settings = situation.settings
    try:
        url = ledger_url(settings)
        file = None if url is None else ledger_file(url)
    except ConfigError as error:
        yield Check("ledger", "fail", error.message, remedy(error.message, settings) or ELSEWHERE)
        return
    if url is None:
        origin = settings.origin(*URL)
        yield Check("ledger", "ok", f"none is kept, by {origin}: {unset_command(URL, origin)} keeps one")
        return
    if file is None and not live:
        yield Check("ledger", "ok", f"{without_password(url)}, which only --live asks")
    elif file is not None and not file.exists():
        yield _to_be_made(file)
    else:
        yield from _opened(url, file, situation)


def _to_be_made(file: Path) -> Check:
    above = next(folder for folder in file.parents if folder.exists())
    if above.is_dir() and os.access(above, os.W_OK | os.X_OK):
        return Check("ledger", "ok", f"{file}: not there yet, made with the first call")
    said = f"{file} cannot be made: {above} is {'not for this user to write' if above.is_dir() else 'no folder'}"
    return Check("ledger", "fail", f"{said}. Calls are answered, and not recorded", ELSEWHERE)


def _opened(url: str, file: Path | None, situation: Situation) -> Iterator[Check]:
    plugins = situation.installed.without(situation.settings.plugins.disable)
    try:
        with closing(open_ledger(url, plugins=plugins)) as found:
            (total,) = found.totals(LedgerQuery())
    except (ConfigError, PluginError, StoreError) as error:
        advice = f"what it says, or: {ELSEWHERE}"
        yield Check("ledger", "fail", f"{error.message}. Calls are answered, and not recorded", advice)
        return
    calls = f"{total.calls:,} call{'' if total.calls == 1 else 's'}"
    if file is None:
        yield Check("ledger", "ok", f"{without_password(url)}: {calls}")
        return
    if not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK | os.X_OK)):
        said = f"{file}: {calls}, and this user may not write more"
        yield Check("ledger", "fail", said, f"let this user write the file and its folder, or: {ELSEWHERE}")
        return
    parts = (file, file.with_name(f"{file.name}-wal"))
    yield Check("ledger", "ok", f"{file}: {calls}, {size(sum(p.stat().st_size for p in parts if p.exists()))}")
    if (room := shutil.disk_usage(file.parent).free) < LITTLE:
        yield Check("ledger", "warn", f"the disk of {file} has {size(room)} left", f"free some space, or: {ELSEWHERE}")

"""The ledger's rows as CSV or JSON lines, written as they are read."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

from ..listing import say
from ..terminal import harmless, is_terminal, wipe
from . import words
from .opening import opened

if TYPE_CHECKING:
    from pointsman import LedgerQuery
    from pointsman.ledger import Row, Table

TEXTS = ("prompt", "answer")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""A cell that begins with one is computed by spreadsheets when it is opened, also in their full width
(https://owasp.org/www-community/attacks/CSV_Injection)."""


def export_rows(url: str | None, query: LedgerQuery, table: str, form: str, output: str | None, *, texts: bool) -> None:
    """Write them to `output`, or stdout. A file is replaced by a whole one, or left as it was."""
    with opened(url) as place, _target(output) as write:
        if place.ledger is None:
            rows: Iterator[Row] = iter(())
        else:
            rows = place.ledger.rows(cast("Table", table), query)
        found = kept = 0
        lines = _csv(write) if form == "csv" else _jsonl(write)
        for row in rows:
            found += 1
            kept += any(row.get(name) is not None for name in TEXTS)
            lines({name: value for name, value in row.items() if texts or name not in TEXTS})
    if not found:
        say(f"No row{place.where} fits. {'' if place.ledger else place.advice}".rstrip())
    elif output is not None:
        say(f"{words.of(found, 'row')} in {output}.")
    if texts and found and not kept:
        say("None of them has a text: none was kept.")


def cell(value: Any) -> str:
    """A value in CSV: nothing for None, JSON for what has parts, and no formula."""
    match value:
        case None:
            return ""
        case str():
            return f"'{value}" if value.startswith(_FORMULA) else value
        case _:
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _csv(write: Callable[[str], None]) -> Callable[[Row], None]:
    class Out:
        def write(self, text: str) -> None:
            write(text.removesuffix("\r\n") + "\n")

    writer = csv.writer(Out())  # Which puts a cell in quotes for each character that ends a line of its own.
    begun = False

    def line(row: Row) -> None:
        nonlocal begun
        if not begun:
            writer.writerow(row)
            begun = True
        writer.writerow(map(cell, row.values()))

    return line


def _jsonl(write: Callable[[str], None]) -> Callable[[Row], None]:
    return lambda row: write(json.dumps(dict(row), separators=(", ", ": "), allow_nan=False) + "\n")


@contextmanager
def _target(output: str | None) -> Generator[Callable[[str], None]]:
    if output is None or output == "-":
        wipe()
        safe = is_terminal(sys.stdout)
        yield lambda text: _put(sys.stdout, harmless(text) if safe else text)
        sys.stdout.flush()
        return
    path = Path(os.path.realpath(output))
    if path.exists() and not path.is_file():  # /dev/stderr, a named pipe: nothing to be replaced.
        with path.open("w", encoding="utf-8", newline="") as file:
            yield lambda text: _put(file, text)
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with draft.open("x", encoding="utf-8", newline="") as file:
            yield lambda text: _put(file, text)
        draft.replace(path)
    finally:
        with suppress(OSError):
            draft.unlink()


def _put(file: TextIO, text: str) -> None:
    file.write(text)

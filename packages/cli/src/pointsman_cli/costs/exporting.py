"""The ledger's rows as CSV or JSON lines, written as they are read."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, TextIO

import click

from ..as_json import dumps
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


def export_rows(
    url: str | None, query: LedgerQuery, table: Table, form: str, output: str | None, *, texts: bool
) -> None:
    """Write them to `output`, or stdout. A file is replaced by a whole one, or left as it was."""
    from pointsman.ledger.rows import names

    columns = [name for name in names(table) if texts or name not in TEXTS]
    with opened(url) as place, _target(output) as write:
        rows: Iterator[Row] = place.ledger.rows(table, query) if place.ledger else iter(())
        line = _csv(write, columns) if form == "csv" else _jsonl(write, columns)
        found = kept = 0
        for row in rows:
            found += 1
            kept += any(row.get(name) is not None for name in TEXTS)
            line(row)
    if not found:
        say(f"No row{place.where} fits. {'' if place.ledger else place.advice}".rstrip())
    elif output is not None:
        say(f"{words.of(found, 'row')} in {output}.")
    if texts and found and not kept:
        say("None of them has a text: [ledger] texts = true keeps those of calls from then on.")


def cell(value: Any) -> str:
    """A value in CSV: nothing for None, JSON for what has parts, and no formula."""
    match value:
        case None:
            return ""
        case str():
            return f"'{value}" if value.startswith(_FORMULA) else value
        case _:
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _csv(write: Callable[[str], None], columns: Sequence[str]) -> Callable[[Row], None]:
    """Beginning with their names, also if no row follows."""

    class Out:
        def write(self, text: str) -> None:
            write(text.removesuffix("\r\n") + "\n")

    writer = csv.writer(Out())  # Which puts a cell in quotes for each character that ends a line of its own.
    writer.writerow(columns)
    return lambda row: writer.writerow([cell(row[name]) for name in columns])


def _jsonl(write: Callable[[str], None], columns: Sequence[str]) -> Callable[[Row], None]:
    return lambda row: write(f"{dumps({name: row[name] for name in columns})}\n")


@contextmanager
def _target(output: str | None) -> Generator[Callable[[str], None]]:
    if output is None or output == "-":
        wipe()
        safe = is_terminal(sys.stdout)
        yield lambda text: _put(sys.stdout, harmless(text) if safe else text)
        sys.stdout.flush()
        return
    path = Path(output)
    replaced = path.is_file() or not path.exists()  # Not /dev/stderr, or a named pipe.
    path = Path(os.path.realpath(output)) if replaced else path
    draft = path.with_name(f".{path.name}.{token_hex(4)}.part") if replaced else path
    try:
        file = draft.open("x" if replaced else "w", encoding="utf-8", newline="")
    except OSError as error:
        raise click.FileError(output, error.strerror or str(error)) from None
    try:
        with file:
            yield lambda text: _put(file, text)
        if replaced:
            draft.replace(path)
    finally:
        if replaced:
            draft.unlink(missing_ok=True)


def _put(file: TextIO, text: str) -> None:
    file.write(text)

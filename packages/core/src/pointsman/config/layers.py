"""Layers of settings, nearest first, flattened so that each value keeps where it came from."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, cast

from ..errors import ConfigError

Key: TypeAlias = tuple[str, ...]


USER_FILE = "user file"
KEYS_FILE = "keys file"
VENDOR_FILE = "vendor's file"
PROJECT_FILE = "project file"
"""The kind of origin that may be a stranger's: whoever enters a folder reads the file that lies there."""
_NEARNESS = {kind: at for at, kind in enumerate((USER_FILE, KEYS_FILE, PROJECT_FILE, "environment", "argument"))}


class Origin(NamedTuple):
    """Where a value was found: an environment variable, a file, an argument, or the built-in default."""

    kind: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.where}".strip()

    def farther_than(self, other: Origin) -> bool:
        """Whether what is found there gives way to what is found at `other`."""
        return _NEARNESS.get(self.kind, 0) < _NEARNESS.get(other.kind, 0)


@dataclass(frozen=True, slots=True)
class Value:
    """A setting as it was found. It may be a key, so it is not shown."""

    value: Any = field(repr=False)
    origin: Origin


LONGEST = 1024 * 1024
"""Bytes of a file of settings."""
DEEPEST = 32
"""Tables within tables. No setting of anybody's is nearly so deep, and what walks them recurses."""


def flatten(table: Mapping[str, Any], origin: Origin, above: Key = ()) -> Iterator[tuple[Key, Value]]:
    """Every leaf of a nested table, under its whole path; an empty table is a leaf, so that its name is known.

    Raises `ConfigError` for tables within tables without end.
    """
    if len(above) > DEEPEST:
        raise ConfigError(f"{'.'.join(above[:3])}… from {origin}: tables are nested more than {DEEPEST} deep")
    for name, value in table.items():
        if isinstance(value, dict) and value:
            yield from flatten(cast(dict[str, Any], value), origin, (*above, name))
        else:
            yield (*above, name), Value(value, origin)


def overlay(far: Mapping[Key, Value], near: Mapping[Key, Value]) -> dict[Key, Value]:
    """Both layers, the near one winning: a value replaces a whole table, and a table a value; tables are merged."""
    decided = {path for path, value in near.items() if value.value != {}}
    parts = {path[:length] for path in near for length in range(len(path) + 1)}
    kept = {
        path: value
        for path, value in far.items()
        if path not in parts and not any(path[:length] in decided for length in range(len(path)))
    }
    filled = {path[:length] for path in kept for length in range(len(path))}
    return kept | {path: value for path, value in near.items() if path not in filled}


def nested(values: Mapping[Key, Value], *above: str) -> dict[str, Value]:
    """The settings below `above`: name -> value, where deeper ones make a table again.

    A table that only in part comes from a project's file, which may be a stranger's, does not come from there.
    """
    found: dict[str, Value] = {}
    for path, value in values.items():
        if path[: len(above)] != above or len(path) == len(above):
            continue
        name, *deeper = path[len(above) :]
        if not deeper:
            found[name] = value
            continue
        if name in found and found[name].origin.kind == PROJECT_FILE:
            found[name] = Value(found[name].value, value.origin)
        table = found.setdefault(name, Value({}, value.origin)).value
        for part in deeper[:-1]:
            table = table.setdefault(part, {})
        table[deeper[-1]] = value.value
    return found


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises `ConfigError` if it cannot be read; {} if there is none."""
    try:
        text = _text(path)
    except FileNotFoundError:
        return {}
    except OSError as error:
        fault = f"cannot be read: {error.strerror or error}"
    except UnicodeDecodeError as error:
        fault = f"cannot be read: it is not UTF-8 (byte {error.start})"
    else:
        import tomllib

        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            fault = f"is not valid TOML: {error}{_remedy(str(error), text)}"
        except RecursionError:
            fault = "is not valid TOML: it is nested too deeply"
        except ValueError:  # What a number is made of has a limit of its own, and that error quotes nothing.
            fault = "is not valid TOML: it holds a number that is too long"
    raise ConfigError(f"{path} {fault}")  # Not from the other error: that one holds the text, and so its keys.


def _remedy(said: str, text: str) -> str:
    """What to do about two mistakes that are made often. Of the text it shows the header of a table at most."""
    if found := re.match(r"Cannot declare \((.*)\) twice", said):
        table = ".".join(re.findall(r"'([^']*)'", found[1]))
        return f"; [{table}] stands there twice: put all its settings below one of them"
    if (place := re.search(r"at line (\d+)", said)) is None:
        return ""
    line = text.split("\n")[int(place[1]) - 1 : int(place[1])]
    if line and (header := re.match(r"\s*\[\s*([\w-]+)\.([\w.-]+/[\w./:-]*)\s*\]", line[0])):
        return f'; a name with a slash needs quotes: [{header[1]}."{header[2]}"]'
    return ""


def _text(path: Path) -> str:
    """The text of a file. Raises what reading it raises, and `ConfigError` for what would hang or never end."""
    # Not to wait for whoever may write into a pipe that somebody left in a folder.
    with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
        if stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):
            raise ConfigError(f"{path} cannot be read: it is a pipe, and settings are kept in a file")
        data = file.read(LONGEST + 1)
    if len(data) > LONGEST:
        raise ConfigError(f"{path} cannot be read: it is longer than {LONGEST // 1024} KiB, as no settings are")
    return data.decode("utf-8-sig")


def check_privacy(path: Path) -> None:
    """Raises `ConfigError` if somebody else on this machine can read `path`."""
    try:
        mode = path.stat().st_mode
    except OSError:  # It is not there, or reading it will say why it cannot be.
        return
    if os.name == "posix" and mode & 0o077:
        raise ConfigError(f"{path} holds keys, and others can read it (mode {mode & 0o777:03o}): chmod 600 {path}")


def nearest_project_file(start: Path) -> Path | None:
    """The closest ``pointsman.toml`` in `start` or above it."""
    return next((file for folder in (start, *start.parents) if (file := folder / "pointsman.toml").exists()), None)

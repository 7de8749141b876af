"""Changing one value in a TOML file: comments, order and everything else stay, and the file is whole at any moment."""

from __future__ import annotations

import os
import tempfile
import tomllib
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

from pointsman import ConfigError
from pointsman.config.layers import Key, read_toml

PRIVATE = 0o600


class TomlFile:
    """A file that is there, or is to be. `text` is what it holds, `table` what that means."""

    def __init__(self, path: Path) -> None:
        """Read it. Raises `ConfigError` if it cannot be read."""
        self.path = path.resolve()  # A link to a file that is kept elsewhere stays one.
        self.table: Mapping[str, Any] = read_toml(self.path)
        self.text = self.path.read_bytes().decode("utf-8-sig") if self.path.exists() else ""

    def holding(self, text: str) -> TomlFile:
        """The same file, if it held `text`; nothing is written."""
        other = TomlFile.__new__(TomlFile)
        other.path, other.text, other.table = self.path, text, tomllib.loads(text)
        return other

    def with_value(self, key: Key, value: Any) -> str:
        """The text, with `value` at `key`. Raises `ConfigError` if that cannot be written without losing something."""
        import tomlkit

        def change(document: Any) -> None:
            table = document
            for depth, name in enumerate(key[:-1]):
                if name not in table:
                    inner = len(key) - (1 if isinstance(value, dict) and len(key) == 2 else 2)
                    table[name] = tomlkit.table(is_super_table=depth < inner)
                table = table[name]
            table[key[-1]] = value

        return self._changed(change, _with(self.table, key, value), key)

    def without(self, key: Key) -> str:
        """The text, without what is at `key`, and without tables that are empty then. Raises `ConfigError`."""

        def change(document: Any) -> None:
            tables = [document]
            for name in key[:-1]:
                tables.append(tables[-1][name])
            for table, name in zip(reversed(tables), reversed(key), strict=True):
                del table[name]
                if len(table):
                    break

        return self._changed(change, _without(self.table, key), key)

    def _changed(self, change: Any, meant: Mapping[str, Any], key: Key) -> str:
        """What `change` makes of the text, if it means what was `meant`."""
        import tomlkit

        text = ""
        with suppress(Exception):  # Whatever the library stumbles over, the next line sees that it did.
            document = tomlkit.parse(self.text)
            change(document)
            text = tomlkit.dumps(document)
            if cast(object, tomllib.loads(text)) == meant:
                return text
        raise ConfigError(f"{'.'.join(key)} cannot be changed in {self.path} without rewriting it: edit it by hand")


def write(path: Path, text: str | bytes, *, mode: int | None = None) -> None:
    """Put `text` into `path` at once. A new folder is the user's alone, and the file keeps its mode.

    `mode` is for a new file, and for one that holds keys. Raises `ConfigError` if it cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if mode is None:
            mode = path.stat().st_mode & 0o777 if path.exists() else PRIVATE
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # Nobody else can read it.
        try:
            with open(handle, "wb") as file:
                file.write(text if isinstance(text, bytes) else text.encode())
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, mode)
            os.replace(name, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(name)
            raise
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}") from error


@contextmanager
def alone_in(folder: Path) -> Generator[None]:
    """Keep other processes of ours from changing a file in `folder` meanwhile, where the system can."""
    try:
        import fcntl

        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):
        yield
        return
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def at(table: Mapping[str, Any], key: Key) -> Any:
    """What is at `key`. Raises `KeyError`."""
    found: Any = table
    for name in key:
        if not isinstance(found, Mapping):
            raise KeyError(name)
        found = cast(Mapping[str, Any], found)[name]
    return found


def _with(table: Mapping[str, Any], key: Key, value: Any) -> dict[str, Any]:
    first, *rest = key
    below = table.get(first)
    inner: Mapping[str, Any] = cast(Mapping[str, Any], below) if isinstance(below, Mapping) else {}
    return {**table, first: _with(inner, tuple(rest), value) if rest else value}


def _without(table: Mapping[str, Any], key: Key) -> dict[str, Any]:
    first, *rest = key
    left = {name: value for name, value in table.items() if name != first}
    inner = _without(table[first], tuple(rest)) if rest else {}
    return {**left, first: inner} if inner else left

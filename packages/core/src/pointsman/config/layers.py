"""Layers of settings, nearest first, flattened so that each value keeps where it came from."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast

from ..errors import ConfigError

Key: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was found: an environment variable, a file, an argument, or the built-in default."""

    kind: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.where}".strip()


@dataclass(frozen=True, slots=True)
class Value:
    """A setting as it was found."""

    value: Any
    origin: Origin


def flatten(table: Mapping[str, Any], origin: Origin, above: Key = ()) -> Iterator[tuple[Key, Value]]:
    """Every leaf of a nested table, under its whole path."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from flatten(cast(dict[str, Any], value), origin, (*above, name))
        else:
            yield (*above, name), Value(value, origin)


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises `ConfigError` if it cannot be read; {} if there is none."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error


def nearest_project_file(start: Path) -> Path | None:
    """The closest ``pointsman.toml`` in `start` or above it."""
    return next((file for folder in (start, *start.parents) if (file := folder / "pointsman.toml").is_file()), None)

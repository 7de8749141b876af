"""Paths that begin with a user's home."""

from __future__ import annotations

from pathlib import Path

from .errors import ConfigError


def expanded(text: str, setting: str) -> Path:
    """`text` with the folder that its ``~`` or ``~name`` means. Raises `ConfigError`, by the `setting` that says it."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        name = text.partition("/")[0]
        raise ConfigError(f"{setting} is {text!r}, and nobody knows the folder {name}: write the whole path") from None

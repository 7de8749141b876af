"""Verbs of the `pointsman` command, declared without importing them, and what the command lends to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """A verb: its name, the line that ``--help`` shows, and where its click command is (``package.module:object``)."""

    name: str
    help: str
    entry: str


class CommandHost(Protocol):
    """What a verb of another package finds as ``ctx.obj`` of click: the command's own way of changing settings."""

    def store_settings(self, provider: str, values: Mapping[str, Any]) -> str:
        """Write settings of a provider into the user's file, all of them or none, and leave the rest as it is. A value
        of None removes one. Where they were written. Raises `ConfigError` if they do not fit.
        """
        ...

    def store_keys(self, provider: str, values: Mapping[str, str]) -> str:
        """Keep secrets of a provider where only the user reads, all of them or none: of two halves, one is no key.
        Where they were written. Raises `ConfigError` if one can be no key.
        """
        ...

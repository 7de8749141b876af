"""Verbs of the `pointsman` command, declared without importing them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """A verb: its name, the line that ``--help`` shows, and where its click command is (``package.module:object``)."""

    name: str
    help: str
    entry: str

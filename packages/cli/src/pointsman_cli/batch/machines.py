"""Who puts machines to work for a batch."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import cast

import click

from pointsman import FanOut, PluginError, PointsmanError
from pointsman.engine.roster import Roster


def fan_out_of(roster: Roster, name: str) -> FanOut:
    """What puts the machines of the provider `name` to work. Raises `click.UsageError` if nothing does."""
    spec = roster.declared(name).spec
    if spec.fan_out is None:
        able = ", ".join(_able(roster)) or "none that is installed"
        raise click.UsageError(f"--on {name}: {name} has no machines to put to work; providers that have: {able}")
    if wrappers := [one for one, _ in roster.plugins.wrappers(roster.settings.plugins.wrappers)]:
        raise click.UsageError(
            f"--on {name}: what goes that way does not pass the wrappers, and {', '.join(wrappers)} would not see it; "
            "leave --on out, or disable them in [plugins] disable"
        )
    module, _, attribute = spec.fan_out.partition(":")
    try:
        return cast(FanOut, getattr(import_module(module), attribute))
    except ImportError as error:
        lacks = f"{error}; {spec.help}" if spec.help else str(error)
        raise PluginError(f"its machines cannot be put to work: {lacks}", plugin=name) from error


def _able(roster: Roster) -> Iterator[str]:
    for name in roster.names:
        try:
            if roster.declared(name).spec.fan_out is not None:
                yield name
        except PointsmanError:
            continue

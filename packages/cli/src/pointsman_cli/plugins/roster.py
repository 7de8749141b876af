"""Providers whose plugins load in time; one that takes forever must not hold up what is asked of the others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pointsman import ConfigError, PluginError, PointsmanError
from pointsman.engine.roster import Roster

from ..exits import Exit, exit_code
from .impatience import PATIENCE, tried

SLOW = f"its plugin was not imported within {PATIENCE:g} s"


def slow_names(roster: Roster, names: Sequence[str]) -> list[str]:
    """Those of `names` whose plugin is still being imported when its time is over; the others are loaded then."""
    outcomes = tried([partial(roster.declared, name) for name in names])
    return [name for name, one in zip(names, outcomes, strict=True) if one.seconds is None]


def ready_names(
    roster: Roster, names: Sequence[str], *, also_unready: bool = False
) -> tuple[list[str], list[tuple[str, str, Exit]]]:
    """Who can be asked of `names`, or of all; and who cannot, with the reason.

    Of a provider that nobody named and nobody has set up, there is nothing to say. Raises for a name that there is not.
    """
    named = list(dict.fromkeys(names))
    for name in named:
        if name not in roster.names:
            roster.declared(name)
    everybody = named or roster.names
    slow = slow_names(roster, everybody)
    ready: list[str] = []
    failed = [(name, SLOW, Exit.FAILURE) for name in slow]
    for name in everybody:
        if name in slow:
            continue
        try:
            roster.declared(name) if also_unready else roster.configured(name)
            ready.append(name)
        except (ConfigError, PluginError) as error:
            if named or not getattr(error, "missing", False):
                failed.append((name, said(error), exit_code(error)))
    return ready, failed


def said(error: PointsmanError) -> str:
    """The message, without the name that stands beside it."""
    return error.message.removeprefix(f"{error.provider}: ")

"""What a command and its verbs share through ``ctx.meta``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pointsman.client import AsyncClient
    from pointsman.engine.roster import Roster

_DEBUG = "pointsman_cli.debug"
_ROSTER = "pointsman_cli.roster"
_OPTIONS = "pointsman_cli.options"
_TOLD = "pointsman_cli.told"


def debugging(ctx: click.Context) -> bool:
    """Whether tracebacks are wanted."""
    return bool(ctx.meta.get(_DEBUG))


def remember(client: AsyncClient, options: Mapping[str, Any] | None = None) -> None:
    """Keep what `client` knows of its providers, and the options of its call, so that an error can be explained."""
    meta = click.get_current_context().meta
    meta[_ROSTER], meta[_OPTIONS] = client.roster, options or {}


def remembered(ctx: click.Context) -> Roster | None:
    """What `remember` kept."""
    return ctx.meta.get(_ROSTER)


def options_of(ctx: click.Context) -> Mapping[str, Any]:
    """The options that `remember` kept."""
    return ctx.meta.get(_OPTIONS, {})


def told(ctx: click.Context) -> list[BaseException]:
    """Errors of attempts that have been shown as they happened; whoever shows one adds it."""
    return ctx.meta.setdefault(_TOLD, [])


def _set_debug(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted:
        ctx.meta[_DEBUG] = True


debug_option = click.option(
    "--debug", is_flag=True, expose_value=False, callback=_set_debug, help="Show where an error comes from."
)
"""For the command itself and for each verb, since it is at the end of a failed line that one adds it."""

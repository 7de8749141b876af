"""What the options of `--breakeven` mean."""

from __future__ import annotations

import click


def amount(ctx: click.Context, param: click.Parameter, given: str | None) -> float | None:
    """A number from 0 that is finite. Raises `click.BadParameter`."""
    if given is None:
        return None
    try:
        found = float(given)
    except ValueError:
        found = -1.0
    if not 0 <= found < float("inf"):
        raise click.BadParameter(f"{given!r} is no number from 0, such as 250 or 2.5")
    return found


def counts(ctx: click.Context, param: click.Parameter, given: str | None) -> tuple[int, int] | None:
    """``1500/400``: tokens in and out of one request. Raises `click.BadParameter`."""
    if given is None:
        return None
    asked, slash, answered = given.partition("/")
    if not (slash and all(part.isascii() and part.isdigit() and len(part) < 10 for part in (asked, answered))):
        raise click.BadParameter(f"{given!r} is no IN/OUT: write the tokens of one request, such as 1500/400")
    if not int(asked) + int(answered):
        raise click.BadParameter("a request without a token costs nothing anywhere: write such as 1500/400")
    return int(asked), int(answered)

"""What the options of `--breakeven` mean."""

from __future__ import annotations

import click


def per_day(ctx: click.Context, param: click.Parameter, given: str | None) -> float | None:
    """Requests. Raises `click.BadParameter`."""
    return None if given is None else _number(given, 0, 10**9, "250 or 2.5")


def seconds(ctx: click.Context, param: click.Parameter, given: str | None) -> float | None:
    """Raises `click.BadParameter`."""
    return None if given is None else _number(given, 0.001, 86_400, "4 or 2.5")


def _number(text: str, least: float, most: float, example: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not least <= found <= most:
        raise click.BadParameter(f"{text!r} is no number from {least:,} to {most:,}, such as {example}")
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

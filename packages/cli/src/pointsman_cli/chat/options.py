"""Options of whatever takes a prompt, be it to ask it or to say where it would go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

system_option = click.option("-s", "--system", help="An instruction that precedes the prompt.")
priority_option = click.option(
    "--priority", type=click.Choice(["balanced", "speed", "quality", "cost"]), help="What matters most."
)


def model_option(who: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The targets, as `models`; the help says `who` they are."""
    said = f"{who}; several are the order."
    return click.option("-m", "--model", "models", multiple=True, metavar="PROVIDER/MODEL", help=said)

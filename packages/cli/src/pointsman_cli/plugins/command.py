"""`pointsman plugins`: what is installed, and whether it loads."""

from __future__ import annotations

import click

from ..context import debug_option


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@debug_option
def plugins(as_json: bool) -> None:
    """List every plugin that is installed, with its package, and the order in which wrappers are around a call.

    Each is loaded to see whether it can be, for two seconds at most; one that is broken or slow says why.

    Example: pointsman plugins --json | jq '.plugins[] | select(.state != "ok")'
    """
    from .inventory import show_inventory

    show_inventory(as_json=as_json)

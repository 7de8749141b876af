"""`pointsman doctor`: everything that can be wrong with a setup, on one page."""

from __future__ import annotations

import click

from ..context import debug_option


@click.command()
@click.option("--live", is_flag=True, help="Ask each provider that is ready how it is, too. No tokens are spent.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@debug_option
def doctor(live: bool, as_json: bool) -> None:
    """Check versions, plugins, files, keys, providers, the policy, the ledger, the network's settings and the terminal.

    Each check says ok, warn or fail, and what to do next. One that fails keeps no other from being made. A key is never
    shown. Without --live nothing is sent.

    Exits with 0 if nothing fails, else with 1.

    \b
    Examples:
      pointsman doctor --live
      pointsman doctor --json | jq '.checks[] | select(.state != "ok")'
    """  # noqa: D301  (click wants the backspace)
    from .diagnosis import diagnose

    diagnose(live=live, as_json=as_json)

"""`pointsman providers`: who can answer, and who cannot and why."""

from __future__ import annotations

import click

from ..context import debug_option

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group(invoke_without_command=True)
@_json
@debug_option
@click.pass_context
def providers(ctx: click.Context, as_json: bool) -> None:
    """List every provider: whether it is ready, else why not; the models it suggests; where its key comes from.

    Nothing is opened and nothing is sent. A key itself is never shown.

    Example: pointsman providers --json | jq -r '.providers[] | select(.state == "ready") | .name'
    """
    if ctx.invoked_subcommand is None:
        from .roll_call import list_providers

        list_providers(as_json=as_json)
    elif as_json:
        raise click.UsageError("--json stands after check", ctx)


@providers.command()
@click.argument("names", nargs=-1, metavar="[PROVIDER]...")
@_json
@debug_option
def check(names: tuple[str, ...], as_json: bool) -> None:
    """Open each PROVIDER named, else each that is ready, and ask how they are. No tokens are spent.

    Of one that is not ready it says what is missing. Exits with 0 if none of them is down, 3 if one is, 4 if only keys
    are wrong or missing. One that nobody has named or set up is no failure, whatever it lacks; neither is a server on
    this machine that is tried by default and does not run.

    Example: pointsman providers check sambanova lan
    """
    from .roll_call import check_providers

    check_providers(names, as_json=as_json)

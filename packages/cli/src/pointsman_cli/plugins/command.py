"""`pointsman plugins`: what is installed, and whether it loads; and a new one to begin with."""

from __future__ import annotations

from pathlib import Path

import click

from ..context import debug_option

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group(invoke_without_command=True)
@_json
@debug_option
@click.pass_context
def plugins(ctx: click.Context, as_json: bool) -> None:
    """List every plugin that is installed, with its package, and the order in which wrappers are around a call.

    Each is loaded to see whether it can be, for two seconds at most; one that is broken or slow says why.

    Example: pointsman plugins --json | jq '.plugins[] | select(.state != "ok")'
    """
    if ctx.invoked_subcommand is None:
        from .inventory import show_inventory

        show_inventory(as_json=as_json)
    elif as_json:
        raise click.UsageError(f"--json stands after {ctx.invoked_subcommand}", ctx)


@plugins.command()
@click.argument("name", metavar="NAME")
@click.option(
    "--kind",
    type=click.Choice(["provider", "openai", "policy", "wrapper"]),
    default="provider",
    show_default=True,
    help="What it is to be; openai is a provider for a vendor on the OpenAI dialect.",
)
@click.option(
    "--dir",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    show_default=True,
    help="The folder that the package is put into.",
)
@_json
@debug_option
def new(name: str, kind: str, folder: Path, as_json: bool) -> None:
    """Write the package pointsman-NAME: a plugin that works, with its tests, to be changed into yours.

    It passes the kit, lint and types as it is written. NAME is made of small letters, digits and dashes. Nothing that
    is there already is overwritten, and nothing is fetched.

    \b
    Examples:
      pointsman plugins new acme
      pointsman plugins new acme --kind openai
      pointsman plugins new cheapest --kind policy --dir ~/src
    """  # noqa: D301  (click wants the backspace)
    from .new import write_plugin

    write_plugin(name, kind, folder, as_json=as_json)

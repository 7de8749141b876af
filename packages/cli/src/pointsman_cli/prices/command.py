"""`pointsman prices`: what a model costs, who says so, and what is missing or old."""

from __future__ import annotations

import click

from ..context import debug_option

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group(invoke_without_command=True)
@_json
@debug_option
@click.pass_context
def prices(ctx: click.Context, as_json: bool) -> None:
    """Show the price book. Without a command: every price in it, with who says so and how old it is.

    What you set goes before what a vendor's own list said last, this before the table that comes with its package, and
    this before what else the package knows. What nobody knows is called unknown, and is never 0.

    \b
    Examples:
      pointsman prices
      pointsman prices update
      pointsman prices check --max-findings 0
    """  # noqa: D301  (click wants the backspace)
    if ctx.invoked_subcommand is None:
        from .show import show_prices

        show_prices((), as_json=as_json)
    elif as_json:
        raise click.UsageError(f"--json stands after {ctx.invoked_subcommand}", ctx)


@prices.command()
@click.argument("names", nargs=-1, metavar="[PROVIDER/MODEL]...")
@_json
@debug_option
def show(names: tuple[str, ...], as_json: bool) -> None:
    """Show the price of each PROVIDER/MODEL named, of all that a PROVIDER has, or of everything.

    Nobody is asked and no key is needed. Below the price that holds stands what others say, if it differs.

    Example: pointsman prices show sambanova lan/qwen3-32b
    """
    from .show import show_prices

    show_prices(names, as_json=as_json)


@prices.command()
@click.argument("names", nargs=-1, metavar="[PROVIDER/MODEL]...")
@click.option(
    "--older-than",
    type=click.IntRange(min=0),
    default=90,
    show_default=True,
    metavar="DAYS",
    help="A price that is older is stale. One without a date is not.",
)
@click.option(
    "--only",
    "kinds",
    multiple=True,
    type=click.Choice(["unpriced", "stale", "differing"]),
    help="Look for this only; may be given more than once.",
)
@click.option(
    "--max-findings", type=click.IntRange(min=0), metavar="N", help="Exit with 7 if there is more than this to find."
)
@_json
@debug_option
def check(
    names: tuple[str, ...], older_than: int, kinds: tuple[str, ...], max_findings: int | None, as_json: bool
) -> None:
    """Look for targets that a request may go to by itself and that have no price, for prices that are old, and for
    places that say different prices of the same target.

    Nobody is asked: what vendors say is what their lists said last.

    \b
    Examples:
      pointsman prices check
      pointsman prices check sambanova --only stale --older-than 30 --max-findings 0
    """  # noqa: D301  (click wants the backspace)
    from .check import check_prices

    check_prices(names, older_than=older_than, kinds=kinds, max_findings=max_findings, as_json=as_json)


@prices.command()
@click.argument("names", nargs=-1, metavar="[PROVIDER]...")
@_json
@debug_option
def update(names: tuple[str, ...], as_json: bool) -> None:
    """Ask each PROVIDER named, else each that is ready, for its list; keep its prices, and say what has changed.

    They are kept in your cache folder, for every process of yours, until the next list. One that does not answer is
    named on stderr, and its prices stay as they were.

    Example: pointsman prices update sambanova --json | jq '.providers[].changes'
    """
    from .update import update_prices

    update_prices(names, as_json=as_json)

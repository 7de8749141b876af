"""`pointsman costs`: what calls cost, as the ledger has them; their rows, to go; and forgetting them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import click

from ..context import debug_option
from .breakeven.options import counts, per_day, seconds
from .choice import conditions, dimensions, query, tags

if TYPE_CHECKING:
    from pointsman.ledger import Table

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_ledger = click.option("--ledger", "url", metavar="URL", help="Another ledger than the one that is set.")


def _choosing(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that say which calls are meant."""
    for option in (
        click.option(
            "--tag", multiple=True, metavar="NAME=VALUE", callback=tags, help="Only calls with this tag; several."
        ),
        click.option(
            "--where",
            multiple=True,
            metavar="WHAT=VALUE",
            callback=conditions,
            help="Only this model, provider, ...: whatever --by divides by; several.",
        ),
        click.option("--until", metavar="WHEN", help="To the end of this day or month, or before this moment."),
        click.option("--since", metavar="WHEN", help="From then on: today, month, 7d, 2026-11, 2026-11-05, all."),
    ):
        command = option(command)
    return command


def _comparing(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of ``--breakeven``."""
    for option in (
        click.option(
            "--seconds",
            metavar="S",
            callback=seconds,
            help="That a request keeps one busy, in place of what was measured.",
        ),
        click.option("--tokens", metavar="IN/OUT", callback=counts, help="Of one request, in place of the ledger's."),
        click.option(
            "--requests-per-day", metavar="N", callback=per_day, help="That are asked, in place of the ledger's."
        ),
        click.option(
            "--against",
            multiple=True,
            metavar="PROVIDER/MODEL",
            help="Whose tokens; several.  [default: what vendors suggest]",
        ),
        click.option(
            "--target",
            multiple=True,
            metavar="PROVIDER/MODEL",
            help="Whose machines; several.  [default: all that are set up]",
        ),
    ):
        command = option(command)
    return command


COMPARING = {"target": "--target", "against": "--against", "requests_per_day": "--requests-per-day"} | {
    name: f"--{name}" for name in ("tokens", "seconds")
}


@click.group(invoke_without_command=True)
@click.option(
    "--by",
    multiple=True,
    metavar="WHAT",
    callback=dimensions,
    help="A line for each day, provider, model, task, operation, outcome, policy, role or tag:NAME; several.  "
    "[default: model]",
)
@_choosing
@click.option(
    "--if",
    "targets",
    multiple=True,
    metavar="PROVIDER/MODEL",
    help="What the same tokens would have cost there; several.",
)
@click.option(
    "--breakeven",
    is_flag=True,
    help="From when on a machine of your own that scales to zero is cheaper than tokens; the next five are for it.",
)
@_comparing
@_ledger
@_json
@debug_option
@click.pass_context
def costs(
    ctx: click.Context,
    /,
    by: tuple[str, ...],
    targets: tuple[str, ...],
    breakeven: bool,
    url: str | None,
    as_json: bool,
    **which: Any,
) -> None:
    """Show what calls cost: a picture on a terminal, a line for each model, and the total.

    Without --since and --until it is the last 30 days. Days are UTC's. What is known to a lower bound only is marked
    with ≥, and calls of whose cost nothing is known are counted beside the total: they are not in it, and are not free.

    \b
    Examples:
      pointsman costs
      pointsman costs --since 2026-10 --until 2026-10 --by tag:team
      pointsman costs --by day --by provider --where task=code
      pointsman costs --since month --if sambanova/gpt-oss-120b
      pointsman costs --breakeven --requests-per-day 500 --tokens 1500/400
      pointsman costs --json | jq -r .total.cost.usd
    """  # noqa: D301  (click wants the backspace)
    asked = {name: which.pop(name) for name in COMPARING}
    if ctx.invoked_subcommand is None and breakeven:
        if by or targets:
            raise click.UsageError(f"{'--by' if by else '--if'} says nothing beside --breakeven", ctx)
        from .breakeven.report import Asked, report_breakeven

        report_breakeven(url, query(**which), Asked(**asked), as_json=as_json)
        return
    if ctx.invoked_subcommand is None:
        if useless := next((COMPARING[name] for name, said in asked.items() if said not in (None, ())), None):
            raise click.UsageError(f"{useless} says something only beside --breakeven", ctx)
        from .report import report_costs

        report_costs(url, query(**which), by, targets, as_json=as_json)
        return
    said = [param for param in ctx.params if ctx.get_parameter_source(param) is not click.core.ParameterSource.DEFAULT]
    if said:
        option = {"as_json": "--json", "url": "--ledger", "targets": "--if", **COMPARING}.get(said[0], f"--{said[0]}")
        raise click.UsageError(f"{option} stands after {ctx.invoked_subcommand}, or not at all", ctx)


@costs.command()
@click.option(
    "--table",
    type=click.Choice(["calls", "attempts"]),
    default="attempts",
    show_default=True,
    help="A row for each call, or for each attempt.",
)
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True)
@_choosing
@click.option("-o", "--output", metavar="FILE", help="Where to, instead of stdout; what is there is replaced.")
@click.option("--texts", is_flag=True, help="With prompts and answers, where they were kept.")
@_ledger
@debug_option
def export(table: str, form: str, output: str | None, texts: bool, url: str | None, **which: Any) -> None:
    """Print the ledger's rows, oldest first: all of them, if no option says which.

    Money is written to the last digit, in USD. In CSV a cell that a spreadsheet would take for a formula has a ' before
    it; JSONL is as it was recorded.

    \b
    Examples:
      pointsman costs export --since 2026-10 --until 2026-10 -o october.csv
      pointsman costs export --table calls --format jsonl | jq .cost
    """  # noqa: D301  (click wants the backspace)
    from .exporting import export_rows

    export_rows(url, query(**which, days=None), cast("Table", table), form, output, texts=texts)


@costs.command()
@click.option("--before", metavar="WHEN", required=True, help="Such as 2026-01, 2026-01-15 or 90d.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@_ledger
@_json
@debug_option
def purge(before: str, yes: bool, url: str | None, as_json: bool) -> None:
    """Forget all calls that began before a moment, for good. It asks first.

    Example: pointsman costs purge --before 90d
    """
    from .purging import purge_calls

    purge_calls(url, before, yes=yes, as_json=as_json)

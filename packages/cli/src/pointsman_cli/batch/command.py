"""`pointsman batch`: many questions from a file, each answered once, whatever happens on the way."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

import click

from ..chat.options import (
    max_tokens_option,
    model_option,
    priority_option,
    system_option,
    tag_option,
    task_option,
    wishes,
)
from ..context import debug_option


def _usd(ctx: click.Context, param: click.Parameter, given: str | None) -> Decimal | None:
    if given is None:
        return None
    try:
        usd = Decimal(given.removeprefix("$"))
    except InvalidOperation:
        usd = Decimal("nan")
    if not usd.is_finite() or usd <= 0:
        raise click.BadParameter(f"{given!r} is no amount of USD: write 5, or 0.50", ctx, param)
    return usd


@click.command()
@click.argument("file", metavar="FILE")
@click.option("-o", "--output", metavar="FILE", help="Where results go.  [default: FILE.results.jsonl]")
@model_option("Who is asked where a line does not say it")
@system_option
@priority_option
@task_option
@max_tokens_option
@click.option("--temperature", type=click.FloatRange(min=0), help="How freely the model chooses its words.")
@tag_option
@click.option(
    "-c",
    "--concurrency",
    type=click.IntRange(1, 1000),
    default=8,
    show_default=True,
    help="So many lines are in flight at once.",
)
@click.option("--max-cost", metavar="USD", callback=_usd, help="Nothing new is sent once the batch has cost so much.")
@click.option("--retry-errors", is_flag=True, help="Send the lines again, too, whose result is an error.")
@click.option("--skip-invalid", is_flag=True, help="Lines that cannot be sent get an error as their result.")
@click.option("--restart", is_flag=True, help="Begin anew, and keep what is there under another name.")
@click.option("--dry-run", is_flag=True, help="Check and count all lines, say what they may cost, and send nothing.")
@click.option("--on", metavar="PROVIDER", help="On machines that this provider starts for it, such as modal.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object once it has ended.")
@debug_option
@click.pass_context
def batch(
    ctx: click.Context,
    /,
    file: str,
    output: str | None,
    models: tuple[str, ...],
    tags: dict[str, str],
    concurrency: int,
    max_cost: Decimal | None,
    retry_errors: bool,
    skip_invalid: bool,
    restart: bool,
    dry_run: bool,
    on: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Ask every line of FILE, and write a result for each.

    A line is a JSON object: {"prompt": "..."} or {"messages": [...]}, if need be with an id and what chat has options
    for (model, system, max_tokens, ...); or one of OpenAI's Batch API. A FILE of - is stdin, with --output.

    The same command goes on where it was stopped, or has crashed: what has a result is not sent again. A line that was
    in flight then is, and its result says "sent": 2.

    The exit code is 0 if all lines are answered, 1 if some ended in an error, 5 if --max-cost stopped it; a wrong key,
    or a provider that is down for all, stops it with the code of that.

    \b
    Examples:
      pointsman batch questions.jsonl --dry-run
      pointsman batch questions.jsonl -m sambanova/gpt-oss-120b --max-cost 5
      pointsman batch questions.jsonl --retry-errors
      pointsman batch questions.jsonl --on modal -m modal/qwen2.5-coder:7b
      jq -c '{id: .key, prompt: .text}' rows.json | pointsman batch - -o answers.jsonl
    """  # noqa: D301  (click wants the backspace)
    if output is None:
        if file == "-":
            raise click.UsageError("what stdin asks has no name to call its results by: add --output FILE", ctx)
        output = f"{file.removesuffix('.jsonl')}.results.jsonl"
    given = wishes(options, models, tags)

    from .run import Job, run_batch

    job = Job(
        file=file,
        output=output,
        defaults=given,
        on=on,
        concurrency=concurrency,
        max_cost=max_cost,
        retry_errors=retry_errors,
        skip_invalid=skip_invalid,
        restart=restart,
        dry_run=dry_run,
        as_json=as_json,
    )
    ctx.exit(run_batch(job))

"""`pointsman chat`: one question, one answer, as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..context import debug_option
from .options import (
    max_tokens_option,
    model_option,
    priority_option,
    require_option,
    system_option,
    tag_option,
    task_option,
    wishes,
)
from .prompt import alone, is_conversation, read_prompt

if TYPE_CHECKING:
    from pointsman.client import Prompt

    from .attachments import Attachment


@click.command()
@click.argument("prompt", required=False)
@click.argument("surplus", nargs=-1, metavar="")
@model_option("Who is asked")
@system_option
@click.option(
    "-a",
    "--attach",
    "files",
    multiple=True,
    metavar="FILE",
    help="A picture (PNG, JPEG, GIF, WebP) or a text that goes with the prompt; several, each with -a.",
)
@click.option("--schema", metavar="FILE|JSON", help="The answer is to be JSON that fits this JSON Schema.")
@priority_option
@task_option
@require_option
@max_tokens_option
@click.option("--temperature", type=click.FloatRange(min=0), help="How freely the model chooses its words.")
@click.option(
    "--deadline",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="For the whole call, failover included.",
)
@click.option(
    "--on-break",
    type=click.Choice(["raise", "restart", "continue"]),
    help="When a stream breaks after its first word: fail, start the answer anew, or let another target go on with "
    "it.  [default: raise; with --json restart]",
)
@tag_option
@click.option("-v", "--verbose", is_flag=True, help="Say on stderr who is asked, and why, before the answer.")
@click.option("--raw", is_flag=True, help="Show Markdown as it was written, also on a terminal.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object once the answer is there.")
@click.option("--json-events", is_flag=True, help="Print everything that happens as it does, a JSON object a line.")
@debug_option
def chat(
    prompt: str | None,
    surplus: tuple[str, ...],
    models: tuple[str, ...],
    files: tuple[str, ...],
    schema: str | None,
    tags: dict[str, str],
    verbose: bool,
    raw: bool,
    as_json: bool,
    json_events: bool,
    **options: Any,
) -> None:
    """Ask PROMPT, and stream the answer to stdout.

    Text that is piped in is put before PROMPT; a PROMPT of - is stdin alone. Without PROMPT, on a terminal, a
    conversation begins: /help lists its commands.

    Without -m the policy chooses among [routing] targets, else among what each ready provider suggests. With one -m
    nobody else is asked; with several, the next is asked when one fails before its first word.

    \b
    Examples:
      pointsman chat "Why is the sky blue?"
      git diff | pointsman chat "Write a commit message"
      pointsman chat -a chart.png "What does this show?"
      pointsman chat -m sambanova/gpt-oss-120b -m lan/qwen3-32b --json "Hi" | jq .cost
    """  # noqa: D301  (click wants the backspace)
    alone(prompt, surplus)
    if as_json and json_events:
        raise click.UsageError("--json and --json-events exclude each other")
    given = wishes(options, models, tags)
    if schema is not None:
        from .schema import read_schema

        given["response_schema"] = read_schema(schema)
        raw = True
    attached = _attached(files)
    if is_conversation(prompt) and not (as_json or json_events):
        from ..repl.session import talk

        talk(given, attached, raw=raw, verbose=verbose)
        return
    text = read_prompt(prompt)

    from .streaming import ask

    ask(
        _with(attached, text),
        given,
        "json" if as_json else "events" if json_events else "text",
        raw=raw,
        verbose=verbose,
    )


def _attached(files: tuple[str, ...]) -> list[Attachment]:
    if not files:
        return []
    from .attachments import read_attachment

    return [read_attachment(file) for file in files]


def _with(attached: list[Attachment], text: str) -> Prompt:
    if not attached:
        return text
    from .attachments import as_message

    return [as_message(text, attached)]

"""`pointsman route`: where a prompt would go, and why, without asking anybody."""

from __future__ import annotations

from typing import Any

import click

from ..chat.options import model_option, priority_option, system_option
from ..chat.prompt import alone, checked, read_prompt
from ..context import debug_option


@click.command()
@click.argument("prompt", required=False)
@click.argument("surplus", nargs=-1, metavar="")
@model_option("Who would be asked")
@system_option
@priority_option
@click.option(
    "--require",
    multiple=True,
    metavar="CAPABILITY",
    help="What the target must be able to do, such as tools or vision.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@debug_option
def route(prompt: str | None, surplus: tuple[str, ...], models: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Show who would answer PROMPT, in which order and why, and who is left out.

    It decides as chat does, from the same prompt and the same options, but nobody is asked, nothing is opened, and no
    token is spent.

    \b
    Examples:
      pointsman route "Why is the sky blue?"
      pointsman route --priority cost --require tools "Book a table"
      pointsman route --json - < prompt.txt | jq .decision.order
    """  # noqa: D301  (click wants the backspace)
    alone(prompt, surplus)
    given = {name: value for name, value in options.items() if value}
    if "system" in given:
        checked(given["system"], "--system")
    text = read_prompt(prompt)
    if models:
        given["model"] = models[0] if len(models) == 1 else list(models)

    from .decision import show_decision

    show_decision(text, given, as_json=as_json)

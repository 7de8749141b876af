"""`pointsman route`: where a prompt would go, and why, without asking anybody."""

from __future__ import annotations

from typing import Any

import click

from ..chat.options import (
    max_tokens_option,
    model_option,
    priority_option,
    require_option,
    system_option,
    task_option,
)
from ..chat.prompt import alone, checked, checked_task, read_prompt
from ..context import debug_option


@click.command()
@click.argument("prompt", required=False)
@click.argument("surplus", nargs=-1, metavar="")
@model_option("Who would be asked")
@system_option
@priority_option
@task_option
@require_option
@max_tokens_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@debug_option
def route(prompt: str | None, surplus: tuple[str, ...], models: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Show who would answer PROMPT, in which order and why, and who is left out.

    It decides as chat does, from the same prompt and the same options, but nobody is asked, nothing is opened, and no
    token is spent. Each part of a score is from 0 to 1, with its weight and what it was made of.

    \b
    Examples:
      pointsman route "Why is the sky blue?"
      git diff | pointsman route "Review this"
      pointsman route --priority cost --require tools "Book a table"
      pointsman route --json - < prompt.txt | jq .decision.order
    """  # noqa: D301  (click wants the backspace)
    alone(prompt, surplus)
    given = {name: value for name, value in options.items() if value not in (None, ())}
    if "system" in given:
        checked(given["system"], "--system")
    if "task" in given:
        given["task"] = checked_task(given["task"])
    text = read_prompt(prompt)
    if models:
        given["model"] = models[0] if len(models) == 1 else list(models)

    from .decision import show_decision

    show_decision(text, given, as_json=as_json)

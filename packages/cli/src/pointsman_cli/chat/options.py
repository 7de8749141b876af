"""Options of whatever takes a prompt, be it to ask it or to say where it would go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from .prompt import checked, checked_task

system_option = click.option("-s", "--system", help="An instruction that precedes the prompt.")
priority_option = click.option(
    "--priority", type=click.Choice(["balanced", "speed", "quality", "cost"]), help="What matters most."
)

task_option = click.option(
    "--task", metavar="TASK", help="What is asked, such as code_review, where you know better than the policy."
)
require_option = click.option(
    "--require",
    multiple=True,
    metavar="CAPABILITY",
    help="What the target must be able to do, such as tools or vision; several are all needed.",
)
max_tokens_option = click.option(
    "--max-tokens", type=click.IntRange(min=1), help="At most so many tokens in the answer."
)


def _tags(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """By name. Raises `click.BadParameter`."""
    tags: dict[str, str] = {}
    for text in given:
        name, equals, value = checked(text, "--tag").partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{text!r} is no tag: write NAME=VALUE, such as thread=42", ctx, param)
        tags[name] = value
    return tags


tag_option = click.option(
    "--tag",
    "tags",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_tags,
    help="Goes with the call, for whoever keeps records, and for an agent that knows its conversation by the tag "
    "thread; several, each with --tag.",
)


def model_option(who: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The targets, as `models`; the help says `who` they are."""
    said = f"{who}; several are the order."
    return click.option("-m", "--model", "models", multiple=True, metavar="PROVIDER/MODEL", help=said)


def wishes(options: Mapping[str, Any], models: tuple[str, ...], tags: Mapping[str, str]) -> dict[str, Any]:
    """What was given of these options, as a client takes it. Raises `click.UsageError`."""
    given = {name: value for name, value in options.items() if value not in (None, ())}
    if "task" in given:
        given["task"] = checked_task(given["task"])
    if "system" in given:
        checked(given["system"], "--system")
    if models:
        given["model"] = models[0] if len(models) == 1 else list(models)
    if tags:
        given["tags"] = tags
    return given

"""What ``pointsman ollama`` takes. Nothing but click is imported before a verb is run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

F = TypeVar("F", bound=Callable[..., Any])


def _names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from .names import model_names

    provider: str = ctx.params.get("provider") or "ollama"
    return [CompletionItem(name) for name in model_names(provider) if name.startswith(incomplete)]


def _common(function: F) -> F:
    """What each verb takes besides."""
    function = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(function)
    return click.option(
        "--provider",
        metavar="PROVIDER",
        default="ollama",
        show_default=True,
        help="Which of several servers, by its name in the settings.",
    )(function)


def _time(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
    """A time to stay, as the settings have it."""
    if value is None:
        return None
    from ..config import duration

    try:
        found = duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None
    if not any(digit in str(found) for digit in "123456789"):
        raise click.BadParameter("0 would unload it: that is `pointsman ollama unload`", ctx, param)
    return found


_model = click.argument("model", shell_complete=_names)


@click.group()
def ollama() -> None:
    """Pull, load and list the models of an Ollama server.

    The server is the one of the settings: OLLAMA_HOST, or POINTSMAN_OLLAMA_BASE_URL, else this machine.

    \b
    Examples:
      pointsman ollama pull qwen2.5-coder:7b
      pointsman ollama load qwen2.5-coder:7b --keep-alive 1h
      pointsman ollama ps
    """  # noqa: D301  (click wants the backspace)


@ollama.command()
@_model
@click.option("--insecure", is_flag=True, help="Allow a registry without TLS.")
@_common
def pull(model: str, insecure: bool, provider: str, as_json: bool) -> None:
    """Have the server fetch MODEL, and show how far it is.

    It goes on by itself where the connection breaks, and gives up where nothing new comes. Ctrl-C stops it; what has
    arrived stays on the server, and the next pull goes on from there.

    Example: pointsman ollama pull qwen2.5-coder:7b
    """
    from .doing import pull_model

    pull_model(provider, model, insecure=insecure, as_json=as_json)


@ollama.command()
@_model
@click.option(
    "--keep-alive",
    metavar="TIME",
    callback=_time,
    help='How long it stays after the last request: "10m", seconds, -1 for ever.  [default: as configured]',
)
@_common
def load(model: str, keep_alive: float | str | None, provider: str, as_json: bool) -> None:
    """Load MODEL into memory, so that the next request need not wait for it.

    Example: pointsman ollama load qwen2.5-coder:7b --keep-alive 1h
    """
    from .doing import load_model

    load_model(provider, model, keep_alive=keep_alive, as_json=as_json)


@ollama.command()
@_model
@_common
def unload(model: str, provider: str, as_json: bool) -> None:
    """Free the memory that MODEL takes.

    Example: pointsman ollama unload qwen2.5-coder:7b
    """
    from .doing import unload_model

    unload_model(provider, model, as_json=as_json)


@ollama.command()
@_common
def ps(provider: str, as_json: bool) -> None:
    """List the models in memory: their size, how much of it is on a graphics card, their context, and until when.

    Example: pointsman ollama ps --json | jq -r '.models[].name'
    """
    from .doing import list_running

    list_running(provider, as_json=as_json)


@ollama.command("list")
@_common
def list_(provider: str, as_json: bool) -> None:
    """List the models that the server has: their size, the context that they were trained for, and what they can do.

    Example: pointsman ollama list --json | jq -r '.models[].name'
    """
    from .doing import list_pulled

    list_pulled(provider, as_json=as_json)

"""What ``pointsman modal`` takes. Nothing but click is imported before a verb is run."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def _common(function: F) -> F:
    """What each verb takes besides."""
    function = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(function)
    return click.option(
        "--provider",
        metavar="PROVIDER",
        default="modal",
        show_default=True,
        help="Which of several deployments, by its name in the settings.",
    )(function)


def _number(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    if value is not None and not isfinite(value):
        raise click.BadParameter(f"{value} is no number of anything", ctx, param)
    return value


def _span(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Seconds."""
    if value is None:
        return None
    from .figures import seconds

    try:
        return seconds(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


_yes = click.option("-y", "--yes", is_flag=True, help="Do it without asking.")


@click.group()
def modal() -> None:
    """Deploy a model of your own to a GPU at Modal, and look after it.

    It needs an account at modal.com. Calling what is deployed, and warm without --keep, need a proxy token only.

    \b
    Examples:
      pointsman modal deploy --dry-run
      pointsman modal deploy --gpu L4
      pointsman modal status
      pointsman modal warm --keep 30m
    """  # noqa: D301  (click wants the backspace)


@modal.command()
@click.option("--model", metavar="NAME", help="As ollama.com/library calls it.  [default: qwen2.5-coder:7b]")
@click.option("--gpu", metavar="GPU,...", help="In order of preference; none for the CPU.  [default: A10,L4]")
@click.option("--region", metavar="REGION,...", help="Where it must run, which costs more; any for anywhere.")
@click.option("--min-containers", type=int, metavar="N", help="As many always run, and are billed.  [default: 0]")
@click.option("--max-containers", type=int, metavar="N", help="No more ever run: the lid on the bill.  [default: 1]")
@click.option(
    "--scaledown-window",
    metavar="TIME",
    callback=_span,
    help='How long a container stays after its last answer: "5m", seconds.  [default: 5m]',
)
@click.option("--context", type=int, metavar="TOKENS", help="The context of each request.  [default: 32768]")
@click.option("--parallel", type=int, metavar="N", help="Requests that a container answers at once.  [default: 4]")
@click.option("--cpu", type=float, metavar="CORES", help="Physical cores to ask for.  [default: 1]")
@click.option("--memory", metavar="GIB", help="Memory to ask for, in GiB.  [default: 8]")
@click.option("--name", metavar="NAME", help="Of the app at Modal.  [default: pointsman, or pointsman-PROVIDER]")
@click.option("--environment", metavar="NAME", help="The environment at Modal.  [default: the account's]")
@click.option(
    "--requests-per-day",
    type=click.FloatRange(min=0),
    metavar="N",
    callback=_number,
    help="Tell what a month costs with so many.",
)
@click.option(
    "--seconds-per-request",
    type=click.FloatRange(min=0, min_open=True),
    metavar="S",
    callback=_number,
    help="How long each keeps the model busy.  [default: 10]",
)
@click.option("--dry-run", is_flag=True, help="Show the plan and what it costs; ask nobody, and do nothing.")
@_yes
@_common
@click.pass_context
def deploy(
    ctx: click.Context,
    /,
    scaledown_window: float | None,
    requests_per_day: float | None,
    seconds_per_request: float | None,
    dry_run: bool,
    yes: bool,
    provider: str,
    as_json: bool,
    **given: Any,
) -> None:
    """Put a model on a GPU at Modal, behind a protected address, and that address into your settings.

    Shows what it will do and cost, and asks. What is not said stays as it was deployed before. Nothing runs, and
    nothing is billed, before somebody asks the model, but for what fetches its weights.

    \b
    Examples:
      pointsman modal deploy --dry-run --requests-per-day 200
      pointsman modal deploy --model qwen2.5-coder:14b --gpu L40S --yes
    """  # noqa: D301  (click wants the backspace)
    from .deploying import deploy_model
    from .plan_told import Traffic

    wanted = {name: value for name, value in given.items() if value is not None}
    if scaledown_window is not None:
        wanted["scaledown_window"] = scaledown_window
    traffic = Traffic.of(requests_per_day, seconds_per_request)
    deploy_model(provider, ctx.obj, wanted, traffic, dry_run=dry_run, yes=yes, as_json=as_json)


@modal.command()
@_common
def status(provider: str, as_json: bool) -> None:
    """Show what is deployed, whether a container is up, what it costs, and where Modal and the settings differ.

    It starts nothing. Without credentials of the account it tells what the settings say.

    Example: pointsman modal status --json | jq .containers
    """
    from .looking import show_status

    show_status(provider, as_json=as_json)


@modal.command()
@click.option(
    "--keep",
    metavar="TIME",
    callback=_span,
    help='Keep a container for so long, until this command ends: "30m". 0 ends what an earlier one left.',
)
@_common
def warm(keep: float | None, provider: str, as_json: bool) -> None:
    """Start a container, and wait until it answers, so that the next request need not.

    It stays for the scale-down window. With --keep it stays for that time, however long nobody asks, while this command
    runs; Ctrl-C ends that, too.

    \b
    Examples:
      pointsman modal warm
      pointsman modal warm --keep 30m
    """  # noqa: D301  (click wants the backspace)
    from .warming import warm_up

    warm_up(provider, keep=keep, as_json=as_json)


@modal.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on, until Ctrl-C.")
@click.option("-n", "--lines", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many.")
@_common
def logs(follow: bool, lines: int, provider: str, as_json: bool) -> None:
    """Print what the containers have written. With --json: an object for each line, where it goes on with -f.

    Example: pointsman modal logs -n 20 -f
    """
    from .looking import show_logs

    show_logs(provider, count=lines, follow=follow, as_json=as_json)


@modal.command()
@click.option("--forget", is_flag=True, help="Remove its address and what belongs to it from your settings, too.")
@_yes
@_common
@click.pass_context
def stop(ctx: click.Context, forget: bool, yes: bool, provider: str, as_json: bool) -> None:
    """Stop the app and its containers. The weights stay in their Volume, for the next deployment.

    Example: pointsman modal stop --forget
    """
    from .stopping import stop_app

    stop_app(provider, ctx.obj, forget=forget, yes=yes, as_json=as_json)

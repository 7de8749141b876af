"""`pointsman demo`: the main job, on vendors that are simulated on this machine."""

from __future__ import annotations

import click

from ..context import debug_option


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each call.")
@click.option("--plain", is_flag=True, help="No colours and no frames, also on a terminal.")
@click.option(
    "--speed",
    type=click.FloatRange(min=0.1, max=1000),
    default=10,
    show_default=True,
    help="How many times faster than a real vendor the simulated ones are.",
)
@debug_option
def demo(as_json: bool, plain: bool, speed: float) -> None:
    """See prompts answered, and failures survived, without a key and without a network.

    Vendors are simulated on this machine: servers on loopback that answer with prepared texts, at the speed of real
    vendors or a multiple of it. Everything else is what a program of yours would use: the same client, the same
    plugins, the same HTTP. One vendor refuses a prompt before its first word, one breaks off in the middle of an
    answer. Your settings and keys are not read, and nothing is recorded.
    """
    from .run import run

    run(as_json=as_json, plain=plain, speed=speed)

"""Asking, and handing what comes to whoever prints it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import anyio
import click

from pointsman import (
    PointsmanError,
    Settings,
    StreamedReply,
)
from pointsman.client import COLLECTED_DEADLINE, AsyncClient, Options

from ..context import debugging, remember
from ..log import log_to_stderr
from ..settings.variables import warn_of_unread
from ..terminal import harmless, takes_passing_lines
from .going_on import warn_if_nobody_goes_on
from .printing import Mode, Printer, printer
from .waiting import WaitingForReply

if TYPE_CHECKING:
    from pointsman.client import Prompt


def ask(prompt: Prompt, options: dict[str, Any], mode: Mode, *, raw: bool, verbose: bool = False) -> None:
    """Stream the answer to `prompt` to stdout; `raw` is Markdown as it comes, also on a terminal.

    `verbose` says on stderr who is asked, and why.

    Raises the error tree of `pointsman.errors`, and `Misfit`.
    """
    log_to_stderr(debug=debugging(click.get_current_context()))
    text = anyio.run(_ask, prompt, options, mode, raw, verbose)
    if "response_schema" in options:
        from .schema import misfit

        why = misfit(text, options["response_schema"])
        if why is not None:
            raise Misfit(why)


class Misfit(click.ClickException):
    """An answer that is not what the schema asks for."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"the answer does not fit the schema: {harmless(why)}\n"
            "  next:  ask again, a larger --max-tokens if it was cut off, or a model that keeps to schemas"
        )


async def _ask(prompt: Prompt, options: dict[str, Any], mode: Mode, raw: bool, verbose: bool) -> str:
    settings = Settings.discover()
    if mode == "json":  # Nobody sees anything before the end: the defaults of collected calls hold.
        options.setdefault("deadline", settings.engine.deadline or COLLECTED_DEADLINE)
        options.setdefault("on_break", settings.engine.on_break or "restart")
    restarts = options.get("on_break", settings.engine.on_break) == "restart"
    async with AsyncClient(settings=settings) as client:
        remember(client, options)
        warn_of_unread(client.roster)
        warn_if_nobody_goes_on(client, prompt, options)
        call = cast(Options, options)
        await warm_up(client, prompt, call)
        shown = printer(mode, restarts=restarts, raw=raw, verbose=verbose)
        return (await converse(client, prompt, call, shown)).text


async def warm_up(client: AsyncClient, prompt: Prompt, options: Options) -> None:
    """Open whoever is asked first, so that the first token is not charged with the import of an HTTP library.

    What goes wrong here goes wrong again in the call, where it is handled.
    """
    first = client.decide(prompt, **options).order[0]
    with anyio.move_on_after(1.0), suppress(PointsmanError):
        await client.connect(first.provider)


async def converse(client: AsyncClient, prompt: Prompt, options: Options, shown: Printer) -> StreamedReply:
    """One call, shown. What it raises is shown too, as far as an answer had come, and raised."""
    if not takes_passing_lines():
        return await _converse(client, prompt, options, shown, None)
    waiting = WaitingForReply()
    failure: PointsmanError | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(waiting.run)
        try:
            reply = await _converse(client, prompt, options, shown, waiting)
        except PointsmanError as error:  # Not through the group, which would wrap it.
            failure = error
        finally:
            waiting.end()
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return reply  # pyright: ignore[reportPossiblyUnboundVariable]


async def _converse(
    client: AsyncClient, prompt: Prompt, options: Options, shown: Printer, waiting: WaitingForReply | None
) -> StreamedReply:
    reply: StreamedReply | None = None
    try:
        async with client.stream(prompt, **options) as reply:
            shown.begin(reply)
            if waiting is not None:
                waiting.on(reply)
            async for event in reply.events:
                if waiting is not None and not shown.silent:
                    waiting.note(event)
                shown.show(event, reply)
    except PointsmanError as error:
        if reply is not None:
            shown.end(reply, error)
        raise
    except anyio.get_cancelled_exc_class():  # Ctrl-C.
        if reply is not None:
            shown.end(reply, None, interrupted=True)
        raise
    shown.end(reply, None)
    return reply

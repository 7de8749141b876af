"""Asking, and printing what comes: as text, as one JSON object, or as one for each event."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any, Literal, Protocol, TypeAlias, cast

import anyio
import click

from pointsman import (
    AttemptFailed,
    PointsmanError,
    ReasoningDelta,
    Retracted,
    Settings,
    Started,
    StreamedReply,
    StreamEvent,
    TextDelta,
)
from pointsman.client import COLLECTED_DEADLINE, AsyncClient, Options

from . import as_json, figures
from .context import debugging, remember, told
from .report import log_to_stderr
from .terminal import is_terminal, note, out

Mode: TypeAlias = Literal["text", "json", "events"]


class Printer(Protocol):
    """How a call is shown."""

    def show(self, event: StreamEvent, reply: StreamedReply) -> None:
        """An event, as it comes."""

    def end(self, reply: StreamedReply, failure: PointsmanError | None, *, interrupted: bool = False) -> None:
        """The call is over, and its attempts are closed."""


def ask(prompt: str, options: dict[str, Any], mode: Mode) -> None:
    """Stream the answer to `prompt` to stdout. Raises the error tree of `pointsman.errors`."""
    log_to_stderr(debug=debugging(click.get_current_context()))
    anyio.run(_ask, prompt, options, mode)


async def _ask(prompt: str, options: dict[str, Any], mode: Mode) -> None:
    settings = Settings.discover()
    if mode == "json":  # Nobody sees anything before the end: the defaults of collected calls hold.
        options.setdefault("deadline", settings.engine.deadline or COLLECTED_DEADLINE)
        options.setdefault("on_break", settings.engine.on_break or "restart")
    restarts = options.get("on_break", settings.engine.on_break) == "restart"
    async with AsyncClient(settings=settings) as client:
        remember(client)
        call = cast(Options, options)
        await _warm_up(client, prompt, call)
        await converse(client, prompt, call, printer(mode, restarts=restarts))


async def _warm_up(client: AsyncClient, prompt: str, options: Options) -> None:
    """Open whoever is asked first, so that the first token is not charged with the import of an HTTP library.

    What goes wrong here goes wrong again in the call, where it is handled.
    """
    first = client.decide(prompt, **options).order[0]
    with anyio.move_on_after(1.0), suppress(PointsmanError):
        await client.connect(first.provider)


def printer(mode: Mode, *, restarts: bool) -> Printer:
    """What shows a call; `restarts` says whether its answer may be retracted."""
    match mode:
        case "json":
            return WholeJson()
        case "events":
            return JsonLines()
        case "text":
            return PlainText(held=restarts and not is_terminal(sys.stdout))


async def converse(client: AsyncClient, prompt: str, options: Options, shown: Printer) -> StreamedReply:
    """One call, shown. What it raises is shown too, as far as an answer had come, and raised."""
    reply: StreamedReply | None = None
    try:
        async with client.stream(prompt, **options) as reply:
            async for event in reply.events:
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


class WholeJson:
    """One object at the end, also of an answer that did not become whole: what was spent was spent."""

    def show(self, event: StreamEvent, reply: StreamedReply) -> None:
        pass

    def end(self, reply: StreamedReply, failure: PointsmanError | None, *, interrupted: bool = False) -> None:
        why = as_json.INTERRUPTED if interrupted else as_json.error(failure)
        out(as_json.dumps(as_json.reply(reply, why)))


class JsonLines:
    """One object for each event. The last is ``finished`` or ``error``; a stream without either is not whole."""

    def show(self, event: StreamEvent, reply: StreamedReply) -> None:
        out(as_json.dumps(as_json.event(event)))

    def end(self, reply: StreamedReply, failure: PointsmanError | None, *, interrupted: bool = False) -> None:
        why = as_json.INTERRUPTED if interrupted else as_json.error(failure)
        if why is not None:
            out(as_json.dumps({"type": "error", "error": why}))


class PlainText:
    """The text as it flows, and on stderr who failed on the way.

    A terminal cannot take back what it has shown: a retraction draws a line, and the answer starts again below it.
    Where stdout is no terminal and an answer may be retracted, its text is held until it is whole.
    """

    def __init__(self, *, held: bool = False) -> None:
        self._terminal = is_terminal(sys.stdout)
        self._held: list[str] | None = [] if held else None
        self._untold: AttemptFailed | None = None
        self._in_line = False
        self._thinking = False

    def show(self, event: StreamEvent, reply: StreamedReply) -> None:
        match event:
            case TextDelta(text):
                if self._held is None:
                    self._write(text)
                else:
                    self._held.append(text)
            case AttemptFailed():
                self._tell()
                self._untold = event
                if len(reply.decision.order) > 1:
                    self._tell()  # Of the only target, the error tells, unless another try follows.
            case Started(target, number):
                self._tell()
                if number > 1:
                    note(f"→ {target} answers")
            case Retracted(reason):
                note_ = SEPARATOR if self._held is None else "What had arrived is dropped; the answer starts again."
                self._end_line()
                self._held = None if self._held is None else []
                note(f"✗ {reason}")
                note(note_)
            case ReasoningDelta() if not self._thinking and self._terminal:
                self._thinking = True
                note("thinking …", dim=True)
            case _:
                pass

    def end(self, reply: StreamedReply, failure: PointsmanError | None, *, interrupted: bool = False) -> None:
        for text in self._held or ():
            self._write(text)
        self._end_line()
        if reply.finish_reason in _CUT_OFF:
            note(f"The answer was cut off: {_CUT_OFF[reply.finish_reason]}.")
        elif reply.finish_reason is not None and not reply.text:
            note("The answer is empty.")
        if failure is None and not interrupted and self._terminal and is_terminal(sys.stderr):
            note(" · ".join(facts(reply)), dim=True)

    def _write(self, text: str) -> None:
        if text:
            out(text, end="")
            self._in_line = not text.endswith("\n")

    def _end_line(self) -> None:
        if self._in_line:
            out("")
            self._in_line = False

    def _tell(self) -> None:
        if self._untold is not None:
            note(f"✗ {self._untold.error}")
            told(click.get_current_context()).append(self._untold.error)
            self._untold = None


SEPARATOR = "─── What stands above is withdrawn; the answer starts again. ───"

_CUT_OFF = {
    "length": "it reached the token limit (--max-tokens, or the model's own)",
    "content_filter": "by the vendor's content filter",
}


def facts(reply: StreamedReply) -> list[str]:
    """Who answered, how fast, and for how much."""
    return [
        str(reply.target),
        f"first token {figures.seconds(reply.timings.ttft)}",
        figures.speed(reply.timings),
        figures.tokens(reply.usage),
        figures.price(reply.cost),
    ]

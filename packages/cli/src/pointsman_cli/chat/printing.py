"""What comes of a call, printed: as text, as one JSON object, or as one for each event."""

from __future__ import annotations

import sys
from typing import Literal, Protocol, TypeAlias

import click

from pointsman import (
    AttemptFailed,
    Decision,
    PointsmanError,
    ReasoningDelta,
    Resumed,
    Retracted,
    Started,
    StreamedReply,
    StreamEvent,
    TextDelta,
)

from .. import as_json, figures
from ..context import told
from ..listing import say, wrapped
from ..terminal import is_terminal, note, out

Mode: TypeAlias = Literal["text", "json", "events"]


class Printer(Protocol):
    """How a call is shown."""

    silent: bool
    """Whether nothing is shown before the end."""

    def begin(self, reply: StreamedReply) -> None:
        """It is decided who is asked."""

    def show(self, event: StreamEvent, reply: StreamedReply) -> None:
        """An event, as it comes."""

    def end(self, reply: StreamedReply, failure: PointsmanError | None, *, interrupted: bool = False) -> None:
        """The call is over, and its attempts are closed."""


def printer(mode: Mode, *, restarts: bool, raw: bool, verbose: bool = False) -> Printer:
    """What shows a call; `restarts` says whether its answer may be retracted, `verbose` is for why who is asked."""
    match mode:
        case "json":
            return WholeJson()
        case "events":
            return JsonLines()
        case "text":
            held = restarts and not is_terminal(sys.stdout)
            return AnswerText(paper(raw=raw), told(click.get_current_context()), held=held, verbose=verbose)


class Paper(Protocol):
    """Where the text of an answer goes."""

    def put(self, text: str) -> None:
        """More text."""

    def end(self, *, leave: bool = False) -> None:
        """The text is over, or broken off; what stands there may yet be made nicer, but for `leave`."""


class Plain:
    """The text as it flows."""

    def __init__(self) -> None:
        self._in_line = False

    def put(self, text: str) -> None:
        if text:
            out(text, end="")
            self._in_line = not text.endswith("\n")

    def end(self, *, leave: bool = False) -> None:
        if self._in_line:
            out("")
            self._in_line = False


def paper(*, raw: bool) -> Paper:
    """Rendered Markdown on a terminal that can show it, unless the text is wanted raw."""
    if not raw and is_terminal(sys.stdout):
        from ..markdown.view import MarkdownView, can_render, preload

        if can_render():
            preload()
            return MarkdownView()
    return Plain()


class WholeJson:
    """One object at the end, also of an answer that did not become whole: what was spent was spent."""

    silent = True

    def begin(self, reply: StreamedReply) -> None:
        pass

    def show(self, event: StreamEvent, reply: StreamedReply) -> None:
        pass

    def end(self, reply: StreamedReply, failure: PointsmanError | None, *, interrupted: bool = False) -> None:
        why = as_json.INTERRUPTED if interrupted else as_json.error(failure)
        out(as_json.dumps(as_json.reply(reply, why)))


class JsonLines:
    """One object for each event. The last is ``finished`` or ``error``; a stream without either is not whole."""

    silent = False

    def begin(self, reply: StreamedReply) -> None:
        pass

    def show(self, event: StreamEvent, reply: StreamedReply) -> None:
        out(as_json.dumps(as_json.event(event)))

    def end(self, reply: StreamedReply, failure: PointsmanError | None, *, interrupted: bool = False) -> None:
        why = as_json.INTERRUPTED if interrupted else as_json.error(failure)
        if why is not None:
            out(as_json.dumps({"type": "error", "error": why}))


class AnswerText:
    """The text, and on stderr who failed on the way.

    A terminal cannot take back what it has shown: a retraction draws a line, and the answer starts again below it.
    Where stdout is no terminal and an answer may be retracted, its text is held until it is whole. Where another target
    goes on with an answer, that is told below it.
    """

    silent = False

    def __init__(self, paper: Paper, told: list[BaseException], *, held: bool = False, verbose: bool = False) -> None:
        self._paper = paper
        self._verbose = verbose
        self.told = told
        """Errors that have been shown."""
        self._terminal = is_terminal(sys.stdout)
        self._held: list[str] | None = [] if held else None
        self._untold: list[PointsmanError] = []
        """Failures that say the same, and have not been shown."""
        self._said: set[tuple[object, ...]] = set()
        self._thinking = False
        self._answering = False
        self._below: list[str] = []
        """What is told once the answer is over, so as not to stand in the middle of it."""
        self.reply: StreamedReply | None = None
        """Once there is a call."""

    def begin(self, reply: StreamedReply) -> None:
        if self._verbose:
            for line in why(reply.decision):
                say(line, dim=True)

    def show(self, event: StreamEvent, reply: StreamedReply) -> None:
        self.reply = reply
        match event:
            case TextDelta(text):
                if self._held is None:
                    self._paper.put(text)
                else:
                    self._held.append(text)
            case AttemptFailed() if self._answering:
                self.told.append(event.error)
                self._below.append(f"✗ {event.error}")
            case Resumed(target):
                self._below.append(f"→ {target} went on where the answer had broken off")
            case AttemptFailed():
                self._failed(event.error, alone=len(reply.decision.order) == 1)
            case Started(target, number):
                self._answering = True
                self._tell()
                if number > 1:
                    say(f"→ {target} answers")
            case Retracted(reason):
                note_ = SEPARATOR if self._held is None else "What had arrived is dropped; the answer starts again."
                self._paper.end(leave=True)
                self._held = None if self._held is None else []
                self._answering = False
                self._tell_below()
                say(f"✗ {reason}")
                say(note_)
            case ReasoningDelta() if not self._thinking and self._terminal:
                self._thinking = True
                note("thinking …", dim=True)
            case _:
                pass

    def end(self, reply: StreamedReply, failure: PointsmanError | None, *, interrupted: bool = False) -> None:
        for text in self._held or ():
            self._paper.put(text)
        self._paper.end(leave=interrupted)
        self._tell_below()
        if failure is not None and self._untold:
            if _gist(failure) != _gist(self._untold[-1]):
                self._tell()
            elif len(self._untold) > 1:
                failure.add_note(f"tried {len(self._untold)} times")
        if reply.finish_reason in _CUT_OFF:
            say(f"The answer was cut off: {_CUT_OFF[reply.finish_reason]}.")
        elif reply.finish_reason is not None and not reply.text:
            say("The answer is empty.")
        if failure is None and not interrupted and self._terminal and is_terminal(sys.stderr):
            note(wrapped(" · ".join(facts(reply))), dim=True)

    def _failed(self, error: PointsmanError, *, alone: bool) -> None:
        """Tell what failed, once. Of the only target, the error tells it, unless something else follows."""
        if _gist(error) in self._said:
            self.told.append(error)
            return
        if self._untold and _gist(error) != _gist(self._untold[-1]):
            self._tell()
        self._untold.append(error)
        if not alone:
            self._tell()

    def _tell_below(self) -> None:
        for text in self._below:
            say(text)
        self._below.clear()

    def _tell(self) -> None:
        if self._untold:
            times = f" (tried {len(self._untold)} times)" if len(self._untold) > 1 else ""
            say(f"✗ {self._untold[-1]}{times}")
            self._said.add(_gist(self._untold[-1]))
            self.told += self._untold
            self._untold.clear()


def _gist(error: PointsmanError) -> tuple[object, ...]:
    """What two errors have in common that say the same: each request has an id of its own."""
    return error.where, error.message, error.status


SEPARATOR = "─── What stands above is withdrawn; the answer starts again. ───"

_CUT_OFF = {
    "length": "it reached the token limit (--max-tokens, or the model's own)",
    "content_filter": "by the vendor's content filter",
}


def why(decision: Decision) -> list[str]:
    """Who is asked, and why, in a few words; `pointsman route` says all of it."""
    order = ", then ".join(map(str, decision.order))
    sure = "" if decision.confidence in (None, 1) else f" ({decision.confidence:.2f})"  # 1 is what the caller has said.
    hard = "" if decision.difficulty is None else f", difficulty {decision.difficulty:.2f}"
    taken = [f"  taken for {decision.task}{sure}{hard}"] if decision.task else []
    left_out = [f"  not {item.target}: {item.reason}" for item in decision.excluded if item.target.model != "*"]
    return [f"→ {order}", *taken, f"  {decision.policy}: {decision.reason}", *left_out]


def facts(reply: StreamedReply) -> list[str]:
    """Who answered, what it was taken for, how fast, and for how much."""
    return [
        str(reply.target),
        *([reply.decision.task] if reply.decision.task else ()),
        f"first token {figures.seconds(reply.timings.ttft)}",
        figures.speed(reply.timings),
        figures.tokens(reply.usage),
        figures.price(reply.cost),
    ]

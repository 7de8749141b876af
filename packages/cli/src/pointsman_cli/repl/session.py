"""The conversation that `pointsman chat` holds on a terminal.

The client lives in an event loop in a thread of its own, so that connections are looked after while somebody types.
The main thread waits for what is typed, and for Ctrl-C: Python handles signals there and nowhere else.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, cast

import anyio
import click
from anyio.from_thread import BlockingPortal, start_blocking_portal

from pointsman import PointsmanError, Settings
from pointsman.client import AsyncClient, Options

from ..chat.attachments import Attachment
from ..chat.going_on import warn_if_nobody_goes_on
from ..chat.printing import AnswerText, paper
from ..chat.prompt import checked
from ..chat.streaming import converse
from ..context import debugging, remember
from ..listing import say
from ..log import log_to_stderr
from ..report import report
from ..settings.variables import warn_of_unread
from ..terminal import is_terminal, note
from .commands import HELP, MEANS, Commands, remark
from .lines import Lines, unechoed
from .talk import Talk


def talk(options: dict[str, Any], attached: list[Attachment], *, raw: bool, verbose: bool = False) -> None:
    """Ask what is typed, one after the other, until there is no more. `options` are those of each call.

    Raises the error tree of `pointsman.errors` for what makes a conversation impossible from the start.
    """
    log_to_stderr(debug=debugging(click.get_current_context()))
    conversation = Talk(options, attached)
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(AsyncClient(settings=Settings.discover())) as client,
    ):
        remember(client)
        warn_of_unread(client.roster)
        first, by_question = conversation.decided(client)
        warn_if_nobody_goes_on(client, "?", options)
        Session(portal, client, conversation, raw=raw, verbose=verbose).run(first, by_question=by_question)


class Session:
    """Reads and answers."""

    def __init__(
        self, portal: BlockingPortal, client: AsyncClient, conversation: Talk, *, raw: bool, verbose: bool = False
    ) -> None:
        self._portal = portal
        self._client = client
        self._talk = conversation
        self._raw = raw
        self._verbose = verbose
        self._commands = Commands(conversation, client)
        self._lines = Lines(self._commands.completions)
        self._may_raise = False
        """Whether Ctrl-C may be raised where we are. Elsewhere it is noted, for it would come between two steps."""
        self._stop = False
        """Whether it was noted."""
        self._scope: anyio.CancelScope | None = None
        """Of the answer that comes, in the loop's thread."""

    def run(self, first: str, *, by_question: bool) -> None:
        """Until Ctrl-D, or /exit. `first` is who will be asked, unless that goes `by_question`."""
        remark(f"{'each question where it fits' if by_question else first} · {HELP} · Ctrl-D leaves")
        for attachment in self._talk.attached:
            remark(f"{attachment} goes with what you say next")
        with self._interrupts():
            self._open(first)
            for text in self._texts():
                self._turn(text)

    def _texts(self) -> Iterator[str]:
        """What is to be asked; commands are obeyed on the way."""
        presses = 0
        while True:
            try:
                self._stop, self._may_raise = False, True
                text = self._lines.read()
                presses = 0
                said = self._obeyed(text)
                self._may_raise = False
                if text is None or self._commands.leaving:
                    return
                if said is not None:
                    yield said
            except click.UsageError as error:
                self._may_raise = False
                say(error.format_message())
            except PointsmanError as error:
                self._may_raise = False
                self._report(error)
            except KeyboardInterrupt:
                presses += 1
                note("")  # What the terminal makes of the key, ^C, stands in the line.
                if presses > 1:
                    remark("To leave: Ctrl-D, or /exit")

    def _obeyed(self, text: str | None) -> str | None:
        return self._commands.obey(checked(text, "what you typed")) if text and text.strip() else None

    def _turn(self, text: str) -> None:
        """Ask, show, and keep what is worth keeping."""
        message = self._talk.say(text)
        shown = AnswerText(paper(raw=self._raw), [], verbose=self._verbose)
        failure: PointsmanError | None = None
        try:
            with unechoed():
                self._wait(self._portal.start_task_soon(self._ask, shown))
        except PointsmanError as error:
            failure = error
            self._report(error, shown)
        answer = shown.reply.text if shown.reply else ""
        kept = self._talk.heard(message, answer)
        if self._stop:
            remark(f"Stopped. {kept}")
        elif failure is not None or not answer.strip():
            remark(kept)
        elif (why := self._talk.misfit()) is not None:
            say(f"The answer does not fit the schema: {why}")

    @staticmethod
    def _wait(future: Future[None]) -> None:
        # Where a wait cannot be interrupted, it must end by itself for Ctrl-C to be heard.
        while not wait([future], 0.2 if sys.platform == "win32" else None).done:
            pass
        future.result()

    async def _ask(self, shown: AnswerText) -> None:
        with anyio.CancelScope() as scope:
            self._scope = scope
            if self._stop:
                scope.cancel()
            try:
                await converse(self._client, self._talk.messages, cast(Options, self._talk.options), shown)
            finally:
                self._scope = None

    def _open(self, first: str) -> None:
        """Connect while the first question is typed. What goes wrong here goes wrong again where it is handled."""
        if not self._raw and is_terminal(sys.stdout):
            paper(raw=False)  # Which loads what it needs, meanwhile.

        async def connect() -> None:
            with suppress(Exception):
                await self._client.connect(first.partition("/")[0])

        self._portal.start_task_soon(connect)

    @contextmanager
    def _interrupts(self) -> Generator[None]:
        """Ctrl-C stops the answer that comes; at the prompt it is a `KeyboardInterrupt`, as ever."""

        def interrupted(number: int, frame: FrameType | None) -> None:
            if self._may_raise:
                self._may_raise = False  # Once: another would come while this one is handled.
                raise KeyboardInterrupt
            self._stop = True
            if self._scope is not None:
                self._portal.start_task_soon(_cancel, self._scope)

        before: Callable[..., Any] | int | None = signal.signal(signal.SIGINT, interrupted)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _report(self, error: PointsmanError, shown: AnswerText | None = None) -> None:
        ctx = click.get_current_context()
        report(
            error,
            debug=debugging(ctx),
            roster=self._client.roster,
            told=shown.told if shown else (),
            means=MEANS,
            options=self._talk.options,
        )


def _cancel(scope: anyio.CancelScope) -> None:
    scope.cancel()

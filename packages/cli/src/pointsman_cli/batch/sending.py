"""Lines, sent through the client: so many at once, each marked before and answered once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import anyio

from pointsman import AsyncClient, ChatRequest, PointsmanError, RateLimited, Reply, StreamedReply
from pointsman.client import COLLECTED_DEADLINE, Options

from .committing import Committer
from .lines import Asked
from .log import Log
from .openai_form import WrongLine
from .results import RESENT, cost_before, of_error, of_reply, of_wrong
from .stopping import Stop, each, is_nothing

MAX_WAIT = 60.0
"""Seconds that a line may wait for a cooldown, where it does not say: nobody looks on."""

LIMITED = 600.0
"""Seconds for which a line that meets nothing but rate limits is tried again, where it does not say (`max_wait`)."""
PAUSE, LEAST_PAUSE = 2.0, 0.25
"""Seconds between two tries, where a vendor does not say how long, and at least."""
PATIENCE = 30.0
"""Seconds that lines in flight have to end once one has shown that it cannot go on: they may only be waiting, too."""

Todo = Iterator[tuple[int, Asked | WrongLine]]
"""Lines that have to be sent, in order; read as they are taken."""


class Sender:
    """Of one run."""

    def __init__(self, client: AsyncClient, log: Log, committer: Committer, stop: Stop, todo: Todo) -> None:
        self._client = client
        self._log = log
        self._committer = committer
        self._stop = stop
        self._todo = todo
        self.sent = 0
        self.stuck = False
        self.scope = anyio.CancelScope()
        """Of all that is in flight."""

    async def run(self, at_once: int) -> None:
        """Send all lines, until one of them, or somebody, says stop; what is in flight then is finished."""
        with self.scope:
            async with anyio.create_task_group() as group:
                for _ in range(at_once):
                    group.start_soon(self._work)

    async def _work(self) -> None:
        try:
            while self._goes_on() and (taken := next(self._todo, None)) is not None:
                number, asked = taken
                if isinstance(asked, WrongLine):
                    self._committer.keep(of_wrong(number, asked))
                else:
                    await self._send(number, asked)
        except Exception as error:  # A full disk, a changed input, a bug: the others finish what they have begun.
            self._stop.fail(error)
        if self._stop.reason == "error":
            self.scope.deadline = min(self.scope.deadline, anyio.current_time() + PATIENCE)

    def _goes_on(self) -> bool:
        self._stop.settled(self._log.progress.settled())
        return self._stop.reason is None

    async def _send(self, number: int, asked: Asked) -> None:
        progress = self._log.progress
        earlier, sent = self._log.before(number), progress.sent(number) + 1
        await self._committer.mark(number, sent)
        if not self._goes_on():
            self._committer.unmark(number, sent - 1)
            return
        before = cost_before(progress, number, earlier)
        self.sent += 1
        try:
            reply = await self._answer(number, asked, sent)
        except PointsmanError as error:
            if self._stop.failed(error):
                self._committer.keep(of_error(number, asked.id, sent, before, error))
            else:
                self._committer.unmark(number, sent - 1)
        else:
            self._stop.answered(reply.target.provider)
            self._committer.keep(of_reply(number, asked.id, sent, before, reply, misfit_of(asked, reply)))

    async def _answer(self, number: int, asked: Asked, sent: int) -> Reply:
        """The whole answer. A rate limit is waited for: it is what a batch meets if it goes well."""
        until = anyio.current_time() + asked.options.get("max_wait", LIMITED)
        while True:
            try:
                return await self._try(number, asked, sent)
            except PointsmanError as error:
                pause = limited_for(error, anyio.current_time())
                if pause is None or anyio.current_time() + pause > until:
                    raise
                await self._rest(number, sent, pause)
                if not self._goes_on():
                    raise

    async def _try(self, number: int, asked: Asked, sent: int) -> Reply:
        streamed: StreamedReply | None = None
        try:
            async with self._client.stream(tagged(asked, sent), **self._options(asked)) as streamed:
                return await streamed.collect()
        except anyio.get_cancelled_exc_class():
            if streamed is None or all(is_nothing(attempt) for attempt in streamed.attempts):
                self._committer.unmark(number, sent - 1)
            raise
        except PointsmanError as error:
            error.attempts = streamed.attempts if streamed else ()
            raise

    async def _rest(self, number: int, sent: int, seconds: float) -> None:
        try:
            await anyio.sleep(seconds)
        except anyio.get_cancelled_exc_class():
            self._committer.unmark(number, sent - 1)
            raise

    def _options(self, asked: Asked) -> Options:
        """Those of a collected answer, for a reader who does not look on."""
        engine = self._client.roster.settings.engine
        given: dict[str, Any] = {"max_wait": MAX_WAIT, "on_break": engine.on_break or "restart", **asked.options}
        given["deadline"] = asked.request.deadline or engine.deadline or COLLECTED_DEADLINE
        return cast(Options, {**given, "model": asked.model})


def tagged(asked: Asked, sent: int) -> ChatRequest:
    """What is asked; a call that may be paid for another time has a tag that says so."""
    if sent == 1:
        return asked.request
    return replace(asked.request, tags={**asked.request.tags, RESENT: str(sent)})


def limited_for(error: PointsmanError, now: float) -> float | None:
    """Seconds until a rate limit has passed, if that is all that keeps the line from being answered."""
    errors = list(each(error))
    if not all(isinstance(one, RateLimited) for one in errors) or not all(map(is_nothing, error.attempts)):
        return None
    return max(LEAST_PAUSE, min(now + PAUSE if one.retry_at is None else one.retry_at for one in errors) - now)


def misfit_of(asked: Asked, reply: Reply) -> str | None:
    """Why an answer is not what its schema asks for."""
    schema = asked.request.response_schema
    if schema is None:
        return None
    from ..chat.schema import misfit

    return misfit(reply.text, schema)

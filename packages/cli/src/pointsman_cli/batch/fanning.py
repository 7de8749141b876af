"""Lines, answered on machines that a provider starts for them (`--on`), beside the event loop: its `FanOut` blocks."""

from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import anyio
import anyio.to_thread

from pointsman import (
    AsyncClient,
    CallRecord,
    ChatRequest,
    Cost,
    FanAnswer,
    FanOut,
    PluginError,
    Reply,
    Target,
)
from pointsman.asking import schema_reader

from .committing import Committer
from .lines import Asked
from .log import Log
from .openai_form import WrongLine
from .results import cost_before, of_error, of_reply, of_wrong
from .sending import Todo, misfit_of, tagged
from .stopping import Stop

LEAVING = 2.0
"""Seconds for a provider to end what its machines still run, once nobody waits for it any more."""
ENDING = 1.0
"""Seconds for the thread that waits for them to end after that. Who leaves one behind has to leave hard."""


class Flying(NamedTuple):
    """A line that the machines have taken."""

    asked: Asked
    request: ChatRequest
    sent: int
    before: Cost


class Requests:
    """What the machines take, as they get free, in whichever thread: each is marked before it is handed over."""

    def __init__(self, log: Log, stop: Stop, todo: Todo) -> None:
        self._log = log
        self._stop = stop
        self._todo = todo
        self._lock = threading.Lock()
        self.flying: dict[int, Flying] = {}
        self.sent = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> tuple[int, ChatRequest]:
        with self._lock:
            try:
                while self._goes_on():
                    number, asked = next(self._todo)
                    if isinstance(asked, WrongLine):
                        self._log.commit([], [of_wrong(number, asked)])
                    else:
                        return number, self._taken(number, asked)
            except StopIteration:
                pass
            except Exception as error:  # A full disk, a changed input: what is out is waited for.
                self._stop.fail(error)
            raise StopIteration

    def _taken(self, number: int, asked: Asked) -> ChatRequest:
        progress = self._log.progress
        earlier, sent = self._log.before(number), progress.sent(number) + 1
        self._log.commit([(number, sent)], [])
        request = tagged(asked, sent).for_model(asked.targets[0].model)
        self.flying[number] = Flying(asked, request, sent, cost_before(progress, number, earlier))
        self.sent += 1
        return request

    def _goes_on(self) -> bool:
        self._stop.settled(self._log.progress.settled())
        return self._stop.reason is None


@dataclass(slots=True)
class FanSender:
    """Of one run; see `sending.Sender`."""

    client: AsyncClient
    committer: Committer
    stop: Stop
    requests: Requests
    name: str
    fan_out: FanOut
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    _thread: threading.Thread | None = None

    @property
    def sent(self) -> int:
        return self.requests.sent

    @property
    def stuck(self) -> bool:
        """Whether the thread waits for the machines still, though nobody waits for it."""
        return self._thread is not None and self._thread.is_alive()

    async def run(self, at_once: int) -> None:
        """Send all lines, until somebody says stop. If it is cancelled, what the machines run is ended, and the thread
        that waits for them is left to itself.
        """
        loop, arrived, machines = asyncio.get_running_loop(), list[FanAnswer | None](), ExitStack()
        wanted = anyio.Event()

        def take(answer: FanAnswer | None) -> None:
            arrived.append(answer)
            wanted.set()

        def work() -> None:
            config: Any = self.client.roster.configured(self.name).config
            try:
                with machines:
                    for answer in machines.enter_context(
                        self.fan_out(config, self.name, self.requests, at_once=at_once)
                    ):
                        if self.scope.cancel_called:
                            return
                        loop.call_soon_threadsafe(take, answer)
            except BaseException as error:  # Also what cancels a task of the provider's own: it must be told here.
                if not self.scope.cancel_called:
                    self.stop.fail(error)
            if not self.scope.cancel_called:
                loop.call_soon_threadsafe(take, None)

        self._thread = thread = threading.Thread(target=work, name=f"pointsman batch --on {self.name}", daemon=True)
        thread.start()
        with self.scope:
            while True:
                await wanted.wait()
                wanted = anyio.Event()
                while arrived:
                    if (answer := arrived.pop(0)) is None:
                        thread.join()
                        self._check_all_answered()
                        return
                    try:
                        self._settle(answer)
                    except Exception as error:  # A bug of whoever answered: the others' answers are kept.
                        self.stop.fail(error)
        with anyio.move_on_after(LEAVING, shield=True):
            with suppress(Exception):  # Nobody minds any more.
                await anyio.to_thread.run_sync(machines.close, abandon_on_cancel=True)
            await anyio.to_thread.run_sync(thread.join, ENDING, abandon_on_cancel=True)

    def _settle(self, answer: FanAnswer) -> None:
        number = answer.number
        flying = self.requests.flying.pop(number, None)
        if flying is None:
            self.stop.fail(PluginError(f"it answered what it was not asked, or twice: {number}", plugin=self.name))
            return
        target = flying.asked.targets[0]
        record, error = self.client.record(flying.request, target, answer), answer.error
        id_, sent, before = flying.asked.id, flying.sent, flying.before
        if error is None:
            self.stop.answered(target.provider)
            reply = _reply(flying.request, target, answer, record)
            self.committer.keep(of_reply(number, id_, sent, before, reply, misfit_of(flying.asked, reply)))
            return
        error.attempts = record.attempts
        if self.stop.failed(error):
            self.committer.keep(of_error(number, id_, sent, before, error))
        else:
            self.committer.unmark(number, sent - 1)

    def _check_all_answered(self) -> None:
        if self.requests.flying and self.stop.reason is None:
            lacking = len(self.requests.flying)
            self.stop.fail(PluginError(f"it ended without an answer to {lacking} requests", plugin=self.name))


def _reply(request: ChatRequest, target: Target, answer: FanAnswer, record: CallRecord) -> Reply:
    return Reply(
        text=answer.text,
        reasoning=answer.reasoning,
        tool_calls=answer.tool_calls,
        finish_reason=answer.finish_reason,
        target=target,
        usage=answer.usage,
        cost=record.cost,
        timings=record.timings,
        attempts=record.attempts,
        decision=record.decision,
        events=(),
        _read_schema=schema_reader(request.response_schema),
    )

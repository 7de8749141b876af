"""Acting on what the machine decides: one call, on asyncio and trio alike.

Rules, each from a measurement (`benchmarks/overhead.py`):

1. Every attempt is a task in a task group that the ``async with`` of the stream owns, never inside a generator. The
   tasks never raise, so the reader's body is never cancelled by ours; its end cancels them.
2. Events cross to the reader through a `Channel`, which makes an Event only while a side waits.
3. Timers are not re-armed for each event: one watchdog sleeps until the machine's `due` and asks again.
4. A reader that falls a window behind pauses the provider, and with it the provider's clocks.

Whatever an attempt shows is told to `Health` before the machine looks there for the next.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from ..cost import floor_usage
from ..errors import ConfigError, DeadlineExceeded, PointsmanError, Refused, StreamBroken
from ..plugins import HookCallables
from ..types import (
    ChatRequest,
    Finished,
    ReasoningDelta,
    Retracted,
    TextDelta,
    Timings,
    ToolCallDelta,
    Unknown,
)
from .attempt import Attempt
from .bill import Bill
from .channel import WINDOW, Channel
from .contain import contained
from .faults import locate, named, refuse_more, refuse_odd
from .health import Health
from .machine import Machine
from .seam import Seamed, sequel
from .terms import Cancel, Command, Emit, Leg, Limits, Phase, Settle, Start

TAIL = 0.05
"""Seconds that a finished attempt may read on after its answer, so that its connection can be used again."""
SPEED_FROM = 1.0
"""Seconds that an answer must have flowed before its speed says anything."""

log = logging.getLogger("pointsman")


class Opener(Protocol):
    """What the runner needs of `Connections`."""

    async def open(self, name: str) -> HookCallables: ...


class Call:
    """One call. Enter it, read its `channel` to the end, leave it."""

    def __init__(
        self,
        request: ChatRequest,
        plan: Sequence[Leg],
        limits: Limits,
        connections: Opener,
        health: Health,
        clock: Callable[[], float],
        redact: Callable[[BaseException], None],
    ) -> None:
        self.request = request
        self.channel = Channel()
        self.attempts: list[Attempt] = []
        self.winner: Attempt | None = None
        """The attempt whose answer stands or is being streamed."""
        self.finished: Finished | None = None
        self.error: PointsmanError | None = None
        self._connections = connections
        self._health = health
        self._tokens = floor_usage(request, ()).input_tokens + (request.max_tokens or 0)
        self._legs = {leg.target: leg for leg in plan}
        self._clock = clock
        self._redact = redact
        self._bill = Bill(request, redact)
        self.began = clock()
        self._spoke: float | None = None
        """When the answer that stands began."""
        self._ended: float | None = None
        self._left = False
        self._outlook = health.call(self._tokens)
        self._machine = Machine(plan, limits, self.began, self._outlook)
        self._group: TaskGroup | None = None
        self._watch: anyio.Event | None = None
        self._watching_until = math.inf

    # The caller's side ---------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        try:
            self._obey(self._machine.start(self.began))
            self._group.start_soon(self._watchdog, name="pointsman watchdog")
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every attempt. What the body raised goes on as it is: the group is not told, so as not to wrap it."""
        assert self._group is not None
        self._leave()
        try:
            if kind is None and self.finished is not None and self.winner is not None:
                with anyio.move_on_after(TAIL):
                    await self.winner.done.wait()
        finally:
            self._group.cancel_scope.cancel()
            try:
                await self._group.__aexit__(None, None, None)
            finally:  # Whatever a plugin raised: who reads in another thread must not wait for ever.
                self._note_end()
                if not self.channel.closed:
                    self.channel.close(ConfigError("this stream has been left: read it inside its `async with`"))

    def abandon(self, error: PointsmanError) -> None:
        """End the call from another task: its reader, who is not cancelled, gets `error`, unless it has its answer."""
        if self.channel.closed:
            return
        self._leave()
        self.error = error
        self._note_end()
        self.channel.close(error)
        for attempt in self.attempts:
            attempt.scope.cancel()

    async def ended(self) -> None:
        """Until no attempt runs any more."""
        for attempt in self.attempts:
            await attempt.done.wait()

    def timings(self) -> Timings:
        """Timings as of now, or as of the end."""
        ended = self._clock() if self._ended is None else self._ended
        first = self._spoke
        usage = self.finished.usage if self.finished else None
        tpot = None
        if first is not None and usage and not usage.estimated and usage.output_tokens > 1:
            tpot = (ended - first) / (usage.output_tokens - 1)
        ttft = None if first is None else first - self.began
        server = self.finished.server if self.finished else None
        return Timings(ttft=ttft, tpot=tpot, e2e=ended - self.began, server=server)

    def _leave(self) -> None:
        self._left = True
        self._outlook.step_out()

    # The machine's side --------------------------------------------------------------------------------------------

    def _obey(self, commands: Sequence[Command]) -> None:
        for command in commands:
            match command:
                case Emit(event):
                    if isinstance(event, Retracted):
                        self.winner = self._spoke = None
                    self.channel.put(event)
                case Start():
                    self._begin(command)
                case Cancel(number, error):
                    attempt = self.attempts[number - 1]
                    if error is None:
                        attempt.lost, attempt.ended = True, self._clock()
                    else:
                        self._charge(attempt, error)
                    attempt.scope.cancel()
                case Settle(error):
                    self.error = error
                    self._note_end()
                    self.channel.close(error)
        if self._machine.phase is Phase.WAITING and not self._left:
            self._outlook.line_up(self._machine.queue, self._clock(), self._poke)
        else:
            self._outlook.step_out()
        if self._watch is not None and self._machine.due < self._watching_until:
            self._watch.set()

    def _begin(self, start: Start) -> None:
        assert self._group is not None
        now, target = self._clock(), start.target
        if any(one.target == target and not one.lost for one in self.attempts):
            self._health.retries.spend()
        if start.role == "hedge":
            self._health.hedges.spend()
        prefix = self.winner.answer if start.role == "resume" and self.winner else ""
        ticket = self._health.begin(target, now, self._tokens, cold=self._legs[target].cold_start > 0)
        attempt = Attempt(start.attempt, target, now, start.role, prefix, ticket, ticket.probe)
        self.attempts.append(attempt)
        self._group.start_soon(self._attempt, attempt, name=f"pointsman attempt {start.attempt} at {target}")

    async def _watchdog(self) -> None:
        try:
            await self._watch_the_clock()
        finally:
            if self._machine.phase is not Phase.SETTLED and not self._left:  # A reader that is shielded would wait on.
                self._note_end()
                self.channel.close(ConfigError("a scope around this stream was cancelled, but not around its reader"))

    async def _watch_the_clock(self) -> None:
        machine = self._machine
        while machine.phase is not Phase.SETTLED and not self._left:
            now = self._clock()
            if now >= machine.due:
                self._obey(machine.tick(now, random.random(), self._written()))  # noqa: S311  (spreads retries)
                continue
            self._watch = anyio.Event()
            self._watching_until = machine.due
            with anyio.CancelScope(deadline=self._watching_until):
                await self._watch.wait()
            self._watch = None

    def _poke(self) -> None:
        self._obey(self._machine.poke(self._clock()))

    def _written(self) -> int:
        return self.winner.written() if self.winner else 0

    # An attempt's side ---------------------------------------------------------------------------------------------

    async def _attempt(self, attempt: Attempt) -> None:
        """One attempt, from opening to its end. Raises nothing but cancellation."""
        hooks: HookCallables | None = None
        try:
            with attempt.scope:
                hooks = await self._connections.open(attempt.target.provider)
                await self._converse(attempt, hooks)
        except BaseException as raised:
            self._fail(attempt, named(await contained(raised), hooks, attempt))
        finally:
            if attempt.ended is None:
                attempt.ended = self._clock()
            if not attempt.finished:
                acts = not self._legs[attempt.target].idempotent
                attempt.cost = self._bill.unfinished(attempt, hooks, attempt.ended, acts=acts)
                attempt.price = self._bill.price(attempt, hooks) if hooks else None
            self._release(attempt)
            attempt.done.set()

    async def _converse(self, attempt: Attempt, hooks: HookCallables) -> None:
        clock, machine, put = self._clock, self._machine, self.channel.put
        keep_text, keep = attempt.texts.append, attempt.rest.append
        empty, silence = 0, 0.0
        request, seam = sequel(self.request.for_model(attempt.target.model), attempt.prefix)
        async with hooks.stream(request) as stream:
            events = stream if seam is None else Seamed(stream, seam, lambda: machine.heard(attempt.number, clock()))
            async for event in events:
                if attempt.ended is not None:
                    refuse_more(attempt, event)
                    return
                if isinstance(event, (TextDelta, ReasoningDelta)):  # The commonest by far first.
                    said = event.text
                elif isinstance(event, ToolCallDelta):
                    said = event.arguments
                elif isinstance(event, Finished):
                    attempt.silence = silence
                    self._finish(attempt, hooks, event)
                    continue
                else:
                    raise TypeError(f"a provider yields deltas and one Finished, not {event!r}")
                if type(said) is not str:
                    raise TypeError(f"a provider yields text as a string, not {event!r}")
                if not said and not isinstance(event, ToolCallDelta):
                    empty += 1
                    if empty % WINDOW == 0:  # Who never waits must not keep everybody else from running.
                        await anyio.lowlevel.checkpoint()
                    continue
                if isinstance(event, TextDelta):
                    keep_text(said)
                else:
                    keep(event)
                    machine.text_only = False
                now = clock()
                if attempt.first_output is None:
                    self._speak(attempt, now)
                elif now - machine.last_at > silence:
                    silence = now - machine.last_at
                machine.last_at = now
                if put(event):
                    await self._wait_for_room(attempt)
        if not attempt.finished:
            raise StreamBroken("the stream ended without the proof that the answer is whole")

    def _speak(self, attempt: Attempt, now: float) -> None:
        """The attempt's first output: those that run beside it have lost."""
        attempt.first_output = now
        if attempt.ticket is not None:
            self._health.spoke(attempt.ticket, now)
        self.winner = attempt
        if not attempt.prefix:
            self._spoke = now
        self._obey(self._machine.first_output(attempt.number, now))

    async def _wait_for_room(self, attempt: Attempt) -> None:
        attempt.paused = True
        self._machine.pause()
        began = self._clock()
        await self.channel.wait_for_room()
        now = self._clock()
        attempt.held += now - began
        self._machine.resume(now, attempt.written())
        if self._watch is not None:
            self._watch.set()

    def _finish(self, attempt: Attempt, hooks: HookCallables, said: Finished) -> None:
        """The provider says that its answer is whole."""
        if said.reason == "content_filter" and attempt.first_output is None:
            raise Refused("the vendor's content filter declined to answer")
        refuse_odd(said)
        now = self._clock()
        self.winner = attempt
        self._note_pace(attempt, now)
        commands = self._machine.finished(attempt.number, now)
        self._obey(commands[:-1])
        attempt.finished, attempt.ended = True, now
        attempt.usage = said.usage or self._bill.floor(attempt)
        attempt.server, attempt.served = said.server, said.served
        attempt.cost = self._bill.finished(attempt, hooks, attempt.usage, now) if said.cost == Unknown else said.cost
        attempt.price, attempt.breaker = self._bill.price(attempt, hooks), self._health.breaker(attempt.target)
        usage = self._bill.of_answer(attempt, attempt.usage)
        self.finished = Finished(said.reason, usage, attempt.cost, said.server, said.served)
        self.channel.put(self.finished)
        self._obey(commands[-1:])

    def _note_pace(self, attempt: Attempt, now: float) -> None:
        if attempt.first_output is None:
            if attempt.ticket is not None:
                self._health.spoke(attempt.ticket, now)
            return
        flowed = now - attempt.first_output
        speed = attempt.written() / flowed if flowed >= SPEED_FROM and not attempt.paused else None
        self._health.paces.answered(attempt.target, attempt.silence, speed, now)

    def _fail(self, attempt: Attempt, error: PointsmanError) -> None:
        """An attempt ended by itself, without its answer."""
        if attempt.finished:
            self._redact(error)
            log.warning("after its answer was whole, %s: %s", attempt.target, error)
        elif attempt.ended is None and not self._left:
            self._charge(attempt, error)
            self._obey(self._machine.failed(attempt.number, error, self._clock(), random.random()))  # noqa: S311

    def _charge(self, attempt: Attempt, error: PointsmanError) -> None:
        """Say in the error where it happened and what had arrived, without any secret."""
        locate(error, attempt)
        self._redact(error)
        attempt.error = error
        attempt.ended = self._clock()
        if attempt.ticket is not None and not isinstance(error, DeadlineExceeded):
            self._health.failed(attempt.ticket, error, attempt.ended)
            attempt.breaker = self._health.breaker(attempt.target)

    def _release(self, attempt: Attempt) -> None:
        """The attempt holds nothing any more: another may have its place."""
        ticket, attempt.ticket = attempt.ticket, None
        if ticket is not None:
            used = attempt.usage.input_tokens + attempt.usage.output_tokens if attempt.usage else None
            self._health.end(ticket, self._clock(), used)
            attempt.breaker = attempt.breaker or self._health.breaker(attempt.target)

    def _note_end(self) -> None:
        if self._ended is None:
            self._ended = self._clock()

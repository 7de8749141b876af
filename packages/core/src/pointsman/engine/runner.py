"""Acting on what the machine decides: one call, on asyncio and trio alike.

Rules, each from a measurement (`benchmarks/overhead.py`):

1. Every attempt is a task in a task group that the ``async with`` of the stream owns, never inside a generator. The
   tasks never raise, so the reader's body is never cancelled by ours; its end cancels them.
2. Events cross to the reader through a `Channel`, which makes an Event only while a side waits.
3. Timers are not re-armed for each event: one watchdog sleeps until the machine's `due` and asks again.
4. A reader that falls a window behind pauses the provider, and with it the provider's clocks.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from math import inf
from types import NoneType, TracebackType
from typing import Protocol, Self

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from ..cost import floor_usage
from ..errors import ConfigError, PluginError, PointsmanError, Refused, Scope, StreamBroken
from ..plugins import HookCallables
from ..types import (
    AtLeast,
    ChatRequest,
    Cost,
    Exact,
    Finished,
    ReasoningDelta,
    ServerTimings,
    StreamEvent,
    TextDelta,
    Timings,
    ToolCallDelta,
    Unknown,
    Usage,
)
from .attempt import Attempt
from .channel import WINDOW, Channel
from .clock import forged
from .machine import Cancel, Command, Emit, Leg, Limits, Machine, Phase, Settle, Start

TAIL = 0.05
"""Seconds that a finished attempt may read on after its answer, so that its connection can be used again."""

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
        clock: Callable[[], float],
        redact: Callable[[BaseException], None],
    ) -> None:
        self.request = request
        self.channel = Channel()
        self.attempts: list[Attempt] = []
        self.finished: Finished | None = None
        self.error: PointsmanError | None = None
        self._connections = connections
        self._clock = clock
        self._redact = redact
        self._began = clock()
        self._ended: float | None = None
        self._left = False
        self._machine = Machine(plan, limits, self._began)
        self._group: TaskGroup | None = None
        self._watch: anyio.Event | None = None
        self._watching_until = inf

    # The caller's side ---------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._obey(self._machine.start(self._began))
        self._group.start_soon(self._watchdog, name="pointsman watchdog")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every attempt. What the body raised goes on as it is: the group is not told, so as not to wrap it."""
        assert self._group is not None
        self._left = True
        try:
            if kind is None and self.finished is not None:
                with anyio.move_on_after(TAIL):
                    await self.attempts[-1].done.wait()
        finally:
            self._group.cancel_scope.cancel()
            try:
                await self._group.__aexit__(None, None, None)
            finally:  # Whatever a plugin raised: who reads in another thread must not wait for ever.
                self._note_end()
                if not self.channel.closed:
                    self.channel.close(ConfigError("this stream has been left: read it inside its `async with`"))

    async def abandon(self, error: PointsmanError) -> None:
        """End the call from another task: its reader, who is not cancelled, gets `error`, unless it has its answer."""
        if self.channel.closed:
            return
        self._left = True
        self.error = error
        self._note_end()
        self.channel.close(error)
        for attempt in self.attempts:
            attempt.scope.cancel()
            await attempt.done.wait()

    @property
    def winner(self) -> Attempt | None:
        """The attempt whose answer stands or is being streamed."""
        last = self.attempts[-1] if self.attempts else None
        return last if last is not None and (last.finished or last.first_output is not None) else None

    def timings(self) -> Timings:
        """Timings as of now, or as of the end."""
        ended = self._clock() if self._ended is None else self._ended
        first = self.winner.first_output if self.winner else None
        usage = self.finished.usage if self.finished else None
        tpot = None
        if first is not None and usage and not usage.estimated and usage.output_tokens > 1:
            tpot = (ended - first) / (usage.output_tokens - 1)
        ttft = None if first is None else first - self._began
        server = self.finished.server if self.finished else None
        return Timings(ttft=ttft, tpot=tpot, e2e=ended - self._began, server=server)

    # The machine's side --------------------------------------------------------------------------------------------

    def _obey(self, commands: Sequence[Command]) -> None:
        for command in commands:
            match command:
                case Emit(event):
                    self.channel.put(event)
                case Start(number, target):
                    assert self._group is not None
                    attempt = Attempt(number, target, self._clock())
                    self.attempts.append(attempt)
                    self._group.start_soon(self._attempt, attempt, name=f"pointsman attempt {number} at {target}")
                case Cancel(number, error):
                    attempt = self.attempts[number - 1]
                    self._charge(attempt, error)
                    attempt.scope.cancel()
                case Settle(error):
                    self.error = error
                    self._note_end()
                    self.channel.close(error)
        if self._watch is not None and self._machine.due < self._watching_until:
            self._watch.set()

    async def _watchdog(self) -> None:
        machine = self._machine
        while machine.phase is not Phase.SETTLED and not self._left:
            now = self._clock()
            if now >= machine.due:
                self._obey(machine.tick(now, random.random()))  # noqa: S311  (spreads retries)
                continue
            self._watch = anyio.Event()
            self._watching_until = machine.due
            with anyio.CancelScope(deadline=self._watching_until):
                await self._watch.wait()
            self._watch = None

    # An attempt's side ---------------------------------------------------------------------------------------------

    async def _attempt(self, attempt: Attempt) -> None:
        """One attempt, from opening to its end. Raises nothing but cancellation."""
        hooks: HookCallables | None = None
        try:
            with attempt.scope:
                hooks = await self._connections.open(attempt.target.provider)
                await self._converse(attempt, hooks)
        except Exception as raised:
            self._fail(attempt, _named(raised, hooks, attempt))
        except asyncio.CancelledError as raised:
            if not forged(raised):
                raise
            self._fail(attempt, _named(RuntimeError("it cancelled itself"), None, attempt))
        except BaseExceptionGroup as raised:
            # A plugin's task group around a generator that was closed, or cancelled in part. It must not tear down the
            # caller's body; a real interrupt goes on.
            if raised.subgroup((KeyboardInterrupt, SystemExit)) is not None:
                raise
            self._fail(attempt, _named(RuntimeError(f"its task group ended with {raised!r}"), None, attempt))
        finally:
            if attempt.ended is None:
                attempt.ended = self._clock()
            if not attempt.finished:
                attempt.cost = self._cost_unfinished(attempt, hooks)
            attempt.done.set()

    async def _converse(self, attempt: Attempt, hooks: HookCallables) -> None:
        clock, machine, put = self._clock, self._machine, self.channel.put
        keep_text, keep = attempt.texts.append, attempt.rest.append
        empty = 0
        async with hooks.stream(self.request.for_model(attempt.target.model)) as events:
            async for event in events:
                if attempt.ended is not None:
                    _refuse_more(attempt, event)
                    return
                if type(event) is TextDelta:  # The commonest by far, and the cheapest test.
                    text = event.text
                    if type(text) is not str:
                        raise TypeError(f"a provider yields text as a string, not {event!r}")
                    if not text:
                        empty += 1
                        if empty % WINDOW == 0:  # Who never waits must not keep everybody else from running.
                            await anyio.lowlevel.checkpoint()
                        continue
                    keep_text(text)
                elif isinstance(event, Finished):
                    self._finish(attempt, hooks, event)
                    continue
                elif isinstance(event, ReasoningDelta | ToolCallDelta):
                    said = event.text if isinstance(event, ReasoningDelta) else event.arguments
                    if type(said) is not str:
                        raise TypeError(f"a provider yields text as a string, not {event!r}")
                    if isinstance(event, ReasoningDelta) and not said:
                        empty += 1
                        if empty % WINDOW == 0:
                            await anyio.lowlevel.checkpoint()
                        continue
                    keep(event)
                else:
                    raise TypeError(f"a provider yields deltas and one Finished, not {event!r}")
                if attempt.first_output is None:
                    attempt.first_output = clock()
                    self._obey(machine.first_output(attempt.number, attempt.first_output))
                machine.last_at = clock()
                if put(event):
                    await self._wait_for_room()
        if not attempt.finished:
            raise StreamBroken("the stream ended without the proof that the answer is whole")

    async def _wait_for_room(self) -> None:
        self._machine.pause()
        await self.channel.wait_for_room()
        self._machine.resume(self._clock())
        if self._watch is not None:
            self._watch.set()

    def _finish(self, attempt: Attempt, hooks: HookCallables, said: Finished) -> None:
        """The provider says that its answer is whole."""
        if said.reason == "content_filter" and attempt.first_output is None:
            raise Refused("the vendor's content filter declined to answer")
        if (
            type(said.cost) is not Cost
            or type(said.usage) not in (Usage, NoneType)
            or type(said.server) not in (ServerTimings, NoneType)
        ):
            raise TypeError(f"Finished carries a Usage, a Cost and ServerTimings, or None: not {said!r}")
        now = self._clock()
        commands = self._machine.finished(attempt.number, now)
        self._obey(commands[:-1])
        attempt.finished, attempt.ended = True, now
        attempt.usage = said.usage or floor_usage(self.request, attempt.texts)
        attempt.server = said.server
        attempt.cost = self._cost(attempt, hooks, attempt.usage) if said.cost == Unknown else said.cost
        self.finished = Finished(said.reason, attempt.usage, attempt.cost, said.server)
        self.channel.put(self.finished)
        self._obey(commands[-1:])

    def _cost(self, attempt: Attempt, hooks: HookCallables, usage: Usage) -> Cost:
        """What the cost hook says. The answer is here: a hook that fails leaves its cost unknown."""
        ended = self._clock() if attempt.ended is None else attempt.ended
        first = attempt.first_output
        ttft = None if first is None else first - attempt.started
        timings = Timings(ttft=ttft, e2e=ended - attempt.started, server=attempt.server)
        try:
            cost = hooks.cost(attempt.target, usage, timings)
            if type(cost) is not Cost:
                raise TypeError(f"pointsman_cost must answer with a Cost, not with {cost!r}")
            return cost
        except Exception as error:
            self._redact(error)
            log.exception("the cost of an attempt at %s is unknown: its hook failed", attempt.target, exc_info=error)
            return Unknown

    def _cost_unfinished(self, attempt: Attempt, hooks: HookCallables | None) -> Cost:
        """Nothing if it was refused with a status or never opened; at least what had arrived; else nobody knows."""
        refused = attempt.error is not None and attempt.error.status is not None
        if hooks is None or (refused and attempt.first_output is None):
            return Exact(0)
        if attempt.first_output is None:
            return Unknown
        return AtLeast(self._cost(attempt, hooks, floor_usage(self.request, attempt.texts)).known)

    def _fail(self, attempt: Attempt, error: PointsmanError) -> None:
        """An attempt ended by itself, without its answer."""
        if attempt.finished:
            self._redact(error)
            log.warning("after its answer was whole, %s: %s", attempt.target, error)
        elif attempt.error is None and not self._left:
            self._charge(attempt, error)
            self._obey(self._machine.failed(attempt.number, error, self._clock(), random.random()))  # noqa: S311

    def _charge(self, attempt: Attempt, error: PointsmanError) -> None:
        """Say in the error where it happened and what had arrived, without any secret."""
        if error.target is None:
            error.target = attempt.target
            error.provider = error.provider or attempt.target.provider
        error.partial = error.partial or "".join(attempt.texts)
        told: object = error.retry_at
        if not isinstance(told, int | float):
            error.retry_at = None
        self._redact(error)
        attempt.error = error
        attempt.ended = self._clock()

    def _note_end(self) -> None:
        if self._ended is None:
            self._ended = self._clock()


def _refuse_more(attempt: Attempt, event: StreamEvent) -> None:
    """What an attempt yields once it is over: a bug after its own end, and lost in the instant of a cancellation."""
    if attempt.finished:
        raise TypeError(f"a provider yields nothing after Finished, not {event!r}")


def _named(raised: Exception, hooks: HookCallables | None, attempt: Attempt) -> PointsmanError:
    """`raised` as one of our errors, laid at the door of whose bug it is. Survives exceptions that cannot be shown."""
    try:
        if hooks is not None:
            return hooks.blame.error(raised)
        if isinstance(raised, PointsmanError):
            return raised
        text = f"it raised {type(raised).__name__}: {raised}"
    except Exception:
        text = f"it raised {type(raised).__name__}, which cannot be shown"
    error = PluginError(text, plugin=attempt.target.provider, scope=Scope.TARGET)
    error.__cause__ = raised
    return error

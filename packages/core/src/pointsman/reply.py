"""What a caller holds: a stream while it flows (`StreamedReply`, `SyncStreamedReply`), or a whole answer (`Reply`)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .engine.channel import Events, Soon, Texts, read_events, read_texts
from .engine.runner import Call
from .errors import InvalidRequest
from .policy import Decision
from .telemetry import AttemptRecord
from .types import (
    AttemptFailed,
    Cost,
    ReasoningDelta,
    Retracted,
    Started,
    StreamEvent,
    Target,
    Timings,
    ToolCall,
    ToolCallDelta,
    Usage,
    tool_calls_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A whole answer, and how it came about."""

    text: str
    reasoning: str
    tool_calls: tuple[ToolCall, ...]
    finish_reason: str
    target: Target
    usage: Usage | None
    cost: Cost
    """Of the whole call, failed attempts included; `attempts` says which cost what."""
    timings: Timings
    attempts: tuple[AttemptRecord, ...]
    decision: Decision
    events: tuple[StreamEvent, ...] = field(repr=False)
    """The events of the answer, without those of attempts that failed, and those that were read before collecting."""
    _read_schema: Callable[[str], Any] = field(repr=False, compare=False)

    @property
    def call_id(self) -> str:
        """Of the call that it is the answer of: by which sinks and the ledger know it."""
        return self.attempts[-1].call_id

    @property
    def parsed(self) -> Any:
        """The text as the response schema demands: an instance of the pydantic model that was given, else plain JSON.

        Raises `InvalidRequest` if the text does not fit, or if no schema was asked for.
        """
        return self._read_schema(self.text)


class _Flowing:
    """What is known of an answer while it flows."""

    def __init__(
        self,
        call: Call,
        call_id: str,
        decision: Decision,
        clock: Callable[[], float],
        *,
        restarts: bool,
        read_schema: Callable[[str], Any],
    ) -> None:
        self._call = call
        self._clock = clock
        self._restarts = restarts
        self._read_schema = read_schema
        self.call_id = call_id
        self.decision = decision

    @property
    def text(self) -> str:
        """The text of the answer as far as it has arrived."""
        return self._call.winner.answer if self._call.winner else ""

    @property
    def reasoning(self) -> str:
        """The reasoning as far as it has arrived."""
        return "".join(event.text for event in self._rest if isinstance(event, ReasoningDelta))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls as far as they have arrived, in the order of their index."""
        return tool_calls_of(self._rest)

    @property
    def _rest(self) -> list[ReasoningDelta | ToolCallDelta]:
        return self._call.winner.rest if self._call.winner else []

    @property
    def target(self) -> Target | None:
        """Who answers; None before the commit point."""
        return self._call.winner.target if self._call.winner else None

    @property
    def finish_reason(self) -> str | None:
        """Why the answer ended; None before it has."""
        return self._call.finished.reason if self._call.finished else None

    @property
    def usage(self) -> Usage | None:
        """Tokens of the answer; None before its end."""
        return self._call.finished.usage if self._call.finished else None

    @property
    def cost(self) -> Cost:
        """Of the whole call so far, failed attempts included; exact once it has ended, if every part is known."""
        return Cost.total(attempt.cost for attempt in self._call.attempts)

    @property
    def timings(self) -> Timings:
        """As of now; as of the end once it has come."""
        return self._call.timings()

    @property
    def attempts(self) -> tuple[AttemptRecord, ...]:
        """One record for each attempt so far, in order."""
        return tuple(attempt.record(self.call_id, self._clock()) for attempt in self._call.attempts)

    @property
    def parsed(self) -> Any:
        """See `Reply.parsed`."""
        return self._read_schema(self.text)

    def _refuse_to_take_back(self) -> None:
        if self._restarts:
            raise InvalidRequest("text_stream cannot take text back, as on_break='restart' may have to: iterate events")

    def _whole(self, events: Sequence[StreamEvent]) -> Reply:
        finished, target = self._call.finished, self.target
        assert finished is not None
        assert target is not None
        return Reply(
            text=self.text,
            reasoning=self.reasoning,
            tool_calls=self.tool_calls,
            finish_reason=finished.reason,
            target=target,
            usage=finished.usage,
            cost=self.cost,
            timings=self.timings,
            attempts=self.attempts,
            decision=self.decision,
            events=tuple(events),
            _read_schema=self._read_schema,
        )


class _Unopened:
    """A stream that nobody has entered: there is nothing to read yet, and it says how one gets to it."""

    _entered_by: str

    if not TYPE_CHECKING:  # A type checker knows by itself that nothing can be read here.

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(f"a stream is not open yet, so that it has no {name}: use `{self._entered_by}`")


class UnopenedStream(_Unopened, AbstractAsyncContextManager["StreamedReply", bool | None]):
    """What `AsyncClient.stream` hands out."""

    _entered_by = "async with client.stream(...) as reply:"

    def __init__(self, call: AbstractAsyncContextManager[StreamedReply, bool | None]) -> None:
        self._call = call

    async def __aenter__(self) -> StreamedReply:
        return await self._call.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._call.__aexit__(kind, error, trace)


class UnopenedSyncStream(_Unopened, AbstractContextManager["SyncStreamedReply", bool | None]):
    """What `Client.stream` hands out."""

    _entered_by = "with client.stream(...) as reply:"

    def __init__(self, call: AbstractContextManager[SyncStreamedReply, bool | None]) -> None:
        self._call = call

    def __enter__(self) -> SyncStreamedReply:
        return self._call.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._call.__exit__(kind, error, trace)


class StreamedReply(_Flowing):
    """An answer while it flows. Iterate `text_stream` or `events`, once; the other facts are there as they arise."""

    @property
    def events(self) -> AsyncIterator[StreamEvent]:
        """Everything that happens, failed attempts included. Ends with `Finished`, or raises the call's error."""
        return Events(self._call.channel)

    @property
    def text_stream(self) -> AsyncIterator[str]:
        """The text alone. It cannot take anything back, so it is refused under ``on_break="restart"``."""
        self._refuse_to_take_back()
        return Texts(self._call.channel)

    async def collect(self) -> Reply:
        """Read to the end. Raises the call's error."""
        kept: list[StreamEvent] = []
        async for event in Events(self._call.channel):
            _keep(event, kept)
        return self._whole(kept)


class SyncStreamedReply(_Flowing):
    """The same for a program without an event loop, which reads in a thread of its own."""

    def __init__(self, reply: StreamedReply, soon: Soon) -> None:
        self.__dict__.update(vars(reply))
        self._soon = soon

    @property
    def events(self) -> Iterator[StreamEvent]:
        """See `StreamedReply.events`."""
        return read_events(self._call.channel, self._soon)

    @property
    def text_stream(self) -> Iterator[str]:
        """See `StreamedReply.text_stream`."""
        self._refuse_to_take_back()
        return read_texts(self._call.channel, self._soon)

    def collect(self) -> Reply:
        """See `StreamedReply.collect`."""
        kept: list[StreamEvent] = []
        for event in self.events:
            _keep(event, kept)
        return self._whole(kept)


def _keep(event: StreamEvent, kept: list[StreamEvent]) -> None:
    """Add `event` to those of the answer that stands."""
    if isinstance(event, Started | Retracted):
        kept.clear()
    elif not isinstance(event, AttemptFailed):
        kept.append(event)

"""A provider in memory that does what it is told: for tests of everything above providers."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast

import anyio
from pydantic import BaseModel, SecretStr

from pointsman import (
    ChatRequest,
    CheckHealth,
    Connection,
    Finished,
    Health,
    HealthState,
    ListModels,
    ModelInfo,
    PointsmanError,
    PriceAttempt,
    ProviderContext,
    ProviderSpec,
    Stream,
    StreamEvent,
    Target,
    Terminal,
    TextDelta,
    Usage,
    hookimpl,
)

from .words import count_words, split_words


class ScriptedConfig(BaseModel, frozen=True, extra="forbid"):
    """The settings of a scripted provider. Nothing is ever sent to `base_url`."""

    base_url: str = "http://127.0.0.1"
    api_key: SecretStr | None = None


@dataclass(frozen=True, slots=True)
class Sleep:
    """Let time pass; a bare number is the same."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Hang:
    """Wait until cancelled."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """Entering the stream ends here, before the first event."""


Step: TypeAlias = StreamEvent | str | float | Sleep | Hang | Accepted | BaseException | type[BaseException]
"""One thing that a call does: yield an event (a string is a `TextDelta`), wait, or raise."""

Steps: TypeAlias = Step | Sequence[Step]
"""One call. Steps before the first event or `Accepted` happen while the stream is entered, the others while it is read.

A sequence is taken as it is: without a `Finished` the stream ends without one. A string alone is a whole answer: its
words, then ``Finished("stop", usage)`` with words as tokens.
"""


@dataclass(slots=True, eq=False)
class ScriptedCall:
    """One call of `ScriptedProvider.stream`, from just before it is entered."""

    request: ChatRequest
    state: Literal["entering", "open", "closed"] = "entering"
    accepted: bool = False
    """Whether it was entered without an error."""
    cancelled: bool = False
    """Whether it was closed by a cancellation, while entering, reading or in between."""
    events: list[StreamEvent] = field(default_factory=list[StreamEvent])
    """What it has yielded."""
    target: Target | None = None
    """Who was asked."""

    @property
    def text(self) -> str:
        """The text that it has yielded."""
        return "".join(event.text for event in self.events if isinstance(event, TextDelta))


class ScriptedProvider:
    """A plugin with one provider, `name`. Each call uses up one of `scripts`; then each call does `default`.

    ``ScriptedProvider("a", RateLimited, "hello there")`` refuses its first call and streams two words on its second.
    It asks for no key and sends nothing anywhere. An exception class is raised with the provider and target filled
    in, and with the text so far as `partial`; an instance is raised as it is.
    """

    def __init__(
        self,
        name: str,
        *scripts: Steps | Callable[[ChatRequest], Steps],
        default: Steps | Callable[[ChatRequest], Steps] = "ok",
        models: Iterable[str | ModelInfo] = ("scripted-1",),
        capabilities: Iterable[str] = (),
        terminal: Terminal = Terminal.FINISH_REASON,
        idempotent: bool = True,
        health: Health = Health(HealthState.UP),  # noqa: B008  (frozen)
    ) -> None:
        infos = tuple(ModelInfo(id=model) if isinstance(model, str) else model for model in models)
        self.spec: ProviderSpec[ScriptedConfig] = ProviderSpec(
            name=name,
            config=ScriptedConfig,
            open=self._open,
            terminal=terminal,
            capabilities=frozenset(capabilities),
            models=infos,
            default_models=tuple(info.id for info in infos),
            idempotent=idempotent,
        )
        self.health = health
        """What its health hook answers."""
        self.default = default
        self.scripts = deque(scripts)
        """What is left to do."""
        self.calls: list[ScriptedCall] = []
        """Every call, in order of entering."""
        self.connections = 0
        """How many are open now."""

    @property
    def name(self) -> str:
        """The provider's name in its spec."""
        return self.spec.name

    @property
    def requests(self) -> list[ChatRequest]:
        """What was asked, in order."""
        return [call.request for call in self.calls]

    @property
    def open_calls(self) -> list[ScriptedCall]:
        """Calls that are being entered or read now. Empty once all is over, or something was left open."""
        return [call for call in self.calls if call.state != "closed"]

    @hookimpl
    def pointsman_providers(self) -> Sequence[ProviderSpec[Any]]:
        return [self.spec]

    # Each answers for itself, whatever the connection: a core that asks the wrong plugin gets the wrong answer.
    @hookimpl
    def pointsman_stream(self, connection: Connection[Any]) -> Stream:
        return self.stream

    @hookimpl
    def pointsman_health(self, connection: Connection[Any]) -> CheckHealth:
        async def check() -> Health:
            return self.health

        return check

    @hookimpl
    def pointsman_cost(self, connection: Connection[Any]) -> PriceAttempt:
        return connection.prices.cost

    @hookimpl
    def pointsman_models(self, connection: Connection[Any]) -> ListModels:
        async def models() -> Sequence[ModelInfo]:
            return self.spec.models

        return models

    @asynccontextmanager
    async def stream(self, request: ChatRequest) -> AsyncGenerator[AsyncIterator[StreamEvent]]:
        """Do what the next script says."""
        script = self.scripts.popleft() if self.scripts else self.default
        if callable(script) and not isinstance(script, type):
            script = script(request)
        target = Target(self.name, request.model or "-")
        call = ScriptedCall(request, target=target)
        self.calls.append(call)
        try:
            events = _Events(call, _as_steps(script, request), target)
            await events.enter()
            call.state = "open"
            call.accepted = True
            yield events
        except BaseException as error:
            call.cancelled = _is_cancellation(error)
            raise
        finally:
            call.state = "closed"

    @asynccontextmanager
    async def _open(self, config: ScriptedConfig, context: ProviderContext) -> AsyncGenerator[ScriptedProvider]:
        self.connections += 1
        try:
            yield self
        finally:
            self.connections -= 1


class _Events:
    """The steps of one call, as they are taken. No async generator, so there is nothing that a reader must close."""

    def __init__(self, call: ScriptedCall, steps: Iterable[Step], target: Target) -> None:
        self._call = call
        self._steps: Iterator[Step] = iter(steps)
        self._target = target
        self._first: StreamEvent | None = None

    async def enter(self) -> None:
        self._first = await self._advance(entering=True)

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self) -> StreamEvent:
        event, self._first = self._first, None
        event = event or await self._advance()
        if event is None:
            raise StopAsyncIteration
        self._call.events.append(event)
        return event

    async def _advance(self, *, entering: bool = False) -> StreamEvent | None:
        """Take steps up to the next event; None at the end, or where entering ends."""
        for step in self._steps:
            match step:
                case int() | float():
                    await anyio.sleep(step)
                case Sleep(seconds):
                    await anyio.sleep(seconds)
                case Hang():
                    await anyio.sleep_forever()
                case Accepted():
                    if entering:
                        return None
                case BaseException():
                    raise step
                case type():
                    raise self._made(step)
                case str():
                    return TextDelta(step)
                case _:
                    return step
        return None

    def _made(self, kind: type[BaseException]) -> BaseException:
        if issubclass(kind, PointsmanError):
            return kind("as scripted", target=self._target, partial=self._call.text)
        return kind("as scripted")


def _as_steps(script: Steps, request: ChatRequest) -> Sequence[Step]:
    if isinstance(script, str):
        words = split_words(script)
        asked = sum(count_words(message.text) for message in request.messages)
        return [*words, Finished("stop", Usage(input_tokens=asked, output_tokens=len(words)))]
    return script if isinstance(script, Sequence) else [script]


def _is_cancellation(error: BaseException) -> bool:
    cancelled = anyio.get_cancelled_exc_class()
    if isinstance(error, BaseExceptionGroup):
        return cast(BaseExceptionGroup[BaseException], error).subgroup(cancelled) is not None
    return isinstance(error, cancelled)

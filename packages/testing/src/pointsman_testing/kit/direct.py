"""The provider by itself: what its own stream does, without the engine's second tries, breakers and clocks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import anyio

from pointsman import ChatRequest, Finished, Stream, StreamEvent, TextDelta, user

from ..lab import Script
from .stage import PATIENCE, Stage


@dataclass(slots=True)
class Heard:
    """What came of one request."""

    text: str = ""
    finished: Finished | None = None
    error: Exception | None = None

    def __str__(self) -> str:
        met = [repr(self.text)]
        if self.finished is not None:
            met.append(f"Finished({self.finished.reason!r})")
        if self.error is not None:
            met.append(f"{type(self.error).__name__}({str(self.error)[:200]!r})")
        return ", then ".join(met if len(met) > 1 else [*met, "an end without Finished"])


@dataclass(frozen=True, slots=True)
class Direct:
    """One open connection to one vendor."""

    stage: Stage
    stream: Stream

    def request(self, prompt: str = "Hi") -> ChatRequest:
        return ChatRequest(messages=(user(prompt),), model=self.stage.target.model)

    def enter(self) -> AbstractAsyncContextManager[AsyncIterator[StreamEvent]]:
        """The stream of a short request, to be entered and left by the test."""
        return self.stream(self.request())

    async def ask(self, *responses: Script, request: ChatRequest | None = None) -> Heard:
        """What is heard of a request that is answered so. Anything but cancellation is kept, not raised."""
        self.stage.script(*responses)
        heard = Heard()
        try:
            with anyio.fail_after(PATIENCE):
                await self.hear(heard, request)
        except TimeoutError as error:
            heard.error = error
        return heard

    async def hear(self, heard: Heard, request: ChatRequest | None = None) -> None:
        """Note in `heard` what comes of a request, as it comes."""
        try:
            async with self.stream(request or self.request()) as events:
                async for event in events:
                    if isinstance(event, TextDelta):
                        heard.text += event.text
                    elif isinstance(event, Finished):
                        heard.finished = event
        except Exception as error:
            heard.error = error

    async def error(self, *responses: Script) -> Exception | None:
        """What is raised for a request that is answered so; None if there is an answer."""
        return (await self.ask(*responses)).error


@asynccontextmanager
async def directly(stage: Stage) -> AsyncGenerator[Direct]:
    """A connection to the stage's vendor, as core opens it; it closes at the end."""
    async with stage.client() as client:
        hooks = await client.connect(stage.spec.name)
        yield Direct(stage, hooks.stream)

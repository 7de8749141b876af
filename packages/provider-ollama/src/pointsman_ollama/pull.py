"""A pull from its beginning to its end: asked for again where it breaks off, since the server goes on where it was.

Ollama itself tries each part of a layer six times, and then gives the whole pull up; people ask again by hand until it
is through (ollama/ollama#6211, #1158). What is on the server's disk by then stays there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Self

import anyio
import httpx2

from pointsman import PointsmanError, RateLimited, Stalled, Target
from pointsman_openai import FAILURES, Body

from .progress import Marks, Progress, PullDecoder

RESUMES = 10
"""How often a pull is asked for again in all."""
FRUITLESS = 3
"""How often in a row though it had brought nothing new."""
STALL = 120.0
"""Seconds without anything new. Ollama leaves a part that brings nothing after 30 s, and asks for it again."""
WORKING = 900.0
"""The same while the server reads through what it has got, silently: 50 GB from a slow disk."""
PAUSE = 1.0
"""Seconds before it is asked for again, doubled for each time that brought nothing."""
_LONGEST_PAUSE = 60.0
_WORK = ("verifying", "writing", "removing", "converting")


class Pull(AsyncIterator[Progress]):
    """An iterator of `Progress` that ends after ``success``, or raises. `close` ends it early, and with it the pull."""

    def __init__(
        self,
        ask: Callable[[], Awaitable[httpx2.Response]],
        decoder: Callable[[Marks], PullDecoder],
        target: Target,
        clock: Callable[[], float],
        *,
        resumes: int = RESUMES,
        stall: float = STALL,
        pause: float = PAUSE,
    ) -> None:
        self._ask = ask
        self._new_decoder = decoder
        self._target = target
        self._clock = clock
        self._left = resumes
        self._stall = stall
        self._pause = pause
        self._marks = Marks()
        self._decoder = decoder(self._marks)
        self._body: Body | None = None
        self._failure: PointsmanError | None = None
        self._wait: float | None = None
        self._news, self._since, self._step = 0, 0.0, ""
        self._fruitless = 0
        self._news_before = 0

    async def begin(self) -> Self:
        """Ask for it. Raises what the request was refused with: what has not begun is not asked for again."""
        self._since, self._news_before = anyio.current_time(), self._marks.news
        with anyio.move_on_after(self._stall):
            self._body = Body(await self._ask())
            return self
        raise Stalled(f"no answer within {self._stall:g} s", target=self._target)

    async def close(self) -> None:
        """Drop the connection; the server stops when it sees that."""
        body, self._body = self._body, None
        if body is not None:
            await body.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Progress:
        while True:
            if self._decoder.ready:
                found = self._decoder.ready.popleft()
                self._step = found.status
                return found
            if self._decoder.done:
                await self.close()
                raise StopAsyncIteration
            failure = self._decoder.failure or self._failure
            if self._wait is not None:
                await self._go_on()
            elif failure is not None:
                await self.close()
                return self._interrupted(failure)
            else:
                await self._read()

    async def _read(self) -> None:
        assert self._body is not None, "a pull is read after it has begun"
        if self._marks.news > self._news:
            self._news, self._since = self._marks.news, anyio.current_time()
        patience = max(self._stall, WORKING) if self._step.startswith(_WORK) else self._stall
        with anyio.CancelScope(deadline=self._since + patience) as scope:
            try:
                self._decoder.feed(await self._body.read())
            except StopAsyncIteration:
                self._decoder.end()
            except FAILURES as error:
                self._decoder.end(error)
        if scope.cancelled_caught:
            self._failure = Stalled(f"nothing new came for {patience:g} s", target=self._target)

    def _interrupted(self, failure: PointsmanError) -> Progress:
        """That it is going to be asked for again, and why. Raises `failure` where that is no use, or was enough."""
        self._fruitless = 0 if self._marks.news > self._news_before else self._fruitless + 1
        hopeful = failure.retryable or isinstance(failure, Stalled)
        if not hopeful or not self._left or self._fruitless >= FRUITLESS:
            raise failure
        self._left -= 1
        wait = self._pause * 2**self._fruitless
        if isinstance(failure, RateLimited) and failure.retry_at is not None:
            wait = max(wait, failure.retry_at - self._clock())
        self._wait = min(wait, _LONGEST_PAUSE)
        return Progress("interrupted, going on", interruption=failure)

    async def _go_on(self) -> None:
        assert self._wait is not None
        await anyio.sleep(self._wait)
        self._wait = self._failure = None
        self._decoder = self._new_decoder(self._marks)
        try:
            await self.begin()
        except PointsmanError as error:
            self._failure = error

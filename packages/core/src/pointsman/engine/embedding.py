"""Embedding texts: one attempt at one target, held to account like an attempt of a chat."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from ..errors import DeadlineExceeded, InvalidRequest
from ..plugins import HookCallables
from ..provider import Embeddings, EmbedRequest
from ..types import ChatRequest, Exact, Target, Timings, Usage, user
from .attempt import Attempt
from .bill import Bill
from .faults import named
from .runner import Opener


class Embedding:
    """One call to `embed`, run once."""

    def __init__(
        self,
        request: EmbedRequest,
        target: Target,
        connections: Opener,
        clock: Callable[[], float],
        redact: Callable[[BaseException], None],
    ) -> None:
        self.request = request
        self.attempt = Attempt(1, target, clock())
        self._connections = connections
        self._clock = clock
        self._redact = redact
        self._bill = Bill(ChatRequest(messages=tuple(map(user, request.texts))), redact)
        self._hooks: HookCallables | None = None
        self._asked = False

    async def run(self, deadline: float) -> Embeddings:
        """A vector for each text. Raises `InvalidRequest`, `DeadlineExceeded`, and what the provider raised."""
        attempt = self.attempt
        try:
            found = await self._within(deadline)
        except BaseException as error:
            self._fail(error)
            raise
        attempt.ended, attempt.finished = self._clock(), True
        told = found.usage if isinstance(found, Embeddings) else None  # pyright: ignore[reportUnnecessaryIsInstance]
        attempt.usage = told if isinstance(told, Usage) else self._bill.floor(attempt)
        assert self._hooks is not None
        attempt.cost = self._bill.finished(attempt, self._hooks, attempt.usage, attempt.ended)
        attempt.price = self._bill.price(attempt, self._hooks)
        return found

    def timings(self) -> Timings:
        """Of the whole, which no attempt of another's delays."""
        attempt = self.attempt
        return Timings(e2e=(self._clock() if attempt.ended is None else attempt.ended) - attempt.started)

    async def _within(self, deadline: float) -> Embeddings:
        target = self.attempt.target
        with anyio.move_on_after(deadline):
            self._hooks = await self._connections.open(target.provider)
            if self._hooks.embed is None:
                raise InvalidRequest("it does not embed texts", target=target)
            self._asked = True
            return await self._hooks.embed(self.request)
        raise DeadlineExceeded(f"no vectors within {deadline:g} s", target=target)

    def _fail(self, error: BaseException) -> None:
        attempt = self.attempt
        attempt.ended = self._clock()
        if isinstance(error, Exception):
            attempt.error = named(error, self._hooks if self._asked else None, attempt)
            self._redact(attempt.error)
        if self._hooks is None or not self._asked:
            attempt.cost = Exact(0)
        else:
            attempt.cost = self._bill.unfinished(attempt, self._hooks, attempt.ended)
            attempt.price = self._bill.price(attempt, self._hooks)

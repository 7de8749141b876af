"""Who leaves has left: the vendor sees the connection closed before the call returns, whatever made it end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import anyio
import pytest
from anyio.lowlevel import checkpoint

from pointsman import AsyncClient, ConfigError, DeadlineExceeded, PointsmanError, TextDelta

from ..lab import Answer, RecordedRequest
from .base import ProviderSetting
from .direct import Direct, directly
from .faults import SLOW, WORDS
from .speech import expect
from .stage import PATIENCE, Stage

BEFORE: Mapping[str, Answer] = {
    "before-the-head": Answer(WORDS, wait=math.inf),
    "in-the-body": Answer(WORDS).stall(after=4),
}
"""Where the vendor is when it is left. It would say no more, so that nothing but the leaving ends the connection."""

TURNS = 3
"""Turns of the event loop that closing a socket takes on asyncio, where a transport closes in the next one."""


class CallersError(Exception):
    """What the caller's own code raises."""


class LeavingCases(ProviderSetting):
    """A call that is over costs its vendor, and this machine, nothing more."""

    keeps_alive: ClassVar[bool] = True
    """Whether a connection is used again after a whole answer."""

    @pytest.mark.parametrize("where", BEFORE)
    async def test_stream_that_is_left_is_closed(self, stage: Stage, where: str) -> None:
        stage.script(BEFORE[where])
        async with stage.client() as client:
            with anyio.fail_after(PATIENCE):
                async with client.stream("Hi", model=stage.target) as reply:
                    if where == "before-the-head":
                        await _arrival(stage)
                    else:
                        async for _ in reply.text_stream:
                            break
            await _expect_gone(stage, f"leaving the stream {where.replace('-', ' ')}")

    @pytest.mark.parametrize("where", BEFORE)
    @pytest.mark.parametrize("how", ["chat", "stream"])
    async def test_cancelled_call_is_closed_and_stays_cancelled(self, stage: Stage, how: str, where: str) -> None:
        stage.script(BEFORE[where])
        ends: list[str] = []
        spoke = anyio.Event()

        async def call(client: AsyncClient) -> None:
            with scope:
                try:
                    if how == "chat":
                        await client.chat("Hi", model=stage.target)
                    else:
                        async with client.stream("Hi", model=stage.target) as reply:
                            async for _ in reply.text_stream:
                                spoke.set()
                    ends.append("it returned")
                except BaseException as error:
                    if not isinstance(error, anyio.get_cancelled_exc_class()):
                        ends.append(f"it raised {error!r}")
                    raise

        async with stage.client() as client:
            scope = anyio.CancelScope()
            with anyio.fail_after(PATIENCE):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(call, client)
                    await _arrival(stage)
                    if how == "stream" and where == "in-the-body":
                        await spoke.wait()
                    scope.cancel()
            what = f"cancelling a call ({how}) {where.replace('-', ' ')}"
            await _expect_gone(stage, what)
            expect(not ends, f"after {what} {', '.join(ends)}; let cancellation through: never `except BaseException`")

    @pytest.mark.parametrize("where", BEFORE)
    async def test_cancelled_stream_of_the_provider_stays_cancelled(self, stage: Stage, where: str) -> None:
        """The engine knows whom it has cancelled, whatever comes of it; who wraps a provider does not."""
        stage.script(BEFORE[where])
        met: list[BaseException] = []
        spoke = anyio.Event()

        async def read(direct: Direct) -> None:
            with scope:
                try:
                    async with direct.enter() as events:
                        async for _ in events:
                            spoke.set()
                except BaseException as error:
                    met.append(error)
                    if not isinstance(error, Exception):
                        raise

        async with directly(stage) as direct:
            scope = anyio.CancelScope()
            with anyio.fail_after(PATIENCE):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(read, direct)
                    await _arrival(stage)
                    if where == "in-the-body":
                        await spoke.wait()
                    scope.cancel()
            expect(
                len(met) == 1 and not isinstance(met[0], Exception),
                f"reading was cancelled {where.replace('-', ' ')}, and came to {met}: a cancellation is no failure of "
                "the vendor's, so let it through; never `except BaseException`, nor `except CancelledError`",
            )
            await _expect_gone(stage, "a cancellation")

    async def test_call_past_its_deadline_is_closed(self, stage: Stage) -> None:
        stage.script(Answer("Hello"), BEFORE["in-the-body"])
        async with stage.client() as client:
            await client.chat("Hi", model=stage.target)  # What the first request waits for besides is over then.
            met: BaseException | None = None
            try:
                await client.chat("Hi", model=stage.target, deadline=SLOW)
            except PointsmanError as error:
                met = error
            expect(isinstance(met, DeadlineExceeded), f"the deadline of a call passed, and its caller met {met!r}")
            if len(stage.chats) > 1:  # On a busy machine the time may be over before anything is sent.
                await _expect_gone(stage, "a deadline that passed")

    async def test_client_that_closes_ends_its_streams(self, stage: Stage) -> None:
        stage.script(BEFORE["in-the-body"])
        met: list[BaseException] = []
        spoke = anyio.Event()

        async def read(client: AsyncClient) -> None:
            try:
                async with client.stream("Hi", model=stage.target) as reply:
                    async for _ in reply.text_stream:
                        spoke.set()
            except PointsmanError as error:
                met.append(error)

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                async with stage.client() as client:
                    tasks.start_soon(read, client)
                    await spoke.wait()
                await _expect_gone(stage, "closing the client under a stream")
        expect(
            [type(error) for error in met] == [ConfigError],
            f"a client was closed under a stream, whose reader met {met}; it should be ConfigError alone",
        )

    async def test_provider_left_without_cancellation_is_closed(self, stage: Stage) -> None:
        """As wrappers leave it."""
        stage.script(BEFORE["in-the-body"])
        async with directly(stage) as direct:
            with anyio.fail_after(PATIENCE):
                async with direct.enter() as events:
                    async for event in events:
                        if isinstance(event, TextDelta):
                            break
            await _expect_gone(stage, "leaving the provider's own stream by `break`")

    async def test_error_of_the_readers_own_passes_unchanged(self, stage: Stage) -> None:
        stage.script(BEFORE["in-the-body"])
        own, met = CallersError("mine"), None
        async with directly(stage) as direct:
            with anyio.fail_after(PATIENCE):
                try:
                    async with direct.enter() as events:
                        async for event in events:
                            if isinstance(event, TextDelta):
                                raise own
                except Exception as error:
                    met = error
            expect(
                met is own and own.__cause__ is None,
                f"whoever read the stream raised {own!r}, and {met!r} came out, with the cause {own.__cause__!r}; "
                "have no `try` around the `yield` in your stream: what is raised there is not the vendor's",
            )
            await _expect_gone(stage, "an error of the reader's own")

    async def test_connection_is_used_again_after_a_whole_answer(self, stage: Stage) -> None:
        if not self.keeps_alive:
            pytest.skip("the vendor closes each connection after its answer")
        stage.script(Answer(WORDS), Answer(WORDS))
        async with stage.client() as client:
            for _ in range(2):
                await client.chat("Hi", model=stage.target)
        first, second = (chat.client for chat in stage.chats)
        expect(
            first == second,
            f"two answers came whole, one after the other, over two connections ({first[1]} and {second[1]}); read the "
            "body to its end after the proof, or each request pays for a new connection, and keep one HTTP client open",
        )


async def _arrival(stage: Stage) -> RecordedRequest:
    """The chat, once it has arrived."""
    while not stage.chats:
        await stage.vendor.received(len(stage.vendor.requests) + 1)
    return stage.chats[-1]


async def closing(stage: Stage) -> None:
    """What closing a socket takes, and no more."""
    for _ in range(TURNS if stage.backend == "asyncio" else 0):
        await checkpoint()


async def _expect_gone(stage: Stage, after: str) -> None:
    """By its socket, at once: who closes it later, in a task of its own, has not closed it."""
    await closing(stage)
    expect(
        stage.chats[-1].hung_up(),
        f"after {after} the connection to the vendor is open still: close the response before your stream is left, in "
        "a `finally` or by `async with`, and not in a task of its own",
    )

"""A plugin is a guest in its user's process: it holds nobody up, says nothing, and leaves everything as it was."""

from __future__ import annotations

import asyncio
import contextvars
import locale
import logging
import os
import random
import re
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import anyio
import pytest

from pointsman import AsyncClient, AuthFailed, PointsmanError, ProviderSpec, Reply

from ..lab import Answer, RecordedRequest
from .base import ProviderSetting
from .blocking import STANDS_STILL, blocked, watching_for_blocks
from .leaks import Leaks, sent
from .speech import expect
from .stage import Stage

AT_ONCE = 20
"""Streams on one client."""

ENDING = 1.0
"""Seconds that a thread which has been told to end may need for it."""


class MannerCases(ProviderSetting):
    """Nothing is blocked, printed, changed for others, shared between clients or left behind."""

    @pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
    async def test_nothing_blocks_the_event_loop(self, stage: Stage) -> None:
        await everything(stage)  # What is imported on first use is imported here.
        with watching_for_blocks(stage.plugin, stage.spec.config, stage.spec.open) as told:
            told.append(await everything(stage))
        said = "; ".join(told)
        expect("Blocking call" not in said, f"{said}: {STANDS_STILL}")

    async def test_nothing_is_printed(self, stage: Stage, capfd: pytest.CaptureFixture[str]) -> None:
        await everything(stage)
        for name, text in zip(("stdout", "stderr"), capfd.readouterr(), strict=True):
            expect(not text, f"it printed {text[:80]!r} to {name}, which is its user's: use context.log")

    async def test_nothing_is_changed_for_others(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        seeds: list[object] = []
        monkeypatch.setattr(random, "seed", seeds.append)
        await everything(stage)  # What is imported on first use may change what it likes, for nobody can help that.
        before, seeds[:] = _everybodys(), []
        await everything(stage)
        after = _everybodys()
        changed = [what for what in before if before[what] != after[what]]
        expect(
            not changed and not seeds,
            f"it changed {', '.join([*changed, *(['the seed of random'] if seeds else [])])}, which belongs to the "
            "whole process: leave it, or change it back before the hook returns",
        )

    async def test_answers_at_once_stay_apart(self, stage: Stage) -> None:
        def own(request: RecordedRequest) -> Answer:
            [number] = re.findall(rb"number (\d+)", request.body)[-1:] or [b"?"]
            return Answer(f"This is the answer to number {number.decode()}, and to no other.").drip(90)

        stage.script(*[own] * AT_ONCE)
        replies: dict[int, Reply] = {}
        async with stage.client() as client, anyio.create_task_group() as tasks:

            async def ask(number: int) -> None:
                replies[number] = await client.chat(f"number {number}", model=stage.target, on_break="raise")

            for number in range(AT_ONCE):
                tasks.start_soon(ask, number)
        for number, reply in replies.items():
            expect(
                reply.text == f"This is the answer to number {number}, and to no other.",
                f"of {AT_ONCE} streams at once, number {number} got {reply.text!r}: keep what belongs to an answer in "
                "variables of its stream, not on the session",
            )

    async def test_each_client_has_its_own_key(self, stage: Stage) -> None:
        if self.key is None:
            pytest.skip("it is used without a key")
        own = Leaks([self.key])
        wrong = {name: _another(one) for name, one in stage.config.items() if isinstance(one, str) and own.find(one)}
        stranger = replace(stage, config={**stage.config, **wrong})
        async with stage.client() as one, stranger.client() as other:
            await one.chat("Hi", model=stage.target)
            try:
                await other.chat("Hi", model=stage.target)
            except AuthFailed:
                pass
            else:
                raise AssertionError(
                    "a second client in the same process, with another key, was answered for the first one's: keep "
                    "keys and HTTP clients on what `open` yields, not in the module"
                )
            await one.chat("Hi", model=stage.target)
        tails = Leaks([key[-8:] for key in wrong.values()])
        refused = [request for request in stage.vendor.requests if tails.find(sent(request))]
        expect(refused, "the second client's requests do not carry its own key: read it from the `config` of `open`")

    def test_a_second_event_loop_is_as_good_as_the_first(
        self, found: tuple[ProviderSpec[Any], object], anyio_backend: str
    ) -> None:
        async def main() -> None:
            async with self.staged(found, anyio_backend) as stage:
                await everything(stage)

        anyio.run(main, backend=anyio_backend)
        try:
            anyio.run(main, backend=anyio_backend)
        except Exception as error:
            raise AssertionError(
                f"it worked in one event loop, and not in a second one after it ({error!r}): keep HTTP clients, locks "
                "and caches on what `open` yields, not in the module"
            ) from error

    def test_no_thread_and_no_task_is_left(self, found: tuple[ProviderSpec[Any], object], anyio_backend: str) -> None:
        left: list[str] = []

        async def main() -> None:
            async with self.staged(found, anyio_backend) as stage:
                await everything(stage)
            if anyio_backend == "asyncio":
                left.extend(f"the task {task.get_name()}" for task in asyncio.all_tasks() - {asyncio.current_task()})

        before = set(threading.enumerate())
        anyio.run(main, backend=anyio_backend)
        # Trio keeps those of its pool for ten seconds; anyio's are told to end, and not waited for.
        threads = [one for one in set(threading.enumerate()) - before if not one.name.startswith("Trio")]
        for thread in threads:
            thread.join(ENDING)
        left += [f"the thread {thread.name}" for thread in threads if thread.is_alive()]
        expect(
            not left,
            f"it left {' and '.join(left)} behind when its client had closed: start tasks in a task group of `open`, "
            "and end threads before it returns",
        )


async def everything(stage: Stage) -> str:
    """Open, ask, ask for what costs nothing, leave an answer early, close. Returns what health had to say."""
    stage.script(Answer("A whole answer."), Answer("An answer that nobody reads to its end."))
    async with stage.client() as client:
        await client.chat("Hi", model=stage.target, on_break="raise")
        said = await _around(stage, client)
        async with client.stream("Hi", model=stage.target) as reply:
            async for _ in reply.events:
                break
    return said


async def _around(stage: Stage, client: AsyncClient) -> str:
    hooks = await client.connect(stage.spec.name)
    health = await hooks.health()
    try:
        await hooks.models()
    except PointsmanError as error:
        if blocked(error):
            raise
    return blocked(health.error) or health.reason


def _another(key: str) -> str:
    """One that looks like `key`, and is not."""
    return key[:-6] + "".join("z" if char.isalpha() else "7" if char.isdigit() else char for char in key[-6:])


def _everybodys() -> Mapping[str, object]:
    """What all code in a process shares, and a library has no business with."""
    root = logging.getLogger()
    return {
        "os.environ": dict(os.environ),
        "the working directory": os.getcwd(),
        "the root logger": (root.level, tuple(root.handlers), tuple(root.filters), logging.root.manager.disable),
        "the signal handlers": {one: signal.getsignal(one) for one in signal.valid_signals()},
        "the locale": locale.setlocale(locale.LC_ALL),
        "the default timeout of sockets": socket.getdefaulttimeout(),
        "the warnings filters": list(warnings.filters),
        "sys.path": list(sys.path),
        "the recursion limit": sys.getrecursionlimit(),
        "the hooks of sys": (sys.excepthook, sys.unraisablehook, threading.excepthook, sys.displayhook),
        "socket.socket": (socket.socket, socket.create_connection, socket.getaddrinfo),
        "the context variables": dict(contextvars.copy_context()),
    }

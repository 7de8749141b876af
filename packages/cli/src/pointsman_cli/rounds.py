"""Asking several providers at once, and saying on a terminal whom we still wait for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

import anyio

from .terminal import takes_passing_lines
from .waiting import Waiting


async def ask_each(names: Iterable[str], ask: Callable[[str], Awaitable[object]]) -> None:
    """`ask` each of `names`, all at once. What goes wrong with one of them is for `ask` to handle."""
    pending = dict.fromkeys(names)
    waiting = Waiting()

    async def one(name: str) -> None:
        await ask(name)
        del pending[name]

    async with anyio.create_task_group() as telling:
        if takes_passing_lines():
            waiting.begin(lambda: ", ".join(pending))
            telling.start_soon(waiting.run)
        try:
            async with anyio.create_task_group() as asking:
                for name in list(pending):
                    asking.start_soon(one, name)
        finally:
            telling.cancel_scope.cancel()
            waiting.end()

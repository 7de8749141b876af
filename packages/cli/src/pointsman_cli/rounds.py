"""Asking several providers at once, and saying on a terminal whom we still wait for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

import anyio

from .terminal import pass_by, takes_passing_lines, wipe

PATIENCE = 0.5
"""Seconds before it is said: most have answered by then."""


async def ask_each(names: Iterable[str], ask: Callable[[str], Awaitable[object]]) -> None:
    """`ask` each of `names`, all at once. What goes wrong with one of them is for `ask` to handle."""
    pending = dict.fromkeys(names)

    async def one(name: str) -> None:
        await ask(name)
        del pending[name]

    async with anyio.create_task_group() as telling:
        if takes_passing_lines():
            telling.start_soon(_tell, pending)
        try:
            async with anyio.create_task_group() as asking:
                for name in list(pending):
                    asking.start_soon(one, name)
        finally:
            telling.cancel_scope.cancel()
            wipe()


async def _tell(pending: Iterable[str]) -> None:
    began = anyio.current_time()
    while True:
        await anyio.sleep(PATIENCE)
        pass_by(f"waiting for {', '.join(pending)} … {anyio.current_time() - began:.0f} s")

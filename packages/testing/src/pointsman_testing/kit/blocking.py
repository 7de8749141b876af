"""Who holds up the event loop, as blockbuster sees it."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from types import ModuleType, TracebackType
from typing import cast

from blockbuster.blockbuster import BlockingError, blockbuster_ctx

STANDS_STILL = (
    "the whole event loop stands still meanwhile, and all other answers with it; await something that does not block, "
    "or anyio.to_thread.run_sync"
)
"""What a test says of it."""


@contextmanager
def watching_for_blocks(plugin: object, *parts: object) -> Generator[list[str]]:
    """What blocks inside, by the code of a plugin and its `parts`, is put into the list, and ends the block.

    The detector knows asyncio only; what blocks there blocks on trio, too.
    """
    told: list[str] = []
    with blockbuster_ctx(packages_of(plugin, *parts)):
        try:
            yield told
        except Exception as error:
            what = blocked(error)
            if not what:
                raise
            told.append(what)


def packages_of(plugin: object, *parts: object) -> list[ModuleType]:
    """Where the code of a plugin is, and that of what belongs to it."""
    own = getattr(plugin, "__name__", type(plugin).__module__)
    modules = {own, *(getattr(one, "__module__", own) for one in parts)}
    return [
        sys.modules[name] for name in sorted({module.partition(".")[0] for module in modules}) if name in sys.modules
    ]


def blocked(error: BaseException | None) -> str | None:
    """What blocked, and where, if that is what `error` comes from."""
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if isinstance(one, BlockingError):
            return f"{one} at {_place(one.__traceback__)}"
        if isinstance(one, BaseExceptionGroup):
            waiting += cast(BaseExceptionGroup[BaseException], one).exceptions
        elif one is not None:
            waiting += [one.__cause__, one.__context__]
    return None


def _place(trace: TracebackType | None) -> str:
    """The last line before the detector's own."""
    lines: list[str] = []
    while trace is not None:
        lines.append(f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}")
        trace = trace.tb_next
    return lines[-2] if len(lines) > 1 else "a place unknown"

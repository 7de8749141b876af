"""Event loops whose time jumps to the next timer when nothing else is left to do: an hour passes in no time.

For code that stays inside the process. A socket is an error at once on asyncio, and never has data in time on trio.
Wake-ups from other threads are heard, but time does not wait for them: threads and timeouts do not mix here. When
every task waits and no timer is set, nothing can happen any more; that is `VirtualDeadlock`, not a test that hangs.
"""

from __future__ import annotations

import asyncio
import math
import selectors
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextvars import Context
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeAlias, TypeVar, TypeVarTuple

import anyio

if TYPE_CHECKING:
    import trio
    from _typeshed import FileDescriptorLike

T = TypeVar("T")
Args = TypeVarTuple("Args")
VirtualBackend: TypeAlias = Literal["asyncio", "trio"]

VIRTUAL_BACKENDS: tuple[VirtualBackend, ...] = ("asyncio", "trio")
"""Names for `virtual_backend` and `virtual_run`; parameters for a fixture."""

PATIENCE = 1.0
"""Real seconds that other threads get to wake a loop that has nothing to do, before that is a deadlock."""


class VirtualDeadlock(RuntimeError):
    """Every task waits and no timer is set: nothing can happen any more."""

    def __init__(self) -> None:
        super().__init__("every task waits for another, and no timer is set: nothing can happen any more")


def virtual_backend(name: VirtualBackend) -> tuple[str, dict[str, Any]]:
    """Name and options of a fresh virtual loop, as anyio's `anyio_backend` fixture takes them; good for one run.

    ::

        @pytest.fixture(params=VIRTUAL_BACKENDS)
        def anyio_backend(request):
            return virtual_backend(request.param)

    On trio a deadlock is raised in the test, in an exception group if it has open task groups; on asyncio it leaves
    the test where it stands, so that fixtures which wait for the loop fail as well.
    """
    if name == "asyncio":
        return name, {"loop_factory": VirtualLoop}
    import trio.testing

    return name, {"clock": trio.testing.MockClock(autojump_threshold=0), "instruments": [_TrioWatch()]}


def virtual_run(async_fn: Callable[[*Args], Awaitable[T]], *args: *Args, backend: VirtualBackend = "asyncio") -> T:
    """`anyio.run` on a fresh virtual loop. Raises `VirtualDeadlock` when nothing can happen any more."""
    name, options = virtual_backend(backend)
    watches: list[_TrioWatch] = options.get("instruments", [])
    try:
        result = anyio.run(async_fn, *args, backend=name, backend_options=options)
    except Exception as error:
        if any(watch.deadlocked for watch in watches):
            raise VirtualDeadlock from error  # It may have come out in a group, or as what somebody made of it.
        raise
    if any(watch.deadlocked for watch in watches):
        raise VirtualDeadlock
    return result


def _alone() -> bool:
    """Whether no other thread is there that could wake this one."""
    return threading.active_count() == 1


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop on virtual time, which starts at 0."""

    def __init__(self) -> None:
        self._virtual = _JumpingSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now

    def call_at(
        self, when: float, callback: Callable[[*Args], object], *args: *Args, context: Context | None = None
    ) -> asyncio.TimerHandle:
        if when == math.inf:
            # Among the timers it would be one to jump to, in steps of a day, for ever.
            return asyncio.TimerHandle(when, callback, args, self, context)
        # Never due now: asyncio runs what is due before now plus a nanosecond, and late in virtual time that is now.
        return super().call_at(max(when, math.nextafter(self.time(), math.inf)), callback, *args, context=context)


class _JumpingSelector(selectors.SelectSelector):
    """Waits for nothing but the loop's own wake-up pipe; where others wait for time to pass, it lets it pass."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def register(self, fileobj: FileDescriptorLike, events: int, data: Any = None) -> selectors.SelectorKey:
        if self.get_map():  # The first is the pipe.
            raise RuntimeError("a virtual event loop has no sockets, pipes or subprocesses: use a real one for them")
        return super().register(fileobj, events, data)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None:
            ready = super().select(0)
            if not ready and timeout > 0:
                self.now += timeout + 2 * math.ulp(self.now + timeout)  # Past the timer, despite rounding.
            return ready
        ready = super().select(0 if _alone() else PATIENCE)
        if not ready:
            raise VirtualDeadlock
        return ready


class _TrioWatch:
    """A trio instrument that notices that nothing can happen any more: the mock clock alone would spin for ever."""

    def __init__(self) -> None:
        self.deadlocked = False
        self._idle_since: float | None = None

    def before_task_step(self, task: object) -> None:
        self._idle_since = None

    def before_io_wait(self, timeout: float) -> None:
        import trio

        state = trio.lowlevel.current_statistics()
        if state.tasks_runnable or state.seconds_to_next_deadline < math.inf:
            return
        if self._idle_since is None:  # What waits for all tasks to be blocked is woken only after the first time.
            self._idle_since = time.monotonic()
        elif _alone() or time.monotonic() - self._idle_since > PATIENCE:
            self._idle_since = None
            self._wake(trio.lowlevel.current_root_task())
            self.deadlocked = True

    def _wake(self, root: trio.lowlevel.Task | None) -> None:
        """Raise in the main task, as Ctrl-C does; if that did not help (a shield), in every task below it as well.

        There is no public way to raise anything in a task, and what an instrument raises is only logged.
        """
        assert root is not None
        # The innermost nursery of the root task holds the main task and nothing else.
        for task in list(_below(root.child_nurseries[-1]) if self.deadlocked else root.child_nurseries[-1].child_tasks):
            if task._abort_func is not None:  # noqa: SLF001
                task._attempt_abort(_raise_deadlock)  # noqa: SLF001


def _below(nursery: trio.Nursery) -> Iterator[trio.lowlevel.Task]:
    for task in nursery.child_tasks:
        yield task
        for inner in task.child_nurseries:
            yield from _below(inner)


def _raise_deadlock() -> NoReturn:
    raise VirtualDeadlock

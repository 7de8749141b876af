"""An event loop in a daemon thread, for callers in other threads: what it runs, how they wait, and how it ends.

`anyio.from_thread` has a portal of this kind. Its thread is no daemon, so that a client that nobody closed would hang
the interpreter's exit; a caller who comes while the loop ends can wait for ever; and one who is interrupted while a
context is being entered leaves it open.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
import warnings
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import CancelledError, Future
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from contextvars import Context, ContextVar, copy_context
from functools import partial
from typing import Any, TypeVar

import anyio
from anyio.abc import TaskGroup

from .errors import ConfigError

T = TypeVar("T")

CLOSING_SECONDS = 15.0
"""How long `LoopThread.close` waits: longer than an orderly end takes, for a plugin that blocks the loop."""
EXIT_SECONDS = 3.0
"""The same at the interpreter's exit, for all that nobody closed."""

log = logging.getLogger("pointsman")
_alive: set[LoopThread] = set()


class LoopThread:
    """Keeps `content` open in an event loop of its own, on asyncio, from `start` to `close`.

    Callers wait in their own threads; one that is interrupted (Ctrl-C) cancels what it waited for.
    """

    def __init__(self, content: AbstractAsyncContextManager[Any]) -> None:
        self._content = content
        self._changing = threading.RLock()  # The garbage collector may end a client while another begins.
        self._thread: threading.Thread | None = None
        self._ident = 0
        self._opened: Future[None] = Future()
        self._awaited: set[Future[Any]] = set()
        """What callers wait for. Whatever happens to the loop, nobody is left waiting."""
        self._closed = self._over = False
        self._process = os.getpid()

    # The callers' side ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread, if it does not run, and wait until `content` is open. Raises what opening it raised."""
        if self._forked():
            raise ConfigError("this client was made before the process was forked: make one in each process")
        if self._inside():
            raise ConfigError("a plugin cannot call the client that runs it: both would wait for each other")
        with self._changing:
            if self._thread is None and not self._closed:
                thread = threading.Thread(target=self._run, name="pointsman", daemon=True)
                try:
                    thread.start()
                finally:
                    if thread.ident is not None:  # Else there are too many; or it runs, and Ctrl-C came meanwhile.
                        self._thread = thread
                        _alive.add(self)
        if self._thread is not None:
            with suppress(CancelledError):  # The loop broke before it was open.
                self._opened.result()  # First: why it could not be opened says more than that it is not open.
        if self._closed:
            raise ConfigError("this client is closed")

    def call(self, act: Callable[[], Awaitable[T]]) -> T:
        """What `act` returns or raises, in the loop."""
        self.start()
        return _result(self._submit(act))

    @contextmanager
    def hold(self, enter: Callable[[], AbstractAsyncContextManager[T]]) -> Generator[T]:
        """Inside, what `enter` returns is entered in the loop, and by one task there."""
        entered: Future[tuple[T, anyio.Event]] = Future()

        async def stay() -> None:
            async with enter() as held:
                leave = anyio.Event()
                entered.set_result((held, leave))
                await leave.wait()

        self.start()
        left = self._submit(stay)
        left.add_done_callback(partial(_pass_on, entered))
        try:
            held, leave = _result(entered)
        except BaseException:
            left.cancel()
            raise
        try:
            yield held
        finally:
            self.soon(leave.set)
            if not (self._inside() or self._forked()):  # Inside, where the garbage collector may end a forgotten one.
                with suppress(CancelledError):  # The client was closed meanwhile, and this with it.
                    _wait(left)

    def soon(self, act: Callable[[], object], context: Context | None = None) -> None:
        """Call `act` in the loop, if that still runs: in `context`, or in the loop's own."""
        if not self._forked():
            with suppress(RuntimeError):  # The loop is closed.
                self._loop.call_soon_threadsafe(act, context=context or self._context)

    def close(self) -> None:
        """End what runs, close `content`, and end the thread. A second time waits for the same end."""
        self.abandon()
        self.join(CLOSING_SECONDS)

    def abandon(self) -> bool:
        """The same without waiting, from wherever the garbage collector runs. True if there was something to end."""
        with self._changing:
            if self._closed or self._forked():
                return False
            if self._thread is not None:
                self._opened.add_done_callback(lambda _: self.soon(self._stop.set))
            self._closed = True
            return self._thread is not None

    def join(self, seconds: float) -> None:
        """Wait for the thread's end. A plugin that blocks the loop is left behind."""
        if self._thread is not None and not (self._inside() or self._forked()):
            self._thread.join(seconds)
            if self._thread.is_alive():
                log.warning("the client did not close within %g s: a plugin blocks its event loop", seconds)

    # The loop's side -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._ident, self._born = threading.get_ident(), copy_context()
        try:
            anyio.run(self._main)
        except BaseException as error:
            log.critical("the client's event loop broke", exc_info=error)
        finally:
            self._closed = self._over = True
            _alive.discard(self)
            for one in [self._opened, *self._awaited]:
                one.cancel()

    async def _main(self) -> None:
        self._loop, self._context, self._stop = asyncio.get_running_loop(), copy_context(), anyio.Event()
        nothing = object()
        self._own = {name: value for name, value in self._context.items() if self._born.get(name, nothing) is not value}
        async with anyio.create_task_group() as self._tasks:
            try:
                async with self._content:
                    self._opened.set_result(None)
                    await self._stop.wait()
            except Exception as error:
                if self._opened.done():
                    log.exception("the client did not close cleanly")
                else:
                    self._opened.set_exception(error)
            self._tasks.cancel_scope.cancel()

    def _submit(self, act: Callable[[], Awaitable[T]]) -> Future[T]:
        done: Future[T] = Future()
        self._awaited.add(done)
        done.add_done_callback(self._awaited.discard)
        self.soon(partial(self._begin, act, done), self._beside(copy_context()))
        if self._over:
            done.cancel()
        return done

    def _beside(self, caller: Context) -> Context:
        """`caller`, in which the loop knows itself. What else is in it (a trace, say) is as the caller has it, where
        the thread was born with another, too.
        """
        for variable, value in self._own.items():
            caller.run(variable.set, value)
        return caller

    def _begin(self, act: Callable[[], Awaitable[T]], done: Future[T]) -> None:
        try:
            self._tasks.start_soon(self._serve, act, done)
        except RuntimeError:  # The client has closed.
            done.cancel()

    async def _serve(self, act: Callable[[], Awaitable[T]], done: Future[T]) -> None:
        if self._stop.is_set():
            done.cancel()
            return
        scope = anyio.CancelScope()
        done.add_done_callback(lambda _: self.soon(scope.cancel))  # Whoever waited may have been interrupted.
        try:
            with scope:
                result = await act()
                if done.set_running_or_notify_cancel():
                    done.set_result(result)
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # Also what would end a process: it belongs to the caller's thread.
            if done.set_running_or_notify_cancel():
                done.set_exception(error)
        finally:
            done.cancel()

    def _inside(self) -> bool:
        return threading.get_ident() == self._ident

    def _forked(self) -> bool:
        """Here is a child of the process that has the thread, where nothing runs."""
        return os.getpid() != self._process

    _loop: asyncio.AbstractEventLoop
    _born: Context
    _context: Context
    _own: dict[ContextVar[Any], Any]
    """Those that say which loop runs."""
    _stop: anyio.Event
    _tasks: TaskGroup


def _result(done: Future[T]) -> T:
    try:
        return _wait(done)
    except CancelledError:
        raise ConfigError("the client was closed while this call was under way") from None


def _wait(done: Future[T]) -> T:
    """What `done` comes to. Whoever is interrupted while waiting wants it no more."""
    try:
        return done.result()
    except BaseException:
        done.cancel()
        raise


def _pass_on(entered: Future[Any], left: Future[Any]) -> None:
    """What ended it before anybody was let in."""
    if not entered.done():
        error = None if left.cancelled() else left.exception()
        if error is None:
            entered.cancel()
        else:
            entered.set_exception(error)


def _at_exit() -> None:
    """End every thread that nobody has ended, while the interpreter still can."""
    ending = list(_alive)
    forgotten = [thread for thread in ending if thread.abandon()]
    for thread in ending:
        thread.join(EXIT_SECONDS)
    if forgotten:
        warnings.warn(f"{len(forgotten)} pointsman.Client never closed: use `with`", ResourceWarning, stacklevel=1)


atexit.register(_at_exit)

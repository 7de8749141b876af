"""Between an event loop and a ledger: a thread of its own writes what calls came to, and no call ever waits for it.

To put an entry is to lay it into a queue. The thread is started with the first, and opens the ledger, so that neither
the start of a process nor its first request pays for that.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, TypeVar
from weakref import WeakSet

from ..errors import StoreError
from . import Ledger, LedgerEntry, LedgerRating
from .writer import Writer

LINGER = 0.05
"""Seconds for which the first entry waits for others, to be written together with them."""
BACKLOG = 10_000
"""Calls that wait at most, each of some kilobytes. Those that come while there are as many are lost, and counted."""
CLOSING_SECONDS = 5.0
"""How long `flush` and `close` wait for a disk or a server that hangs."""
EXIT_SECONDS = 3.0
"""The same at the interpreter's exit, for all that nobody closed."""

log = logging.getLogger("pointsman")
T = TypeVar("T")
_alive: WeakSet[Bookkeeper] = WeakSet()


@dataclass(slots=True, eq=False)
class _Request:
    """Somebody waits until all that was put before is written, and `work` is done."""

    work: Callable[[Ledger], Any] | None = None
    done: threading.Event = field(default_factory=threading.Event)
    error: StoreError | None = None
    result: Any = None


class Bookkeeper:
    """Writes what is put into the ledger that `open_ledger` opens. `where` is how messages name that."""

    def __init__(self, open_ledger: Callable[[], Ledger], where: str, *, keep_days: int | None = None) -> None:
        self._where = where
        self._writer = Writer(open_ledger, where, keep_days=keep_days)
        self._queue: SimpleQueue[LedgerEntry | LedgerRating | _Request] = SimpleQueue()
        self._hurry = threading.Event()
        self._lock = threading.RLock()  # Whatever the garbage collector ends may be put while another is.
        self._thread: threading.Thread | None = None
        self._last: threading.Thread | None = None
        """That thread, or the one that was before it and may still be closing the ledger."""
        self._closed = self._hung = False
        self._refused = self._told = 0

    def put(self, entry: LedgerEntry | LedgerRating) -> None:
        """Have `entry` written, after all that was put before. Returns at once, and raises nothing."""
        with self._lock:
            if self._queue.qsize() + len(self._writer) >= BACKLOG or not self._runs():
                self._refused += 1
            else:
                self._queue.put(entry)

    def flush(self, seconds: float = CLOSING_SECONDS) -> None:
        """Wait until all that was put before is in the ledger.

        Raises `StoreError` if it is not within `seconds`, or will never be; of what is lost, this is told once.
        """
        request = self._ask()
        if request is not None and not request.done.wait(seconds):
            raise StoreError(f"the ledger {self._where} has not written everything within {seconds:g} s: it hangs")
        if request is not None and request.error is not None:
            raise request.error
        lost = self._refused + self._writer.lost
        missing, self._told = lost - self._told, lost
        if missing:
            raise StoreError(f"{_calls(missing)} missing in the ledger {self._where}: {self._why()}")

    def ask(self, work: Callable[[Ledger], T], seconds: float) -> T:
        """What `work` finds in the ledger, once all that was put before is written. It waits, and raises `StoreError`
        if that takes longer than `seconds` or cannot be done.
        """
        with self._lock:
            if not self._runs():
                raise StoreError(f"the ledger {self._where} cannot be read: no thread can be started")
            request = self._ask(work)
        if request is None or not request.done.wait(seconds):
            hangs = StoreError(f"the ledger {self._where} has not answered within {seconds:g} s: it hangs")
            if not self._hung:
                log.warning("%s (decisions go on without what it remembers)", hangs)
            self._hung = True
            raise hangs
        if request.error is not None:
            raise request.error
        found: T = request.result
        return found

    def end(self) -> None:
        """Have what waits written and the thread ended, without waiting for that. What is put later is written, too."""
        self._closed = True
        self._ask()

    def close(self, seconds: float = CLOSING_SECONDS) -> None:
        """The same, and wait for it. What is lost is logged."""
        until = time.monotonic() + seconds
        self._closed = True
        request, thread = self._ask(), self._last
        if request is not None and not request.done.wait(seconds):
            log.error("the ledger %s hangs: the latest calls may be missing in it", self._where)
        elif thread is not None:
            thread.join(max(0.1, until - time.monotonic()))
        with self._lock:
            lost = self._refused + self._writer.lost
            self._refused = self._told = self._writer.lost = 0
        if lost:
            log.error("%s missing in the ledger %s: %s", _calls(lost), self._where, self._why())

    def _ask(self, work: Callable[[Ledger], Any] | None = None) -> _Request | None:
        """A request in the queue; None if nothing is under way."""
        with self._lock:
            if self._thread is None:
                return None
            request = _Request(work)
            self._queue.put(request)
            self._hurry.set()
            return request

    def _why(self) -> str:
        return str(self._writer.fault or "more came at once than it can take")

    def _runs(self) -> bool:
        """Whether there is a thread, after starting one if need be."""
        if self._thread is None:
            before = self._last
            thread = threading.Thread(target=self._run, args=(before,), name="pointsman ledger", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # There are too many, or the interpreter is ending.
                return False
            self._thread = self._last = thread
            _alive.add(self)
        return True

    # The thread's side ---------------------------------------------------------------------------------------------

    def _run(self, before: threading.Thread | None) -> None:
        if before is not None:
            before.join()
        writer = self._writer
        while True:
            request = self._gather()
            fault = None
            if request is not None or time.monotonic() >= writer.retry_at:
                fault = writer.write()
            if request is not None:
                request.error = fault
                if request.work is not None and fault is None:
                    try:
                        request.result = writer.use(request.work)
                    except StoreError as error:
                        request.error = error
                request.done.set()
            if not len(writer):
                writer.purge()
            with self._lock:
                if self._closed and self._queue.empty():
                    self._thread = None
                    break
        writer.close()

    def _gather(self) -> _Request | None:
        """Take from the queue what is there, once something is; up to a request, if there is one."""
        writer = self._writer
        pause = max(0.0, writer.retry_at - time.monotonic()) if len(writer) else None
        try:
            first = self._queue.get(timeout=pause)
            if isinstance(first, _Request):
                self._hurry.clear()
                return first
            writer.add(first)
            self._hurry.wait(LINGER)
            while True:
                one = self._queue.get_nowait()
                if isinstance(one, _Request):
                    self._hurry.clear()
                    return one
                writer.add(one)
        except Empty:
            return None


def _calls(count: int) -> str:
    return "1 call is" if count == 1 else f"{count} calls are"


def _at_exit() -> None:
    until = time.monotonic() + EXIT_SECONDS
    for one in list(_alive):
        one.close(max(0.0, until - time.monotonic()))


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):  # In a child there is no thread to wait for.
    os.register_at_fork(after_in_child=_alive.clear)

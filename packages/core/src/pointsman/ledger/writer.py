"""Writing into a ledger that may be busy, full, away or broken: what waits, what is tried again, and what is said.

One thread's own; `bookkeeper` is that thread.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import TypeVar

from ..errors import PointsmanError, StoreError
from . import Ledger, LedgerEntry, LedgerRating

BATCH = 25
"""Calls in one transaction: what encoding them takes of the interpreter is a few milliseconds, in which the event loop
has its turns all the same, and little is left of a transaction's own cost."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30.0
"""Seconds until a ledger that failed is tried again, and after many failures."""
MOST_SAID = 5
"""Different things that are said of a ledger: of one that fails in ever new words, the first of them."""

log = logging.getLogger("pointsman")
T = TypeVar("T")


class Writer:
    """What waits for the ledger that `open_ledger` opens, once there is one. `where` is how messages name it."""

    def __init__(self, open_ledger: Callable[[], Ledger], where: str, *, keep_days: int | None = None) -> None:
        self._open = open_ledger
        self._where = where
        self._keep_days = keep_days
        self._ledger: Ledger | None = None
        self._waiting: deque[LedgerEntry | LedgerRating] = deque()
        self._singly = 0
        """So many are written one by one, after they could not be together."""
        self._failures = 0
        self._said: set[str] = set()
        self._purged: datetime | None = None
        self.fault: StoreError | None = None
        """The latest."""
        self.lost = 0
        """Calls that no ledger will ever have."""
        self.retry_at = 0.0
        """When what waits is worth another try, by `time.monotonic`."""

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, entry: LedgerEntry | LedgerRating) -> None:
        """`entry` is to be written."""
        self._waiting.append(entry)

    def write(self) -> StoreError | None:
        """Write all that waits. What kept it from that, if anything did; then the rest still waits."""
        try:
            if self._waiting and self._ledger is None:
                self._ledger = self._open()
            while self._waiting and self._ledger is not None:
                self._write_some(self._ledger)
        except BaseException as error:  # In this thread nothing else could stop it, or hear of it.
            self._failures += 1
            self.retry_at = time.monotonic() + min(FIRST_PAUSE * 2 ** min(self._failures - 1, 30), LONGEST_PAUSE)
            self.fault = self._as_ours(error)
            self._say(self.fault)
            return self.fault
        if self._failures and self._said:
            log.info("the ledger %s takes calls again", self._where)
        self._failures = 0
        return None

    def use(self, work: Callable[[Ledger], T]) -> T:
        """Do `work` with the ledger. Raises `StoreError`, which is logged like those of writing."""
        try:
            if self._ledger is None:
                self._ledger = self._open()
            return work(self._ledger)
        except BaseException as error:  # As in `write`.
            fault = self._as_ours(error)
            self._say(fault)
            raise fault  # noqa: B904  (it has its cause)

    def purge(self) -> None:
        """Forget what is older than it is to be kept; by whole days, so that on each only the first has work to do."""
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        if self._keep_days is None or self._ledger is None or self._purged == midnight:
            return
        self._purged = midnight
        try:
            self._ledger.purge(midnight - timedelta(days=self._keep_days))
        except BaseException as error:
            self._say(self._as_ours(error))

    def close(self) -> None:
        """Close the ledger. What still waits is lost."""
        self.lost += sum(isinstance(one, LedgerEntry) for one in self._waiting)
        self._waiting.clear()
        ledger, self._ledger = self._ledger, None
        if ledger is not None:
            try:
                ledger.close()
            except BaseException as error:
                self._say(self._as_ours(error))

    def _write_some(self, ledger: Ledger) -> None:
        """Write a batch, of calls or of ratings. If it is refused though the ledger is well, one may be the cause: they
        go singly then.
        """
        first = self._waiting[0]
        alike = takewhile(lambda one: type(one) is type(first), self._waiting)
        batch = list(islice(alike, 1 if self._singly else BATCH))
        try:
            if isinstance(first, LedgerRating):
                ledger.rate([one for one in batch if isinstance(one, LedgerRating)])
            else:
                ledger.write([one for one in batch if isinstance(one, LedgerEntry)])
        except StoreError:
            raise
        except Exception as error:
            if len(batch) > 1:
                self._singly = len(batch)
                return
            self._give_up(batch[0], error)
        for _ in batch:
            self._waiting.popleft()
        self._singly = max(0, self._singly - len(batch))

    def _give_up(self, entry: LedgerEntry | LedgerRating, error: Exception) -> None:
        if isinstance(entry, LedgerEntry):
            self.lost += 1
            what = f"the call {entry.call.call_id}"
        else:
            what = f"the rating of the call {entry.call_id}"
        self.fault = StoreError(f"{what} cannot be written: {type(error).__name__}: {error}")
        self._say_once(what.partition(" call")[0], "the ledger %s: %s", self._where, self.fault, cause=error)

    def _as_ours(self, error: BaseException) -> StoreError:
        if isinstance(error, StoreError):
            return error
        said = str(error) if isinstance(error, PointsmanError) else f"{type(error).__name__}: {error}"
        ours = StoreError(f"the ledger {self._where} cannot be used: {said}")
        ours.__cause__ = error
        return ours

    def _say(self, fault: StoreError) -> None:
        text = "%s (answers go on; what they cost is written once the ledger can be, up to a limit)"
        self._say_once(str(fault), text, fault, cause=None)

    def _say_once(self, what: str, text: str, *values: object, cause: BaseException | None) -> None:
        if what not in self._said and len(self._said) < MOST_SAID:
            self._said.add(what)
            log.error(text, *values, exc_info=cause)

"""What a client remembers for its policy: how targets have done, here and by the ledger, and who answered whom."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

import anyio
import anyio.lowlevel
import anyio.to_thread
from anyio.abc import TaskGroup

from .engine.health import Health
from .engine.health.conversations import Beginning, Conversations
from .engine.health.histories import DAYS, Histories
from .engine.health.machines import Machines
from .engine.health.standby import Traffic, standby
from .errors import InvalidRequest, StoreError
from .ledger import Ledger, LedgerRating, PastCall
from .ledger.bookkeeper import Bookkeeper
from .ledger.past import PastAttempt, past, sound
from .policy import Candidate
from .telemetry import CallRecord
from .types import Message, Target

EVERY = 30.0
"""Seconds, at least, from one look into the ledger to the next: what other processes saw is as old as that at most."""
PATIENCE = 0.05
"""Seconds for which first decisions wait for what the ledger remembers."""
READING = 5.0
"""Seconds that the ledger may take to answer, while nobody waits for it."""
RECALLING = 0.5
"""The same while a caller does."""
CALLS = 1_000
"""So many are read at once: the newest."""
BACK = 4 * DAYS
"""Seconds: what is older would count for a sixteenth at most, and is not read."""
OVERLAP = 60.0
"""Seconds that are read once more each time, since calls are written a little after they have ended."""
PENDING = 256
"""Calls of this client that wait to be counted until somebody asks; of more than these, only the ledger tells."""
AT_ONCE = 32
"""Calls that are counted in one turn of the event loop."""
OWN = 1_000
"""Calls of this client that it knows by their ids: the newest."""
COUNTED = 100_000
"""The same of all that were counted, if the ledger does not tell for long which of them it may tell of again."""


class Memory:
    """`clock` is the client's. Calls are told to it in the client's event loop; it may be asked in any thread. What
    they show of `machines` is passed on.
    """

    def __init__(self, book: Bookkeeper | None, clock: Callable[[], float], machines: Machines) -> None:
        self._book = book
        self.clock = clock
        self._machines = machines
        self._traffic = Traffic()
        self._epoch = time.time() - clock()
        self._histories = Histories()
        self._conversations = Conversations(os.urandom(16))
        self._pending: deque[CallRecord] = deque(maxlen=PENDING)
        self._own: dict[str, PastCall] = {}
        """By their ids, without attempts; oldest first."""
        self._counted: dict[str, float] = {}
        """When calls ended, by the ledger, that are in the histories: those of which it may tell again."""
        self._newest: float | None = None
        """When the newest call ended that the ledger told of."""
        self._read_at: float | None = None
        self._patient_until = 0.0
        self._arrived: anyio.Event | None = None
        self._lock = threading.RLock()

    # What happens ----------------------------------------------------------------------------------------------------

    def note(self, record: CallRecord) -> None:
        """A chat call has ended. It is counted once somebody asks, so as not to spend its own time."""
        self._pending.append(record)
        ended = self._epoch + record.started + record.timings.e2e
        self._own[record.call_id] = PastCall(
            call_id=record.call_id, ended=ended, target=record.target, task=record.task
        )
        if len(self._own) > OWN:
            del self._own[next(iter(self._own))]

    def answered(self, read: Sequence[Beginning], target: Target) -> None:
        """`target` has answered the request that these are the beginnings of."""
        self._conversations.answered(read, target, self.clock())

    async def rate(self, call_id: str, score: float) -> None:
        """See `AsyncClient.rate`."""
        rating = LedgerRating(call_id=call_id, score=score, at=time.time())
        own = self._own.get(call_id)
        if own is not None:
            if own.target is None:
                raise InvalidRequest(f"the call {call_id!r} has no answer that could be rated: it did not finish")
            with self._lock:
                self._histories.rate(own, score, self._wall())
            if self._book is not None:
                self._book.put(rating)
            return
        missing = [call_id]
        if self._book is not None:
            ask = partial(self._book.ask, lambda ledger: ledger.rate([rating]), READING)
            missing = await anyio.to_thread.run_sync(ask, abandon_on_cancel=True)
        if missing:
            kept = "nor its ledger has it" if self._book else "has it, and no ledger is kept"
            raise InvalidRequest(
                f"no call is known as {call_id!r}: neither this client {kept}; give the reply itself, or its call_id "
                "(a stream can be rated once its block has been left)"
            )

    # What is asked ---------------------------------------------------------------------------------------------------

    def beginnings(self, messages: Sequence[Message]) -> list[Beginning]:
        """How the conversation can be known again."""
        return self._conversations.beginnings(messages)

    def inform(self, candidates: Sequence[Candidate], read: Sequence[Beginning], health: Health) -> list[Candidate]:
        """`candidates` with all that is known of them now, for a request with these beginnings."""
        now, wall = self.clock(), self._wall()
        with self._lock:
            self._count(AT_ONCE)
            warm, rate = self._conversations.warm(read, now), self._traffic.rate(now)
            informed: list[Candidate] = []
            for one in candidates:
                ready = self._machines.ready(one.target, now)
                scaling = self._machines.of(one.target)
                told = Candidate(  # `replace` takes three times as long.
                    target=one.target,
                    capabilities=one.capabilities,
                    context_tokens=one.context_tokens,
                    max_output_tokens=one.max_output_tokens,
                    price=one.price,
                    strengths=one.strengths,
                    history=self._histories.of(one.target, wall),
                    warm_tokens=warm.get(one.target, 0),
                    cold_wait=ready.wait if ready else 0.0,
                    state=ready and ready.state,
                    starts=ready.starts if ready else 0.0,
                    standby_cost=standby(scaling, ready, rate) if scaling and ready else None,
                    open_at=health.shut_until(one.target, now),
                )
                informed.append(told)
            return informed

    def rate_of_calls(self) -> float:
        """How many come a second, of late, here and in others that share the ledger."""
        with self._lock:
            return self._traffic.rate(self.clock())

    async def ready(self, group: TaskGroup) -> None:
        """See that what the ledger tells is fresh; the first time, wait for it a little."""
        if self._book is None:
            return
        now = self.clock()
        if self._read_at is None or now - self._read_at >= EVERY:
            if self._arrived is None:
                self._arrived, self._patient_until = anyio.Event(), now + PATIENCE
            self._read_at = now
            group.start_soon(self._read, self._book, self._arrived, name="pointsman memory")
        if self._arrived is not None and not self._arrived.is_set() and now < self._patient_until:
            with anyio.CancelScope(deadline=self._patient_until):
                await self._arrived.wait()

    def recall(self, open_ledger: Callable[[], Ledger]) -> str | None:
        """The same for who has no event loop, in a thread that can be left alone. Why it came to nothing, if it did."""
        now = self.clock()
        if self._read_at is not None and now - self._read_at < EVERY:
            return None
        self._read_at = now
        found: list[list[PastCall] | Exception] = []
        since = self._since()

        def look() -> None:
            try:
                with open_ledger() as ledger:
                    found.append(_recent(since, ledger))
            except Exception as error:
                found.append(error)

        thread = threading.Thread(target=look, name="pointsman recall", daemon=True)
        thread.start()
        thread.join(RECALLING)
        if not found:
            return f"it has not answered within {RECALLING:g} s"
        if isinstance(calls := found[0], Exception):
            return str(calls)
        self._count(PENDING)  # Of a client that was open before; as in `_read`.
        self._learn(calls, since)
        self._told(calls)
        return None

    # Underneath ------------------------------------------------------------------------------------------------------

    def _wall(self) -> float:
        """Seconds since 1970, by the client's clock."""
        return self._epoch + self.clock()

    def _since(self) -> float:
        """From when on the ledger is to tell."""
        return self._wall() - BACK if self._newest is None else self._newest - OVERLAP

    async def _read(self, book: Bookkeeper, arrived: anyio.Event) -> None:
        since = self._since()
        try:
            while self._pending:  # Else they could be forgotten below before they are counted.
                self._count(AT_ONCE)
                await anyio.lowlevel.checkpoint()
            ask = partial(book.ask, partial(_recent, since), READING)
            calls = await anyio.to_thread.run_sync(ask, abandon_on_cancel=True)
            for first in range(0, len(calls), AT_ONCE):
                self._learn(calls[first : first + AT_ONCE], since)
                await anyio.lowlevel.checkpoint()
            self._told(calls)
            for target in self._histories.targets():  # So that no decision has to do it for all of them.
                with self._lock:
                    self._histories.of(target, self._wall())
                await anyio.lowlevel.checkpoint()
        except (StoreError, RuntimeError):  # It was logged; or no thread can be started any more.
            pass
        finally:
            arrived.set()

    def _learn(self, calls: Sequence[PastCall], since: float) -> None:
        """The ledger has told of these; of those that ended before `since`, only what they were rated is new."""
        with self._lock:
            wall = self._wall()
            for call in calls:
                if call.call_id not in self._counted and call.ended >= since:
                    self._add(call, call.ended, wall)
                elif call.rating is not None:
                    self._histories.rate(call, call.rating, wall)

    def _told(self, calls: Sequence[PastCall]) -> None:
        """These were all of them, from the oldest to the newest."""
        with self._lock:
            if calls:
                self._newest = max(self._newest or 0.0, min(calls[-1].ended, time.time()))
            again = self._since()
            self._counted = {one: ended for one, ended in self._counted.items() if ended >= again}

    def _count(self, most: int) -> None:
        """Count calls of this client that wait for it."""
        with self._lock:
            wall = self._wall()
            for _ in range(min(most, len(self._pending))):
                record = self._pending.popleft()
                if record.call_id not in self._counted:
                    self._add(past(record, self._epoch), record.at + record.timings.e2e, wall)

    def _add(self, call: PastCall, told: float, wall: float) -> None:
        """`told`: when it ended as the ledger has it, whose clock may be wrong, or was set since this client began."""
        self._traffic.add(min(call.ended, wall) - self._epoch)
        self._histories.add(call, wall, [one for one in call.attempts if self._woke(one, wall)])
        if self._book is not None:
            self._counted[call.call_id] = told
            if len(self._counted) > COUNTED:
                del self._counted[next(iter(self._counted))]

    def _woke(self, one: PastAttempt, wall: float) -> bool:
        """Whether it met machines of its target that were not ready, as far as is known; they are told of it."""
        gave_up = one.outcome in ("lost", "cancelled") or one.error_type in _IMPATIENT
        if one.first_output is None and not gave_up:
            return False
        ended = min(one.ended, wall) - self._epoch
        began = ended - max(0.0, one.duration)
        spoke = None if one.first_output is None else min(began + max(0.0, one.first_output), ended)
        return self._machines.told(one.target, began, spoke, ended, broke=one.outcome == "failed")


_IMPATIENT = "FirstTokenTimeout", "DeadlineExceeded"
"""Errors of attempts that were given up while they waited."""


def _recent(since: float, ledger: Ledger) -> list[PastCall]:
    until = time.time() + OVERLAP  # Who is further ahead has a wrong clock, and would crowd out all others.
    return sound(ledger.recent(datetime.fromtimestamp(since, UTC), CALLS, datetime.fromtimestamp(until, UTC)))

"""Between the event loop and the ledger: nothing waits for it, nothing is lost in silence, nothing is said twice."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import CallRecord, Decision, Exact, LedgerEntry, LedgerTotal, StoreError, Timings
from pointsman.ledger import bookkeeper as rooms
from pointsman.ledger import writer
from pointsman.ledger.bookkeeper import Bookkeeper

FULL = "/data/ledger.db cannot be written: the disk is full: free some space"


class Fake:
    """A ledger in memory that fails as it is told to, and knows who uses it."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.transactions: list[int] = []
        self.fault: BaseException | None = None
        self.opened = self.closed = 0
        self.refuses = ""
        """A call that it cannot write, whatever happens."""
        self.purges: list[datetime] = []
        self.users: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()

    def open(self) -> Self:
        self.opened += 1
        self._use()
        return self

    def _use(self) -> None:
        self.users.add(threading.current_thread().name)
        self.gate.wait(30)
        if self.fault is not None:
            raise self.fault

    def write(self, entries: Sequence[LedgerEntry]) -> None:
        self._use()
        ids = [one.call.call_id for one in entries]
        if self.refuses in ids:
            raise ValueError("it holds half a surrogate pair")
        self.ids += ids
        self.transactions.append(len(ids))

    def purge(self, before: datetime) -> int:
        self._use()
        self.purges.append(before)
        return 0

    def totals(self, query: Any, by: Any = ()) -> list[LedgerTotal]:
        raise NotImplementedError

    def rows(self, table: Any, query: Any) -> Iterator[Any]:
        raise NotImplementedError

    def close(self) -> None:
        self.closed += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def entry(name: str) -> LedgerEntry:
    call = CallRecord(
        call_id=name,
        decision=Decision(policy="pinned", order=(), reason="named"),
        outcome="finished",
        attempts=(),
        timings=Timings(e2e=0.0),
        cost=Exact(0),
        at=0.0,
        started=0.0,
    )
    return LedgerEntry(call=call)


@pytest.fixture
def fake() -> Fake:
    return Fake()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "LINGER", 0.001)
    monkeypatch.setattr(writer, "FIRST_PAUSE", 0.001)


@pytest.fixture
def keep(fake: Fake) -> Iterator[Callable[..., Bookkeeper]]:
    """Makes bookkeepers of `fake`, and lets none of them live on."""
    made: list[Bookkeeper] = []

    def keep(**how: Any) -> Bookkeeper:
        made.append(Bookkeeper(fake.open, "/data/ledger.db", **how))
        return made[-1]

    yield keep
    fake.gate.set()
    for one in made:
        one.close()
    assert not any(thread.name == "pointsman ledger" for thread in threading.enumerate())


Keep = Callable[..., Bookkeeper]


def test_nothing_is_opened_and_no_thread_runs_before_the_first_call(fake: Fake, keep: Keep) -> None:
    book = keep()
    book.flush()
    book.close()
    assert (fake.opened, fake.users) == (0, set())


def test_what_was_put_before_a_flush_is_there_after_it_in_order_and_by_the_same_thread(fake: Fake, keep: Keep) -> None:
    book = keep()
    for part in range(3):
        for number in range(40):
            book.put(entry(f"{part}-{number}"))
        book.flush()
        assert fake.ids == [f"{one}-{number}" for one in range(part + 1) for number in range(40)]
    assert fake.opened == 1
    assert fake.users == {"pointsman ledger"}
    assert max(fake.transactions) <= writer.BATCH


def test_putting_waits_for_nobody(fake: Fake, keep: Keep) -> None:
    fake.gate.clear()
    book = keep()
    for number in range(100):
        book.put(entry(str(number)))
    assert fake.ids == []
    fake.gate.set()
    book.close()
    assert len(fake.ids) == 100
    assert fake.closed == 1


def test_what_is_put_after_the_end_is_written_too_and_the_ledger_closed_again(fake: Fake, keep: Keep) -> None:
    book = keep()
    for number in range(20):
        book.put(entry(str(number)))
        book.close()
    assert fake.ids == [str(number) for number in range(20)]
    assert fake.opened == fake.closed == 20


def test_a_ledger_that_fails_is_said_once_and_gets_everything_later(
    fake: Fake, keep: Keep, caplog: pytest.LogCaptureFixture
) -> None:
    fake.fault = StoreError(FULL)
    book = keep()
    for number in range(5):
        book.put(entry(str(number)))
        with pytest.raises(StoreError, match="free some space"):
            book.flush()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert FULL in caplog.text
    fake.fault = None
    book.flush()
    assert fake.ids == list("01234")
    book.close()
    assert len(caplog.records) == 1, "nothing was lost, so nothing more is said"


def test_what_waits_is_tried_again_without_anybody_asking(fake: Fake, keep: Keep) -> None:
    fake.fault = StoreError(FULL)
    book = keep()
    book.put(entry("a"))
    with pytest.raises(StoreError):
        book.flush()
    came = threading.Event()
    fake.write = lambda entries: came.set()  # type: ignore[method-assign]
    fake.fault = None
    assert came.wait(10)


def test_what_could_not_be_written_to_the_end_is_counted_once(
    fake: Fake, keep: Keep, caplog: pytest.LogCaptureFixture
) -> None:
    fake.fault = StoreError(FULL)
    book = keep()
    for number in range(3):
        book.put(entry(str(number)))
    book.close()
    book.close()
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert said[1] == f"3 calls are missing in the ledger /data/ledger.db: {FULL}"


def test_a_backlog_has_an_end_and_what_is_beyond_it_is_counted(
    fake: Fake, keep: Keep, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "BACKLOG", 10)
    fake.gate.clear()
    book = keep()
    for number in range(25):
        book.put(entry(str(number)))
    fake.gate.set()
    with pytest.raises(StoreError, match=r"1\d calls are missing"):
        book.flush()
    book.flush()
    book.put(entry("later"))
    book.close()
    assert fake.ids[0] == "0"
    assert fake.ids[-1] == "later"
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(f"{26 - len(fake.ids)} calls are missing")


def test_one_call_that_cannot_be_written_costs_no_other(
    fake: Fake, keep: Keep, caplog: pytest.LogCaptureFixture
) -> None:
    fake.refuses = "3"
    book = keep()
    for number in range(6):
        book.put(entry(str(number)))
    book.close()
    assert fake.ids == list("01245")
    assert "the call 3 cannot be written: ValueError: it holds half a surrogate pair" in caplog.text
    assert "1 call is missing in the ledger /data/ledger.db" in caplog.text


def test_a_call_that_cannot_be_written_is_lost_once_though_the_ledger_fails_meanwhile(
    fake: Fake, keep: Keep, caplog: pytest.LogCaptureFixture
) -> None:
    write, full = fake.write, True

    def moody(entries: Sequence[LedgerEntry]) -> None:
        if full and [one.call.call_id for one in entries] == ["2"]:
            raise StoreError(FULL)
        write(entries)

    fake.write, fake.refuses = moody, "1"  # type: ignore[method-assign]
    book = keep()
    for number in range(4):
        book.put(entry(str(number)))
    with pytest.raises(StoreError, match="free some space"):
        book.flush()
    full = False
    with pytest.raises(StoreError, match="1 call is missing"):
        book.flush()
    book.close()
    assert fake.ids == list("023")
    assert "1 call is missing" in caplog.text


@pytest.mark.parametrize("raised", [RuntimeError("a bug"), SystemExit(3), KeyboardInterrupt()])
def test_a_ledger_with_a_bug_ends_no_thread(
    fake: Fake, keep: Keep, caplog: pytest.LogCaptureFixture, raised: BaseException
) -> None:
    fake.fault = raised
    book = keep()
    book.put(entry("a"))
    with pytest.raises(StoreError, match=type(raised).__name__):
        book.flush()
    assert len(caplog.records) == 1
    fake.fault = None
    book.flush()
    assert fake.ids == ["a"]


def test_a_ledger_that_hangs_keeps_nobody(fake: Fake, keep: Keep, caplog: pytest.LogCaptureFixture) -> None:
    fake.gate.clear()
    book = keep()
    book.put(entry("a"))
    with pytest.raises(StoreError, match="hangs"):
        book.flush(0.01)
    book.close(0.01)
    assert "hangs" in caplog.text


def test_without_a_thread_calls_are_counted_as_lost(
    fake: Fake, keep: Keep, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    book = keep()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_more)
        book.put(entry("a"))
    book.put(entry("b"))
    book.close()
    assert fake.ids == ["b"]
    assert "1 call is missing" in caplog.text


def test_what_is_older_than_it_is_to_be_kept_goes_once_a_day(fake: Fake, keep: Keep) -> None:
    book = keep(keep_days=30)
    for number in range(3):
        book.put(entry(str(number)))
        book.flush()
    book.close()
    today = datetime.now(UTC).date()
    assert [one.date() for one in fake.purges] == [today - timedelta(days=30)]
    assert fake.purges[0].timetz() == datetime.min.replace(tzinfo=UTC).timetz(), "midnight, UTC"


def test_a_ledger_that_cannot_purge_is_said_and_used(fake: Fake, keep: Keep, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(before: datetime) -> int:
        raise StoreError("nobody may delete there")

    fake.purge = refuse  # type: ignore[method-assign]
    book = keep(keep_days=1)
    for number in range(3):
        book.put(entry(str(number)))
        book.flush()
    book.close()
    assert len(fake.ids) == 3
    assert [record.levelname for record in caplog.records] == ["ERROR"]


ACTS = st.lists(st.sampled_from(["put", "put", "put", "flush", "fail", "mend", "close"]), max_size=30)


@given(acts=ACTS)
def test_whatever_happens_each_call_is_there_once_in_order_or_counted_as_missing(acts: list[str]) -> None:
    fake, missing, put = Fake(), [0], 0

    class Counting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "missing" in record.msg:
                missing[0] += int(record.getMessage().split()[0])

    handler = Counting()
    book, log = Bookkeeper(fake.open, "x"), logging.getLogger("pointsman")
    log.addHandler(handler)
    try:
        for act in [*acts, "mend", "close"]:
            if act == "put":
                book.put(entry(f"{put:03}"))
                put += 1
            elif act == "flush":
                try:
                    book.flush()
                    assert fake.fault is None or not fake.users or len(fake.ids) + missing[0] == put
                except StoreError:
                    assert fake.fault is not None or missing[0] < put
            elif act == "close":
                book.close()
                assert len(fake.ids) + missing[0] == put
            else:
                fake.fault = StoreError(FULL) if act == "fail" else None
        assert fake.ids == sorted(set(fake.ids))
        assert len(fake.ids) + missing[0] == put
    finally:
        log.removeHandler(handler)
        book.close()


EXIT = """
import sys, threading
sys.path.insert(0, {tests!r})
from test_bookkeeper import Fake, Bookkeeper, entry
fake = Fake()
fake.close = lambda: print("closed with", len(fake.ids))
book = Bookkeeper(fake.open, "x")
for number in range(30):
    book.put(entry(str(number)))
{then}
"""


@pytest.mark.parametrize("then", ["", "raise SystemExit", "book.flush(); book.put(entry('last'))"])
def test_the_end_of_the_interpreter_writes_what_nobody_flushed(then: str) -> None:
    from pathlib import Path

    code = EXIT.format(tests=str(Path(__file__).parent), then=then)
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == (f"closed with {30 + ('last' in then)}\n", "")


def test_a_child_of_fork_waits_for_no_thread() -> None:
    from pathlib import Path

    fork = "import os, time\nif os.fork() == 0: sys.exit()\nos.wait(); print('parent', len(fake.ids) in range(31))"
    code = EXIT.format(tests=str(Path(__file__).parent), then=fork)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.splitlines() == ["parent True", "closed with 30"]

"""All that a ledger has to keep: what was written is there, once, and its sums are right to the last pico-dollar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import ClassVar

import pytest

from pointsman import (
    AtLeast,
    Cost,
    Exact,
    Ledger,
    LedgerEntry,
    LedgerQuery,
    LedgerRating,
    Plugins,
    StoreError,
    Usage,
)
from pointsman.telemetry import AttemptRecord

from ..overriding import Overridable
from ..speech import expect
from .crash import expect_all_there, killed_while_writing
from .entries import BEGINNING, TARGETS, entry
from .reference import ReferenceLedger
from .walk import START, compare, walk

__all__ = ["LedgerConformance", "ReferenceLedger", "walk"]

ALL = LedgerQuery()
TEXTS = {
    "empty": "",
    "a statement": "'; DROP TABLE calls; --",
    "marks for values": "?%s{}$1",
    "a NUL": "a\0b",
    "half a surrogate pair": "\ud800",
    "9,000 bytes": "☃" * 3_000,
    "JSON": '{"a": "\\"}',
    "NULL": "NULL",
}


class LedgerConformance(Overridable):
    """Subclass it as ``class TestOurs(LedgerConformance)``, say which `scheme`, and give the fixture `url`.

    A test that does not hold is overridden with a strict ``pytest.mark.xfail`` that gives the reason, never deleted.
    """

    pytestmark: ClassVar[list[pytest.MarkDecorator]] = [pytest.mark.filterwarnings("error")]

    scheme: ClassVar[str]
    """The scheme of its URLs, which is the name of its entry point."""
    lasting: ClassVar[bool] = True
    """Whether what is written is still there for whoever opens the URL again."""

    @pytest.fixture
    def url(self) -> str:
        """The URL of an empty ledger, which no other test uses."""
        raise NotImplementedError("give the fixture `url`: the URL of an empty ledger")

    @pytest.fixture
    def place(self, url: str) -> Callable[[], Ledger]:
        """Opens it, as everybody does: by the entry point."""
        store = Plugins.installed().store(self.scheme)
        return lambda: store.ledger(url)

    @pytest.fixture
    def ledger(self, place: Callable[[], Ledger]) -> Iterator[Ledger]:
        with place() as opened:
            yield opened

    @pytest.fixture
    def again(self, place: Callable[[], Ledger]) -> Callable[[], Ledger]:
        if not self.lasting:
            pytest.skip("it does not last")
        return place

    # What is written is there ----------------------------------------------------------------------------------------

    def test_begins_with_nothing_in_it(self, ledger: Ledger) -> None:
        compare(ledger, ReferenceLedger(), ALL, [])
        compare(ledger, ReferenceLedger(), ALL, ["day", "tag:team"])
        expect(ledger.purge(datetime.now(UTC)) == 0, "purge said that it forgot calls, of a ledger without any")

    def test_writes_nothing_if_there_is_nothing(self, ledger: Ledger) -> None:
        ledger.write([])
        expect(not list(ledger.rows("calls", ALL)), "write([]) wrote something")

    def test_keeps_every_part_of_a_call(self, ledger: Ledger) -> None:
        reference, dice = ReferenceLedger(), Random(1)  # noqa: S311  (nothing is a secret here)
        for number in range(60):
            one = [entry(dice, f"call {number}")]
            ledger.write(one)
            reference.write(one)
        compare(ledger, reference, ALL, [])

    def test_a_call_that_is_written_again_stays_as_it_was(self, ledger: Ledger) -> None:
        first, second = (call("same", costs=[cost]) for cost in (Exact(1), Exact(2)))
        more = call("same", costs=[Exact(1), Exact(4)])
        ledger.write([first, second])
        ledger.write([more, call("other", costs=[Exact(8)])])
        (total,) = ledger.totals(ALL)
        expect(
            (total.calls, total.attempts, total.cost) == (2, 2, Exact(9)),
            f"of two calls, one of which was written three times, there are {total}: a write that is repeated leaves "
            "what is there as it is, its attempts too, and within one write the first counts",
        )

    def test_many_are_written_at_once(self, ledger: Ledger) -> None:
        ledger.write([call(f"call {number}", costs=[Exact("0.01")]) for number in range(1_100)])
        (total,) = ledger.totals(ALL)
        expect((total.calls, total.cost) == (1_100, Exact(11)), f"of 1,100 calls for a cent each there are {total}")
        ids = [row["call_id"] for row in ledger.rows("attempts", ALL)]
        expect(len(set(ids)) == len(ids) == 1_100, f"rows of 1,100 calls are {len(ids)}, of {len(set(ids))} calls")

    @pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
    def test_keeps_any_text(self, ledger: Ledger, text: str) -> None:
        """Of what no database can keep as text, something else may stand there, but it can be asked for."""
        one = call("text", costs=[Exact(1)])
        tagged = replace(one.call, tags={f"name {text}": text}, task=text)
        ledger.write([replace(one, call=tagged, prompt=text)])
        (row,) = ledger.rows("calls", ALL)
        writable = "\0" not in text and "\ud800" not in text
        expect(not writable or row["task"] == row["prompt"] == text, f"of the text {text[:20]!r} came {row['task']!r}")
        (total,) = ledger.totals(LedgerQuery(where={f"tag:name {text}": text, "task": text}))
        expect(total.calls == 1, f"a call with the task and the tag {text[:20]!r} is not found by them")

    def test_keeps_no_texts_but_those_that_it_is_given(self, ledger: Ledger) -> None:
        """An error's message may quote what was asked."""
        silent = call("silent", costs=[Exact(1)], error="Unavailable: cannot answer 'a secret'")
        ledger.write([silent])
        seen = repr([list(ledger.rows("calls", ALL)), list(ledger.rows("attempts", ALL))])
        expect("secret" not in seen, "an error's message was kept, though no texts were: keep error_type alone")
        expect("'Unavailable'" in seen, "the kind of an error was lost")

    # Sums ------------------------------------------------------------------------------------------------------------

    def test_sums_may_be_larger_than_64_bits(self, ledger: Ledger) -> None:
        used = Usage(input_tokens=2**62, output_tokens=2**62)
        ledger.write([call(f"call {number}", costs=[Exact(9_000_000)], usage=used) for number in range(9)])
        (total,) = ledger.totals(ALL)
        expect(total.cost == Exact(81_000_000), f"nine times 9,000,000 USD are {total.cost!r}")
        expect(total.usage.input_tokens == 9 * 2**62, f"nine times 2^62 tokens are {total.usage.input_tokens}")

    def test_an_amount_that_does_not_fit_is_a_lower_bound(self, ledger: Ledger) -> None:
        ledger.write([call("rich", costs=[Exact(Decimal("1e30")), Exact(Decimal("1e-9000"))])])
        (total,) = ledger.totals(ALL)
        expect(not total.cost.complete, f"1e30 USD were kept as {total.cost!r}")
        expect(total.cost.known > 9_000_000, f"of 1e30 USD, {total.cost!r} is left")

    def test_unknown_costs_are_counted_beside_the_sum(self, ledger: Ledger) -> None:
        ledger.write(
            [
                call("exact", costs=[Exact(1)]),
                call("bounded", costs=[Exact(1), AtLeast(2)]),
                call("unpriced", costs=[AtLeast(4), AtLeast(0)]),
                call("free", costs=[Exact(0)]),
            ]
        )
        (total,) = ledger.totals(ALL)
        seen = total.cost, total.unpriced, total.bounded
        expect(seen == (AtLeast(8), 1, 1), f"cost, unpriced and bounded calls are {seen}, not {(AtLeast(8), 1, 1)}")

    # Questions -------------------------------------------------------------------------------------------------------

    def test_bounds_of_time_are_exact(self, ledger: Ledger) -> None:
        begin = datetime.fromtimestamp(BEGINNING, UTC)
        ledger.write([call("it", costs=[Exact(1)])])
        tick = timedelta(microseconds=1)
        for since, until, found in (
            (begin, None, 1),
            (begin + tick, None, 0),
            (None, begin, 0),
            (None, begin + tick, 1),
            (begin, begin, 0),
        ):
            (total,) = ledger.totals(LedgerQuery(since=since, until=until))
            expect(
                total.calls == found, f"a call that began at {begin} is there {total.calls}x from {since} to {until}"
            )

    # What was rated, and what is recent -------------------------------------------------------------------------------

    def test_the_last_rating_of_a_call_counts(self, ledger: Ledger) -> None:
        ledger.write([call("a", costs=[Exact(1)]), call("b", costs=[Exact(1)])])
        missing = ledger.rate([rating("a", 1.0), rating("gone", 1.0), rating("a", 0.25), rating("gone", 0.5)])
        expect(missing == ["gone"], f"of ratings of a call that is there and one that is not, {missing} are missing")
        for scores in ([0.25, None], [0.75, None]):
            seen = [row["rating"] for row in ledger.rows("calls", ALL)]
            expect(seen == scores, f"the calls' ratings are {seen}, and should be {scores}: the last one counts")
            ledger.rate([rating("a", 0.75)])
        ledger.write([call("a", costs=[Exact(1)])])
        expect([one.rating for one in ledger.recent(START, 9)] == [0.75, None], "writing a call again took its rating")

    def test_recent_calls_are_those_that_ended_last_whenever_they_began(self, ledger: Ledger) -> None:
        long = call("long", costs=[Exact(1)], at=BEGINNING, lasted=100.0)
        short = [call(f"short {n}", costs=[Exact(1), Exact(1)], at=BEGINNING + 10 + n) for n in range(3)]
        ledger.write([long, *short])
        seen = [one.call_id for one in ledger.recent(START + timedelta(seconds=12), 2)]
        expect(seen == ["short 2", "long"], f"the two calls that ended last, after 12 s, are {seen}")
        seen = [one.call_id for one in ledger.recent(START, 1, START + timedelta(seconds=13))]
        expect(seen == ["short 1"], f"the call that ended last before 13 s is {seen}")
        ledger.rate([rating("short 0", 0.5, at=BEGINNING + 500)])
        told = ledger.recent(START + timedelta(seconds=101), 9)
        expect([(one.call_id, one.rating) for one in told] == [("short 0", 0.5)], f"rated since then was {told}")
        expect([len(one.attempts) for one in told] == [2], f"a call with two attempts was told with {told}")

    def test_refuses_what_it_cannot_understand(self, ledger: Ledger) -> None:
        day = datetime(2026, 12, 1)
        questions: dict[str, Callable[[], object]] = {
            "a dimension that there is not": lambda: ledger.totals(ALL, ["colour"]),
            "a condition on a dimension that there is not": lambda: ledger.totals(LedgerQuery(where={"colour": "x"})),
            "a moment without a time zone": lambda: ledger.totals(LedgerQuery(since=day)),
            "a purge before a moment without a time zone": lambda: ledger.purge(day),
            "what is recent since a moment without a time zone": lambda: ledger.recent(day, 1),
            "a day that is none": lambda: ledger.totals(LedgerQuery(where={"day": "yesterday"})),
        }
        for what, ask in questions.items():
            try:
                answer = ask()
            except ValueError:
                continue
            raise AssertionError(f"{what} was answered with {answer}: raise ValueError, which names it")

    def test_rows_are_read_while_calls_are_written_and_forgotten(self, ledger: Ledger) -> None:
        ledger.write([call(f"a {number:04}", costs=[Exact(1)]) for number in range(1_200)])
        ids = list[str]()
        for number, row in enumerate(ledger.rows("calls", ALL)):
            ids.append(row["call_id"])
            if number == 10:
                ledger.write([call("b", costs=[Exact(1)])])
            if number == 600:
                ledger.purge(datetime.fromtimestamp(BEGINNING, UTC) + timedelta(seconds=1))
        expect(len(set(ids)) == len(ids), "a row came twice, of calls that were written while rows were read")
        expect(ids == sorted(ids), "rows did not come oldest first, of calls that were written while rows were read")
        expect(len(ids) > 600, f"{len(ids)} rows came, of which 601 were read before anything was forgotten")

    # Forgetting, lasting, closing ------------------------------------------------------------------------------------

    def test_forgets_what_began_before_and_nothing_else(self, ledger: Ledger) -> None:
        ledger.write([call(f"call {n}", costs=[Exact(1)], at=BEGINNING + n // 1_100) for n in range(1_101)])
        count = ledger.purge(datetime.fromtimestamp(BEGINNING + 1, UTC))
        left = [row["call_id"] for row in (*ledger.rows("calls", ALL), *ledger.rows("attempts", ALL))]
        expect(count == 1_100, f"purge says that it forgot {count} calls of 1,100")
        expect(left == ["call 1100"] * 2, f"rows of {left[:5]} are left, and should be one call's and its attempt's")

    def test_another_finds_what_was_written(self, ledger: Ledger, again: Callable[[], Ledger]) -> None:
        ledger.write([call("kept", costs=[Exact(1)])])
        for when in ("while the first is open", "after the first is closed"):
            with again() as other:
                (total,) = other.totals(ALL)
            expect(total.cost == Exact(1), f"another ledger at the same URL has {total}, {when}")
            ledger.close()

    def test_several_write_at_once(self, again: Callable[[], Ledger]) -> None:
        """Each opens it by itself, the first time that anybody does."""

        def work(who: int) -> None:
            with again() as mine:
                for number in range(15):
                    mine.write([call(f"{who} {number}", costs=[Exact(1)]), call(f"all {number}", costs=[Exact(1)])])

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(work, range(4)))
        with again() as ledger:
            (total,) = ledger.totals(ALL)
        expect((total.calls, total.cost) == (75, Exact(75)), f"of 75 calls that four wrote at once there are {total}")

    def test_what_a_killed_process_has_written_is_there(self, url: str, again: Callable[[], Ledger]) -> None:
        written = killed_while_writing(url, ["a", "b"], Random(1))  # noqa: S311
        expect(len(written) > 2, "two processes wrote next to nothing: what they printed is above")
        expect_all_there(again, written)

    def test_is_of_no_use_after_it_was_closed(self, ledger: Ledger) -> None:
        ledger.close()
        ledger.close()
        uses: dict[str, Callable[[], object]] = {
            "write": lambda: ledger.write([call("late", costs=[])]),
            "totals": lambda: ledger.totals(ALL),
            "rows": lambda: list(ledger.rows("calls", ALL)),
            "rate": lambda: ledger.rate([rating("late", 1.0)]),
            "recent": lambda: ledger.recent(datetime.now(UTC), 1),
            "purge": lambda: ledger.purge(datetime.now(UTC)),
        }
        for what, ask in uses.items():
            try:
                ask()
            except StoreError:
                continue
            raise AssertionError(f"{what} of a ledger that was closed did not raise StoreError: a record would be lost")

    @pytest.mark.parametrize("seed", range(6))
    def test_says_what_the_reference_says(self, place: Callable[[], Ledger], seed: int) -> None:
        walk(place, Random(seed), 12, lasting=self.lasting)  # noqa: S311


def call(
    call_id: str,
    *,
    costs: list[Cost],
    usage: Usage | None = None,
    error: str | None = None,
    at: float = BEGINNING,
    lasted: float = 1.0,
) -> LedgerEntry:
    """A call with an attempt for each of `costs`."""
    some = entry(Random(0), call_id)  # noqa: S311
    attempts = tuple(
        AttemptRecord(
            call_id=call_id,
            attempt=number,
            target=TARGETS[0],
            outcome="failed" if error else "finished",
            started=0.0,
            first_output=None,
            ended=1.0,
            error=error,
            usage=usage,
            cost=cost,
        )
        for number, cost in enumerate(costs, 1)
    )
    timings = replace(some.call.timings, e2e=lasted)
    whole = replace(
        some.call, attempts=attempts, cost=Cost.total(costs), at=at, usage=usage, timings=timings, operation="chat"
    )
    return replace(some, call=whole, prompt=None, answer=None)


def rating(call_id: str, score: float, *, at: float = BEGINNING) -> LedgerRating:
    """What a call's answer was rated."""
    return LedgerRating(call_id=call_id, score=score, at=at)

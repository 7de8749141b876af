"""Processes that write, and are killed while they do."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from random import Random

from pointsman import Ledger, LedgerQuery

from ..speech import expect

ATTEMPTS = 3
"""Of each call."""

WRITER = """
import sys
from pointsman import AttemptRecord, CallRecord, Decision, Exact, LedgerEntry, StoreError, Target, Timings, open_ledger

url, who = sys.argv[1:]
target = Target("acme", "m")

def entry(call_id):
    attempts = tuple(
        AttemptRecord(call_id=call_id, attempt=n, target=target, outcome="finished", started=0.0, first_output=None,
                      ended=1.0, cost=Exact("0.01"))
        for n in range(3)
    )
    call = CallRecord(call_id=call_id, decision=Decision(policy="p", order=(target,)), outcome="finished", at=1.8e9,
                      attempts=attempts, timings=Timings(e2e=1.0), cost=Exact("0.03"), started=0.0)
    return LedgerEntry(call=call, prompt="x" * 2_000)

print("ready", flush=True)
number = 0
try:
    with open_ledger(url) as ledger:
        while True:
            batch = [f"{who} {n}" for n in range(number, number + 1 + number % 4)]
            ledger.write([entry(call_id) for call_id in batch])
            number += len(batch)
            print("\\n".join(batch), flush=True)
except StoreError as error:
    print(error, file=sys.stderr)
"""


@contextmanager
def writers(url: str, names: list[str]) -> Generator[list[subprocess.Popen[str]]]:
    """A process for each of `names` that writes calls whose ids begin with it, and prints an id once it is written."""
    running: list[subprocess.Popen[str]] = []
    try:
        running += [
            subprocess.Popen([sys.executable, "-c", WRITER, url, name], stdout=subprocess.PIPE, text=True)  # noqa: S603
            for name in names
        ]
        for one in running:
            assert one.stdout is not None
            one.stdout.readline()
        yield running
    finally:
        for one in running:
            one.kill()
            one.communicate()


def killed_while_writing(url: str, names: list[str], dice: Random, most: int = 40) -> list[str]:
    """Start a writer for each of `names`, kill each after some of its calls, and return the ids of all that was said to
    be written.
    """
    written: list[str] = []
    with writers(url, names) as running:
        for one in running:
            assert one.stdout is not None
            written += [one.stdout.readline().strip() for _ in range(dice.randrange(1, most))]
            one.send_signal(signal.SIGKILL)
            written += one.stdout.read().split("\n")
    return [call_id for call_id in written if call_id]


def expect_all_there(open_ledger: Callable[[], Ledger], written: list[str]) -> None:
    """Whatever was said to be written must be there, and no call without its attempts."""
    with open_ledger() as ledger:
        calls = [row["call_id"] for row in ledger.rows("calls", LedgerQuery())]
        attempts = [row["call_id"] for row in ledger.rows("attempts", LedgerQuery())]
    lost = sorted(set(written) - set(calls))
    expect(not lost, f"{len(lost)} of {len(written)} calls are lost that were said to be written: {lost[:5]}")
    expect(
        sorted(attempts) == sorted(calls * ATTEMPTS),
        "a call is there without all of its attempts: write both in one transaction",
    )

"""Many calls, one in ten of them left, at a vendor that fails one request in five: what stays behind, and is all told?

    nox -s soak    # or: uv run python benchmarks/soak.py [--calls 100000] [--backend asyncio]

Half of the calls run on asyncio and half on trio, in one process, against a server in another. After every so many
calls all is at rest, and what is there is counted: sockets, tasks, memory, objects. Every call must have its one
record, and every attempt; no attempt may have reached the server that no record tells of; and whatever passes as an
answer must be what the server meant to say, which is the prompt. Exits 7 if any of that does not hold.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import random
import statistics
import subprocess
import sys
import time
import urllib.request
import warnings
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

import anyio

import pointsman

PARTS = Path(__file__).parent / "parts"
NAMES = ["one", "two", "three"]
TARGETS = [f"{name}/m" for name in NAMES]
ENGINE = {
    "deadline": 20.0,
    "first_token": 1.0,
    "stall": 1.0,
    "max_wait": 2.0,
    "retries": 2,
    "retry_budget": 1.0,
    "hedge": 0.05,
}
LIMITS = {"three": {"concurrent": 6}}
"""So that calls wait in line for others."""
WORKERS = 32
EVERY = 5000
"""Calls from one sample to the next."""
LEFT = 0.13
"""The share of calls that somebody means to leave; some are over before."""
LEEWAY = {"sockets": (0.25, 16), "tasks": (0.0, 0), "rss_kib": (0.03, 2048), "objects": (0.01, 500)}
"""How much more the last fifth of the samples may have than the second: a share of it, or so much."""
FEWEST = {"finished": 0.7, "left": 0.05}
"""The share of calls that must end so, or the run shows little."""


class Sample(NamedTuple):
    """What there is when all is at rest."""

    calls: int
    sockets: int
    tasks: int
    rss_kib: int
    objects: int


def sockets() -> int:
    count = 0
    for number in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{number}").startswith("socket:")
        except OSError:
            continue  # That of the folder itself.
    return count


def sample(calls: int) -> Sample:
    gc.collect()
    rss = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
    return Sample(calls, sockets(), len(anyio.get_running_tasks()), rss, len(gc.get_objects()))


class Ledger:
    """A sink, and what callers saw. It does not grow: each call has had its cells from the beginning."""

    def __init__(self, calls: int) -> None:
        self.calls = calls
        self.records = array("B", bytes(calls))
        """How many records each call has got."""
        self.outcomes = [""] * calls
        self.attempts = array("B", bytes(calls))
        """How many attempts of each call records of their own told of."""
        self.unsent = array("B", bytes(calls))
        """How many of them may have ended before they were sent."""
        self.counted: dict[str, Counter[str]] = {name: Counter() for name in ("calls", "attempts", "roles", "errors")}
        self.seen: Counter[str] = Counter()
        """How calls ended for who made them."""
        self.wrong: Counter[str] = Counter()
        """What must not be."""
        self._told: dict[str, list[pointsman.AttemptRecord]] = {}
        """By the id of a call that has no record yet."""

    @pointsman.hookimpl
    def pointsman_sinks(self) -> list[pointsman.Sink]:
        return [self.take]

    def take(self, record: pointsman.AttemptRecord | pointsman.CallRecord) -> None:
        if isinstance(record, pointsman.AttemptRecord):
            self._told.setdefault(record.call_id, []).append(record)
            self.counted["attempts"][record.outcome] += 1
            self.counted["roles"][record.role] += 1
            if record.error:
                kind = record.error.partition(":")[0]
                self.counted["errors"][kind] += 1
                if kind == "PluginError":  # Nobody here breaks a promise.
                    self.wrong[record.error] += 1
            return
        number, told = int(record.tags["number"]), self._told.pop(record.call_id, [])
        self.records[number] += 1
        self.outcomes[number] = record.outcome
        self.attempts[number] = len(told)
        self.unsent[number] = sum(map(may_be_unsent, told))
        self.counted["calls"][record.outcome] += 1
        if [one.attempt for one in told] != list(range(1, len(record.attempts) + 1)):
            self.wrong["attempts were not told of once each"] += 1
        if any(not one.started <= one.ended for one in told):
            self.wrong["an attempt ended before it began"] += 1

    def saw(self, number: int, ending: str) -> None:
        """How call `number` ended for who made it, which its record must say too."""
        self.seen[ending] += 1
        told, count = self.outcomes[number], self.records[number]
        right = {"finished": ["finished"], "left": ["cancelled", "finished", "failed"]}.get(ending, ["failed"])
        if told not in right or count != 1:
            self.wrong[f"{ending} for the caller, but {told or 'nothing'} in {count} records"] += 1

    def at_rest(self) -> None:
        """No call runs."""
        if self._told:
            self.wrong["attempts of which the call has no record"] += len(self._told)

    def audit(self, asked: dict[str, int]) -> int:
        """Compare with how often the server was asked each prompt; how many attempts did not reach it."""
        lacking = 0
        for number in range(self.calls):
            told, came = self.attempts[number], asked.get(str(number), 0)
            lacking += told - came
            if self.records[number] != 1:
                self.wrong[f"{self.records[number]} records of a call"] += 1
            if came > told:
                self.wrong["a request reached the server that no record tells of"] += 1
            if told - came > self.unsent[number]:
                self.wrong["an attempt that was not cancelled never reached the server"] += 1
        return lacking


def may_be_unsent(attempt: pointsman.AttemptRecord) -> bool:
    """Who was silent may never have been asked: it is this machine that was slow, then."""
    silent = (attempt.error or "").startswith(("FirstTokenTimeout", "DeadlineExceeded"))
    return silent or attempt.outcome in ("cancelled", "lost")


class Soak:
    """The calls of one event loop."""

    def __init__(self, url: str, calls: int, every: int, seed: str) -> None:
        self.ledger = Ledger(calls)
        self.samples: list[Sample] = []
        self.most_sockets = 0
        self.seconds = 0.0
        self._every = every
        self._seed = seed
        self._usual = 0.05
        """Seconds that a call takes of late."""
        names = {name: {"plugin": "openai-compatible", "base_url": f"{url}/v1", "api_key": "sk-soak"} for name in NAMES}
        table = {"providers": names, "engine": ENGINE, "limits": LIMITS, "routing": {"targets": TARGETS}}
        plugin = pointsman.Plugins.installed().provider("openai-compatible")[1]
        plugins = pointsman.Plugins.of(providers={"openai-compatible": plugin}, sinks={"ledger": self.ledger})
        self._client = pointsman.AsyncClient(settings=pointsman.Settings.of(table), plugins=plugins)

    async def run(self) -> None:
        ledger, began = self.ledger, time.monotonic()
        before = sample(0)
        async with self._client:
            for first in range(0, ledger.calls, self._every):
                numbers = iter(range(first, min(first + self._every, ledger.calls)))

                async def work(numbers: Iterator[int] = numbers) -> None:
                    for number in numbers:
                        await self._one(number)

                async with anyio.create_task_group() as group:
                    for _ in range(WORKERS):
                        group.start_soon(work)
                self._look(first + self._every)
        self.seconds = time.monotonic() - began
        after = sample(ledger.calls)
        if (after.sockets, after.tasks) != (before.sockets, before.tasks):
            ledger.wrong[f"after the client was closed: {after}; before it was opened: {before}"] += 1

    def _look(self, calls: int) -> None:
        """Nothing runs: what is there?"""
        now = sample(calls)
        self.samples.append(now)
        print(f"  {now.calls:>7} {now.sockets:>8} {now.tasks:>6} {now.rss_kib:>9} {now.objects:>9}", flush=True)
        self.ledger.at_rest()
        client: Any = self._client
        if client._calls:  # noqa: SLF001
            self.ledger.wrong["the client still has calls"] += len(client._calls)  # noqa: SLF001
        for name, place in client._health._places.items():  # noqa: SLF001
            if place.running or place.line or place.breaker.state.value == "probing":
                self.ledger.wrong[f"{name} at rest: {place.running} run, {len(place.line)} wait"] += 1

    async def _one(self, number: int) -> None:
        dice = random.Random(f"{self._seed}/{number}")
        prompt = f"{number}. " + " ".join(f"w{number}-{place}" for place in range(5 + number % 20))
        ask = dice.choices([self._collected, self._restarted, self._raised], [4, 3, 3])[0]
        order = dice.sample(TARGETS, dice.choice([1, 2, 3, 3, 3]))
        patience, most = inf, 10**6
        if dice.random() < LEFT:
            if ask == self._collected or dice.random() < 0.5:
                patience = dice.uniform(0, self._usual)
            else:
                most = dice.randrange(8)
        options: dict[str, Any] = {
            "tags": {"number": str(number)},
            "model": order if dice.random() < 0.9 else "auto",
        }
        ending, began = "left", time.monotonic()
        try:
            with anyio.move_on_after(patience):
                ending = await ask(prompt, most, options)
        except pointsman.PointsmanError as error:
            ending = type(error).__name__
            if not prompt.startswith(error.partial):
                self.ledger.wrong["a partial answer that was never said"] += 1
        except Exception as error:
            ending = repr(error)
            self.ledger.wrong[ending] += 1
        if ending == "finished":
            self._usual += 0.02 * (time.monotonic() - began - self._usual)
        self.ledger.saw(number, ending)
        if number % 100 == 0:
            self.most_sockets = max(self.most_sockets, sockets())

    async def _collected(self, prompt: str, most: int, options: dict[str, Any]) -> str:
        reply = await self._client.chat(prompt, **options)
        return self._finished(prompt, reply.text)

    async def _restarted(self, prompt: str, most: int, options: dict[str, Any]) -> str:
        text = ""
        async with self._client.stream(prompt, on_break="restart", **options) as reply:
            async for event in reply.events:
                match event:
                    case pointsman.TextDelta():
                        text += event.text
                    case pointsman.Retracted():
                        text = ""
                    case _:
                        pass
                most -= 1
                if most < 0:
                    return self._left(prompt, text)
        return self._finished(prompt, text)

    async def _raised(self, prompt: str, most: int, options: dict[str, Any]) -> str:
        text = ""
        async with self._client.stream(prompt, on_break="raise", **options) as reply:
            async for piece in reply.text_stream:
                text += piece
                most -= 1
                if most < 0:
                    return self._left(prompt, text)
        return self._finished(prompt, text)

    def _left(self, prompt: str, text: str) -> str:
        if not prompt.startswith(text):
            self.ledger.wrong["an answer that was never said"] += 1
        return "left"

    def _finished(self, prompt: str, text: str) -> str:
        if text != prompt:
            self.ledger.wrong["TRUNCATED" if prompt.startswith(text) else "WRONG"] += 1
        return "finished"


def judge(soak: Soak) -> Iterator[str]:
    """What does not hold."""
    for what, count in soak.ledger.wrong.items():
        yield f"{count} times: {what}"
    for ending, share in FEWEST.items():
        if soak.ledger.seen[ending] < share * soak.ledger.calls:
            yield f"only {soak.ledger.seen[ending]} calls of {soak.ledger.calls} {ending}"
    fifth = max(1, len(soak.samples) // 5)
    for name, (share, least) in LEEWAY.items():
        values = [float(getattr(one, name)) for one in soak.samples]
        before, after = statistics.mean(values[fifth : 2 * fifth] or values), statistics.mean(values[-fifth:])
        flat = after <= before + max(share * before, least)
        print(f"{name}: {before:.0f} in the second fifth, {after:.0f} in the last{'' if flat else ': NOT FLAT'}")
        if not flat:
            yield f"{name} grew from {before:.0f} to {after:.0f}"


def counts(url: str) -> Any:
    """What the server counted, once it has seen that nobody is connected, or after a while."""
    deadline = time.monotonic() + 5
    merged: dict[str, Any] = {}
    while True:
        with urllib.request.urlopen(f"{url}/counts") as answer:
            said = json.load(answer)
        merged = merged or said
        merged["connections"] = said["connections"]
        if not said["connections"] or time.monotonic() > deadline:
            return merged
        time.sleep(0.1)


def listed(counted: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counted.items(), key=lambda one: -one[1]))


def run(url: str, calls: int, every: int, backend: str, seed: str) -> list[str]:
    """Half of the calls; what does not hold."""
    print(f"{backend}: {calls} calls\n    calls  sockets  tasks   rss_kib   objects")
    soak = Soak(url, calls, every, f"{seed}/{backend}")
    anyio.run(soak.run, backend=backend)
    server, ledger = counts(url), soak.ledger
    lacking = ledger.audit(server["asked"])
    requests = sum(server["happened"].values())
    faults = requests - server["happened"].get("healthy", 0)
    print(f"{soak.seconds:.0f} s, {calls / soak.seconds:.0f} calls a second; at most {soak.most_sockets} sockets")
    print(f"requests: {requests}, of which {faults / requests:.1%} met a fault: {listed(server['happened'])}")
    print(f"attempts: {sum(ledger.attempts)}, of which {lacking} ended before they reached the server")
    for what, counted in {**ledger.counted, "callers saw": ledger.seen}.items():
        print(f"{what}: {listed(counted)}")
    missed = list(judge(soak))
    if server["connections"]:
        missed.append(f"{server['connections']} connections are open after the client was closed")
    return [f"{backend}: {one}" for one in missed]


class Complaints(logging.Handler):
    """What was logged, warned of, or raised where nobody could catch it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.counted: Counter[str] = Counter()
        logging.getLogger().addHandler(self)
        warnings.simplefilter("always", ResourceWarning)
        warnings.showwarning = lambda message, *_, **__: self._count(f"warning: {message}")
        sys.unraisablehook = lambda raised: self._count(f"unraisable: {raised.exc_value!r} in {raised.object!r}")

    def emit(self, record: logging.LogRecord) -> None:
        self._count(f"{record.name}: {record.getMessage()}")

    def _count(self, what: str) -> None:
        self.counted[what if what in self.counted or len(self.counted) < 20 else "others"] += 1


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--calls", type=int, default=100_000)
    options.add_argument("--backend", choices=["asyncio", "trio"], action="append", help="default: half on each")
    options.add_argument("--seed", default="1", help="of the faults, and of what callers do")
    arguments = options.parse_args()
    complaints = Complaints()
    backends = arguments.backend or ["asyncio", "trio"]
    command = [sys.executable, str(PARTS / "moody.py"), arguments.seed]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    missed: list[str] = []
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        for backend in backends:
            calls = arguments.calls // len(backends)
            missed += run(url, calls, min(EVERY, max(1, calls // 10)), backend, arguments.seed)
            print()
    finally:
        process.kill()
        process.wait()
    missed += [f"{count} times: {what}" for what, count in complaints.counted.items()]
    print("\n".join(missed) or "all of it holds")
    return 7 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

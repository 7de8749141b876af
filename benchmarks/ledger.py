"""What recording adds to a call: to its request path, to the processor, and how many calls a file takes in a second.

    uv run python benchmarks/ledger.py [--calls 400] [--rounds 7]

Each call is answered by a provider in memory, so that there is nothing else to measure. Every figure is of a process of
its own; the ways take turns, so that a busy machine hits all of them. "Path" is what the recording itself takes of the
caller's time; p50 and p99 are of whole calls, beside those of the same process without a ledger. Exits 7 if recording
takes more than 50 us of the path.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time

LIMIT = 50.0
"""Microseconds, from DESIGN: recording costs the request path no more."""

ONE = """
import anyio, gc, json, sys, time
import pointsman
from pointsman import recording
from pointsman_testing import ScriptedProvider
way, folder, calls, sinks = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
a = ScriptedProvider("a", default=[*["word "] * 20, pointsman.Finished("stop", pointsman.Usage(input_tokens=9))])

class Sinks:
    @pointsman.hookimpl
    def pointsman_sinks(self):
        return [kept.append] * sinks

kept, path, whole = [], [], []
send = recording.Recorder.chat

def timed(*arguments):
    began = time.perf_counter()
    send(*arguments)
    path.append(time.perf_counter() - began)

recording.Recorder.chat = timed

async def main():
    url = "none" if way == "off" else f"sqlite:{folder}/ledger.db"
    plugins = pointsman.Plugins.of(providers={"a": a}, sinks={"kept": Sinks()} if sinks else {})
    async with pointsman.AsyncClient(settings=pointsman.Settings.of({"ledger": {"url": url}}), plugins=plugins) as one:
        for _ in range(50):
            await one.chat("hi")
        await one.flush()
        a.calls.clear(), kept.clear(), path.clear(), gc.collect(), gc.freeze()
        cpu = time.process_time()
        for _ in range(calls):
            began = time.perf_counter()
            await one.chat("hi")
            whole.append(time.perf_counter() - began)
            a.calls.clear(), kept.clear()
        await one.flush()
        cpu = time.process_time() - cpu
    print(json.dumps({"path": path, "whole": whole, "cpu": cpu}))

anyio.run(main)
"""

MANY = """
import sys, time
from pointsman import AttemptRecord, CallRecord, Decision, Exact, LedgerEntry, Target, Timings, Usage, open_ledger
folder, name, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
target, used = Target("a", "m"), Usage(input_tokens=900, output_tokens=100)

def entry(number):
    call_id = f"{name}-{number}"
    attempt = AttemptRecord(call_id=call_id, attempt=1, target=target, outcome="finished", started=0.0,
                            first_output=0.1, ended=1.0, usage=used, cost=Exact("0.01"))
    return LedgerEntry(call=CallRecord(call_id=call_id, decision=Decision(policy="pinned", order=(target,)),
        outcome="finished", attempts=(attempt,), timings=Timings(e2e=1.0), cost=Exact("0.01"), at=time.time(),
        started=0.0, target=target, usage=used))

with open_ledger(f"sqlite:{folder}/ledger.db") as ledger:
    print("ready", flush=True)
    sys.stdin.readline()
    written, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        ledger.write([entry(written + more) for more in range(25)])
        written += 25
print(written)
"""


def one(way: str, calls: int, sinks: int) -> dict[str, list[float]]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", ONE, way, folder, str(calls), str(sinks)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


def rate(processes: int, seconds: float) -> float:
    """Calls in a second, with one attempt each, that so many processes write into one file."""
    with tempfile.TemporaryDirectory() as folder:
        started = [
            subprocess.Popen(
                [sys.executable, "-c", MANY, folder, str(number), str(seconds)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for number in range(processes)
        ]
        for process in started:
            assert process.stdout is not None
            process.stdout.readline()
        began = time.monotonic()
        for process in started:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        written = sum(int(process.communicate(timeout=300)[0]) for process in started)
        return written / (time.monotonic() - began)


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--calls", type=int, default=400)
    options.add_argument("--rounds", type=int, default=7)
    arguments = options.parse_args()
    ways = {"nothing": ("off", 0), "one sink": ("off", 1), "ledger": ("on", 0), "ledger and one sink": ("on", 1)}
    found: dict[str, list[dict[str, list[float]]]] = {name: [] for name in ways}
    for _ in range(arguments.rounds):
        for name, (way, sinks) in ways.items():
            found[name].append(one(way, arguments.calls, sinks))
    bare = [statistics.median(run["whole"]) for run in found["nothing"]]
    print(f"{'recorded by':22}{'path p50':>10}{'p99':>8}{'call p50':>10}{'p99':>8}{'ratio':>7}{'CPU a call':>12}  (us)")
    worst = 0.0
    for name, runs in found.items():
        path = 1e6 * statistics.median(statistics.median(run["path"]) for run in runs)
        tail = 1e6 * statistics.median(statistics.quantiles(run["path"], n=100)[-1] for run in runs)
        middle = 1e6 * statistics.median(statistics.median(run["whole"]) for run in runs)
        slow = 1e6 * statistics.median(statistics.quantiles(run["whole"], n=100)[-1] for run in runs)
        pairs = zip(runs, bare, strict=True)
        ratio = statistics.median(statistics.median(run["whole"]) / alone for run, alone in pairs)
        cpu = 1e6 * statistics.median(float(run["cpu"]) for run in runs) / arguments.calls  # type: ignore[arg-type]
        print(f"{name:22}{path:10.1f}{tail:8.1f}{middle:10.0f}{slow:8.0f}{ratio:7.2f}{cpu:12.0f}")
        worst = max(worst, path)
    print(f"limit: {LIMIT:.0f} us of the path at p50; the dearest way takes {worst:.1f} us")
    for processes in (1, 8):
        print(f"{processes} process{'es' if processes > 1 else ''} into one file: {rate(processes, 2.0):,.0f} calls/s")
    return 7 if worst > LIMIT else 0


if __name__ == "__main__":
    sys.exit(main())

"""A batch over loopback HTTP that is killed (SIGKILL) at random moments and begun again, until it is done: what of it?

    uv run python benchmarks/batch_killed.py [--lines 2000] [--kills 12] [--seed 1]

The vendor is the lab, in this process; it knows which question it was asked how often. Every line must have exactly one
answer, to its own question, in the order of the input; a line must not have been asked more often than its result says,
and one that has its result on disk must not be asked again. Exits 7 if any of that does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

from anyio.from_thread import start_blocking_portal

from pointsman_testing import Answer, Lab, RecordedRequest, Vendor

KEY = "sk-benchmark-only"
AT_ONCE = 16


def echo(request: RecordedRequest) -> Answer:
    return Answer(f"to {request.prompt}", wait=0.02)


def start(folder: Path, vendor: Vendor) -> subprocess.Popen[bytes]:
    env = {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")},
        "POINTSMAN_LEDGER_URL": f"sqlite:{folder}/ledger.db",
        "POINTSMAN_OPENAI_COMPATIBLE_BASE_URL": vendor.base_url,
        "POINTSMAN_OPENAI_COMPATIBLE_API_KEY": KEY,
    }
    what = ["batch", "in.jsonl", "-m", "openai-compatible/m", "-c", str(AT_ONCE)]
    command = [sys.executable, "-m", "pointsman_cli", *what]
    return subprocess.Popen(command, cwd=folder, env=env, stderr=subprocess.PIPE)


def finished(folder: Path) -> set[int]:
    """Lines whose results are whole."""
    file = folder / "in.results.jsonl"
    data = file.read_bytes() if file.exists() else b""
    return {json.loads(line)["line"] for line in data.split(b"\n")[:-1]}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    random, wrong = Random(options.seed), list[str]()
    with (
        tempfile.TemporaryDirectory() as name,
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(Lab(speed=1)) as lab,
    ):
        folder, vendor = Path(name), portal.call(lambda: lab.vendor("v", api_key=KEY, models=["m"], default=echo))
        lines = [json.dumps({"id": number, "prompt": f"question {number}"}) for number in range(1, options.lines + 1)]
        (folder / "in.jsonl").write_text("\n".join(lines))
        began, kills, stages = time.monotonic(), 0, sorted(random.sample(range(options.lines), options.kills))
        for stage in stages:
            process = start(folder, vendor)
            while len(done := finished(folder)) < stage and process.poll() is None:
                time.sleep(0.05)
            time.sleep(random.random() * 0.2)
            process.kill()
            process.communicate()
            kills += 1
            done, asked = finished(folder), len(vendor.requests)
            process = start(folder, vendor)
            while len(vendor.requests) < asked + 3 and process.poll() is None:
                time.sleep(0.005)
            process.kill()
            process.communicate()
            kills += 1
            again = {int(one.prompt.split()[1]) for one in vendor.requests[asked:] if one.method == "POST"} & done
            if again:
                wrong.append(f"asked again after their results were on disk: {sorted(again)[:5]}")
        process = start(folder, vendor)
        told = process.communicate()[1].decode()
        took = time.monotonic() - began
        results = [json.loads(line) for line in (folder / "in.results.jsonl").read_text().splitlines()]
        asked_of = Counter(one.prompt for one in vendor.requests if one.method == "POST")
    if process.returncode or [one["line"] for one in results] != list(range(1, options.lines + 1)):
        wrong.append(f"not one result a line, in order: exit code {process.returncode}, {len(results)} results\n{told}")
    for one in results:
        question = f"question {one['line']}"
        if (one["reply"] or {}).get("text") != f"to {question}":
            wrong.append(f"line {one['line']} has the answer {one['reply']}")
        if not 1 <= asked_of[question] <= one["sent"]:
            wrong.append(f"line {one['line']} was asked {asked_of[question]} times, and says {one['sent']}")
    twice = sum(one["sent"] > 1 for one in results)
    paid = sum(count > 1 for count in asked_of.values())
    print(f"{len(results)} lines answered once each, {kills} kills, {took:.0f} s")
    print(f"marked as sent more than once: {twice}; of them really asked more than once: {paid}")
    print("\n".join(wrong) or "all of it holds")
    return 7 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

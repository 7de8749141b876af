"""What Pointsman costs beside what a user would write or pick instead, as ratios in one run.

    nox -s bench -- benchmarks/overhead.py    # or: uv run python benchmarks/overhead.py [--rounds 5] [--quick]

Every figure is a process of its own against one server in another; contenders take turns, so that a busy machine hits
all of them, and the best of the rounds stands. LiteLLM pins another openai than ours, so it needs an environment of its
own: POINTSMAN_BENCH_LITELLM names its python; without it, its column says so. Exits 7 if a limit is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

HERE = Path(__file__).parent / "parts"
LITELLM = os.environ.get("POINTSMAN_BENCH_LITELLM")
WAYS = ["hand", "openai", "litellm", "pointsman"]
BLOCKING = ["hand", "openai", "pointsman"]
BOTH_LOOPS = ["hand", "pointsman", "pointsman-wrapped"]
KEY = "sk-benchmark-only"

PLUGIN_FLOOR = "import pointsman; pointsman.hookimpl; from pydantic import BaseModel, SecretStr, Field, AfterValidator"

Figure = float | None


def python(way: str) -> str | None:
    return LITELLM if way == "litellm" else sys.executable


def environment(url: str = "") -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "SSL_CERT_FILE")}
    ours = {"POINTSMAN_OPENAI_COMPATIBLE_BASE_URL": url, "POINTSMAN_OPENAI_COMPATIBLE_API_KEY": KEY} if url else {}
    return {**kept, **ours, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}


def contend(way: str, loop: str, what: str, url: str, size: int) -> Figure:
    return run(way, what, [str(HERE / "contenders.py"), way, loop, what, url, str(size)])


def block(way: str, what: str, url: str, size: int) -> Figure:
    return run(way, what, [str(HERE / "blocking.py"), way, what, url, str(size)])


def run(way: str, what: str, arguments: list[str]) -> Figure:
    """The figure that a process prints; None where its interpreter is not there."""
    program = python(way)
    if program is None:
        return None
    command = [program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=300, check=False)
    if done.returncode:
        raise SystemExit(f"{way} failed at {what}: {arguments}\n{done.stderr}")
    return float(next(iter(json.loads(done.stdout.splitlines()[-1]).values())))


def import_time(way: str) -> Figure:
    """Seconds to import; those of a bare interpreter are among them."""
    code = {
        "bare": "pass",
        "pydantic": "import pydantic; pydantic.BaseModel",
        "click": "import click",
        "hand": "import httpx2",
        "openai": "from openai import AsyncOpenAI",
        "litellm": "import litellm",
        "pointsman": "import pointsman",
    }[way]
    program = python(way)
    return None if program is None else spent([program, "-c", code])


def plugin_import_time(module: str) -> float:
    """Seconds that importing a plugin takes where core and pydantic are loaded.

    The process says so itself: the difference of two whole processes is a few milliseconds, and their noise is more.
    """
    watch = f"import time; began = time.perf_counter(); import {module}; print(time.perf_counter() - began)"
    command = [sys.executable, "-c", f"{PLUGIN_FLOOR}; {watch}"]
    return float(subprocess.run(command, capture_output=True, env=environment(), timeout=120, check=True).stdout)


def spent(command: list[str]) -> float:
    """Wall seconds of a whole process."""
    began = time.perf_counter()
    subprocess.run(command, capture_output=True, env=environment(), timeout=120, check=True)
    return time.perf_counter() - began


def on_the_wire(way: str, url: str) -> Figure:
    """Seconds from starting a process to its request's arrival at the server."""
    program = python(way)
    if program is None:
        return None
    command = [program, str(HERE / "contenders.py"), way, "asyncio", "start", url, "1"]
    if way == "pointsman chat":
        command = [program, "-m", "pointsman_cli", "chat", "-m", "openai-compatible/firehose-1", "Say something."]
    if way == "script":
        command = [program, str(HERE / "ten_lines.py"), url]
    began = time.monotonic()
    subprocess.run(
        command, capture_output=True, env=environment(url), timeout=120, check=True, stdin=subprocess.DEVNULL
    )
    with urllib.request.urlopen(f"{url}/mark") as answer:
        return float(answer.read()) - began


class Table:
    """Figures as they come, each beside the one that it is measured against."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds
        self.missed: list[str] = []

    def show(
        self,
        title: str,
        unit: str,
        contenders: dict[str, Callable[[], Figure]],
        *,
        against: str | None,
        limits: dict[str, float] | None = None,
        best: Callable[[list[float]], float] = min,
        less: str | None = None,
        absolute: dict[str, float] | None = None,
    ) -> dict[str, float]:
        """Measure in turns; print each and its ratio to `against`. `less` is a contender whose figure is taken off.

        `limits` are of ratios, `absolute` of what a figure is more than `against`; of itself, if that is None.
        """
        taken: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(self.rounds):
            for name, measure in contenders.items():
                figure = measure()
                if figure is not None:
                    taken[name].append(figure)
        figures = {name: best(values) for name, values in taken.items() if values}
        if less is not None:
            floor = figures.pop(less)
            figures = {name: value - floor for name, value in figures.items()}
        print(f"\n{title} ({unit})")
        for name in contenders:
            if name == less:
                continue
            if name not in figures:
                print(f"  {name:<24} not measured: POINTSMAN_BENCH_LITELLM is not set")
                continue
            basis = 0.0 if against is None else figures[against]
            shown = verdict = ""
            if basis:
                ratio = figures[name] / basis
                shown = f"   {ratio:>6.2f} x"
                verdict = self._verdict(title, name, ratio, (limits or {}).get(name), "x")
            verdict += self._verdict(title, name, figures[name] - basis, (absolute or {}).get(name), unit)
            print(f"  {name:<24} {figures[name]:>10.3f}{shown}{verdict}")
        return figures

    def _verdict(self, title: str, name: str, figure: float, limit: float | None, unit: str) -> str:
        if limit is None:
            return ""
        sign = "" if unit == "x" else "+"
        digits = 2 if limit >= 0.1 else 4
        if figure <= limit:
            return f"   ({sign}{figure:.{digits}f} {unit}, limit {sign}{limit:g} {unit}: met)"
        self.missed.append(f"{title}: {name} {sign}{figure:.{digits}f} {unit}, limit {sign}{limit:g} {unit}")
        return f"   ({sign}{figure:.{digits}f} {unit}, limit {sign}{limit:g} {unit}: MISSED)"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, two rounds: to see that it runs")
    parser.add_argument("--imports", action="store_true", help="only what importing costs")
    chosen = parser.parse_args()
    scale, rounds = (10, 2) if chosen.quick else (1, chosen.rounds)
    table = Table(rounds)
    server = subprocess.Popen([sys.executable, str(HERE / "server.py")], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    url = server.stdout.readline().strip()
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores, best of {rounds}")
    try:
        measure_imports(table)
        if not chosen.imports:
            measure(table, url, scale)
    finally:
        server.kill()
        server.wait()
    for line in table.missed:
        print(f"MISSED  {line}")
    return 7 if table.missed else 0


def measure_imports(table: Table) -> None:
    imports = ["bare", "pydantic", "hand", "openai", "litellm", "pointsman"]
    table.show(
        "import, beyond a bare interpreter",
        "s",
        {way: lambda way=way: import_time(way) for way in imports},
        against="pydantic",
        less="bare",
        limits={"pointsman": 0.6},
    )
    plugins = {point.name: point.module for point in entry_points(group="pointsman.providers")}
    table.show(
        "import of a plugin, with core and pydantic loaded",
        "s",
        {name: lambda module=module: plugin_import_time(module) for name, module in plugins.items()},
        against=None,
        absolute=dict.fromkeys(plugins, 0.005),
    )


def measure(table: Table, url: str, scale: int) -> None:
    table.show(
        "--help, whole process",
        "s",
        {
            "import click": lambda: spent([sys.executable, "-c", "import click"]),
            "pointsman --help": lambda: spent([sys.executable, "-m", "pointsman_cli", "--help"]),
        },
        against="import click",
        limits={"pointsman --help": 2.0},
    )
    starts = ["script", "openai", "litellm", "pointsman", "pointsman chat"]
    table.show(
        "process start to request on the wire",
        "s",
        {way: lambda way=way: on_the_wire(way, url) for way in starts},
        against="script",
        limits={"pointsman chat": 2.0},
    )
    streams: dict[str, Callable[[], Figure]] = {
        **{way: lambda way=way: contend(way, "asyncio", "stream", url, 20_000 // scale) for way in WAYS},
        "pointsman-wrapped": lambda: contend("pointsman-wrapped", "asyncio", "stream", url, 20_000 // scale),
    }
    figures = table.show(
        "CPU a streamed token, firehose, asyncio", "us", streams, against="hand", limits={"pointsman": 1.0}
    )
    added = (figures["pointsman-wrapped"] - figures["pointsman"]) / figures["hand"]
    print(f"  one wrapper adds {added:+.3f} of the hand-written loop (limit 0.02; noise of a few hundredths is usual)")
    table.show(
        "CPU a streamed token, firehose, trio",
        "us",
        {way: lambda way=way: contend(way, "trio", "stream", url, 20_000 // scale) for way in BOTH_LOOPS},
        against="hand",
        limits={"pointsman": 1.0},
    )
    for what, size, unit, limits in (
        ("stream", 20_000, "us", {"pointsman": 1.3}),
        ("first", 500, "ms", None),
    ):
        table.show(
            "CPU a streamed token, firehose, synchronous" if what == "stream" else "time to first token, synchronous",
            unit,
            {way: lambda way=way, what=what, size=size: block(way, what, url, size // scale) for way in BLOCKING},
            against="hand",
            limits=limits,
        )
    for loop, ways in (("asyncio", WAYS), ("trio", ["hand", "pointsman"])):
        table.show(
            f"CPU a streamed token, one each millisecond, {loop}",
            "us",
            {way: lambda way=way, loop=loop: contend(way, loop, "paced", url, 2_000 // scale) for way in ways},
            against="hand",
        )
    for loop, ways in (("asyncio", WAYS), ("trio", ["hand", "pointsman"])):
        table.show(
            f"time to first token, warm, median of a process, {loop}",
            "ms",
            {way: lambda way=way, loop=loop: contend(way, loop, "first", url, 500 // scale) for way in ways},
            against="hand",
            absolute={"pointsman": 1.0},
        )
    for loop, ways in (("asyncio", WAYS), ("trio", ["hand", "pointsman"])):
        table.show(
            f"calls a second, 64 at a time, 20 tokens each, {loop}",
            "1/s",
            {way: lambda way=way, loop=loop: contend(way, loop, "many", url, 1_000 // scale) for way in ways},
            against="hand",
            best=max,
        )


if __name__ == "__main__":
    sys.exit(main())

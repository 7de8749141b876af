"""What the sinks of pointsman-telemetry add: to each call, to the first one, and to opening a client.

    nox -s bench -- benchmarks/telemetry.py    # or: uv run python benchmarks/telemetry.py [CALLS]

A call is one whole answer of one attempt, with a price and a count of tokens. The sinks get the very record of it that
a client hands out. OpenTelemetry is measured with its own SDK, whose spans go to nobody, and without any provider.
Opening and the first record are processes of their own; the best of five stands.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry

from pointsman import CallRecord, Client, Plugins
from pointsman_telemetry import OtelSink, PrometheusSink
from pointsman_testing import ScriptedProvider

ROUNDS = 5
LIMIT = 50.0
"""Microseconds that recording may take of a call's path."""

FRESH = """
import time
import pointsman
from pointsman import AsyncClient, Plugins
from pointsman_testing import ScriptedProvider
import anyio, sys
NAMES = sys.argv[1].split()

async def main():
    found = Plugins.installed()
    from pointsman.plugins import Kind
    keep = [one for one in found.infos() if one.kind is Kind.SINK and one.name in NAMES]
    given = Plugins.of(providers={"a": ScriptedProvider("a", default="hello")})
    client = AsyncClient(settings=pointsman.Settings.of({}), plugins=Plugins([*keep, *given.infos()]))
    began = time.process_time()
    async with client:
        opened = time.process_time()
        await client.chat("hi", model="a/scripted-1")
        first = time.process_time()
    print(1e3 * (opened - began), 1e3 * (first - opened))

anyio.run(main)
"""


def one_call() -> CallRecord:
    kept: list[Any] = []

    class Keep:
        from pointsman import hookimpl

        @hookimpl
        def pointsman_sinks(self) -> Any:
            return [kept.append]

    plugins = Plugins.of(providers={"a": ScriptedProvider("a", default="one two three")}, sinks={"keep": Keep()})
    with Client(plugins=plugins) as client:
        client.chat("hi", model="a/scripted-1")
    return kept[-1]


def microseconds(sink: Any, record: CallRecord, calls: int) -> float:
    """Of CPU, in the best round, for one call: its beginning, the record of its attempt, and its own."""
    records = [replace(record, call_id=f"{number}") for number in range(calls)]
    rounds: list[float] = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for one in records:
            sink.started(one.call_id)
            sink(one.attempts[0])
            sink(one)
        rounds.append((time.process_time() - began) / calls * 1e6)
    return min(rounds)


def fresh(names: str) -> tuple[float, float]:
    """Milliseconds of CPU to open a client, and for its first call, with these sinks."""
    command = [sys.executable, "-c", FRESH, names]
    runs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() for _ in range(ROUNDS)]
    return min(float(run[0]) for run in runs), min(float(run[1]) for run in runs)


def main(calls: int = 20_000) -> int:
    record = one_call()
    sdk = OtelSink(
        tracer_provider=TracerProvider(shutdown_on_exit=False),
        meter_provider=MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False),
    )
    sinks: dict[str, Callable[[], Any]] = {
        "prometheus": lambda: PrometheusSink(registry=CollectorRegistry()),
        "otel, with the SDK": lambda: sdk,
        "otel, without a provider": OtelSink,
    }
    worst = 0.0
    for name, make in sinks.items():
        took = microseconds(make(), record, calls)
        worst = max(worst, took) if name == "prometheus" else worst
        print(f"{name:26} {took:.1f} µs of CPU a call")
    opened, first = fresh("")
    for names in ("prometheus", "otel"):
        more_open, more_first = fresh(names)
        added = f"{more_open - opened:+.2f} ms of CPU to open a client, {more_first - first:+.1f} ms for its first call"
        print(f"{names:26} {added}")
    return 7 if worst > LIMIT else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))

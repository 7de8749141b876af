"""docs/telemetry.md lists every metric, instrument and attribute, with its labels, and no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from pointsman_telemetry import OtelSink
from pointsman_telemetry.families import FAMILIES

PAGE = Path(__file__).parents[3] / "docs" / "telemetry.md"

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not here")


def rows(first: str) -> list[list[str]]:
    """The rows of the tables whose first column is called `first`."""
    found: list[list[str]] = []
    inside = False
    for line in PAGE.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        inside = line.startswith("|") and (inside or cells[0] == first)
        if inside and cells[0] != first and not set(line) <= set("|- "):
            found.append(cells)
    return found


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_metric_of_prometheus_is_listed_with_its_labels() -> None:
    shown = [(quoted(name)[0], kind, tuple(quoted(labels))) for name, kind, labels, _ in rows("metric")]
    assert shown == [(one.name, one.kind, one.labels) for one in FAMILIES]


async def test_every_attribute_and_instrument_is_listed(story: Any) -> None:
    """`gen_ai.response.model` aside, which only some vendors tell: see test_otel.py."""
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    await story(OtelSink(tracer_provider=tracers, meter_provider=MeterProvider([reader], shutdown_on_exit=False)))
    used: dict[str, set[str]] = {}
    for span in spans.get_finished_spans():
        for name in span.attributes or {}:
            of = "call" if span.parent is None else "attempt"
            used.setdefault(re.sub(r"^(pointsman\.tag)\..*", r"\1.NAME", name), set()).add(of)
    listed = {quoted(name)[0]: {"call", "attempt"} if on == "both" else {on} for name, on, _ in rows("attribute")}
    assert listed == used | {"gen_ai.response.model": {"attempt"}}
    data = reader.get_metrics_data()
    assert data is not None
    units = {one.name: one.unit for scope in data.resource_metrics[0].scope_metrics for one in scope.metrics}
    assert {quoted(name)[0]: quoted(unit)[0] for name, unit, *_ in rows("instrument")} == units

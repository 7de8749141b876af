"""Metrics and traces of Pointsman: Prometheus, and OpenTelemetry with the extra `otel`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .otel import OtelSink
    from .prometheus import PrometheusSink

__all__ = ["OtelSink", "PrometheusSink"]


def __getattr__(name: str) -> Any:
    if name == "OtelSink":
        from .otel import OtelSink

        return OtelSink
    if name == "PrometheusSink":
        from .prometheus import PrometheusSink

        return PrometheusSink
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Metrics and traces of Pointsman: Prometheus, and OpenTelemetry with the extra `otel`."""

"""Metrics for Prometheus: they are in prometheus_client's registry, and whoever serves that serves them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

from pointsman import AttemptRecord, CallRecord, ConfigError, Sink, Usage, hookimpl

from .bounded import MODELS, OTHER, Names
from .families import BREAKER, families_of
from .figures import fallbacks, first_token, token_seconds

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

NOBODY = "none"
"""Who answered a call that has no answer."""


class PrometheusSink:
    """A sink that counts in `registry`, prometheus_client's default one if none is given. It is a plugin, too.

    `models` is how many targets have a name of their own; others are called ``other``. The library is imported with the
    first record, not before; two sinks with the same registry share its metrics.
    """

    def __init__(self, *, registry: CollectorRegistry | None = None, models: int = MODELS) -> None:
        self._registry = registry
        self._names = Names(models)
        self._metrics: Mapping[str, Any] = {}
        self._broken: ConfigError | None = None
        self._running: set[str] = set()
        self._lock = Lock()

    @hookimpl
    def pointsman_sinks(self) -> Sequence[Sink]:
        return [self]

    def started(self, call_id: str) -> None:
        """A call begins."""
        if "prometheus_client" in sys.modules:  # Else nobody can look yet, and this call need not wait for it.
            self._ready()
        with self._lock:
            self._running.add(call_id)
            if self._metrics:
                self._metrics["in_flight"].inc()

    def __call__(self, record: AttemptRecord | CallRecord) -> None:
        """A call has ended. Its attempts are counted with it: it says whether their models are known."""
        if isinstance(record, AttemptRecord):
            return
        metrics = self._ready()
        if record.call_id in self._running:
            self._running.discard(record.call_id)
            metrics["in_flight"].dec()
        self._names.learn(record)
        self._count_call(metrics, record)
        for one in record.attempts:
            self._count_attempt(metrics, one)
        for origin, to in fallbacks(record):
            pair = self._names.pair(origin.target, to.target)
            metrics["fallbacks_total"].labels(*pair, self._names.error(origin.error_type)).inc()

    def _ready(self) -> Mapping[str, Any]:
        """The metrics. Raises `ConfigError` if there cannot be any."""
        if self._metrics:
            return self._metrics
        with self._lock:
            if self._broken is not None:
                raise self._broken.with_traceback(None)
            if not self._metrics:
                if self._registry is None:
                    from prometheus_client import REGISTRY

                    self._registry = REGISTRY
                try:
                    self._metrics = families_of(self._registry)
                except ConfigError as error:
                    self._broken = error
                    raise
                self._metrics["in_flight"].inc(len(self._running))
        return self._metrics

    def _count_call(self, metrics: Mapping[str, Any], call: CallRecord) -> None:
        operation, status = call.operation, call.outcome
        who = (NOBODY, NOBODY) if call.target is None else (call.target.provider, self._names.model(call.target))
        metrics["requests_total"].labels(operation, *who, status).inc()
        metrics["request_duration_seconds"].labels(operation, status).observe(call.timings.e2e)
        if call.timings.ttft is not None:
            metrics["request_time_to_first_token_seconds"].labels(operation, status).observe(call.timings.ttft)
        metrics["overhead_seconds"].labels(operation).observe(call.overhead)
        if not call.cost.complete:
            metrics["unpriced_requests_total"].labels(operation).inc()

    def _count_attempt(self, metrics: Mapping[str, Any], one: AttemptRecord) -> None:
        provider, model = one.target.provider, self._names.model(one.target)
        error = self._names.error(one.error_type)
        metrics["attempts_total"].labels(provider, model, one.role, one.outcome, error).inc()
        metrics["attempt_duration_seconds"].labels(provider, model, one.outcome).observe(one.ended - one.started)
        if (seconds := first_token(one)) is not None:
            metrics["time_to_first_token_seconds"].labels(provider, model).observe(seconds)
        if (seconds := token_seconds(one)) is not None:
            metrics["time_per_output_token_seconds"].labels(provider, model).observe(seconds)
        if one.usage is not None:
            self._count_tokens(metrics, provider, model, one.usage)
        metrics["cost_usd_total"].labels(provider, model).inc(float(one.cost.known))
        if not one.cost.complete:
            metrics["unpriced_attempts_total"].labels(provider, model).inc()
        if one.breaker is not None and model != OTHER:
            metrics["breaker_state"].labels(provider, model).set(BREAKER[one.breaker])

    def _count_tokens(self, metrics: Mapping[str, Any], provider: str, model: str, usage: Usage) -> None:
        by = "estimate" if usage.estimated else "vendor"
        total, details = metrics["tokens_total"], metrics["token_details_total"]
        total.labels(provider, model, "input", by).inc(usage.input_tokens)
        total.labels(provider, model, "output", by).inc(usage.output_tokens)
        for kind, count in (
            ("cached_input", usage.cached_input_tokens),
            ("cache_write", usage.cache_write_tokens),
            ("reasoning", usage.reasoning_tokens),
        ):
            if count:
                details.labels(provider, model, kind, by).inc(count)


_sink = PrometheusSink()


@hookimpl
def pointsman_sinks() -> Sequence[Sink]:
    """One for the process, so that all its clients are counted together."""
    return [_sink]

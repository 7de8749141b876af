"""Traces and metrics for OpenTelemetry, by its conventions for generative AI. Texts of prompts and answers are never in
them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pointsman import AttemptRecord, CallRecord, Sink, hookimpl

from .bounded import MODELS, Names

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from .instruments import Instruments
    from .spans import Spans

SCOPE = "pointsman"
_APIS = ("opentelemetry.trace", "opentelemetry.metrics")
_PROVIDERS = ("OTEL_PYTHON_TRACER_PROVIDER", "OTEL_PYTHON_METER_PROVIDER")


class OtelSink:
    """A sink that makes spans and metrics with these providers, the process's own ones if none are given. It is a
    plugin, too.

    `models` is how many targets have a name of their own in metrics; others are called ``other``. Spans have all names.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        models: int = MODELS,
    ) -> None:
        self._providers = tracer_provider, meter_provider
        self._names = Names(models)
        self._contexts: dict[str, Context] = {}
        self._made: tuple[Spans, Instruments] | None = None

    @hookimpl
    def pointsman_sinks(self) -> Sequence[Sink]:
        return [self]

    def started(self, call_id: str) -> None:
        """A call begins: the span that is current here is its parent."""
        if self._listened_to():
            from opentelemetry.context import get_current

            self._contexts[call_id] = get_current()

    def __call__(self, record: AttemptRecord | CallRecord) -> None:
        """A call has ended; its record has those of its attempts."""
        if isinstance(record, AttemptRecord) or not self._listened_to():
            return
        parent = self._contexts.pop(record.call_id, None)
        if self._made is None:
            self._made = self._make()
        spans, instruments = self._made
        self._names.learn(record)
        instruments.count(record, spans.trace(record, parent), self._names)

    def _listened_to(self) -> bool:
        """Whether there may be a provider. Who sets one has imported the API, or has named one in the environment."""
        return (
            self._made is not None
            or any(self._providers)
            or any(name in sys.modules for name in _APIS)
            or any(name in os.environ for name in _PROVIDERS)
        )

    def _make(self) -> tuple[Spans, Instruments]:
        from importlib.metadata import version

        from opentelemetry.metrics import get_meter
        from opentelemetry.trace import get_tracer

        from .instruments import Instruments
        from .spans import Spans

        tracers, meters = self._providers
        mine = version("pointsman-telemetry")
        tracer = get_tracer(SCOPE, mine, tracers)
        return Spans(tracer), Instruments(get_meter(SCOPE, mine, meters))


_sink = OtelSink()


@hookimpl
def pointsman_sinks() -> Sequence[Sink]:
    """One for the process; none where the API of OpenTelemetry is not installed (the extra `otel`)."""
    try:
        installed = find_spec("opentelemetry.metrics") is not None
    except ModuleNotFoundError:
        installed = False
    return [_sink] if installed else []

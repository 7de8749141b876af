"""Metrics by OpenTelemetry's conventions for generative AI, and those of ours that they have no name for."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.metrics import Histogram, Meter

from pointsman import AttemptRecord, CallRecord

from .bounded import Names
from .figures import TOKEN_SECONDS, first_token, token_seconds
from .spans import provider_name

SECONDS = tuple(0.01 * 2**n for n in range(14))
"""To 81.92: as the conventions recommend, for whoever has no view of another mind."""
TOKENS = tuple(4**n for n in range(14))


class Instruments:
    """What is counted, with `meter`.

    There is no ``gen_ai.client.operation.time_per_output_chunk``: records do not have the time of each chunk.
    """

    def __init__(self, meter: Meter) -> None:
        def histogram(name: str, unit: str, buckets: Sequence[float], description: str) -> Histogram:
            return meter.create_histogram(name, unit, description, explicit_bucket_boundaries_advisory=buckets)

        self._duration = histogram("gen_ai.client.operation.duration", "s", SECONDS, "A whole attempt.")
        self._first = histogram(
            "gen_ai.client.operation.time_to_first_chunk",
            "s",
            SECONDS,
            "From the start of an attempt to its first output.",
        )
        self._tokens = histogram(
            "gen_ai.client.token.usage", "{token}", TOKENS, "Tokens of an attempt, where the vendor counted."
        )
        self._pace = histogram(
            "pointsman.time_per_output_token", "s", TOKEN_SECONDS, "Of a whole answer, for each token after the first."
        )
        self._call = histogram("pointsman.request.duration", "s", SECONDS, "A whole call.")
        self._cost = meter.create_counter("pointsman.cost", "USD", "US dollars that are known to be owed.")
        self._unpriced = meter.create_counter(
            "pointsman.unpriced_attempts", "{attempt}", "Attempts that pointsman.cost has not, or not all of."
        )

    def count(self, call: CallRecord, contexts: Sequence[Context], names: Names) -> None:
        """Count a call in the context of its span, which an exemplar then leads to, and each attempt in its own."""
        inside, *others = contexts
        about = {"gen_ai.operation.name": call.operation, "pointsman.outcome": call.outcome}
        self._call.record(call.timings.e2e, about, inside)
        for one, context in zip(call.attempts, others, strict=True):
            self._count_attempt(call, one, context, names)

    def _count_attempt(self, call: CallRecord, one: AttemptRecord, context: Context, names: Names) -> None:
        about = {
            "gen_ai.operation.name": call.operation,
            "gen_ai.provider.name": provider_name(one.target),
            "gen_ai.request.model": names.model(one.target),
        }
        failed = {"error.type": names.error(one.error_type or "_OTHER")} if one.outcome == "failed" else {}
        self._duration.record(one.ended - one.started, about | failed, context)
        if call.operation == "chat" and (seconds := first_token(one)) is not None:
            self._first.record(seconds, about, context)
        if (seconds := token_seconds(one)) is not None:
            self._pace.record(seconds, about, context)
        if one.usage is not None and not one.usage.estimated:
            kinds = [("input", one.usage.input_tokens)]
            if call.operation == "chat":
                kinds.append(("output", one.usage.output_tokens))
            for kind, count in kinds:
                self._tokens.record(count, about | {"gen_ai.token.type": kind}, context)
        self._cost.add(float(one.cost.known), about, context)
        if not one.cost.complete:
            self._unpriced.add(1, about, context)

"""What follows from records, for every sink alike."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman import AttemptRecord, CallRecord

TOKEN_SECONDS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
"""Buckets for seconds an output token: those of OpenTelemetry's ``gen_ai.server.time_per_output_token``."""


def first_token(attempt: AttemptRecord) -> float | None:
    """Seconds from the start of the attempt to its first output."""
    return None if attempt.first_output is None else max(0.0, attempt.first_output - attempt.started)


def token_seconds(attempt: AttemptRecord) -> float | None:
    """Seconds for each output token after the first. None below two, and where the vendor sent no count."""
    usage = attempt.usage
    if attempt.outcome != "finished" or attempt.first_output is None or usage is None or usage.estimated:
        return None
    if usage.output_tokens < 2:
        return None
    return max(0.0, attempt.ended - attempt.first_output) / (usage.output_tokens - 1)


def fallbacks(call: CallRecord) -> Iterator[tuple[AttemptRecord, AttemptRecord]]:
    """Each attempt that another target's failure led to, after the attempt that failed."""
    for index, to in enumerate(call.attempts):
        if to.role in ("failover", "resume"):
            failed = [
                one
                for one in call.attempts[:index]
                if one.outcome == "failed" and one.target != to.target and one.ended <= to.started
            ]
            if failed:
                yield max(failed, key=lambda one: one.ended), to


def error_type(call: CallRecord) -> str | None:
    """The kind of error that the last attempt of a failed call met; where there was none, what conventions say then."""
    if call.outcome != "failed":
        return None
    kinds = [one.error_type for one in call.attempts if one.error_type]
    return kinds[-1] if kinds else "_OTHER"

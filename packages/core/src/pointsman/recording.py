"""Handing a call's records to the sinks, once it has ended. Telemetry never raises into a call."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from .engine.runner import Call
from .reply import StreamedReply
from .telemetry import AttemptRecord, CallRecord, Outcome, Sink
from .types import Cost

log = logging.getLogger("pointsman")


def record(call: Call, reply: StreamedReply, sinks: Sequence[tuple[str, Sink]], at: float) -> None:
    """Send one record for each attempt, then the call's. It began at `at`, in seconds since 1970."""
    if not sinks:
        return
    attempts = reply.attempts
    outcome: Outcome = "finished" if call.finished else "failed" if call.error else "cancelled"
    whole = CallRecord(
        call_id=reply.call_id,
        decision=reply.decision,
        outcome=outcome,
        attempts=attempts,
        timings=reply.timings,
        cost=Cost.total(attempt.cost for attempt in attempts),
        tags=call.request.tags,
        at=at,
        started=call.began,
        task=call.request.task,
        target=reply.target if call.finished else None,
        finish_reason=reply.finish_reason,
        usage=reply.usage,
    )
    for name, sink in sinks:
        records: list[AttemptRecord | CallRecord] = [*attempts, whole]
        for one in records:
            try:
                sink(one)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException:  # Nothing can be cancelled here, since nothing is awaited.
                log.exception("the sink %r failed to take a record", name)

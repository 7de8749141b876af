"""Handing what calls came to to the sinks and to the ledger, once they have ended. Nothing of it raises into a call."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.to_thread

from .engine.embedding import Embedding
from .engine.runner import Call
from .fanning import FanAnswer
from .ledger import LedgerEntry
from .ledger.bookkeeper import Bookkeeper
from .policy import Decision
from .reply import StreamedReply
from .telemetry import AttemptRecord, CallRecord, Outcome, Sink
from .types import ChatRequest, Cost, Message, Target, Timings

log = logging.getLogger("pointsman")


@dataclass(slots=True)
class _Receiver:
    """A sink, and how often it has failed."""

    name: str
    sink: Sink
    failures: int = 0

    def begin(self, call_id: str) -> None:
        if callable(started := getattr(self.sink, "started", None)):
            self._hand(started, call_id)

    def take(self, record: AttemptRecord | CallRecord) -> None:
        self._hand(self.sink, record)

    def _hand(self, to: Callable[[Any], object], what: str | AttemptRecord | CallRecord) -> None:
        try:
            to(what)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # Nothing can be cancelled here, since nothing is awaited.
            self.failures += 1
            if self.failures == 1:
                log.exception("the sink %r failed to take a record; if it fails again, that is only counted", self.name)


class Recorder:
    """The sinks of a client, and its ledger if it keeps one. `redact` takes keys out of a text."""

    def __init__(
        self,
        sinks: Iterable[tuple[str, Sink]],
        book: Bookkeeper | None,
        *,
        texts: bool = False,
        redact: Callable[[str], str] = str,
    ) -> None:
        self._receivers = [_Receiver(name, sink) for name, sink in sinks]
        self._book = book
        self._texts = texts
        self._redact = redact

    def begin(self, call_id: str) -> None:
        """Tell the sinks that want to know it that a call begins."""
        for receiver in self._receivers:
            receiver.begin(call_id)

    def chat(self, call: Call, reply: StreamedReply, at: float) -> CallRecord:
        """Record a call, and each of its attempts. It began at `at`, in seconds since 1970."""
        attempts = reply.attempts
        outcome: Outcome = "finished" if call.finished else "failed" if call.error else "cancelled"
        record = CallRecord(
            call_id=reply.call_id,
            decision=reply.decision,
            outcome=outcome,
            attempts=attempts,
            timings=reply.timings,
            cost=Cost.total(attempt.cost for attempt in attempts),
            tags=call.request.tags,
            at=at,
            started=call.began,
            task=call.request.task or reply.decision.task,
            target=reply.target if call.finished else None,
            finish_reason=reply.finish_reason,
            usage=reply.usage,
        )
        self._send(record, lambda: (_script(call.request.messages), reply.text))
        return record

    def embedding(self, call_id: str, one: Embedding, decision: Decision, tags: Mapping[str, str], at: float) -> None:
        """Record a call that was to embed texts, as one attempt."""
        if self._book is None and not self._receivers:
            return
        attempt = one.attempt.record(call_id, one.attempt.started)
        finished = attempt.outcome == "finished"
        record = CallRecord(
            call_id=call_id,
            decision=decision,
            outcome=attempt.outcome,
            attempts=(attempt,),
            timings=one.timings(),
            cost=attempt.cost,
            tags=tags,
            at=at,
            started=attempt.started,
            operation="embeddings",
            target=attempt.target if finished else None,
            usage=attempt.usage,
        )
        self._send(record, lambda: ("\n\n".join(one.request.texts), None))

    def elsewhere(
        self, call_id: str, request: ChatRequest, target: Target, answer: FanAnswer, now: float, at: float
    ) -> CallRecord:
        """Record a call that ended `now`, at `at` seconds since 1970, on machines that only its provider sees."""
        error, began = answer.error, now - answer.seconds
        outcome: Outcome = "finished" if error is None else "failed"
        attempt = AttemptRecord(
            call_id=call_id,
            attempt=1,
            target=target,
            outcome=outcome,
            started=began,
            first_output=None,
            ended=now,
            error=None if error is None else f"{type(error).__name__}: {error}",
            usage=answer.usage,
            cost=answer.cost,
        )
        record = CallRecord(
            call_id=call_id,
            decision=Decision(policy="pinned", order=(target,), reason="the caller named the machines"),
            outcome=outcome,
            attempts=(attempt,),
            timings=Timings(e2e=answer.seconds),
            cost=answer.cost,
            tags=request.tags,
            at=at - answer.seconds,
            started=began,
            task=request.task,
            target=None if error else target,
            finish_reason=None if error else answer.finish_reason,
            usage=None if error else answer.usage,
        )
        self._send(record, lambda: (_script(request.messages), None if error else answer.text))
        return record

    @property
    def book(self) -> Bookkeeper | None:
        """What stands before the ledger, if one is kept."""
        return self._book

    async def flush(self) -> None:
        """Wait until what was recorded is in the ledger. Raises `StoreError` if it is not."""
        if self._book is not None:
            await anyio.to_thread.run_sync(self._book.flush, abandon_on_cancel=True)

    async def close(self) -> None:
        """Say which records no sink took, and wait until the rest is in the ledger. Whoever is cancelled here does not
        wait: what is left is written all the same, at the latest at the interpreter's exit.
        """
        for one in self._receivers:
            if one.failures > 1:
                log.error("the sink %r failed to take %d records", one.name, one.failures)
            one.failures = 0
        if self._book is not None:
            self._book.end()
            try:
                await anyio.to_thread.run_sync(self._book.close, abandon_on_cancel=True)
            except RuntimeError:  # From Python 3.12 on no thread starts once the interpreter ends; nobody minds.
                self._book.close()

    def _send(self, record: CallRecord, texts: Callable[[], tuple[str, str | None]]) -> None:
        if self._book is not None:
            prompt, answer = texts() if self._texts else (None, None)
            hide = self._redact
            self._book.put(LedgerEntry(call=record, prompt=prompt and hide(prompt), answer=answer and hide(answer)))
        for receiver in self._receivers:
            for attempt in record.attempts:
                receiver.take(attempt)
            receiver.take(record)


def _script(messages: Sequence[Message]) -> str:
    """A prompt as it is kept: the text alone if nothing else was said, else each message under its role."""
    if len(messages) == 1 and messages[0].role == "user":
        return messages[0].text
    return "\n\n".join(f"[{message.role}]\n{message.text}" for message in messages)

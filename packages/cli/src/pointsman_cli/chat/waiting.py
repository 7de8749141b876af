"""Whom a conversation waits for: the target that is being asked."""

from __future__ import annotations

from pointsman import AttemptFailed, Retracted, Started, StreamedReply, StreamEvent

from ..waiting import Waiting


class WaitingForReply(Waiting):
    """Says which target we wait for."""

    def on(self, reply: StreamedReply) -> None:
        """It is `reply` that we wait for."""

        def who() -> str:
            attempts = reply.attempts
            return str(attempts[-1].target if attempts else reply.decision.order[0])

        self._target = who
        self.begin(who)

    def note(self, event: StreamEvent) -> None:
        """Whatever happens ends the wait; after a failure and a retraction another begins."""
        if isinstance(event, AttemptFailed | Retracted):
            self.begin(self._target)
        elif not isinstance(event, Started):
            self.end()

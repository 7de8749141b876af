"""Whom a conversation waits for: the target that is being asked."""

from __future__ import annotations

from pointsman import AttemptFailed, Retracted, Started, StreamedReply, StreamEvent

from ..waiting import Waiting


class WaitingForReply(Waiting):
    """Says which target we wait for."""

    _answering = False
    """Whether there is an answer that stands, though another target may have to go on with it."""

    def on(self, reply: StreamedReply) -> None:
        """It is `reply` that we wait for."""

        def who() -> str:
            attempts = reply.attempts
            return str(attempts[-1].target if attempts else reply.decision.order[0])

        self._target = who
        self.begin(who)

    def note(self, event: StreamEvent) -> None:
        """Whatever happens ends the wait; after a failure and a retraction another begins, but not within an answer."""
        if isinstance(event, Started | Retracted):
            self._answering = isinstance(event, Started)
        if isinstance(event, AttemptFailed | Retracted) and not self._answering:
            self.begin(self._target)
        elif not isinstance(event, Started):
            self.end()

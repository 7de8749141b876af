"""A wait, shown: a line on the terminal that vanishes once there is something to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from pointsman import AttemptFailed, Retracted, Started, StreamedReply, StreamEvent

from ..terminal import pass_by, wipe

if TYPE_CHECKING:
    from collections.abc import Callable


class Waiting:
    """Says whom we wait for."""

    PATIENCE = 0.5
    """Seconds before it is shown: most answers have begun by then."""

    def __init__(self) -> None:
        self.who: Callable[[], str] | None = None
        """None: nobody is waited for."""
        self._since = 0.0

    def on(self, reply: StreamedReply) -> None:
        """It is `reply` that we wait for."""

        def who() -> str:
            attempts = reply.attempts
            return str(attempts[-1].target if attempts else reply.decision.order[0])

        self.who = self._who = who
        self._since = anyio.current_time()

    def note(self, event: StreamEvent) -> None:
        """Whatever happens ends the wait; after a failure and a retraction another begins."""
        if isinstance(event, AttemptFailed | Retracted):
            wipe()
            self.who = self._who
            self._since = anyio.current_time()
        elif self.who is not None and not isinstance(event, Started):
            self.who = None
            wipe()

    async def run(self) -> None:
        """Show it, for as long as it is not cancelled."""
        while True:
            waited = anyio.current_time() - self._since
            if self.who is not None and waited >= self.PATIENCE:
                pass_by(f"waiting for {self.who()} … {waited:.0f} s" if waited >= 1 else f"waiting for {self.who()} …")
            await anyio.sleep(self.PATIENCE)

"""A wait, shown: a line on the terminal that vanishes once there is something to read."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from .terminal import pass_by, wipe


class Waiting:
    """Says whom we wait for, and for how long already."""

    PATIENCE = 0.5
    """Seconds before it is shown: most answers have begun by then."""

    def __init__(self) -> None:
        self._who: Callable[[], str] | None = None
        """None: nobody is waited for."""
        self._since = 0.0

    def begin(self, who: Callable[[], str]) -> None:
        """From now on we wait for `who`, which is asked for names each time they are shown."""
        wipe()
        self._who = who
        self._since = anyio.current_time()

    def end(self) -> None:
        """Nobody is waited for."""
        self._who = None
        wipe()

    async def run(self) -> None:
        """Show it, for as long as it is not cancelled."""
        while True:
            waited = anyio.current_time() - self._since
            if self._who is not None and waited >= self.PATIENCE:
                pass_by(f"waiting for {self._who()} …" + (f" {waited:.0f} s" if waited >= 1 else ""))
            await anyio.sleep(self.PATIENCE)

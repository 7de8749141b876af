"""Whether a container is up, as our own traffic tells. Nobody is asked, since any request starts one, and is billed."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from contextlib import contextmanager

from pointsman import Health, HealthState, PointsmanError

EXPECTED = 20.0
"""Seconds that a start is taken to need before one was seen: Ollama with a model of 7B in 4 bits on an L4, its weights
on a Volume. An estimate, no measurement: container 1-3 s, server 1-2 s, reading 4.7 GB 2.3-5 s, loading 3-5 s, and the
first token; its upper end."""
REFUSED = 60.0
"""Seconds for which a refusal that will not pass by itself is told; after that it may have been mended."""


class Warmth:
    """What is known of one address."""

    def __init__(self, clock: Callable[[], float], window: float, *, always_up: bool = False) -> None:
        """`window` is how long a container stays after its last request, in seconds; `always_up`: one always does."""
        self._clock = clock
        self._window = window
        self._always_up = always_up
        self._heard = -math.inf
        """When the server last answered."""
        self._answering = 0
        """Answers that are under way."""
        self._waiting = 0
        """Requests that wait for a start."""
        self._since = -math.inf
        """When the start was set off that is under way, or that nobody waits for any more."""
        self._seen = False
        """Whether somebody has waited for it all along, so that its end will be seen."""
        self._took: float | None = None
        self._refusal: tuple[float, PointsmanError] | None = None

    @property
    def warm(self) -> bool:
        """A container is up, as far as can be told."""
        return self._always_up or self._answering > 0 or self._clock() - self._heard < self._window

    @property
    def wait(self) -> float:
        """Seconds that a start takes: as long as the last one that was seen, else `EXPECTED`."""
        return EXPECTED if self._took is None else self._took

    @contextmanager
    def asking(self) -> Generator[None]:
        """Inside, a request waits for its answer."""
        cold = not self.warm
        if cold:
            self._wait()
        try:
            yield
        finally:
            self._waiting -= cold

    @contextmanager
    def answering(self) -> Generator[None]:
        """Inside, an answer is read; a container that has given it whole is up after it, too."""
        self._answering += 1
        try:
            yield
            self._heard = self._clock()
        finally:
            self._answering -= 1

    def answered(self) -> None:
        """The server itself has said something."""
        now = self._clock()
        if self._seen:
            self._took = now - self._since
        self._heard, self._since, self._seen, self._refusal = now, -math.inf, False, None

    def starting(self) -> None:
        """No container is ready, it says, so that this request has set one off, or waits for one that is under way."""
        self._heard = -math.inf
        if self._since == -math.inf:
            self._since, self._seen = self._clock(), True

    def lost(self) -> None:
        """The container is gone: what it said before is over."""
        self._heard = -math.inf

    def refused(self, error: PointsmanError) -> None:
        """Nothing will come of asking as long as nobody changes something."""
        self._refusal = (self._clock(), error)
        self._since, self._seen = -math.inf, False

    def health(self) -> Health:
        """The state, without asking anybody."""
        now = self._clock()
        if self._refusal is not None and now < self._refusal[0] + REFUSED:
            at, error = self._refusal
            return Health(HealthState.DOWN, f"{now - at:.0f} s ago: {error.message}", error=error)
        if self._answering:
            return Health(HealthState.UP, "it is answering")
        if self.warm:
            reason = f"it answered {now - self._heard:.0f} s ago, and a container stays for {self._window:g} s"
            return Health(HealthState.UP, reason)
        under_way = now - self._since
        if self._waiting or under_way < self.wait:
            told = "" if under_way == math.inf else f", {under_way:.0f} s ago"
            reason = f"a request of ours has set off a start{told}"
            return Health(HealthState.WARMING, reason, max(0.0, self.wait - under_way))
        took = "as the last one" if self._took is not None else "by an estimate, since none was seen yet"
        reason = (
            f"nothing was answered here within {self._window:g} s, so that a container may have to start: {took}, that "
            f"takes {self.wait:.0f} s. Nobody asks, since any request would start one, and a started GPU is billed"
        )
        return Health(HealthState.COLD, reason, self.wait)

    def _wait(self) -> None:
        now = self._clock()
        if not self._waiting:
            if now - self._since >= self.wait:
                self._since, self._seen = now, True
            else:
                self._seen = False  # It may be over already, with nobody there to see.
        self._waiting += 1

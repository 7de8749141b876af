"""Which models are being loaded for this session, and how long that takes here."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager

from .config import tagged

COLD = 1.0
"""Seconds. A model in memory takes some milliseconds to be found there; whatever takes longer was loaded."""


class Loads:
    """What a session has seen of loading. A server lists a model that still loads like one that is loaded."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waited_for: list[tuple[str, float]] = []
        self._warm: set[str] = set()
        self.seconds: float | None = None
        """What the last load that was seen has taken."""

    @contextmanager
    def waiting(self, model: str) -> Generator[None]:
        """Inside, nothing has come yet from a model that may have to be loaded first; what comes shows that it is."""
        entry = tagged(model), self._clock()
        self._waited_for.append(entry)
        try:
            yield
            self._warm.add(entry[0])
        finally:
            self._waited_for.remove(entry)

    def learn(self, seconds: float) -> None:
        """A model was loaded in so many seconds, if they are that many."""
        if seconds >= COLD:
            self.seconds = seconds

    def unloaded(self, model: str) -> None:
        self._warm.discard(tagged(model))

    def look(self, listed: Iterable[str]) -> dict[str, float]:
        """The server lists these as loaded: those that we still wait for, and since when, listed or not."""
        names = {tagged(name) for name in listed}
        self._warm = {name for name in names if name in self._warm or name not in dict(self._waited_for)}
        return {name: since for name, since in reversed(self._waited_for) if name not in self._warm}

    def wait(self, since: float) -> float | None:
        """How many seconds more a load may take that began then, if it takes as long as the last."""
        return None if self.seconds is None else max(0.0, self.seconds - (self._clock() - since))

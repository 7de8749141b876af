"""Loading what may hang: each load is tried in a thread of its own, and left behind once it has had its time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Thread
from time import perf_counter

PATIENCE = 2.0
"""Seconds that one load may take. Several slow ones run beside each other, so this bounds all of them."""

HEAD_START = 0.3
"""Seconds that a load has to itself before the next begins, so that quick ones do not disturb each other."""


@dataclass(frozen=True, slots=True)
class Tried:
    """How a load went."""

    seconds: float | None
    """None: it was still running when its time was over."""
    error: BaseException | None = None


def tried(loads: Iterable[Callable[[], object]]) -> list[Tried]:
    """Try every one of `loads`, in order. What does not end is left to run until the process does."""
    trials = [_Trial(load) for load in loads]
    for trial in trials:
        trial.begin()
    return [trial.end() for trial in trials]


class _Trial:
    def __init__(self, load: Callable[[], object]) -> None:
        self._load = load
        self._began = 0.0
        self._outcome: Tried | None = None
        self._thread = Thread(target=self._run, daemon=True)  # So that it does not keep the process alive.

    def begin(self) -> None:
        self._began = perf_counter()
        self._thread.start()
        self._thread.join(HEAD_START)

    def end(self) -> Tried:
        self._thread.join(max(0.0, self._began + PATIENCE - perf_counter()))
        return self._outcome or Tried(None)

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            self._load()
        except BaseException as raised:  # Whatever it is belongs to who asked.
            error = raised
        self._outcome = Tried(perf_counter() - self._began, error)

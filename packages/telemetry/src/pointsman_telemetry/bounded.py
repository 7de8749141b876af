"""Label values that stay few, whatever callers ask for. Each set of them is a time series that is kept for ever."""

from __future__ import annotations

from collections.abc import Hashable
from threading import Lock
from typing import Generic, TypeVar

from pointsman import CallRecord, Target

OTHER = "other"
MODELS = 100
"""How many targets have a name of their own, where nobody says otherwise."""
ERRORS = 50
"""How many kinds of errors. Core has 20; each plugin may have some of its own."""

T = TypeVar("T", bound=Hashable)


class Few(Generic[T]):
    """The first `limit` values that were let in. Clients in many threads share one."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: set[T] = set()
        self._lock = Lock()

    def __contains__(self, value: T) -> bool:
        return value in self._known

    def admit(self, value: T) -> bool:
        """Whether `value` is one of them, now."""
        if value not in self._known:
            with self._lock:
                if len(self._known) < self._limit:
                    self._known.add(value)
        return value in self._known


class Names:
    """What metrics call targets, fallbacks and errors.

    A model that a caller names is any text at all. It has a name of its own once it has answered, or if a policy chose
    it, or if it has a price; so what does not exist takes no name from what does.
    """

    def __init__(self, limit: int = MODELS) -> None:
        self._targets = Few[Target](limit)
        self._pairs = Few[tuple[str, str]](limit)
        self._errors = Few[str](ERRORS)

    def learn(self, call: CallRecord) -> None:
        """Let in the targets of `call` that are known to exist."""
        chosen = call.decision.policy != "pinned"
        for one in call.attempts:
            if chosen or one.outcome == "finished" or one.price is not None:
                self._targets.admit(one.target)

    def model(self, target: Target) -> str:
        """The model's name, or `other`."""
        return target.model if target in self._targets else OTHER

    def pair(self, origin: Target, to: Target) -> tuple[str, str]:
        """Who was left, and for whom, each as ``provider/model``. There are fewer pairs than two targets make."""
        pair = f"{origin.provider}/{self.model(origin)}", f"{to.provider}/{self.model(to)}"
        return pair if self._pairs.admit(pair) else (OTHER, OTHER)

    def error(self, kind: str | None) -> str:
        """The class name of an error; empty if there was none."""
        return "" if kind is None else kind if self._errors.admit(kind) else OTHER

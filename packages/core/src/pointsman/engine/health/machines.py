"""The machines of all targets that come and go: what our attempts, the ledger and health checks tell of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from math import inf

from ...policy import ReadyState
from ...provider import Health, HealthState, ScaleToZero
from ...types import Target
from .readiness import Readiness, Ready, Trial


@dataclass(slots=True, eq=False, repr=False)
class Machines:
    """Seconds are on the client's clock. Of targets whose machines are always there, nothing is kept."""

    scaling: Callable[[Target], ScaleToZero | None] = lambda target: None
    """How a target's machines come and go, if they do."""
    lock: AbstractContextManager[object] = field(default_factory=nullcontext[None])
    """Where who decides may do it in another thread than those who call, what keeps them apart."""
    _known: dict[Target, Readiness | None] = field(default_factory=dict[Target, Readiness | None])
    _shared: dict[str, Readiness] = field(default_factory=dict[str, Readiness])
    """By provider, those of all its models: see `ScaleToZero.shared`."""
    _checked: dict[str, tuple[Health, float, float]] = field(default_factory=dict[str, tuple[Health, float, float]])
    """What health checks said of providers, when, and until when that holds."""

    def ready(self, target: Target, now: float) -> Ready | None:
        """How they are; None if they are always there. What a health check said goes first, as long as it holds and
        nothing has happened since; but for how long starts take where some were seen: it has seen no more of them.
        """
        readiness = self._of(target)
        if readiness is None:
            return None
        with self.lock:
            said, at, until = self._checked.get(target.provider, (None, -inf, -inf))
            if said is None or now >= until or readiness.heard > at:
                return readiness.of(now)
            expected, starts = readiness.expected(now)
        if said.state in _THERE:
            return Ready("warm", 0.0, 0.0, 0.0)
        if said.wait is not None and (said.state is HealthState.WARMING or not starts):
            expected, starts = said.wait, 0.0
        state: ReadyState = "warming" if said.state is HealthState.WARMING else "cold"
        return Ready(state, max(0.0, expected - (now - at)) if state == "warming" else expected, starts, 0.0)

    def wait(self, target: Target, now: float) -> float | None:
        """Seconds until one is ready; None if one is."""
        ready = self.ready(target, now)
        return None if ready is None or ready.state == "warm" else ready.wait

    def begin(self, target: Target, now: float) -> Trial | None:
        """Something is asked of the target that starts a machine if none runs."""
        readiness = self._of(target)
        if readiness is None:
            return None
        with self.lock:
            return readiness.begin(now)

    def spoke(self, target: Target, trial: Trial | None, now: float) -> None:
        """It has the first of its answer."""
        if trial is not None and (readiness := self._of(target)) is not None:
            with self.lock:
                readiness.spoke(trial, now)

    def ended(self, target: Target, trial: Trial | None, now: float) -> None:
        """It is over, answered or given up."""
        if trial is not None and (readiness := self._of(target)) is not None:
            with self.lock:
                readiness.ended(trial, now)

    def broke(self, target: Target, trial: Trial | None) -> None:
        """It failed, so that no start need be under way for it."""
        if trial is not None and (readiness := self._of(target)) is not None:
            with self.lock:
                readiness.broke(trial)

    def told(self, target: Target, began: float, spoke: float | None, ended: float, *, broke: bool) -> bool:
        """An attempt went like that, in whatever process: see `Readiness.tell`."""
        readiness = self._of(target)
        if readiness is None:
            return False
        with self.lock:
            return readiness.tell(began, spoke, ended, broke=broke)

    def checked(self, provider: str, health: Health, now: float, until: float) -> None:
        """A health check said so; that holds until then."""
        if health.state in _TELLING:
            self._checked[provider] = health, now, until

    def of(self, target: Target) -> ScaleToZero | None:
        """How they come and go."""
        readiness = self._of(target)
        return None if readiness is None else readiness.scaling

    def _of(self, target: Target) -> Readiness | None:
        if target not in self._known:
            scaling = self.scaling(target)
            found = None if scaling is None else Readiness(scaling)
            if found is not None and found.scaling.shared:
                found = self._shared.setdefault(target.provider, found)
            self._known[target] = found
        return self._known[target]


_THERE = HealthState.UP, HealthState.DEGRADED
_TELLING = (*_THERE, HealthState.COLD, HealthState.WARMING)
"""What says whether a machine runs."""

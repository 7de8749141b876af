"""Limits that the vendor stated in its headers, and what was sent since: asking beyond them is a sure refusal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...provider import RateLimit, RateLimits
from ...types import Target


@dataclass(slots=True, eq=False, repr=False)
class _Stated:
    limit: RateLimit
    since: int = 0
    """Requests, or tokens, sent since the vendor said so."""


@dataclass(slots=True, eq=False, repr=False)
class Learnt:
    """What one target's vendor has said last, by kind of limit."""

    target: Target
    limits: Mapping[str, RateLimits]
    _stated: dict[str, _Stated] = field(default_factory=dict[str, _Stated])

    def opens_at(self, now: float, tokens: int) -> float:
        """When a request of about `tokens` fits into every limit whose window has not ended; 0 if it does now."""
        self._read()
        opens = 0.0
        for kind, stated in self._stated.items():
            limit = stated.limit
            if limit.remaining is None or limit.reset_at is None or limit.reset_at <= now:
                continue
            needed = tokens if "token" in kind else 1
            if limit.limit is not None:  # What never fits is the vendor's to refuse.
                needed = min(needed, limit.limit)
            if limit.remaining - stated.since < needed:
                opens = max(opens, limit.reset_at)
        return opens

    def begin(self, tokens: int) -> None:
        """A request is sent."""
        for kind, stated in self._stated.items():
            stated.since += tokens if "token" in kind else 1

    def _read(self) -> None:
        said = self.limits.get(self.target.provider)
        if said is None:
            return
        for (model, kind), limit in said.seen.items():
            if model != self.target.model:
                continue
            known = self._stated.get(kind)
            if known is None or known.limit is not limit:
                self._stated[kind] = _Stated(limit)

"""Where a request should go: the contract of routing policies, and the plainest of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from .cost import Price
from .provider import ModelInfo
from .types import ChatRequest, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A target that may take the request, with what is known of it. A read-only snapshot."""

    target: Target
    capabilities: frozenset[str]
    context_tokens: int | None = None
    price: Price | None = None

    def lacks(self, request: ChatRequest) -> frozenset[str]:
        """What the request needs and this target cannot do."""
        return request.needs - self.capabilities


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A target that was not considered, and why."""

    target: Target
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Which targets, in which order, and why."""

    policy: str
    order: tuple[Target, ...]
    excluded: tuple[Exclusion, ...] = ()
    reason: str = ""

    def explain(self) -> str:
        """The decision in a few lines for a person."""
        lines = [f"{self.policy}: {' > '.join(map(str, self.order)) or 'nobody'}"]
        if self.reason:
            lines.append(f"  because {self.reason}")
        lines += [f"  not {item.target}: {item.reason}" for item in self.excluded]
        return "\n".join(lines)


class Policy(Protocol):
    """Ranks candidates. Synchronous and pure: no I/O, no clock, no randomness but what `seed` gives."""

    @property
    def name(self) -> str: ...

    def rank(self, request: ChatRequest, candidates: Sequence[Candidate], now: float, seed: int) -> Decision:
        """A full order of candidates that can answer, best first. `now` is on the client's clock, in seconds."""
        ...


def candidate(target: Target, model: ModelInfo | None, capabilities: frozenset[str], price: Price | None) -> Candidate:
    """What is known of `target`: its own facts where the provider states them, else its provider's."""
    own = model.capabilities if model else None
    return Candidate(
        target=target,
        capabilities=capabilities if own is None else own,
        context_tokens=model.context_tokens if model else None,
        price=price,
    )


class InOrder:
    """Candidates as they stand, without those that cannot do what the request needs."""

    def __init__(self, name: str = "in_order") -> None:
        self.name = name

    def rank(self, request: ChatRequest, candidates: Sequence[Candidate], now: float, seed: int) -> Decision:
        excluded = tuple(
            Exclusion(one.target, f"cannot do {', '.join(sorted(one.lacks(request)))}")
            for one in candidates
            if one.lacks(request)
        )
        unable = {item.target for item in excluded}
        order = tuple(one.target for one in candidates if one.target not in unable)
        reason = "that is the order they are listed in" if order else "none of them can do what is asked for"
        return Decision(policy=self.name, order=order, excluded=excluded, reason=reason)

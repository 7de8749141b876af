"""Where a request should go: the contract of routing policies, and the plainest of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Generic, Literal, Protocol, TypeAlias

from .cost import Price
from .provider import ConfigT, ModelInfo, Strengths
from .types import ChatRequest, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What attempts of one kind came to. What is long ago counts less, so numbers of attempts are no whole numbers."""

    attempts: float = 0.0
    """Attempts that showed how the target is: those that were cancelled or lost do not count."""
    failures: float = 0.0
    """Of them, those that failed by no fault of the caller's."""
    first_token: float | None = None
    """Seconds until the first output: the median. None if none was seen; as for the others."""
    answers: float = 0.0
    """How many answers it is the median of."""
    tokens_per_second: float | None = None
    """Output tokens a second after the first output: the median."""
    timed: float = 0.0
    """How many answers it is the median of."""
    quality: float | None = None
    """From 0 to 1: the mean of what answers were rated."""
    rated: float = 0.0
    """How many answers it is the mean of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What was measured of one target, by this client and, where they share a ledger, by others."""

    overall: Measured = Measured()
    """Over days."""
    recent: Measured = Measured()
    """Over minutes: how it is just now."""
    tasks: Mapping[str, Measured] = field(default_factory=dict[str, Measured])
    """By task, over days."""
    lengths: Mapping[str, Measured] = field(default_factory=dict[str, Measured])
    """By `length_of` the request, over days."""


LENGTHS = {"short": 500, "medium": 4_000, "long": 32_000}
"""Below how many tokens of input a request is called so; one with more is ``huge``."""


def length_of(tokens: int) -> str:
    """The class of requests with about so many tokens of input, by which histories are kept."""
    return next((name for name, below in LENGTHS.items() if tokens < below), "huge")


ReadyState: TypeAlias = Literal["cold", "warming", "warm"]
"""Of machines that come and go: none runs, one is being started, one is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A target that may take the request, with what is known of it. A read-only snapshot."""

    target: Target
    capabilities: frozenset[str]
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    price: Price | None = None
    strengths: Strengths = field(default_factory=Strengths)
    """What its provider's package expects of it."""
    history: History = History()
    """What was measured of it."""
    warm_tokens: int = 0
    """About how many tokens at the beginning of this request the target has read a moment ago, in the same
    conversation: its vendor may bill them less, and read them faster."""
    cold_wait: float = 0.0
    """Seconds that it is expected to take to get ready, before it answers."""
    state: ReadyState | None = None
    """Whether its machines run; None if they are always there, or if nothing is known of them."""
    starts: float = 0.0
    """Of how many starts the wait was learnt. Those that are long ago count less; 0: its package expects it."""
    standby_cost: Decimal | None = None
    """USD that asking it now adds besides the seconds of its answer: its share of a start, and of the time in which a
    machine idles before it ends. None if its machines are always there, or nobody knows."""
    open_at: float = 0.0
    """Until when its breaker, or a cooldown that it asked for, keeps calls from it, on the client's clock. The engine
    asks others meanwhile, and waits if there are none: it is no reason to leave it out."""

    def lacks(self, request: ChatRequest) -> frozenset[str]:
        """What the request needs and this target cannot do."""
        return request.needs - self.capabilities


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A target that was not considered, and why."""

    target: Target
    reason: str


@dataclass(frozen=True, slots=True)
class Term:
    """One part of a score."""

    name: str
    """Such as ``first token``, ``price``, ``quality``."""
    value: float
    """From 0 to 1; 1 is best."""
    weight: float
    note: str = ""
    """What the value was made of, with its unit: ``0.31 s, of 48 answers``."""


@dataclass(frozen=True, slots=True)
class Score:
    """What a policy thought of one candidate."""

    target: Target
    utility: float
    terms: tuple[Term, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Which targets, in which order, and why."""

    policy: str
    order: tuple[Target, ...]
    excluded: tuple[Exclusion, ...] = ()
    reason: str = ""
    task: str | None = None
    """What was asked, in the policy's view; None of one that does not look."""
    confidence: float | None = None
    """The probability that the policy gives `task`."""
    difficulty: float | None = None
    """From 0 to 1: the chance that a stronger model is worth it."""
    scores: tuple[Score, ...] = ()
    """In the order of `order`."""
    propensity: float | None = None
    """With which probability the first of the order came first: 1 of a policy that leaves nothing to chance."""
    policy_hash: str = ""
    """Says which policy, of which version and settings, has decided: decisions with the same hash can be compared."""
    prewarm: tuple[Target, ...] = ()
    """Of `order`, those that would have come first if a machine of theirs had been running. `AsyncClient.warm` starts
    one, and with ``[routing] prewarm = true`` the client does it by itself."""

    def explain(self) -> str:
        """The decision in a few lines for a person."""
        lines = [f"{self.policy}: {' > '.join(map(str, self.order)) or 'nobody'}"]
        if seen := self._seen():
            lines.append(f"  it is {seen}")
        if self.reason:
            lines.append(f"  because {self.reason}")
        if self.propensity is not None and self.propensity < 1:
            lines.append(f"  the first was left to chance: {self.propensity:.0%} for it")
        for score in self.scores:
            lines.append(f"  {score.target}: {score.utility:.2f}")
            lines += [f"    {_told(term)}" for term in score.terms]
        lines += [f"  {target} would come first if it were warm" for target in self.prewarm]
        lines += [f"  not {item.target}: {item.reason}" for item in self.excluded]
        return "\n".join(lines)

    def _seen(self) -> str:
        """What the policy made of the request."""
        task = self.task and self.task.replace("_", " ")
        if task and self.confidence is not None:
            task += f" ({self.confidence:.0%} sure)"
        hard = "" if self.difficulty is None else f"{self.difficulty:.0%} likely to need a strong model"
        return ", ".join(filter(None, (task, hard)))


def _told(term: Term) -> str:
    """Such as ``first token 0.82 of 1, weight 0.30: 0.31 s, of 48 answers``."""
    note = f": {term.note}" if term.note else ""
    return f"{term.name} {term.value:.2f} of 1, weight {term.weight:.2f}{note}"


class Policy(Protocol):
    """Ranks candidates. Synchronous and pure: no I/O, no clock, no randomness but what `seed` gives."""

    @property
    def name(self) -> str: ...

    def rank(self, request: ChatRequest, candidates: Sequence[Candidate], now: float, seed: int) -> Decision:
        """A full order of candidates that can answer, best first. `now` is on the client's clock, in seconds."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySpec(Generic[ConfigT]):
    """A policy that has settings, on paper."""

    name: str
    """That of its entry point."""
    config: type[ConfigT]
    """A pydantic model, frozen, extra fields forbidden, with defaults: what may stand under ``[policy]``."""
    make: Callable[[ConfigT], Policy]
    """The policy with these settings. It is called once for each client, and opens nothing."""


def candidate(target: Target, model: ModelInfo | None, capabilities: frozenset[str], price: Price | None) -> Candidate:
    """What is known of `target`: its own facts where the provider states them, else its provider's."""
    own = model.capabilities if model else None
    return Candidate(
        target=target,
        capabilities=capabilities if own is None else own,
        context_tokens=model.context_tokens if model else None,
        max_output_tokens=model.max_output_tokens if model else None,
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

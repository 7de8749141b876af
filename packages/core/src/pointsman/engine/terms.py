"""What the machine is told and what it says: a plan and its limits, what is known of targets, and commands."""

from __future__ import annotations

import enum
from typing import Literal, NamedTuple, Protocol, TypeAlias

from ..errors import PointsmanError
from ..telemetry import Role
from ..types import StreamEvent, Target

OnBreak: TypeAlias = Literal["raise", "restart", "continue"]


class Limits(NamedTuple):
    """What a call may take. Seconds. Where a clock is None, what was measured decides, or else a default."""

    deadline: float | None = None
    first_token: float | None = None
    stall: float | None = None
    min_speed: float | None = None
    """Characters a second, once output has begun."""
    max_attempts: int = 8
    retries: int = 1
    """How often one target is asked again, once no other is left to ask."""
    max_wait: float = 5.0
    """Seconds that the call waits for a cooldown to end, if nobody else can be asked; after that it is told."""
    on_break: OnBreak = "raise"
    may_retract: bool = False
    """What `continue` cannot go on with is started anew, rather than raised."""
    hedge: bool = False


class Leg(NamedTuple):
    """A target in the plan, with its context size where it is known, and what it may need to get ready, in seconds."""

    target: Target
    context_tokens: int | None = None
    cold_start: float = 0.0
    idempotent: bool = True
    """False if asking twice may do something twice."""
    prefill: bool = False
    """It goes on with an answer that another has begun."""
    silence: float = 0.0
    """Seconds between two outputs that are nothing unusual there."""
    wait: float = 0.0
    """Seconds that it is expected to take to get ready, just now."""


class Start(NamedTuple):
    """Begin attempt number `attempt` at `target`; `role` says why. A ``resume`` goes on with the answer so far."""

    attempt: int
    target: Target
    role: Role = "first"


class Cancel(NamedTuple):
    """End attempt number `attempt`: `error` is what it is charged with; None if it only came too late."""

    attempt: int
    error: PointsmanError | None


class Emit(NamedTuple):
    """Tell the reader."""

    event: StreamEvent


class Settle(NamedTuple):
    """The call is over: with success if `error` is None."""

    error: PointsmanError | None


Command: TypeAlias = Start | Cancel | Emit | Settle


class Phase(enum.Enum):
    """Where a call stands."""

    WAITING = "waiting"
    RUNNING = "running"
    COMMITTED = "committed"
    SETTLED = "settled"


class Standing(NamedTuple):
    """Whether a target may be asked now."""

    open_at: float = 0.0
    """When, on the client's clock; ``inf`` if that depends on other calls, which will tell."""
    queue: bool = False
    """What is in the way is a limit of ours: the call waits in line for as long as it may take."""
    avoid: bool = False
    """It may be asked, but others first: it would probably fail as it did."""
    error: PointsmanError | None = None
    """What a caller is told who cannot wait."""


class Pace(NamedTuple):
    """What was measured of a target's answers, as limits for the next; None where too little is known."""

    first_token: float | None = None
    stall: float | None = None
    min_speed: float | None = None
    hedge_after: float | None = None
    """Seconds after which nearly every answer has begun."""


class Outlook(Protocol):
    """What is known of targets from other calls. The machine only looks; who begins an attempt says so elsewhere."""

    def standing(self, target: Target, now: float) -> Standing: ...
    def pace(self, target: Target) -> Pace: ...
    def may_retry(self) -> bool: ...
    def may_hedge(self) -> bool: ...


class Untried:
    """The outlook where nothing is known: everybody may be asked, at once and again."""

    def standing(self, target: Target, now: float) -> Standing:
        return Standing()

    def pace(self, target: Target) -> Pace:
        return Pace()

    def may_retry(self) -> bool:
        return True

    def may_hedge(self) -> bool:
        return True

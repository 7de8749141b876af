"""What a client knows of its targets from all calls so far, and what calls may therefore do next.

One `Place` for each target and one for each provider, since either may be down, resting or full. Everything is told
here with its time; nothing waits, reads a clock or draws dice, so that whole histories can be replayed in tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field
from itertools import count
from math import inf

from ...errors import FirstTokenTimeout, PointsmanError, RateLimited, Scope
from ...provider import RateLimits
from ...telemetry import BreakerState
from ...types import Target
from ..terms import Pace, Standing
from .breaker import State
from .learnt import Learnt
from .line import Wake
from .machines import Machines
from .paces import Paces
from .place import AVOIDED, Caps, Place
from .readiness import Trial
from .windows import Budget, Spent

__all__ = ["Budget", "Caps", "Health", "Outlook", "Place", "Ticket"]


@dataclass(slots=True, eq=False, repr=False)
class Ticket:
    """An attempt that has begun. It is given back with `Health.end`, once, whatever happened."""

    target: Target
    cold: bool
    probes: tuple[bool, bool]
    """Whether it is the probe of the target, and of the provider."""
    spent: tuple[Spent, ...]
    began: float
    hedge_after: float | None
    judged: bool = False
    spoke: bool = False
    waking: bool = False
    """No machine of the target ran when it began, as far as was known: its first output tells of a start."""
    trial: Trial | None = None

    @property
    def probe(self) -> bool:
        """Whether any breaker watches it."""
        return any(self.probes)


@dataclass(slots=True, eq=False, repr=False)
class Health:
    """Shared by all calls of a client."""

    caps: Callable[[str], Caps] = lambda name: Caps()
    """Limits of ours, by ``provider`` or ``provider/model``."""
    limits: Mapping[str, RateLimits] = field(default_factory=dict[str, RateLimits])
    """What vendors said of theirs, by provider."""
    retries: Budget = field(default_factory=lambda: Budget.of_retries(0.2))
    hedges: Budget = field(default_factory=lambda: Budget.of_hedges(0.0))
    paces: Paces = field(default_factory=Paces)
    _places: dict[str, Place] = field(default_factory=dict[str, Place])
    _both: dict[Target, tuple[Place, Place]] = field(default_factory=dict[Target, tuple[Place, Place]])
    _learnt: dict[Target, Learnt] = field(default_factory=dict[Target, Learnt])
    _arrivals: Iterator[int] = field(default_factory=count)
    machines: Machines = field(default_factory=Machines)
    waiting: dict[float, Wake] = field(default_factory=dict[float, Wake])
    """The calls that wait for somebody, in line or for a time that was told."""

    def place(self, name: str) -> Place:
        """What is known of ``provider`` or ``provider/model``."""
        found = self._places.get(name)
        if found is None:
            found = self._places[name] = Place(self.caps(name))
        return found

    def both(self, target: Target) -> tuple[Place, Place]:
        """The target's place, and its provider's."""
        found = self._both.get(target)
        if found is None:
            found = self._both[target] = self.place(str(target)), self.place(target.provider)
        return found

    def standing(self, target: Target, now: float, tokens: int, order: float = inf) -> Standing:
        """Whether the call number `order` may ask `target` now, with a request of about so many `tokens`.

        Our own limits are looked at once the target is open: only then is the line a line.
        """
        places = self.both(target)
        shut = self._shut_until(target, now, tokens)
        line = max(place.line_opens_at(now, tokens, order) for place in places)
        open_at = shut if shut > now else line
        avoided = any(place.avoid_until > now for place in places)
        if open_at <= now:
            return Standing(avoid=avoided)
        used_up = self._used_up(target, now, tokens, order) if shut <= now else ""
        return Standing(open_at, shut <= now, avoided, _not_asked(target, places, open_at, now, used_up))

    def obstacles(self, target: Target, now: float, tokens: int, order: float) -> list[Place]:
        """Where the call has to stand in line for `target`: the places that open last."""
        places = self.both(target)
        opens = [inf if place.blocked else place.shut_until() for place in places]
        if max(opens) <= now:
            if self._shut_until(target, now, tokens) > now:  # By the vendor's headers, which are about the target.
                return [places[0]]
            opens = [place.line_opens_at(now, tokens, order) for place in places]
        latest = max(opens)
        return [place for place, at in zip(places, opens, strict=True) if at == latest > now]

    def call(self, tokens: int) -> Outlook:
        """A call begins, with a request of about so many `tokens`."""
        self.retries.earn()
        self.hedges.earn()
        return Outlook(self, tokens, next(self._arrivals))

    def begin(self, target: Target, now: float, tokens: int, *, cold: bool) -> Ticket:
        """An attempt begins at a target that stands open."""
        told = [place.begin(now, tokens) for place in self.both(target)]
        self._learnt_of(target).begin(tokens)
        probes = (told[0][0], told[1][0])
        spent = tuple(one for _, one in told if one is not None)
        waking = self.machines.wait(target, now) is not None
        hedge_after = None if waking else self.paces.of(target).hedge_after
        trial = self.machines.begin(target, now)
        return Ticket(target, cold, probes, spent, now, hedge_after, waking=waking, trial=trial)

    def spoke(self, ticket: Ticket, now: float) -> None:
        """The attempt yielded its first output: the target and its provider are well."""
        ticket.spoke = True
        if not ticket.waking:
            self.paces.first_token(ticket.target, now - ticket.began, now, ticket.hedge_after)
        self.machines.spoke(ticket.target, ticket.trial, now)
        self._judge(ticket, now, None)

    def failed(self, ticket: Ticket, error: PointsmanError, now: float) -> None:
        """The attempt ended with `error`."""
        if not isinstance(error, FirstTokenTimeout):
            self.machines.broke(ticket.target, ticket.trial)
            ticket.trial = None
        self._judge(ticket, now, error)

    def end(self, ticket: Ticket, now: float, tokens: int | None = None) -> None:
        """The attempt holds nothing any more. `tokens`: what it really used."""
        for spent in ticket.spent if tokens is not None else ():
            spent.correct(tokens or 0)
        late = ticket.hedge_after is not None and now - ticket.began > ticket.hedge_after
        if late and not ticket.spoke:  # It would have taken longer still. What ended sooner says nothing of its pace.
            self.paces.first_token(ticket.target, now - ticket.began, now, ticket.hedge_after)
        self.machines.ended(ticket.target, ticket.trial, now)
        for place, probe in zip(self.both(ticket.target), ticket.probes, strict=True):
            if probe and not ticket.judged:
                place.breaker.abandoned(now)
            place.running -= 1
        for place in self.both(ticket.target):  # Once both have room: whoever is told may need both.
            place.stir()

    def breaker(self, target: Target) -> BreakerState:
        """What keeps attempts from `target`: its own breaker, or its provider's, whichever is the worse."""
        states = {place.breaker.state for place in self.both(target)}
        return "open" if State.OPEN in states else "half_open" if State.PROBING in states else "closed"

    def checked(self, provider: str, well: bool, now: float, valid_for: float) -> None:
        """A health check of the provider said whether it is well; it is asked again within `valid_for` seconds."""
        place = self.place(provider)
        if not well:
            place.avoid_until = max(place.avoid_until, now + valid_for)
            return
        for name, one in self._places.items():
            if name == provider or name.startswith(f"{provider}/"):
                one.breaker.well(now)
        for wake in list(self.waiting.values()):
            wake()

    def shut_until(self, target: Target, now: float) -> float:
        """Until when breakers and cooldowns keep calls from `target`; 0 if they do not."""
        shut = self._shut_until(target, now, 0)
        return shut if shut > now else 0.0

    def _judge(self, ticket: Ticket, now: float, error: PointsmanError | None) -> None:
        """Tell both places what the attempt shows of them. Only the first thing that it shows decides a probe."""
        first, ticket.judged = not ticket.judged, True
        for place, probe, scope in zip(
            self.both(ticket.target), ticket.probes, (Scope.TARGET, Scope.PROVIDER), strict=True
        ):
            if error is not None and error.scope is scope:
                wait = self._getting_ready(ticket, error, now)
                place.ill(error, now, began=ticket.began, probe=probe and first, getting_ready=wait)
            elif first and error is None:
                place.well(now, began=ticket.began, probe=probe)
            elif first and error is not None and not _refused(error):
                if probe:  # The other of the two was in the way, or we were.
                    place.breaker.abandoned(now)
            elif first:
                place.breaker.succeeded(now, began=ticket.began, probe=probe)
            if probe and first:
                place.stir()

    def _getting_ready(self, ticket: Ticket, error: PointsmanError, now: float) -> float | None:
        """For how many seconds others are asked first, if the target was not ill, but only getting ready: nothing came
        yet, or it said that it is not there yet (503).
        """
        silent = (ticket.cold or ticket.waking) and isinstance(error, FirstTokenTimeout)
        if ticket.spoke or not (silent or (ticket.waking and error.status == 503)):
            return None
        wait = self.machines.wait(ticket.target, now)
        return AVOIDED if wait is None else max(1.0, wait)

    def _used_up(self, target: Target, now: float, tokens: int, order: float) -> str:
        """Which limits of ours keep a request waiting."""
        named = zip((target, target.provider), self.both(target), strict=True)
        told = ((name, place.used_up(now, tokens, order)) for name, place in named)
        return ", ".join(f'[limits."{name}"] {limit}' for name, limit in told if limit)

    def _shut_until(self, target: Target, now: float, tokens: int) -> float:
        """When `target` may be asked, for all that it has said and shown."""
        own, provider = self.both(target)
        return max(own.shut_until(), provider.shut_until(), self._learnt_of(target).opens_at(now, tokens))

    def _learnt_of(self, target: Target) -> Learnt:
        found = self._learnt.get(target)
        if found is None:
            found = self._learnt[target] = Learnt(target, self.limits)
        return found


@dataclass(slots=True, eq=False, repr=False)
class Outlook:
    """Health as one call's machine sees it, and where the call waits."""

    health: Health
    tokens: int
    """About how many tokens its request may take."""
    order: float
    """How many calls came before it."""
    _lines: list[Place] = field(default_factory=list[Place])

    def standing(self, target: Target, now: float) -> Standing:
        return self.health.standing(target, now, self.tokens, self.order)

    def pace(self, target: Target) -> Pace:
        return self.health.paces.of(target)

    def may_retry(self) -> bool:
        return self.health.retries.allows

    def may_hedge(self) -> bool:
        return self.health.hedges.allows and not self.health.paces.all_slow

    def line_up(self, targets: Iterable[Target], now: float, wake: Wake) -> None:
        """Wait for one of `targets`: have `wake` called once others are no longer in the way."""
        self.health.waiting[self.order] = wake
        obstacles = self.health.obstacles
        lines = [place for target in targets for place in obstacles(target, now, self.tokens, self.order)]
        for place in lines:
            place.line.join(self.order, wake)
        self._keep_to(lines)

    def step_out(self) -> None:
        """Wait no longer."""
        if self.health.waiting.pop(self.order, None) is not None:
            self._keep_to([])

    def _keep_to(self, lines: list[Place]) -> None:
        """Leave every line but `lines`; who stands behind is told, and may in turn tell this call."""
        left, self._lines = [place for place in self._lines if place not in lines], lines
        for place in left:
            place.line.leave(self.order)
        for place in left:
            place.stir()


def _refused(error: PointsmanError) -> bool:
    """Whether somebody has refused, which only those can who are there."""
    return error.status is not None or (error.begun and not error.trips)


def _not_asked(target: Target, places: tuple[Place, Place], until: float, now: float, used_up: str) -> PointsmanError:
    """Why a target was not asked, as the error that it last gave if it gave one, with the time of its return."""
    when = f"for another {until - now:.1f} s"
    if until == inf:
        blocked = any(place.blocked for place in places)
        when = f"until {'another attempt has ended' if blocked else 'those before it in line were'}"
    if used_up:
        return RateLimited(f"not asked {when}: {used_up} is used up", target=target, retry_at=_moment(until))
    shutting = max(places, key=lambda place: place.shut_until())
    said = shutting.error
    if said is None or shutting.shut_until() < until:
        stated = "by its own headers, its limit is used up"
        return RateLimited(f"not asked {when}: {stated}", target=target, retry_at=_moment(until))
    why = "it keeps failing" if shutting.breaker.opens_at() > shutting.open_at else "it asked for patience"
    told = copy(said)
    told.args = (f"not asked {when}, since {why}: {said.message}", *said.args[1:])
    told.target, told.provider, told.retry_at, told.partial = target, target.provider, _moment(until), ""
    told.__cause__ = None
    return told


def _moment(at: float) -> float | None:
    return None if at == inf else at

"""Who is compared: machines that scale to zero, and vendors that bill tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from pointsman import AtLeast, ConfigError, Cost, Exact, PluginError, Price, ScaleToZero, Target, Unknown
from pointsman.scaling import breakeven, breakeven_always_on, capacity, dollars, machines_billed, starts

from ...models.facts import by_token
from .traffic import DAY, Busy, Traffic, rounded

if TYPE_CHECKING:
    from pointsman.engine.roster import Roster

HOUR = 3600
DAYS = 30
"""Of a month."""
_STAYS = (
    "its machines never go, or nobody knows how they come and go. If a setting keeps some running (min_containers), "
    "the same with that at 0 compares both: machines that go, and one that is always on"
)


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """One that bills tokens."""

    target: Target
    price: Price | None
    request: Cost
    """What the mean request costs there."""

    def month(self, traffic: Traffic) -> Cost:
        return rounded(Cost(self.request.known * Decimal(traffic.per_day * DAYS), self.request.complete))


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A target whose machines are billed by the second, under some traffic."""

    target: Target
    scaling: ScaleToZero
    busy: Busy
    traffic: Traffic

    @property
    def most(self) -> float:
        """Requests a second that one machine serves at most."""
        return capacity(self.scaling, self.busy.seconds)

    @property
    def billed(self) -> float:
        """Machines, on average."""
        return machines_billed(self.scaling, self.traffic.per_second, self.busy.seconds)

    @property
    def starts_per_day(self) -> float:
        return starts(self.scaling, self.traffic.per_second, self.busy.seconds) * DAY

    def lasting(self, seconds: float, machines: float = 1) -> Cost:
        """What so many machines cost over so many seconds. At least: a package says the least of a second."""
        usd = dollars(self.scaling, machines, seconds)
        if usd is None:
            return Unknown
        return rounded(AtLeast(usd)) if usd else Exact(0)

    def always_on(self) -> Cost:
        """A month of this traffic on machines that never go."""
        return self.lasting(DAYS * DAY, max(1, self.billed))

    def scaled(self) -> Cost:
        """A month of this traffic, if machines go."""
        return self.lasting(DAYS * DAY, self.billed)

    def against(self, vendor: Vendor) -> tuple[float | None, float | None] | None:
        """Requests a second from which on it is cheaper: scaled to zero, and always on; None for never. None in the
        place of both if one of the prices is not known.
        """
        if self.scaling.second is None or vendor.request == Unknown:
            return None
        given = (self.scaling, self.busy.seconds, vendor.request.known)
        return breakeven(*given), breakeven_always_on(*given)


def machines(named: Sequence[str], roster: Roster) -> dict[Target, ScaleToZero]:
    """Those named, or all that are billed and that requests may go to by themselves. Raises `ConfigError` if there are
    none.
    """
    found: dict[Target, ScaleToZero] = {}
    for text in named:
        target = _parsed(text, "--target")
        scaling = roster.scaling(target)
        if scaling is None:
            raise ConfigError(f"--target {target}: {_STAYS}")
        found[target] = scaling
    if named:
        return found
    unready: list[str] = []
    for name in roster.names:
        try:
            if roster.declared(name).spec.scaling is None:
                continue
            for target in roster.default_targets(name):
                if (price := roster.prices(name).find(target)) and price.free:
                    continue  # Such as a model on one's own computer: nobody sends a bill.
                if scaling := roster.scaling(target):
                    found[target] = scaling
                else:
                    unready.append(f"{target}: {_STAYS}")
        except PluginError as error:
            unready.append(str(error))
        except ConfigError as error:
            if not error.missing:
                raise
            unready.append(str(error))
    if not found:
        why = "".join(f"\n  {one}" for one in unready) or " No installed provider has any: pip install pointsman-modal"
        raise ConfigError(f"no target here is known to scale to zero.{why}")
    return found


def vendor_prices(named: Sequence[str], roster: Roster) -> dict[Target, Price | None]:
    """Those named; else what each provider suggests, if it bills tokens, which may be nobody. Raises `ConfigError`."""
    found: dict[Target, Price | None] = {}
    for text in named:
        target = _parsed(text, "--against")
        price = roster.prices(target.provider).find(target)
        if price and not by_token(price):
            raise ConfigError(f"--against {target}: it is not billed by the token, so that there is nothing to compare")
        found[target] = price
    if named:
        return found
    for name in roster.names:
        try:
            spec = roster.declared(name).spec
        except PluginError:
            continue
        for target in (Target(name, model) for model in spec.default_models):
            price = roster.prices(name).find(target)
            if price and by_token(price) and not price.free:
                found[target] = price
    return found


def _parsed(text: str, option: str) -> Target:
    try:
        return Target.parse(text)
    except ValueError as error:
        raise ConfigError(f"{option} {text}: {error}") from None

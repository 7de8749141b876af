"""What an attempt cost: by the token at the router, by the second at an endpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Context, Decimal

from pointsman import AtLeast, Cost, Price, PriceAttempt, PriceBook, Target, Timings, Unknown, Usage

from .catalogue import Catalogue
from .config import FAMILY, POLICIES, HuggingFaceConfig, divided

_HOUR = 3600
_DOWN = Context(prec=40, rounding=ROUND_FLOOR)
"""A lower bound must stay one."""
_SPANS = 64
"""How many spans of time are remembered for an endpoint."""


@dataclass(slots=True)
class Meter:
    """Turns hours of endpoints into the costs of attempts, so that their sum is never more than was paid.

    A replica is paid for as long as it runs, whoever asks it: attempts at the same time share its seconds, and those
    without any are nobody's. So an attempt is charged for that part of its time, from its first output on, which no
    other has been charged for yet. That is a lower bound (`AtLeast`): before the first output it may have waited for a
    replica to start, some of which is free; and the time between requests, further replicas, and the last minute,
    which is paid in full, come on top.
    """

    clock: Callable[[], float]
    hourly: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    """USD for an hour of one replica, by target."""
    names: dict[str, str] = field(default_factory=dict[str, str])
    """Target -> the endpoint that it names, where that is known: ``endpoint:NAME`` may be ``NAMESPACE/NAME``."""
    _charged: dict[str, list[tuple[float, float]]] = field(default_factory=dict[str, list[tuple[float, float]]])
    """Spans of time that are paid for, in order and apart."""

    def cost(self, target: str, timings: Timings) -> Cost:
        """The cost of an attempt that ends now."""
        now = self.clock()
        endpoint, owed = self.names.get(target, target), 0.0
        if timings.ttft is not None:
            owed = self._charge(endpoint, now - (timings.e2e - timings.ttft), now)
        price = self.hourly.get(target)
        return Unknown if price is None else AtLeast(_DOWN.divide(_DOWN.multiply(price, Decimal(str(owed))), _HOUR))

    def _charge(self, endpoint: str, begin: float, end: float) -> float:
        """How much of a span was not charged before; from now on it is."""
        known = self._charged.get(endpoint, [])
        touched = [(one, other) for one, other in known if one <= end and other >= begin]
        free = end - begin - sum(min(end, other) - max(begin, one) for one, other in touched)
        joined = (min(begin, *(one for one, _ in touched), end), max(end, *(other for _, other in touched), begin))
        spans = sorted([*(span for span in known if span not in touched), joined])
        if len(spans) > _SPANS:  # What is forgotten counts as charged: the bound stays one.
            spans[:2] = [(spans[0][0], spans[1][1])]
        self._charged[endpoint] = spans
        return max(0.0, free)


def pricing(book: PriceBook, catalogue: Callable[[], Catalogue], meter: Meter) -> PriceAttempt:
    """The cost hook. The user's own price wins, also that of a model without a suffix for whoever serves it. What the
    router's list said to an earlier process stands in until it is read.
    """

    def cost(target: Target, usage: Usage | None, timings: Timings | None) -> Cost:
        if (mine := users_own(book, target)) is not None:
            return mine.of(usage, timings)
        if target.model.startswith(FAMILY):
            return Unknown if timings is None else meter.cost(target.model, timings)
        known = catalogue()
        return live_cost(known, target.model, usage) if known.models else book.cost(target, usage, timings)

    return cost


def users_own(book: PriceBook, target: Target) -> Price | None:
    """What the user says: of the target, of its model whoever serves it, or of all that is Hugging Face's."""
    quote = book.quote(target)
    return quote.price if quote and quote.layer == "user" else None


def price_of(config: HuggingFaceConfig, model: str) -> Price | None:
    """Of an endpoint, the second of a replica, if the configuration says what an hour is. The list has the others."""
    if not model.startswith(FAMILY):
        return None
    name = model.removeprefix(FAMILY)
    hour = next(
        (config.endpoint_prices[one] for one in (name, name.rpartition("/")[2]) if one in config.endpoint_prices), None
    )
    if hour is None:
        return None
    second, nothing = _DOWN.divide(hour, _HOUR), Decimal(0)
    source = "endpoint_prices of this provider's settings"
    return Price(input=nothing, output=nothing, second=second, as_of=None, source=source)


def live_cost(catalogue: Catalogue, model: str, usage: Usage | None) -> Cost:
    """By the router's own list: exact for a provider that is known; else what the cheapest takes, if all say.

    Where the providers' prices are the same, who served does not matter.
    """
    if usage is None:
        return Unknown
    if (price := catalogue.prices.get(model)) is not None:
        return price.of(usage)
    name, suffix = divided(model)
    offers = catalogue.offers.get(name, ())
    if offers and (not suffix or suffix in POLICIES):
        costs = [offer.of(usage) for offer in offers if offer is not None]
        if len(costs) == len(offers):
            cheapest = min(costs, key=lambda cost: cost.known)
            return cheapest if len(set(offers)) == 1 else AtLeast(cheapest.known)
    return Unknown

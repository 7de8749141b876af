"""Who says what a target costs, and who of them is believed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from .cost import Price
from .types import Cost, Target, Timings, Unknown, Usage

if TYPE_CHECKING:
    from .provider import ModelInfo

PriceLayer: TypeAlias = Literal["user", "live", "table", "package"]
"""Who says a price: the user's ``[prices]``; what the vendor's own list said last; the dated table in the provider's
package; what else that package knows, such as the seconds of a GPU."""
EVERY = "*"
"""In the place of a model: all that the provider has."""


class Quote(NamedTuple):
    """A price, and who says it."""

    price: Price
    layer: PriceLayer


@dataclass(frozen=True, slots=True)
class PriceBook:
    """Prices by target. Reading it opens nothing.

    The user's go before the vendor's live list, this before the table, and this before what else the package knows. But
    a live price that is older than the table's does not hide it: that package is newer than what the list said.
    """

    own: tuple[Mapping[Target, Price], ...] = ()
    """The user's; earlier ones win. A price of ``provider/*`` holds for those that have none there."""
    variant_of: Callable[[str], str] | None = None
    """From a model to the one whose price of the user's holds for it, too, if it has none: see `ProviderSpec`."""
    table: Mapping[Target, Price] = field(default_factory=dict[Target, Price])
    package: Callable[[Target, ModelInfo | None], Price | None] | None = None
    """Answers from what the vendor's list said of the model, if that was heard."""
    live: dict[Target, Price] = field(default_factory=dict[Target, Price])
    listed: dict[Target, ModelInfo] = field(default_factory=dict[Target, "ModelInfo"])
    """What the vendor's list said last, with a price or without."""

    def find(self, target: Target) -> Price | None:
        """The price in force for `target`; None if nobody knows one."""
        quote = self.quote(target)
        return quote.price if quote else None

    def quote(self, target: Target) -> Quote | None:
        """The price in force for `target`, with who says it."""
        return next(self.quotes(target), None)

    def quotes(self, target: Target) -> Iterator[Quote]:
        """All that is said, the one that is in force first."""
        if any(self.own) and (own := self._own_of(target)) is not None:
            yield Quote(own, "user")
        live, table = self.live.get(target), self.table.get(target)
        found = [Quote(live, "live")] if live else []
        if table:
            newer = live and live.as_of and table.as_of and table.as_of > live.as_of
            found.insert(0 if newer else 1, Quote(table, "table"))
        yield from found
        if self.package and (price := self.package(target, self.listed.get(target))):
            yield Quote(price, "package")

    def _own_of(self, target: Target) -> Price | None:
        """The user's, for the target itself, for what it is a variant of, or for all that the provider has."""
        whole = self.variant_of(target.model) if self.variant_of else target.model
        names = (target, Target(target.provider, whole), Target(target.provider, EVERY))
        return next((layer[named] for named in names for layer in self.own if named in layer), None)

    def learn(self, models: Mapping[Target, ModelInfo]) -> None:
        """The vendor's list has been read, and this is the whole of it: what it said before holds no longer."""
        self.listed.clear()
        self.listed.update(models)
        self.live.clear()
        self.live.update({target: model.price for target, model in models.items() if model.price})

    def cost(self, target: Target, usage: Usage | None, timings: Timings | None = None) -> Cost:
        """What an attempt cost: a ready-made answer for a provider's `pointsman_cost`."""
        price = self.find(target)
        return price.of(usage, timings) if price else Unknown

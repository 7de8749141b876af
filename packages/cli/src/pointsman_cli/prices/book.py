"""The price book of this configuration, read target by target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

from pointsman import PointsmanError, Price, Quote, Target
from pointsman.client import AsyncClient
from pointsman.engine.roster import Roster
from pointsman.pricebook import EVERY

from ..context import remember
from ..exits import Exit, exit_code
from ..plugins.roster import ready_names, said


@dataclass(slots=True)
class Book:
    """Targets with all that is said of them, the quote in force first; and providers that cannot be looked at."""

    entries: dict[Target, list[Quote]] = field(default_factory=dict[Target, list[Quote]])
    failed: list[tuple[str, str, Exit]] = field(default_factory=list[tuple[str, str, Exit]])
    suggested: set[Target] = field(default_factory=set[Target])
    """Where a request may go by itself."""


def read(names: Sequence[str]) -> Book:
    """What is known of `names`, targets or providers, else of everything. Opens nothing.

    Raises `ConfigError` for a provider that there is not, and for a price that is set wrong.
    """
    client = AsyncClient()
    roster = client.roster
    remember(client)
    roster.check_named()
    named = [_parsed(name) for name in names]
    providers, failed = ready_names(roster, [target.provider for target in named], also_unready=True)
    book = Book(failed=failed, suggested=_suggested(roster, providers))
    for name in providers:
        wanted = [target for target in named if target.provider == name]
        try:
            found = {target for target in wanted if target.model != EVERY}
            if len(found) < len(wanted) or not wanted:
                found.update(_known(roster, name, book.suggested))
            for target in sorted(found, key=str):
                book.entries[target] = list(roster.prices(name).quotes(target))
        except PointsmanError as error:
            book.failed.append((name, said(error), exit_code(error)))
    return book


def _parsed(name: str) -> Target:
    provider, _, model = name.partition("/")
    return Target(provider, model or EVERY)


def _known(roster: Roster, name: str, suggested: set[Target]) -> Iterator[Target]:
    """Every target of the provider that anybody says a price of, and those that a request may go to by itself."""
    book = roster.prices(name)
    for layer in book.own:
        yield from layer
    yield from book.live
    yield from (Target(name, model.id) for model in roster.declared(name).spec.models)
    yield from (target for target in suggested if target.provider == name)


def _suggested(roster: Roster, providers: Sequence[str]) -> set[Target]:
    """What the user has said, else what each that is ready suggests."""
    if wanted := roster.settings.routing.targets:
        return {Target.parse(target) for target in wanted}
    found: set[Target] = set()
    for name in providers:
        with suppress(PointsmanError):  # It is not ready.
            found.update(roster.default_targets(name))
    return found


def today() -> date:
    """Of UTC, as prices are dated."""
    return datetime.now(UTC).date()


def age(price: Price) -> int | None:
    """Days since the day that it is of."""
    return None if price.as_of is None else max(0, (today() - price.as_of).days)


def same(one: Price, other: Price) -> bool:
    """Whether both say the same amounts, whoever says them."""
    return replace(one, as_of=None, source="") == replace(other, as_of=None, source="")

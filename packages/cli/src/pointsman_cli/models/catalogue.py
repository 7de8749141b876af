"""The models that can be asked: what providers list and packages ship, merged, chosen from and sorted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import anyio
import click

from pointsman import ModelInfo, PointsmanError, Price, Target
from pointsman.client import AsyncClient

from ..as_json import dumps
from ..context import debugging, remember
from ..exits import Exit, exit_code, gravest
from ..listing import say
from ..log import log_to_stderr
from ..plugins.roster import ready_names
from ..providers.roll_call import nobody
from ..rounds import ask_each
from ..terminal import out
from . import facts
from .asking import failure, listed, not_missed
from .table import show_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model, with all that is known of it. None is unknown."""

    target: Target
    context_tokens: int | None
    max_output_tokens: int | None
    capabilities: frozenset[str] | None
    """Of this very model; what its family may be able to do is what is asked of it, but nothing that is known."""
    price: Price | None
    first_token: float | None = None
    """Seconds, as the provider states them."""
    tokens_per_second: float | None = None
    listed: bool
    """Whether the provider itself has just listed it; else its package does."""

    def as_json(self) -> dict[str, Any]:
        return {
            "target": str(self.target),
            "context_tokens": self.context_tokens,
            "max_output_tokens": self.max_output_tokens,
            "capabilities": None if self.capabilities is None else sorted(self.capabilities),
            "price": facts.price_json(self.price),
            "first_token": self.first_token,
            "tokens_per_second": self.tokens_per_second,
            "origin": "live" if self.listed else "shipped",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which models are shown, and in which order."""

    wanted: str | None = None
    capabilities: tuple[str, ...] = ()
    min_context: int | None = None
    max_price: Decimal | None = None
    sort: str = "name"

    def of(self, models: Sequence[Model]) -> list[Model]:
        """Those that fit, sorted; what is not known stands last, and fits no limit."""
        return sorted(filter(self._fits, models), key=lambda model: (*self._rank(model), str(model.target)))

    def _fits(self, model: Model) -> bool:
        if self.wanted and not _matches(str(model.target), self.wanted):
            return False
        if not (model.capabilities or frozenset()).issuperset(self.capabilities):
            return False
        if self.min_context is not None and (model.context_tokens or 0) < self.min_context:
            return False
        if self.max_price is None:
            return True
        price = facts.by_token(model.price)
        if price is None:
            return False
        dearest = max(price.input, price.output, *(max(tier.input, tier.output) for tier in price.tiers))
        return dearest <= self.max_price

    def _rank(self, model: Model) -> tuple[Any, ...]:
        match self.sort:
            case "price":
                price = facts.by_token(model.price)
                return (price is None, price.input + price.output if price else 0)
            case "speed":
                return (model.tokens_per_second is None, -(model.tokens_per_second or 0))
            case "context":
                return (model.context_tokens is None, -(model.context_tokens or 0))
            case _:
                return ()

    def unknown(self, models: Sequence[Model]) -> list[str]:
        """What to say of models that a limit leaves out because nobody knows their number."""
        asked = [
            (bool(self.capabilities), "abilities", [one for one in models if one.capabilities is None]),
            (self.min_context is not None, "context", [one for one in models if one.context_tokens is None]),
            (self.max_price is not None, "price", [one for one in models if facts.by_token(one.price) is None]),
        ]
        return [f"{len(found)} of unknown {what} left out." for limited, what, found in asked if limited and found]


@dataclass(slots=True)
class Catalogue:
    """What was found, and who could not say."""

    models: list[Model] = field(default_factory=list[Model])
    failed: list[tuple[str, str, Exit]] = field(default_factory=list[tuple[str, str, Exit]])
    """Provider, why, and the exit code for it."""
    answered: int = 0


def list_models(names: Sequence[str], choice: Choice, *, live: bool, verbose: bool, as_json: bool) -> None:
    """Print the models of `names`, else of every provider. Exits."""
    ctx = click.get_current_context()
    log_to_stderr(debug=debugging(ctx))
    found = anyio.run(_ask_all, names) if live else _shipped_by(names)
    chosen = choice.of(found.models)
    for name, why, _ in found.failed:
        stands_in = any(model.target.provider == name for model in found.models)
        say(f"✗ {name}: {why}{'; what its package ships stands in for it' if stands_in else ''}")
    if as_json:
        failed = [{"provider": name, "message": why, "exit_code": int(code)} for name, why, code in found.failed]
        out(dumps({"models": [model.as_json() for model in chosen], "failed": failed}))
    else:
        show_table(chosen, verbose=verbose)
        for text in choice.unknown(found.models):
            say(text)
        if not chosen and (found.models or not found.failed):
            say(f"None of {len(found.models)} models fits." if found.models else _nothing(live=live))
    ctx.exit(Exit.OK if found.answered else gravest(code for _, _, code in found.failed))


def _nothing(*, live: bool) -> str:
    return "They list no models." if live else "No package ships a list of models: without --offline they are asked."


def _shipped_by(names: Sequence[str]) -> Catalogue:
    """What packages ship, of ready providers and others."""
    client = AsyncClient()
    found = Catalogue()
    named, slow = ready_names(client.roster, names, also_unready=True)
    found.failed += slow
    for name in named:
        try:
            found.models += _merged(client, name, None)
            found.answered += 1
        except PointsmanError as error:
            found.failed.append((name, error.message, exit_code(error)))
    return found


async def _ask_all(names: Sequence[str]) -> Catalogue:
    async with AsyncClient() as client:
        remember(client)
        found = Catalogue()
        named, failed = ready_names(client.roster, names)
        found.failed += failed
        await ask_each(named, partial(_ask, client, found))
        silent: dict[str, str] = {}
        if not names:
            silent = _forget_strangers(client, named, found)
        if not found.answered and not found.failed:
            raise nobody(client.roster, silent)
        return found


def _forget_strangers(client: AsyncClient, named: Sequence[str], found: Catalogue) -> dict[str, str]:
    """Leave out who is `not_missed`. Returns them, with what they failed with."""
    mute = not_missed(client, named, found.failed)
    found.failed = [one for one in found.failed if one[0] not in mute]
    found.models = [one for one in found.models if one.target.provider not in mute]
    return mute


async def _ask(client: AsyncClient, found: Catalogue, name: str) -> None:
    try:
        found.models += _merged(client, name, await listed(client, name))
        found.answered += 1
    except Exception as raised:
        found.failed.append(failure(client, name, raised))
        found.models += _merged(client, name, None)


def _merged(client: AsyncClient, name: str, listed: Sequence[ModelInfo] | None) -> list[Model]:
    """What the provider lists, filled in with what its package knows; of its package alone, if it lists nothing."""
    roster = client.roster
    spec, prices = roster.declared(name).spec, roster.prices(name)
    shipped = {model.id: model for model in spec.models}
    models: list[Model] = []
    for one in {model.id: model for model in listed}.values() if listed is not None else spec.models:
        known = shipped.get(one.id, one)
        target = Target(name, one.id)
        models.append(
            Model(
                target=target,
                context_tokens=one.context_tokens or known.context_tokens,
                max_output_tokens=one.max_output_tokens or known.max_output_tokens,
                capabilities=known.capabilities if one.capabilities is None else one.capabilities,
                price=prices.find(target),
                first_token=one.first_token,
                tokens_per_second=one.tokens_per_second,
                listed=listed is not None,
            )
        )
    return models


def _matches(target: str, wanted: str) -> bool:
    target, wanted = target.lower(), wanted.lower()
    return fnmatchcase(target, wanted) if set(wanted) & set("*?[") else wanted in target

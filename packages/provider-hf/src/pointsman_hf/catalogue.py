"""What the router's ``GET /v1/models`` says: who serves which model, at which price and speed. Pure.

Prices there are USD for a million tokens. Every field but ``provider`` and ``status`` may be missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from pointsman import ModelInfo, Price
from pointsman_openai import fields, items, string


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The router's list, as it was read last."""

    models: tuple[ModelInfo, ...] = ()
    """``org/model`` for what the router chooses, then ``org/model:provider`` for each provider that serves it now."""
    prices: Mapping[str, Price] = field(default_factory=dict[str, Price])
    """By ``org/model:provider``."""
    offers: Mapping[str, tuple[Price | None, ...]] = field(default_factory=dict[str, tuple[Price | None, ...]])
    """By ``org/model``: what each provider that serves it now takes, None where it does not say."""


def read_catalogue(value: Any, *, today: date, source: str) -> Catalogue:
    """The list in ``{"data": [...]}``. Models that nobody serves now, and what cannot be read, are left out."""
    models: list[ModelInfo] = []
    prices: dict[str, Price] = {}
    offers: dict[str, tuple[Price | None, ...]] = {}
    for entry in map(fields, items(fields(value).get("data"))):
        name = string(entry.get("id"))
        vision = "image" in items(fields(entry.get("architecture")).get("input_modalities"))
        listed = [_offer(name, one, vision, today, source) for one in map(fields, items(entry.get("providers")))]
        live = [offer for offer in listed if offer is not None]
        if not name or not live:
            continue
        models += [_whole(name, live), *live]
        prices |= {offer.id: offer.price for offer in live if offer.price is not None}
        offers[name] = tuple(offer.price for offer in live)
    return Catalogue(tuple(models), prices, offers)


def _offer(model: str, entry: dict[str, Any], vision: bool, today: date, source: str) -> ModelInfo | None:
    """One provider's offer; None if it is not live."""
    provider = string(entry.get("provider"))
    if not provider or entry.get("status") != "live":
        return None
    able = {"tools": entry.get("supports_tools"), "schema": entry.get("supports_structured_output")}
    latency, speed = _positive(entry.get("first_token_latency_ms")), _positive(entry.get("throughput"))
    context = _positive(entry.get("context_length"))
    return ModelInfo(
        id=f"{model}:{provider}",
        context_tokens=int(context) if context else None,
        capabilities=None
        if able["tools"] is None and able["schema"] is None
        else frozenset({name for name, can in able.items() if can is True} | ({"vision"} if vision else set())),
        price=_price(entry, today, source),
        first_token=float(latency / 1000) if latency else None,
        tokens_per_second=float(speed) if speed else None,
    )


def _whole(name: str, live: Sequence[ModelInfo]) -> ModelInfo:
    """What holds whoever answers: the smallest context, what all can do, the worst speeds, a price if all have it."""
    contexts = [one.context_tokens for one in live if one.context_tokens]
    known = [one.capabilities for one in live if one.capabilities is not None]
    first = [one.first_token for one in live if one.first_token is not None]
    speed = [one.tokens_per_second for one in live if one.tokens_per_second is not None]
    price = live[0].price
    return ModelInfo(
        id=name,
        context_tokens=min(contexts, default=None),
        capabilities=known[0].intersection(*known) if len(known) == len(live) else None,
        price=price if all(one.price == price for one in live) else None,
        first_token=max(first) if len(first) == len(live) else None,
        tokens_per_second=min(speed) if len(speed) == len(live) else None,
    )


def _price(entry: dict[str, Any], today: date, source: str) -> Price | None:
    pricing = fields(entry.get("pricing"))
    asked, answered = _number(pricing.get("input")), _number(pricing.get("output"))
    if entry.get("is_free") is True and not (asked or answered):
        asked = answered = Decimal(0)
    if asked is None or answered is None:
        return None
    return Price(input=asked, output=answered, as_of=today, source=source)


def _number(value: Any) -> Decimal | None:
    """A decimal number from 0 to 10¹², by way of text, since a float is not the number that was meant."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return found if found.is_finite() and 0 <= found < 10**12 else None


def _positive(value: Any) -> Decimal | None:
    found = _number(value)
    return found or None

"""What ``GET /models`` lists."""

from __future__ import annotations

from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from pointsman import ModelInfo, Price

from .bill import MONEY
from .shapes import fields, items, number, string


def read_models(value: Any, *, today: date, source: str) -> list[ModelInfo]:
    """The models in ``{"data": [...]}``, or in the list alone. What is no model is left out.

    Where a vendor adds them (SambaNova, OpenRouter), ``context_length``, ``max_completion_tokens`` and ``pricing`` are
    read, the latter as USD for one token or request, in numbers or strings; `today` and `source` go into the price.
    vLLM states its context as ``max_model_len``, llama.cpp as ``meta.n_ctx``.
    """
    listed = items(fields(value).get("data")) or items(value)
    models = [_model(fields(entry), today, source) for entry in listed]
    return [model for model in models if model.id]


def _model(entry: dict[str, Any], today: date, source: str) -> ModelInfo:
    return ModelInfo(
        id=string(entry.get("id")),
        context_tokens=_positive(entry.get("context_length"))
        or _positive(entry.get("max_model_len"))
        or _positive(fields(entry.get("meta")).get("n_ctx")),
        max_output_tokens=_positive(entry.get("max_completion_tokens")),
        price=_price(entry.get("pricing"), today, source),
    )


def _price(value: Any, today: date, source: str) -> Price | None:
    pricing = fields(value)
    asked, answered = _per_million(pricing.get("prompt")), _per_million(pricing.get("completion"))
    if asked is None or answered is None:
        return None
    return Price(
        input=asked,
        output=answered,
        cached_input=_per_million(pricing.get("input_cache_read")),
        cache_write=_per_million(pricing.get("input_cache_write")),
        request=MONEY.divide(_per_million(pricing.get("request")) or Decimal(0), 1_000_000),
        as_of=today,
        source=source,
    )


def _per_million(value: Any) -> Decimal | None:
    """USD for a million, from USD for one; by way of text, since a float is not the decimal number that was meant."""
    if number(value) is None:
        return None
    try:
        usd = MONEY.multiply(Decimal(str(value).strip()), 1_000_000)
    except InvalidOperation:
        return None
    return usd if usd >= 0 else None


def _positive(value: Any) -> int | None:
    count = number(value)
    return int(count) if count and count >= 1 else None

"""What is known of a model: as JSON, and in words. Unknown is a word of its own, and never 0."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pointsman import Price

UNKNOWN = "unknown"


def price_json(price: Price | None) -> dict[str, Any] | None:
    """USD for a million tokens, as decimal strings; null if nobody knows."""
    if price is None:
        return None
    return {
        "input": _plain(price.input),
        "output": _plain(price.output),
        "cached_input": None if price.cached_input is None else _plain(price.cached_input),
        "as_of": price.as_of.isoformat(),
        "source": price.source,
    }


def tokens(count: int | None) -> str:
    """``131k``, ``1M``: thousands are of 1000, as they are where one asks for them."""
    if count is None:
        return UNKNOWN
    if count < 1000:
        return str(count)
    thousands = round(count / 1000)
    return f"{thousands}k" if thousands < 1000 else f"{count / 1_000_000:.3g}M"


def usd(amount: Decimal | None) -> str:
    """``0.22``: to the cent at least, and whole."""
    if amount is None:
        return UNKNOWN
    plain = _plain(amount)
    whole, _, cents = plain.partition(".")
    return f"{whole}.{cents:0<2}"


def price(value: Price | None) -> str:
    """``$0.22 in, $0.59 out``, for a million tokens."""
    return f"${usd(value.input)} in, ${usd(value.output)} out" if value else UNKNOWN


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}"

"""What is known of a model: as JSON, and in words. Unknown is a word of its own, and never 0."""

from __future__ import annotations

from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

from pointsman.cost import price_as_json

if TYPE_CHECKING:
    from pointsman import Price

UNKNOWN = "unknown"


def price_json(price: Price | None) -> dict[str, Any] | None:
    """USD, as decimal strings; null if nobody knows."""
    return None if price is None else price_as_json(price)


def by_token(price: Price | None) -> Price | None:
    """`price`, if tokens are what is billed, or nothing is; else what a token costs is not to be compared."""
    if price is None or price.input or price.output or not (price.request or price.second):
        return price
    return None


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
    """``a million tokens $0.22 in, $0.59 out``, ``a second $0.000222``, or both and more."""
    if value is None:
        return UNKNOWN
    if value.free:
        return "free"
    said: list[str] = []
    if by_token(value):
        cached = "" if value.cached_input is None else f", ${usd(value.cached_input)} cached"
        written = "" if value.cache_write is None else f", ${usd(value.cache_write)} written to the cache"
        said.append(f"a million tokens ${usd(value.input)} in{cached}{written}, ${usd(value.output)} out")
        said += [
            f"from {tier.tokens} tokens of input on ${usd(tier.input)} in, ${usd(tier.output)} out"
            for tier in value.tiers
        ]
    if value.request:
        said.append(f"a request ${usd(value.request)}")
    if value.second:
        said.append(f"a second ${rounded(value.second)}")
    return "; ".join(said)


def rounded(amount: Decimal) -> str:
    """Four digits of it: a share of a second of a machine may have no end."""
    return _plain(Context(prec=4).plus(amount))


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}"

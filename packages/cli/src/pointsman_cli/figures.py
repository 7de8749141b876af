"""Numbers for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pointsman import Cost, Timings, Usage

UNKNOWN = "–"


def seconds(value: float | None) -> str:
    """``0.21 s``; below a tenth in milliseconds."""
    if value is None:
        return UNKNOWN
    return f"{value * 1000:.0f} ms" if value < 0.1 else f"{value:.2f} s"


def speed(timings: Timings) -> str:
    """Tokens per second after the first: ``148 tok/s``."""
    return f"{1 / timings.tpot:.0f} tok/s" if timings.tpot else f"{UNKNOWN} tok/s"


def size(count: int) -> str:
    """Bytes: ``3.4 MB``."""
    amount, units = float(count), ["bytes", "kB", "MB", "GB", "TB"]
    while amount >= 1000 and len(units) > 1:
        amount, units = amount / 1000, units[1:]
    return f"{amount:.{0 if units[0] == 'bytes' else 1}f} {units[0]}"


def tokens(usage: Usage | None) -> str:
    """Of the answer: ``85 tokens``; a count of ours is marked as the lower bound that it is."""
    if usage is None:
        return f"{UNKNOWN} tokens"
    said = "token" if usage.output_tokens == 1 else "tokens"
    return f"{'≥ ' if usage.estimated else ''}{usage.output_tokens} {said}"


def price(cost: Cost) -> str:
    """``$0.0012``, ``≥ $0.0012``, or that it is unknown: never 0 for what nobody knows."""
    text = str(cost)
    return text if "$" in text else f"cost {text}"

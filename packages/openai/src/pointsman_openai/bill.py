"""What an answer cost by the vendor's own word, where it stands beside the counts of tokens."""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Any

from pointsman import AtLeast, Cost, Exact, Unknown

from .shapes import fields, number

MONEY = Context(prec=60)
"""Arithmetic on money, whatever the context of the thread that asks."""
_TICKS = 10**10
"""xAI's, in a USD: $0.004910 is 49,100,000 (BerriAI/litellm#37407)."""
_MOST = 10**6
"""USD. An answer that costs more is billed in another unit."""


def read_bill(value: Any) -> Cost:
    """The bill in a ``usage`` object; `Unknown` if there is none of which the unit is certain.

    A ``cost`` alone may be in anything: credits, cents, yuan. xAI names the unit, Perplexity's object has USD, and
    OpenRouter's is known by its ``cost_details``. Where OpenRouter has used the user's own key it bills its fee alone,
    and tells what the vendor has billed.
    """
    usage = fields(value)
    ticks, cost = _amount(usage.get("cost_in_usd_ticks"), _MOST * _TICKS), usage.get("cost")
    if ticks is not None:
        return Exact(MONEY.divide(ticks, _TICKS))
    if (total := _amount(fields(cost).get("total_cost"))) is not None:
        return Exact(total)
    billed = _amount(cost)
    if billed is None or not (details := fields(usage.get("cost_details"))):
        return Unknown
    upstream = _amount(details.get("upstream_inference_cost"))
    if usage.get("is_byok") is True or (upstream or 0) > billed:
        return AtLeast(billed) if upstream is None else Exact(MONEY.add(billed, upstream))
    return Exact(billed)


def _amount(value: Any, most: int = _MOST) -> Decimal | None:
    """As it was written, which the nearest float to it is not."""
    found = number(value)
    return Decimal(str(found)) if found is not None and 0 <= found <= most else None

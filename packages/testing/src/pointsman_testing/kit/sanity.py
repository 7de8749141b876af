"""What cannot be true of a model, or of what it is said to be able to do."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches

from pointsman import CAPABILITIES, ModelInfo, Price


def oddities(model: ModelInfo, own: Collection[str] = ()) -> Iterator[str]:
    """Each in a few words that begin with the model's id; `own` are capabilities by names of the provider's own."""
    if not model.id.strip():
        yield "one has no id"
    for name in ("context_tokens", "max_output_tokens"):
        tokens = getattr(model, name)
        if tokens is not None and (type(tokens) is not int or tokens <= 0):
            yield f"{model.id} has {name}={tokens!r}, which is no number of tokens: None where it is not known"
    for name in ("first_token", "tokens_per_second"):
        number = getattr(model, name)
        if number is not None and not (type(number) in (int, float) and 0 <= number < float("inf")):
            yield f"{model.id} has {name}={number!r}, which nobody can reckon with"
    if model.price is not None:
        yield from (f"{model.id} {odd}" for odd in _odd_price(model.price))
    yield from (f"{model.id} {odd}" for odd in odd_capabilities(model.capabilities or (), own))


def odd_capabilities(claimed: Iterable[str], own: Collection[str] = ()) -> Iterator[str]:
    """Those that nobody asks for by that name."""
    for name in sorted({*claimed}.difference(CAPABILITIES)):
        if near := get_close_matches(name, CAPABILITIES, n=1):
            yield f"claims {name!r}, which nobody asks for: {near[0]!r} is meant"
        elif name not in own:
            yield (
                f"claims {name!r}, which is none of {', '.join(CAPABILITIES)}, so that nobody asks for it (if there is "
                "no name for it yet, say in `own_capabilities` that this one is yours)"
            )


def _odd_price(price: Price) -> Iterator[str]:
    if not price.source.strip():
        yield "has a price without a source: say who says so"
    if price.as_of is None:
        yield "has a price without a day: say when it was so, since it will be wrong one day"
    elif price.as_of > (datetime.now(UTC) + timedelta(days=1)).date():
        yield f"has a price as of {price.as_of}, which is still to come"

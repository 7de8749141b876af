"""What SambaNova Cloud serves and charges. ``GET /v1/models`` lists both anew; this table is what is known without it.

Contexts, tools and pictures: the page "SambaCloud models" of https://docs.sambanova.ai. Prices: SambaNova's price
page as kept by https://github.com/api-evangelist/sambanova-systems, USD for a million tokens.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from pointsman import ModelInfo, Price

SOURCE = "SambaNova's price page, in github.com/api-evangelist/sambanova-systems"

_K = 1024
_TOOLS = frozenset({"tools", "schema"})
_THINKS = frozenset({"tools", "schema", "reasoning"})


def _price(asked: str, answered: str, *, as_of: date, cached: str | None = None) -> Price:
    cached_input = None if cached is None else Decimal(cached)
    return Price(input=Decimal(asked), output=Decimal(answered), cached_input=cached_input, as_of=as_of, source=SOURCE)


_SEEN = date(2026, 10, 7)

MODELS = (
    ModelInfo(
        id="gpt-oss-120b",
        context_tokens=128 * _K,
        capabilities=_THINKS,
        price=_price("0.22", "0.59", as_of=_SEEN),
    ),
    ModelInfo(
        id="Meta-Llama-3.3-70B-Instruct",
        context_tokens=128 * _K,
        capabilities=_TOOLS,
        price=_price("0.60", "1.20", as_of=_SEEN),
    ),
    ModelInfo(
        id="DeepSeek-V3.1",
        context_tokens=128 * _K,
        capabilities=_THINKS,
        price=_price("3.00", "4.50", as_of=_SEEN),
    ),
    ModelInfo(
        id="DeepSeek-V3.2",
        context_tokens=32 * _K,
        capabilities=_THINKS,
        price=_price("3.00", "4.50", as_of=_SEEN),
    ),
    ModelInfo(
        id="MiniMax-M3",
        context_tokens=1_000_000,
        capabilities=frozenset({"schema", "reasoning"}),  # Not on the list of models with tools.
        price=_price("0.60", "2.40", cached="0.06", as_of=_SEEN),
    ),
    ModelInfo(
        id="MiniMax-M2.7",
        context_tokens=192 * _K,
        capabilities=_THINKS,
        price=_price("0.60", "2.40", as_of=date(2026, 9, 29)),  # Listed then; not on the page of October.
    ),
    ModelInfo(
        id="gemma-4-31B-it",
        context_tokens=128 * _K,
        capabilities=frozenset({"schema", "vision"}),  # It answers tools with status 400.
        price=_price("0.38", "1.15", as_of=_SEEN),
    ),
)

_EMBEDDERS = frozenset({"E5-Mistral-7B-Instruct"})  # The only one in its SDK 1.13.0.


def capabilities(model: str) -> frozenset[str] | None:
    """What a model can do, as far as it is known."""
    if model in _EMBEDDERS:
        return frozenset({"embeddings"})
    return next((known.capabilities for known in MODELS if known.id == model), None)

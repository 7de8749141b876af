"""Prices and what follows from them. Core multiplies only when a provider's cost hook asks it to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING

from .types import AtLeast, ChatRequest, Cost, Exact, Target, Timings, Unknown, Usage
from .types.usage import MONEY

if TYPE_CHECKING:
    from datetime import date

_MILLION = Decimal(1_000_000)

FLOOR_CHARACTERS_PER_TOKEN = 8
"""No tokenizer in use averages more on running text, so a count made with it stays below the true one. English has 4 to
5; official Russian, German and Thai have 6 to 7 with the largest vocabulary that was tried (Qwen3.5's), up to 18 bytes.
Runs of blanks or tabs do not count: those of a table, or of nested JSON, are of few tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a model costs, in USD for a million tokens, with the day and the place that say so."""

    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    """None: cached input is billed like any other."""
    as_of: date
    source: str

    def of(self, usage: Usage) -> Cost:
        """What `usage` costs: exact if the vendor counted, a lower bound if the count is only a floor."""
        cached = self.input if self.cached_input is None else self.cached_input
        fresh = max(0, usage.input_tokens - usage.cached_input_tokens)
        with localcontext(MONEY):
            owed = fresh * self.input + usage.cached_input_tokens * cached + usage.output_tokens * self.output
            usd = owed / _MILLION
        return AtLeast(usd) if usage.estimated else Exact(usd)


@dataclass(frozen=True, slots=True)
class PriceBook:
    """Prices by target. Earlier layers win: the user's own, then what the provider's package ships."""

    layers: tuple[Mapping[Target, Price], ...] = ()

    def find(self, target: Target) -> Price | None:
        """The price in force for `target`; None if nobody knows one."""
        return next((layer[target] for layer in self.layers if target in layer), None)

    def cost(self, target: Target, usage: Usage | None, timing: Timings | None = None) -> Cost:
        """What a token-priced attempt cost: a ready-made answer for a provider's `pointsman_cost`."""
        price = self.find(target)
        return price.of(usage) if price and usage else Unknown


def floor_usage(request: ChatRequest, output: Iterable[str]) -> Usage:
    """A floor for the usage of an attempt whose vendor sent no count, by the length of its text (pictures: 0)."""
    asked = sum(_characters(message.text) for message in request.messages)
    answered = sum(map(_characters, output))
    return Usage(
        input_tokens=asked // FLOOR_CHARACTERS_PER_TOKEN,
        output_tokens=answered // FLOOR_CHARACTERS_PER_TOKEN,
        estimated=True,
    )


def _characters(text: str) -> int:
    return len(text) - 2 * text.count("  ") - 2 * text.count("\t\t")

"""Prices and what follows from them. Core multiplies only when a provider's cost hook asks it to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_FLOOR, Context, Decimal, localcontext
from operator import ge
from typing import Any

from .types import AtLeast, ChatRequest, Cost, Exact, Timings, Usage
from .types.usage import MONEY

_MILLION = Decimal(1_000_000)
_NOTHING = Decimal(0)
_RATES = ("input", "output", "cached_input", "cache_write")
_DOWN = Context(prec=MONEY.prec, rounding=ROUND_FLOOR)
"""A lower bound must stay one."""
_PICO = Decimal("1e-12")
"""What a ledger counts in."""

FLOOR_CHARACTERS_PER_TOKEN = 8
"""No tokenizer in use averages more on running text, so a count made with it stays below the true one. English has 4 to
5; official Russian, German and Thai have 6 to 7 with the largest vocabulary that was tried (Qwen3.5's), up to 18 bytes.
Runs of blanks or tabs do not count: those of a table, or of nested JSON, are of few tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTier:
    """What a request costs that has `tokens` of input or more, in USD for a million tokens: the whole request.

    Google, OpenAI and xAI bill long prompts so; "more than 200k tokens" is ``tokens=200_001``. (Google's price page,
    "prompts > 200k tokens"; docs.perplexity.ai/docs/gateway/models: the rates "for both input and output on that
    request"; genai-prices' `TieredPrices` has no other kind.)
    """

    tokens: int
    """Cached ones and those that are written to a cache are counted, too."""
    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a model costs, with the day and the place that say so. Tokens are in USD for a million of them.

    Raises `ValueError` for an amount that is no finite `Decimal` from 0, and for tiers that do not rise.
    """

    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    """None: cached input is billed like any other."""
    cache_write: Decimal | None = None
    """None: nobody has said. What is written to a cache is then billed like other input, as a lower bound: no vendor
    is known to take less for it, and Anthropic takes 1.25 or 2 times as much."""
    request: Decimal = _NOTHING
    """USD for a request, whatever it has used."""
    second: Decimal = _NOTHING
    """USD for a second in which a machine of one's own answers one request. Such a cost is a lower bound: from the
    first output to the end. Before that a request may have waited for a machine to be free, and what starts one, and
    what it idles, is nobody's in particular."""
    tiers: tuple[PriceTier, ...] = ()
    as_of: date | None
    """None: whoever set it did not say."""
    source: str

    def __post_init__(self) -> None:
        for tier in (self, *self.tiers):
            for name in _RATES if tier is not self else (*_RATES, "request", "second"):
                usd = getattr(tier, name)
                if usd is None and name in ("cached_input", "cache_write"):
                    continue
                if type(usd) is not Decimal or not usd.is_finite() or usd < 0:
                    raise ValueError(f"a price is a finite Decimal from 0: {name} is {usd!r}")
        starts = [0, *(tier.tokens for tier in self.tiers)]
        if any(type(start) is not int for start in starts) or any(map(ge, starts, starts[1:])):
            raise ValueError(f"tiers begin at rising whole numbers of tokens, from 1: not at {starts[1:]}")
        if self.cached_input is not None and any(tier.cached_input is None for tier in self.tiers):
            raise ValueError("where cached input has a price of its own, each tier says it, too")

    @property
    def free(self) -> bool:
        """Nothing that is asked there costs anything."""
        return not (self.request or self.second or self._bills_tokens)

    @property
    def _bills_tokens(self) -> bool:
        return any(getattr(tier, name) for tier in (self, *self.tiers) for name in _RATES)

    def of(self, usage: Usage | None, timings: Timings | None = None) -> Cost:
        """What a request costs that has used this: exact if the vendor counted, and nothing is billed by the second.

        A count that is only a floor makes a lower bound of the cheapest that it can be: what was asked may have been in
        a cache, and the true count in a tier that is cheaper. Without any usage, no token is billed.
        """
        whole = not self.second
        with localcontext(MONEY):
            if usage is None or usage.estimated:
                whole = whole and not self._bills_tokens
                owed = (
                    _NOTHING if usage is None else min(_least(tier, usage) for tier in self._from(usage.input_tokens))
                )
            else:
                tier = self._from(usage.input_tokens)[0] if self.tiers else self
                whole = whole and not (usage.cache_write_tokens and tier.cache_write is None)
                owed = _owed(tier, usage)
            usd = self.request + owed / _MILLION
        if self.second and timings is not None and timings.ttft is not None:
            seconds = Decimal(max(0.0, timings.e2e - timings.ttft))
            share = _DOWN.multiply(self.second, seconds).quantize(_PICO, context=_DOWN)
            usd = MONEY.add(usd, share)
        return Exact(usd) if whole else AtLeast(usd)

    def _from(self, tokens: int) -> tuple[Price | PriceTier, ...]:
        """The tier of a request with so much input, and those of larger ones."""
        rates: tuple[Price | PriceTier, ...] = (self, *self.tiers)
        return rates[sum(tier.tokens <= tokens for tier in self.tiers) :]


def _owed(tier: Price | PriceTier, usage: Usage) -> Decimal:
    """For a million times what was counted."""
    cached = tier.input if tier.cached_input is None else tier.cached_input
    written = tier.input if tier.cache_write is None else tier.cache_write
    fresh = (
        usage.input_tokens - usage.cached_input_tokens - usage.cache_write_tokens
    )  # `Usage` sees to it that it fits.
    asked = fresh * tier.input + usage.cached_input_tokens * cached + usage.cache_write_tokens * written
    return asked + usage.output_tokens * tier.output


def _least(tier: Price | PriceTier, usage: Usage) -> Decimal:
    """The same for what was counted at least, if all of it was as cheap as input can be."""
    said = (tier.input, tier.cached_input, tier.cache_write)
    return usage.input_tokens * min(usd for usd in said if usd is not None) + usage.output_tokens * tier.output


def price_as_json(price: Price) -> dict[str, Any]:
    """`price`, as files and the command say it: amounts are decimal strings; null is what has no price of its own."""
    said: dict[str, Any] = {name: _plain(getattr(price, name)) for name in (*_RATES, "request", "second")}
    said["tiers"] = [
        {"tokens": tier.tokens, **{name: _plain(getattr(tier, name)) for name in _RATES}} for tier in price.tiers
    ]
    return said | {"as_of": price.as_of.isoformat() if price.as_of else None, "source": price.source}


def price_of_json(said: Mapping[str, Any]) -> Price:
    """What `price_as_json` has said. Raises `ValueError`, `TypeError`, `KeyError` or `ArithmeticError` for others."""
    tiers = tuple(PriceTier(tokens=tier["tokens"], **_amounts(tier, _RATES)) for tier in said["tiers"])
    amounts = _amounts(said, (*_RATES, "request", "second"))
    as_of = None if said["as_of"] is None else date.fromisoformat(said["as_of"])
    return Price(**amounts, tiers=tiers, as_of=as_of, source=str(said["source"]))


def _plain(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount.normalize(MONEY):f}"


def _amounts(said: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: None if said[name] is None else Decimal(said[name]) for name in names}


def floor_usage(request: ChatRequest, output: Iterable[str]) -> Usage:
    """A floor for the usage of an attempt whose vendor sent no count, by the length of its text (pictures: 0)."""
    asked = sum(floor_characters(message.text) for message in request.messages)
    answered = sum(map(floor_characters, output))
    return Usage(
        input_tokens=asked // FLOOR_CHARACTERS_PER_TOKEN,
        output_tokens=answered // FLOOR_CHARACTERS_PER_TOKEN,
        estimated=True,
    )


def floor_characters(text: str) -> int:
    """How many there are, of which `FLOOR_CHARACTERS_PER_TOKEN` are at least a token."""
    return len(text) - 2 * text.count("  ") - 2 * text.count("\t\t")

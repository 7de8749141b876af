"""What was used and what it cost, with arithmetic that never hides what is not known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from math import inf
from typing import Self

MONEY = Context(prec=60)
"""Arithmetic on money, whatever the thread's own context: sums of all that can be owed are exact in it."""

_MOST = 10**12
"""More tokens than any request has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one attempt. Parts are inside their wholes: what was read from the cache or written to it is input,
    and reasoning is output. What nobody has counted is no `Usage` of zeros but None.

    Sums are commutative and associative, ``Usage()`` is neutral, and a sum is estimated if any part is. Raises
    `ValueError` for what is no whole number from 0, and for parts that are larger than their wholes.
    """

    input_tokens: int = 0
    cached_input_tokens: int = 0
    """Read from the vendor's cache."""
    cache_write_tokens: int = 0
    """Written to the vendor's cache, where that is billed apart. Within input, and none of them is a cached one."""
    output_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    """True if the vendor sent no count, or one that contradicts itself; the numbers are then a floor (see
    `pointsman.cost.floor_usage`)."""

    def __post_init__(self) -> None:
        asked, cached, written = self.input_tokens, self.cached_input_tokens, self.cache_write_tokens
        answered, reasoned = self.output_tokens, self.reasoning_tokens
        for count in (asked, cached, written, answered, reasoned):
            if type(count) is not int or count < 0:
                raise ValueError(f"tokens are counted in whole numbers from 0, not {count!r}")
        if cached + written > asked:
            raise ValueError(
                f"input holds what was read from the cache and written to it: {asked} tokens cannot hold {cached} and "
                f"{written}; add them to the input where a vendor counts them beside it"
            )
        if reasoned > answered:
            raise ValueError(
                f"output holds the reasoning: {answered} tokens cannot hold {reasoned}; add them to the output where a "
                "vendor counts them beside it"
            )

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            cached_input_tokens=self.cached_input_tokens + other.cached_input_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            estimated=self.estimated or other.estimated,
        )

    @classmethod
    def total(cls, parts: Iterable[Usage | None]) -> Usage | None:
        """The sum of `parts`. Beside one that is unknown it is a floor, so estimated; None if all are unknown."""
        told = list(parts)
        known = [part for part in told if part is not None]
        if told and not known:
            return None
        return sum(known, Usage(estimated=len(known) < len(told)))

    @classmethod
    def read(
        cls,
        *,
        input_tokens: object,
        output_tokens: object,
        cached_input_tokens: object = 0,
        cache_write_tokens: object = 0,
        reasoning_tokens: object = 0,
    ) -> Self | None:
        """What a vendor says that it has counted, whatever that is. None if any of it is no count, or an absurd one:
        half a count would be priced as if it were all.

        A part that is larger than its whole contradicts it. What the whole can hold of it is then the floor that is
        left, and estimated.
        """
        told = (input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens)
        counts = [one for one in told if type(one) is int and 0 <= one < _MOST]
        if len(counts) < len(told):
            return None
        asked, cached, written, answered, reasoned = counts
        return cls(
            input_tokens=asked,
            cached_input_tokens=min(cached, asked),
            cache_write_tokens=min(written, max(0, asked - cached)),
            output_tokens=answered,
            reasoning_tokens=min(reasoned, answered),
            estimated=cached + written > asked or reasoned > answered,
        )


@dataclass(frozen=True, slots=True)
class Cost:
    """USD that are known to be owed, and whether that is all of it.

    Sums add the known parts and are complete only if every part is, so addition is commutative and associative, and
    ``Exact(0)`` is neutral. Raises `ValueError` for what is no finite `Decimal` from 0.
    """

    known: Decimal
    complete: bool

    def __post_init__(self) -> None:
        if type(self.known) is not Decimal or not self.known.is_finite() or self.known < 0:
            raise ValueError(f"a cost is a finite Decimal from 0, not {self.known!r}")

    def __add__(self, other: Cost) -> Cost:
        return Cost(MONEY.add(self.known, other.known), self.complete and other.complete)

    def __repr__(self) -> str:
        if self.complete:
            return f"Exact('{self.known}')"
        return f"AtLeast('{self.known}')" if self.known else "Unknown"

    def __str__(self) -> str:
        if self.complete:
            shown = _rounded(self.known, ROUND_HALF_EVEN)
            return f"${_plain(shown)}" if shown or not self.known else f"< ${_MICRO}"
        if not self.known:
            return "unknown"
        shown = _rounded(self.known, ROUND_FLOOR)  # A lower bound must stay one.
        return f"≥ ${_plain(shown) if shown else _first_digit(self.known)}"

    @classmethod
    def total(cls, parts: Iterable[Cost]) -> Cost:
        """The sum of `parts`; nothing costs ``Exact(0)``."""
        return sum(parts, Exact(0))


_MICRO = Decimal("0.000001")


def _rounded(amount: Decimal, rounding: str) -> Decimal:
    if amount.adjusted() > MONEY.prec // 2:  # Nobody owes that; it must print all the same.
        return amount
    return amount.quantize(_MICRO, rounding=rounding, context=MONEY)


def _first_digit(amount: Decimal) -> str:
    """What is less than a millionth, down to its first digit that is not 0: ``0.0000004``."""
    place = Decimal(1).scaleb(amount.adjusted(), context=MONEY)
    return f"{amount.quantize(place, rounding=ROUND_FLOOR, context=MONEY):f}"


def _plain(amount: Decimal) -> str:
    """`amount` without an exponent, with no more decimals than it has, and two if it has any."""
    text = f"{amount:.6f}".rstrip("0")
    whole, _, cents = text.partition(".")
    return f"{whole}.{cents:0<2}" if cents else whole


def Exact(usd: Decimal | int | str) -> Cost:  # noqa: N802  (reads as the constructor that it is)
    """A cost that is known to the last cent."""
    return Cost(Decimal(usd), complete=True)


def AtLeast(usd: Decimal | int | str) -> Cost:  # noqa: N802
    """A cost of which only a lower bound is known."""
    return Cost(Decimal(usd), complete=False)


Unknown = AtLeast(0)
"""A cost of which nothing is known. It never prints as 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTimings:
    """Seconds as the server measured them; None where it does not say. They are its word, and no part of `Timings`."""

    load: float | None = None
    """Until the model was in memory, waiting for that included."""
    prompt: float | None = None
    """To read the prompt."""
    output: float | None = None
    """To write the answer."""
    total: float | None = None
    first_token: float | None = None
    """Until the first token was there, whatever that took: waiting for its turn, loading, reading the prompt. What
    `Timings.ttft` has above it was spent on the way."""

    def __post_init__(self) -> None:
        for seconds in (self.load, self.prompt, self.output, self.total, self.first_token):
            if seconds is not None and not (type(seconds) in (int, float) and 0 <= seconds < inf):
                raise ValueError(f"seconds are a number from 0, or None where nobody said: not {seconds!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Seconds, measured here, from just before the first attempt is started."""

    ttft: float | None = None
    """To the first meaningful output (text, reasoning or a tool call) of the answer that was kept."""
    tpot: float | None = None
    """Per output token after the first; None below two tokens, or if the vendor sent no count."""
    e2e: float
    """To the end of the answer."""
    server: ServerTimings | None = None
    """What the server said of the answer that was kept: how much of `ttft` was the loading of a model, for one."""

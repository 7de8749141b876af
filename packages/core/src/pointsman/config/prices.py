"""``[prices]``: what the user says that a model costs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Self, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from ..asking import kind_of
from ..cost import Price, PriceTier
from .complaints import without_label

MOST = 10**9
"""USD. A larger amount is a slip, such as one for a million tokens that was meant for a billion."""
_DIGITS = 18
"""Decimals, so that no product of a price and a count is ever rounded."""


def _usd(value: object) -> Decimal:
    """An amount, exactly as it is written: of a number, the shortest text that means it, which somebody wrote."""
    shown = repr(value) if isinstance(value, str | int | float) else kind_of(value)
    wrong = ValueError(f'is an amount of USD, such as 0.25 or "0.25", not {shown}')
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise wrong
    try:
        usd = Decimal(str(value).strip().removeprefix("$"))
    except InvalidOperation:
        raise wrong from None
    if not usd.is_finite() or usd < 0:
        raise wrong
    if usd >= MOST or cast(int, usd.as_tuple().exponent) < -_DIGITS:
        raise ValueError(f"is below {MOST} and has at most {_DIGITS} decimals, not {shown}")
    return usd


def _day(value: object) -> object:
    """A number would be read as seconds since 1970."""
    if not isinstance(value, date | str | None):
        raise ValueError(f"is a day, such as 2026-11-01, not {value!r}")
    return value


Usd = Annotated[Decimal, BeforeValidator(_usd)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class TierSettings(_Table):
    """A table of `tiers`."""

    tokens: int
    """The tier is of requests with so much input or more, and it holds for the whole of them."""
    input: Usd
    output: Usd
    cached_input: Usd | None = None
    cache_write: Usd | None = None


def _tiers(value: object) -> tuple[TierSettings, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"is a list of tables, each with tokens, input and output, not {kind_of(value)}")
    found: list[TierSettings] = []
    for place, table in enumerate(cast("list[Any]", value), 1):
        try:
            found.append(TierSettings.model_validate(table, strict=False))
        except ValidationError as error:
            raise ValueError(f"number {place} is wrong: {'; '.join(map(_told, error.errors()))}") from None
    return tuple(found)


def _told(problem: Mapping[str, Any]) -> str:
    setting = ".".join(map(str, problem["loc"]))
    match problem["type"]:
        case "extra_forbidden":
            return f"it has no setting {setting!r}: a tier has {', '.join(TierSettings.model_fields)}"
        case "missing":
            return f"{setting} is missing"
        case "model_type":
            return "it is no table"
        case kind if kind.startswith("int"):
            return f"{setting} is a whole number, not {problem['input']!r}"
        case _:
            return f"{setting} {without_label(problem['msg'])}"


class PriceSettings(_Table):
    """``[prices."PROVIDER/MODEL"]``, or ``[prices."PROVIDER"]`` for all its models. It replaces what others say."""

    input: Usd | None = None
    """USD for a million tokens."""
    output: Usd | None = None
    cached_input: Usd | None = None
    """Input that comes from the vendor's cache. Default: like other input."""
    cache_write: Usd | None = None
    """Input that is written to it. Default: nobody knows, and at least like other input."""
    request: Usd | None = None
    """USD for a request, whatever it has used."""
    second: Usd | None = None
    """USD for a second in which a machine of one's own answers one request."""
    tiers: Annotated[tuple[TierSettings, ...], BeforeValidator(_tiers)] = ()
    """What longer prompts cost."""
    as_of: Annotated[date | None, BeforeValidator(_day)] = None
    """The day on which it was so."""
    source: str | None = None
    """Who says so. Default: the file."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.input is None) != (self.output is None):
            there, lacks = ("input", "output") if self.output is None else ("output", "input")
            raise ValueError(f"has {there} without {lacks}: write both, and 0 for what is not charged")
        if self.input is None and self.request is None and self.second is None:
            raise ValueError("says no price: write input and output (USD for a million tokens), request or second")
        if self.input is None and (self.cached_input is not None or self.cache_write is not None or self.tiers):
            raise ValueError("has prices for some tokens only: write input and output, too")
        self.price("")
        return self

    def price(self, origin: str) -> Price:
        """The same for the book; `origin` says so where the user names no source."""
        nothing = Decimal(0)
        return Price(
            input=self.input or nothing,
            output=self.output or nothing,
            cached_input=self.cached_input,
            cache_write=self.cache_write,
            request=self.request or nothing,
            second=self.second or nothing,
            tiers=tuple(PriceTier(**dict(tier)) for tier in self.tiers),
            as_of=self.as_of,
            source=self.source or origin,
        )

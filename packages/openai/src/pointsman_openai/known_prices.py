"""What the package `genai-prices` knows of a vendor, by the address of its server: the extra ``prices``.

Only its data is used, as it was installed; it asks nobody for newer prices unless somebody else tells it to. It is
imported on the first question that it may be able to answer, which takes it half a second.

Where it is not right, it is not asked (see docs/decisions/prices.md): for servers at Modal, which it takes for Modal's
own endpoints, though a deployment is billed by the second. Hugging Face's router serves many providers, and only a
model with a suffix (``org/model:novita``) says which. A price that this module does not understand whole is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any, cast
from urllib.parse import urlsplit

from pointsman import Price, PriceTier

from .bill import MONEY

_RATES = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cached_input",
    "cache_write_mtok": "cache_write",
}
_HARMLESS = re.compile(r"requests_kcount|cache_write_1h_mtok|.*(audio|video|document|search|mchars|text_messages).*")
"""Of what is never in a chat of ours, or is read apart. Whatever else is billed would change what a chat costs."""
_HF, _LOCAL = "router.huggingface.co", re.compile(r"localhost|.*\.local|[\d.]+|\[?[\da-f:]+\]?")
_END = r"(?:(?<=\.)[a-z]+)?(?:(?<=/)|(?=[:/]|$))"
"""Behind a pattern of theirs: the host ends there, or after the domain that the pattern leaves open. Theirs match the
beginning alone, so ``api.openai.com`` would be ``api.openai.com.example.net``, too."""
_NOT_RIGHT = frozenset({"modal"})


def price_of(base_url: str, model: str) -> Price | None:
    """The list price of `model` at the server; None if the package is not there, or does not know it."""
    host = _public_host(base_url)
    if not host or (snapshot := _snapshot()) is None:
        return None
    return _answers.of(snapshot(), host, base_url, model)


@lru_cache(maxsize=64)
def _public_host(base_url: str) -> str:
    """Whose server it is; empty for one that no vendor has. Kept, since each decision asks for each of its targets."""
    host = urlsplit(base_url).hostname or ""
    return "" if _LOCAL.fullmatch(host) or "." not in host else host


class _Answers:
    """What was asked before, since looking it up takes up to a millisecond. It holds for a day, and for the data."""

    _MOST = 4096

    def __init__(self) -> None:
        self._data: Any = None
        self._day: date | None = None
        self._known: dict[tuple[str, str], Price | None] = {}

    def of(self, data: Any, host: str, base_url: str, model: str) -> Price | None:
        day = datetime.now(UTC).date()
        if data is not self._data or day != self._day or len(self._known) >= self._MOST:
            self._data, self._day, self._known = data, day, {}
        if (base_url, model) not in self._known:
            self._known[base_url, model] = _looked_up(data.providers, host, base_url, model)
        return self._known[base_url, model]


_answers = _Answers()


def _looked_up(providers: list[Any], host: str, base_url: str, model: str) -> Price | None:
    if host == _HF:
        model, _, served = model.rpartition(":")
        found = [one for one in providers if served and one.id == f"huggingface_{served}"]
    else:
        found = [
            one
            for one in providers
            if re.match(f"(?:{one.api_pattern}){_END}", base_url, re.IGNORECASE) and one.id not in _NOT_RIGHT
        ]
    for provider in found[:1]:
        known = provider.find_model(model, all_providers=providers)
        return None if known is None else _price(known, provider)
    return None


@cache
def _snapshot() -> Callable[[], Any] | None:
    """What hands out its data, which a program may have renewed meanwhile."""
    try:
        from genai_prices.data_snapshot import get_snapshot
    except ImportError:
        return None
    return get_snapshot


def _price(known: Any, provider: Any) -> Price | None:
    prices: object = known.prices
    conditional = cast("list[Any]", prices) if isinstance(prices, list) else []
    if any(map(_by_the_clock, conditional)):
        return None
    now = cast("dict[str, Any]", vars(known.get_prices(datetime.now(UTC))))
    said = {name: value for name, value in now.items() if value is not None and not name.startswith("_")}
    odd = [name for name in said if name not in _RATES and not _HARMLESS.fullmatch(name)]
    if odd or "input_mtok" not in said:
        return None
    if "cache_write_1h_mtok" in said:  # For how long something is kept, no usage tells: a lower bound is left.
        said.pop("cache_write_mtok", None)
    starts = sorted({tier.start for value in said.values() for tier in getattr(value, "tiers", ())})
    urls = ", ".join(provider.pricing_urls or ())
    return Price(
        **_rates(said, 0),
        request=MONEY.divide(_at(said.get("requests_kcount", Decimal(0)), 0), 1000),
        # A tier of theirs begins above its number.
        tiers=tuple(PriceTier(tokens=start + 1, **_rates(said, start + 1)) for start in starts),
        as_of=None,
        source=f"genai-prices {_version()}{f' of {urls}' if urls else ''}",
    )


def _rates(said: dict[str, Any], tokens: int) -> dict[str, Decimal]:
    return {"output": Decimal(0)} | {_RATES[name]: _at(value, tokens) for name, value in said.items() if name in _RATES}


def _at(value: Any, tokens: int) -> Decimal:
    """A price of theirs, for a request with so much input."""
    reached = [tier.price for tier in getattr(value, "tiers", ()) if tier.start < tokens]
    return Decimal(reached[-1] if reached else getattr(value, "base", value))


def _by_the_clock(conditional: Any) -> bool:
    """It holds for some hours of a day: nothing here knows which hours a request was billed in."""
    return hasattr(conditional.constraint, "start_time")


@cache
def _version() -> str:
    from importlib.metadata import version

    return version("genai-prices")

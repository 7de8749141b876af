"""`pointsman models`: what can be asked, with context, abilities and price."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import click

from ..context import debug_option

if TYPE_CHECKING:
    AnyType = click.ParamType[Any]
else:  # Older ones take no parameters.
    AnyType = click.ParamType


class Count(AnyType):
    """A number of tokens: ``32768``, ``32k``, ``1M``, of thousands."""

    name = "tokens"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d{1,12}(?:\.\d{1,6})?)([kKmM]?)", str(value).strip())
        if not found:
            self.fail(f"{value!r} is no number of tokens: write 32768, 32k or 1M", param, ctx)
        return int(Decimal(found[1]) * {"": 1, "k": 1000, "m": 1_000_000}[found[2].lower()])


class Usd(AnyType):
    """An amount of money."""

    name = "usd"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        try:
            amount = Decimal(str(value).strip().removeprefix("$"))
        except InvalidOperation:
            amount = Decimal(-1)
        if not amount.is_finite() or amount < 0:
            self.fail(f"{value!r} is no price: write 1.5 for $1.50 a million tokens", param, ctx)
        return amount


@click.command()
@click.argument("providers", nargs=-1, metavar="[PROVIDER]...")
@click.option(
    "--filter", "wanted", metavar="TEXT", help="Only targets that contain TEXT, or match it if it has a * or ?."
)
@click.option(
    "--capability",
    "capabilities",
    multiple=True,
    metavar="CAPABILITY",
    help="Only models that can do this, such as tools or vision; several are all needed.",
)
@click.option(
    "--min-context", type=Count(), metavar="TOKENS", help="Only models that take so many tokens, such as 32k."
)
@click.option(
    "--max-price",
    type=Usd(),
    metavar="USD",
    help="Only models of which a million tokens cost no more, neither to read nor to write.",
)
@click.option(
    "--sort",
    type=click.Choice(["name", "price", "context", "speed"]),
    default="name",
    show_default=True,
    help="The cheapest first, the largest context, or the fastest.",
)
@click.option(
    "--live/--offline",
    default=True,
    show_default="live",
    help="Ask each ready provider what it serves, or show what the packages ship, which needs no key.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show who states each price, and as of when.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@debug_option
def models(providers: tuple[str, ...], live: bool, verbose: bool, as_json: bool, **choice: Any) -> None:
    """List the models of the PROVIDERS named, else of each that is ready.

    Each provider is asked for its own list, all at once. One that does not answer is named on stderr, and what its
    package ships stands in for it. Prices are USD for a million tokens. What nobody knows is called unknown, stands
    last when sorted, and never meets a limit.

    \b
    Examples:
      pointsman models --sort price
      pointsman models sambanova --capability tools --min-context 32k
      pointsman models --filter '*llama*' --json | jq -r '.models[].target'
    """  # noqa: D301  (click wants the backspace)
    from .catalogue import Choice, list_models

    list_models(providers, Choice(**choice), live=live, verbose=verbose, as_json=as_json)

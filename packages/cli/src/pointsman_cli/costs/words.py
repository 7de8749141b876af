"""What totals say, in words and figures. A lower bound is shown as one, and what nobody knows is never 0."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..terminal import harmless

if TYPE_CHECKING:
    from pointsman import Cost, LedgerTotal

NOTHING = "(none)"
"""Of a dimension of which a call says nothing, such as a tag that it does not have."""
_PLAIN = str.maketrans({"≥": ">=", "·": "|", "–": "-", "…": "..."})


def unicode() -> bool:
    """Whether stdout takes bars and other signs beyond ASCII."""
    try:
        "≥█▓▒░▁┤└·".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def sayable(text: str) -> str:
    """`text`, with ASCII for our own signs where stdout takes no other."""
    return text if unicode() else text.translate(_PLAIN)


def count(number: int) -> str:
    """``9,999``, then ``12.3k``, ``4.56M``, ``7.8G``: thousands are of 1000."""
    if number < 10_000:
        return f"{number:,}"
    scaled, unit = number / 1000, "k"
    for larger in "MG":
        if round(scaled) < 1000:
            break
        scaled, unit = scaled / 1000, larger
    return f"{scaled:,.0f}{unit}" if scaled >= 100 else f"{scaled:.3g}{unit}"


def tokens(number: int, total: LedgerTotal) -> str:
    """A number of tokens of `total`; a floor is marked as one, and unknown it is where nothing was counted."""
    if total.uncounted and total.uncounted == total.attempts:
        return "unknown"
    return f"{'≥ ' if total.usage.estimated or total.uncounted else ''}{count(number)}"


def cached(total: LedgerTotal) -> str:
    """The share of the input that came from vendors' caches."""
    asked, read = total.usage.input_tokens, total.usage.cached_input_tokens
    if not read:
        return ""
    return f"{100 * read / asked:.0f}%" if 100 * read >= asked else "< 1%"


def of(number: int, one: str, several: str | None = None) -> str:
    """``1 call``, ``2,000 calls``."""
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def value(part: str | None) -> str:
    """One value of a key."""
    return NOTHING if part is None else harmless(part).replace("\n", " ") or '""'


def doubts(total: LedgerTotal) -> list[str]:
    """What is not, or not wholly, in the sum."""
    told = [f"{of(total.unpriced, 'call')} not priced"] if total.unpriced else []
    return told + ([f"{of(total.bounded, 'call')} known to a lower bound only"] if total.bounded else [])


def summary(total: LedgerTotal, outcomes: Sequence[LedgerTotal]) -> list[str]:
    """The total in a line; then its tokens, and what was paid for without an answer."""
    attempts = "" if total.attempts == total.calls else f", {of(total.attempts, 'attempt')}"
    lines = ["; ".join([f"{money(total.cost)} for {of(total.calls, 'call')}{attempts}", *doubts(total)])]
    uncounted = f"; {of(total.uncounted, 'attempt')} not counted" if total.uncounted else ""
    share = f" ({cached(total)} of it cached)" if total.usage.cached_input_tokens else ""
    asked = tokens(total.usage.input_tokens, total)
    if asked == "unknown":
        lines.append("tokens unknown")
    else:
        lines.append(f"tokens: {asked} in{share}, {tokens(total.usage.output_tokens, total)} out{uncounted}")
    ended = {"failed": "failed", "lost": "lost a race", "cancelled": "cancelled"}
    spent = [
        f"{of(one.attempts, 'attempt')} {ended[outcome]}: {money(one.cost)}"
        for one in outcomes
        if (outcome := one.key[0] or "") in ended and one.attempts
    ]
    return lines + ([f"without an answer: {', '.join(spent)}"] if spent else [])


def money(cost: Cost) -> str:
    """A cost, in words where nobody knows it."""
    text = str(cost)
    return text if "$" in text else f"{text} cost"

"""What a batch may cost, before anything is sent: a bound that is none where a price or a length is not known."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from pointsman import ChatRequest, PointsmanError, Price, Target, Usage
from pointsman.engine.roster import Roster

from .lines import Asked

CHARACTERS_PER_TOKEN = 4
"""Of running English text, on average (platform.openai.com/tokenizer); other languages have fewer."""
TEMPLATE, MESSAGE = 256, 16
"""Tokens that a chat template adds, at most: to a request, and to each message (DESIGN, "Money")."""


@dataclass(slots=True)
class Estimate:
    """Of lines that are still to be sent."""

    lines: int = 0
    input_tokens: int = 0
    """About so many, by the length of the text."""
    most_output_tokens: int = 0
    """Of the lines of which it is known."""
    usd: Decimal = Decimal(0)
    """The most that the lines can cost of which that is known."""
    unbounded: int = 0
    """The other lines."""
    why: dict[str, int] = field(default_factory=dict[str, int])
    """What is not known of these: how many lines each is true of."""


class Estimator:
    """Asks nobody: prices are those of the book."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._candidates: list[Target] | None = None
        self.found = Estimate()

    def add(self, asked: Asked) -> None:
        """Count a line. Raises what the roster raises if nobody could be asked."""
        found, request = self.found, asked.request
        found.lines += 1
        found.input_tokens += sum(len(message.text) for message in request.messages) // CHARACTERS_PER_TOKEN
        output = 0
        worst = Decimal(0)
        for target in asked.targets or self._chosen():
            price, longest = self._facts(target)
            most = request.max_tokens if longest is None else min(longest, request.max_tokens or longest)
            if why := _unknown(target, price, most, request):
                found.unbounded += 1
                found.why[why] = found.why.get(why, 0) + 1
                return
            assert price is not None
            assert most is not None
            output = max(output, most)
            worst = max(worst, _most(price, _input_bound(request), most))
        found.most_output_tokens += output
        found.usd += worst

    def _chosen(self) -> list[Target]:
        """Whom the policy may choose."""
        if self._candidates is None:
            self._candidates = [one.target for one in self._roster.candidates()[0]]
        return self._candidates

    def _facts(self, target: Target) -> tuple[Price | None, int | None]:
        model = self._roster.model(target)
        try:
            price = self._roster.prices(target.provider).find(target)
        except PointsmanError:
            price = None
        return price, model.max_output_tokens if model else None


def _unknown(target: Target, price: Price | None, most: int | None, request: ChatRequest) -> str:
    """What keeps a line from having a bound; empty if nothing does."""
    if price is None:
        return f"{target} has no price: pointsman prices check"
    if price.second:
        return f"{target} is billed by the second"
    if price.free:
        return ""
    if most is None:
        return f"nobody says how much {target} writes at most: --max-tokens"
    return "what a picture counts for is the vendor's affair" if "vision" in request.needs else ""


def _input_bound(request: ChatRequest) -> int:
    """A token is at least a byte of what is sent."""
    texts: Iterable[str] = (message.text for message in request.messages)
    rest = [[tool.name, tool.description, dict(tool.parameters)] for tool in request.tools]
    calls = [[call.name, call.arguments] for message in request.messages for call in message.tool_calls]
    told = json.dumps([rest, calls, dict(request.response_schema or {})], ensure_ascii=False)
    return TEMPLATE + MESSAGE * len(request.messages) + sum(len(one.encode()) for one in (*texts, told))


def _most(price: Price, asked: int, answered: int) -> Decimal:
    """At the dearest rates that the price has."""
    usage = Usage(input_tokens=asked, output_tokens=answered)
    written = Usage(input_tokens=asked, cache_write_tokens=asked, output_tokens=answered)
    return max(price.of(usage).known, price.of(written).known)

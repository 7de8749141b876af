"""What an attempt cost, by the cost hook of its provider; whatever the hook does wrong costs only the cost."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from ..cost import Price, floor_usage
from ..plugins import HookCallables
from ..types import AtLeast, ChatRequest, Cost, Exact, Timings, Unknown, Usage
from .attempt import Attempt

log = logging.getLogger("pointsman")


@dataclass(frozen=True, slots=True)
class Bill:
    """The bill of one call."""

    request: ChatRequest
    redact: Callable[[BaseException], None]

    def floor(self, attempt: Attempt) -> Usage:
        """The least that an attempt has used, by what went over the wire."""
        floor = floor_usage(self.request, attempt.texts)
        shown = floor_usage(self.request, (attempt.prefix,)).output_tokens if attempt.prefix else 0
        return floor + Usage(input_tokens=shown)

    def of_answer(self, attempt: Attempt, usage: Usage) -> Usage:
        """The usage of a whole answer, of which `attempt` has given the last part and used `usage`."""
        if not attempt.prefix:
            return usage
        before = floor_usage(self.request, (attempt.prefix,)).output_tokens
        return usage + Usage(output_tokens=before, estimated=True)

    def finished(self, attempt: Attempt, hooks: HookCallables, usage: Usage, ended: float) -> Cost:
        """What the cost hook says. The answer is here: a hook that fails leaves its cost unknown.

        It is told how long the provider took: while the reader has not kept up, a provider has nothing to bill.
        """
        first = attempt.first_output
        ttft = None if first is None else first - attempt.started
        timings = Timings(ttft=ttft, e2e=ended - attempt.started - attempt.held, server=attempt.server)
        try:
            cost = hooks.cost(attempt.served_by, usage, timings)
            if type(cost) is not Cost:
                raise TypeError(f"pointsman_cost must answer with a Cost, not with {cost!r}")
            return cost
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # Nothing can be cancelled here, since nothing is awaited.
            self.redact(error)
            log.exception("the cost of an attempt at %s is unknown: its hook failed", attempt.target, exc_info=error)
            return Unknown

    def price(self, attempt: Attempt, hooks: HookCallables) -> Price | None:
        """What the price book says now of the target as it was served."""
        try:
            return hooks.prices.find(attempt.served_by)
        except Exception as error:  # A plugin may have put something of its own into the book.
            self.redact(error)
            log.exception("the price of %s is unknown: its price book failed", attempt.served_by, exc_info=error)
            return None

    def unfinished(self, attempt: Attempt, hooks: HookCallables | None, ended: float, *, acts: bool = False) -> Cost:
        """Nothing if it was refused with a status, never begun or never opened, or if nothing costs anything there; at
        least what had arrived; else nobody knows.

        Who `acts` may fail with a status after it has worked.
        """
        error = attempt.error
        refused = error is not None and not (error.begun and (acts or error.status is None))
        if hooks is None or (refused and attempt.first_output is None):
            return Exact(0)
        price = self.price(attempt, hooks)
        free = price is not None and price.free
        if attempt.first_output is None and not free:
            return Unknown
        cost = self.finished(attempt, hooks, self.floor(attempt), ended)
        return cost if free and not cost.known else AtLeast(cost.known)

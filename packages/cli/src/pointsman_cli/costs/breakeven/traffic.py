"""What is asked in a day, and how long an answer keeps a machine busy: from the ledger, or as somebody says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from pointsman import ConfigError, Cost, Exact, LedgerQuery, Target, Unknown, Usage
from pointsman.ledger.rows import dollars, picodollars

from .. import words
from ..choice import shown
from ..elsewhere import counted_usage

if TYPE_CHECKING:
    from pointsman import Ledger, Price, ScaleToZero, Strengths

DAY = 86_400
ANSWERS = {"outcome": "finished", "operation": "chat"}


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Requests that are alike: the mean one."""

    per_day: float
    input_tokens: float
    cached_input_tokens: float
    output_tokens: float
    source: str
    """Who says so, in words."""
    answers: int
    """Of the ledger, that were looked at."""

    @property
    def per_second(self) -> float:
        return self.per_day / DAY

    @property
    def tokens(self) -> float:
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, kw_only=True)
class Busy:
    """Seconds for which a request keeps a place of a machine busy, once the machine is there."""

    seconds: float
    source: Literal["given", "measured", "expected"]
    answers: int = 0
    """That were measured."""


def observed(
    ledger: Ledger | None,
    query: LedgerQuery,
    prices: Mapping[Target, Price | None],
    per_day: float | None,
    tokens: tuple[int, int] | None,
) -> tuple[Traffic, dict[Target, Cost]]:
    """The traffic, and what a mean request of it costs by each of `prices`.

    Each answer of the ledger is priced by itself, since a price may depend on how long the prompt is. Raises
    `ConfigError` if nobody says what is asked: neither the options, nor the ledger.
    """
    whole, answers, counted = Usage(), 0, 0
    costs = dict.fromkeys(prices, Exact(0))
    said: list[str] = []
    if per_day is None or tokens is None:
        for row in ledger.rows("attempts", replace(query, where={**ANSWERS, **query.where})) if ledger else ():
            answers += 1
            if tokens is None and (usage := counted_usage(row)):
                counted, whole = counted + 1, whole + usage
                _add(costs, prices, usage)
        if not ledger or not answers:
            raise ConfigError(
                f"no answer is in the ledger {shown(query.since, query.until)}, so that nobody knows what is asked: "
                "say it with --requests-per-day and --tokens, or choose other calls"
            )
        days = _days(ledger, query)
        said.append(f"by {words.of(answers, 'answer')} of {words.of(days, 'day')} in the ledger")
        if per_day is None:
            per_day = answers / days
        else:
            said.append("and as given")
    if tokens is not None:
        counted, whole = 1, Usage(input_tokens=tokens[0], output_tokens=tokens[1])
        _add(costs, prices, whole)
        said = [*said[:1], "and as given"] if said else ["as given"]
    if not whole.input_tokens + whole.output_tokens:
        raise ConfigError("of no answer in the ledger are the tokens known: say them with --tokens IN/OUT")
    return Traffic(
        per_day=per_day,
        input_tokens=whole.input_tokens / counted,
        cached_input_tokens=whole.cached_input_tokens / counted,
        output_tokens=whole.output_tokens / counted,
        source=" ".join(said),
        answers=answers,
    ), {target: rounded(Cost(cost.known / counted, cost.complete)) for target, cost in costs.items()}


def rounded(cost: Cost) -> Cost:
    """To what a ledger counts in; what is less stays as it is, since it is not 0."""
    pico, exact = picodollars(cost)
    return dollars(pico, bool(exact)) if pico else cost


def _add(costs: dict[Target, Cost], prices: Mapping[Target, Price | None], usage: Usage) -> None:
    for target, price in prices.items():
        costs[target] += price.of(usage) if price else Unknown


def _days(ledger: Ledger, query: LedgerQuery) -> int:
    """Whole days that are meant, from the first on of which the ledger can know."""
    first = next((one.key[0] for one in ledger.totals(LedgerQuery(until=query.until), ["day"]) if one.key[0]), None)
    now = datetime.now(UTC)
    end = min(query.until, now) if query.until else now
    begin = date.fromisoformat(first) if first else end.date()
    if query.since:
        begin = max(begin, query.since.date())
    return max(1, ((end - timedelta(microseconds=1)).date() - begin).days + 1)


def busy_at(
    target: Target,
    machine: ScaleToZero,
    strengths: Strengths,
    ledger: Ledger | None,
    query: LedgerQuery,
    traffic: Traffic,
    given: float | None,
) -> Busy:
    """How long the mean request of `traffic` is worked on there. Raises `ConfigError` if nobody knows."""
    if given is not None:
        return Busy(seconds=given, source="given")
    if ledger and (found := _measured(target, machine, ledger, query, traffic)):
        return found
    if strengths.first_token and strengths.tokens_per_second:
        first, speed = (sum(ends) / 2 for ends in (strengths.first_token, strengths.tokens_per_second))
        return Busy(seconds=first + traffic.output_tokens / speed, source="expected")
    raise ConfigError(
        f"{target}: nobody knows how long a request keeps it busy, as none is in the ledger: say it with --seconds"
    )


def _measured(
    target: Target, machine: ScaleToZero, ledger: Ledger, query: LedgerQuery, traffic: Traffic
) -> Busy | None:
    """By answers of the target whose first token came sooner than a start takes: those did not wait for one."""
    answers = tokens = 0
    first = writing = 0.0
    where = {**ANSWERS, "model": str(target)}
    for row in ledger.rows("attempts", LedgerQuery(since=query.since, until=query.until, where=where)):
        if row["first_output"] is None or not row["output_tokens"] or row["estimated"]:
            continue
        if machine.start and row["first_output"] >= machine.start:
            continue
        answers += 1
        tokens += row["output_tokens"]
        first += row["first_output"]
        writing += max(0.0, row["duration"] - row["first_output"] - (row["held"] or 0.0))
    if not answers or not (seconds := first / answers + writing / tokens * traffic.output_tokens):
        return None
    return Busy(seconds=seconds, source="measured", answers=answers)

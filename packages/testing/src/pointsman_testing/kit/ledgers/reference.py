"""The ledger that others are compared with: a dict of calls, and the algebra of `Cost`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from math import inf
from typing import Any

from pointsman import (
    AtLeast,
    AttemptRecord,
    Cost,
    LedgerEntry,
    LedgerQuery,
    LedgerRating,
    LedgerTotal,
    PastCall,
    Target,
    Unknown,
    Usage,
)
from pointsman.cost import price_as_json
from pointsman.ledger import Table
from pointsman.ledger.decisions import decided
from pointsman.ledger.past import past

COUNTS = [field.name for field in fields(Usage) if field.name != "estimated"]
LARGEST = Decimal(2**63 - 1).scaleb(-12)


class ReferenceLedger:
    """Keeps the entries themselves."""

    def __init__(self) -> None:
        self.calls: dict[str, LedgerEntry] = {}
        self.ratings: dict[str, LedgerRating] = {}

    def write(self, entries: Sequence[LedgerEntry]) -> None:
        for entry in entries:
            self.calls.setdefault(entry.call.call_id, entry)

    def purge(self, before: datetime) -> int:
        old = [key for key, entry in self.calls.items() if _began(entry) < before]
        for key in old:
            del self.calls[key]
            self.ratings.pop(key, None)
        return len(old)

    def rate(self, ratings: Sequence[LedgerRating]) -> list[str]:
        known = {one.call_id: one for one in ratings if one.call_id in self.calls}
        self.ratings.update(known)
        return list(dict.fromkeys(one.call_id for one in ratings if one.call_id not in known))

    def recent(self, since: datetime, limit: int, until: datetime | None = None) -> list[PastCall]:
        moment, before = since.timestamp(), inf if until is None else until.timestamp()
        calls = {key: self._past(key) for key, entry in self.calls.items() if entry.call.operation == "chat"}
        ended = sorted(((one.ended, key) for key, one in calls.items() if moment <= one.ended < before), reverse=True)
        told = {key: one.at for key, one in self.ratings.items() if key in calls and moment <= one.at < before}
        rated = sorted(((at, key) for key, at in told.items()), reverse=True)
        wanted = {key for _, key in (*ended[:limit], *rated[:limit]) if calls[key].attempts}
        return sorted((calls[key] for key in wanted), key=lambda one: (one.ended, one.call_id))

    def _past(self, call_id: str) -> PastCall:
        call = self.calls[call_id].call
        rating = self.ratings.get(call_id)
        return replace(past(call, call.at - call.started), rating=rating.score if rating else None)

    def totals(self, query: LedgerQuery, by: Sequence[str] = ()) -> list[LedgerTotal]:
        groups: dict[tuple[str | None, ...], list[tuple[LedgerEntry, AttemptRecord]]] = {} if by else {(): []}
        for entry, attempt in self._attempts(query):
            groups.setdefault(tuple(_value(entry, attempt, one) for one in by), []).append((entry, attempt))
        order = sorted(groups, key=lambda key: [(value is None, value or "") for value in key])
        return [_total(key, groups[key]) for key in order]

    def rows(self, table: Table, query: LedgerQuery) -> Iterator[dict[str, Any]]:
        if table == "attempts":
            meant = sorted(self._attempts(query), key=lambda pair: (*_age(pair[0]), pair[1].attempt))
            yield from (_attempt_row(entry, attempt) for entry, attempt in meant)
        else:
            for entry in sorted(self.calls.values(), key=_age):
                if self._means(query, entry):
                    yield _call_row(entry, self.ratings.get(entry.call.call_id))

    def _attempts(self, query: LedgerQuery) -> list[tuple[LedgerEntry, AttemptRecord]]:
        return [
            (entry, attempt)
            for entry in self.calls.values()
            if _within(query, entry)
            for attempt in entry.call.attempts
            if all(_value(entry, attempt, name) == value for name, value in query.where.items())
        ]

    def _means(self, query: LedgerQuery, entry: LedgerEntry) -> bool:
        """An outcome is the call's own; for what else only attempts have, one of them must have all of it."""
        theirs = {name: value for name, value in query.where.items() if name in ("provider", "model", "role")}
        own = {name: value for name, value in query.where.items() if name not in theirs}
        fits = any(all(_value(entry, one, name) == theirs[name] for name in theirs) for one in entry.call.attempts)
        return (
            _within(query, entry)
            and (fits or not theirs)
            and all(_value(entry, None, name) == value for name, value in own.items())
        )


def _began(entry: LedgerEntry) -> datetime:
    return datetime.fromtimestamp(entry.call.at, UTC)


def _age(entry: LedgerEntry) -> tuple[datetime, str]:
    return _began(entry), entry.call.call_id


def _within(query: LedgerQuery, entry: LedgerEntry) -> bool:
    began = _began(entry)
    return (query.since is None or began >= query.since) and (query.until is None or began < query.until)


def _value(entry: LedgerEntry, attempt: AttemptRecord | None, dimension: str) -> str | None:
    call = entry.call
    if dimension.startswith("tag:"):
        return call.tags.get(dimension.removeprefix("tag:"))
    match dimension:
        case "day":
            return _began(entry).date().isoformat()
        case "task":
            return call.task
        case "operation":
            return call.operation
        case "policy":
            return call.decision.policy
        case "outcome":
            return attempt.outcome if attempt else call.outcome
        case "provider" | "model" | "role" if attempt:
            of_target = {"provider": attempt.target.provider, "model": str(attempt.target)}
            return of_target.get(dimension, attempt.role)
        case _:
            raise ValueError(dimension)


def _total(key: tuple[str | None, ...], group: list[tuple[LedgerEntry, AttemptRecord]]) -> LedgerTotal:
    costs: dict[str, list[Cost]] = {}
    for entry, attempt in group:
        costs.setdefault(entry.call.call_id, []).append(kept(attempt.cost))
    used = [attempt.usage for _, attempt in group if attempt.usage]
    unpriced = {call for call, several in costs.items() if Unknown in several}
    bounded = {call for call, several in costs.items() if not Cost.total(several).complete} - unpriced
    return LedgerTotal(
        key=key,
        calls=len(costs),
        attempts=len(group),
        failed=sum(attempt.outcome != "finished" for _, attempt in group),
        usage=Usage(
            **{name: sum(getattr(usage, name) for usage in used) for name in COUNTS},
            estimated=any(usage.estimated for usage in used),
        ),
        uncounted=len(group) - len(used),
        cost=Cost.total(cost for several in costs.values() for cost in several),
        unpriced=len(unpriced),
        bounded=len(bounded),
    )


def kept(cost: Cost) -> Cost:
    """`cost` in whole pico-dollars of at most 64 bits."""
    if cost.known > LARGEST:
        return AtLeast(LARGEST)
    return Cost(cost.known.quantize(Decimal("1e-12"), ROUND_HALF_EVEN if cost.complete else ROUND_FLOOR), cost.complete)


def _call_row(entry: LedgerEntry, rating: LedgerRating | None) -> dict[str, Any]:
    call = entry.call
    return {
        "call_id": call.call_id,
        "began": _iso(call.at),
        "operation": call.operation,
        "outcome": call.outcome,
        **_target(call.target),
        "policy": call.decision.policy,
        "task": call.task,
        "tags": dict(call.tags),
        "finish_reason": call.finish_reason,
        "ttft": call.timings.ttft,
        "tpot": call.timings.tpot,
        "e2e": call.timings.e2e,
        **_usage(call.usage),
        **_cost(call.cost),
        "prompt": _text(entry.prompt),
        "answer": _text(entry.answer),
        "propensity": call.decision.propensity,
        "policy_hash": call.decision.policy_hash or None,
        "decision": decided(call.decision),
        "rating": rating and rating.score,
        "rated": rating and _iso(rating.at),
    }


def _attempt_row(entry: LedgerEntry, attempt: AttemptRecord) -> dict[str, Any]:
    first, server = attempt.first_output, attempt.server
    return {
        "call_id": attempt.call_id,
        "attempt": attempt.attempt,
        "began": _iso(entry.call.at + attempt.started - entry.call.started),
        **_target(attempt.target),
        "served": attempt.served,
        "outcome": attempt.outcome,
        "role": attempt.role,
        "probe": attempt.probe,
        "breaker": attempt.breaker,
        "error_type": attempt.error_type,
        "error": None if entry.prompt is None and entry.answer is None else attempt.error,
        "first_output": None if first is None else first - attempt.started,
        "duration": attempt.ended - attempt.started,
        "server": server and asdict(server),
        **_usage(attempt.usage),
        **_cost(attempt.cost),
        "price": attempt.price and price_as_json(attempt.price),
        "held": attempt.held,
    }


def _iso(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def _target(target: Target | None) -> dict[str, Any]:
    return {"provider": target and target.provider, "model": target and target.model}


def _usage(usage: Usage | None) -> dict[str, Any]:
    return {name: usage and getattr(usage, name) for name in [*COUNTS, "estimated"]}


def _cost(cost: Cost) -> dict[str, Any]:
    cost = kept(cost)
    amount = f"{cost.known:f}"
    plain = amount.rstrip("0").rstrip(".") if "." in amount else amount
    return {"cost": None if cost == Unknown else plain, "cost_exact": cost.complete}


def _text(text: str | None) -> str | None:
    return text and re.sub("[\0\ud800-\udfff]", "\ufffd", text)

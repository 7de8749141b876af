"""The JSON that ``--json`` and ``--json-events`` print. `docs/schemas` describes it; a test compares.

Money is a decimal string and says whether it is all; times are in seconds; a target is ``provider/model``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import pointsman as p

from .exits import Exit, exit_code

if TYPE_CHECKING:
    from pointsman import (
        AttemptRecord,
        Cost,
        Decision,
        PointsmanError,
        Reply,
        Score,
        ServerTimings,
        StreamedReply,
        StreamEvent,
        Usage,
    )

Json: TypeAlias = dict[str, Any]


def dumps(value: Mapping[str, Any]) -> str:
    """One line, in ASCII: any terminal, pipe and locale can carry it."""
    return json.dumps(value, separators=(", ", ": "), allow_nan=False)


def cost(value: Cost) -> Json:
    """What is known and whether that is all; of what nobody knows anything, ``usd`` is null, never 0."""
    if not value.complete and not value.known:
        return {"usd": None, "complete": False}
    return {"usd": f"{value.known.normalize():f}", "complete": value.complete}


def usage(value: Usage | None) -> Json | None:
    if value is None:
        return None
    return {
        "input_tokens": value.input_tokens,
        "cached_input_tokens": value.cached_input_tokens,
        "cache_write_tokens": value.cache_write_tokens,
        "output_tokens": value.output_tokens,
        "reasoning_tokens": value.reasoning_tokens,
        "estimated": value.estimated,
    }


def server(value: ServerTimings | None) -> Json | None:
    if value is None:
        return None
    return {
        "load": _rounded(value.load),
        "prompt": _rounded(value.prompt),
        "output": _rounded(value.output),
        "total": _rounded(value.total),
        "first_token": _rounded(value.first_token),
    }


def decision(value: Decision) -> Json:
    return {
        "policy": value.policy,
        "order": [str(target) for target in value.order],
        "excluded": [{"target": str(item.target), "reason": item.reason} for item in value.excluded],
        "reason": value.reason,
        "task": value.task,
        "confidence": _rounded(value.confidence),
        "difficulty": _rounded(value.difficulty),
        "scores": [score(one) for one in value.scores],
        "propensity": _rounded(value.propensity),
        "policy_hash": value.policy_hash or None,
        "prewarm": [str(target) for target in value.prewarm],
    }


def score(value: Score) -> Json:
    terms = [
        {"name": one.name, "value": _rounded(one.value), "weight": _rounded(one.weight), "note": one.note}
        for one in value.terms
    ]
    return {"target": str(value.target), "utility": _rounded(value.utility), "terms": terms}


def error(value: PointsmanError | None) -> Json | None:
    """An error, with those of every attempt if there were several, in order."""
    if value is None:
        return None
    several = cast("Sequence[PointsmanError]", value.exceptions) if isinstance(value, p.AllTargetsFailed) else ()
    return {
        "type": type(value).__name__,
        "message": value.message,
        "target": str(value.target) if value.target else None,
        "provider": value.provider,
        "status": value.status,
        "request_id": value.request_id,
        "exit_code": int(exit_code(value)),
        "attempts": [error(one) for one in several],
    }


INTERRUPTED: Json = {
    "type": "Interrupted",
    "message": "stopped by Ctrl-C",
    "target": None,
    "provider": None,
    "status": None,
    "request_id": None,
    "exit_code": int(Exit.INTERRUPTED),
    "attempts": [],
}


def attempt(value: AttemptRecord, began: float) -> Json:
    """One attempt; its times count from the beginning of the first."""
    return {
        "attempt": value.attempt,
        "target": str(value.target),
        "role": value.role,
        "probe": value.probe,
        "outcome": value.outcome,
        "started": _since(began, value.started),
        "first_output": _since(began, value.first_output),
        "ended": _since(began, value.ended),
        "error": value.error,
        "usage": usage(value.usage),
        "cost": cost(value.cost),
        "server": server(value.server),
        "served": value.served,
    }


def reply(value: StreamedReply | Reply, failure: Json | None = None) -> Json:
    """An answer, whole or not: ``error`` is null if it is whole, else ``text`` is what had arrived."""
    attempts = value.attempts
    began = attempts[0].started if attempts else 0.0
    timings = value.timings
    return {
        "text": value.text,
        "reasoning": value.reasoning,
        "tool_calls": [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in value.tool_calls],
        "finish_reason": value.finish_reason,
        "target": str(value.target) if value.target else None,
        "usage": usage(value.usage),
        "cost": cost(value.cost),
        "timings": {
            "ttft": _rounded(timings.ttft),
            "tpot": _rounded(timings.tpot),
            "e2e": _rounded(timings.e2e),
            "server": server(timings.server),
        },
        "attempts": [attempt(one, began) for one in attempts],
        "decision": decision(value.decision),
        "error": failure,
    }


def event(value: StreamEvent) -> Json:
    match value:
        case p.AttemptFailed(target, number, why):
            return {"type": "attempt_failed", "target": str(target), "attempt": number, "error": error(why)}
        case p.Started(target, number):
            return {"type": "started", "target": str(target), "attempt": number}
        case p.TextDelta(text):
            return {"type": "text", "text": text}
        case p.ReasoningDelta(text):
            return {"type": "reasoning", "text": text}
        case p.ToolCallDelta(index, id_, name, arguments):
            return {"type": "tool_call", "index": index, "id": id_, "name": name, "arguments": arguments}
        case p.Retracted(reason):
            return {"type": "retracted", "reason": reason}
        case p.Resumed(target):
            return {"type": "resumed", "target": str(target)}
        case p.Finished(reason, used, paid, took, served):
            told = {"usage": usage(used), "cost": cost(paid), "server": server(took), "served": served}
            return {"type": "finished", "reason": reason, **told}


def _since(began: float, moment: float | None) -> float | None:
    return None if moment is None else _rounded(moment - began)


def _rounded(value: float | None) -> float | None:
    """To the microsecond: what follows is noise."""
    return None if value is None else round(value, 6)

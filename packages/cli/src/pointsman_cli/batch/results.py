"""What a line came to, as it is written into the output; `docs/schemas/batch-result.json` describes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pointsman import AtLeast, Cost, Exact, PointsmanError, Reply

from .. import as_json
from ..exits import Exit
from .openai_form import WrongLine
from .progress import Progress, Result

RESENT = "batch_sent"
"""The tag of a call whose line was sent before: how often with this time."""


def made(
    line: int,
    id_: str | int | None,
    sent: int,
    cost: Cost,
    *,
    reply: Mapping[str, Any] | None = None,
    error: Mapping[str, Any] | None = None,
) -> Result:
    """A result. Whatever an answer or an error says stays on one line."""
    said = {"line": line, "id": id_, "reply": reply, "error": error, "cost": as_json.cost(cost), "sent": sent}
    return Result(line, sent, error is not None, cost, as_json.dumps(said).encode() + b"\n")


def of_reply(line: int, id_: str | int | None, sent: int, before: Cost, reply: Reply, misfit: str | None) -> Result:
    """An answer; `before` is what earlier sendings cost, `misfit` why it is not what its schema asks for."""
    error = None if misfit is None else plain_error("Misfit", misfit, Exit.FAILURE)
    return made(line, id_, sent, before + reply.cost, reply=as_json.reply(reply), error=error)


def of_error(line: int, id_: str | int | None, sent: int, before: Cost, error: PointsmanError) -> Result:
    """A line that was not answered. Its attempts may have cost something all the same."""
    return made(line, id_, sent, before + cost_of(error), error=as_json.error(error))


def of_wrong(line: int, wrong: WrongLine) -> Result:
    """A line that nobody can send."""
    return made(line, wrong.id, 0, Exact(0), error=plain_error("InvalidRequest", wrong.why, Exit.USAGE))


def cost_of(error: PointsmanError) -> Cost:
    """Of all attempts that a call has made in vain."""
    return Cost.total(attempt.cost for attempt in error.attempts)


def cost_before(progress: Progress, line: int, earlier: Result | None) -> Cost:
    """What a line that is sent now for another time has cost before. Of a sending without a result nobody knows."""
    known = earlier.cost if earlier else Exact(0)
    return known + AtLeast(0) if progress.lost(line) > 1 else known


def plain_error(kind: str, message: str, code: Exit) -> dict[str, Any]:
    """An error that no provider has made, in the shape of all others."""
    return {**as_json.INTERRUPTED, "type": kind, "message": message, "exit_code": int(code)}

"""A decision, made as a call would make it, and printed."""

from __future__ import annotations

from typing import Any, cast

import click

from pointsman import Decision, Settings
from pointsman.asking import as_request
from pointsman.client import AsyncClient, Options
from pointsman.engine.roster import Roster
from pointsman.plugins import Kind
from pointsman.policy import Candidate
from pointsman_policy import Classification, classify

from .. import as_json as js
from ..context import debugging, remember
from ..log import log_to_stderr
from ..models import facts
from ..settings.variables import warn_of_unread
from ..terminal import out
from .explanation import explain


def show_decision(prompt: str, options: dict[str, Any], *, as_json: bool) -> None:
    """Decide, and print that. Raises what `AsyncClient.decide` raises, and opening the client for wrong settings."""
    log_to_stderr(debug=debugging(click.get_current_context()))
    settings = Settings.discover()
    _ = settings.engine  # As in `chat`, what is wrong there is told first, though nobody is asked.
    client = AsyncClient(settings=settings)  # Which is never entered, so that it could not open anything.
    client.roster.check_named()
    remember(client)
    warn_of_unread(client.roster)
    decision = client.decide(prompt, **cast(Options, options))
    known = [client.roster.candidate(target) for target in decision.order]
    read = _reading(prompt, options, decision, client.roster)
    if as_json:
        candidates = [_candidate(one) for one in known]
        out(js.dumps({"decision": js.decision(decision), "classification": _read(read), "candidates": candidates}))
    else:
        explain(decision, read, known, client.roster, task=options.get("task"))


def _reading(prompt: str, options: dict[str, Any], decision: Decision, roster: Roster) -> Classification | None:
    """What the prompt was taken for, where the policy that decided goes by it, as `keywords` and strangers do not."""
    ours = [
        info.name
        for info in roster.plugins.infos()
        if info.kind is Kind.POLICY and info.distribution == "pointsman-policy"
    ]
    if decision.confidence is None or decision.policy not in ours:
        return None
    return classify(as_request(prompt, cast(Options, options)))


def _read(found: Classification | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "task": found.task,
        "confidence": round(found.confidence, 6),
        "difficulty": round(found.difficulty, 6),
        "language": found.language,
        "probabilities": {task: round(value, 6) for task, value in found.probabilities.items()},
    }


def _candidate(one: Candidate) -> dict[str, Any]:
    return {
        "target": str(one.target),
        "context_tokens": one.context_tokens,
        "capabilities": sorted(one.capabilities),
        "price": facts.price_json(one.price),
    }

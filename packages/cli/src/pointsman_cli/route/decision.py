"""A decision, shown: who in which order, what is known of each, and who is left out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, cast

import click

from pointsman import Decision, Settings
from pointsman.client import AsyncClient, Options
from pointsman.policy import Candidate

from .. import as_json as js
from ..context import debugging, remember
from ..listing import wrapped
from ..log import log_to_stderr
from ..models import facts
from ..settings.variables import warn_of_unread
from ..terminal import harmless, out, show, styled


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
    if as_json:
        out(js.dumps({"decision": js.decision(decision), "candidates": [_as_json(one) for one in known]}))
    else:
        _show(decision, known)


def _as_json(one: Candidate) -> dict[str, Any]:
    return {
        "target": str(one.target),
        "context_tokens": one.context_tokens,
        "capabilities": sorted(one.capabilities),
        "price": facts.price_json(one.price),
    }


def _show(decision: Decision, known: Sequence[Candidate]) -> None:
    """The same that `Decision.explain` says, a target a line, with what made the choice."""
    out(wrapped(harmless(f"{decision.policy}: {decision.reason}")))
    for place, one in enumerate(known, 1):
        show(f"{place:>3}. {styled(str(one.target), sys.stdout, bold=place == 1)}\n")
        about = [
            f"context {facts.tokens(one.context_tokens)}",
            facts.price(one.price) if one.price else "price of a token unknown",
            f"can {', '.join(sorted(one.capabilities))}" if one.capabilities else "nothing is known of what it can do",
        ]
        out(wrapped(harmless("; ".join(about)), " " * 5))
    if decision.excluded:
        out("left out")
        for item in decision.excluded:
            out(wrapped(harmless(f"{item.target}: {item.reason}"), "  ", " " * 5))
    if len(known) > 1:
        out(wrapped("The next is asked when one fails before its first word."))

"""Whether anybody could go on with an answer that breaks, where somebody has asked for that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..listing import say

if TYPE_CHECKING:
    from pointsman import Decision
    from pointsman.client import AsyncClient
    from pointsman.engine.roster import Roster


def warn_if_nobody_goes_on(client: AsyncClient, prompt: Any, options: Mapping[str, Any]) -> None:
    """Say on stderr why nothing will be continued. Raises what `AsyncClient.decide` raises."""
    if (options.get("on_break") or client.roster.settings.engine.on_break) != "continue":
        return
    if "response_schema" in options:
        why: str | None = "half a document that is to fit a schema is nothing to go on with"
    else:
        why = _nobody(client.roster, client.decide(prompt, **options))
    if why is not None:
        say(f"Warning: nothing will be continued: {why}", dim=True)


def _nobody(roster: Roster, decision: Decision) -> str | None:
    """Why none of those who may be asked goes on; None if one does."""
    if any("prefill" in roster.capabilities(target) for target in decision.order):
        return None
    names = list(dict.fromkeys(target.provider for target in decision.order))
    told = [name for name in names if "capabilities" in roster.declared(name).spec.config.model_fields]
    if told:
        from ..settings.names import dotted

        there = f'if its server does, set capabilities = ["prefill"] in [{dotted(("providers", told[0]))}]'
    else:
        there = 'that takes a server behind openai-compatible, with capabilities = ["prefill"]'
    return f"{_none_of(names)} `prefill`; {there}"


def _none_of(names: Sequence[str]) -> str:
    match names:
        case [name]:
            return f"{name} does not declare"
        case [one, other]:
            return f"neither {one} nor {other} declares"
        case _:
            return f"none of {', '.join(names[:-1])} and {names[-1]} declares"

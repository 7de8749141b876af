"""Asking vendors for their lists, and what has changed since the last time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio
import click

from pointsman import Price, Target
from pointsman.client import AsyncClient
from pointsman.engine.roster import Roster

from ..as_json import dumps
from ..context import debugging, remember
from ..exits import Exit, gravest
from ..listing import say
from ..log import log_to_stderr
from ..models import facts
from ..models.asking import Failure, failure, listed, not_missed
from ..plugins.roster import ready_names
from ..providers.roll_call import nobody
from ..rounds import ask_each
from ..terminal import harmless, out
from .book import same
from .show import failed_json, tell_failed


@dataclass(frozen=True, slots=True)
class Told:
    """A list that was read."""

    provider: str
    models: int
    before: dict[Target, Price]
    after: dict[Target, Price]
    stored: bool

    @property
    def changes(self) -> list[tuple[Target, Price | None, Price | None]]:
        """What was said of it and is said now, where that differs."""
        both = [
            (one, self.before.get(one), self.after.get(one)) for one in sorted({*self.before, *self.after}, key=str)
        ]
        return [(one, old, new) for one, old, new in both if old is None or new is None or not same(old, new)]

    def as_json(self) -> dict[str, Any]:
        return {
            "provider": self.provider,
            "models": self.models,
            "priced": len(self.after),
            "stored": self.stored,
            "changes": [
                {"target": str(one), "before": facts.price_json(old), "after": facts.price_json(new)}
                for one, old, new in self.changes
            ],
        }


@dataclass(slots=True)
class Round:
    """All that were asked."""

    told: list[Told] = field(default_factory=list[Told])
    failed: list[Failure] = field(default_factory=list[Failure])


def update_prices(names: Sequence[str], *, as_json: bool) -> None:
    """Ask, keep and tell. Exits."""
    ctx = click.get_current_context()
    log_to_stderr(debug=debugging(ctx))
    found = anyio.run(_ask_all, names)
    found.told.sort(key=lambda one: one.provider)
    tell_failed(found.failed)
    if as_json:
        told = [one.as_json() for one in found.told]
        out(dumps({"providers": told, "failed": failed_json(found.failed)}))
    else:
        for one in found.told:
            _show(one)
    lost = [one.provider for one in found.told if one.after and not one.stored]
    if lost:
        say(f"Not kept for other processes: the prices of {', '.join(lost)}.")
        ctx.exit(Exit.FAILURE)
    ctx.exit(Exit.OK if found.told else gravest(code for _, _, code in found.failed))


async def _ask_all(names: Sequence[str]) -> Round:
    async with AsyncClient() as client:
        remember(client)
        found = Round()
        named, failed = ready_names(client.roster, names)
        found.failed += failed
        await ask_each(named, partial(_ask, client, found))
        mute: dict[str, str] = {}
        if not names:  # Who was not set up by anybody, such as a server that does not run here, is not missed.
            mute = not_missed(client, named, found.failed)
            found.failed = [one for one in found.failed if one[0] not in mute]
        if not found.told and not found.failed:
            raise nobody(client.roster, mute)
        return found


async def _ask(client: AsyncClient, found: Round, name: str) -> None:
    book = client.roster.prices(name)
    before = dict(book.live)
    try:
        models = await listed(client, name)
        kept = Roster(client.roster.settings, client.roster.plugins).prices(name).live
        found.told.append(Told(name, len(models), before, dict(book.live), kept == book.live))
    except Exception as raised:
        found.failed.append(failure(client, name, raised))


def _show(one: Told) -> None:
    """A line for the provider, and one for each change."""
    priced = f"prices of {len(one.after)}" if one.after else "no prices"
    changed = f"; {len(one.changes)} changed" if one.changes else "; nothing has changed" if one.after else ""
    out(f"{one.provider}: {one.models} models, {priced}{changed}")
    for target, old, new in one.changes:
        was = "new" if old is None else f"was {facts.price(old)}"
        out(harmless(f"  {target}: {facts.price(new) if new else 'no price any more'} ({was})"))

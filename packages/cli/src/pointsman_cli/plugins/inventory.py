"""Every plugin there is, loaded to see whether it can be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import click

from pointsman import ConfigError, Plugins, Settings
from pointsman.config.settings import PluginChoice
from pointsman.plugins import Kind, PluginInfo

from ..as_json import dumps
from ..context import debugging
from ..listing import say, show_states, wrapped
from ..log import log_to_stderr
from ..report import words_of
from ..terminal import out
from .impatience import PATIENCE, Tried, tried
from .versions import misfit

WORTH_TELLING = 0.5
"""Seconds of import that a person should hear of."""

ALWAYS_IN_USE = (Kind.WRAPPER, Kind.SINK)
"""Kinds of which a broken one is fatal to every call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One plugin."""

    kind: str
    name: str
    distribution: str | None
    version: str | None
    state: str
    """``ok``, ``broken``, ``incompatible``, ``slow`` or ``disabled``."""
    reason: str
    seconds: float | None = None
    """Until it was loaded, or had failed to; None if it was not tried, or is not done."""


def show_inventory(*, as_json: bool) -> None:
    """Print all of them, and the chain of wrappers."""
    log_to_stderr(debug=debugging(click.get_current_context()))
    settings = Settings.discover().plugins
    rows = take_stock(Plugins.installed(), settings)
    chain = chain_of(rows, settings)
    if as_json:
        out(dumps({"plugins": [asdict(row) for row in rows], "wrappers": chain}))
        return
    for kind in dict.fromkeys(row.kind for row in rows):
        out(f"{kind}s" if kind != Kind.POLICY.word else "policies")
        show_states(
            (f"  {row.name}", row.state, [row.reason, f"{row.distribution or ''} {row.version or ''}".strip()])
            for row in rows
            if row.kind == kind
        )
    out(wrapped(said_of(chain)))
    needed = {kind.word for kind in ALWAYS_IN_USE}
    if any(row.state == "broken" and row.kind in needed for row in rows):
        say("Every call fails until the broken wrapper or sink is mended, or [plugins] disable names it.")


def said_of(chain: Sequence[str]) -> str:
    """What is around a call, in a sentence."""
    return f"A call passes {' > '.join([*chain, 'the provider'])}." if chain else "No wrapper is around a call."


def take_stock(everything: Plugins, settings: PluginChoice) -> list[Row]:
    """Every plugin: its metadata is read, and where that lets it be used it is imported, for as long as it may take."""
    enabled = Plugins(everything.infos(), disabled=settings.disable)
    misfits = {name: misfit(name) for name in {info.distribution for info in everything.infos()} if name}
    rows: list[Row] = []
    waiting: list[tuple[int, PluginInfo]] = []
    for info in everything.infos():
        state, reason = "ok", ""
        if info.name in settings.disable:
            state, reason = "disabled", "named by [plugins] disable"
        elif why := misfits.get(info.distribution):
            state, reason = "incompatible", why
        else:
            waiting.append((len(rows), info))
        rows.append(_row(info, state, reason))
    for (place, _), outcome in zip(waiting, tried([partial(_try, info, enabled) for _, info in waiting]), strict=True):
        rows[place] = _judged(rows[place], outcome)
    return rows


def _judged(row: Row, outcome: Tried) -> Row:
    if outcome.seconds is None:
        reason = f"not imported after {PATIENCE:g} s: whoever uses it waits for it"
        return replace(row, state="slow", reason=reason)
    row = replace(row, seconds=round(outcome.seconds, 3))
    if outcome.error is not None:
        return replace(row, state="broken", reason=words_of(outcome.error))
    if outcome.seconds > WORTH_TELLING:
        return replace(row, reason=f"it takes {outcome.seconds:.1f} s to import")
    return row


def _row(info: PluginInfo, state: str, reason: str) -> Row:
    return Row(
        kind=info.kind.word,
        name=info.name,
        distribution=info.distribution or None,
        version=info.origin.rpartition(" ")[2] if info.distribution else None,
        state=state,
        reason=reason,
    )


def _try(info: PluginInfo, plugins: Plugins) -> None:
    """Load it, and ask what its kind is asked at once. Raises `PluginError`."""
    match info.kind:
        case Kind.PROVIDER:
            plugins.provider(info.name)
        case Kind.POLICY:
            plugins.policy(info.name)
        case Kind.COMMAND:
            plugins.command(info.name)
        case _:
            plugins.load(info.kind, info.name)


def chain_of(rows: Sequence[Row], settings: PluginChoice) -> list[str]:
    """The wrappers, outermost first, whether they load or not."""
    wrappers = [row for row in rows if row.kind == Kind.WRAPPER.word]
    if unknown := [name for name in settings.wrappers if name not in [row.name for row in wrappers]]:
        raise ConfigError(f"[plugins] wrappers names {', '.join(unknown)}, which is not installed")
    names = sorted({row.name for row in wrappers if row.state != "disabled"})
    first = [name for name in settings.wrappers if name in names]
    return [*first, *(name for name in names if name not in first)]

"""Every plugin there is, loaded to see whether it can be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import click

from pointsman import ConfigError, Plugins, PointsmanError, Settings
from pointsman.config.settings import PluginChoice
from pointsman.plugins import Kind, PluginInfo

from .as_json import dumps
from .context import debugging
from .listing import show_states, wrapped
from .report import log_to_stderr
from .terminal import note, out

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
    """``ok``, ``broken`` or ``disabled``."""
    reason: str


def show_inventory(*, as_json: bool) -> None:
    """Print all of them, and the chain of wrappers."""
    log_to_stderr(debug=debugging(click.get_current_context()))
    settings = Settings.discover().plugins
    everything = Plugins.installed()
    enabled = Plugins(everything.infos(), disabled=settings.disable)
    rows = [_row(info, enabled, disabled=info.name in settings.disable) for info in everything.infos()]
    chain = _chain(enabled.names(Kind.WRAPPER), settings)
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
    out(wrapped(f"A call passes {' > '.join([*chain, 'the provider'])}." if chain else "No wrapper is around a call."))
    if any(row.state == "broken" and row.kind in {kind.word for kind in ALWAYS_IN_USE} for row in rows):
        note("Every call fails until the broken wrapper or sink is mended, or [plugins] disable names it.")


def _row(info: PluginInfo, plugins: Plugins, *, disabled: bool) -> Row:
    state, reason = ("disabled", "named by [plugins] disable") if disabled else ("ok", "")
    if not disabled:
        try:
            _try(info, plugins)
        except PointsmanError as error:
            state, reason = "broken", error.message
    return Row(
        kind=info.kind.word,
        name=info.name,
        distribution=info.distribution or None,
        version=info.origin.removeprefix(f"{info.distribution} ") if info.distribution else None,
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


def _chain(names: Sequence[str], settings: PluginChoice) -> list[str]:
    """The wrappers, outermost first, whether they load or not."""
    if unknown := [name for name in settings.wrappers if name not in names and name not in settings.disable]:
        raise ConfigError(f"[plugins] wrappers names {', '.join(unknown)}, which is not installed")
    first = [name for name in settings.wrappers if name in names]
    return [*first, *(name for name in names if name not in first)]

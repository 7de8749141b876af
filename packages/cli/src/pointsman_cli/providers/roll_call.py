"""What is known of each provider, on paper, and once it is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any

import anyio
import click

from pointsman import AuthFailed, ConfigError, Health, HealthState, NoCandidates, PluginError, PointsmanError
from pointsman.client import AsyncClient
from pointsman.config import Origin
from pointsman.engine.roster import Roster
from pointsman.plugins import Kind

from .. import figures
from ..advice import another_key, keys_of, start, unfit_key
from ..as_json import dumps
from ..context import debugging, remember
from ..exits import Exit, exit_code, gravest
from ..listing import say, show_states
from ..log import log_to_stderr
from ..plugins.roster import SLOW, said, slow_names
from ..report import alone, words_of
from ..rounds import ask_each
from ..terminal import out

PATIENCE = 15.0
"""Seconds that a health check may take, opening included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One provider. `code` is what it contributes to the exit code of a check."""

    name: str
    origin: str
    """Distribution and version of its plugin."""
    state: str
    """``ready``, ``not ready`` (something must be set), ``wrong`` (a setting is), ``broken`` (its plugin is)."""
    reason: str = ""
    default_models: tuple[str, ...] = ()
    keys: Mapping[str, Origin]
    """Setting -> where its value comes from."""
    unfit: Mapping[str, Origin] = field(default_factory=dict[str, Origin])
    """The key that is what is wrong, if it is one."""
    vendors: tuple[str, ...] = ()
    """The settings for which the vendor has variables of its own."""
    touched: bool = False
    """Whether anybody has set anything for it; some need nothing."""
    health: Health | None = None
    took: float | None = None
    """Seconds until the health check answered; None if it raised."""
    code: Exit = Exit.OK
    idle: bool = False
    """Nobody has named it or set it up, and it cannot be asked: there to be seen, and no failure."""

    def as_json(self) -> dict[str, Any]:
        health = None
        if self.health is not None:
            health = {
                "state": self.health.state.value,
                "reason": self.health.reason,
                "wait": self.health.wait,
                "seconds": None if self.took is None else round(self.took, 6),
            }
        return {
            "name": self.name,
            "plugin": self.origin,
            "state": self.state,
            "reason": self.reason,
            "default_models": list(self.default_models),
            "keys": {setting: str(origin) for setting, origin in self.keys.items()},
            "health": health,
        }


def list_providers(*, as_json: bool) -> None:
    """Every provider, on paper."""
    log_to_stderr(debug=debugging(click.get_current_context()))
    client = AsyncClient()
    rows = all_on_paper(client.roster, client.roster.names)
    _show(rows, as_json=as_json)
    if not rows:
        say("No provider is installed: pip install pointsman-sambanova, or see it work without any: pointsman demo")
    elif not any(row.state == "ready" and (row.touched or row.default_models) for row in rows):
        tried = [row.name for row in rows if row.state == "ready"]
        missing = "Set what is missing, or see it work without any: pointsman demo"
        say(f"{_tried(tried)} {missing}" if tried else f"None is set up. {missing}")


def _tried(names: Sequence[str]) -> str:
    """That they need nothing to be set, and yet somebody must start them and choose."""
    which = names[0] if len(names) == 1 else "NAME"
    return (
        f"Nobody has set one up; {', '.join(names)} {'is' if len(names) == 1 else 'are'} asked as found, if you name a "
        f"model: -m {which}/MODEL (pointsman models {which}, pointsman providers check {which})."
    )


def check_providers(names: Sequence[str], *, as_json: bool) -> None:
    """Those named, or each that is ready, asked how they are. Exits."""
    ctx = click.get_current_context()
    log_to_stderr(debug=debugging(ctx))
    rows = anyio.run(ask_after, names)
    _show(rows, as_json=as_json)
    codes = {row.code for row in rows if not row.idle}
    ctx.exit(Exit.UPSTREAM if Exit.UPSTREAM in codes else gravest(codes))


async def ask_after(names: Sequence[str], *, having_keys: bool = False) -> list[Row]:
    """Those named, or each that is there, or each that is and has a key, asked how they are if they are ready."""
    async with AsyncClient() as client:
        remember(client)
        for name in names:
            if name not in client.roster.names:
                client.roster.declared(name)  # Raises, and says who is there.
        rows = all_on_paper(client.roster, list(dict.fromkeys(names)) or client.roster.names)
        if not names:
            rows = [replace(row, idle=row.state == "not ready") for row in rows]
        if having_keys and not names:
            rows = [row for row in rows if row.keys]
        places = {row.name: place for place, row in enumerate(rows) if row.state == "ready"}
        await ask_each(places, lambda name: _ask(client, rows, places[name]))
        if not names:  # Such as a server on this machine that is tried by default, and does not run.
            silent = {row.name: row.health.reason for row in rows if row.health and row.code and not row.touched}
            rows = [replace(row, idle=row.idle or row.name in silent) for row in rows]
            if all(row.idle for row in rows) and not having_keys:
                raise nobody(client.roster, silent)
        return rows


def nobody(roster: Roster, silent: Mapping[str, str]) -> NoCandidates:
    """Why nobody is left to be asked. `silent` are those that are tried by default: name -> why they did not answer."""
    lines = [
        " ".join(
            (f"{name}: {why if why.endswith(('.', '?')) else f'{why}.'}", start(roster.declared(name).spec))
        ).rstrip()
        for name, why in silent.items()
    ]
    for name in roster.names:
        try:
            roster.configured(name)
        except PointsmanError as error:
            lines.append(str(error))
    if not lines:
        return NoCandidates("no provider is installed: pip install pointsman-sambanova", none_ready=True)
    return NoCandidates("\n".join(["no provider is ready.", *(f"  {line}" for line in lines)]), none_ready=True)


async def _ask(client: AsyncClient, rows: list[Row], place: int) -> None:
    row = rows[place]
    took: float | None = None
    code = Exit.OK
    try:
        with anyio.fail_after(PATIENCE):
            hooks = await client.connect(row.name)
            began = perf_counter()
            health = await hooks.health()
            took = perf_counter() - began
    except TimeoutError:
        health, code = Health(HealthState.DOWN, f"no answer within {PATIENCE:g} s"), Exit.UPSTREAM
    except Exception as raised:
        error = alone(raised)
        health, code = Health(HealthState.DOWN, client.roster.redactor.text(words_of(error))), _code(error)
    else:
        if health.state is HealthState.DOWN:
            code = exit_code(health.error) if health.error else Exit.UPSTREAM
    rows[place] = replace(row, health=health, took=took, code=code)


def _code(error: BaseException) -> Exit:
    """What no error of ours says is the provider's fault, whatever it is."""
    return exit_code(error) if isinstance(error, PointsmanError) else Exit.UPSTREAM


def all_on_paper(roster: Roster, names: Sequence[str]) -> list[Row]:
    """A row for each of `names`. A plugin that takes forever to import is given up, and holds up nobody."""
    slow = slow_names(roster, names)
    return [
        Row(name=name, origin=_origin(roster, name), state="broken", reason=SLOW, keys={}, code=Exit.FAILURE)
        if name in slow
        else on_paper(roster, name)
        for name in names
    ]


def on_paper(roster: Roster, name: str) -> Row:
    """What metadata and configuration say."""
    row = Row(name=name, origin=_origin(roster, name), state="ready", keys={})
    try:
        spec = roster.declared(name).spec
        row = replace(row, default_models=spec.default_models, vendors=tuple(spec.env_keys))
        made = roster.configured(name)
    except ConfigError as error:
        state = "not ready" if error.missing else "wrong"
        unfit = unfit_key(error.message, keys_of(name, roster))
        return replace(row, state=state, reason=said(error), code=exit_code(error), unfit=unfit)
    except PluginError as error:
        return replace(row, state="broken", reason=said(error), code=Exit.FAILURE)
    return replace(
        row,
        default_models=tuple(target.model for target in roster.default_targets(name)),
        touched=bool(made.origins),
        keys={setting: made.origins[setting] for setting in made.secrets if setting in made.origins},
    )


def _origin(roster: Roster, name: str) -> str:
    """Where the plugin of the provider comes from; two that claim one name both stand here."""
    table = roster.settings.provider(name)
    plugin = str(table["plugin"].value) if "plugin" in table else name
    origins = [info.origin for info in roster.plugins.infos() if (info.kind, info.name) == (Kind.PROVIDER, plugin)]
    return " and ".join(origins)


def _show(rows: Sequence[Row], *, as_json: bool) -> None:
    if as_json:
        out(dumps({"providers": [row.as_json() for row in rows]}))
    else:
        show_states((row.name, row.health.state.value if row.health else row.state, _lines(row)) for row in rows)


def _lines(row: Row) -> Iterator[str]:
    if row.health is not None:
        wait = f", expected wait {row.health.wait:.0f} s" if row.health.wait else ""
        took = f" ({figures.seconds(row.took)}{wait})" if row.took is not None else ""
        yield f"{row.health.reason or 'it answers'}{took}"
        if isinstance(row.health.error, AuthFailed) or row.code is Exit.KEY:
            yield another_key(row.name, row.keys, row.vendors)
        return
    yield row.reason
    if row.state == "ready":
        yield f"models: {', '.join(row.default_models)}" if row.default_models else "no default model: name one with -m"
        yield "; ".join(f"{setting}: {origin}" for setting, origin in row.keys.items())
    yield row.origin

"""Which provider has a key, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from pointsman import ConfigError, PluginError
from pointsman.config import Origin
from pointsman.config.layers import KEYS_FILE
from pointsman.config.providers import collect

from ..as_json import dumps
from ..listing import say, show_states
from ..settings.situation import Situation, unheard
from ..terminal import out
from .store import is_table, secrets_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One key that a provider takes."""

    provider: str
    setting: str
    origin: Origin | None
    """Where it comes from; None if there is none."""
    required: bool
    stored: bool
    """Whether the keys file holds one, in force or not."""
    notes: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        return "set" if self.origin else "missing" if self.required else "none"

    def as_json(self) -> dict[str, Any]:
        origin = self.origin and {"kind": self.origin.kind, "where": self.origin.where or None}
        return {
            "provider": self.provider,
            "setting": self.setting,
            "state": self.state,
            "origin": origin,
            "stored": self.stored,
            "notes": list(self.notes),
        }


def list_keys(*, as_json: bool) -> None:
    """Print them all; of none its value."""
    situation = Situation.now()
    with unheard():
        rows = list(_rows(situation))
    if as_json:
        out(dumps({"keys": [row.as_json() for row in rows]}))
        return
    show_states((f"{row.provider} {row.setting}", row.state, list(_lines(row))) for row in rows)
    if not rows:
        say("No provider that takes a key is installed: pip install pointsman-sambanova")


def _lines(row: Row) -> Iterator[str]:
    yield f"*** from {row.origin}" if row.origin else ""
    yield from row.notes
    if row.state == "missing":
        yield f"pointsman keys set {row.provider}"


def _rows(situation: Situation) -> Iterator[Row]:
    roster = situation.roster
    stored = _stored(situation)
    for name in situation.providers:
        try:
            spec = roster.declared(name).spec
            found = collect(name, spec, situation.settings, roster.names)
        except (ConfigError, PluginError):  # `pointsman providers` says what is wrong with it.
            continue
        for setting in secrets_of(spec):
            value = found.values.get(setting)
            if value is None and is_table(spec, setting):
                continue
            kept = setting in stored.get(name, {})
            notes = [f"{warning}" for warning in found.warnings if setting in spec.env_keys]
            if value and kept and value.origin.kind != KEYS_FILE:
                notes.append("the one that is stored is not used: this one goes before it")
            yield Row(
                provider=name,
                setting=setting,
                origin=value.origin if value else None,
                required=spec.config.model_fields[setting].is_required(),
                stored=kept,
                notes=tuple(notes),
            )
    for name in sorted(stored.keys() - set(_served(situation))):
        why = "no provider of this name is installed or set up: pointsman keys rm removes it"
        for setting in stored[name]:
            yield Row(provider=name, setting=setting, origin=None, required=False, stored=True, notes=(why,))


def _served(situation: Situation) -> list[str]:
    """Names that some plugin stands behind; a name that only the keys file knows is none."""
    served = [name for name in situation.roster.names if name not in situation.providers]
    for name in situation.providers:
        try:
            situation.roster.declared(name)
        except ConfigError:
            continue
        except PluginError:
            pass
        served.append(name)
    return served


def _stored(situation: Situation) -> Mapping[str, Mapping[str, Any]]:
    """What the keys file holds: provider -> setting -> key."""
    for origin, table in situation.layers:
        providers = table.get("providers")
        if origin.kind == KEYS_FILE and isinstance(providers, Mapping):
            tables = cast(Mapping[str, Any], providers)
            return {name: cast(Mapping[str, Any], one) for name, one in tables.items() if isinstance(one, Mapping)}
    return {}

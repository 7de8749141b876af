"""Settings by name: ``engine.stall``, ``limits."lan/x".rpm``; which there are, and what they are now."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel, SecretStr

from pointsman import ConfigError, PluginError
from pointsman.config import Origin, without_password
from pointsman.config.layers import Key, Value
from pointsman.config.providers import collect, is_secret
from pointsman.config.settings import NAMED, POLICY, SECTIONS
from pointsman.errors import did_you_mean

from . import policy
from .situation import Situation, unheard

MASK = "***"
DEFAULT = Origin("default")
TABLES = ("providers", *NAMED)
"""Sections with a table for each name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A setting as it is in force. `value` is fit for JSON; of a secret it is the mask."""

    key: Key
    value: Any
    origin: Origin
    secret: bool = False

    def as_json(self) -> dict[str, Any]:
        origin = {"kind": self.origin.kind, "where": self.origin.where or None}
        return {"key": dotted(self.key), "value": self.value, "origin": origin, "secret": self.secret}


def dotted(key: Key) -> str:
    """``providers."a.b".base_url``: quoted where TOML wants it so."""
    return ".".join(
        part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else json.dumps(part, ensure_ascii=False) for part in key
    )


def parse(text: str) -> Key:
    """The key that `text` writes. Raises `ConfigError` if it is none."""
    try:
        found: Any = tomllib.loads(f"{text} = 0") if text.isprintable() and "=" not in text else None
    except (tomllib.TOMLDecodeError, RecursionError):
        found = None
    key: list[str] = []
    while isinstance(found, dict):
        ((name, found),) = cast(dict[str, Any], found).items()
        key.append(name)
    if found != 0 or not key:
        quoted = """; a name with / or other signs in it is quoted: 'limits."a/b".rpm'""" if "/" in text else ""
        raise ConfigError(f"{text!r} is no setting: write engine.stall, or providers.NAME.base_url{quoted}")
    return tuple(key)


def checked(key: Key, situation: Situation, *, whole_tables: bool = False) -> Key:
    """`key`, if there is such a setting. Raises `ConfigError` that says which there are.

    Of a provider whose plugin is not known yet, every setting passes.
    """
    section = key[0]
    known = [*SECTIONS, POLICY, *TABLES]
    if section not in known:
        raise ConfigError(f"[{section}] is not a section: there are {', '.join(known)}{did_you_mean(section, known)}")
    if section == POLICY:
        policy.check(key, situation, whole_tables=whole_tables)
        return key
    depth = depth_of(key)
    if len(key) < depth:
        if whole_tables:
            return key
        there = ", ".join(dotted((*key, name)) for name in _inside(key, situation)) or f"{section}.NAME.SETTING"
        whole = (
            "; or write the whole of it, as in '{ NAME = VALUE, NAME = VALUE }'" if section in NAMED and key[1:] else ""
        )
        raise ConfigError(f"{dotted(key)} is a table: name a setting in it, of {there}{whole}")
    names = _inside(key[: depth - 1], situation)
    if names and key[depth - 1] not in names:
        near = did_you_mean(key[depth - 1], names)
        raise ConfigError(
            f"{dotted(key[: depth - 1])} has no setting {key[depth - 1]!r}: it has {', '.join(names)}{near}"
        )
    if section != "providers" and len(key) > depth:
        raise ConfigError(f"{dotted(key[:depth])} is no table: there is nothing in it")
    return key


def depth_of(key: Key) -> int:
    """How many names a setting in this section has. A policy may have tables in tables."""
    if key[0] == POLICY:
        return max(2, len(key))
    return 3 if key[0] in TABLES else 2


def model_of(key: Key, situation: Situation) -> type[BaseModel] | None:
    """What the setting is held to; None where the provider's plugin is not known."""
    if key[0] in NAMED:
        return NAMED[key[0]] if len(key) > 1 else None
    if key[0] == POLICY:
        return policy.model_of(key, situation)
    if key[0] != "providers":
        return SECTIONS.get(key[0])
    try:
        return situation.roster.declared(key[1]).spec.config if len(key) > 1 else None
    except (ConfigError, PluginError):
        return None


def holds_a_key(key: Key, situation: Situation) -> bool:
    """Whether the setting is a secret one, as its provider says; of one that nobody knows, its name tells."""
    if key[0] != "providers" or len(key) < 3 or key[2] == "plugin":
        return False
    try:
        return is_secret(situation.roster.declared(key[1]).spec, key[2])
    except (ConfigError, PluginError):
        return bool(re.search(r"key|token|secret|password|headers", key[2], re.IGNORECASE))


def in_force(situation: Situation) -> Iterator[Setting]:
    """Every setting: of the sections all, of the others those that somebody set, and what goes with them."""
    said = {path[: depth_of(path)]: value for path, value in situation.settings}
    for section in SECTIONS:
        found: BaseModel = getattr(situation.settings, section)
        for name, value in found:
            origin = said[section, name].origin if (section, name) in said else DEFAULT
            shown = without_password(value) if (section, name) == ("ledger", "url") and value else value
            yield Setting(key=(section, name), value=_json(shown), origin=origin)
    for key, said_by, value in policy.in_force(situation):
        yield Setting(key=key, value=_json(value), origin=said_by.origin if said_by else DEFAULT)
    for target, limit in situation.settings.limits.items():
        for name, value in limit:
            key = ("limits", target, name)
            yield Setting(key=key, value=value, origin=said[key].origin if key in said else DEFAULT)
    for target in situation.settings.prices:
        for name, value in situation.settings.said("prices", target).items():
            yield Setting(key=("prices", target, name), value=_json(value.value), origin=value.origin)
    with unheard():
        for name in situation.providers:
            yield from of_provider(name, situation)


def of_provider(name: str, situation: Situation) -> Iterator[Setting]:
    """What is in force for one provider; nothing, if nobody has set anything for it."""
    own: Mapping[str, Value] = situation.settings.provider(name)
    plugin = own.get("plugin")
    if plugin is not None:
        yield Setting(key=("providers", name, "plugin"), value=str(plugin.value), origin=plugin.origin)
    try:
        spec = situation.roster.declared(name).spec
        values = collect(name, spec, situation.settings, situation.roster.names).values
    except (ConfigError, PluginError):
        for setting, value in own.items():
            key = ("providers", name, setting)
            if setting != "plugin":
                yield _shown(key, value.value, value.origin, secret=holds_a_key(key, situation))
        return
    if not own and not values:
        return
    for setting, field in spec.config.model_fields.items():
        if setting in values:
            found, origin = values[setting].value, values[setting].origin
        elif field.is_required():
            continue
        else:
            found, origin = field.get_default(call_default_factory=True), DEFAULT
        yield _shown(("providers", name, setting), found, origin, secret=is_secret(spec, setting) and bool(found))
    for setting in values.keys() - spec.config.model_fields.keys():
        yield _shown(("providers", name, setting), MASK, values[setting].origin, secret=True)


def settings_there_are(situation: Situation) -> Iterator[Key]:
    """Every setting that could be set, of the providers that are there."""
    for section in SECTIONS:
        yield from ((section, name) for name in _inside((section,), situation))
    yield from ((POLICY, name) for name in policy.names(situation))
    for provider in situation.providers:
        yield from (("providers", provider, name) for name in _inside(("providers", provider), situation))
    for section in NAMED:
        for name in dict.fromkeys([*situation.providers, *situation.settings.named(section)]):
            yield from ((section, name, kind) for kind in _inside((section, name), situation))


def _shown(key: Key, value: Any, origin: Origin, *, secret: bool) -> Setting:
    """A table with secrets in it still shows what it has values for."""
    if secret and isinstance(value, Mapping):
        shown: Any = dict.fromkeys(map(str, cast(Mapping[Any, Any], value)), MASK)
    else:
        shown = MASK if secret else _json(value)
    return Setting(key=key, value=shown, origin=origin, secret=secret)


def _json(value: Any) -> Any:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case SecretStr():
            return MASK
        case Mapping():
            return {str(name): _json(one) for name, one in cast(Mapping[Any, Any], value).items()}
        case list() | tuple():
            return [_json(one) for one in cast(list[Any], value)]
        case set() | frozenset():
            return sorted(_json(one) for one in cast(set[Any], value))
        case _:
            return str(value)


def _inside(table: Key, situation: Situation) -> list[str]:
    """The names that may stand in `table`."""
    if table in [(section,) for section in TABLES]:
        return situation.roster.names
    model = model_of(table, situation)
    plugin = ["plugin"] if table[0] == "providers" else []
    return [*plugin, *model.model_fields] if model is not None else []


def find_origin(name: str, settings: Iterable[str], situation: Situation) -> Origin | None:
    """Where the first of these settings of a provider comes from that somebody set."""
    with unheard():
        found = {one.key[2]: one for one in of_provider(name, situation) if one.origin != DEFAULT}
    return next((found[setting].origin for setting in settings if setting in found), None)

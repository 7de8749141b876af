"""The file that keys are stored in: the user's alone from its first byte, and changed one key at a time."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from pointsman import ConfigError, PointsmanError, ProviderSpec
from pointsman.config import Origin
from pointsman.config.layers import KEYS_FILE, Key, check_privacy
from pointsman.config.providers import collect, is_secret
from pointsman.config.secrets import unfit
from pointsman.config.settings import keys_file
from pointsman.errors import did_you_mean

from ..settings.change import refuse_new_problems, tell, tell_shadow
from ..settings.names import dotted, find_origin
from ..settings.situation import Situation
from ..settings.toml_file import PRIVATE, TomlFile, alone_in, at, write

LONGEST = 100_000
"""Characters that are read at most. A key has some dozens, or a few thousand if it is a signed token."""


def set_key(provider: str, setting: str | None, *, as_json: bool) -> None:
    """Store what is typed or piped in. Raises `ConfigError` for what can be no key, and for an unknown provider."""
    before = Situation.now(lenient=True)
    spec = before.roster.declared(provider).spec
    chosen = _chosen(provider, spec, setting)
    text = _read(provider, dotted(chosen))
    (key,), origin, after, changed = _store(provider, {chosen: text}, before)
    said = f"the {dotted(chosen)} of {provider} is stored"
    tell(key, origin, after, changed=changed, as_json=as_json, said=said)


def store_keys(provider: str, values: Mapping[str, str]) -> str:
    """Store a text for each of some settings of `provider`, as `set_key` does. The file that was written to."""
    before = Situation.now(lenient=True)
    spec = before.roster.declared(provider).spec
    chosen = {_chosen(provider, spec, setting): text for setting, text in values.items()}
    keys, origin, after, _ = _store(provider, chosen, before)
    for key in keys:
        tell_shadow(key, origin, after)
    return origin.where


def _store(provider: str, chosen: Mapping[Key, str], before: Situation) -> tuple[list[Key], Origin, Situation, bool]:
    """What was written, all of it at once, and where; how things are then, and whether they were otherwise before."""
    host = _host(provider, before.roster.declared(provider).spec, before)
    for setting, text in chosen.items():
        if reason := unfit(text, host):
            raise ConfigError(f"what was given for {dotted(setting)} {reason}. Nothing was stored", provider=provider)
    origin, path = _file()
    keys: dict[Key, str] = {("providers", provider, *setting): text for setting, text in chosen.items()}
    with alone_in(path.parent):
        check_privacy(path)
        before = Situation.now(lenient=True)
        file = changed = TomlFile(path)
        for key, text in keys.items():
            changed = changed.holding(changed.with_value(key, text))
        after = before.with_file(origin, changed.table)
        refuse_new_problems(before, after)
        write(file.path, changed.text, mode=PRIVATE)
    return [*keys], origin, after, changed.text != file.text


def remove_key(provider: str, setting: str | None, *, as_json: bool) -> None:
    """Remove what is stored for `provider`. Raises `ConfigError` if nothing is."""
    origin, path = _file()
    key: Key = ("providers", provider, *(setting.split(".", 1) if setting else ()))
    with alone_in(path.parent):
        check_privacy(path)
        before = Situation.now(lenient=True)
        file = TomlFile(path)
        try:
            at(file.table, key)
        except KeyError:
            raise ConfigError(_not_stored(provider, path, file, before)) from None
        changed = file.without(key)
        after = before.with_file(origin, tomllib.loads(changed))
        write(file.path, changed, mode=PRIVATE)
    what = f"the {setting} of {provider}" if setting else f"what was stored for {provider}"
    tell(key, origin, after, changed=True, as_json=as_json, said=f"{what} is not stored any more", removed=True)


def secrets_of(spec: ProviderSpec[Any]) -> list[str]:
    """The settings of a provider that hold a key or keys, its main one first."""
    found = [name for name in spec.config.model_fields if is_secret(spec, name)]
    return sorted(found, key=lambda name: (name != "api_key", name not in spec.env_keys))


def is_table(spec: ProviderSpec[Any], setting: str) -> bool:
    """Whether the setting holds several secrets by name, such as headers."""
    return "Mapping" in str(spec.config.model_fields[setting].annotation) or "dict" in str(
        spec.config.model_fields[setting].annotation
    )


def _chosen(provider: str, spec: ProviderSpec[Any], setting: str | None) -> Key:
    """Which setting the key is for. Raises `ConfigError` if that is not plain."""
    known = secrets_of(spec)
    if not known:
        raise ConfigError("it takes no key", provider=provider)
    if setting is None:
        main = [name for name in known if name == "api_key"] or [n for n in known if not is_table(spec, n)]
        if len(main) != 1:
            raise ConfigError(f"it has several keys: choose with --setting, of {', '.join(known)}", provider=provider)
        return (main[0],)
    name, dot, inside = setting.partition(".")
    if name not in known:
        there = f"it has {', '.join(known)}{did_you_mean(name, known)}"
        raise ConfigError(f"{name!r} holds no key: {there}", provider=provider)
    if is_table(spec, name) != bool(dot and inside):
        form = f"--setting {name}.NAME" if is_table(spec, name) else f"--setting {name}"
        raise ConfigError(f"{setting!r} names no key: write {form}", provider=provider)
    return (name, inside) if dot else (name,)


def _read(provider: str, setting: str) -> str:
    """The key, from whoever types it unseen, or from a pipe."""
    stdin = sys.stdin
    if stdin is None:  # pyright: ignore[reportUnnecessaryComparison]  (closed by the shell: ``<&-``)
        raise click.UsageError("there is no stdin to read the key from")
    if stdin.isatty():
        try:
            return click.prompt(f"{setting} of {provider} (not shown)", hide_input=True, err=True).strip()
        except click.Abort:
            raise KeyboardInterrupt from None
    try:
        text = stdin.buffer.read(LONGEST).decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise click.UsageError("what was piped in is no key: it is not text") from None
    if not text:
        raise click.UsageError(
            f"stdin was empty: pipe the key in, or run `pointsman keys set {provider}` on a terminal"
        )
    return text


def _host(provider: str, spec: ProviderSpec[Any], situation: Situation) -> str:
    try:
        return collect(provider, spec, situation.settings, situation.roster.names).host
    except ConfigError:
        return ""  # An address that is none is not this machine.


def _file() -> tuple[Origin, Path]:
    path = keys_file(os.environ)
    return Origin(KEYS_FILE, str(path)), path


def _not_stored(provider: str, path: Path, file: TomlFile, situation: Situation) -> str:
    try:
        stored = list(at(file.table, ("providers",)))
    except KeyError:
        stored = []
    meant = did_you_mean(provider, [one for one in stored if one != provider])
    said = f"the keys file {path} holds no such key of {provider}{meant}"
    try:
        elsewhere = find_origin(provider, secrets_of(situation.roster.declared(provider).spec), situation)
    except PointsmanError:
        elsewhere = None
    return f"{said}. The one in force comes from {elsewhere}" if elsewhere else said

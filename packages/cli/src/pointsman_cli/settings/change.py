"""Changing one setting: the whole result is checked first, and written only if it brings nothing new that is wrong."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from pointsman import ConfigError, PointsmanError
from pointsman.config import Origin, Settings
from pointsman.config.layers import Key
from pointsman.config.providers import read_text
from pointsman.config.settings import NAMED, POLICY

from ..as_json import dumps
from ..listing import say
from ..terminal import out
from .names import Setting, checked, depth_of, dotted, holds_a_key, in_force, model_of, parse
from .show import find, missing_file, own_file, written
from .situation import Situation, unheard
from .toml_file import TomlFile, alone_in, at, write

PROJECT_MODE = 0o644
"""A project's file is for everybody who works on it."""


def set_setting(name: str, text: str, *, project: bool, as_json: bool) -> None:
    """Write one value. Raises `ConfigError` for a name that is none, and for a value that does not fit."""
    origin, path = own_file(project=project)
    with alone_in(path.resolve().parent):
        before = Situation.now(lenient=True)
        file = TomlFile(path)
        key = parse(name)
        checked(key, before, whole_tables=_may_be_whole(key) and _table(text) is not None)
        usable(before)
        if holds_a_key(key, before):
            raise ConfigError(
                f"{dotted(key)} is a secret: {keys_set(key)} asks for it, and keeps it where only you read"
            )
        changed, value = _fitting(file, origin, key, text, before)
        after = before.with_file(origin, tomllib.loads(changed))
        done = changed != file.text
        if done:
            write(file.path, changed, mode=new_mode(file.path, project=project))
    tell(key, origin, after, changed=done, as_json=as_json, said=f"{dotted(key)} = {_said(value, text)}")


def unset_setting(name: str, *, project: bool, as_json: bool) -> None:
    """Remove one value, or a whole table. Raises `ConfigError` if it is not in that file."""
    origin, path = own_file(project=project)
    with alone_in(path.resolve().parent):
        before = Situation.now(lenient=True)
        file = TomlFile(path)
        if not file.path.exists():
            raise missing_file(origin)
        key = parse(name)
        try:
            at(file.table, key)
        except KeyError:
            checked(key, before, whole_tables=True)
            raise ConfigError(f"{dotted(key)} is not set in {path}{_elsewhere(key, before)}") from None
        changed = file.without(key)
        after = before.with_file(origin, tomllib.loads(changed))
        if before.usable:  # Else there was worse, and this may be the first step out of it.
            refuse_new_problems(before, after)
        write(file.path, changed)
    tell(key, origin, after, changed=True, as_json=as_json, said=f"{dotted(key)} is not set any more", removed=True)


def usable(situation: Situation) -> Situation:
    """`situation`, if its settings can be looked at one by one. Raises `ConfigError`."""
    if not situation.usable:
        raise ConfigError(f"{situation.problems()[0]}. Mend that first: pointsman config edit, or unset")
    return situation


def refuse_new_problems(before: Situation, after: Situation) -> None:
    """Raises `ConfigError` for what would be wrong and is not now."""
    known = {part for problem in before.problems() for part in problem.split("; ")}  # One may tell of several.
    fresh = [problem for problem in after.problems() if not known.issuperset(problem.split("; "))]
    if fresh:
        raise ConfigError(f"nothing was written: {'; '.join(fresh)}")


def new_mode(path: Path, *, project: bool) -> int | None:
    """The mode of a file that is to be made; None for one that is there, which keeps its own."""
    return PROJECT_MODE if project and not path.exists() else None


def tell(
    key: Key, origin: Origin, after: Situation, *, changed: bool, as_json: bool, said: str, removed: bool = False
) -> None:
    """What was done, and whether it is in force."""
    settings = _now(key, after)
    setting = settings[0] if settings else None
    if as_json:
        shown = [one.as_json() for one in settings]
        out(dumps({"file": origin.where, "changed": changed, "settings": shown}))
    else:
        say(f"{origin.where}: {said}" if changed else f"{origin.where} says so already: {said}")
    _tell_shadow("It", setting, origin, removed=removed)
    if key == ("routing", "targets") and not removed:
        for name in _strangers(setting, after):
            say(f"No provider is called {name} yet: pointsman config set providers.{name}.plugin ..., or correct it.")
    if key == ("routing", "policy") and not removed and (trouble := _untried(after)):
        say(f"As it stands, no call that names no model can be made: {trouble}")
    if key[0] == "providers" and len(key) > 1:
        with unheard():
            lack = _lack(key[1], after)
        if lack:
            say(f"{key[1]} is not ready{'' if removed else ' yet'}: {lack}")


def tell_shadow(key: Key, origin: Origin, after: Situation, *, removed: bool = False) -> None:
    """Say where a nearer place than the file that was written to decides about `key`."""
    settings = _now(key, after)
    _tell_shadow(dotted(key), settings[0] if settings else None, origin, removed=removed)


def _tell_shadow(name: str, setting: Setting | None, origin: Origin, *, removed: bool) -> None:
    if setting and said_nearer(setting.origin, origin):
        shadow = f"{name} is set still" if removed else f"{name} has no effect here"
        unset = f"; unset {setting.origin.where} to use it" if setting.origin.kind == "environment" else ""
        say(f"{shadow}: {setting.origin} {'says so' if removed else f'goes before it{unset}'}.")


def _strangers(setting: Setting | None, situation: Situation) -> list[str]:
    """Who is named in [routing] targets, and is nobody."""
    targets: list[str] = setting.value if setting is not None else []
    try:
        known = situation.roster.names
    except PointsmanError:  # Of [plugins], which is told otherwise.
        return []
    return [name for name in dict.fromkeys(one.partition("/")[0] for one in targets) if name not in known]


def _untried(situation: Situation) -> PointsmanError | None:
    """Why the policy cannot decide."""
    try:
        return situation.policy.trouble
    except PointsmanError:  # Of [plugins], which is told otherwise.
        return None


def said_nearer(found: Origin, wrote: Origin) -> bool:
    """Whether another place than the one that was written to decides."""
    return found != wrote and found.kind != "default"


def _lack(name: str, situation: Situation) -> str | None:
    try:
        if name in situation.roster.names:
            situation.roster.configured(name)
    except PointsmanError as error:
        return error.message.removeprefix(f"{name}: ")
    return None


def _fitting(file: TomlFile, origin: Origin, key: Key, text: str, before: Situation) -> tuple[str, Any]:
    """The new text of the file, and the value in it: `text` in the first form in which the setting takes it."""
    refused: ConfigError | None = None
    for value in _forms(key, text, before):
        try:
            changed = file.with_value(key, value)
            table = tomllib.loads(changed)
            refuse_new_problems(before, before.with_file(origin, table))
            known = _complaints(key, origin, file.table, before)
            if fresh := [one for one in _complaints(key, origin, table, before) if one not in known]:
                raise ConfigError("; ".join(fresh))
        except ConfigError as error:
            refused = refused or error
        else:
            return changed, value
    assert refused is not None
    if key[0] == "prices" and len(key) == depth_of(key) and key[1] not in before.settings.prices:
        begun = (
            f"a new price is written at once: pointsman config set '{dotted(key[:2])}' '{{ input = 1, output = 4 }}'"
        )
        raise ConfigError(f"{refused.message}; {begun}")
    raise refused


def _complaints(key: Key, origin: Origin, table: Mapping[str, Any], situation: Situation) -> list[str]:
    """What is wrong with the key's section in this file, also where a nearer place decides now, and this one later."""
    alone = Settings.layered([(origin, table)], {})
    try:
        if key[0] == POLICY:
            if model := situation.policy.model:
                alone.policy(model)
        elif key[0] != "providers":
            getattr(alone, key[0])
    except ConfigError as error:
        return error.message.split("; ")
    return []


def _forms(key: Key, text: str, situation: Situation) -> list[Any]:
    """What `text` may mean, likeliest first: a number or a switch, a list or a table, itself."""
    if len(key) < depth_of(key):
        return [_table(text)]
    if text.strip() == "[]":  # As an empty list is shown. Others are divided by commas, without brackets.
        return [cast("list[str]", []), text]
    model = model_of(key, situation)
    read = text if model is None or len(key) > depth_of(key) else read_text(model, key[-1], text)
    if model is not None and isinstance(getattr(model.model_fields.get(key[-1]), "default", None), tuple):
        read = [part.strip() for part in text.split(",") if part.strip()]
    if not isinstance(read, str):
        return [dict(cast("Mapping[str, Any]", read)) if isinstance(read, Mapping) else read]
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, ValueError, RecursionError):
        return [text]
    return [value, text] if not isinstance(value, str) else [text]


def _may_be_whole(key: Key) -> bool:
    """Whether it is a table that may be written as a whole: a limit, a price, of which half is none, a policy's."""
    return (key[0] in NAMED and len(key) == 2) or (key[0] == POLICY and len(key) > 1)


def _table(text: str) -> dict[str, Any] | None:
    """The inline table that `text` writes; None if it is none."""
    try:
        value: Any = tomllib.loads(f"value = {text}")["value"] if text.lstrip().startswith("{") else None
    except (tomllib.TOMLDecodeError, ValueError, RecursionError):
        return None
    return cast("dict[str, Any] | None", value)


def _said(value: Any, text: str) -> str:
    return text.strip() if isinstance(value, dict) else written(value)


def _now(key: Key, situation: Situation) -> list[Setting]:
    """What is in force of it: of a limit or a price as a whole all of its settings."""
    try:
        if _may_be_whole(key):
            return [one for one in in_force(situation) if one.key[: len(key)] == key]
        return [find(dotted(key), situation)]
    except PointsmanError:  # What else is wrong is not this setting's affair, and it may be a table.
        return []


def _elsewhere(key: Key, situation: Situation) -> str:
    found = [one.origin for one in _now(key, situation) if one.origin.kind != "default"]
    return f": it comes from {found[0]}" if found else ""


def keys_set(key: Key) -> str:
    """The command that stores the secret `key`."""
    setting = dotted(key[2:])
    return f"pointsman keys set {key[1]}{'' if setting == 'api_key' else f' --setting {setting}'}"

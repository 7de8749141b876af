"""Changing several settings of one provider at once: all of them are written, or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from pointsman import ConfigError
from pointsman.config.layers import Key

from .change import keys_set, refuse_new_problems, tell_shadow, usable
from .names import checked, dotted, holds_a_key
from .show import own_file
from .situation import Situation
from .toml_file import TomlFile, alone_in, at, write


def store_settings(provider: str, values: Mapping[str, Any]) -> str:
    """Write `values` into the user's file, and remove those that are None. The file that was written to.

    Raises `ConfigError` for a provider or a setting that is not there, a secret, a value that does not fit, and a file
    that cannot be changed without harm. Nothing is written then.
    """
    origin, path = own_file(project=False)
    keys: dict[Key, Any] = {("providers", provider, name): _plain(name, value) for name, value in values.items()}
    with alone_in(path.resolve().parent):
        before = usable(Situation.now(lenient=True))
        file = changed = TomlFile(path)
        for key, value in keys.items():
            if value is not None:
                changed = changed.holding(changed.with_value(key, value))
            elif _is_in(changed.table, key):
                changed = changed.holding(changed.without(key))
        after = before.with_file(origin, changed.table)
        for key in keys:
            checked(key, after)  # Against what is written: a provider may be new, and say its plugin here.
            if holds_a_key(key, after):
                raise ConfigError(f"{dotted(key)} is a secret, and belongs into the keys file: {keys_set(key)}")
        refuse_new_problems(before, after)
        if changed.text != file.text:
            write(file.path, changed.text)
    for key, value in keys.items():
        tell_shadow(key, origin, after, removed=value is None)
    return origin.where


def _is_in(table: Mapping[str, Any], key: Key) -> bool:
    try:
        at(table, key)
    except KeyError:
        return False
    return True


def _plain(name: str, value: Any) -> Any:
    """`value` as TOML has it. Raises `ConfigError` for what it has not."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case list() | tuple():
            return [_plain(name, one) for one in cast("Sequence[Any]", value) if one is not None]
        case Mapping():
            return {str(key): _plain(name, one) for key, one in cast("Mapping[Any, Any]", value).items()}
        case _:
            raise ConfigError(f"{name}: a file of settings has no {type(value).__name__}: give a text or a number")

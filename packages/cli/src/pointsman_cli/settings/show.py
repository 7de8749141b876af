"""Settings as they are in force, shown; a secret is not."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from pointsman import ConfigError
from pointsman.config import Origin
from pointsman.config.layers import KEYS_FILE, PROJECT_FILE, USER_FILE
from pointsman.config.settings import files

from ..as_json import dumps
from ..listing import wrapped
from ..terminal import harmless, is_terminal, note, out, show, styled, width
from .names import Setting, checked, dotted, in_force, parse
from .situation import Situation
from .toml_file import at


def show_settings(*, as_json: bool) -> None:
    """All of them. Raises `ConfigError` if what is set is not fit to be in force."""
    situation = Situation.now()
    settings = list(in_force(situation))
    if as_json:
        out(dumps({"settings": [one.as_json() for one in settings]}))
    else:
        _show(settings)
    for problem in situation.problems():
        note(f"Wrong: {problem}")


def show_setting(text: str, *, as_json: bool) -> None:
    """One of them. Raises `ConfigError` if there is none of that name."""
    situation = Situation.now()
    found = find(text, situation)
    if as_json:
        out(dumps({"settings": [found.as_json()]}))
        return
    if found.value is not None:
        out(written(found.value))
    if found.secret:
        note("A secret is not shown.")


def find(text: str, situation: Situation) -> Setting:
    """The setting that `text` names, as it is in force."""
    key = checked(parse(text), situation)
    for one in in_force(situation):
        if one.key == key:
            return one
        if one.key == key[: len(one.key)]:
            try:
                value = at({"": one.value}, ("", *key[len(one.key) :]))
            except KeyError:
                break
            return Setting(key=key, value=value, origin=one.origin, secret=one.secret)
    return Setting(key=key, value=None, origin=Origin("default"))


def show_paths(*, project: bool, as_json: bool) -> None:
    """Where the files are."""
    if as_json:
        out(dumps({"files": [_file(origin) for origin in files(os.environ)]}))
    else:
        out(str(own_file(project=project)[1]))


def show_keys_path(*, as_json: bool) -> None:
    """Where keys are kept."""
    (origin,) = [one for one in files(os.environ) if one.kind == KEYS_FILE]
    out(dumps({"files": [_file(origin)]}) if as_json else origin.where)


def own_file(*, project: bool) -> tuple[Origin, Path]:
    """The file that is changed: the user's, or the project's, which is made here if there is none above."""
    kind = PROJECT_FILE if project else USER_FILE
    for origin in files(os.environ):
        if origin.kind == kind:
            return origin, Path(origin.where)
    path = Path.cwd() / "pointsman.toml"
    return Origin(PROJECT_FILE, str(path)), path


def written(value: Any) -> str:
    """A value as `config set` takes it."""
    if isinstance(value, list):
        return ",".join(map(written, cast(list[Any], value)))
    if isinstance(value, bool | dict):
        return dumps(cast(dict[str, Any], value)) if isinstance(value, dict) else str(value).lower()
    return str(value)


def _show(settings: Sequence[Setting]) -> None:
    """A line for each, or two where it is too narrow for that; into a pipe always one, divided by tabs."""
    lines = [(dotted(one.key), _value(one), str(one.origin)) for one in settings]
    if not is_terminal(sys.stdout):
        for line in lines:
            out("\t".join(line))
        return
    heads = [f"{name} = {value}" for name, value, _ in lines]
    column = max((len(head) for head in heads if len(head) <= width() * 0.6), default=0)
    for head, (_, _, origin) in zip(heads, lines, strict=True):
        show(styled(f"{head:<{column}}", sys.stdout))
        beside = max(len(head), column) + 2 + len(origin) <= width(most=200)
        show(styled(f"  {origin}" if beside else f"\n{wrapped(harmless(origin), '    ')}", sys.stdout, dim=True) + "\n")


def _value(one: Setting) -> str:
    if one.value is None:
        return "-"
    if one.value in ([], {}, ""):
        return json.dumps(one.value)  # As TOML has it, too; `written` would be nothing at all.
    return harmless(written(one.value))


def _file(origin: Origin) -> dict[str, Any]:
    return {"kind": origin.kind, "path": origin.where, "exists": Path(origin.where).exists()}


def missing_file(origin: Origin) -> ConfigError:
    """There is nothing in a file that is not there."""
    return ConfigError(f"{origin.where} does not exist: nothing is set there")

"""A settings file in the user's editor. What is wrong afterwards is never put in force without a word."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from pointsman import ConfigError
from pointsman.config.layers import read_toml

from ..as_json import dumps
from ..terminal import is_terminal, note, out
from .change import new_mode, refuse_new_problems
from .show import own_file
from .situation import Situation
from .toml_file import write

TEMPLATE = "# Settings of Pointsman. `pointsman config` shows which there are, and what holds without this file.\n"


def edit_settings(*, project: bool, as_json: bool) -> None:
    """Let the user edit a copy, check it, and put it in its place. Raises `ConfigError` for one that is wrong."""
    origin, path = own_file(project=project)
    path = path.resolve()
    old = _text(path)
    before = Situation.now(lenient=True)
    with tempfile.TemporaryDirectory() as folder:  # The user's alone, as the file may be.
        copy = Path(folder) / path.name
        copy.write_bytes(old if old is not None else TEMPLATE.encode())
        start = copy.read_bytes()
        while True:
            _edit(copy)
            new = copy.read_bytes()
            if new == start:
                break
            try:
                refuse_new_problems(before, before.with_file(origin, _table(copy, path)))
                break
            except ConfigError as error:
                if is_terminal(sys.stdin) and is_terminal(sys.stderr):
                    note(str(error))
                    if click.confirm("Edit it again?", default=True, err=True):
                        continue
                aside = path.with_name(f"{path.name}.rejected")
                write(aside, new, mode=0o600)
                raise ConfigError(f"{error.message}. {path} is as it was; what you wrote is in {aside}") from None
    changed = new != start
    if changed and _text(path) != old:
        aside = path.with_name(f"{path.name}.rejected")
        write(aside, new, mode=0o600)
        raise ConfigError(f"{path} was changed by somebody else meanwhile, and is as they left it; yours is in {aside}")
    if changed:
        write(path, new, mode=new_mode(path, project=project))
    if as_json:
        out(dumps({"file": str(path), "changed": changed, "settings": []}))
    else:
        note(f"{path} is changed." if changed else f"{path} is as it was.")


def _text(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error


def _table(copy: Path, path: Path) -> dict[str, object]:
    """What the copy says; a mistake in it is told of the file that it is to be."""
    try:
        return read_toml(copy)
    except ConfigError as error:
        raise ConfigError(error.message.replace(str(copy), path.name)) from None


def _edit(copy: Path) -> None:
    chosen = os.environ.get("VISUAL") or os.environ.get("EDITOR") or ("notepad" if os.name == "nt" else "vi")
    try:
        done = subprocess.run([*shlex.split(chosen), str(copy)], check=False)  # noqa: S603  (the user's own choice)
    except (OSError, ValueError) as error:
        raise ConfigError(f"the editor {chosen!r} cannot be started: {error}. Set EDITOR to another") from None
    if done.returncode:
        raise ConfigError(f"the editor {chosen!r} ended with {done.returncode}: nothing was changed")

"""Checks of this machine: Python, packages, files, proxies, the terminal."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from pointsman.config import without_password
from pointsman.config.layers import KEYS_FILE, PROJECT_FILE
from pointsman.config.settings import files as all_files

from ..advice import mend
from ..plugins.versions import misfit, ours
from ..settings.names import dotted, holds_a_key
from ..settings.situation import Situation
from ..terminal import colours, is_terminal, width
from .findings import Check

PROXIES = ("http_proxy", "https_proxy", "all_proxy")


def python() -> Iterator[Check]:
    yield Check("python", "ok", f"{platform.python_version()} on {platform.system()}, {sys.executable}")


def packages() -> Iterator[Check]:
    """Every distribution of ours, and of names like ours, with what it asks for."""
    found = ours()
    misfits = {name: why for name in found if (why := misfit(name))}
    fine = ", ".join(f"{name} {version}" for name, version in found.items() if name not in misfits)
    if fine:
        yield Check("packages", "ok", fine)
    for name, why in misfits.items():
        yield Check("packages", "fail", f"{name} {found[name]}: {why}", f"pip install --upgrade {name} pointsman")


def files(situation: Situation) -> Iterator[Check]:
    """Files of settings: whether they are there, can be read, and are nobody else's to read or to change."""
    for place, error in situation.unread.items():
        kind = "keys file" if place.endswith("keys.toml") else "file"
        advice = (
            mend(error, [origin for origin in all_files(situation.environ) if origin.where == place]) or f"mend {place}"
        )
        yield Check(kind, "fail", error.message, advice)
    for origin, table in situation.layers:
        path = Path(origin.where)
        if not path.exists():
            if situation.environ.get("POINTSMAN_CONFIG") and origin.kind != KEYS_FILE:
                said = f"POINTSMAN_CONFIG names {path}, which does not exist"
                yield Check(origin.kind, "fail", said, "create it, or unset POINTSMAN_CONFIG")
            else:
                yield Check(origin.kind, "ok", f"{path}: not there, and need not be")
            continue
        warnings = list(_privacy(origin.kind, path, table, situation))
        yield from warnings
        if not warnings:
            yield Check(origin.kind, "ok", f"{path}{_mode(path)}")


def _privacy(kind: str, path: Path, table: Mapping[str, Any], situation: Situation) -> Iterator[Check]:
    secrets = _secrets(table, situation)
    mode = path.stat().st_mode if os.name == "posix" else 0
    if kind == PROJECT_FILE and secrets:
        said = f"{path} holds {', '.join(secrets)}: a project's file is read by whoever gets the project"
        command = f"pointsman keys set {secrets[0].split('.')[1]}"
        if secrets[0] == "ledger.url":
            command = "export POINTSMAN_LEDGER_URL=..."
        yield Check(kind, "warn", said, f"{command}, and remove it there")
    elif secrets and mode & 0o077 and kind != KEYS_FILE:
        said = f"{path} holds {', '.join(secrets)}, and others can read it"
        yield Check(kind, "warn", said, f"chmod 600 {path}")
    if mode & 0o022:
        yield Check(kind, "warn", f"{path} can be changed by others (mode {mode & 0o777:03o})", f"chmod go-w {path}")


def _secrets(table: Mapping[str, Any], situation: Situation) -> list[str]:
    """The settings in a file that hold a key, by name."""
    found: list[str] = []
    match table.get("ledger"):
        case {"url": str(url)} if without_password(url) != url:
            found.append("ledger.url")
        case _:
            pass
    providers = table.get("providers")
    if not isinstance(providers, Mapping):
        return found
    for name, settings in cast(Mapping[str, Any], providers).items():
        if isinstance(settings, Mapping):
            keys = [("providers", name, setting) for setting in cast(Mapping[str, Any], settings)]
            found += [dotted(key) for key in keys if holds_a_key(key, situation)]
    return found


def _mode(path: Path) -> str:
    return f" (mode {path.stat().st_mode & 0o777:03o})" if os.name == "posix" else ""


def proxies(environ: Mapping[str, str]) -> Iterator[Check]:
    """What stands between this machine and the vendors. Servers on this machine are asked directly in any case."""
    found = {name: text for name, text in environ.items() if name.lower() in PROXIES and text.strip()}
    if not found:
        yield Check("proxies", "ok", "none: the vendors are asked directly")
    for name, text in sorted(found.items()):
        try:
            parts = urlsplit(text.strip())
            place = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname or ""
        except ValueError:
            place, parts = "", urlsplit("")
        if not parts.scheme or not place:
            yield Check("proxies", "fail", f"{name} is not an address", f"export {name}=http://HOST:PORT, or unset it")
        else:
            without = environ.get("NO_PROXY") or environ.get("no_proxy")
            said = f", except for {without}" if without else ""
            yield Check("proxies", "ok", f"{name} leads through {place}{said}")


def terminal(environ: Mapping[str, str]) -> Iterator[Check]:
    """What output looks like here."""
    encoding = (sys.stdout.encoding or "ascii").lower()
    if not is_terminal(sys.stdout):
        said = "stdout is no terminal: no colours, and lines as long as they are"
    else:
        why = "NO_COLOR" if environ.get("NO_COLOR") else f"TERM={environ.get('TERM', '')}"
        said = f"{width(most=10_000)} columns, {'colours' if colours(sys.stdout) else f'no colours ({why})'}"
    if encoding.replace("-", "").replace("_", "") in ("utf8", "utf8sig"):
        yield Check("terminal", "ok", f"{said}, {encoding}")
    else:
        said = f"{said}, {encoding}: what it cannot show becomes ?"
        yield Check("terminal", "warn", said, "export PYTHONUTF8=1, or choose a UTF-8 locale")

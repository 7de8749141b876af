"""What Blaxel's own command has put down: ``~/.blaxel/config.yaml``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from pointsman import ConfigError

_KEYS = {"api_key": "apiKey", "client_credentials": "clientCredentials"}
_KEY_VARIABLES = (
    "BL_API_KEY",
    "POINTSMAN_BLAXEL_API_KEY",
    "BL_CLIENT_CREDENTIALS",
    "POINTSMAN_BLAXEL_CLIENT_CREDENTIALS",
)
_WORKSPACE_VARIABLES = ("POINTSMAN_BLAXEL_WORKSPACE", "BL_WORKSPACE")
_MOST_BYTES = 1024 * 1024


def stored(environ: Mapping[str, str]) -> Mapping[str, tuple[str, str]]:
    """The workspace that was chosen last, unless `environ` names one, and that workspace's key.

    No key where `environ` has one, of either kind: it goes before this file whole. The tokens of a login in the browser
    are not taken: they last for hours, and only Blaxel's command can renew them. Raises `ConfigError` for a file that
    cannot be read, without anything that it holds.
    """
    has_key, named = _first(environ, _KEY_VARIABLES), _first(environ, _WORKSPACE_VARIABLES)
    home = environ.get("HOME") or environ.get("USERPROFILE")
    if not home or (has_key and named):
        return {}
    path = Path(home) / ".blaxel" / "config.yaml"
    where = os.path.join("~", ".blaxel", "config.yaml")
    config = _read(path, where)
    workspace = named or _text(_fields(config.get("context")).get("workspace"))
    found: dict[str, tuple[str, str]] = {}
    if workspace:
        found["workspace"] = (workspace, where)
    workspaces = [_fields(one) for one in _items(config.get("workspaces"))]
    entries = [one for one in workspaces if workspace and _text(one.get("name")) == workspace]
    credentials = _fields(entries[0].get("credentials") if entries else None)
    for setting, name in () if has_key else _KEYS.items():
        if value := _text(credentials.get(name)):
            found[setting] = (value, where)
            break
    return found


def _read(path: Path, where: str) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{where} cannot be read: {error.strerror or error}", provider="blaxel") from None
    if len(content) > _MOST_BYTES:
        raise ConfigError(f"{where} is longer than {_MOST_BYTES} bytes", provider="blaxel")
    import yaml  # type: ignore[import-untyped]  # Where there is a file, and not before: it takes some 15 ms.

    try:
        return _fields(yaml.safe_load(content))
    except (yaml.YAMLError, UnicodeError, ValueError, RecursionError):
        problem = f"{where} is no YAML: run `bl login` anew, or move it away and set BL_API_KEY and BL_WORKSPACE"
    raise ConfigError(problem, provider="blaxel")  # Not from YAML's error: that one quotes the file, and so the keys.


def _first(environ: Mapping[str, str], names: Sequence[str]) -> str:
    return next((text for name in names if (text := environ.get(name, "").strip())), "")


def _fields(value: Any) -> Mapping[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _items(value: Any) -> Sequence[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else ()


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""

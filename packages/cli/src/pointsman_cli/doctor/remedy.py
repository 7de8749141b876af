"""What to do about a wrong setting, in the place that it comes from: `pointsman config` has a file to write to."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from pointsman import Settings
from pointsman.config import Origin
from pointsman.config.layers import PROJECT_FILE, Key
from pointsman.config.settings import POLICY

from ..settings.names import dotted


def set_command(key: Key, origin: Origin | None, value: str = "VALUE") -> str:
    """The command that sets `key` anew where it was set."""
    return f"pointsman config set{_where(origin)} {shlex.quote(dotted(key))} {value}"


def unset_command(key: Key, origin: Origin | None) -> str:
    """The command that takes `key` out of where it was set."""
    return f"pointsman config unset{_where(origin)} {shlex.quote(dotted(key))}"


def remedy(said: str, settings: Settings, provider: str = "") -> str:
    """What to do about `said`, what is wrong with `settings`; with those of a provider, if it is named."""
    advice = [_advice(key, origin, said) for key, origin in _meant(said, settings, provider)]
    named = re.findall(r"\((?:from )?environment (\w+)\)", said)
    return "; ".join(dict.fromkeys([*advice, *(f"correct {variable}, or unset it" for variable in named)]))


def _advice(key: Key, origin: Origin, said: str) -> str:
    unset = unset_command(key, origin)
    unknown = f"has no setting {key[-1]!r}" in said or f"no setting is called {key[-1]!r}" in said
    unknown = unknown or (key[0] == POLICY and said.endswith("has no settings"))
    return unset if unknown or (key[0] == "limits" and len(key) == 2) else f"{set_command(key, origin)}, or {unset}"


def _meant(said: str, settings: Settings, provider: str) -> Iterator[tuple[Key, Origin]]:
    """The settings in files that `said` names together with where they come from."""
    for path, value in settings:
        origin = value.origin
        if path[0] == POLICY:
            yield from ((key, origin) for key in _of_policy(said, path, origin))
            continue
        if path[0] == "providers":
            key, mine = path[:3], bool(provider) and path[1] == provider
        else:
            header = f'[limits."{path[1]}"]' if path[0] == "limits" else f"[{path[0]}]"
            key, mine = path, not provider and header in said
            if path[0] == "limits" and said.startswith(f"{header}: "):
                yield path[:2], origin
                continue
        if mine and origin.kind != "environment" and _is_named(key, origin, said):
            yield key, origin


def _of_policy(said: str, path: Key, origin: Origin) -> Iterator[Key]:
    """The setting, or the table above it, that `said` names."""
    for length in range(2, len(path) + 1):
        key = path[:length]
        headers = "[policy] " in said or f"[{'.'.join(key[:-1])}] " in said
        if headers and origin.kind != "environment" and _is_named(key, origin, said):
            yield key


def _is_named(key: Key, origin: Origin, said: str) -> bool:
    named = rf"(?<!\w){re.escape(key[-1])}'? (?:\((?:from )?|from ){re.escape(str(origin))}(?:\)|:| )"
    return re.search(named, said) is not None


def _where(origin: Origin | None) -> str:
    return " --project" if origin is not None and origin.kind == PROJECT_FILE else ""

"""What to do next, where that depends on the place that a setting comes from, or on what its provider is."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any

from pointsman import ConfigError, PointsmanError, ProviderSpec
from pointsman.config import Origin
from pointsman.config.layers import KEYS_FILE, PROJECT_FILE, USER_FILE
from pointsman.config.providers import collect, is_secret
from pointsman.engine.roster import Roster
from pointsman.plugins import Kind

from .settings.names import dotted

_UNKNOWN = re.compile(r"no provider is called '([a-z0-9][a-z0-9.-]*)'")


def store_command(provider: str, setting: str = "api_key") -> str:
    """The command that stores a key."""
    return f"pointsman keys set {provider}{'' if setting == 'api_key' else f' --setting {setting}'}"


def set_commands(provider: str, settings: Iterable[str], spec: ProviderSpec[Any]) -> str:
    """The commands that give a provider what it lacks."""
    return "; ".join(
        store_command(provider, one)
        if is_secret(spec, one)
        else f"pointsman config set {dotted(('providers', provider, one))} VALUE"
        for one in settings
    )


def missing(said: str) -> list[str]:
    """The settings that `said`, about a provider that is not ready, calls missing."""
    return re.findall(r"(?:^|; )no (\w+): set ", said)


def another_key(provider: str, keys: Mapping[str, Origin], vendors: Collection[str] = ()) -> str:
    """How the key of a provider is replaced by one that works. `keys` are those that it has, by setting.

    `vendors` are the settings for which the vendor has variables of its own: without an ``api_key`` among them, all are
    what it takes. What is stored does not go before the environment, nor before the project's file.
    """
    if vendors and "api_key" not in vendors:
        settings = [*(one for one in keys if one == "api_key"), *vendors]
    else:
        settings = [next((one for one in ("api_key", *keys) if one in keys), "api_key")]
    return "; ".join(_another(provider, setting, keys.get(setting)) for setting in settings)


def _another(provider: str, setting: str, origin: Origin | None) -> str:
    command = store_command(provider, setting)
    if origin is None or not origin.where or origin.kind == KEYS_FILE:
        return command
    if origin.kind == "environment":
        return f"put a working key into {origin.where}, or unset it and: {command}"
    return f"put a working key into {origin.where}, or remove it there and: {command}"


def keys_of(name: str, roster: Roster) -> dict[str, Origin]:
    """Where the keys of a provider come from, by setting."""
    try:
        spec = roster.declared(name).spec
        values = collect(name, spec, roster.settings, roster.names).values
    except PointsmanError:
        return {}
    return {setting: value.origin for setting, value in values.items() if is_secret(spec, setting)}


def unfit_key(said: str, keys: Mapping[str, Origin]) -> dict[str, Origin]:
    """The one of `keys` that `said`, about a wrong setting, is about; none if it is about something else."""
    return {
        setting: origin
        for setting, origin in keys.items()
        if said.startswith((f"{setting} from {origin} is ", f"{setting} from {origin} contains "))
        and " is not sent to " not in said
    }


def mend(error: ConfigError, places: Iterable[Origin]) -> str | None:
    """What makes one of the files `places` readable again, if it is one of them that `error` is about."""
    origin = next((one for one in places if error.message.startswith(f"{one.where} ")), None)
    if origin is None:
        return None
    if "chmod" in error.message:
        return error.message.rpartition(": ")[2]
    if "cannot be read: it is not UTF-8" not in error.message and "cannot be read" in error.message:
        return f"make {origin.where} a file that you can read, or move it away"
    match origin.kind:
        case kind if kind == USER_FILE:
            return "pointsman config edit"
        case kind if kind == PROJECT_FILE:
            return "pointsman config edit --project"
        case _:
            return f"mend {origin.where} in an editor, or remove it and store the keys anew: pointsman keys set NAME"


def install(error: ConfigError, roster: Roster | None) -> str | None:
    """How one gets the provider that `error` calls unknown, which may be there by another name."""
    name = unknown_provider(error)
    if name is None or "did you mean" in error.message:
        return None
    if roster is not None and (known := _by_another_name(name, roster)):
        return f"did you mean {known}?"
    return f"if it is a plugin: pip install pointsman-{name}"


def _by_another_name(name: str, roster: Roster) -> str | None:
    """The provider that comes with the distribution, or is served by the host, that is called so."""
    plain = name.removeprefix("pointsman-")
    for info in roster.plugins.infos():
        if info.kind is Kind.PROVIDER and info.name in roster.names:
            if info.distribution in (name, f"pointsman-{name}") or plain == info.name:
                return info.name
            with suppress(PointsmanError):
                if any(plain in host.lower().split(".") for host in roster.declared(info.name).spec.hosts):
                    return info.name
    return None


def unknown_provider(error: ConfigError) -> str | None:
    """The name of the provider that `error` calls unknown."""
    found = _UNKNOWN.match(error.message)
    return found[1] if found else None


def hands_out_keys(spec: ProviderSpec[Any]) -> bool:
    """Whether nobody is answered without a key; of others, the help says how to get a server going."""
    fields = spec.config.model_fields
    return any(setting in fields and fields[setting].is_required() for setting in spec.env_keys)


def start(spec: ProviderSpec[Any]) -> str:
    """How whoever does not answer is got going; empty if that is the vendor's affair."""
    return "" if hands_out_keys(spec) else spec.help

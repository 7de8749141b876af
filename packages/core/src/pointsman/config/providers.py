"""One provider's configuration: its own settings from every layer, its keys, and where those may go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError

from ..errors import ConfigError
from ..provider import ProviderSpec
from .layers import Origin, Value
from .secrets import host_of, unfit
from .settings import Settings


@dataclass(frozen=True, slots=True)
class Configured:
    """A provider that may be opened."""

    name: str
    config: BaseModel
    secrets: Mapping[str, SecretStr]
    origins: Mapping[str, Origin]
    warnings: tuple[str, ...]


def configure(name: str, spec: ProviderSpec[Any], settings: Settings, known: Iterable[str]) -> Configured:
    """The configuration of the provider `name`, whose plugin declares `spec`. `known` are all providers' names.

    Raises `ConfigError`: with `missing` set if all that it lacks is a key or another setting that must be given.
    """
    values = {key: value for key, value in settings.provider(name).items() if key != "plugin"}
    values |= _own_variables(name, settings.environ, known)
    for setting, variable in spec.env_settings.items():
        if setting not in values and settings.environ.get(variable):
            values[setting] = Value(settings.environ[variable], Origin("environment", variable))
    warnings: list[str] = []
    host = _host(spec, values)
    for setting, variable in spec.env_keys.items():
        if setting in values or not settings.environ.get(variable):
            continue
        if host in spec.hosts or _chosen_with_vendors_words(spec, values):
            values[setting] = Value(settings.environ[variable].strip(), Origin("environment", variable))
        else:
            warnings.append(
                f"{name}: {variable} is not sent to {host or 'an unnamed host'}, which base_url names; "
                f"set {own_variable(name, setting)} if it is meant for it"
            )
    try:
        config: BaseModel = spec.config.model_validate({setting: value.value for setting, value in values.items()})
    except ValidationError as error:
        raise _explain(name, spec, values, error, warnings) from None
    secrets = {
        setting: value
        for setting, value in config
        if isinstance(value, SecretStr) and setting in spec.config.model_fields
    }
    for setting, secret in secrets.items():
        if reason := unfit(secret.get_secret_value(), host):
            origin = values[setting].origin if setting in values else Origin("default")
            raise ConfigError(f"{name}: {setting} from {origin} {reason}", provider=name)
    if secrets and "base_url" not in values and host not in spec.hosts:
        raise ConfigError(f"{name}: its plugin would send a key to {host}, which its hosts do not name", provider=name)
    return Configured(name, config, secrets, {key: value.origin for key, value in values.items()}, tuple(warnings))


def own_variable(name: str, setting: str = "") -> str:
    """Our environment variable for a provider's setting."""
    return f"POINTSMAN_{name}_{setting}".upper().replace("-", "_").replace(".", "_")


def _own_variables(name: str, environ: Mapping[str, str], known: Iterable[str]) -> dict[str, Value]:
    """``POINTSMAN_<PROVIDER>_<SETTING>``; where two providers' prefixes fit, the longer one has it."""
    mine = own_variable(name)
    longer = [other for one in known if (other := own_variable(one)).startswith(mine) and other != mine]
    return {
        variable.removeprefix(mine).lower(): Value(text.strip(), Origin("environment", variable))
        for variable, text in environ.items()
        if variable.startswith(mine) and text and not variable.startswith(tuple(longer))
    }


def _host(spec: ProviderSpec[Any], values: Mapping[str, Value]) -> str:
    if "base_url" in values:
        return host_of(str(values["base_url"].value))
    field = spec.config.model_fields.get("base_url")
    return host_of(str(field.default)) if field is not None else ""


def _chosen_with_vendors_words(spec: ProviderSpec[Any], values: Mapping[str, Value]) -> bool:
    """Whether the address, too, comes from the vendor's own variable: its key then belongs to it."""
    variable = spec.env_settings.get("base_url")
    return variable is not None and "base_url" in values and values["base_url"].origin.where == variable


def _explain(
    name: str, spec: ProviderSpec[Any], values: Mapping[str, Value], error: ValidationError, warnings: list[str]
) -> ConfigError:
    """What is wrong, without any value in it: a value may be a key."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    said: list[str] = []
    for problem in problems:
        setting = str(problem["loc"][0]) if problem["loc"] else ""
        if problem["type"] == "missing":
            variables = [one for one in (spec.env_keys.get(setting), spec.env_settings.get(setting)) if one]
            places = " or ".join([*variables, own_variable(name, setting)])
            said.append(f"no {setting}: set {places}, or {setting} under [providers.{name}]")
        elif problem["type"] == "extra_forbidden":
            origin = values[setting].origin if setting in values else "the configuration"
            said.append(f"no setting is called {setting!r} ({origin}): there are {', '.join(spec.config.model_fields)}")
        else:
            origin = values[setting].origin if setting in values else Origin("default")
            said.append(f"{setting} ({origin}): {problem['msg']}")
    text = f"{name}: {'; '.join([*said, *warnings])}"
    missing = all(problem["type"] == "missing" for problem in problems)
    return ConfigError(f"{text}. {spec.help}" if missing and spec.help else text, provider=name, missing=missing)

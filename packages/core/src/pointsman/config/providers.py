"""One provider's configuration: its own settings from every layer, its keys, and where those may go."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError

from ..errors import ConfigError, PluginError, did_you_mean
from ..provider import CAPABILITIES, ProviderSpec
from .complaints import without_label
from .layers import KEYS_FILE, PROJECT_FILE, USER_FILE, VENDOR_FILE, Origin, Value
from .secrets import host_of, is_loopback, unfit
from .settings import ARGUMENT, Settings


@dataclass(frozen=True, slots=True, eq=False)
class Configured:
    """A provider that may be opened."""

    name: str
    config: BaseModel
    secrets: Mapping[str, SecretStr]
    hidden: frozenset[str] = field(repr=False)
    """The text of every secret in `config`, nested ones too: what must never be shown."""
    origins: Mapping[str, Origin]
    warnings: tuple[str, ...]


class Collected(NamedTuple):
    """What is said of one provider, by whomever, before anybody holds it to the provider's config."""

    values: Mapping[str, Value]
    address: str
    host: str
    """Where keys would go: the host in `address`, which is `base_url` or its default."""
    warnings: tuple[str, ...]


def configure(name: str, spec: ProviderSpec[Any], settings: Settings, known: Iterable[str]) -> Configured:
    """The configuration of the provider `name`, whose plugin declares `spec`. `known` are all providers' names.

    Raises `ConfigError`: with `missing` set if all that it lacks is a key or another setting that must be given.
    """
    _check_alone(name, settings)
    found = collect(name, spec, settings, known)
    values = found.values
    try:
        config: BaseModel = spec.config.model_validate({setting: value.value for setting, value in values.items()})
    except ValidationError as error:
        problem = _explain(name, spec, values, error, found.warnings)
    else:
        return _checked(name, spec, config, values, found.host, found.warnings)
    raise problem  # Not from pydantic's error: that one holds the values, and so the keys.


def collect(name: str, spec: ProviderSpec[Any], settings: Settings, known: Iterable[str]) -> Collected:
    """What files, arguments and variables say of the provider `name`, nearest first, each value with its origin.

    Raises `ConfigError` for an address that is none.
    """
    values = {key: value for key, value in settings.provider(name).items() if key != "plugin"}
    for setting, value in _own_variables(name, spec, settings.environ, known).items():
        if setting not in values or values[setting].origin != ARGUMENT:
            values[setting] = value
    for setting, variable in spec.env_settings.items():
        text = settings.environ.get(variable, "").strip()
        if text and _yields(values.get(setting), name, spec):
            values[setting] = Value(read_text(spec.config, setting, text), Origin("environment", variable))
    for setting, value in values.items():
        if is_secret(spec, setting) and isinstance(value.value, str):
            values[setting] = Value(value.value.strip(), value.origin)
    address, host = _address(name, spec, values)
    warnings: list[str] = []
    for setting, variable in spec.env_keys.items():
        text = settings.environ.get(variable, "").strip()
        if not text or not _yields(values.get(setting), name, spec):
            continue
        if why := _not_for(address, host, spec, values):
            if setting not in values:
                own = own_variable(name, setting)
                warnings.append(f"{variable} is not sent to {why}; set {own} if it is meant for it")
        else:
            values[setting] = Value(text, Origin("environment", variable))
    if spec.stored is not None and name == spec.name:  # A second provider of the same plugin is another account.
        for setting, (text, file) in _stored(spec, settings.environ).items():
            if setting not in values and not (is_secret(spec, setting) and _not_for(address, host, spec, values)):
                values[setting] = Value(text, Origin(VENDOR_FILE, file))
    return Collected(values, address, host, tuple(warnings))


def _stored(spec: ProviderSpec[Any], environ: Mapping[str, str]) -> Mapping[str, tuple[str, str]]:
    """What the vendor's own tools have put down. Raises `PluginError` if the plugin cannot say."""
    assert spec.stored is not None
    try:
        return {setting: (text, file) for setting, (text, file) in spec.stored(environ).items()}
    except ConfigError:
        raise
    except Exception as error:  # Its words may quote what it read: a key, for one.
        raised = type(error).__name__
    raise PluginError(f"reading what the vendor's tools have stored raised {raised}", plugin=spec.name)


def _yields(found: Value | None, name: str, spec: ProviderSpec[Any]) -> bool:
    """Whether the vendor's own variable goes before what was `found`, as all of the environment goes before files.

    A second provider of the same plugin is another account: what is written down for it stays.
    """
    return found is None or (name == spec.name and found.origin.kind in (USER_FILE, KEYS_FILE, PROJECT_FILE))


def _check_alone(name: str, settings: Settings) -> None:
    """Raises `ConfigError` if another provider that is configured would read the same variables."""
    tables = settings.provider_tables()
    mine = own_variable(name)
    twins = [one for one in tables if one != name and own_variable(one) == mine]
    if name in tables and twins:
        both = " and ".join(f"[providers.{one}]" for one in (name, *twins))
        raise ConfigError(f"{both} would share the variables {mine}...: rename one of them", provider=name)


def own_variable(name: str, setting: str = "") -> str:
    """Our environment variable for a provider's setting."""
    return f"POINTSMAN_{name}_{setting}".upper().replace("-", "_").replace(".", "_")


def _checked(
    name: str,
    spec: ProviderSpec[Any],
    config: BaseModel,
    values: Mapping[str, Value],
    host: str,
    warnings: tuple[str, ...],
) -> Configured:
    """The configuration, if its keys are fit to be sent to `host`."""
    fields = {setting: getattr(config, setting) for setting in spec.config.model_fields}
    for setting in spec.env_keys:
        if isinstance(fields.get(setting), str):
            raise PluginError(f"its setting {setting} holds a key, so it must be a SecretStr", plugin=spec.name)
    if "capabilities" in values:
        _check_capabilities(name, spec, fields.get("capabilities"), values["capabilities"].origin)
    secrets = {setting: value for setting, value in fields.items() if isinstance(value, SecretStr)}
    for setting, secret in secrets.items():
        if reason := unfit(secret.get_secret_value(), host):
            origin = values[setting].origin if setting in values else Origin("default")
            raise ConfigError(f"{setting} from {origin} {reason}", provider=name)
    if secrets and "base_url" not in values and not spec.trusts(host) and not is_loopback(host):
        where = host or "a place that it does not declare"
        raise ConfigError(f"its plugin would send a key to {where}, which its hosts do not name", provider=name)
    holding = [setting for setting in values if any(_secret_texts(fields.get(setting)))]  # Keys, and tables with some.
    if stray := _lured_away(name, spec, values, holding):
        raise ConfigError(stray, provider=name)
    origins = {key: value.origin for key, value in values.items()}
    said = tuple(f"{name}: {warning}" for warning in warnings)
    return Configured(name, config, secrets, frozenset(_secret_texts(fields)), origins, said)


def _check_capabilities(name: str, spec: ProviderSpec[Any], said: Any, origin: Origin) -> None:
    """Raises `ConfigError` for one that nobody asks for: a mistyped one would be as good as none, in silence."""
    if not isinstance(said, AbstractSet | list | tuple):
        return
    known = [*CAPABILITIES, *sorted(spec.capabilities.difference(CAPABILITIES))]
    for one in cast(Iterable[Any], said):
        if one not in known:
            there = f"there are {', '.join(known)}{did_you_mean(str(one), known)}"
            raise ConfigError(f"capabilities ({origin}): there is no {one!r}: {there}", provider=name)


def _own_variables(
    name: str, spec: ProviderSpec[Any], environ: Mapping[str, str], known: Iterable[str]
) -> dict[str, Value]:
    """``POINTSMAN_<PROVIDER>_<SETTING>``; where two providers' prefixes fit, the longer one has it."""
    mine = own_variable(name)
    longer = [other for one in known if (other := own_variable(one)).startswith(mine) and other != mine]
    found: dict[str, Value] = {}
    for variable, text in environ.items():
        if variable.startswith(mine) and text.strip() and not variable.startswith(tuple(longer)):
            setting = variable.removeprefix(mine).lower()
            found[setting] = Value(read_text(spec.config, setting, text.strip()), Origin("environment", variable))
    return found


def read_text(model: type[BaseModel], setting: str, text: str) -> Any:
    """A text as the setting takes it: lists are divided by commas, tables are written in JSON."""
    field = model.model_fields.get(setting)
    kinds = [kind for kind in _kinds(field.annotation) if kind is not str] if field else []
    if any(issubclass(kind, Mapping | BaseModel) for kind in kinds):
        try:
            return json.loads(text)
        except ValueError:
            return text
    if any(issubclass(kind, list | tuple | AbstractSet) for kind in kinds):
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _kinds(annotation: Any) -> Iterator[type]:
    """The classes that a value may be of, looking into unions."""
    origin = get_origin(annotation)
    if isinstance(annotation if origin is None else origin, type):
        yield annotation if origin is None else origin
    if not isinstance(origin, type) or origin.__name__ == "UnionType":
        for part in get_args(annotation):
            yield from _kinds(part)


def _address(name: str, spec: ProviderSpec[Any], values: Mapping[str, Value]) -> tuple[str, str]:
    """Where the provider is, and the host in it. Raises `ConfigError` for an address that is none."""
    declared = spec.config.model_fields.get("base_url")
    default = declared.default if declared is not None and isinstance(declared.default, str) else ""
    address = str(values["base_url"].value) if "base_url" in values else default
    try:
        return address, host_of(address)
    except ValueError as error:
        origin = values["base_url"].origin if "base_url" in values else Origin("default")
        raise ConfigError(f"base_url ({origin}) is not an address: {error}", provider=name) from None


def _not_for(address: str, host: str, spec: ProviderSpec[Any], values: Mapping[str, Value]) -> str | None:
    """Why the vendor's own key may not go to `address`: who would get it; None if it may."""
    variable = spec.env_settings.get("base_url")
    if variable is not None and "base_url" in values and values["base_url"].origin.where == variable:
        return None  # The address, too, comes from the vendor's own variable: its key belongs to it.
    if not spec.trusts(host):
        return f"{host or 'an unnamed host'}, which base_url names"
    if address.lower().startswith("http://") and not is_loopback(host):
        return f"{host} unencrypted, as the http:// in base_url says"
    return None


def _lured_away(name: str, spec: ProviderSpec[Any], values: Mapping[str, Value], secrets: Sequence[str]) -> str | None:
    """Why the user's key may not go where only a project's file sends it; None if it may, or is in that file too."""
    for place in ("base_url", *spec.addresses) if spec.hosts else ():
        address = values.get(place)
        if address is None or address.origin.kind != PROJECT_FILE:
            continue
        host = host_of(str(address.value))
        if spec.trusts(host) or is_loopback(host):
            continue
        for setting in secrets:
            if values[setting].origin != address.origin:
                lure = f"{host}, which only the {address.origin} names"
                own, whose = own_variable(name, place), values[setting].origin
                return f"{setting} from {whose} is not sent to {lure}; if it is meant for it, set {own} too"
    return None


def is_secret(spec: ProviderSpec[Any], setting: str) -> bool:
    """Whether the setting is a key, or holds keys."""
    field = spec.config.model_fields.get(setting)
    return setting in spec.env_keys or (field is not None and "SecretStr" in str(field.annotation))


def _texts(value: Value) -> Iterator[str]:
    """Every text in a value as it was found."""
    waiting = [value.value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str) and one:
            yield one
        elif isinstance(one, Mapping | list):
            waiting += cast(Mapping[str, Any], one).values() if isinstance(one, Mapping) else cast(list[Any], one)


def _secret_texts(value: Any) -> Iterator[str]:
    match value:
        case SecretStr():
            yield value.get_secret_value()
        case BaseModel():
            yield from _secret_texts(dict(value))
        case Mapping():
            for one in cast(Mapping[Any, Any], value).values():
                yield from _secret_texts(one)
        case list() | tuple() | set() | frozenset():
            for one in cast(Iterable[Any], value):
                yield from _secret_texts(one)
        case _:
            pass


def _explain(
    name: str, spec: ProviderSpec[Any], values: Mapping[str, Value], error: ValidationError, warnings: Iterable[str]
) -> ConfigError:
    """What is wrong, without any value in it: a value may be a key."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    said: list[str] = []
    for problem in problems:
        setting = str(problem["loc"][0]) if problem["loc"] else ""
        if problem["type"] == "missing" and len(problem["loc"]) == 1:
            variables = [one for one in (spec.env_keys.get(setting), spec.env_settings.get(setting)) if one]
            places = " or ".join([*variables, own_variable(name, setting)])
            said.append(f"no {setting}: set {places}, or {setting} under [providers.{name}]")
        elif problem["type"] == "extra_forbidden" and len(problem["loc"]) == 1:
            origin = values[setting].origin if setting in values else "the configuration"
            there = f"there are {', '.join(spec.config.model_fields)}{did_you_mean(setting, spec.config.model_fields)}"
            said.append(f"no setting is called {setting!r} ({origin}): {there}")
        else:
            origin = values[setting].origin if setting in values else Origin("default")
            text = without_label(problem["msg"])  # A validator of the plugin's own may quote what it was given.
            quoted = any(one in text for key, value in values.items() if is_secret(spec, key) for one in _texts(value))
            said.append(f"{setting} ({origin}): {'its value does not fit' if quoted else text}")
    text = "; ".join([*said, *warnings])
    missing = all(problem["type"] == "missing" for problem in problems)
    required = {setting for setting, field in spec.config.model_fields.items() if field.is_required()}
    # Where only the second half of a pair is missing, somebody has begun, and how to begin is no help.
    helps = missing and spec.help and any(required.intersection(problem["loc"][:1]) for problem in problems)
    return ConfigError(f"{text}. {spec.help}" if helps else text, provider=name, missing=missing)

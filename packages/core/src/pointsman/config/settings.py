"""What can be set outside of providers, and reading it: argument > environment > project file > user file > default."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias, TypeGuard, TypeVar, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
)

from ..cost import Price
from ..errors import ConfigError, did_you_mean
from ..home import expanded
from ..types import Target
from .complaints import complaint
from .layers import (
    KEYS_FILE,
    PROJECT_FILE,
    USER_FILE,
    Key,
    Origin,
    Value,
    check_privacy,
    flatten,
    nearest_project_file,
    nested,
    overlay,
    read_toml,
)
from .prices import PriceSettings
from .tables import model_at


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class _Numbers(_Section):
    @field_validator("*", mode="before")
    @classmethod
    def _is_no_switch(cls, value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError("is not a switch: true and false do not fit")  # pydantic would read true as 1.
        return value


def _is_a_share(value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"is a share of calls, from 0 to 1: {value:g} is none; 0.2 allows one for every five calls")
    return value


Share: TypeAlias = Annotated[float, AfterValidator(_is_a_share)]


class Engine(_Numbers):
    """``[engine]``: what a call may take. Seconds."""

    deadline: PositiveFloat | None = None
    """For the whole call. Default: 600 for collected answers, none for streams, whose reader can leave."""
    first_token: PositiveFloat | None = None
    """To the first output of an attempt. Default: 10 while another target is left to ask, 60 for the last."""
    stall: PositiveFloat | None = None
    """Between two outputs. Default: 20, or less where a target is known to be steadier and another could go on."""
    min_speed: PositiveFloat | None = None
    """Characters a second, over 10 seconds. Default: none, or what is far below the target's usual speed and another
    could go on."""
    max_attempts: PositiveInt = 8
    retries: NonNegativeInt = 1
    """How often a target is asked again, once no other is left."""
    retry_budget: Share = 0.2
    """Attempts at a target that was asked already, as a share of calls; 1 for as many as there are calls."""
    max_wait: NonNegativeFloat = 5.0
    """How long a call waits for a cooldown to end, if nobody else can be asked."""
    hedge: Share = 0.0
    """Second attempts beside one that is late, as a share of calls; 0 for none."""
    health_checks: PositiveFloat | None = None
    """How often each open provider is asked in the background whether it is well. Default: never."""
    on_break: Literal["raise", "restart", "continue"] | None = None
    """What happens when a stream breaks after its first output. Default: raise for streams, restart for collected."""


class Limit(_Numbers):
    """``[limits."PROVIDER"]`` or ``[limits."PROVIDER/MODEL"]``: how much may be asked of it. Default: no limit."""

    concurrent: PositiveInt | None = None
    """Attempts at once; the others wait in line."""
    rpm: PositiveInt | None = None
    """Requests in any minute."""
    tpm: PositiveInt | None = None
    """Tokens in any minute, by an estimate that is put right as soon as the vendor has counted."""


class Routing(_Section):
    """``[routing]``: where requests go that name no model."""

    targets: tuple[str, ...] = ()
    policy: str | None = None
    prewarm: bool = False
    """Have machines started, in the background, that would have been asked first if they had been running. It spends
    money that no request asked for.
    """

    @field_validator("targets")
    @classmethod
    def _are_targets(cls, targets: tuple[str, ...]) -> tuple[str, ...]:
        for target in targets:
            Target.parse(target)
            if targets.count(target) > 1:
                raise ValueError(f"{target} is named more than once")
        return targets


class PluginChoice(_Section):
    """``[plugins]``: which take part, and the order of wrappers, outermost first."""

    disable: tuple[str, ...] = ()
    wrappers: tuple[str, ...] = ()


class LedgerChoice(_Section):
    """``[ledger]``: where it is kept what calls came to and cost, and how long."""

    url: str | None = None
    """``sqlite:PATH``, what an installed store takes, such as ``postgres://...``, or ``none`` to keep nothing.
    Default: ``ledger.db`` in the user's data folder."""
    sync: Literal["normal", "full"] = "normal"
    """Of a file: whether the end of a process cannot lose what is written, or not even a power failure."""
    keep_days: PositiveInt | None = None
    """After how many days calls are forgotten. Default: never."""
    texts: bool = False
    """Whether prompts and answers are kept, too."""

    @field_validator("url")
    @classmethod
    def _is_a_url(cls, url: str | None) -> str | None:
        if url is not None and url != "none" and not re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", url):
            raise ValueError("is no URL: write sqlite:PATH, postgres://..., or none to keep no ledger")
        return url

    @field_validator("keep_days", mode="before")
    @classmethod
    def _is_no_switch(cls, value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError("is a number of days: true and false do not fit")
        return value


SectionT = TypeVar("SectionT", bound=BaseModel)
ARGUMENT = Origin("argument")
"""Where a value comes from that was said on the spot; it goes before everything else."""

SECTIONS: Mapping[str, type[BaseModel]] = {
    "engine": Engine,
    "routing": Routing,
    "plugins": PluginChoice,
    "ledger": LedgerChoice,
}
"""What a file may hold besides those with a table for each name."""
NAMED: Mapping[str, type[BaseModel]] = {"limits": Limit, "prices": PriceSettings}
"""Those with a table for each provider or target, which files and arguments may hold, but no environment."""
POLICY = "policy"
"""The section whose settings are those of the policy in use: it says which there are (`PolicySpec.config`)."""
_TABLES = {"providers": "[providers.NAME]", **{section: f'[{section}."NAME"]' for section in NAMED}}


class Settings:
    """All settings that are in force, each with its origin."""

    def __init__(self, values: Mapping[Key, Value], environ: Mapping[str, str] | None = None) -> None:
        self._values = dict(values)
        self.environ: Mapping[str, str] = dict(environ or {})
        """The environment that providers read their own variables from."""
        known = [*SECTIONS, POLICY, *_TABLES]
        for path, value in self._values.items():
            section, is_leaf = path[0], value.value != {}
            if section not in known:
                there = f"there are {', '.join(known)}{did_you_mean(section, known)}"
                raise ConfigError(f"[{section}] from {value.origin} is not a section: {there}")
            if is_leaf and len(path) < (3 if section in _TABLES else 2):
                table = _TABLES.get(section, f"[{section}]")
                raise ConfigError(f"{'.'.join(path)} from {value.origin} must be a table: {table}")
            if section == "providers" and len(path) > 1 and (why := _no_name(path[1])):
                raise ConfigError(f"[providers] {path[1]!r} from {value.origin}: {why}")

    @classmethod
    def of(cls, table: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> Self:
        """Settings from a nested table, shaped like the TOML file. No file is read, no environment but `environ`."""
        return cls(overlay(_from_environment(environ or {}), dict(flatten(table or {}, ARGUMENT))), environ)

    @classmethod
    def discover(
        cls,
        environ: Mapping[str, str] | None = None,
        folder: Path | None = None,
        table: Mapping[str, Any] | None = None,
    ) -> Self:
        """The settings of this process: its environment, the nearest ``pointsman.toml``, the user's own two files.

        These are ``config.toml``, or what ``POINTSMAN_CONFIG`` names, and ``keys.toml`` beside it. `table` is what was
        said on the spot, such as a command's flags: it goes before everything. Raises `ConfigError` for what cannot be
        read, and for a file of keys that others can read.
        """
        environ = os.environ if environ is None else environ
        own = user_file(environ)
        if environ.get("POINTSMAN_CONFIG") and not own.exists():
            raise ConfigError(f"POINTSMAN_CONFIG names {own}, which does not exist: create it, or unset the variable")
        check_privacy(keys_file(environ))
        layers = [(origin, read_toml(Path(origin.where))) for origin in files(environ, folder)]
        return cls.layered([*layers], environ, table)

    @classmethod
    def layered(
        cls,
        layers: Iterable[tuple[Origin, Mapping[str, Any]]],
        environ: Mapping[str, str],
        table: Mapping[str, Any] | None = None,
    ) -> Self:
        """Settings from tables as files hold them, farthest first, then `environ`, then `table`. Reads nothing."""
        values: dict[Key, Value] = {}
        for origin, one in layers:
            values = overlay(values, dict(flatten(one, origin)))
        values = overlay(values, _from_environment(environ))
        return cls(overlay(values, dict(flatten(table or {}, ARGUMENT))), environ)

    def __iter__(self) -> Iterator[tuple[Key, Value]]:
        """Every setting that files, arguments, or the environment of a section say, under its whole path."""
        return iter(sorted(self._values.items(), key=lambda item: item[0]))

    def origin(self, *path: str) -> Origin | None:
        """Where the setting under `path` comes from; None if nobody says it."""
        found = self._values.get(path)
        return found.origin if found else None

    @cached_property
    def engine(self) -> Engine:
        """``[engine]``. Raises `ConfigError` naming the setting and its origin."""
        return self._section("engine", Engine)

    @cached_property
    def routing(self) -> Routing:
        """``[routing]``. Raises `ConfigError` naming the setting and its origin."""
        return self._section("routing", Routing)

    @cached_property
    def plugins(self) -> PluginChoice:
        """``[plugins]``. Raises `ConfigError` naming the setting and its origin."""
        return self._section("plugins", PluginChoice)

    @cached_property
    def ledger(self) -> LedgerChoice:
        """``[ledger]``. Raises `ConfigError` naming the setting and its origin."""
        return self._section("ledger", LedgerChoice)

    def policy(self, model: type[SectionT]) -> SectionT:
        """``[policy]``, as `model` has it. Raises `ConfigError` naming the setting and its origin."""
        return self._section(POLICY, model)

    @cached_property
    def limits(self) -> Mapping[str, Limit]:
        """``[limits]``, by provider or target. Raises `ConfigError` naming the setting and its origin."""
        return {name: self._section("limits", Limit, name) for name in self.named("limits")}

    @cached_property
    def prices(self) -> Mapping[str, Price]:
        """``[prices]``, by provider or target. Raises `ConfigError` naming the setting and its origin."""
        found: dict[str, Price] = {}
        for name in self.named("prices"):
            said = self.said("prices", name)
            origins = dict.fromkeys(str(one.origin) for one in said.values())
            found[name] = self._section("prices", PriceSettings, name).price(" and ".join(origins))
        return found

    def named(self, section: str) -> list[str]:
        """The names that have a table in that section."""
        return sorted({path[1] for path in self._values if path[0] == section and len(path) > 1})

    def said(self, *table: str) -> dict[str, Value]:
        """What is set in that table: setting -> value."""
        return nested(self._values, *table)

    def provider_tables(self) -> list[str]:
        """The names that stand under ``[providers]``."""
        return self.named("providers")

    def provider(self, name: str) -> dict[str, Value]:
        """What files and arguments say of one provider: setting -> value."""
        return self.said("providers", name)

    def _section(self, name: str, model: type[SectionT], *table: str) -> SectionT:
        own = self.said(name, *table)
        if not own and model is not PriceSettings:
            return model.model_construct()  # The defaults hold; to build a validator for them takes milliseconds.
        shown = ".".join((name, *(f'"{part}"' for part in table)))
        try:
            return model.model_validate({setting: value.value for setting, value in own.items()})
        except ValidationError as error:
            here = (name, *table)
            inside = {path: value for path, value in self._values.items() if path[: len(here)] == here}
            origins = {path[len(here) :]: value.origin for path, value in inside.items()}
            raise ConfigError("; ".join(_complaints(shown, error, origins, model))) from None


def _complaints(
    section: str, error: ValidationError, origins: Mapping[Key, Origin], model: type[BaseModel]
) -> Iterable[str]:
    """`origins` are those of what is set there, by its path below the section."""
    for problem in error.errors(include_url=False):
        path = tuple(takewhile(lambda part: part != "[key]", filter(_is_name, problem["loc"])))
        wrong = [one for key, one in origins.items() if key[: len(path)] == path[: len(key)]]
        origin = f" (from {' and '.join(dict.fromkeys(map(str, wrong)))})" if wrong else ""
        setting = ".".join(path)
        if problem["type"] == "extra_forbidden":
            names = (model_at(model, path[:-1]) or model).model_fields
            above = "".join(f".{part}" for part in path[:-1])
            there = f"it has {', '.join(names)}{did_you_mean(path[-1], names)}"
            yield f"[{section}{above}] has no setting {path[-1]!r}{origin}: {there}"
        else:
            otherwise = "no limit" if model is Limit else "the default"
            what = complaint(cast(Mapping[str, Any], problem), otherwise=otherwise)
            yield f"[{section}]{' ' if setting else ''}{setting}{origin}: {what}"


def _is_name(part: object) -> TypeGuard[str]:
    return isinstance(part, str)


def _from_environment(environ: Mapping[str, str]) -> dict[Key, Value]:
    """``POINTSMAN_<SECTION>_<SETTING>`` for the sections above; lists are divided by commas."""
    found: dict[Key, Value] = {}
    for section in (*SECTIONS, POLICY):
        model = SECTIONS.get(section, BaseModel)
        prefix = f"POINTSMAN_{section.upper()}_"
        for variable, text in environ.items():
            if variable.startswith(prefix) and text.strip():
                setting = variable.removeprefix(prefix).lower()
                field = model.model_fields.get(setting)
                many = field is not None and isinstance(field.default, tuple)
                value: Any = tuple(part.strip() for part in text.split(",") if part.strip()) if many else text.strip()
                found[section, setting] = Value(value, Origin("environment", variable))
    return found


def files(environ: Mapping[str, str], folder: Path | None = None) -> list[Origin]:
    """The files that settings are read from, farthest first: the user's two, there or not, and the project's if any."""
    project = nearest_project_file(folder or Path.cwd())
    found = [Origin(USER_FILE, str(user_file(environ))), Origin(KEYS_FILE, str(keys_file(environ)))]
    return found if project is None else [*found, Origin(PROJECT_FILE, str(project))]


def user_file(environ: Mapping[str, str]) -> Path:
    """The user's own configuration file, whether it exists or not."""
    if chosen := environ.get("POINTSMAN_CONFIG"):
        return expanded(chosen, "POINTSMAN_CONFIG")
    from platformdirs import user_config_path

    return user_config_path("pointsman") / "config.toml"


def keys_file(environ: Mapping[str, str]) -> Path:
    """Where the user's keys are kept, whether it exists or not: beside the user file, in the same form."""
    return user_file(environ).with_name("keys.toml")


def _no_name(name: str) -> str | None:
    """Why a provider cannot be called `name`; None if it can."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        return "a provider's name is made of letters, digits, dots, hyphens and underscores"
    return "that name is a section's, so its variables would be taken for that" if name in (*SECTIONS, POLICY) else None

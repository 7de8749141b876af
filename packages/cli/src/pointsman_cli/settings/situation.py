"""The configuration in force, also where parts of it are broken, and as it would be if a file were another."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from pydantic import BaseModel

from pointsman import ConfigError, PluginError, Plugins, PointsmanError, Settings
from pointsman.config import Origin
from pointsman.config.layers import KEYS_FILE, check_privacy, read_toml
from pointsman.config.settings import POLICY, SECTIONS, files
from pointsman.engine.roster import Roster

from ..plugins.impatience import PATIENCE, tried
from ..plugins.roster import slow_names

Table: TypeAlias = Mapping[str, Any]


class PolicyInUse(NamedTuple):
    """The policy that would decide."""

    name: str
    model: type[BaseModel] | None
    """What may stand under ``[policy]``; None if nothing may, or if nobody can say."""
    trouble: PointsmanError | None
    """Why nobody can say."""


@dataclass(frozen=True)
class Situation:
    """What files and environment say. Whether it holds together is asked, not assumed."""

    layers: Sequence[tuple[Origin, Table]]
    environ: Mapping[str, str]
    unread: Mapping[str, ConfigError] = field(default_factory=dict[str, ConfigError])
    """Files that are left out: path -> why."""
    installed: Plugins = field(default_factory=Plugins.installed)

    @classmethod
    def now(cls, *, lenient: bool = False) -> Situation:
        """As this process finds it. Raises `ConfigError` for a file that cannot be read, unless it is `lenient`."""
        layers: list[tuple[Origin, Table]] = []
        unread: dict[str, ConfigError] = {}
        for origin in files(os.environ):
            path = Path(origin.where)
            try:
                if origin.kind == KEYS_FILE:
                    check_privacy(path)
                layers.append((origin, read_toml(path)))
            except ConfigError as error:
                if not lenient:
                    raise
                unread[origin.where] = error
        return cls(layers, dict(os.environ), unread)

    def with_file(self, origin: Origin, table: Table) -> Situation:
        """The same, but for what this file says."""
        layers = [(one, table if one == origin else old) for one, old in self.layers]
        if origin not in [one for one, _ in self.layers]:
            layers.append((origin, table))  # A project's file, which is the nearest; the others are always there.
        return replace(self, layers=layers)

    @cached_property
    def settings(self) -> Settings:
        """All that is set. Raises `ConfigError`."""
        return Settings.layered(self.layers, self.environ)

    @cached_property
    def roster(self) -> Roster:
        """The providers. Raises `ConfigError`."""
        return Roster(self.settings, self.installed.without(self.settings.plugins.disable))

    @cached_property
    def providers(self) -> list[str]:
        """Names of providers, but for those whose plugins take forever to import. Raises `ConfigError`."""
        slow = slow_names(self.roster, self.roster.names)
        return [name for name in self.roster.names if name not in slow]

    @cached_property
    def policy(self) -> PolicyInUse:
        """Who decides where requests go. Raises `ConfigError` for a wrong ``[routing]`` or ``[plugins]``."""
        plugins, chosen = self.roster.plugins, self.settings.routing.policy
        found: list[PolicyInUse] = []

        def look() -> None:
            name = plugins.policy_name(chosen)
            found.append(PolicyInUse(name, plugins.policy_settings(name), None))

        (outcome,) = tried([look])
        if outcome.error is not None and not isinstance(outcome.error, PointsmanError):
            raise outcome.error
        slow = PluginError(f"it was not imported within {PATIENCE:g} s", plugin=chosen or "policy")
        return found[0] if found else PolicyInUse(chosen or "", None, outcome.error or slow)

    def wrong_policy(self) -> str | None:
        """What is wrong with ``[policy]``; None if nothing is, or if who would know cannot be loaded."""
        if not self.settings.said(POLICY) or self.policy.trouble is not None:
            return None
        try:
            self.roster.plugins.policy(self.policy.name, self.settings)
        except ConfigError as error:
            return str(error)
        except PluginError:  # Which is no fault of the settings.
            pass
        return None

    @property
    def usable(self) -> bool:
        """Whether the settings can be looked at one by one; else `problems` knows the first only."""
        try:
            _ = self.settings
        except ConfigError:
            return False
        return True

    def wrong_sections(self) -> list[str]:
        """What is wrong with sections other than providers. Raises `ConfigError`."""
        settings = self.settings
        wrong: list[str] = []
        looks: list[Callable[[], object]] = [partial(getattr, settings, section) for section in SECTIONS]
        for look in (*looks, self._any_roster.check_named):
            try:
                look()
            except ConfigError as error:
                wrong.append(str(error))
        return wrong

    @property
    def _any_roster(self) -> Roster:
        """The providers, also where [plugins] is wrong, which is told already: then nobody is left out."""
        try:
            return self.roster
        except ConfigError:
            return Roster(self.settings, self.installed)

    def problems(self) -> list[str]:
        """What is wrong with what is set; that something is missing still is no problem."""
        try:
            settings = self.settings
        except ConfigError as error:
            return [str(error)]
        found = self.wrong_sections()
        if not found and (wrong := self.wrong_policy()):
            found.append(wrong)
        roster = self._any_roster
        with unheard():
            for name in settings.provider_tables():
                try:
                    roster.configured(name)
                except (ConfigError, PluginError) as error:
                    if not getattr(error, "missing", False):
                        found.append(roster.redactor.text(str(error)))
        return found


@contextmanager
def unheard() -> Generator[None]:
    """Log nothing meanwhile: what core would warn of is shown otherwise, or not asked for."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)

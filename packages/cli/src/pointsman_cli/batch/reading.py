"""Lines, read with what the command says of all of them, and held against the providers that there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pointsman import ConfigError, Target
from pointsman.engine.roster import Roster
from pointsman.errors import did_you_mean

from .lines import Asked, read_line
from .openai_form import WrongLine


class Reader:
    """Reads a line; see `lines.read_line`. `on`: the provider that answers all of them on its own machines."""

    def __init__(self, roster: Roster, defaults: Mapping[str, Any], on: str | None) -> None:
        self._roster = roster
        self._defaults = defaults
        self._on = on
        self._ready: set[str | None] = set()
        """Providers that are, and None if somebody could be asked without being named."""

    def __call__(self, data: bytes) -> Asked:
        """Raises `WrongLine`; and what the roster raises, if a provider is not ready, which no line can help."""
        asked = read_line(data, self._defaults)
        if self._on is not None:
            return self._for_machines(asked, self._on)
        targets = asked.targets
        for target in targets:
            self._check(target.provider)
        if not targets and None not in self._ready:
            self._roster.candidates()
            self._ready.add(None)
        return asked

    def _check(self, provider: str) -> None:
        if provider in self._ready:
            return
        if provider not in self._roster.names:
            near = did_you_mean(provider, self._roster.names)
            raise WrongLine(f"no provider is called {provider!r}{near}", "pointsman providers lists those there are")
        self._roster.configured(provider)
        self._ready.add(provider)

    def _for_machines(self, asked: Asked, on: str) -> Asked:
        self._check(on)
        targets = asked.targets
        if len(targets) > 1 or (targets and targets[0].provider != on):
            named = ", ".join(map(str, targets))
            raise WrongLine(
                f"it goes to {named}, and --on {on} asks one model of {on}", f"write {on}/MODEL, or nothing"
            )
        model = targets[0].model if targets else self._suggested(on)
        return replace(asked, model=str(Target(on, model)))

    def _suggested(self, on: str) -> str:
        models = self._roster.default_targets(on)
        if not models:
            raise ConfigError(f"{on} suggests no model for --on: name one with -m {on}/MODEL")
        return models[0].model

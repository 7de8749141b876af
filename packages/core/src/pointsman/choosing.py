"""Who is asked: those that the caller names, or those that the policy chooses from all that is known of them."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from .config import Settings, ledger_file, ledger_url, without_password
from .engine.decide import decide
from .engine.health import Health
from .engine.health.conversations import Beginning
from .engine.roster import Roster
from .errors import ConfigError, NoCandidates, PointsmanError, did_you_mean
from .plugins import Plugins
from .policy import Candidate, Decision, InOrder, Policy
from .provider import CAPABILITIES
from .remembering import Memory
from .types import ChatRequest, Target

Model: TypeAlias = str | Target | Sequence[str | Target]

log = logging.getLogger("pointsman")


class Chooser:
    """Of one client. It has one policy for all calls, made for the first that needs it."""

    def __init__(self, settings: Settings, plugins: Plugins, roster: Roster) -> None:
        self._settings = settings
        self._plugins = plugins
        self._roster = roster

    def decide(
        self, request: ChatRequest, model: Model | None, read: Sequence[Beginning], memory: Memory, health: Health
    ) -> Decision:
        """Whoever is asked, in their order. `read`: the beginnings of the request, which `memory` may know again.

        Raises `ConfigError`, `PluginError` or `NoCandidates`.
        """
        if model is not None and model != "auto":
            return self._able(self.pinned(model), request)
        candidates, unready = self._roster.candidates()
        if self.asks_policy(model):
            candidates = memory.inform(candidates, read, health)
        decision = decide(self._policy, request, candidates, unready, memory.clock(), random.getrandbits(32))
        return self._somebody(decision, request, candidates)

    def asks_policy(self, model: Model | None) -> bool:
        """Whether a policy is asked that may look at what is remembered."""
        if model is not None and model != "auto":
            return False
        try:
            return type(self._policy) is not InOrder
        except PointsmanError:  # Which is raised once it is needed.
            return False

    def recall(self, memory: Memory) -> None:
        """Let `memory` learn from the ledger, for a client that is not open. Nobody begins a ledger for that."""
        url = ledger_url(self._settings)
        if url is None or ((file := ledger_file(url)) is not None and _is_absent(file)):
            return
        from .ledgers import open_ledger

        if why := memory.recall(lambda: open_ledger(url, plugins=self._plugins)):
            log.warning("the decision is made without the ledger %s: %s", without_password(url), why)

    def _able(self, named: Decision, request: ChatRequest) -> Decision:
        """Those of the named targets that can do what `request` needs: another would leave it out in silence."""
        if not request.needs:
            return named
        candidates = [self._roster.candidate(target) for target in named.order]
        able = InOrder(named.policy).rank(request, candidates, now=0.0, seed=0)
        return self._somebody(replace(able, reason=named.reason), request, candidates)

    def _somebody(self, decision: Decision, request: ChatRequest, candidates: Iterable[Candidate]) -> Decision:
        """The decision. Raises `NoCandidates` if it is for nobody."""
        if decision.order:
            return decision
        said = [*_unheard_of(request, candidates), *self._untold(request, candidates)]
        raise NoCandidates("\n".join(["no target can take this request.", decision.explain(), *said]))

    def _untold(self, request: ChatRequest, candidates: Iterable[Candidate]) -> Iterator[str]:
        """What to set at a provider whose servers its user may know better."""
        lacks: dict[str, set[str]] = {}
        for one in candidates:
            lacks.setdefault(one.target.provider, set()).update(one.lacks(request).intersection(CAPABILITIES))
        for name, what in lacks.items():
            if what and "capabilities" in self._roster.declared(name).spec.config.model_fields:
                listed = ", ".join(f'"{one}"' for one in sorted(what))
                yield f"  if {name} can after all, say so: capabilities = [{listed}] under [providers.{name}]"

    @cached_property
    def _policy(self) -> Policy:
        """One for all calls, since it may keep something between them. Raises like `Plugins.policy`."""
        name = self._settings.routing.policy
        try:
            return self._plugins.policy(name, self._settings)
        except ConfigError as error:
            if name is None or error.message.startswith("[policy"):
                raise
            origin = self._settings.origin("routing", "policy")
            raise ConfigError(f"[routing] policy (from {origin}): {error.message}") from None

    def pinned(self, model: Model) -> Decision:
        """The targets that the caller named. Raises `ConfigError` or `PluginError` if they cannot be meant."""
        try:
            named = [model] if isinstance(model, str | Target) else list(model)
            order = tuple(_target(one) for one in named)
        except (ValueError, TypeError) as error:
            raise ConfigError(f"model is 'provider/model', or a list of those: {error}") from None
        if not order or len(set(order)) < len(order):
            raise ConfigError("model: name at least one target, and none twice")
        for target in order:
            self._roster.configured(target.provider)
        return Decision(policy="pinned", order=order, reason="the caller named the model")


def _unheard_of(request: ChatRequest, candidates: Iterable[Candidate]) -> Iterator[str]:
    """What is required that is no capability of anybody's, with what was meant, probably."""
    known = list(dict.fromkeys([*CAPABILITIES, *sorted({one for each in candidates for one in each.capabilities})]))
    for name in sorted(request.require.difference(known)):
        yield f"  there is no capability {name!r}: there are {', '.join(known)}{did_you_mean(name, known)}"


def _is_absent(file: Path) -> bool:
    """If that cannot be told, opening it says why."""
    try:
        file.stat()
    except OSError as error:
        return isinstance(error, FileNotFoundError | NotADirectoryError)
    return False


def _target(named: object) -> Target:
    if isinstance(named, Target):
        return named
    if isinstance(named, str):
        return Target.parse(named)
    raise TypeError(f"{named!r} names no target")

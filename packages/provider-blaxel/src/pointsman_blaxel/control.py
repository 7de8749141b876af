"""The control plane: where models and agents are, which there are, and how they are. It spends nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias
from urllib.parse import quote, urlencode, urlsplit

import anyio

from pointsman import (
    AuthFailed,
    ConfigError,
    Health,
    HealthState,
    ModelGone,
    ModelInfo,
    PointsmanError,
    ProviderContext,
    Scope,
    Target,
    Unavailable,
)
from pointsman_openai import fields, items, string

from .config import BlaxelConfig

Kind: TypeAlias = Literal["models", "agents"]
AGENT = "agent:"
"""What the names of agents begin with."""
OTHER_DIALECTS = frozenset({"anthropic", "cohere", "gemini", "vertexai", "mcp"})
"""Types of runtime that are passed through in a protocol of their own. All others the SDK asks in OpenAI's."""
_ACTS = frozenset({"agentic"})
_COMING = frozenset({"UPLOADING", "BUILDING", "BUILT", "DEPLOYING"})
_PAGE = 200
_MOST_PAGES = 50
_PATIENCE = 5.0
"""Seconds that it may take to say where one is. Less than a first token is waited for, so that the call goes on."""
_SILENCE = 30.0
"""Seconds for which a control plane that does not answer is left alone: every call would wait for it."""


class Place(NamedTuple):
    """Where a model or an agent is asked."""

    url: str
    named: bool = False
    """The control plane says so; else it is built."""
    runtime: str = ""
    """The type of the provider behind a model; empty where nobody says."""
    model: str = ""
    """What that provider calls it."""
    public: bool = False


class Control:
    """What the control plane says of one workspace. Addresses are remembered until `forget`."""

    def __init__(
        self, get: Callable[..., Awaitable[tuple[Any, str]]], config: BlaxelConfig, context: ProviderContext
    ) -> None:
        """`get` fetches JSON with the key of the workspace, and raises what refusals and failures mean."""
        self._get = get
        self._config = config
        self._context = context
        self._places: dict[tuple[Kind, str], Place] = {}
        self._locks: dict[tuple[Kind, str], anyio.Lock] = {}
        self._silent_until = 0.0

    async def find(self, kind: Kind, name: str, target: Target) -> Place:
        """Where it is. Asked once by all who need it; built where nobody can be asked.

        Raises `ModelGone` and `AuthFailed` if the control plane says so, and `ConfigError` for an address that the key
        must not go to. Nothing was begun by then.
        """
        if self._config.control is None or self._context.clock() < self._silent_until:
            return self._places.get((kind, name)) or self._built(kind, name)
        async with self._locks.setdefault((kind, name), anyio.Lock()):
            if (kind, name) in self._places:
                return self._places[kind, name]
            if self._context.clock() < self._silent_until:  # Somebody has waited in vain meanwhile.
                return self._built(kind, name)
            try:
                value = await self._told(f"{self._config.control}/{kind}/{quote(name, safe='')}", target)
            except PointsmanError as error:
                error.begun = False  # What was asked for has not been sent.
                if isinstance(error, AuthFailed | ConfigError):
                    raise
                if isinstance(error, ModelGone):
                    what = f"there is no {kind[:-1]} {name!r} in workspace {self._config.workspace!r}"
                    raise ModelGone(what, target=target, status=error.status, request_id=error.request_id) from error
                self._context.log.info(
                    "the address of %s is built, for the control plane does not say: %s", target, error
                )
                self._silent_until = self._context.clock() + _SILENCE
                return self._built(kind, name)
            place = self._places[kind, name] = self._read(kind, name, fields(value), target)
            return place

    async def _told(self, url: str, target: Target) -> Any:
        try:
            with anyio.fail_after(_PATIENCE):
                return (await self._get(url, target=target))[0]
        except TimeoutError:
            raise Unavailable(f"no answer within {_PATIENCE:g} s", target=target) from None

    def known(self, kind: Kind, name: str) -> Place | None:
        """What was said before."""
        return self._places.get((kind, name))

    def forget(self, kind: Kind, name: str) -> None:
        """Ask anew next time."""
        self._places.pop((kind, name), None)
        self._locks.pop((kind, name), None)

    async def models(self) -> list[ModelInfo]:
        """The models that speak OpenAI's dialect, and the agents, as far as they are deployed and enabled.

        Where nobody can be asked: those that the settings name. Raises `Unavailable` if they name none.
        """
        if self._config.control is None:
            return self._named()
        found: list[ModelInfo] = []
        for entry in await self._listed("models", status="DEPLOYED"):
            runtime = fields(fields(entry.get("spec")).get("runtime"))
            if _usable(entry) and string(runtime.get("type")) not in OTHER_DIALECTS:
                found.append(ModelInfo(id=_name(entry)))
        agents = filter(_usable, await self._listed("agents", status="DEPLOYED"))
        return [*found, *(ModelInfo(id=f"{AGENT}{_name(entry)}", capabilities=_ACTS) for entry in agents)]

    def _named(self) -> list[ModelInfo]:
        named = [ModelInfo(id=name) for name in self._config.models]
        named += [ModelInfo(id=f"{AGENT}{name}", capabilities=_ACTS) for name in self._config.agents]
        if not named:
            message = "nobody can be asked what is deployed, since base_url is not Blaxel's: set control_url"
            raise Unavailable(message, provider=self._context.name, retryable=False)
        return named

    async def health(self) -> Health:
        """Whether it answers, takes the key, and has anything that can be asked."""
        usable: Counter[str] = Counter()
        coming: list[str] = []
        for kind in ("models", "agents"):
            for entry in await self._listed(kind):
                usable[kind] += _usable(entry)
                if string(entry.get("status")) in _COMING:
                    coming.append(f"{'agent ' if kind == 'agents' else ''}{_name(entry)}")
        there = " and ".join(
            f"{usable[kind]} {kind if usable[kind] != 1 else kind[:-1]}" for kind in ("models", "agents")
        )
        workspace = f"in workspace {self._config.workspace!r}"
        if usable.total():
            deploying = f"; deploying: {', '.join(coming)}" if coming else ""
            return Health(HealthState.UP, f"{there} {workspace}{deploying}")
        if coming:
            return Health(HealthState.WARMING, f"deploying {workspace}: {', '.join(coming)}")
        reason = f"nothing is deployed {workspace}: connect a model in the console, or `bl deploy` an agent"
        return Health(HealthState.DOWN, reason, error=ModelGone(reason, provider=self._context.name))

    def _read(self, kind: Kind, name: str, entry: Mapping[str, Any], target: Target) -> Place:
        spec = fields(entry.get("spec"))
        runtime = fields(spec.get("runtime"))
        url = string(fields(entry.get("metadata")).get("url")).rstrip("/")
        place = self._built(kind, name)
        if url:
            try:
                trusted = self._config.may_have_key(url, named_by_control=True)
                where = urlsplit(url).hostname or url
            except ValueError:
                trusted, where = False, "an address that is none"
            if not trusted:
                more = f"; if that is right, set agents.{name}.url to it" if kind == "agents" else ""
                message = f"the control plane says that it is at {where}, where the key must not go{more}"
                raise ConfigError(message, target=target, scope=Scope.TARGET)
            place = place._replace(url=url, named=True)
        return place._replace(
            runtime=string(runtime.get("type")),
            model=self._config.models.get(name) or string(runtime.get("model")) or name,
            public=spec.get("public") is True,
        )

    def _built(self, kind: Kind, name: str) -> Place:
        workspace = quote(self._config.workspace, safe="")
        url = f"{self._config.base_url}/{workspace}/{kind}/{quote(name, safe='')}"
        return Place(url, model=self._config.models.get(name, name))

    async def _listed(self, kind: str, **query: str) -> list[dict[str, Any]]:
        """All entries with a name, of all pages. Before 2026-04-28 there was one page, a bare list."""
        found: list[dict[str, Any]] = []
        cursors: set[str] = set()
        for _ in range(_MOST_PAGES):
            value, _ = await self._get(f"{self._config.control}/{kind}?{urlencode({'limit': _PAGE, **query})}")
            page = fields(value)
            found += [entry for entry in map(fields, items(page.get("data")) or items(value)) if _name(entry)]
            meta = fields(page.get("meta"))
            cursor = string(meta.get("nextCursor"))
            if meta.get("hasMore") is not True or not cursor or cursor in cursors:
                break
            cursors.add(cursor)
            query["cursor"] = cursor
        return list({_name(entry): entry for entry in found}.values())


def _name(entry: Mapping[str, Any]) -> str:
    return string(fields(entry.get("metadata")).get("name"))


def _usable(entry: Mapping[str, Any]) -> bool:
    return string(entry.get("status")) == "DEPLOYED" and fields(entry.get("spec")).get("enabled") is not False

"""What an Ollama server can do besides answering: what it has, what it has in memory, and how either is changed."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import anyio
import httpx2

from pointsman import (
    AsyncClient,
    ConfigError,
    FirstTokenTimeout,
    InvalidRequest,
    PointsmanError,
    ProviderContext,
    Target,
    Unavailable,
)
from pointsman_openai import fields, string

from . import pull as pulling
from .catalog import abilities, is_remote, listed, name_of, size_of, trained_context
from .config import OllamaConfig, duration, is_cloud, runs_in_cloud, tagged
from .errors import pull_error
from .loads import Loads
from .progress import Marks, Progress, PullDecoder
from .request import load_body
from .wire import Wire

ANSWERS_WITHIN = 30.0
"""Seconds for what a server knows by itself."""
LOADED_WITHIN = 900.0
"""Seconds for a model to be loaded. Ollama gives up after five minutes without progress; a slow disk makes some."""
_FOR_EVER = 100
"""Years. What is to stay for ever expires in 292."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """A model that the server has. None means that it does not say."""

    name: str
    """With its tag."""
    size: int | None
    """Bytes on its disk."""
    digest: str | None
    modified: datetime | None
    parameters: str | None
    """How many, as people say it: ``7.6B``."""
    quantization: str | None
    context: int | None
    """Tokens that it was trained for. What it is loaded with may be less: see `Running`."""
    capabilities: tuple[str, ...] | None
    """In Ollama's own words."""
    remote: bool
    """It runs at ollama.com: the server passes requests on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A model in the server's memory, or on its way there."""

    name: str
    size: int | None
    """Bytes of memory that it takes."""
    vram: int | None
    """How many of them are on a graphics card."""
    context: int | None
    """Tokens that it is loaded with."""
    expires: datetime | None
    """When it is unloaded, unless it is asked again; None: never, or not known."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is in memory now."""

    name: str
    seconds: float
    """How long that took."""
    already: bool
    """It was there before."""


class Server:
    """One Ollama server. `connect` makes it; it works as long as that is open."""

    def __init__(
        self, wire: Wire, context: ProviderContext, config: OllamaConfig, loads: Loads, secrets: tuple[str, ...] = ()
    ) -> None:
        self._wire = wire
        self._context = context
        self._config = config
        self._loads = loads
        self._secrets = secrets

    @property
    def base_url(self) -> str:
        """Where it is."""
        return self._config.base_url

    async def pulled(self) -> list[Pulled]:
        """The models that it has; of ollama.com, those on offer."""
        return [_pulled(entry) for entry in listed(await self._ask("GET", "api/tags"))]

    async def running(self) -> list[Running]:
        """The models in its memory."""
        return [_running(entry) for entry in listed(await self._ask("GET", "api/ps"))]

    async def load(self, model: str, *, keep_alive: float | str | None = None) -> Loaded:
        """Have `model` in memory, so that the next request need not wait: with the context that requests will ask for,
        and for `keep_alive` (``"10m"``, seconds, -1 for ever; None: as configured).

        Raises `ModelGone` where it was not pulled, `InvalidRequest` for what cannot be loaded, `Unavailable` where it
        does not fit, and `FirstTokenTimeout` after 15 minutes.
        """
        target = self._here(model, "loaded")
        try:
            stays = None if keep_alive is None else duration(keep_alive)
        except ValueError as error:
            raise InvalidRequest(f"keep_alive: {error}", target=target) from None
        if _is_zero(stays):
            raise InvalidRequest("keep_alive=0 unloads a model: that is unload()", target=target)
        already = any(tagged(one.name) == tagged(model) for one in await self.running())
        body = load_body(model, self._config, stays)
        if _is_zero(body.get("keep_alive")):
            del body["keep_alive"]  # As configured, for requests: it would be gone before the first.
        began = self._context.clock()
        with self._loads.waiting(model):
            with anyio.move_on_after(LOADED_WITHIN) as limit:
                await self._load(body, target)
            if limit.cancelled_caught:
                raise FirstTokenTimeout(f"it was not loaded within {LOADED_WITHIN:g} s", target=target)
        seconds = self._context.clock() - began
        if not already:
            self._loads.learn(seconds)
        return Loaded(tagged(model), seconds, already)

    async def unload(self, model: str) -> bool:
        """Free the memory that `model` takes, now or once its answers are over; whether it took any.

        Raises `ModelGone` where there is no such model.
        """
        target = self._here(model, "unloaded")
        there = any(tagged(one.name) == tagged(model) for one in await self.running())
        await self._ask("POST", "api/chat", {"model": model, "messages": [], "keep_alive": 0}, target)
        self._loads.unloaded(model)
        return there

    @asynccontextmanager
    async def pull(
        self,
        model: str,
        *,
        insecure: bool = False,
        resumes: int = pulling.RESUMES,
        stall: float = pulling.STALL,
        pause: float = pulling.PAUSE,
    ) -> AsyncGenerator[AsyncIterator[Progress]]:
        """Have the server fetch `model`. Iterate for its progress; it is there once that ends without an error.

        Leaving early, or being cancelled, stops it; what has arrived stays on the server's disk, and a later pull goes
        on from there. So does this one if it breaks off: at most `resumes` times, and no more than three times in a row
        without anything new, first after `pause` seconds. `stall` is how many seconds may bring nothing new; while
        the server works on what it has got it is given 15 minutes. `insecure` allows a registry without TLS.

        Raises `ModelGone` for what no registry has, `AuthFailed` for what it does not hand out, `StreamBroken`,
        `Stalled` or `Unavailable` where it does not come through: with ``retryable`` False if it never will.
        """
        target = self._target(model)
        if is_cloud(self._config.base_url):
            raise InvalidRequest("nothing is pulled at ollama.com: what it lists can be asked", target=target)
        body = {"model": model, "stream": True, **({"insecure": True} if insecure else {})}

        async def ask() -> httpx2.Response:
            return await self._wire.send("POST", "api/pull", body, target=target)

        def complaint(told: Any) -> PointsmanError:
            return pull_error(told, base_url=self._config.base_url, secrets=self._secrets, target=target)

        def decoder(marks: Marks) -> PullDecoder:
            return PullDecoder(target, marks, complaint, self._secrets)

        one = pulling.Pull(ask, decoder, target, self._context.clock, resumes=resumes, stall=stall, pause=pause)
        try:
            yield await one.begin()
        finally:
            await one.close()

    def _target(self, model: str) -> Target:
        if not model.strip():
            raise InvalidRequest("name a model", provider=self._context.name)
        return Target(self._context.name, model)

    def _here(self, model: str, done: str) -> Target:
        target = self._target(model)
        if is_cloud(self._config.base_url) or runs_in_cloud(model):
            raise InvalidRequest(f"it runs at ollama.com, where nothing need be {done}", target=target)
        return target

    async def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        target: Target | None = None,
    ) -> Any:
        with anyio.move_on_after(ANSWERS_WITHIN):
            return await self._wire.json(method, path, body, target=target)
        raise Unavailable(f"no answer within {ANSWERS_WITHIN:g} s", target=target, provider=self._context.name)

    async def _load(self, body: dict[str, Any], target: Target) -> None:
        try:
            await self._wire.json("POST", "api/chat", body, target=target)
        except InvalidRequest as error:
            if "does not support chat" not in error.message:
                raise
            told = {**body, "input": "."}  # What only embeds is not loaded by less than a word.
            del told["messages"]
            await self._wire.json("POST", "api/embed", told, target=target)


@asynccontextmanager
async def connect(client: AsyncClient | None = None, *, provider: str = "ollama") -> AsyncGenerator[Server]:
    """The server of a provider whose plugin is this one: of `client`, else of one with the settings of this process.

    Of a client that is used besides, so that its health checks know of loads. Raises `ConfigError` for a provider that
    is not set up, or is something else.
    """
    if client is None:
        async with AsyncClient() as own, connect(own, provider=provider) as server:
            yield server
        return
    found = getattr((await client.connect(provider)).session, "server", None)
    if not isinstance(found, Server):
        raise ConfigError("it is no Ollama server: name a provider whose plugin is ollama", provider=provider)
    yield found


def _pulled(entry: Mapping[str, Any]) -> Pulled:
    details = fields(entry.get("details"))
    said = abilities(entry)
    return Pulled(
        name=name_of(entry),
        size=size_of(entry.get("size")),
        digest=string(entry.get("digest")) or None,
        modified=_moment(entry.get("modified_at")),
        parameters=string(details.get("parameter_size")) or None,
        quantization=string(details.get("quantization_level")) or None,
        context=trained_context(entry),
        capabilities=None if said is None else tuple(said),
        remote=is_remote(entry),
    )


def _running(entry: Mapping[str, Any]) -> Running:
    expires = _moment(entry.get("expires_at"))
    if expires is not None and expires.year > datetime.now(expires.tzinfo).year + _FOR_EVER:
        expires = None
    return Running(
        name=name_of(entry),
        size=size_of(entry.get("size")),
        vram=0 if entry.get("size_vram") == 0 else size_of(entry.get("size_vram")),
        context=size_of(entry.get("context_length")),
        expires=expires,
    )


def _moment(value: Any) -> datetime | None:
    """A date as Go writes it, with up to nine digits after the second; None for what is none, or has no zone."""
    text = re.sub(r"(\.\d{6})\d+", r"\1", string(value))
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


def _is_zero(keep_alive: Any) -> bool:
    """A time to stay that is none: the server unloads at once."""
    return keep_alive is not None and not re.search("[1-9]", str(keep_alive))

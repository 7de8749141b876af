"""The Inference Endpoints of an account: which there are, how they are, and starting and stopping them.

What an endpoint is, `huggingface_hub` knows: its `InferenceEndpoint` is what is handed out here. The requests are our
own, since its `HfApi` cannot be sent to another address, waits without an end in a thread that nobody can stop, follows
redirects, and obeys switches of the environment (docs/providers/hf.md has what was measured).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from urllib.parse import quote

import anyio
import anyio.to_thread

from pointsman import AuthFailed, ConfigError, Health, ModelGone, PointsmanError, Scope, Target, Unavailable
from pointsman_openai import fields, items, string

from .config import ENDPOINTS, FAMILY, HUB, HuggingFaceConfig
from .states import gone, health
from .wire import Wire

if TYPE_CHECKING:
    from huggingface_hub import InferenceEndpoint

Reader: TypeAlias = "Callable[[dict[str, Any], str], InferenceEndpoint]"

API_SECONDS = 10.0
"""How long the API may take to say how an endpoint is."""
_NO_HUB = f"set hub_url to the Hub's address, such as {HUB}, or set namespace"


class Endpoints:
    """The endpoints that a token may see.

    Names are ``NAME``, in the namespace of the configuration, else of the token's owner, or ``NAMESPACE/NAME``.
    """

    def __init__(self, wire: Wire, config: HuggingFaceConfig, provider: str) -> None:
        """`wire` sends the token to whatever address it is given: those of `config` were checked."""
        self._wire = wire
        self._config = config
        self._provider = provider
        self._namespace = config.namespace
        self._read: Reader | None = None

    async def list(self) -> list[InferenceEndpoint]:
        """All in the namespace. What `huggingface_hub` cannot read is left out."""
        namespace = await self.namespace()
        told = await self._ask("GET", f"endpoint/{quote(namespace, safe='')}")
        read = await self._reader()
        found: list[InferenceEndpoint] = []
        for entry in map(fields, items(fields(told).get("items"))):
            try:
                found.append(read(entry, namespace))
            except (AttributeError, KeyError, TypeError, ValueError):
                continue
        return found

    async def get(self, name: str) -> InferenceEndpoint:
        """How an endpoint is now, and where. Raises `ModelGone` if there is none of that name."""
        return await self._one(name)

    async def resume(self, name: str) -> InferenceEndpoint:
        """Start a paused endpoint. From then on it costs money."""
        try:
            return await self._one(name, "resume")
        except PointsmanError as error:
            if error.status == 400 and "already running" in error.message.lower():
                return await self.get(name)
            raise

    async def pause(self, name: str) -> InferenceEndpoint:
        """Stop an endpoint until somebody resumes it. It costs nothing then, and no request starts it."""
        return await self._one(name, "pause")

    async def scale_to_zero(self, name: str) -> InferenceEndpoint:
        """Stop an endpoint until the next request. It costs nothing until then."""
        return await self._one(name, "scale-to-zero")

    async def health(self, name: str) -> Health:
        """How an endpoint is, without asking itself: that would start one that is scaled to zero."""
        return health(name, str((await self.get(name)).status))

    async def hourly_prices(self) -> Mapping[tuple[str, ...], Decimal]:
        """USD for an hour of a replica, by cloud, region, instance and size (see `instance_of`)."""
        told = await self._ask("GET", f"provider/{quote(await self.namespace(), safe='')}")
        return {
            (string(vendor.get("name")), string(region.get("name")), *_size(compute)): Decimal(str(price))
            for vendor in map(fields, items(fields(told).get("vendors")))
            for region in map(fields, items(vendor.get("regions")))
            for compute in map(fields, items(region.get("computes")))
            if isinstance(price := compute.get("pricePerHour"), int | float)
            and not isinstance(price, bool)
            and 0 <= price < 10**6
        }

    async def namespace(self) -> str:
        """The configured one, else the name of the token's owner, which the Hub is asked for once."""
        if self._namespace is None:
            self._api()
            told = fields(await self.whoami())
            if told.get("type") != "user" or not string(told.get("name")):
                message = (
                    "whose endpoints are meant? The token is no user's: set namespace, or write endpoint:NAMESPACE/NAME"
                )
                raise ConfigError(message, provider=self._provider, scope=Scope.TARGET)
            self._namespace = string(told.get("name"))
        return self._namespace

    async def whoami(self) -> Any:
        """What the Hub says of the token."""
        if self._config.hub is None:
            message = f"nobody can say whose token it is: {_NO_HUB}"
            raise ConfigError(message, provider=self._provider, scope=Scope.TARGET)
        try:
            with self._in_time("the Hub", provider=self._provider):
                told, _ = await self._wire.fetch(f"{self._config.hub}/api/whoami-v2", provider=self._provider)
        except PointsmanError as error:
            if not isinstance(error, AuthFailed):
                error.scope = Scope.TARGET  # The router may answer all the same.
            raise
        return told

    async def _one(self, name: str, action: str = "") -> InferenceEndpoint:
        """How it is, after an `action`, if there is one: its own answer may be empty."""
        target = Target(self._provider, f"{FAMILY}{name}")
        own, _, short = name.rpartition("/")
        if not short:
            raise ModelGone("it names no endpoint: write endpoint:NAME, or endpoint:NAMESPACE/NAME", target=target)
        namespace = own or await self.namespace()
        path = f"endpoint/{quote(namespace, safe='')}/{quote(short, safe='')}"
        try:
            if action:
                await self._ask("POST", f"{path}/{action}", target=target)
            told = await self._ask("GET", path, target=target)
        except ModelGone as error:
            raise gone(short, namespace, target) from error
        try:
            return (await self._reader())(told, namespace)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            message = f"what the API says of the endpoint {name} cannot be read; is huggingface_hub too old for it?"
            raise Unavailable(message, target=target, retryable=False, begun=False) from error

    async def _ask(self, method: str, path: str, *, target: Target | None = None) -> Any:
        """Raises what the API refuses: without the right to see endpoints the router may still answer."""
        where: dict[str, Any] = {"target": target} if target else {"provider": self._provider}
        url, told = f"{self._api(target)}/{path}", None
        try:
            with self._in_time("the API of endpoints", **where):
                if method == "POST":
                    await self._wire.act(url, **where)
                else:
                    told, _ = await self._wire.fetch(url, **where)
        except PointsmanError as error:
            error.scope = Scope.TARGET
            if isinstance(error, AuthFailed):
                permission = "the token needs the permission to see and to call Inference Endpoints"
                error.args = (f"{error.message} ({permission}: https://huggingface.co/settings/tokens)",)
            raise
        return told

    def _api(self, target: Target | None = None) -> str:
        """Where the API is. Raises `ConfigError` with all that has to be set for it."""
        if self._config.endpoints is not None:
            return self._config.endpoints
        message = f"base_url says nothing of an API of endpoints: set endpoints_url to its address, such as {ENDPOINTS}"
        if self._config.hub is None and self._namespace is None and target is None:
            message += f"; {_NO_HUB}"
        raise ConfigError(message, target=target, provider=self._provider, scope=Scope.TARGET)

    @contextmanager
    def _in_time(self, who: str, **where: Any) -> Generator[None]:
        """Raises `Unavailable` after `API_SECONDS`. Nobody has asked the endpoint itself yet, whatever is raised."""
        try:
            with anyio.fail_after(API_SECONDS):
                yield
        except TimeoutError:
            raise Unavailable(f"{who} did not answer within {API_SECONDS:g} s", begun=False, **where) from None
        except PointsmanError as error:
            error.begun = False
            raise

    async def _reader(self) -> Reader:
        if self._read is None:
            key = self._config.api_key.get_secret_value().strip()
            try:
                self._read = await anyio.to_thread.run_sync(_reader, self._config.hub or HUB, key)
            except Exception as error:  # Of its environment it reads numbers, too.
                message = f"huggingface_hub, which is needed for endpoints, cannot be imported: {error}"
                raise ConfigError(message, provider=self._provider, scope=Scope.TARGET) from error
        return self._read


def instance_of(endpoint: InferenceEndpoint) -> tuple[str, ...]:
    """What an endpoint runs on: cloud, region, instance and size."""
    raw = fields(cast(Any, endpoint).raw)  # It has no types.
    place = fields(raw.get("provider"))
    return (string(place.get("vendor")), string(place.get("region")), *_size(fields(raw.get("compute"))))


def _size(compute: Mapping[str, Any]) -> tuple[str, str]:
    return string(compute.get("instanceType")), string(compute.get("instanceSize"))


def _reader(hub: str, token: str) -> Reader:
    """How `huggingface_hub` reads an endpoint. Importing it takes half a second: not to be done on an event loop.

    The token is said to both, the object and its API, which would else look for one by themselves.
    """
    from huggingface_hub import HfApi, InferenceEndpoint

    api, untyped = HfApi(endpoint=hub, token=token), cast(Any, InferenceEndpoint)

    def read(raw: dict[str, Any], namespace: str) -> InferenceEndpoint:
        return untyped.from_raw(raw, namespace=namespace, token=token, api=api)

    return read

"""Asking a dedicated endpoint: finding it, waking it, and saying why it does not answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio

from pointsman import (
    ChatRequest,
    ConfigError,
    Embeddings,
    EmbedRequest,
    ModelGone,
    PointsmanError,
    ProviderContext,
    Scope,
    StreamEvent,
    Target,
    Unavailable,
)
from pointsman_openai import fields, items, string

from .beside import Beside
from .config import BELOW, FAMILY, HuggingFaceConfig
from .endpoints import Endpoints, instance_of
from .prices import Meter
from .states import ASLEEP, WAKING, refusal
from .wire import Serving, vouched

if TYPE_CHECKING:
    from huggingface_hub import InferenceEndpoint

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0
"""Seconds between two looks at an endpoint that is starting."""
_STARTING = (502, 503, 504)
"""Statuses that an endpoint's proxy may answer with while there is nobody behind it."""
_TELLING = (400, 404, *_STARTING)
"""Those of which the API can say better what they mean."""
_MOVED = (None, 404)
"""What is met at an address where the endpoint is not any more: nobody, or nothing."""


@dataclass(slots=True)
class _Place:
    """An endpoint as it was found when it was first asked for."""

    url: str
    model: str
    """What it calls its model: at first its own name, as the vendor's images have it."""


class Server:
    """The endpoints of one session, as what answers."""

    def __init__(
        self,
        wire: Serving,
        endpoints: Endpoints,
        meter: Meter,
        config: HuggingFaceConfig,
        context: ProviderContext,
        trusts: Callable[[str], bool],
        beside: Beside,
    ) -> None:
        self._wire = wire
        self._endpoints = endpoints
        self._meter = meter
        self._config = config
        self._context = context
        self._trusts = trusts
        self._beside = beside
        self._places: dict[str, _Place] = {}

    @asynccontextmanager
    async def stream(self, request: ChatRequest) -> AsyncGenerator[AsyncIterator[StreamEvent]]:
        """Ask an endpoint. One that is scaled to zero is woken by that, and waited for; a paused one is refused."""
        target = Target(self._context.name, request.model)

        async def ask(stack: AsyncExitStack, place: _Place) -> AsyncIterator[StreamEvent]:
            url = f"{place.url}/v1/chat/completions"
            chat = self._wire.stream(request.for_model(place.model), url=url, target=target)
            return await stack.enter_async_context(chat)

        async with AsyncExitStack() as stack:
            events = await self._asked(target, lambda place: ask(stack, place))
            yield events if request.deadline is not None else self._beside.ending(target.model, events)

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """A vector for each text, from an endpoint that serves embeddings under ``/v1``."""
        target = Target(self._context.name, request.model)

        async def ask(place: _Place) -> Embeddings:
            named = EmbedRequest(place.model, request.texts)
            return await self._wire.embed(named, url=f"{place.url}/v1/embeddings", target=target)

        return await self._asked(target, ask)

    async def _asked(self, target: Target, ask: Callable[[_Place], Any]) -> Any:
        """What `ask` answers. Asks again while the endpoint starts, within `wake_seconds`."""
        until = self._context.clock() + self._config.wake_seconds
        pause, renamed = FIRST_PAUSE, False
        place = await self._place(target, until)
        while True:
            try:
                return await ask(place)
            except PointsmanError as error:
                error.scope = min(error.scope, Scope.TARGET)  # The router, and other endpoints, may answer.
                if isinstance(error, ModelGone) and not renamed and await self._renamed(place, target):
                    renamed = True
                    continue
                state = await self._state(error, target)
                refused = refusal(_name(target), state, target)
                if refused is not None or error.status in _MOVED:
                    self._places.pop(target.model, None)
                if refused is not None:
                    raise refused from error
                if error.status not in _STARTING or (state not in WAKING and state != ASLEEP):
                    raise
                if self._context.clock() + pause > until:
                    error.args = (f"{error.message} (the endpoint is {state}; it was waited for)", *error.args[1:])
                    raise
                await anyio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    async def _place(self, target: Target, until: float) -> _Place:
        """Where the endpoint is: the API says it once. Raises what its state refuses."""
        if target.model in self._places:
            return self._places[target.model]
        pause = FIRST_PAUSE
        while True:
            found = await self._endpoints.get(_name(target))
            state = str(found.status)
            if refused := refusal(found.name, state, target):
                raise refused
            if url := string(found.url):
                break
            if state not in WAKING or self._context.clock() + pause > until:
                raise Unavailable(
                    f"the endpoint {found.name} is {state}, and has no address", target=target, begun=False
                )
            await anyio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        self._check(url, target)
        self._meter.names[target.model] = f"{found.namespace}/{found.name}"
        self._learn_price(found, target)
        place = self._places[target.model] = _Place(url.rstrip("/").removesuffix("/v1"), string(found.name))
        return place

    def _check(self, url: str, target: Target) -> None:
        """Raises `ConfigError` for an address that the token is not for, whoever says that it is the endpoint's."""
        host, api = "", self._config.endpoints or ""
        with suppress(ValueError):  # It is no address.
            parts = urlsplit(url)
            host, _ = parts.hostname or "", parts.port
            trusted = parts.scheme == "https" and (self._trusts(host) or host.endswith(BELOW))
            if url.isprintable() and (trusted or vouched(url, self._config.base_url, api)):
                return
        message = (
            f"the token is not sent to {host or repr(url)}, which the API says is the endpoint's address; if you "
            'trust it, ask it as a provider of its own: plugin = "openai-compatible", with that base_url'
        )
        raise ConfigError(message, target=target, scope=Scope.TARGET)

    def _learn_price(self, found: InferenceEndpoint, target: Target) -> None:
        """What an hour costs, if the configuration says, or else the vendor: he is asked beside the answers."""
        own, full = self._config.endpoint_prices, f"{found.namespace}/{found.name}"
        said = next((own[name] for name in (_name(target), found.name, full) if name in own), None)
        if said is None:
            self._beside.ask(target.model, partial(self._ask_price, instance_of(found), target))
        else:
            self._meter.hourly[target.model] = said

    async def _ask_price(self, instance: tuple[str, ...], target: Target) -> None:
        try:
            price = (await self._endpoints.hourly_prices()).get(instance)
        except Exception as error:  # A price is not worth an answer, whatever is wrong with it.
            self._context.log.debug("what %s costs is not known: %s", target, error)
        else:
            if price is not None:
                self._meter.hourly[target.model] = price

    async def _state(self, error: PointsmanError, target: Target) -> str:
        """How the endpoint is, if that may be why it refused; empty if not, or if nobody says."""
        if error.status not in _TELLING and not (isinstance(error, Unavailable) and error.status is None):
            return ""
        try:
            return str((await self._endpoints.get(_name(target))).status)
        except PointsmanError as unknown:
            self._context.log.debug("how %s is, is not known: %s", target, unknown)
            return ""

    async def _renamed(self, place: _Place, target: Target) -> bool:
        """Whether the endpoint has another name for its model: custom images have."""
        try:
            told, _ = await self._wire.fetch(f"{place.url}/v1/models", target=target)
        except PointsmanError:
            return False
        names = [string(entry.get("id")) for entry in map(fields, items(fields(told).get("data")))]
        if not names or place.model in names or not names[0]:
            return False
        place.model = names[0]
        return True


def _name(target: Target) -> str:
    return target.model.removeprefix(FAMILY)

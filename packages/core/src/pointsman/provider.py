"""A provider: on paper (`ProviderSpec`), once it is open (`Connection`), and what it says about itself."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from decimal import Decimal
from math import inf, isfinite
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

from .cost import Price
from .pricebook import PriceBook
from .types import ChatRequest, Cost, StreamEvent, Target, Timings, Usage

if TYPE_CHECKING:
    import logging

    from pydantic import BaseModel, SecretStr

    from .errors import PointsmanError

    ConfigT = TypeVar("ConfigT", bound=BaseModel)
    ConfigT_contra = TypeVar("ConfigT_contra", bound=BaseModel, contravariant=True)
else:
    ConfigT = TypeVar("ConfigT")
    ConfigT_contra = TypeVar("ConfigT_contra", contravariant=True)

Stream: TypeAlias = Callable[[ChatRequest], AbstractAsyncContextManager[AsyncIterator[StreamEvent]]]
"""Entering means that the vendor accepted. The iterator yields deltas and ends with exactly one `Finished`."""

CheckHealth: TypeAlias = Callable[[], Awaitable["Health"]]
PriceAttempt: TypeAlias = Callable[[Target, Usage | None, Timings | None], Cost]
ListModels: TypeAlias = Callable[[], Awaitable[Sequence["ModelInfo"]]]
Embed: TypeAlias = Callable[["EmbedRequest"], Awaitable["Embeddings"]]
Warm: TypeAlias = Callable[[str], Awaitable["Health"]]
"""From a model's name: has a machine started that answers for it, if none runs, and returns once it is ready, or will
not be. It costs money, and spends no token."""


class Terminal(enum.Enum):
    """What proves that a stream is whole. A stream that ends without it is `StreamBroken`, never success.

    The provider sees its vendor's proof and yields `Finished` for nothing else; the engine takes a stream without a
    `Finished` for broken. The declaration is for people, and for tests that hold the provider to it.
    """

    FINISH_REASON = "a finish reason"
    DONE_MARKER = "the [DONE] event"
    DONE_FIELD = "a last line with done: true"
    BODY_LENGTH = "the end of the body, with its length"


CAPABILITIES = ("tools", "schema", "vision", "reasoning", "embeddings", "prefill", "agentic", "local")
"""What a target may be able to do, by the names in use; ``prefill`` is going on with what another has begun."""


class HealthState(enum.StrEnum):
    """How a provider is, as far as it can be known without spending tokens."""

    UP = "up"
    COLD = "cold"
    WARMING = "warming"
    DEGRADED = "degraded"
    DOWN = "down"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Health:
    """One answer of a health check."""

    state: HealthState
    reason: str = ""
    wait: float | None = None
    """Seconds until the first token is to be expected, where that is known."""
    error: PointsmanError | None = None
    """What a request would meet now, where the check met it: whether a key is refused can be told from its class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """A model that a provider offers. None means not known, not zero."""

    id: str
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    capabilities: frozenset[str] | None = None
    price: Price | None = None
    first_token: float | None = None
    """Seconds until a first token is to be expected, as the vendor itself measures or states them."""
    tokens_per_second: float | None = None
    """The speed after it, likewise."""


@dataclass(frozen=True, slots=True)
class EmbedRequest:
    """Texts to embed with one model."""

    model: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Embeddings:
    """One vector for each text, in order."""

    vectors: tuple[tuple[float, ...], ...]
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A limit as a vendor's header states it: `kind` is its own name, such as ``requests`` or ``requests-day``."""

    kind: str
    limit: int | None
    remaining: int | None
    reset_at: float | None
    """Seconds on the client's clock."""


@dataclass(slots=True)
class RateLimits:
    """The newest limits that a vendor has stated, by model and kind. A provider writes here; others read."""

    seen: dict[tuple[str, str], RateLimit] = field(default_factory=dict[tuple[str, str], RateLimit])

    def learn(self, model: str, limit: RateLimit) -> None:
        """Remember what the vendor said last. Raises `TypeError` for what nobody could reckon with."""
        numbers = [one for one in (limit.limit, limit.remaining, limit.reset_at) if one is not None]
        if type(limit.kind) is not str or not all(type(one) in (int, float) and isfinite(one) for one in numbers):
            raise TypeError(f"a RateLimit has a kind, and finite numbers or None: not {limit!r}")
        self.seen[model, limit.kind] = limit


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderContext:
    """What core lends to an open provider."""

    name: str
    """The provider's name in this configuration: ``lan`` for ``[providers.lan] plugin = "openai-compatible"``."""
    clock: Callable[[], float]
    """Monotonic seconds, on the event loop's clock."""
    secrets: Mapping[str, SecretStr]
    """The secrets that the spec names in `env_keys`, and no others."""
    limits: RateLimits
    log: logging.LoggerAdapter[logging.Logger]
    """Redacts every secret, also in arguments and tracebacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Targets of one provider that are alike: what holds for all of them."""

    terminal: Terminal
    capabilities: frozenset[str] = frozenset()
    idempotent: bool = True
    """False if asking twice may do something twice (an agent)."""
    cold_start: float = 0.0
    """Seconds that it may need to get a model ready before its first output. Where nobody else is left to ask and
    nobody has set a limit, it is given so much longer."""
    silence: float = 0.0
    """Seconds between two outputs that are nothing unusual there (an agent uses its tools). Where nobody has set a
    limit, it is given as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strengths:
    """What a provider's package expects of its targets before anything was measured; a policy starts from it.

    From 0 to 10, where 5 is nothing unusual; None where nobody can say.
    """

    speed: float | None = None
    cost: float | None = None
    """10 is free of charge. The price book goes before it."""
    tasks: Mapping[str, float] = field(default_factory=dict[str, float])
    """How good answers are, by task, or by kind of task: ``code_generation``, ``code_explanation``, ``general``."""
    first_token: tuple[float, float] | None = None
    """Seconds until the first output of a server that is ready: a usual range."""
    tokens_per_second: tuple[float, float] | None = None
    """The speed after it, likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleToZero:
    """A target's machines, of which none may run when nobody asks: a start takes time, and each second is billed.

    Raises `ValueError` for what cannot be reckoned with.
    """

    window: float
    """Seconds that a machine stays ready after its last answer."""
    start: float
    """Seconds that a start is expected to take before one was seen."""
    second: Decimal | None = None
    """USD for a second of one machine, whoever it serves; None if nobody knows."""
    parallel: int = 1
    """Requests that one machine answers at once."""
    shared: bool = False
    """All models of the provider are on the same machines: where one has answered, none is cold."""

    def __post_init__(self) -> None:
        for name in ("window", "start"):
            seconds: Any = getattr(self, name)
            if not isinstance(seconds, int | float) or not 0 <= seconds < inf:
                raise ValueError(f"{name} is a finite number of seconds from 0, not {seconds!r}")
        usd = self.second
        if usd is not None and (type(usd) is not Decimal or not usd.is_finite() or usd < 0):
            raise ValueError(f"second is a finite Decimal from 0, or None, not {usd!r}")
        if type(self.parallel) is not int or self.parallel < 1:
            raise ValueError(f"parallel is a whole number from 1, not {self.parallel!r}")


Stored: TypeAlias = Callable[[Mapping[str, str]], Mapping[str, tuple[str, str]]]
"""From an environment to what the vendor's own tools have put down on this machine: setting -> (value, file). It reads
small files and nothing else; without ``HOME`` in the environment there are none."""


class OpenProvider(Protocol[ConfigT_contra]):
    """How a provider is opened; leaving the context closes everything that it holds."""

    def __call__(self, config: ConfigT_contra, context: ProviderContext, /) -> AbstractAsyncContextManager[Any]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSpec(Generic[ConfigT]):
    """A provider on paper: data only, cheap to build, opens nothing.

    `CAPABILITIES` are those in use. A model in `models` may say more exactly which of them it has; a `config` may have
    a setting ``capabilities`` for what its user knows that the server can do besides: one of these, or a name that
    the spec declares itself.
    """

    name: str
    config: type[ConfigT]
    """A pydantic model, frozen, extra fields forbidden. Keys are `SecretStr`. Every provider takes `base_url`."""
    open: OpenProvider[ConfigT]
    terminal: Terminal
    capabilities: frozenset[str] = frozenset()
    models: tuple[ModelInfo, ...] = ()
    """The models that the package knows, with dated prices."""
    price_of: Callable[[ConfigT, ModelInfo], Price | None] | None = None
    """What else the package knows of prices, from the configuration and what is known of the model: its name, and more
    where the vendor has listed it. Asked last, and often; it opens nothing."""
    variant_of: Callable[[str], str] | None = None
    """From a model to the one that it is a form of, else to itself: ``org/model`` for ``org/model:groq``. What the user
    has set as the price of that holds for it, too."""
    scaling: Callable[[ConfigT, str], ScaleToZero | None] | None = None
    """From the configuration and a model's name to how its machines come and go; None if they are always there, or if
    nothing is known of them. It opens nothing."""
    fan_out: str | None = None
    """Where its `FanOut` is (``package.module:object``), if it can answer many requests on machines of its own at
    once; imported when it is used."""
    strengths: Strengths = Strengths()
    """What is to be expected of its targets, until it is measured."""
    default_models: tuple[str, ...] = ()
    """Where a request may go by itself, best first."""
    hosts: tuple[str, ...] = ()
    """Hosts that keys may be sent to, besides one that the user sets; ``*.acme.dev`` are all below ``acme.dev``."""
    addresses: tuple[str, ...] = ()
    """Settings besides `base_url` that say where keys go. Neither may a project's file alone send them elsewhere."""
    env_keys: Mapping[str, str] = field(default_factory=dict[str, str])
    """Setting -> the vendor's own environment variable, for secrets: ``{"api_key": "ACME_API_KEY"}``."""
    env_settings: Mapping[str, str] = field(default_factory=dict[str, str])
    """The same for settings that are no secrets."""
    stored: Stored | None = None
    """Where else the vendor's own tools keep these settings; asked only for what nobody has set."""
    help: str = ""
    """Where a person gets a key or starts a server; shown where one is missing."""
    backends: tuple[str, ...] = ("asyncio", "trio")
    """The event loops that it runs on; on another it is refused."""
    idempotent: bool = True
    """See `Family`, as for all that is said of targets here."""
    cold_start: float = 0.0
    silence: float = 0.0
    families: Mapping[str, Family] = field(default_factory=dict[str, Family])
    """What the names of targets begin with that are not like the others, and what holds for those: ``agent:``."""

    def family(self, model: str) -> Family:
        """What holds for the target of that name."""
        for prefix, family in self.families.items():
            if model.startswith(prefix):
                return family
        return Family(
            terminal=self.terminal,
            capabilities=self.capabilities,
            idempotent=self.idempotent,
            cold_start=self.cold_start,
            silence=self.silence,
        )

    def trusts(self, host: str) -> bool:
        """Whether keys may go to `host` without its user's word."""
        host = host.lower().rstrip(".")
        own = (one.lower().rstrip(".") for one in self.hosts)
        return any(host == one or (one.startswith("*.") and host.endswith(one[1:])) for one in own)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection(Generic[ConfigT]):
    """An open provider: what the hooks that act are asked about, once, when it opens."""

    spec: ProviderSpec[ConfigT]
    config: ConfigT
    session: Any
    """What `spec.open` yielded; only the provider's own plugin looks inside."""
    context: ProviderContext
    prices: PriceBook

    @property
    def name(self) -> str:
        """The provider's name in this configuration."""
        return self.context.name

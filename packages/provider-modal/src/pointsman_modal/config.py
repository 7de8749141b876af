"""Settings, and what can be wrong with them. What is wrong is said before a request is billed for it."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal, Self, cast
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from pointsman import ModelInfo
from pointsman_openai import HttpAddress, OpenAIConfig

DEFAULT_MODEL = "qwen2.5-coder:7b"
DEFAULT_CORES = Decimal("0.125")
DEFAULT_GIB = Decimal("0.125")
"""What a container asks for that asks for nothing: 0.125 cores and 128 MiB (Modal's guide, "Resources")."""
KNOWN = (ModelInfo(id=DEFAULT_MODEL, capabilities=frozenset({"tools", "schema"})),)
"""Qwen2.5-Coder sees no pictures and does not think aloud. Its context is what the deployment gives it."""
COLD_START = 300.0
"""Seconds. A container of Ollama with a model of 17 GB was ready after 1 to 2 minutes (a report of 2026-07); vLLM that
compiles takes minutes. Modal itself gives up after the deployment's ``startup_timeout``."""

_MAKE_ONE = "make a proxy token with `modal workspace proxy-tokens create`, or on the dashboard"


def address(url: str) -> str:
    """Where ``/chat/completions`` is below. Modal prints its addresses without a path, which means ``/v1``."""
    path = urlsplit(url).path
    if path.endswith(("/chat/completions", "/models", "/embeddings")):
        raise ValueError("write the address as Modal prints it, or what /chat/completions is below")
    return url if path else f"{url}/v1"


def token_half(name: str, prefix: str, other: str) -> Any:
    """A check of one half of a proxy token, which begins with `prefix`; `other` is what the other half begins with."""

    def check(half: SecretStr | None) -> SecretStr | None:
        text = half.get_secret_value() if half else ""
        _refuse_account_token(text)
        if text.startswith(other):
            raise ValueError(f"this is the other half of the token: {name} begins with {prefix}")
        if text.startswith("wk-") and ".ws-" in text:
            raise ValueError("these are both halves: set them as api_key, or divide them at the dot")
        return half

    return AfterValidator(check)


def bearer(key: SecretStr | None) -> SecretStr | None:
    """A check of a key for a server behind Modal's proxy, or of a whole proxy token for the proxy itself."""
    text = key.get_secret_value() if key else ""
    _refuse_account_token(text)
    if text.startswith(("wk-", "ws-")) and halves(text) is None:
        raise ValueError("half a proxy token: write wk-....ws-..., or set token_id and token_secret")
    return key


def halves(key: str) -> tuple[str, str] | None:
    """The two halves of a proxy token in one; None if it is another kind of key."""
    token_id, dot, token_secret = key.partition(".")
    return (token_id, token_secret) if dot and token_id.startswith("wk-") and token_secret.startswith("ws-") else None


def _refuse_account_token(text: str) -> None:
    if text.startswith(("ak-", "as-")):
        raise ValueError(
            "this is an account token (ak-, as-), which deploys apps. A request needs a proxy token (wk-, ws-): "
            f"{_MAKE_ONE}"
        )


def _names(value: Any) -> Any:
    """A list, also where it is written in one string."""
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


def _gpu(name: str) -> str:
    from .cost import gpu_price  # The tables wait for whoever has a GPU.

    gpu_price(name)
    return name


def _region(name: str) -> str:
    from .cost import region_times

    region_times((name,))
    return name


class ModalConfig(OpenAIConfig, frozen=True):
    """Settings of one address on Modal. `base_url` is required. From `gpu` on they tell what a second of it costs."""

    base_url: Annotated[HttpAddress, AfterValidator(address)]
    """As Modal prints it, with or without ``/v1``."""
    token_id: Annotated[SecretStr | None, token_half("token_id", "wk-", "ws-")] = None
    token_secret: Annotated[SecretStr | None, token_half("token_secret", "ws-", "wk-")] = None
    """The two halves of a proxy token: both, or none for an address without protection."""
    api_key: Annotated[SecretStr | None, AfterValidator(bearer)] = None
    """For a server behind the proxy that asks for a key of its own. Or a whole proxy token, ``wk-....ws-...``."""
    server: Literal["ollama", "other"] = "ollama"
    """What runs there. What Ollama's ``/v1`` ignores or loses is refused; nothing is known of another."""
    default_models: Annotated[tuple[str, ...], BeforeValidator(_names)] = (DEFAULT_MODEL,)
    """What is served, best first: where a request may go by itself, and what is listed while nobody may be asked."""
    capabilities: Annotated[frozenset[str], BeforeValidator(_names)] = frozenset()
    """What the server can do besides, such as ``prefill``."""
    context_tokens: int | None = Field(default=None, gt=0)
    """The context that models are loaded with (``OLLAMA_CONTEXT_LENGTH``), if it is known."""
    cold_start: float = Field(default=COLD_START, ge=0)
    """Seconds that a request waits, asking again, for an address that says 503 as long as no container is ready."""
    scaledown_window: float = Field(default=60.0, ge=2, le=3600)
    """Seconds that a container stays after its last request, as it was deployed; 60 unless that says otherwise."""
    min_containers: int = Field(default=0, ge=0)
    """Containers that always run. With one, asking after health and models starts nothing, and is done."""
    max_containers: int | None = Field(default=None, gt=0)
    """Containers that run at once at most, as it was deployed, if it is known."""
    app: str | None = None
    """The app's name at Modal, where `pointsman modal deploy` made it: status, warm, logs, stop and batches ask for it.
    A request needs the address only."""
    environment: str | None = None
    """The environment at Modal that the app is in; None: the account's default."""
    gpu: Annotated[tuple[Annotated[str, AfterValidator(_gpu)], ...], BeforeValidator(_names)] = ()
    """As it was deployed: ``A10``, ``H100:2``, or a list of which Modal takes the first that is free."""
    cpu: Decimal = Field(default=DEFAULT_CORES, gt=0)
    """Physical cores that the container asks for."""
    memory_gib: Decimal = Field(default=DEFAULT_GIB, gt=0)
    region: Annotated[tuple[Annotated[str, AfterValidator(_region)], ...], BeforeValidator(_names)] = ()
    """Where it must run, if it must: that multiplies its price."""
    price_per_second: Decimal | None = Field(default=None, ge=0)
    """USD for a second of one container, all included, in the place of what the table says."""
    parallel: int = Field(default=1, gt=0)
    """Requests that one container answers at once: its ``max_inputs``, and ``OLLAMA_NUM_PARALLEL``."""

    @model_validator(mode="before")
    @classmethod
    def _divide(cls, given: Any) -> Any:
        """A token that is given whole is known by its halves, too, so that neither is ever shown."""
        if not isinstance(given, dict):
            return given
        table = cast("dict[str, Any]", given)
        key: Any = table.get("api_key")
        text = key.get_secret_value() if isinstance(key, SecretStr) else key
        found = halves(text.strip()) if isinstance(text, str) else None
        if found is None:
            return table
        for name, half in zip(("token_id", "token_secret"), found, strict=True):
            if table.get(name) is not None and _text(table[name]) != half:
                another = "this is a proxy token, and token_id and token_secret are another: set one of them"
                raise _wrong("api_key", PydanticCustomError("another_token", another))
        return {**table, "token_id": found[0], "token_secret": found[1]}

    @model_validator(mode="after")
    def _no_other_api(self) -> Self:
        if self.server == "ollama" and f"{urlsplit(self.base_url).path}/".startswith("/api/"):
            message = "write the address as Modal prints it, or with /v1; /api is Ollama's other API"
            raise _wrong("base_url", PydanticCustomError("other_api", message))
        return self

    @model_validator(mode="after")
    def _pair(self) -> Self:
        for have, lack in (("token_id", "token_secret"), ("token_secret", "token_id")):
            if getattr(self, have) is not None and getattr(self, lack) is None:
                # As of a setting that must be given: nothing is wrong, something is not there yet.
                raise _wrong(lack, "missing")
        return self

    @property
    def whole_token(self) -> bool:
        """The proxy token goes along as a Bearer."""
        return self.api_key is not None and halves(self.api_key.get_secret_value().strip()) is not None


def _wrong(setting: str, what: str | PydanticCustomError) -> ValidationError:
    """What a check of several settings says of one of them."""
    return ValidationError.from_exception_data("ModalConfig", [InitErrorDetails(type=what, loc=(setting,), input={})])


def _text(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value

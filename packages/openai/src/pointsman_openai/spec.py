"""A vendor that speaks the dialect, as a `ProviderSpec`: a config, one call, and hooks of one line each."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, SecretStr

from pointsman import ConfigError, Connection, ModelInfo, Price, ProviderContext, ProviderSpec, Strengths

from .quirks import Quirks

if TYPE_CHECKING:
    from .session import Session


def _http_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("write a whole address, such as http://127.0.0.1:8080/v1")
    _ = parts.port  # Raises ValueError if it is no number.
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("an address without a user, a query or a fragment is needed; keys have a setting of their own")
    return url.rstrip("/")


HttpAddress = Annotated[str, AfterValidator(_http_address)]
"""An ``http`` or ``https`` address without a slash at its end."""


def listed(value: Any) -> Any:
    """A list, also where it is written in one string, as in an environment variable."""
    return [name.strip() for name in value.split(",")] if isinstance(value, str) else value


class OpenAIConfig(BaseModel, frozen=True, extra="forbid", defer_build=True):
    """Settings that every vendor on this dialect takes. A vendor adds defaults, or makes one required."""

    base_url: HttpAddress
    """Where ``/chat/completions`` and ``/models`` are below."""
    api_key: SecretStr | None = None
    connect_timeout: float = Field(default=5.0, gt=0)
    """Seconds."""
    headers: Mapping[str, SecretStr] = Field(default_factory=dict)
    """Headers to send with every request, besides the key."""


ConfigT = TypeVar("ConfigT", bound=OpenAIConfig)


def openai_spec(
    name: str,
    config: type[ConfigT],
    *,
    quirks: Quirks = Quirks(),  # noqa: B008  (frozen)
    capabilities: frozenset[str] = frozenset({"tools", "schema"}),
    models: tuple[ModelInfo, ...] = (),
    strengths: Strengths = Strengths(),  # noqa: B008  (frozen)
    default_models: tuple[str, ...] = (),
    hosts: tuple[str, ...] = (),
    env_keys: Mapping[str, str] | None = None,
    env_settings: Mapping[str, str] | None = None,
    help: str = "",  # noqa: A002  (the name of the field that it fills)
    price_of: Callable[[ConfigT, ModelInfo], Price | None] | None = None,
) -> ProviderSpec[ConfigT]:
    """The spec of a vendor whose differences are `quirks`; its session is a `pointsman_openai.Session`."""

    @asynccontextmanager
    async def open_(config: ConfigT, context: ProviderContext, /) -> AsyncGenerator[Session]:
        async with open_session(config, context, quirks) as session:
            yield session

    return ProviderSpec(
        name=name,
        config=config,
        open=open_,
        terminal=quirks.terminal,
        capabilities=capabilities,
        models=models,
        strengths=strengths,
        default_models=default_models,
        hosts=hosts,
        env_keys=env_keys or {},
        env_settings=env_settings or {},
        help=help,
        price_of=price_of,
    )


def _secrets(key: str, config: OpenAIConfig) -> tuple[str, ...]:
    """The key, the values of all headers, and of a value such as ``Bearer x`` what is after the scheme."""
    values = [header.get_secret_value().strip() for header in config.headers.values()]
    found = (key, *values, *(value.partition(" ")[2].strip() for value in values))
    return tuple(dict.fromkeys(filter(None, found)))


def session_of(connection: Connection[Any]) -> Session:
    """The session that a connection made by `openai_spec` or `open_session` holds, with its type."""
    session: Session = connection.session
    return session


@asynccontextmanager
async def open_session(
    config: OpenAIConfig,
    context: ProviderContext,
    quirks: Quirks,
    *,
    headers: Mapping[str, str] | None = None,
    kind: Callable[..., Session] | None = None,
) -> AsyncGenerator[Session]:
    """Open an HTTP client for `config` and a session on it; leaving closes both. httpx2 is imported here, not before.

    `headers` are the vendor's own, in lower case and no secrets; those of `config` go before them. `kind` is a vendor's
    own class of `Session`.
    Raises `ConfigError` if the key or a header cannot be sent, or the address not be used.
    """
    from .http import new_client
    from .session import Session

    key = config.api_key.get_secret_value().strip() if config.api_key else ""
    sent = {"user-agent": "pointsman", "accept-encoding": "identity"}
    if key:
        sent[quirks.key_header] = f"Bearer {key}"
    sent |= headers or {}
    sent |= {name.lower(): value.get_secret_value() for name, value in config.headers.items()}
    for name, value in sent.items():
        if not (value.isascii() and value.isprintable()):
            setting = "api_key" if name == quirks.key_header else f"headers.{name}"
            raise ConfigError(f"{setting} holds characters that no header can carry", provider=context.name)
    async with new_client(config.base_url, sent, config.connect_timeout) as http:
        yield (kind or Session)(http, context, quirks, _secrets(key, config))

"""What a request shows who sends it: a key, or a token that client credentials are changed for."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol

import anyio

from pointsman import AuthFailed, ConfigError, PointsmanError, Scope, Unavailable
from pointsman_openai import fields, string

from .config import BlaxelConfig

_MARGIN = 60.0
"""Seconds before its end at which a token is renewed, or half its life, if that is shorter."""
_LIFE = 3600.0
"""Seconds of a token that does not say how long it lives. Blaxel's live for two hours."""
_PAUSE = 5.0
"""Seconds until a token that still holds is tried to be renewed again."""

VERSION = "2026-04-28"
"""The first version of the control plane that lists in pages."""


class PostForToken(Protocol):
    """Sends credentials to the control plane; the body of its answer, or what its refusal means."""

    def __call__(self, url: str, headers: dict[str, str], content: bytes, /) -> Awaitable[bytes]: ...


class _Token(NamedTuple):
    text: str
    renew_at: float
    ends_at: float


class Keys:
    """The key of one workspace, in whatever way it is had."""

    def __init__(
        self,
        config: BlaxelConfig,
        provider: str,
        clock: Callable[[], float],
        post: PostForToken,
        log: logging.LoggerAdapter[logging.Logger],
    ) -> None:
        """Raises `ConfigError` for what cannot be sent, or not be used."""
        self._provider = provider
        self._clock = clock
        self._post = post
        self._log = log
        self._workspace = config.workspace
        self._key = config.api_key.get_secret_value().strip() if config.api_key else ""
        self._credentials = config.client_credentials.get_secret_value().strip() if config.client_credentials else ""
        self._url = f"{config.control}/oauth/token"
        self._fixed = [secret for secret in (self._key, self._credentials, *config.hidden) if secret]
        self._tokens: list[str] = []
        self.secrets = [*self._fixed]
        """To be taken out of every message; always the same list, which tokens join as they come."""
        for name, secret in (("api_key", self._key), ("client_credentials", self._credentials)):
            if not (secret.isascii() and secret.isprintable()):
                raise ConfigError(f"{name} holds characters that no header can carry", provider=provider)
        if not self._key and config.control is None:
            why = "client_credentials are changed for a token by the control plane, which is not asked"
            raise ConfigError(f"{why}, since base_url is not Blaxel's: set control_url, or api_key", provider=provider)
        self._token: _Token | None = None
        self._lock = anyio.Lock()
        self._tries = 0
        self._error: PointsmanError | None = None

    async def headers(self) -> dict[str, str]:
        """What goes with a request. ``Authorization`` is left to the agent's own use."""
        return {
            "x-blaxel-authorization": f"Bearer {self._key or await self._current()}",
            "x-blaxel-workspace": self._workspace,
            "blaxel-version": VERSION,
        }

    def forget(self, headers: dict[str, str]) -> bool:
        """`headers` were refused: whether others can be had."""
        if self._key or self._token is None or headers["x-blaxel-authorization"] != f"Bearer {self._token.text}":
            return not self._key
        self._token = None
        return True

    async def _current(self) -> str:
        token = self._token
        if token is None or self._clock() >= token.renew_at:
            token = await self._renewed(token)
        return token.text

    async def _renewed(self, old: _Token | None) -> _Token:
        """A new token, asked for once by all who wait for it."""
        tries = self._tries
        async with self._lock:
            if self._tries == tries:
                try:
                    self._token, self._error = await self._ask(), None
                except PointsmanError as error:
                    if old is None or self._clock() >= old.ends_at or isinstance(error, AuthFailed):
                        self._token, self._error = None, error
                    else:
                        self._log.warning("the token could not be renewed, and still holds: %s", error)
                        self._token = old._replace(renew_at=min(self._clock() + _PAUSE, old.ends_at))
                self._tries += 1
            if self._token is None:
                raise (
                    copy.copy(self._error) if self._error else Unavailable("no token was had", provider=self._provider)
                )
            return self._token

    async def _ask(self) -> _Token:
        headers = {"authorization": f"Basic {self._credentials}", "content-type": "application/json"}
        now = self._clock()
        try:
            said = fields(_json(await self._post(self._url, headers, b'{"grant_type":"client_credentials"}')))
        except PointsmanError as error:
            error.begun = False  # The request itself was not sent.
            if error.status in (400, 401, 403):
                refused = f"client_credentials were refused: {error.message}"
                raise AuthFailed(refused, provider=self._provider, status=error.status) from error
            error.scope = Scope.PROVIDER
            raise
        text, life = string(said.get("access_token")), said.get("expires_in")
        if not text or not text.isascii() or not text.isprintable():
            raise Unavailable(
                f"{self._url} answered without a token", provider=self._provider, retryable=False, begun=False
            )
        if isinstance(life, bool) or not isinstance(life, int | float) or not 0 < life < 1e9:
            life = _LIFE
        self._tokens = [*self._tokens[-3:], text]  # An older one is of no use to anybody.
        self.secrets[:] = [*self._fixed, *self._tokens]
        return _Token(text, now + life - min(_MARGIN, life / 2), now + life)


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None

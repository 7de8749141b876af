"""Requests to one server, and what its refusals mean."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2
import msgspec

from pointsman import ProviderContext, Target, Unavailable
from pointsman_openai import FAILURES, Body, encode, error_body, unreachable, whole

from .errors import response_error

_WHOLE_BYTES = 64 * 1024 * 1024
_STALE_SECONDS = 1.0
"""A connection that the server had given up fails at once; a request that was at work for longer is not sent again."""
_STALE = (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError)


class Wire:
    """The HTTP side of a session. `secrets` are taken out of every message."""

    def __init__(
        self, http: httpx2.AsyncClient, context: ProviderContext, base_url: str, secrets: Sequence[str] = ()
    ) -> None:
        self._http = http
        self._context = context
        self._base_url = base_url
        self._secrets = secrets

    async def send(
        self, method: str, path: str, value: Mapping[str, Any] | None = None, *, target: Target | None = None
    ) -> httpx2.Response:
        """A response with status 200, of which the body is still to come. Raises the error of any other.

        A kept connection may have been closed by the server just when it is used again. If it fails so, before a byte
        of an answer, the request is sent once more on a new one.
        """
        content = None if value is None else encode(dict(value))
        headers = {"content-type": "application/json"} if content is not None else {}
        response = None
        for last in (False, True):
            connection = _Connection()
            request = self._http.build_request(
                method, path, headers=headers, content=content, extensions={"trace": connection.trace}
            )
            began = self._context.clock()
            try:
                response = await self._http.send(request, stream=True)
                break
            except FAILURES as error:
                quick = self._context.clock() - began < _STALE_SECONDS
                if last or connection.new or not quick or not isinstance(error, _STALE):
                    raise unreachable(error, request.url, secrets=self._secrets, **self._place(target)) from error
        assert response is not None
        if response.status_code != 200:
            raise response_error(
                response.status_code,
                dict(response.headers),
                await error_body(Body(response), self._context.log),
                base_url=self._base_url,
                now=self._context.clock(),
                wall=time.time(),
                secrets=self._secrets,
                **self._place(target),
            )
        return response

    async def json(
        self, method: str, path: str, value: Mapping[str, Any] | None = None, *, target: Target | None = None
    ) -> Any:
        """What the server answers, decoded. Raises the error of a refusal, and `Unavailable` for what is not JSON."""
        response = await self.send(method, path, value, target=target)
        body = Body(response)
        try:
            content = await whole(response, body, _WHOLE_BYTES, secrets=self._secrets, **self._place(target))
        finally:
            await body.close()
        try:
            return msgspec.json.decode(content)
        except (ValueError, RecursionError):
            message = f"{response.url} answered with something that is not JSON; is base_url right?"
            raise Unavailable(message, status=200, retryable=False, **self._place(target)) from None

    def _place(self, target: Target | None) -> dict[str, Any]:
        return {"provider": self._context.name, "target": target}


class _Connection:
    """Sees whether a connection was made for a request, or one from the pool was used."""

    def __init__(self) -> None:
        self.new = False

    async def trace(self, event: str, _: Any) -> None:
        """What httpcore2 calls at each step."""
        if "connect_" in event:
            self.new = True

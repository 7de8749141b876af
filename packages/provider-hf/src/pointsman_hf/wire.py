"""Requests to other hosts than the router's: the Hub, the API of endpoints, and endpoints themselves."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import httpx2

from pointsman_openai import Body, Session, is_loopback, new_client

from .config import HuggingFaceConfig


class Wire(Session):
    """A session whose requests carry the token, and nothing else that was set for the router."""

    async def exchange(self, http: httpx2.AsyncClient, request: httpx2.Request) -> httpx2.Response:
        response = await super().exchange(http, request)
        if response.is_success:  # Whatever its kind.
            response.status_code = 200
        return response

    async def act(self, url: str, **details: Any) -> None:
        """Have something done. A success means that it is, also one without a body."""
        await Body(await self.send("POST", url, headers={"accept": "application/json"}, **details)).close()


class Serving(Session):
    """The same for requests that endpoints answer: one that is scaled to zero may hold them until it is up."""

    wake_seconds: float = 0.0

    async def exchange(self, http: httpx2.AsyncClient, request: httpx2.Request) -> httpx2.Response:
        request.headers["x-scale-up-timeout"] = f"{self.wake_seconds:.0f}"
        return await super().exchange(http, request)


def other_client(config: HuggingFaceConfig) -> httpx2.AsyncClient:
    """For other hosts than the router's: it carries the token, and no header that the user has set for that one."""
    key = config.api_key.get_secret_value().strip()
    headers = {"user-agent": "pointsman", "accept-encoding": "identity", "authorization": f"Bearer {key}"}
    return new_client(config.base_url, headers, config.connect_timeout, abroad=True)


def vouched(url: str, *known: str) -> bool:
    """Whether `url` is at the place of one of the addresses `known`, and nobody can listen on the way there."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme in ("http", "https") and is_loopback(host):
        return any(is_loopback(urlsplit(one).hostname or "") for one in known)
    return parts.scheme == "https" and any(urlsplit(one).hostname == host for one in known)

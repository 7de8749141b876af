"""HTTP clients: which one an address needs."""

from __future__ import annotations

from collections.abc import Mapping

import httpx2

from pointsman_openai import is_loopback, new_client


class Clients:
    """One for each kind of address, made when it is first needed.

    Only where no TLS is spoken are no certificates loaded, and only this machine is reached past the proxies of the
    environment; an address that the control plane names may be of another kind than those that are configured.
    """

    def __init__(self, headers: Mapping[str, str], connect_seconds: float) -> None:
        """`headers` go everywhere, so they hold no key."""
        self._headers = headers
        self._connect_seconds = connect_seconds
        self._made: dict[tuple[str, bool], httpx2.AsyncClient] = {}

    def of(self, url: httpx2.URL) -> httpx2.AsyncClient:
        """The client for `url`. Raises `ConfigError` if none can be made."""
        kind = url.scheme, is_loopback(url.host)
        if kind not in self._made:
            self._made[kind] = new_client(f"{url.scheme}://{url.netloc.decode()}", self._headers, self._connect_seconds)
        return self._made[kind]

    async def close(self) -> None:
        for client in self._made.values():
            await client.aclose()

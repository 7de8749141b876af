"""The httpx2 client, a response's body, and what httpx2's exceptions mean."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import httpx2

from pointsman import ConfigError, PointsmanError, Scope, Target, Unavailable, unwind

from .errors import redact, words_of

if TYPE_CHECKING:
    import logging

CLOSING_SECONDS = 1.0
"""How long the closing of a response may take before it is given up."""
_ERROR_BYTES = 64 * 1024
_ERROR_SECONDS = 5.0

FAILURES = (httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError)
"""What sending and receiving may raise that is not a mistake of ours; the last for a host that no DNS can name."""


def is_loopback(host: str) -> bool:
    """`host` is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def new_client(
    base_url: str, headers: Mapping[str, str], connect_seconds: float, *, abroad: bool = False
) -> httpx2.AsyncClient:
    """A client for one vendor. Raises `ConfigError` if the address or a proxy in the environment cannot be used.

    The engine owns the clocks and the limits of concurrency, so here only connecting is timed and the pool is not a
    queue. Redirects are never followed, since the key would go along. Proxies of the environment are used, except for
    this machine. Where no TLS is spoken, no certificates are loaded, which saves some 30 ms: say `abroad` if hosts
    other than that of `base_url` are asked, too, so that theirs are checked.
    """
    try:
        url = httpx2.URL(base_url)
        return httpx2.AsyncClient(
            base_url=base_url,
            headers=headers,
            timeout=httpx2.Timeout(None, connect=connect_seconds),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=30),
            follow_redirects=False,
            verify=httpx2.create_ssl_context() if abroad or url.scheme == "https" else False,
            trust_env=not is_loopback(url.host),
        )
    except (httpx2.InvalidURL, ValueError, ImportError) as error:
        raise ConfigError(f"no HTTP client can be made for {base_url}: {error}") from error


class Body:
    """The bytes of a response as they arrive. It is closed in every state by `close`."""

    def __init__(self, response: httpx2.Response) -> None:
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        self._stream = response.stream
        # Not `aiter_raw`, which costs two more generators for each read.
        self._raw = aiter(self._stream)
        self._decoded: AsyncGenerator[bytes] | None = None
        self.read: Callable[[], Awaitable[bytes]] = self._raw.__anext__
        """More bytes. Raises `StopAsyncIteration` at the end of the body."""
        if response.headers.get("content-encoding", "identity") not in ("", "identity"):
            response.stream = _Lent(self._raw)
            self._decoded = response.aiter_bytes()
            self.read = self._decoded.__anext__

    async def collect(self, most: int) -> bytes:
        """The rest of the body, cut off after about `most` bytes."""
        parts: list[bytes] = []
        size = 0
        while size < most:
            try:
                parts.append(await self.read())
            except StopAsyncIteration:
                break
            size += len(parts[-1])
        return b"".join(parts)

    async def close(self) -> None:
        """Release the connection, or drop it if the body is not read to its end."""
        with anyio.move_on_after(CLOSING_SECONDS, shield=True):
            await unwind(self._raw, *FAILURES)
            with suppress(*FAILURES):
                if self._decoded is not None:
                    await self._decoded.aclose()
                await self._stream.aclose()


class _Lent(httpx2.AsyncByteStream):
    """Raw bytes for httpx2 to decode, but not to close."""

    def __init__(self, raw: AsyncIterator[bytes]) -> None:
        self._raw = raw

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        return await self._raw.__anext__()


async def whole(
    response: httpx2.Response, body: Body, most: int, *, secrets: Sequence[str] = (), **details: Any
) -> bytes:
    """The body, cut off after about `most` bytes. Raises what `unreachable` makes of a failure on the way."""
    try:
        return await body.collect(most)
    except FAILURES as error:
        raise unreachable(error, response.url, secrets=secrets, **details) from error


async def error_body(body: Body, log: logging.LoggerAdapter[logging.Logger]) -> bytes:
    """What a refusal says, and nothing if that does not arrive: the status alone is an error too. Closes `body`.

    Bounded in bytes and seconds, since whoever refuses may send without an end, or stop sending.
    """
    try:
        with anyio.move_on_after(_ERROR_SECONDS):
            return await body.collect(_ERROR_BYTES)
    except FAILURES as error:
        log.debug("the body of an error was lost: %s", error)
    finally:
        await body.close()
    return b""


def media_type(response: httpx2.Response) -> str:
    """What the body is, such as ``application/json``, in lower case and without parameters."""
    return response.headers.get("content-type", "").partition(";")[0].strip().lower()


def refuse_page(response: httpx2.Response, target: Target) -> None:
    """Raises `Unavailable` for a success that is a web page: what answered is not the vendor's API."""
    if media_type(response) in ("text/html", "application/xhtml+xml"):
        message = f"{response.url} answered with an HTML page; is base_url right?"
        raise Unavailable(message, target=target, status=200, retryable=False)


def unreachable(error: Exception, url: httpx2.URL, *, secrets: Sequence[str] = (), **details: Any) -> PointsmanError:
    """The error that a failure before the response's headers stands for; not `begun` where nothing was ever sent."""
    where = f"{url.host}:{url.port or (443 if url.scheme == 'https' else 80)}"
    said = redact(words_of(error), secrets)
    match error:
        case httpx2.InvalidURL() | httpx2.UnsupportedProtocol() | httpx2.LocalProtocolError() | UnicodeError():
            return ConfigError(f"the request to {url} cannot be sent: {said}", **details)
        case httpx2.ConnectTimeout():
            return Unavailable(f"no connection to {where} in time", scope=Scope.PROVIDER, begun=False, **details)
        case httpx2.ConnectError() if "CERTIFICATE_VERIFY_FAILED" in said:
            hint = "trust is decided by the system's certificate store, or by SSL_CERT_FILE"
            message = f"the certificate of {where} is not trusted ({hint}): {said}"
            return Unavailable(message, retryable=False, begun=False, **details)
        case httpx2.ConnectError():
            hint = "; is a server listening there?" if is_loopback(url.host) else ""
            message = f"cannot connect to {where}: {said}{hint}"
            return Unavailable(message, scope=Scope.PROVIDER, begun=False, **details)
        case httpx2.PoolTimeout():
            return Unavailable(f"no connection to {where} was free in time", begun=False, **details)
        case httpx2.ProxyError():
            return Unavailable(f"the proxy on the way to {where} refused: {said}", begun=False, **details)
        case _:
            return Unavailable(f"{where} did not answer: {said}", **details)

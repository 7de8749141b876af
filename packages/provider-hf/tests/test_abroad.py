"""Hosts besides the router's: where the token goes, how, and how much of the provider is broken if they are."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import pytest
from anyio.abc import ByteStream
from anyio.streams.tls import TLSListener

from pointsman import PointsmanError, Unavailable
from pointsman_testing import Vendor

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]

SELF_SIGNED = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg6UUahdg9BY/BDwsw
yS5l9ehHsLeh2pG8fQy2M7NfN1mhRANCAAS3tJ/Rkk03armLxWmFx2vAW/eSepPv
qzjTWt7vy1qEbZAVAQ4xprXKVVAn6qagISBZ9/XcFOFnzNpemK27YJwD
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBmzCCAUGgAwIBAgIUZTy604ytN5awaPw3WWQSUCdJnGswCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyODIyNTIyMFoYDzIxMjYxMTA0
MjI1MjIwWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAS3tJ/Rkk03armLxWmFx2vAW/eSepPvqzjTWt7vy1qEbZAVAQ4xprXK
VVAn6qagISBZ9/XcFOFnzNpemK27YJwDo28wbTAdBgNVHQ4EFgQU4G6Amo8captw
tpFb+b1qQq3erCwwHwYDVR0jBBgwFoAU4G6Amo8captwtpFb+b1qQq3erCwwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARhwR/AAABgglsb2NhbGhvc3QwCgYIKoZI
zj0EAwIDSAAwRQIgW66ZbJVPE/5y944Runz+cyDJ2UnolthhBrRC3RK46ZsCIQC8
7AX3EmEXlxsDdwi4NMbdA0vyE0sKUGq+MLoj+C+rfA==
-----END CERTIFICATE-----
"""
"""Of a server that anybody on the way could be: nobody has vouched for it."""


@asynccontextmanager
async def impostor(folder: Path) -> AsyncGenerator[tuple[str, list[bytes]]]:
    """A server with a certificate of its own making: its address, and what it was told."""
    told: list[bytes] = []
    pem = folder / "self-signed.pem"
    pem.write_text(SELF_SIGNED)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)

    async def serve(stream: ByteStream) -> None:
        async with stream:
            told.append(await stream.receive())

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as tcp, anyio.create_task_group() as tasks:
        port = tcp.extra(anyio.abc.SocketAttribute.local_port)
        tasks.start_soon(TLSListener(tcp, context).serve, serve)
        yield f"https://127.0.0.1:{port}", told
        tasks.cancel_scope.cancel()


async def test_certificates_are_checked_wherever_the_router_is(opened: Open, vendor: Vendor, tmp_path: Path) -> None:
    """A router on this machine needs no TLS; that is no reason to trust whoever says to be the vendor's API."""
    async with impostor(tmp_path) as (address, told):
        async with opened(vendor, endpoints_url=f"{address}/v2", namespace="lab-user") as session:
            with pytest.raises(PointsmanError) as caught:
                await session.endpoints.get("mine")
    assert told == []
    assert isinstance(caught.value, Unavailable)
    assert "is not trusted" in str(caught.value)

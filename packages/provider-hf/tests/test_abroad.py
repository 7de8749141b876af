"""Hosts besides the router's: where the token goes, how, and how much of the provider is broken if they are."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import pytest
from anyio.abc import ByteStream
from anyio.streams.tls import TLSListener

from pointsman import (
    AsyncClient,
    AuthFailed,
    ChatRequest,
    ConfigError,
    ModelGone,
    PointsmanError,
    RateLimits,
    Scope,
    Settings,
    Target,
    Unavailable,
    Unknown,
    user,
)
from pointsman_testing import Answer, Fault, Hangup, HuggingFaceApi, Lab, LabEndpoint, Vendor

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]
Clients: TypeAlias = Callable[..., AsyncClient]
KEY = "hf_lab0123456789ABCDEFGHIJKLMNOPQRSTUV"

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


def endpoint_vendor(lab: Lab, dialect: dict[str, Any] | None = None, **facts: Any) -> Vendor:
    mine = LabEndpoint(**{"name": "mine", **facts})
    return lab.vendor("hf", dialect=HuggingFaceApi(endpoints=(mine,), **(dialect or {})), api_key=KEY)


async def refusal(session: Any, model: str = "endpoint:mine") -> PointsmanError:
    with pytest.raises(PointsmanError) as caught:
        async with session.stream(ChatRequest(messages=(user("Hi."),), model=model)) as events:
            async for _ in events:
                pass
    return caught.value


@pytest.mark.parametrize("fault", [Fault(401), Fault(402), Fault(403), Hangup(), Fault(200, "<html>")])
async def test_an_endpoint_that_refuses_closes_itself_alone(opened: Open, lab: Lab, fault: Any) -> None:
    """The router, and other endpoints, may answer."""
    vendor = endpoint_vendor(lab)
    vendor.script(fault, on="serving")
    async with opened(vendor) as session:
        assert (await refusal(session)).scope is Scope.TARGET


async def test_so_does_one_that_is_not_there(opened: Open, lab: Lab) -> None:
    vendor = endpoint_vendor(lab, url="http://127.0.0.1:1")
    async with opened(vendor) as session:
        error = await refusal(session)
    assert isinstance(error, Unavailable)
    assert error.scope is Scope.TARGET


@pytest.mark.parametrize("fault", [Fault(400), Fault(404), Fault(500), Hangup()])
@pytest.mark.parametrize("route", ["endpoint", "whoami"])
async def test_an_api_that_does_not_say_where_it_is_closes_nobody_else(
    opened: Open, lab: Lab, fault: Any, route: str
) -> None:
    vendor = endpoint_vendor(lab)
    vendor.script(fault, on=route)
    async with opened(vendor) as session:
        error = await refusal(session)
    assert (error.scope, error.begun) == (Scope.TARGET, False)


async def test_a_token_that_the_hub_refuses_is_of_no_use_anywhere(opened: Open, lab: Lab) -> None:
    async with opened(endpoint_vendor(lab), api_key="hf_wrong_0123456789") as session:
        error = await refusal(session)
    assert (type(error), error.scope) == (AuthFailed, Scope.PROVIDER)


async def test_whose_it_is_not_said_closes_nobody_else(opened: Open, lab: Lab) -> None:
    vendor = endpoint_vendor(lab)
    vendor.script(Fault(200, {"type": "org", "name": "acme"}), on="whoami")
    async with opened(vendor) as session:
        error = await refusal(session)
    assert (type(error), error.scope) == (ConfigError, Scope.TARGET)
    assert "set namespace" in str(error)


async def test_a_hub_that_hangs_is_left(opened: Open, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pointsman_hf.endpoints.API_SECONDS", 0.2)
    vendor = endpoint_vendor(lab)
    vendor.script(Fault(500, wait=1e6), on="whoami")
    async with opened(vendor) as session:
        with anyio.fail_after(5):
            error = await refusal(session)
    assert isinstance(error, Unavailable)
    assert "the Hub did not answer within" in str(error)


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999", "http://[::1", "http://127.0.0.1:1/\x01", {"a": 1}, 5])
async def test_what_is_no_address_is_refused_as_one(opened: Open, lab: Lab, url: Any) -> None:
    async with opened(endpoint_vendor(lab, url=url)) as session:
        error = await refusal(session)
    assert isinstance(error, ConfigError | Unavailable)
    assert error.scope is Scope.TARGET


STRANGERS = "https://stranger.us-east-1.aws.endpoints.huggingface.cloud"


@pytest.mark.parametrize("setting", ["base_url", "endpoints_url", "hub_url"])
async def test_a_strangers_endpoint_is_not_the_vendor(setting: str) -> None:
    """Whoever rents one runs there what he likes; a project's file may be a stranger's, too."""
    settings = Settings.of({"providers": {"hf": {setting: f"{STRANGERS}/v1"}}}, {"HF_TOKEN": KEY})
    async with AsyncClient(settings=settings) as client:
        with pytest.raises(ConfigError, match=r"not sent to|token goes to"):
            await client.connect("hf")


async def test_the_apis_word_for_an_endpoint_is_enough(opened: Open, vendor: Vendor) -> None:
    async with opened(vendor) as session:
        session._serving()._check(STRANGERS, Target("hf", "endpoint:mine"))


async def test_one_that_has_moved_is_found_again(opened: Open, lab: Lab) -> None:
    """One that is deleted and made anew has another address."""
    vendor = endpoint_vendor(lab)
    async with opened(vendor) as session:
        raw = (await session.endpoints.get("mine")).raw
        gone = raw | {"status": raw["status"] | {"url": "http://127.0.0.1:1"}}
        vendor.script(Fault(200, gone), on="endpoint")
        assert isinstance(await refusal(session), Unavailable)
        async with session.stream(ChatRequest(messages=(user("Hi."),), model="endpoint:mine")) as events:
            assert [event async for event in events]


async def test_one_that_is_paused_and_gone_is_told_as_paused(opened: Open, lab: Lab) -> None:
    vendor = endpoint_vendor(lab)
    async with opened(vendor) as session:
        raw = (await session.endpoints.get("mine")).raw
        gone = raw | {"status": raw["status"] | {"url": "http://127.0.0.1:1"}}
        await session.endpoints.pause("mine")
        vendor.script(Fault(200, gone), on="endpoint")
        assert "is paused" in str(await refusal(session))


async def test_a_name_that_changes_is_followed_once(opened: Open, lab: Lab) -> None:
    vendor = endpoint_vendor(lab, model="never said")
    vendor.script(*(Fault(200, {"data": [{"id": f"name-{number}"}]}) for number in range(50)), on="serving-models")
    async with opened(vendor) as session:
        assert isinstance(await refusal(session), ModelGone)
    assert len([one for one in vendor.requests if one.path.endswith("/chat/completions")]) == 2


@pytest.mark.parametrize("status", [200, 201, 202, 203, 204, 205, 206])
async def test_any_success_is_one(opened: Open, lab: Lab, status: int) -> None:
    vendor = endpoint_vendor(lab)
    vendor.script(Fault(status, b""), on="change")
    async with opened(vendor) as session:
        assert (await session.endpoints.pause("mine")).name == "mine"
        for name in ("", "lab-user/"):
            with pytest.raises(ModelGone, match="names no endpoint"):
                await session.endpoints.pause(name)
    assert [one.path for one in vendor.requests if one.method == "POST"] == ["/v2/endpoint/lab-user/mine/pause"]


async def test_a_price_that_is_none_breaks_no_answer(client_of: Clients, lab: Lab) -> None:
    """It is read beside the answers: what failed there would end the connection, and all that goes on over it."""
    vendor = endpoint_vendor(lab, {"hourly": {"nvidia-l4 x1": True}})
    vendor.default = Answer("Hi there.").stall(after=1, seconds=10.0)
    async with client_of(vendor) as client:
        reply = await client.chat("Hi", model="hf/endpoint:mine")
    assert (reply.text, reply.cost, len(reply.attempts)) == ("Hi there.", Unknown, 1)


async def test_what_the_api_allows_is_no_limit_of_an_endpoint(opened: Open, lab: Lab) -> None:
    vendor, limits = endpoint_vendor(lab), RateLimits()
    async with opened(vendor, limits=limits) as session:
        raw = (await session.endpoints.get("mine")).raw
        vendor.script(Fault(200, raw, headers={"ratelimit": '"api";r=0;t=300'}), on="endpoint")
        await session.endpoints.get("mine")
    assert limits.seen == {}


async def test_an_endpoint_of_two_names_is_paid_for_once(client_of: Clients, lab: Lab) -> None:
    vendor = endpoint_vendor(lab)
    vendor.default = Answer("Hi.").stall(after=2, seconds=8.0)
    costs: list[Decimal] = []
    async with client_of(vendor, endpoint_prices={"lab-user/mine": "3600"}) as client:

        async def ask(name: str) -> None:
            costs.append((await client.chat("Hi", model=f"hf/endpoint:{name}")).cost.known)

        begun = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, "mine")
            tasks.start_soon(ask, "lab-user/mine")
        took = anyio.current_time() - begun
    assert 0 < sum(costs) <= took


async def test_a_library_that_cannot_be_loaded_is_said(opened: Open, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(hub: str, token: str) -> Any:
        raise ValueError("invalid literal for int(): 'abc'")  # HF_HUB_DOWNLOAD_TIMEOUT=abc

    monkeypatch.setattr("pointsman_hf.endpoints._reader", broken)
    async with opened(endpoint_vendor(lab)) as session:
        error = await refusal(session)
        assert (type(error), error.scope) == (ConfigError, Scope.TARGET)
        assert "huggingface_hub" in str(error)
        assert await session.models() == []

"""Cold starts in both of Modal's products, over real sockets. 600 seconds of the lab are one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, TypeAlias

import anyio
import pytest

from pointsman import (
    ChatRequest,
    EmbedRequest,
    Finished,
    FirstTokenTimeout,
    HealthState,
    Scope,
    TextDelta,
    Unavailable,
    user,
)
from pointsman_testing import MODAL_FAULTS, Answer, Lab, ModalEndpoint, Raw

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]

REQUEST = ChatRequest(messages=(user("hi"),), model="qwen2.5-coder:7b")
TOKEN = "wk-Ab12Cd34Ef56.ws-Gh78Ij90Kl12"


async def ask(session: Any, request: ChatRequest = REQUEST) -> str:
    async with session.stream(request) as events:
        got = [event async for event in events]
    assert isinstance(got[-1], Finished)
    return "".join(event.text for event in got if isinstance(event, TextDelta))


async def test_a_held_request_waits_for_the_container(opened: Open, lab: Lab) -> None:
    vendor = lab.vendor("modal", dialect=ModalEndpoint(start=90))
    async with opened(vendor.base_url) as session:
        began = anyio.current_time()
        assert await ask(session) == "modal answers."
        cold = anyio.current_time() - began
        assert await ask(session) == "modal answers."
        warm = anyio.current_time() - began - cold
    assert cold >= 90 / lab.speed
    assert warm < cold
    assert [request.method for request in vendor.requests] == ["POST", "POST"]


@pytest.mark.parametrize("location", ["relative", "absolute"])
async def test_after_150_seconds_its_result_is_fetched_with_the_keys(opened: Open, lab: Lab, location: str) -> None:
    """Never with a second POST: that is "bad redirect method"."""
    endpoint = ModalEndpoint(start=900, location=location)
    vendor = lab.vendor("modal", dialect=endpoint, api_key=TOKEN)
    async with opened(vendor.base_url, api_key=TOKEN) as session:
        assert await ask(session) == "modal answers."
    assert len(vendor.requests) > 2
    assert [request.method for request in vendor.requests] == ["POST"] + ["GET"] * (len(vendor.requests) - 1)
    assert {request.query for request in vendor.requests[1:]} == {"__modal_function_call_id=fc-0000"}
    assert {request.headers["authorization"] for request in vendor.requests} == {f"Bearer {TOKEN}"}


async def test_keys_do_not_go_to_another_host(opened: Open, lab: Lab) -> None:
    other = lab.vendor("other", dialect=ModalEndpoint())
    elsewhere = other.base_url.removesuffix("/v1")
    vendor = lab.vendor("modal", dialect=ModalEndpoint(start=400, location=elsewhere), api_key=TOKEN)
    async with opened(vendor.base_url, api_key=TOKEN) as session:
        with pytest.raises(Unavailable, match="another host: the keys are not sent there") as raised:
            await ask(session)
    assert not raised.value.retryable
    assert list(other.requests) == []
    assert "wk-" not in str(raised.value)


async def test_a_refusing_address_is_asked_until_it_is_warm(opened: Open, lab: Lab) -> None:
    endpoint = ModalEndpoint(product="refusing", start=900, scaledown_window=1e6)  # Else it would end between two asks.
    vendor = lab.vendor("modal", dialect=endpoint)
    async with opened(vendor.base_url) as session:
        assert await ask(session) == "modal answers."
        count = len(vendor.requests)
        assert 2 <= count <= 4  # After 0, 0.5, 1.25 and 2.4 s; it was ready after 1.5.
        assert await ask(session) == "modal answers."
    assert len(vendor.requests) == count + 1


async def test_a_refusing_address_that_stays_cold_is_no_outage(opened: Open, lab: Lab) -> None:
    """The engine takes a first token that does not come, of somebody who has to get ready, for no sign of one."""
    vendor = lab.vendor("modal", dialect=ModalEndpoint(product="refusing", start=1e9))
    async with opened(vendor.base_url, cold_start=0.6) as session:
        with pytest.raises(FirstTokenTimeout, match=r"none is waited for longer than cold_start = 0.6 s") as raised:
            await ask(session)
    error = raised.value
    assert (error.scope, error.begun, error.retryable, error.status) == (Scope.PROVIDER, False, False, None)
    assert len(vendor.requests) == 3
    async with opened(vendor.base_url, cold_start=0) as session:
        with pytest.raises(FirstTokenTimeout, match="cold_start = 0 says not to wait"):
            await ask(session)
    assert len(vendor.requests) == 4


@pytest.mark.parametrize("product", ["held", "refusing"])
async def test_who_leaves_while_it_is_cold_leaves_nothing_open(
    opened: Open, lab: Lab, product: Literal["held", "refusing"]
) -> None:
    vendor = lab.vendor("modal", dialect=ModalEndpoint(product=product, start=1e9, redirect_after=1e9))
    async with opened(vendor.base_url) as session:
        with anyio.move_on_after(0.2) as scope:
            await ask(session)
        assert scope.cancelled_caught
        with anyio.fail_after(2):
            await vendor.requests[-1].done.wait()
        health = await session.health()
    assert health.state is HealthState.WARMING  # A start was set off, and goes on without us.
    assert 0 < health.wait <= 20


async def test_embeddings_and_a_warm_list_wait_likewise(opened: Open, lab: Lab) -> None:
    endpoint = ModalEndpoint(product="refusing", start=300, scaledown_window=1e6)
    vendor = lab.vendor("modal", dialect=endpoint, models=["nomic-embed-text"])
    async with opened(vendor.base_url, min_containers=1) as session:
        found = await session.embed(EmbedRequest("nomic-embed-text", ("a", "b")))
        assert [model.id for model in await session.offered()] == ["nomic-embed-text:latest"]
    assert len(found.vectors) == 2


async def test_a_result_that_has_expired_is_asked_for_anew_by_whoever_retries(opened: Open, lab: Lab) -> None:
    gone = Raw(b"", status=303, content_type="text/plain", headers={"location": "?__modal_function_call_id=fc-9999"})
    vendor = lab.vendor("modal", dialect=ModalEndpoint())
    vendor.script(gone, Answer("anew"))
    async with opened(vendor.base_url) as session:
        with pytest.raises(Unavailable, match=r"Missing request.*status 408") as raised:
            await ask(session)
        assert raised.value.retryable
        assert await ask(session) == "anew"


async def test_a_result_that_meets_a_cold_container_is_not_sent_anew(opened: Open, lab: Lab) -> None:
    later = Raw(b"", status=303, content_type="text/plain", headers={"location": "/v1/models"})
    vendor = lab.vendor("modal", dialect=ModalEndpoint(), models=["m"])
    vendor.script(later)
    vendor.script(MODAL_FAULTS["no container"], on="models")
    async with opened(vendor.base_url, cold_start=5) as session:
        with pytest.raises(FirstTokenTimeout):
            await ask(session, ChatRequest(messages=(user("hi"),), model="m"))
    assert [request.method for request in vendor.requests] == ["POST", "GET"]

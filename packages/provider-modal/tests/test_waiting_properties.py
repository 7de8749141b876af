"""Whatever an address says and however long it takes: what is asked, when, of whom, and that nothing is left open.

`arrive` runs on a virtual clock, over a transport that answers from a drawn list.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import anyio
import httpx2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pointsman import ProviderContext, RateLimits
from pointsman_modal.errors import MOST_HOPS, is_json
from pointsman_modal.state import Warmth
from pointsman_modal.waiting import FIRST_PAUSE, LONGEST_PAUSE, arrive
from pointsman_testing import VIRTUAL_BACKENDS, VirtualBackend, virtual_run

URL = "https://ws--app-serve.modal.run/v1/chat/completions"
KEYS = {"modal-key": "wk-Ab12Cd34Ef56", "modal-secret": "ws-Gh78Ij90Kl12"}


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    held: float = 0.0


COLD = Reply(503, b"Service Unavailable")
BUSY = Reply(503, b'{"error":{"message":"server busy, please try again.  maximum pending requests exceeded"}}')
LOADING = Reply(503, b'{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}')
DONE = Reply(200, b"data: [DONE]\n\n")


def later(where: str, held: float = 150.0) -> Reply:
    return Reply(303, headers={"location": where}, held=held)


REPLIES = (
    st.sampled_from([COLD, BUSY, LOADING, DONE, Reply(303), Reply(500, b"modal-http: internal error"), Reply(404)])
    | st.builds(
        later,
        st.sampled_from(
            [
                "?__modal_function_call_id=fc-1",
                "/v1/chat/completions?__modal_function_call_id=fc-1",
                URL + "?__modal_function_call_id=fc-1",
                URL.replace("https", "http"),
                URL.replace(".run/", ".run:8443/"),
                "//elsewhere.example/v1",
                "https://elsewhere.example/",
                "https://[",
                "",
            ]
        ),
        st.sampled_from([0.0, 150.0]),
    )
    | st.builds(
        lambda told, held: Reply(503, b"", {"retry-after": told}, held),
        st.sampled_from(["0", "1", "7.5", "100000", "soon"]),
        st.floats(0, 20),
    )
)


class _Body(httpx2.AsyncByteStream):
    """A body that knows whether it was closed."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._data

    async def aclose(self) -> None:
        self.closed = True


class _Address(httpx2.AsyncBaseTransport):
    """Answers from the list, and then as the last of it, until it has been asked far more often than anybody may."""

    def __init__(self, replies: list[Reply]) -> None:
        self._replies = replies
        self.asked: list[tuple[float, httpx2.Request]] = []
        self.given: list[tuple[Reply, _Body]] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append((anyio.current_time(), request))
        assert len(self.asked) < 1000
        reply = self._replies[min(len(self.given), len(self._replies) - 1)]
        await anyio.sleep(reply.held)
        body = _Body(reply.body)
        self.given.append((reply, body))
        return httpx2.Response(reply.status, headers=reply.headers, stream=body)


@dataclass
class Told:
    address: _Address
    response: httpx2.Response
    took: float
    began: float
    warmth: Warmth


def run(backend: VirtualBackend, replies: list[Reply], limit: float) -> Told:
    async def main() -> Told:
        address = _Address(replies)
        context = ProviderContext(
            name="modal",
            clock=anyio.current_time,
            secrets={},
            limits=RateLimits(),
            log=logging.LoggerAdapter(logging.getLogger("modal"), {}),
        )
        warmth = Warmth(anyio.current_time, 60.0)
        async with httpx2.AsyncClient(transport=address, headers=KEYS) as http:
            request = http.build_request("POST", URL, headers={"accept": "text/event-stream"}, content=b'{"model":"m"}')
            began = anyio.current_time()
            response = await arrive(http, request, limit, warmth, context)
            took = anyio.current_time() - began
            await response.aread()
            await response.aclose()
        return Told(address, response, took, began, warmth)

    return virtual_run(main, backend=backend)


def pairs(told: Told) -> Iterator[tuple[Reply, float, float, httpx2.Request]]:
    """Each reply but the last, when it came, and what was asked after it."""
    for (reply, _), (at, request), (before, _) in zip(
        told.address.given, told.address.asked[1:], told.address.asked, strict=False
    ):
        yield reply, before + reply.held, at, request


@pytest.mark.parametrize("backend", VIRTUAL_BACKENDS)
@given(replies=st.lists(REPLIES, min_size=1, max_size=30), limit=st.sampled_from([0.0, 1.0, 20.0, 300.0]))
@example(replies=[later("?__modal_function_call_id=fc-1", 0.0)], limit=300.0)
@example(replies=[COLD], limit=300.0)
@example(replies=[COLD, COLD, later("?__modal_function_call_id=fc-1"), COLD, DONE], limit=300.0)
def test_of_every_conversation(backend: VirtualBackend, replies: list[Reply], limit: float) -> None:
    told = run(backend, replies, limit)
    asked = [request for _, request in told.address.asked]
    # The keys go to the one host, encrypted, and nothing but a GET to a result.
    assert {(one.url.scheme, one.url.host, one.url.port) for one in asked} == {
        ("https", "ws--app-serve.modal.run", None)
    }
    assert all(one.headers["modal-secret"] == KEYS["modal-secret"] for one in asked)
    hops = 0
    for reply, came, at, request in pairs(told):
        if reply.status == 303:
            hops += 1
            assert (request.method, at) == ("GET", pytest.approx(came))
            assert "content-type" not in request.headers
            assert request.content == b""
        else:
            assert reply.status == 503
            assert hops == 0
            assert (request.method, request.url, request.content) == ("POST", URL, b'{"model":"m"}')
            # Never past the limit, and never a busy loop.
            assert at <= told.began + limit + 1e-6
            told_wait = reply.headers.get("retry-after", "")
            longest = float(told_wait) if told_wait not in ("", "soon") else LONGEST_PAUSE
            left = told.began + limit - came
            assert min(FIRST_PAUSE, left) - 1e-6 <= at - came <= max(longest, FIRST_PAUSE) + 1e-6
    assert hops <= MOST_HOPS
    # Every response is closed, and the last one can be read as it came.
    assert all(body.closed for _, body in told.address.given)
    last = told.address.given[-1][0]
    assert (told.response.status_code, told.response.content) == (last.status, last.body)
    assert told.response.request.headers["modal-key"] == KEYS["modal-key"]
    if last.status == 503 and hops == 0 and (not is_json(last.body) or last is LOADING):
        waits = float(last.headers.get("retry-after", "0").replace("soon", "0"))
        assert told.took >= limit - 1e-6 or waits > limit - told.took


@pytest.mark.parametrize("backend", VIRTUAL_BACKENDS)
def test_a_server_whose_queue_is_full_is_not_asked_again(backend: VirtualBackend) -> None:
    told = run(backend, [BUSY, DONE], 300.0)
    assert (len(told.address.asked), told.response.status_code) == (1, 503)
    assert run(backend, [LOADING, DONE], 300.0).response.status_code == 200  # llama.cpp, which is not ready yet.


@pytest.mark.parametrize("backend", VIRTUAL_BACKENDS)
def test_an_hour_of_results_is_given_up_after_fifty_minutes(backend: VirtualBackend) -> None:
    told = run(backend, [later("?__modal_function_call_id=fc-1")], 300.0)
    assert [request.method for _, request in told.address.asked] == ["POST"] + ["GET"] * MOST_HOPS
    assert told.took == pytest.approx(150.0 * (MOST_HOPS + 1))
    assert told.response.status_code == 303


@pytest.mark.parametrize("backend", VIRTUAL_BACKENDS)
def test_the_pauses_grow_and_are_bounded(backend: VirtualBackend) -> None:
    told = run(backend, [COLD], 300.0)
    times = [at - told.began for at, _ in told.address.asked]
    assert len([at for at in times if at < 20]) == 8
    assert times[-1] == pytest.approx(300.0)
    assert max(later - before for before, later in pairwise(times)) == pytest.approx(LONGEST_PAUSE)


@pytest.mark.parametrize("backend", VIRTUAL_BACKENDS)
def test_waiting_can_be_cancelled_at_any_time(backend: VirtualBackend) -> None:
    async def main() -> list[Any]:
        address = _Address([COLD])
        warmth = Warmth(anyio.current_time, 60.0)
        context = ProviderContext(
            name="modal",
            clock=anyio.current_time,
            secrets={},
            limits=RateLimits(),
            log=logging.LoggerAdapter(logging.getLogger("modal"), {}),
        )
        async with httpx2.AsyncClient(transport=address) as http:
            began = anyio.current_time()
            with anyio.move_on_after(7.0) as scope:
                await arrive(http, http.build_request("POST", URL), 300.0, warmth, context)
            return [scope.cancelled_caught, anyio.current_time() - began, all(body.closed for _, body in address.given)]

    assert virtual_run(main, backend=backend) == [True, pytest.approx(7.0), True]

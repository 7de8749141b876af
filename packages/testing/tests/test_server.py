"""The lab as a server: what it remembers, how it notices, how it paces and how it closes."""

from __future__ import annotations

import gc
import json
import random
import socket
import time
import warnings
from typing import Any

import anyio
import httpx2
import pytest

from pointsman_testing import DEFAULT_SPEED, PROFILES, Answer, Fault, Lab, OpenAIChat, Profile, Raw, Vendor

ASKED = {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "Say hi"}]}], "stream": True}


BODY = json.dumps(ASKED).encode()


def post(*headers: str) -> bytes:
    """A chat request on the wire."""
    lines = ["POST /v1/chat/completions?x=1 HTTP/1.1", "Host: h", f"Content-Length: {len(BODY)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + BODY


def port_of(vendor: Vendor) -> int:
    return int(vendor.base_url.rsplit(":", 1)[1].partition("/")[0])


async def exchange(vendor: Vendor, sent: bytes) -> bytes:
    """Bytes for bytes, until the server ends the connection."""
    heard = b""
    async with await anyio.connect_tcp("127.0.0.1", port_of(vendor)) as stream:
        await stream.send(sent)
        with anyio.fail_after(5):
            while True:
                try:
                    heard += await stream.receive()
                except anyio.EndOfStream:
                    return heard


async def test_remembers_requests_as_sent(lab: Lab) -> None:
    vendor = lab.vendor("a")
    body = json.dumps(ASKED).encode()
    head = (
        f"POST /v1/chat/completions?x=1 HTTP/1.1\r\nHost: h\r\nX-Two: a\r\nX-Two: b\r\nContent-Length: {len(body)}\r\n"
    )
    heard = await exchange(vendor, head.encode() + b"Connection: close\r\n\r\n" + body)
    assert heard.startswith(b"HTTP/1.1 200")
    assert b"transfer-encoding: chunked" in heard.lower()
    assert heard.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    (request,) = vendor.requests
    assert (request.index, request.method, request.path, request.query) == (0, "POST", "/v1/chat/completions", "x=1")
    assert [pair for pair in request.raw_headers if pair[0] == "X-Two"] == [("X-Two", "a"), ("X-Two", "b")]
    assert request.headers["x-two"] == "b"
    assert (request.body, request.json, request.prompt) == (BODY, ASKED, "Say hi")
    assert request.done.is_set()


@pytest.mark.parametrize(
    "sent",
    [b"NONSENSE\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n"],
)
async def test_malformed_http_is_a_400(lab: Lab, sent: bytes) -> None:
    vendor = lab.vendor("a")
    assert (await exchange(vendor, sent + b"x" * 100_000)).startswith(b"HTTP/1.1 400")
    assert not vendor.requests


@pytest.mark.parametrize("body", ["{", "[]", '{"model": "m"}', '{"model": "m", "messages": [1]}', '{"messages": []}'])
async def test_malformed_requests_are_a_400(lab: Lab, http: httpx2.AsyncClient, body: str) -> None:
    vendor = lab.vendor("a")
    vendor.script(Answer("for another"))
    response = await http.post(f"{vendor.base_url}/chat/completions", content=body)
    assert (response.status_code, vendor.pending) == (400, 1)
    assert response.json()["error"]["type"] == "invalid_request_error"


async def test_other_paths_and_methods(lab: Lab, http: httpx2.AsyncClient) -> None:
    vendor = lab.vendor("a", models=("m",))
    root = vendor.base_url.removesuffix("/v1")
    statuses = [
        (await http.request(method, root + path)).status_code
        for method, path in [
            ("GET", "/v1/models"),
            ("HEAD", "/v1/models"),
            ("POST", "/v1/models"),
            ("GET", "/v1/chat/completions"),
            ("GET", "/chat/completions"),
        ]
    ]
    assert statuses == [200, 405, 405, 405, 404]
    vendor.script(Fault(503), on="models")
    assert (await http.get(f"{vendor.base_url}/models")).status_code == 503


async def test_a_dialect_can_be_another_vendors(lab: Lab, http: httpx2.AsyncClient) -> None:
    vendor = lab.vendor("hf", dialect=OpenAIChat(prefix="/router/v1", error_as="text"), api_key="k")
    assert vendor.base_url.endswith("/router/v1")
    response = await http.get(f"{vendor.base_url}/models")
    assert (response.status_code, response.json()) == (401, {"error": "Incorrect API key provided."})
    assert (await http.get(f"{vendor.base_url}/models", headers={"Authorization": "Bearer k"})).status_code == 200


async def test_waits_for_a_body_that_asks_leave(lab: Lab) -> None:
    vendor = lab.vendor("a")
    async with await anyio.connect_tcp("127.0.0.1", port_of(vendor)) as stream:
        with anyio.fail_after(5):
            await stream.send(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
            )
            assert (await stream.receive()).startswith(b"HTTP/1.1 100")
            await stream.send(b"{}")
            assert (await stream.receive()).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    "answer",
    [Answer("hello there").stall(after=2), Answer("hello there", wait=1e9), Answer("a " * 20).drip(1, every=1)],
)
@pytest.mark.parametrize("reset", [False, True])
async def test_notices_that_the_client_goes_away(lab: Lab, answer: Answer, reset: bool) -> None:
    vendor = lab.vendor("a")
    vendor.script(answer)
    with socket.create_connection(("127.0.0.1", port_of(vendor))) as client:
        client.sendall(post())
        request = await vendor.received()
        await anyio.sleep(0.05)
        assert not request.gone.is_set()
        if reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    left = anyio.current_time()
    with anyio.fail_after(5):
        await request.done.wait()
    assert request.gone.is_set()
    assert request.gone_at is not None
    assert request.gone_at - left < 1  # On an idle machine, under a millisecond.


async def test_notices_a_client_that_does_not_read_and_goes(lab: Lab) -> None:
    vendor = lab.vendor("a")
    vendor.script(Raw(bytes(20_000_000)))
    with socket.create_connection(("127.0.0.1", port_of(vendor))) as client:
        client.sendall(post())
        request = await vendor.received()
        await anyio.sleep(0.05)
        assert not request.done.is_set()
    with anyio.fail_after(5):
        await request.gone.wait()


@pytest.mark.parametrize("stall", [0.0, 6.0])
async def test_paces_tokens_by_the_labs_clock(http: httpx2.AsyncClient, stall: float) -> None:
    async with Lab(speed=20) as lab:
        vendor = lab.vendor("a", profile=Profile((2.0, 2.0), (5.0, 5.0)))
        vendor.script(Answer("one two three four five six").stall(after=3, seconds=stall))
        times = []
        begun = time.monotonic()
        async with http.stream("POST", f"{vendor.base_url}/chat/completions", json=ASKED) as response:
            async for line in response.aiter_lines():
                if '"content":' in line:
                    times.append((time.monotonic() - begun) * lab.speed)
    role, first, *_, last = times
    assert len(times) == 7
    assert role < first
    assert first >= 2.0
    assert last >= (2.0 + 5 * 0.2 + stall) * 0.99  # A stall delays all that follows; nothing catches up.


async def test_a_collected_answer_takes_as_long_as_a_streamed_one(lab: Lab, http: httpx2.AsyncClient) -> None:
    vendor = lab.vendor("a", profile=Profile((1.0, 1.0), (2.0, 2.0)))
    vendor.script(Answer("one two three"))
    begun = time.monotonic()
    await http.post(f"{vendor.base_url}/chat/completions", json={**ASKED, "stream": False})
    assert time.monotonic() - begun >= 0.2


async def test_speeds_are_drawn_from_the_ranges_and_repeat() -> None:
    assert Lab().speed == DEFAULT_SPEED
    for profile in PROFILES.values():
        paces = [profile.draw(random.Random(seed)) for seed in range(50)]
        assert paces == [profile.draw(random.Random(seed)) for seed in range(50)]
        assert len(set(paces)) == 50
        low, high = profile.first_token
        assert all(low <= pace.first_token <= high for pace in paces)
        low, high = profile.tokens_per_second
        assert all(low <= 1 / pace.per_token <= high * 1.000001 for pace in paces)


@pytest.mark.parametrize("requests", [0, 1, 5])
async def test_closing_leaves_nothing_open(requests: int) -> None:
    heard: list[Any] = []

    async def ask(http: httpx2.AsyncClient, vendor: Vendor) -> None:
        try:
            heard.append(await http.post(f"{vendor.base_url}/chat/completions", json=ASKED))
        except httpx2.TransportError as error:
            heard.append(error)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with httpx2.AsyncClient() as http, anyio.create_task_group() as clients:
            async with Lab() as lab:
                vendor = lab.vendor("a", default=Answer("hello").stall(10))
                for _ in range(requests):
                    clients.start_soon(ask, http, vendor)
                if requests:
                    await vendor.received(requests)
        gc.collect()
    assert [type(error) for error in heard] == [httpx2.RemoteProtocolError] * requests
    assert all(request.done.is_set() for request in vendor.requests)
    with pytest.raises(OSError, match=r"refused|connect"):
        await exchange(vendor, b"")


async def test_a_script_that_raises_ends_the_lab(http: httpx2.AsyncClient) -> None:
    def broken(request: Any) -> Answer:
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as caught:
        async with Lab() as lab:
            vendor = lab.vendor("a", default=broken)
            await http.post(f"{vendor.base_url}/chat/completions", json=ASKED)
    assert caught.value.subgroup(ZeroDivisionError)


async def test_misuse_is_told(lab: Lab) -> None:
    lab.vendor("a")
    with pytest.raises(ValueError, match="vendor a"):
        lab.vendor("a")
    with pytest.raises(RuntimeError, match="async with"):
        Lab().vendor("a")
    with pytest.raises(ValueError, match="one byte"):
        Answer("x").drip(0)

"""Each fault, as an HTTP client sees it, on both event loops."""

from __future__ import annotations

import time
from typing import Any

import anyio
import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman_testing import Answer, Fault, Hangup, Lab, Raw, Usual, body_bytes

ASKED = {"model": "m", "messages": [{"role": "user", "content": "Say hi"}], "stream": True}


async def read(http: httpx2.AsyncClient, base_url: str) -> tuple[bytes, httpx2.TransportError | None]:
    """What arrives of a body, and how that ends."""
    heard = b""
    try:
        async with http.stream("POST", f"{base_url}/chat/completions", json=ASKED) as response:
            async for data in response.aiter_raw():
                heard += data
    except httpx2.TransportError as error:
        return heard, error
    return heard, None


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        ("clean", type(None), "None"),
        ("close", httpx2.RemoteProtocolError, "incomplete chunked read"),
        ("reset", httpx2.ReadError, ""),
    ],
)
async def test_a_cut_is_of_the_kind_it_claims(
    lab: Lab, http: httpx2.AsyncClient, how: Any, error: type[Exception], words: str
) -> None:
    vendor = lab.vendor("a")
    body = body_bytes(Answer("hello there"), ASKED)
    for at in (0, 1, 40, len(body) - 1, len(body)):
        vendor.script(Answer("hello there").cut(at, how=how))
        heard, caught = await read(http, vendor.base_url)
        assert heard == body[:at]
        assert type(caught) is error
        assert words in str(caught)
    assert await read(http, vendor.base_url) == (body_bytes(Answer("a answers."), ASKED), None)


async def test_nothing_at_all_can_be_what_a_vendor_answers_by_default(lab: Lab, http: httpx2.AsyncClient) -> None:
    assert await read(http, lab.vendor("a", default=Raw(b"")).base_url) == (b"", None)


@settings(max_examples=25, deadline=None)
@given(st.data())
async def test_every_byte_of_a_body_can_be_the_last(data: st.DataObject) -> None:
    answer = Answer(
        data.draw(st.text(max_size=20)),
        newline=data.draw(st.sampled_from(["\n", "\r\n"])),
        tokens_per_chunk=data.draw(st.integers(1, 3)),
        keep_alives=data.draw(st.integers(0, 2)),
        reasoning=data.draw(st.text(max_size=5)),
        usage=data.draw(st.sampled_from(["asked", "own", "finish", "every", "none"])),
    )
    body = body_bytes(answer, ASKED)
    at = data.draw(st.integers(0, len(body)))
    async with Lab() as lab, httpx2.AsyncClient(timeout=10) as http:
        vendor = lab.vendor("a")
        how: Any = data.draw(st.sampled_from(["clean", "close", "reset"]))
        vendor.script(answer.cut(at, how=how), Raw(body).cut(at, how=how), Raw(body))
        first, second = await read(http, vendor.base_url), await read(http, vendor.base_url)
        assert first[0] == second[0] == body[:at]
        assert type(first[1]) is type(second[1])
        assert await read(http, vendor.base_url) == (body, None)
        await vendor.requests[0].done.wait()
        assert [request.sent for request in vendor.requests] == [at, at, len(body)]
        assert not any(request.gone.is_set() for request in vendor.requests)


async def test_a_body_with_a_length_is_cut_short_of_it(lab: Lab, http: httpx2.AsyncClient) -> None:
    vendor = lab.vendor("a")
    vendor.script(Raw(b"0123456789", chunked=False).cut(4), Raw(b"0123456789", chunked=False).cut(4, how="clean"))
    heard, caught = await read(http, vendor.base_url)
    assert heard == b"0123"
    assert "received 4 bytes, expected 10" in str(caught)
    assert await read(http, vendor.base_url) == (b"0123", None)


async def test_a_reset_takes_back_nothing_from_a_slow_reader(lab: Lab, http: httpx2.AsyncClient) -> None:
    vendor = lab.vendor("a")
    body = bytes(range(256)) * 40_000
    vendor.script(Raw(body).cut(-1, how="reset"))
    heard = 0
    with pytest.raises(httpx2.ReadError):
        async with http.stream("POST", f"{vendor.base_url}/chat/completions", json=ASKED) as response:
            async for data in response.aiter_raw():
                heard += len(data)
                if heard < 2_000_000:
                    await anyio.sleep(0.001)
    assert heard == len(body) - 1


async def test_garbage_and_drips(lab: Lab, http: httpx2.AsyncClient) -> None:
    vendor = lab.vendor("a")
    vendor.script(Raw(b"abcdef").garbage(3, data=b"\xff\x00").drip(2))
    assert await read(http, vendor.base_url) == (b"abc\xff\x00def", None)


async def test_a_stall_for_ever_ends_with_the_clients_patience(lab: Lab, http: httpx2.AsyncClient) -> None:
    vendor = lab.vendor("a")
    body = body_bytes(Answer("hello there"), ASKED)
    vendor.script(Answer("hello there").stall(50))
    http.timeout = httpx2.Timeout(0.2)
    heard, caught = await read(http, vendor.base_url)
    assert heard == body[:50]
    assert isinstance(caught, httpx2.ReadTimeout)
    with anyio.fail_after(5):
        await vendor.requests[0].gone.wait()


async def test_a_stall_can_stay_alive(lab: Lab, http: httpx2.AsyncClient) -> None:
    vendor = lab.vendor("a")
    vendor.script(Raw(b"ab").stall(1, seconds=1.0, ping=0.4))
    assert await read(http, vendor.base_url) == (b"a: keep-alive\n\n: keep-alive\n\nb", None)


@pytest.mark.parametrize(
    ("answer", "terminals"),
    [
        (Answer("hi"), ['"finish_reason":"stop"', "[DONE]"]),
        (Answer("hi", finish=None), ["[DONE]"]),
        (Answer("hi", done=False), ['"finish_reason":"stop"']),
        (Answer("hi", finish=None, done=False), []),
        (Answer("hi", finish="length"), ['"finish_reason":"length"', "[DONE]"]),
        (Answer("hi", error="boom"), ['data: {"error":"boom"}']),
        (Answer("hi", error={"message": "boom"}), ['data: {"error":{"message":"boom"}}']),
        (Answer("hi", error={"message": "b"}, error_as="event"), ['event: error\ndata: {"message":"b"}']),
    ],
)
async def test_terminals_come_as_scripted(
    lab: Lab, http: httpx2.AsyncClient, answer: Answer, terminals: list[str]
) -> None:
    vendor = lab.vendor("a")
    vendor.script(answer)
    heard, caught = await read(http, vendor.base_url)
    _, _, end = heard.decode().rpartition('"content":"hi"}')
    known = ['"finish_reason":"stop"', '"finish_reason":"length"', "[DONE]", "error"]
    assert all(terminal in end for terminal in terminals)
    assert [word for word in known if word in end] == [
        word for word in known if any(word in terminal for terminal in terminals)
    ]
    assert caught is None


@pytest.mark.parametrize(
    ("fault", "content_type", "body"),
    [
        (Fault(503, "Service Temporarily Unavailable"), "text/plain; charset=utf-8", "Service Temporarily Unavailable"),
        (Fault(502, "<html>Bad Gateway</html>"), "text/html; charset=utf-8", "<html>Bad Gateway</html>"),
        (Fault(404, {"error": "Not found"}), "application/json", '{"error": "Not found"}'),
        (Fault(500, b""), None, ""),
        (Fault(204), "application/json", ""),
    ],
)
async def test_error_bodies_of_every_kind(
    lab: Lab, http: httpx2.AsyncClient, fault: Fault, content_type: str | None, body: str
) -> None:
    vendor = lab.vendor("a")
    vendor.script(fault)
    response = await http.post(f"{vendor.base_url}/chat/completions", json=ASKED)
    assert (response.status_code, response.text) == (fault.status, body)
    assert response.headers.get("content-type") == content_type
    assert (await http.post(f"{vendor.base_url}/chat/completions", json=ASKED)).status_code == 200


async def test_what_is_usual_can_have_faults_too(lab: Lab, http: httpx2.AsyncClient) -> None:
    vendor = lab.vendor("a", models=("m",), default=Answer("one two"))
    whole = (await http.get(f"{vendor.base_url}/models")).content
    vendor.script(Usual(headers={"x-odd": "yes"}).garbage(at=0, data=b"x").cut(at=4, how="clean"), on="models")
    odd = await http.get(f"{vendor.base_url}/models")
    assert (odd.content, odd.headers["x-odd"]) == (b"x" + whole[:4], "yes")
    vendor.script(Usual().cut(after=1))
    heard, error = await read(http, vendor.base_url)
    assert heard.startswith(b"data: ")
    assert type(error) is httpx2.RemoteProtocolError


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [("close", httpx2.RemoteProtocolError, "without sending a response"), ("reset", httpx2.ReadError, None)],
)
async def test_a_hangup_sends_nothing(
    lab: Lab, http: httpx2.AsyncClient, how: Any, error: type[Exception], words: str | None
) -> None:
    vendor = lab.vendor("a")
    vendor.script(Hangup(how))
    with pytest.raises(error, match=words):
        await http.post(f"{vendor.base_url}/chat/completions", json=ASKED)
    assert vendor.requests[0].sent == 0


async def test_refuses_while_told_and_comes_back(lab: Lab, http: httpx2.AsyncClient) -> None:
    vendor = lab.vendor("a")
    assert (await read(http, vendor.base_url))[1] is None  # One connection waits in the pool.
    for _ in range(2):
        with vendor.refusing():
            for _ in range(2):
                assert type((await read(http, vendor.base_url))[1]) is httpx2.ConnectError
        assert (await read(http, vendor.base_url))[1] is None
    assert len(vendor.requests) == 3


@pytest.mark.parametrize("steps", range(6))
async def test_refuses_from_whatever_moment(steps: int, http: httpx2.AsyncClient) -> None:
    """Also before its accept loop has waited for the first time."""
    async with Lab() as lab:
        vendor = lab.vendor("a")
        for _ in range(steps):
            await anyio.lowlevel.checkpoint()
        for _ in range(3):
            with vendor.refusing():
                await anyio.lowlevel.checkpoint()
                with pytest.raises(httpx2.ConnectError):
                    await http.get(f"{vendor.base_url}/models")
            assert (await http.get(f"{vendor.base_url}/models")).status_code == 200


async def test_refusing_spares_what_is_under_way(lab: Lab, http: httpx2.AsyncClient) -> None:
    vendor = lab.vendor("a")
    vendor.script(Answer("hello there").stall(60, seconds=1))
    results = []

    async def ask() -> None:
        results.append(await read(http, vendor.base_url))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await vendor.received()
        with vendor.refusing():
            await vendor.requests[0].done.wait()
    assert results == [(body_bytes(Answer("hello there"), ASKED), None)]


async def test_waits_before_the_head(lab: Lab, http: httpx2.AsyncClient) -> None:
    vendor = lab.vendor("a")
    vendor.script(Fault(429, wait=2.0))
    begun = time.monotonic()
    assert (await http.post(f"{vendor.base_url}/chat/completions", json=ASKED)).status_code == 429
    assert time.monotonic() - begun >= 0.2  # Two seconds of the lab.

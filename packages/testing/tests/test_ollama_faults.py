"""Faults in Ollama's dialect: at every byte, and as its own client sees them."""

from __future__ import annotations

import json
from typing import Any

import anyio.to_thread
import httpx
import httpx2
import ollama
import pytest

from pointsman_testing import Answer, Lab, OllamaApi, Raw, Vendor, body_bytes

ASKED = {"model": "m", "messages": [{"role": "user", "content": "Say hi"}]}
ANSWER = Answer("Grüß", reasoning="Hm")
BODY = body_bytes(ANSWER, ASKED, dialect=OllamaApi())
MESSAGES: Any = ASKED["messages"]


@pytest.fixture
async def vendor(lab: Lab) -> Vendor:
    return lab.vendor("ollama", dialect=OllamaApi(), models=("m",), default=ANSWER)


async def read(http: httpx2.AsyncClient, vendor: Vendor) -> tuple[bytes, httpx2.TransportError | None]:
    """What arrives of a body, and how that ends."""
    heard = b""
    try:
        async with http.stream("POST", f"{vendor.base_url}/api/chat", json=ASKED) as response:
            async for data in response.aiter_raw():
                heard += data
    except httpx2.TransportError as error:
        return heard, error
    return heard, None


@pytest.mark.parametrize(
    ("how", "error"),
    [("clean", type(None)), ("close", httpx2.RemoteProtocolError), ("reset", httpx2.ReadError)],
)
async def test_every_byte_can_be_the_last(
    vendor: Vendor, http: httpx2.AsyncClient, how: Any, error: type[Exception]
) -> None:
    for at in range(len(BODY) + 1):
        vendor.script(ANSWER.cut(at, how=how))
        heard, caught = await read(http, vendor)
        assert (heard, type(caught)) == (BODY[:at], error)
    assert await read(http, vendor) == (BODY, None)


async def test_the_client_takes_some_cuts_for_an_end(vendor: Vendor) -> None:
    """The client's verdicts, measured: silence at each end of a line, an error elsewhere, and two whole streams."""
    positions = range(len(BODY) + 1)
    vendor.script(*[ANSWER.cut(at, how="clean") for at in positions])

    def ask() -> list[str]:
        with ollama.Client(vendor.base_url) as client:
            verdicts = []
            for _ in positions:
                try:
                    parts = list(client.chat("m", messages=MESSAGES, stream=True))
                except (json.JSONDecodeError, httpx.TransportError) as error:
                    verdicts.append(type(error).__name__)
                else:
                    verdicts.append("whole" if parts and parts[-1].done else "silent")
            return verdicts

    verdicts = await anyio.to_thread.run_sync(ask)
    ends = [at for at in positions if BODY[at : at + 1] == b"\n" or BODY[max(at - 1, 0) : at] == b"\n"]
    whole = [len(BODY) - 1, len(BODY)]
    assert [at for at, verdict in enumerate(verdicts) if verdict == "whole"] == whole
    assert [at for at, verdict in enumerate(verdicts) if verdict == "silent"] == sorted({0, *ends} - set(whole))
    assert set(verdicts) == {"whole", "silent", "JSONDecodeError"}


async def test_events_are_lines(vendor: Vendor, http: httpx2.AsyncClient) -> None:
    lines = BODY.splitlines(keepends=True)
    for after in range(len(lines) + 1):
        vendor.script(ANSWER.cut(after=after))
        assert (await read(http, vendor))[0] == b"".join(lines[:after])


async def test_garbage_drips_and_raw_bytes(vendor: Vendor, http: httpx2.AsyncClient) -> None:
    kind = "application/x-ndjson"
    vendor.script(ANSWER.garbage(after=1, data=b"\n").drip(3), Raw(BODY, content_type=kind), Raw(b"<html>", status=502))
    first, rest = BODY.split(b"\n", 1)
    assert await read(http, vendor) == (first + b"\n\n" + rest, None)
    assert await read(http, vendor) == (BODY, None)
    assert await read(http, vendor) == (b"<html>", None)


async def test_u0085_breaks_the_client_and_is_no_fault(vendor: Vendor) -> None:
    """Go writes it raw; the client divides lines there too. A reader of ours must not."""
    vendor.script(Answer("a\x85b"))

    def ask() -> None:
        with ollama.Client(vendor.base_url) as client:
            list(client.chat("m", messages=MESSAGES, stream=True))

    with pytest.raises(json.JSONDecodeError):
        await anyio.to_thread.run_sync(ask)


async def test_notices_that_the_client_goes_away(vendor: Vendor, http: httpx2.AsyncClient) -> None:
    vendor.script(ANSWER.stall(after=1))
    http.timeout = httpx2.Timeout(0.2)
    heard, caught = await read(http, vendor)
    assert heard == BODY.splitlines(keepends=True)[0]
    assert isinstance(caught, httpx2.ReadTimeout)
    with anyio.fail_after(5):
        await vendor.requests[0].gone.wait()

"""Faults by name: each as an HTTP client sees it, in a stream and without one, in both dialects."""

from __future__ import annotations

import httpx2
import pytest

from pointsman_testing import Answer, Lab, OllamaApi
from pointsman_testing.mishaps import MISHAPS, failing

ASKED = {"model": "m", "messages": [{"role": "user", "content": "Say hi"}]}
ANSWER = Answer("one two three")
SEEN = {
    "cut": (200, "RemoteProtocolError"),
    "stall": (200, "ReadTimeout"),
    "silent": (200, "ReadTimeout"),
    "busy": (429, ""),
    "down": (503, ""),
}


async def heard_of(http: httpx2.AsyncClient, url: str, *, stream: bool) -> tuple[httpx2.Response, bytes, str]:
    """The response, what came of its body, and the name of the error with which it ended."""
    heard = b""
    async with http.stream("POST", url, json={**ASKED, "stream": stream}, timeout=0.5) as response:
        try:
            async for data in response.aiter_raw():
                heard += data
        except httpx2.TransportError as error:
            return response, heard, type(error).__name__
    return response, heard, ""


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("mishap", MISHAPS)
async def test_each_is_what_its_name_says(
    lab: Lab, http: httpx2.AsyncClient, mishap: str, stream: bool, lines: bool
) -> None:
    status, error = SEEN[mishap]
    dialect = OllamaApi() if lines else None
    default = failing(mishap, ANSWER, every=2, lines=lines)
    vendor = lab.vendor("a", default=default, dialect=dialect, models=["m"])
    url = vendor.base_url + ("/api/chat" if lines else "/chat/completions")
    well, whole, nothing = await heard_of(http, url, stream=stream)
    assert (well.status_code, nothing) == (200, "")
    response, heard, how = await heard_of(http, url, stream=stream)
    assert (response.status_code, how) == (status, error)
    if status == 200:
        assert (len(heard) > 0) == (mishap != "silent")
        assert len(heard) < len(whole)
        if stream:
            assert (b"one" in heard, b"two" in heard) == (mishap != "silent", False)
    assert response.headers.get("retry-after") == ("5" if mishap == "busy" else None)
    assert (await heard_of(http, url, stream=stream))[2] == ""

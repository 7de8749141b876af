"""Pulls, and models that run elsewhere, as an Ollama server has them; Ollama's own client reads both."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import ollama
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_testing import Lab, OllamaApi, Usual, Vendor
from pointsman_testing.lab import RecordedRequest, Site
from pointsman_testing.lab.ollama import pulls

REGISTRY: Any = ({"name": "small", "layers": (1_000_000, 100_000, 485)},)
ON_ASYNCIO = pytest.mark.parametrize("anyio_backend", ["asyncio"])
"""On trio the client leaks its generators where it breaks off."""


@pytest.fixture
async def vendor(lab: Lab) -> Vendor:
    return lab.vendor("ollama", dialect=OllamaApi(registry=REGISTRY, download=2e6), models=("m",))


async def lines(http: httpx2.AsyncClient, vendor: Vendor, model: str = "small") -> list[dict[str, Any]]:
    """What arrives, whole lines only."""
    heard = b""
    try:
        async with http.stream("POST", f"{vendor.base_url}/api/pull", json={"model": model}) as response:
            assert response.headers["content-type"] == "application/x-ndjson"
            async for data in response.aiter_raw():
                heard += data
    except httpx2.TransportError:
        pass
    return [json.loads(line) for line in heard.split(b"\n")[:-1]]


async def test_a_pull_tells_what_it_does(vendor: Vendor, http: httpx2.AsyncClient) -> None:
    said = await lines(http, vendor)
    first, *layers = said[:-3]
    assert first == {"status": "pulling manifest"}
    assert [line["status"] for line in said[-3:]] == ["verifying sha256 digest", "writing manifest", "success"]
    # 120 kB each 60 ms; what is complete within one has no line, and no line says the end.
    assert [line["completed"] for line in layers] == [120_000 * tick for tick in range(1, 9)]
    assert {line["total"] for line in layers} == {1_000_000}
    assert all(line["status"] == f"pulling {line['digest'].removeprefix('sha256:')[:12]}" for line in layers)
    names = [one["name"] for one in (await http.get(f"{vendor.base_url}/api/tags")).json()["models"]]
    assert names == ["m:latest", "small:latest"]
    assert [line["completed"] for line in (await lines(http, vendor))[1:-3]] == [1_000_000, 100_000, 485]


async def test_a_pull_that_was_cut_off_goes_on(vendor: Vendor, http: httpx2.AsyncClient) -> None:
    vendor.script(Usual().cut(after=4), on="pull")
    assert (await lines(http, vendor))[-1]["completed"] == 360_000
    assert [one["name"] for one in (await http.get(f"{vendor.base_url}/api/tags")).json()["models"]] == ["m:latest"]
    said = await lines(http, vendor)
    assert (said[1]["completed"], said[-1]) == (480_000, {"status": "success"})


@given(st.lists(st.integers(0, 2000), max_size=5))
def test_however_often_it_is_cut_nothing_is_lost(cuts: list[int]) -> None:
    site, had = Site(models=("m",)), 0
    for sent in [*cuts, 10**9]:
        request: Any = RecordedRequest(
            index=0, client=("", 0), method="POST", path="", query="", raw_headers=(), headers={}, body=b""
        )
        assert "small" not in str(pulls.pulled(site, REGISTRY).models) or had == 1_000_000
        body = pulls.pull("small", request, pulls.pulled(site, REGISTRY), REGISTRY, 2e6)
        request.sent = min(sent, sum(len(chunk.data) for chunk in body))
        told = [json.loads(chunk.data) for chunk in body]
        first = next(line.get("completed", 0) for line in told if "digest" in line or line["status"] == "success")
        assert first >= had or "digest" not in told[1]
        whole = b"".join(chunk.data for chunk in body)[: request.sent].split(b"\n")[:-1]
        counts = [json.loads(line).get("completed", 0) for line in whole]
        had = 1_000_000 if b"verifying" in b"".join(whole) else max([had, *counts])
    assert "small" in str(pulls.pulled(site, REGISTRY).models)


async def test_what_nobody_has(vendor: Vendor, http: httpx2.AsyncClient) -> None:
    missing = {"error": "pull model manifest: file does not exist"}
    assert await lines(http, vendor, "nothing") == [{"status": "pulling manifest"}, missing]
    body = {"model": "nothing", "stream": False}
    response = await http.post(f"{vendor.base_url}/api/pull", json=body)
    assert (response.status_code, response.json()) == (500, missing)
    response = await http.post(f"{vendor.base_url}/api/pull", json={"model": "a b"})
    assert (response.status_code, response.json()) == (400, {"error": "invalid model name"})
    anything = OllamaApi()
    chunks = pulls.pull("any", vendor.requests[0], Site(), anything.registry, anything.download)
    assert json.loads(chunks[-1].data) == {"status": "success"}


async def test_the_client_pulls(vendor: Vendor) -> None:
    async with ollama.AsyncClient(vendor.base_url) as client:
        parts = [part async for part in await client.pull("small", stream=True)]
        assert parts[-1].status == "success"
        layers = [part for part in parts if part.digest]
        assert [part.completed for part in layers] == [120_000 * tick for tick in range(1, 9)]
        assert {part.total for part in layers} == {1_000_000}
        assert (await client.pull("small")).status == "success"
        assert "small:latest" in [model.model for model in (await client.list()).models]
        loaded = await client.chat("small", messages=[], keep_alive="10m")
        assert (loaded.done, loaded.done_reason) == (True, "load")
        assert [model.model for model in (await client.ps()).models] == ["small:latest"]
        assert (await client.chat("small", messages=[], keep_alive=0)).done_reason == "unload"
        assert not (await client.ps()).models


@ON_ASYNCIO
async def test_the_client_sees_what_fails(vendor: Vendor) -> None:
    full = b'{"error":"write /models/blobs/sha256-ab-partial: no space left on device"}\n'
    vendor.script(Usual().garbage(after=3, data=full).cut(after=3, how="clean"), on="pull")
    async with ollama.AsyncClient(vendor.base_url) as client:
        with pytest.raises(ollama.ResponseError, match="no space left"):
            _ = [part async for part in await client.pull("small", stream=True)]
        with pytest.raises(ollama.ResponseError, match="file does not exist"):
            _ = [part async for part in await client.pull("nothing", stream=True)]


STUB: Any = {"name": "far:120b-cloud", "remote_model": "far:120b", "remote_host": "https://ollama.com:443"}
SPENT = "you (jane) have reached your weekly usage limit, upgrade for higher limits: https://ollama.com/upgrade"


async def chat(http: httpx2.AsyncClient, vendor: Vendor, model: str) -> httpx2.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "stream": False}
    return await http.post(f"{vendor.base_url}/api/chat", json=body)


async def test_models_that_run_elsewhere(lab: Lab, http: httpx2.AsyncClient) -> None:
    """A stub of the server's own says where it runs; what is passed on does not, and has the name that it has there."""
    vendor = lab.vendor("o", dialect=OllamaApi(load=1e6), models=(STUB,))
    stub = (await chat(http, vendor, "far:120b-cloud")).json()
    assert (stub["model"], stub["remote_host"]) == ("far:120b-cloud", "https://ollama.com:443")
    for name, there in (("other:cloud", "other"), ("other:7b:cloud", "other:7b"), ("other:7b-cloud", "other:7b")):
        answer = (await chat(http, vendor, name)).json()
        assert (answer["model"], "remote_host" in answer) == (there, False)
    assert (await chat(http, vendor, "word-cloud")).status_code == 404
    assert (await http.get(f"{vendor.base_url}/api/ps")).json() == {"models": []}


@pytest.mark.parametrize(
    ("dialect", "status", "of_stub", "passed_on"),
    [
        (OllamaApi(cloud=False), 403, {"error"}, {"error"}),
        (OllamaApi(signed_in=False), 401, {"error", "signin_url"}, {"error", "signin_url"}),
        (OllamaApi(spent=SPENT), 429, {"StatusCode", "Status", "error"}, {"error"}),
    ],
)
async def test_what_cannot_be_had_there(
    lab: Lab, http: httpx2.AsyncClient, dialect: OllamaApi, status: int, of_stub: set[str], passed_on: set[str]
) -> None:
    vendor = lab.vendor("o", dialect=dialect, models=(STUB, "m"))
    for name, fields in (("far:120b-cloud", of_stub), ("other:cloud", passed_on)):
        response = await chat(http, vendor, name)
        assert (response.status_code, set(response.json())) == (status, fields)
    assert (await chat(http, vendor, "m")).status_code == 200

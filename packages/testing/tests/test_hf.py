"""Hugging Face, as the lab plays it: who answers, what the token may, and endpoints on the lab's clock.

The vendor's own SDKs judge it in the tests of `pointsman-hf`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import anyio
import httpx2
import pytest

from pointsman_testing import Answer, Fault, HuggingFaceApi, Lab, LabEndpoint, Vendor

OFFERS = [
    {"provider": "slow", "status": "live", "throughput": 10.0, "pricing": {"input": 1, "output": 1}},
    {"provider": "quick", "status": "live", "throughput": 90.0, "pricing": {"input": 2, "output": 9}},
    {"provider": "dead", "status": "error", "throughput": 999.0, "pricing": {"input": 0, "output": 0}},
]
CHAT = {"messages": [{"role": "user", "content": "Hi."}]}


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def lab() -> AsyncGenerator[Lab]:
    async with Lab(speed=10) as lab:
        yield lab


def client(vendor: Vendor, key: str = "k") -> httpx2.AsyncClient:
    root = vendor.base_url.removesuffix("/v1")
    return httpx2.AsyncClient(base_url=root, headers={"authorization": f"Bearer {key}"}, timeout=5, trust_env=False)


@pytest.mark.parametrize(
    ("model", "status", "who"),
    [
        ("a/b", 200, "quick"),
        ("a/b:fastest", 200, "quick"),
        ("a/b:cheapest", 200, "slow"),
        ("a/b:preferred", 200, "slow"),
        ("a/b:slow", 200, "slow"),
        ("a/b:dead", 400, None),
        ("a/b:nobody", 400, None),
        ("c/d", 400, None),
    ],
)
async def test_who_answers(lab: Lab, model: str, status: int, who: str | None) -> None:
    vendor = lab.vendor("hf", dialect=HuggingFaceApi(), models=[{"id": "a/b", "providers": OFFERS}], api_key="k")
    async with client(vendor) as asked:
        response = await asked.post("/v1/chat/completions", json=CHAT | {"model": model})
    assert (response.status_code, response.headers.get("x-inference-provider")) == (status, who)


async def test_what_a_token_may(lab: Lab) -> None:
    vendor = lab.vendor("hf", dialect=HuggingFaceApi(permissions=("inference.serverless.write",)), api_key="k")
    async with client(vendor) as good, client(vendor, "wrong") as bad:
        assert (await bad.get("/v1/models")).status_code == 200  # The list is public.
        assert (await bad.get("/api/whoami-v2")).status_code == 401
        assert (await good.get("/api/whoami-v2")).json()["auth"]["accessToken"]["role"] == "fineGrained"
        assert (await bad.post("/v1/chat/completions", json=CHAT | {"model": "a/b"})).status_code == 401
        assert (await good.post("/v1/chat/completions", json=CHAT | {"model": "a/b"})).status_code == 200
        assert (await good.get("/v2/endpoint/lab-user")).status_code == 403
        assert (await good.get("/v1/nothing")).status_code == 404
        assert (await good.put("/v1/models")).status_code == 405
        assert (await good.post("/v1/chat/completions", content=b"{")).status_code == 400
        assert (await good.post("/v1/chat/completions", json={"model": "a/b"})).status_code == 422


async def test_its_words(lab: Lab) -> None:
    vendor = lab.vendor("hf", dialect=HuggingFaceApi(user="jane"))
    vendor.script(*(Fault(status) for status in (402, 403, 503)))
    async with client(vendor) as asked:
        said = [
            (await asked.post("/v1/chat/completions", json=CHAT | {"model": "a/b"})).json()["error"] for _ in range(3)
        ]
    assert "monthly included credits" in said[0]
    assert said[1].endswith("on behalf of user jane")
    assert said[2] == "503 Service Unavailable"


async def state(asked: httpx2.AsyncClient) -> Any:
    return (await asked.get("/v2/endpoint/lab-user/mine")).json()["status"]["state"]


async def test_an_endpoint_wakes_and_sleeps(lab: Lab) -> None:
    mine = LabEndpoint(name="mine", state="scaledToZero", boot=4.0)
    vendor = lab.vendor("hf", dialect=HuggingFaceApi(endpoints=(mine,)), default=Answer("Hi."))
    async with client(vendor) as asked:
        assert await state(asked) == "scaledToZero"
        url = (await asked.get("/v2/endpoint/lab-user/mine")).json()["status"]["url"] + "/v1/chat/completions"
        assert (await asked.post(url, json=CHAT | {"model": "mine"})).status_code == 503
        assert await state(asked) == "initializing"
        began = anyio.current_time()
        held = await asked.post(url, json=CHAT | {"model": "mine"}, headers={"x-scale-up-timeout": "60"})
        assert held.json()["choices"][0]["message"]["content"] == "Hi."
        assert anyio.current_time() - began >= 0.2
        assert await state(asked) == "running"
        assert (await asked.post("/v2/endpoint/lab-user/mine/resume")).status_code == 400
        assert (await asked.post("/v2/endpoint/lab-user/mine/pause")).json()["status"]["state"] == "paused"
        refused = await asked.post(url, json=CHAT | {"model": "mine"})
        assert (refused.status_code, refused.json()) == (400, {"error": "Bad Request: Invalid state"})
        assert (await asked.post("/v2/endpoint/lab-user/mine/resume")).json()["status"]["state"] == "initializing"
        assert (await asked.get("/v2/endpoint/other/mine")).status_code == 404


async def test_a_hold_that_is_too_short_ends_in_503(lab: Lab) -> None:
    mine = LabEndpoint(name="mine", state="scaledToZero", boot=1e6)
    vendor = lab.vendor("hf", dialect=HuggingFaceApi(endpoints=(mine,)))
    async with client(vendor) as asked:
        began = anyio.current_time()
        url = "/serving/mine/v1/chat/completions"
        held = await asked.post(url, json=CHAT | {"model": "mine"}, headers={"x-scale-up-timeout": "3"})
        assert held.status_code == 503
        assert anyio.current_time() - began >= 0.3

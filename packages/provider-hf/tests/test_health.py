"""How Hugging Face is, and what it offers: from the Hub's word on the token, and the router's public list."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import anyio
import pytest

from pointsman import AuthFailed, EmbedRequest, HealthState, InvalidRequest, Unavailable
from pointsman_testing import Fault, HuggingFaceApi, Lab, Vendor

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]


def paths(vendor: Vendor) -> list[str]:
    return [request.path for request in vendor.requests]


async def test_a_good_token_at_a_router_that_answers(opened: Open, vendor: Vendor) -> None:
    async with opened(vendor) as session:
        assert (await session.health()).state is HealthState.UP
    assert paths(vendor) == ["/api/whoami-v2", "/v1/models"]  # Nothing that costs anything.


async def test_the_hub_refuses_the_token(opened: Open, vendor: Vendor) -> None:
    """The router's list would not have told."""
    async with opened(vendor, api_key="hf_wrong_0123456789") as session:
        found = await session.health()
        assert found.state is HealthState.DOWN
        assert isinstance(found.error, AuthFailed)
        assert "hf_wrong" not in found.reason
        assert len(await session.models()) == 3


@pytest.mark.parametrize(
    ("permissions", "state"),
    [
        (None, HealthState.UP),
        (("inference.serverless.write",), HealthState.UP),
        ((), HealthState.DOWN),
        (("repo.read",), HealthState.DOWN),
    ],
)
async def test_whether_the_token_may_ask_models(
    opened: Open, lab: Lab, vendor: Vendor, permissions: Any, state: HealthState
) -> None:
    judge = lab.vendor("judge", dialect=HuggingFaceApi(permissions=permissions), api_key=vendor.api_key)
    async with opened(judge) as session:
        found = await session.health()
    assert found.state is state
    assert ("Make calls to Inference Providers" in found.reason) is (state is HealthState.DOWN)


@pytest.mark.parametrize("fault", [Fault(500), Fault(429), Fault(503, "<html>"), Fault(200, "nonsense"), Fault(302)])
async def test_a_hub_that_does_not_say_is_no_verdict(opened: Open, vendor: Vendor, fault: Fault) -> None:
    vendor.script(fault, on="whoami")
    async with opened(vendor) as session:
        found = await session.health()
    assert (found.state, found.error) == (HealthState.UNKNOWN, None)
    assert "the Hub does not say whether it takes the key" in found.reason


async def test_a_token_that_is_taken_without_details_is_good(opened: Open, vendor: Vendor) -> None:
    vendor.script(Fault(200, "[]"), on="whoami")
    async with opened(vendor) as session:
        assert (await session.health()).state is HealthState.UP


async def test_a_router_that_is_down(opened: Open, vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pointsman_hf.session.LOOK_SECONDS", 0.3)
    vendor.script(Fault(500), Fault(429), Fault(500, wait=1e6), on="models")
    async with opened(vendor) as session:
        assert (await session.health()).state is HealthState.DOWN
        assert (await session.health()).state is HealthState.DEGRADED
        with anyio.fail_after(5):
            slow = await session.health()
    assert slow.state is HealthState.DOWN
    assert isinstance(slow.error, Unavailable)


async def test_another_router_has_no_hub(opened: Open, vendor: Vendor) -> None:
    """Its token is nothing to huggingface.co, unless somebody says so."""
    async with opened(vendor, hub_url=None, endpoints_url=None) as session:
        found = await session.health()
        assert found.state is HealthState.UNKNOWN  # Its list is public: any key would do.
        assert "hub_url" in found.reason
        assert len(await session.models()) == 3
    assert set(paths(vendor)) == {"/v1/models"}


async def test_models_by_provider(opened: Open, vendor: Vendor) -> None:
    async with opened(vendor) as session:
        listed = await session.models()
    assert [one.id for one in listed] == [
        "openai/gpt-oss-120b",
        "openai/gpt-oss-120b:groq",
        "openai/gpt-oss-120b:novita",
    ]
    assert listed[0].context_tokens == 65536
    assert listed[1].price is not None
    assert listed[1].price.source == f"{vendor.base_url}/models"


async def test_embeddings_of_the_router(opened: Open, vendor: Vendor) -> None:
    async with opened(vendor) as session:
        for model in ("BAAI/bge-small-en-v1.5", "BAAI/bge-small-en-v1.5:hf-inference"):
            found = await session.embed(EmbedRequest(model, ("one text", "another")))
            assert len(found.vectors) == 2
            assert len(found.vectors[0]) == len(found.vectors[1]) == 8
            assert found.usage is None
        with pytest.raises(InvalidRequest, match="groq"):
            await session.embed(EmbedRequest("BAAI/bge-small-en-v1.5:groq", ("a",)))
    assert paths(vendor) == ["/hf-inference/models/BAAI/bge-small-en-v1.5/pipeline/feature-extraction"] * 2
    assert vendor.requests[0].json == {"inputs": ["one text", "another"]}


@pytest.mark.parametrize(
    "body",
    ["[]", "[[1.0]]", "[[[1.0]],[[2.0]]]", '[["a"],["b"]]', "[[],[]]", "[[1],[2,3]]", "{}", f"[[1{'0' * 400}],[2]]"],
)
async def test_what_is_no_vector_for_each_text(opened: Open, vendor: Vendor, body: str) -> None:
    vendor.script(Fault(200, body), on="features")
    async with opened(vendor) as session:
        with pytest.raises(Unavailable, match="2 vectors"):
            await session.embed(EmbedRequest("org/m", ("a", "b")))

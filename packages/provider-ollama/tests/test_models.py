"""Health without tokens, models with what they can do, and embeddings."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import date
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import (
    AuthFailed,
    ConfigError,
    ContextOverflow,
    Embeddings,
    EmbedRequest,
    HealthState,
    ModelGone,
    ModelInfo,
    RateLimited,
    Unavailable,
)
from pointsman_ollama import catalog
from pointsman_openai import fields
from pointsman_testing import Fault, Lab, OllamaApi, Raw, Vendor

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]

CHAT = {"name": "qwen3:8b", "capabilities": ["completion", "tools", "thinking", "insert"], "context_length": 40_960}
LOADED = {"name": "gemma3:4b", "capabilities": ["completion", "vision"], "context_length": 131_072, "loaded": 8192}
EMBED = {"name": "embeddinggemma:latest", "capabilities": ["embedding"], "context_length": 2048}
REMOTE = {
    "name": "gpt-oss:120b-cloud",
    "capabilities": ["completion", "tools"],
    "context_length": 131_072,
    "remote_model": "gpt-oss:120b",
    "remote_host": "https://ollama.com:443",
}
MODELS = [CHAT, LOADED, EMBED, REMOTE]
KNOWN = {
    "qwen3:8b": (40_960, {"schema", "tools", "reasoning", "local"}),
    "gemma3:4b": (8192, {"schema", "vision", "local"}),
    "embeddinggemma:latest": (2048, {"embeddings", "local"}),
    "gpt-oss:120b-cloud": (131_072, {"schema", "tools"}),
}


def raw(value: Any) -> Raw:
    return Raw(json.dumps(value).encode(), content_type="application/json", chunked=False)


@pytest.mark.parametrize("rich", [True, False])
async def test_models(opened: Open, lab: Lab, rich: bool) -> None:
    """Older servers list less, and are asked for each; newer ones where the Modelfile may set the context."""
    vendor = lab.vendor("full", dialect=OllamaApi(rich_tags=rich), models=MODELS)
    async with opened(vendor.base_url) as session:
        models: list[ModelInfo] = await session.models()
    assert {model.id: (model.context_tokens, set(model.capabilities or ())) for model in models} == KNOWN
    assert [request.path for request in vendor.requests].count("/api/show") == (2 if rich else 4)
    for model in models:
        local = "local" in (model.capabilities or ())
        assert (model.price is not None and model.price.input == model.price.output == 0) is local


@pytest.mark.parametrize(
    ("num_ctx", "contexts"),
    [
        (None, [40_960, 8192, 16_384, 2048, 131_072]),
        (4096, [4096, 4096, 4096, 2048, 131_072]),
        (65_536, [40_960, 65_536, 40_960, 2048, 131_072]),
    ],
)
async def test_the_context_is_the_one_that_requests_get(
    opened: Open, lab: Lab, num_ctx: int | None, contexts: list[int]
) -> None:
    """Ours, since a model that is loaded with another is loaded anew; the loaded one; the Modelfile's; the most."""
    modelfile = {**CHAT, "name": "mine:latest", "num_ctx": 16_384}
    vendor = lab.vendor("full", dialect=OllamaApi(), models=[CHAT, LOADED, modelfile, EMBED, REMOTE])
    async with opened(vendor.base_url, num_ctx=num_ctx) as session:
        assert [model.context_tokens for model in await session.models()] == contexts
    if num_ctx is not None:
        assert "/api/show" not in [request.path for request in vendor.requests]


@pytest.mark.parametrize(
    ("parameters", "size"),
    [
        ("num_ctx                        8192", 8192),
        ('stop                           "<|eot|>"\nnum_ctx    4096\ntemperature 1', 4096),
        ('stop "num_ctx 5"', None),
        ("num_ctx many", None),
        ("num_ctx 0", None),
        ("", None),
    ],
)
def test_the_context_of_a_modelfile(parameters: str, size: int | None) -> None:
    assert catalog.own_context({"parameters": parameters}) == size


async def test_models_that_the_server_will_not_describe(opened: Open, lab: Lab) -> None:
    vendor = lab.vendor("odd", dialect=OllamaApi(rich_tags=False), models=["m"])
    vendor.script(Fault(500), on="show")
    vendor.script(Fault(404, b"404 page not found"), on="ps")
    async with opened(vendor.base_url) as session:
        (model,) = await session.models()
    assert (model.context_tokens, model.capabilities) == (None, None)


ANYTHING: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["models", "model", "name", "capabilities", "details", "model_info", "a.context_length"]),
            inner,
            max_size=4,
        )
    ),
)


@given(ANYTHING, ANYTHING)
def test_whatever_a_server_lists_is_read(value: Any, shown: Any) -> None:
    catalog.contexts(value)
    for entry in catalog.listed({"models": [value, *catalog.listed(value)]}):
        catalog.lacks_facts(entry)
        assert catalog.model_info(entry, fields(shown), today=date(2026, 11, 23)).id


def test_spellings_of_a_model() -> None:
    assert catalog.same("m", "m:latest")
    assert catalog.same("host:80/ns/m", "host:80/ns/m:latest")
    assert not catalog.same("m:7b", "m")


async def test_health(opened: Open, lab: Lab) -> None:
    for name, models, state, word in (
        ("loaded", MODELS, HealthState.UP, "gemma3:4b"),
        ("cold", [CHAT, EMBED], HealthState.COLD, "none of its models (2) is in memory"),
        ("empty", [], HealthState.DOWN, "ollama pull"),
    ):
        vendor = lab.vendor(name, dialect=OllamaApi(), models=models)
        async with opened(vendor.base_url) as session:
            health = await session.health()
        assert (health.state, word in health.reason) == (state, True), health
        assert isinstance(health.error, ModelGone) == (name == "empty")
        assert not {"/api/chat", "/api/embed"} & {request.path for request in vendor.requests}


@pytest.mark.parametrize(
    ("fault", "state", "kind"),
    [
        (Fault(401), HealthState.DOWN, AuthFailed),
        (Fault(403, b""), HealthState.DOWN, ConfigError),
        (Fault(500), HealthState.DOWN, Unavailable),
        (Fault(429, {"error": "too many"}, headers={"retry-after": "3"}), HealthState.DEGRADED, RateLimited),
    ],
)
async def test_ill(opened: Open, vendor: Vendor, fault: Fault, state: HealthState, kind: type[Exception]) -> None:
    vendor.script(fault, on="ps")
    async with opened(vendor.base_url) as session:
        health = await session.health()
    assert (health.state, type(health.error)) == (state, kind)
    assert (health.wait is not None) == (state is HealthState.DEGRADED)


async def test_nobody_listens(opened: Open, vendor: Vendor) -> None:
    async with opened(vendor.base_url) as session:
        await session.health()
        with vendor.refusing():
            health = await session.health()
    assert (health.state, type(health.error)) == (HealthState.DOWN, Unavailable)


async def test_a_server_before_ps(opened: Open, vendor: Vendor) -> None:
    vendor.script(Fault(404, b"404 page not found"), on="ps")
    async with opened(vendor.base_url) as session:
        assert (await session.health()).state is HealthState.COLD


async def test_embeddings(opened: Open, vendor: Vendor) -> None:
    async with opened(vendor.base_url) as session:
        answer: Embeddings = await session.embed(EmbedRequest("m", ("one two", "three")))
        assert await session.embed(EmbedRequest("m", ())) == Embeddings(())
    assert len(answer.vectors) == 2
    assert all(isinstance(number, float) for vector in answer.vectors for number in vector)
    assert answer.usage is not None
    assert answer.usage.input_tokens == 3
    assert len(vendor.requests) == 1
    assert vendor.requests[0].json["truncate"] is False


async def test_embeddings_that_are_none(opened: Open, lab: Lab) -> None:
    vendor = lab.vendor("odd", dialect=OllamaApi(num_ctx=2), models=["m"])
    vendor.script(raw({}), raw({"embeddings": [[1], [2]]}), raw({"embeddings": [["x"]]}), raw([]), on="embed")
    async with opened(vendor.base_url) as session:
        for _ in range(4):
            with pytest.raises(Unavailable):
                await session.embed(EmbedRequest("m", ("a",)))
        with pytest.raises(ContextOverflow):
            await session.embed(EmbedRequest("m", ("a b c d " * 9,)))
        with pytest.raises(ModelGone):
            await session.embed(EmbedRequest("other", ("a",)))

"""What is served: by the server while it is warm, by the configuration while asking would start a GPU."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from pointsman import ChatRequest, ModelInfo, user
from pointsman_modal import ModalConfig
from pointsman_modal.models import contexts, described
from pointsman_testing import Lab, ModalEndpoint

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["models", "model", "name", "context_length", "capabilities", "model_info", "a.context_length"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


async def test_while_it_may_be_cold_the_configuration_speaks(opened: Open, lab: Lab) -> None:
    vendor = lab.vendor("modal", dialect=ModalEndpoint(start=100))
    async with opened(vendor.base_url) as session:
        assert await session.offered() == [
            ModelInfo(id="qwen2.5-coder:7b", capabilities=frozenset({"tools", "schema"}))
        ]
    async with opened(vendor.base_url, default_models=["a", "b"], context_tokens=32_768) as session:
        assert await session.offered() == [
            ModelInfo(id="a", context_tokens=32_768),
            ModelInfo(id="b", context_tokens=32_768),
        ]
    assert list(vendor.requests) == []


async def test_while_it_is_warm_the_server_speaks(opened: Open, lab: Lab) -> None:
    models = [{"id": "m", "capabilities": ["completion", "tools"]}, {"id": "e", "capabilities": ["embedding", "new"]}]
    vendor = lab.vendor("modal", dialect=ModalEndpoint(num_ctx=16_384), models=models)
    async with opened(vendor.base_url) as session:
        async with session.stream(ChatRequest(messages=(user("hi"),), model="m")):
            pass
        assert await session.offered() == [
            ModelInfo(id="m:latest", context_tokens=16_384, capabilities=frozenset({"schema", "tools"})),
            ModelInfo(id="e:latest", context_tokens=16_384, capabilities=frozenset({"embeddings"})),
        ]
    paths = [request.path for request in vendor.requests]
    assert paths == ["/v1/chat/completions", "/v1/models", "/api/ps", "/api/show", "/api/show"]


async def test_a_server_of_another_kind_says_what_it_says(opened: Open, lab: Lab) -> None:
    vendor = lab.vendor("vllm", models=[{"id": "m", "max_model_len": 8192}])
    async with opened(vendor.base_url, server="other", min_containers=1) as session:
        assert await session.offered() == [ModelInfo(id="m", context_tokens=8192)]
    async with opened(vendor.base_url, min_containers=1) as session:  # Taken for an Ollama, which it is not.
        assert await session.offered() == [ModelInfo(id="m", context_tokens=8192)]


@given(JSON, JSON)
def test_whatever_the_server_says_is_read_as_far_as_it_goes(shown: Any, running: Any) -> None:
    config = ModalConfig.model_validate({"base_url": "https://a--b.modal.run"})
    model = described(ModelInfo(id="m"), shown, contexts(running), config)
    assert model.id == "m"
    assert model.context_tokens is None or model.context_tokens > 0
    assert model.capabilities is None or model.capabilities <= {
        "schema",
        "tools",
        "vision",
        "reasoning",
        "embeddings",
    }

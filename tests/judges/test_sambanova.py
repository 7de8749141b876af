"""SambaNova's own SDK takes the lab for SambaNova Cloud: what only this vendor says is what it has types for."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
import sambanova

from pointsman import ToolCall
from pointsman_testing import Answer, Fault, Lab, Profile, SambaNovaApi, Vendor

ASKED: Any = {"model": "gpt-oss-120b", "messages": [{"role": "user", "content": "What is a closure?"}]}
MODELS: Any = (
    {"id": "gpt-oss-120b", "pricing": {"prompt": "0.00000022", "completion": "0.00000059"}},
    {"id": "E5-Mistral-7B-Instruct", "embedding_length": 8},
)
PACE = Profile(first_token=(0.5, 0.5), tokens_per_second=(10, 10))


@pytest.fixture
def anyio_backend() -> str:
    """On trio the SDK leaks async generators."""
    return "asyncio"


@pytest.fixture
async def vendor() -> AsyncGenerator[Vendor]:
    async with Lab() as lab:
        yield lab.vendor("sambanova", dialect=SambaNovaApi(rpm=3), models=MODELS, api_key="right")


@pytest.fixture
async def sdk(vendor: Vendor) -> AsyncGenerator[sambanova.AsyncSambaNova]:
    async with sambanova.AsyncSambaNova(base_url=vendor.base_url, api_key="right", max_retries=0) as client:
        yield client


async def stream(sdk: sambanova.AsyncSambaNova) -> list[Any]:
    events: Any = await sdk.chat.completions.create(**ASKED, stream=True, stream_options={"include_usage": True})
    return [chunk async for chunk in events]


def said(chunks: list[Any], field: str = "content") -> str:
    return "".join(getattr(chunk.choices[0].delta, field, None) or "" for chunk in chunks if chunk.choices)


async def test_a_stream_with_its_timings(sdk: sambanova.AsyncSambaNova, vendor: Vendor) -> None:
    vendor.script(Answer("one two three four", reasoning="Hm, easy.", profile=PACE))
    chunks = await stream(sdk)
    assert (said(chunks), said(chunks, "reasoning")) == ("one two three four", "Hm, easy.")
    assert {chunk.choices[0].delta.channel for chunk in chunks if said([chunk], "reasoning")} == {"analysis"}
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    usage = chunks[-1].usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (4, 6, 10)
    assert (usage.time_to_first_token, usage.total_latency) == (0.5, pytest.approx(1.0))
    assert usage.completion_tokens_per_sec == pytest.approx(6.0)
    assert usage.is_last_response is True
    known = type(usage).model_fields
    assert set(usage.model_dump()) <= set(known), "the lab says what the vendor does not"
    assert isinstance(chunks[0].created, float)


async def test_tool_calls_and_a_whole_answer(sdk: sambanova.AsyncSambaNova, vendor: Vendor) -> None:
    vendor.script(Answer("", tool_calls=(ToolCall("c1", "f", '{"x": 1}'),)))
    reply: Any = await sdk.chat.completions.create(**ASKED)
    (call,) = reply.choices[0].message.tool_calls
    assert (call.id, call.function.name, call.function.arguments) == ("c1", "f", '{"x": 1}')
    assert reply.choices[0].finish_reason == "tool_calls"
    assert reply.usage.total_latency == 0.0


async def test_models_and_embeddings(sdk: sambanova.AsyncSambaNova) -> None:
    listed: Any = {model.id: model for model in (await sdk.models.list()).data}
    assert (listed["gpt-oss-120b"].context_length, listed["gpt-oss-120b"].max_completion_tokens) == (131_072, 16_384)
    assert float(listed["gpt-oss-120b"].pricing.prompt) == pytest.approx(2.2e-7)
    made: Any = await sdk.embeddings.create(model="E5-Mistral-7B-Instruct", input=["a b", "c"])
    assert [len(one.embedding) for one in made.data] == [8, 8]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, sambanova.AuthenticationError),
        (402, sambanova.APIStatusError),
        (404, sambanova.NotFoundError),
        (408, sambanova.APIStatusError),
        (410, sambanova.APIStatusError),
        (429, sambanova.RateLimitError),
        (500, sambanova.InternalServerError),
        (503, sambanova.InternalServerError),
    ],
)
async def test_refusals(sdk: sambanova.AsyncSambaNova, vendor: Vendor, status: int, kind: type[Exception]) -> None:
    vendor.script(Fault(status))
    with pytest.raises(sambanova.APIStatusError) as caught:
        await stream(sdk)
    assert (type(caught.value), caught.value.status_code) == (kind, status)


async def test_limits_run_out(sdk: sambanova.AsyncSambaNova) -> None:
    for left in (2, 1, 0):
        response = await sdk.chat.completions.with_raw_response.create(**ASKED)
        assert response.headers["x-ratelimit-remaining-requests"] == str(left)
    with pytest.raises(sambanova.RateLimitError, match="duration_s: 60, current usage: 3, limit: 3"):
        await stream(sdk)


async def test_a_cut_answer_is_whole_to_the_sdk(sdk: sambanova.AsyncSambaNova, vendor: Vendor) -> None:
    vendor.script(Answer("one two three four").cut(after=2, how="clean"))
    assert said(await stream(sdk)) == "one two three"


async def test_an_error_in_a_stream_is_a_chunk_to_the_sdk(sdk: sambanova.AsyncSambaNova, vendor: Vendor) -> None:
    """Only what comes as ``event: error`` is raised."""
    vendor.script(Answer("one", error={"message": "gone"}), Answer("one", error={"message": "gone"}, error_as="event"))
    assert said([chunk for chunk in await stream(sdk) if getattr(chunk, "choices", None)]) == "one"
    with pytest.raises(sambanova.APIError):
        await stream(sdk)


async def test_the_sdk_sends_the_key_of_the_environment_too(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMBANOVA_API_KEY", "of-the-environment")
    async with sambanova.AsyncSambaNova(base_url=vendor.base_url, api_key="right", max_retries=0) as client:
        await client.models.list()
    sent = vendor.requests[0].headers
    assert (sent["authorization"], sent["x-api-key"]) == ("Bearer right", "of-the-environment")

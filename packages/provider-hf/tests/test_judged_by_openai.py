"""The official SDK of the dialect, at the lab's router, reads what we read; where it does not, ours is right."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import openai
import pytest

from pointsman import ChatRequest, Finished, PointsmanError, StreamBroken, TextDelta, ToolCall, user
from pointsman_testing import Answer, Fault, Vendor

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]
MODEL = "openai/gpt-oss-120b"
MESSAGES: Any = [{"role": "user", "content": "Hi."}]


def judge(vendor: Vendor) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=vendor.base_url, api_key=str(vendor.api_key), max_retries=0)


async def ours(opened: Open, vendor: Vendor, model: str = MODEL) -> tuple[str, Finished]:
    text = ""
    async with opened(vendor) as session, session.stream(ChatRequest(messages=(user("Hi."),), model=model)) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                text += event.text
            if isinstance(event, Finished):
                return text, event
    raise AssertionError("it did not finish")


@pytest.fixture
def anyio_backend() -> str:
    """On trio the SDK leaves its generators open, which is a warning each; test_router.py has both loops."""
    return "asyncio"


@pytest.mark.parametrize("model", [MODEL, f"{MODEL}:cheapest", f"{MODEL}:novita"])
async def test_both_read_a_whole_answer_alike(opened: Open, vendor: Vendor, model: str) -> None:
    vendor.default = Answer("One two three.", reasoning="Hm.")
    async with judge(vendor) as client:
        stream = await client.chat.completions.create(
            model=model, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
        served = stream.response.headers["x-inference-provider"]
        chunks = [chunk async for chunk in stream]
        whole = await client.chat.completions.create(model=model, messages=MESSAGES)
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    text, end = await ours(opened, vendor, model)
    assert text == said == whole.choices[0].message.content == "One two three."
    assert chunks[-1].usage is not None
    assert end.usage is not None
    assert (end.usage.input_tokens, end.usage.output_tokens) == (
        chunks[-1].usage.prompt_tokens,
        chunks[-1].usage.completion_tokens,
    )
    assert end.served in (None, f"{MODEL}:{served}")


async def test_it_reads_the_list(vendor: Vendor) -> None:
    async with judge(vendor) as client:
        listed = await client.models.list()
    [one] = listed.data
    assert one.id == MODEL
    assert one.model_extra is not None
    assert [offer["provider"] for offer in one.model_extra["providers"]] == ["groq", "novita", "together"]


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (Fault(401), openai.AuthenticationError, "Invalid credentials"),
        (Fault(402), openai.APIStatusError, "monthly included credits"),
        (Fault(403), openai.PermissionDeniedError, "sufficient permissions"),
        (Fault(429), openai.RateLimitError, "Too Many Requests"),
        (Fault(503), openai.InternalServerError, "503"),
    ],
)
async def test_its_message_loses_what_the_router_says(
    opened: Open, vendor: Vendor, fault: Fault, kind: type[openai.APIStatusError], words: str
) -> None:
    """An error that is a text stands in its ``body``, and nowhere in what it prints."""
    vendor.script(fault, fault)
    async with judge(vendor) as client:
        with pytest.raises(kind) as theirs:
            await client.chat.completions.create(model=MODEL, messages=MESSAGES)
    assert str(theirs.value) == f"Error code: {fault.status}"
    assert words in str(theirs.value.body)
    with pytest.raises(PointsmanError, match=words):
        await ours(opened, vendor)


@pytest.mark.parametrize("model", ["org/none", f"{MODEL}:nscale"])
async def test_an_unserved_model_is_a_bad_request_to_it(opened: Open, vendor: Vendor, model: str) -> None:
    async with judge(vendor) as client:
        with pytest.raises(openai.BadRequestError):
            await client.chat.completions.create(model=model, messages=MESSAGES)
    with pytest.raises(PointsmanError) as caught:
        await ours(opened, vendor, model)
    assert type(caught.value).__name__ == "ModelGone"


async def test_it_takes_a_cut_answer_for_a_whole_one(opened: Open, vendor: Vendor) -> None:
    """The body ends as if all were well, without a finish reason."""
    cut = Answer("One two three four.").cut(after=3, how="clean")
    vendor.script(cut, cut)
    async with judge(vendor) as client:
        stream = await client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)
        chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "One two"
    assert not any(chunk.choices[0].finish_reason for chunk in chunks)
    with pytest.raises(StreamBroken):
        await ours(opened, vendor)


async def test_both_read_tool_calls_alike(opened: Open, vendor: Vendor) -> None:
    vendor.default = Answer("", tool_calls=(ToolCall("call-1", "look_up", '{"word": "closure"}'),))
    async with judge(vendor) as client:
        whole = await client.chat.completions.create(model=MODEL, messages=MESSAGES)
    calls = whole.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].type == "function"
    _, end = await ours(opened, vendor)
    assert end.reason == whole.choices[0].finish_reason == "tool_calls"

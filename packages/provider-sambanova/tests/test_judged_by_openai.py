"""OpenAI's SDK, which SambaNova tells its users to use, reads the lab's answers as we do, or else we know why."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import openai
import pytest

from pointsman import (
    AuthFailed,
    ChatRequest,
    Finished,
    ModelGone,
    PointsmanError,
    QuotaExhausted,
    RateLimited,
    ReasoningDelta,
    StreamBroken,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Unavailable,
    user,
)
from pointsman_openai import Session
from pointsman_testing import Answer, Fault, Hangup, Profile, Raw, Vendor

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Session]]
REQUEST = ChatRequest(messages=(user("hi"),), model="gpt-oss-120b")
ASKED: Any = {
    "model": "gpt-oss-120b",
    "messages": [{"role": "user", "content": "hi"}],
    "stream": True,
    "stream_options": {"include_usage": True},
}


@pytest.fixture
def anyio_backend() -> str:
    """On trio the SDK leaks async generators."""
    return "asyncio"


@pytest.fixture
async def sdk(vendor: Vendor, key: str) -> AsyncGenerator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=vendor.base_url, api_key=key, max_retries=0) as client:
        yield client


async def theirs(sdk: openai.AsyncOpenAI) -> list[Any]:
    stream: Any = await sdk.chat.completions.create(**ASKED)
    return [chunk async for chunk in stream]


async def ours(opened: Open, vendor: Vendor) -> list[Any]:
    async with opened(vendor) as session:
        async with session.stream(REQUEST) as events:
            return [event async for event in events]


def text_of(chunks: list[Any]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


PACE = Profile(first_token=(0.5, 0.5), tokens_per_second=(10, 10))


@pytest.mark.parametrize(
    "answer",
    [
        Answer("one two three four", profile=PACE),
        Answer("one two", reasoning="Hm, easy.", profile=PACE),
        Answer("", tool_calls=(ToolCall("c1", "f", '{"x": 1}'), ToolCall("c2", "g", "{}")), profile=PACE),
        Answer("one two", finish="length", newline="\r\n", keep_alives=2, profile=PACE),
        Answer("one two three four", profile=PACE).drip(3),
    ],
)
async def test_a_healthy_answer(sdk: openai.AsyncOpenAI, opened: Open, vendor: Vendor, answer: Answer) -> None:
    vendor.script(answer, answer)
    chunks, events = await theirs(sdk), await ours(opened, vendor)
    assert text_of(chunks) == "".join(event.text for event in events if isinstance(event, TextDelta))
    extras = [(chunk.choices[0].delta.model_extra or {}) for chunk in chunks if chunk.choices]
    thoughts = "".join(extra.get("reasoning", "") for extra in extras)
    assert thoughts == "".join(event.text for event in events if isinstance(event, ReasoningDelta))
    called = [call for chunk in chunks if chunk.choices for call in chunk.choices[0].delta.tool_calls or ()]
    assert [(call.index, call.id, call.function.name, call.function.arguments) for call in called] == [
        (event.index, event.id, event.name, event.arguments) for event in events if isinstance(event, ToolCallDelta)
    ]
    last, usage = events[-1], chunks[-1].usage
    assert isinstance(last, Finished)
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == last.reason
    assert last.usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (last.usage.input_tokens, last.usage.output_tokens)
    assert usage.completion_tokens_details.reasoning_tokens == last.usage.reasoning_tokens
    assert last.server is not None
    told = usage.model_extra
    assert (told["time_to_first_token"], told["total_latency"]) == (last.server.first_token, last.server.total)


@pytest.mark.parametrize(
    ("fault", "their", "our"),
    [
        (Fault(401), openai.AuthenticationError, AuthFailed),
        (Fault(402), openai.APIStatusError, QuotaExhausted),
        (Fault(404), openai.NotFoundError, ModelGone),
        (Fault(408), openai.APIStatusError, Unavailable),
        (Fault(410), openai.APIStatusError, ModelGone),
        (Fault(429), openai.RateLimitError, RateLimited),
        (Fault(500), openai.InternalServerError, Unavailable),
        (Fault(503), openai.InternalServerError, Unavailable),
    ],
)
async def test_a_refusal(
    sdk: openai.AsyncOpenAI,
    opened: Open,
    vendor: Vendor,
    fault: Fault,
    their: type[openai.APIStatusError],
    our: type[PointsmanError],
) -> None:
    vendor.script(fault, fault)
    with pytest.raises(openai.APIStatusError) as caught:
        await theirs(sdk)
    with pytest.raises(PointsmanError) as met:
        await ours(opened, vendor)
    assert (type(caught.value), caught.value.status_code) == (their, fault.status)
    assert (type(met.value), met.value.status) == (our, fault.status)


async def test_a_real_limit_is_met_by_both(sdk: openai.AsyncOpenAI, opened: Open, vendor: Vendor) -> None:
    """The 61st of a minute. The SDK knows the code, which means lack of money elsewhere; we know what is used up."""
    for _ in range(60):
        await sdk.chat.completions.create(model=ASKED["model"], messages=ASKED["messages"])
    with pytest.raises(openai.RateLimitError) as caught:
        await theirs(sdk)
    assert caught.value.code == "insufficient_quota"
    with pytest.raises(RateLimited, match="60 of 60 requests a minute are used"):
        await ours(opened, vendor)


async def test_a_cut_answer_is_whole_to_the_sdk(sdk: openai.AsyncOpenAI, opened: Open, vendor: Vendor) -> None:
    answer = Answer("one two three four").cut(after=2, how="clean")
    vendor.script(answer, answer)
    assert text_of(await theirs(sdk)) == "one two three"  # And nothing is raised.
    with pytest.raises(StreamBroken):
        await ours(opened, vendor)


@pytest.mark.parametrize("broken", [Answer("one two three four").cut(after=2, how="reset"), Hangup()])
async def test_a_lost_connection_is_an_error_to_both(
    sdk: openai.AsyncOpenAI, opened: Open, vendor: Vendor, broken: Any
) -> None:
    vendor.script(broken, broken)
    with pytest.raises(openai.APIConnectionError):
        await theirs(sdk)
    with pytest.raises((StreamBroken, Unavailable)):
        await ours(opened, vendor)


async def test_an_error_in_a_stream(sdk: openai.AsyncOpenAI, opened: Open, vendor: Vendor) -> None:
    """Under ``event: error`` and without the key ``error``, the SDK hands it on as a chunk, and ends well."""
    told = {"message": "the model wrote no JSON", "type": "server_error"}
    answer = Answer("one two", error=told)
    vendor.script(answer, answer)
    with pytest.raises(openai.APIError):
        await theirs(sdk)
    with pytest.raises(StreamBroken, match="no JSON"):
        await ours(opened, vendor)
    hidden = Answer("one two", error=told, error_as="event")
    vendor.script(hidden, hidden)
    assert text_of((await theirs(sdk))[:-1]) == "one two"
    with pytest.raises(StreamBroken, match="no JSON"):
        await ours(opened, vendor)


async def test_thoughts_in_tags_are_text_to_the_sdk(sdk: openai.AsyncOpenAI, opened: Open, vendor: Vendor) -> None:
    answer = Answer("<think>Hm.</think>Yes.")
    vendor.script(answer, answer)
    assert text_of(await theirs(sdk)) == "<think>Hm.</think>Yes."
    assert (await ours(opened, vendor))[:-1] == [ReasoningDelta("Hm."), TextDelta("Yes.")]


async def test_no_choices_at_all_is_nothing_to_either(sdk: openai.AsyncOpenAI, opened: Open, vendor: Vendor) -> None:
    """The last chunk's ``choices`` may be null, says the schema."""
    body = (
        b'data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\n'
        b'data: {"choices":null,"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}\n\n'
        b"data: [DONE]\n\n"
    )
    vendor.script(Raw(body), Raw(body))
    chunks, events = await theirs(sdk), await ours(opened, vendor)
    assert (text_of(chunks), events[0]) == ("hi", TextDelta("hi"))
    assert chunks[-1].choices is None

"""The vendor's own SDK takes the lab for a vendor. On asyncio only: on trio the SDK leaks async generators."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import openai
import pytest

from pointsman import ToolCall, Usage
from pointsman_testing import Answer, Fault, Hangup, Lab, Vendor

ASKED: Any = [{"role": "user", "content": "What is a closure?"}]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def vendor(lab: Lab) -> Vendor:
    return lab.vendor("sambanova", models=("gpt-oss-120b", {"id": "m2", "context_length": 8192}), api_key="right")


@pytest.fixture
async def sdk(vendor: Vendor) -> AsyncGenerator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=vendor.base_url, api_key="right", max_retries=0) as client:
        yield client


async def stream(sdk: openai.AsyncOpenAI, **options: Any) -> list[Any]:
    events: Any = await sdk.chat.completions.create(model="gpt-oss-120b", messages=ASKED, stream=True, **options)
    return [chunk async for chunk in events]


def text_of(chunks: list[Any]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


async def test_collects_an_answer_and_counts_words(sdk: openai.AsyncOpenAI, vendor: Vendor) -> None:
    vendor.script(Answer("A function and its scope.", reasoning="Easy one."))
    reply = await sdk.chat.completions.create(model="gpt-oss-120b", messages=ASKED)
    choice = reply.choices[0]
    assert (choice.message.content, choice.finish_reason) == ("A function and its scope.", "stop")
    assert choice.message.model_extra == {"reasoning": "Easy one."}
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.total_tokens) == (4, 7, 11)
    assert reply.usage.completion_tokens_details is not None
    assert reply.usage.completion_tokens_details.reasoning_tokens == 2
    assert vendor.requests[0].prompt == "What is a closure?"


@pytest.mark.parametrize(
    "answer",
    [
        Answer("one two three"),
        Answer("one two three", tokens_per_chunk=2),
        Answer("one two three", newline="\r\n", keep_alives=3),
        Answer("one two three", role_first=False, usage="every"),
        Answer("one two three").drip(3),
        Answer("one two three").stall(after=2, seconds=0.2, ping=0.05),
    ],
)
async def test_streams_every_shape_of_an_answer(sdk: openai.AsyncOpenAI, vendor: Vendor, answer: Answer) -> None:
    vendor.script(answer)
    chunks = await stream(sdk)
    assert text_of(chunks) == "one two three"
    assert [chunk.choices[0].finish_reason for chunk in chunks][-1] == "stop"


@pytest.mark.parametrize(
    ("where", "options", "with_usage"),
    [
        ("asked", {}, []),
        ("asked", {"stream_options": {"include_usage": True}}, [[]]),
        ("own", {}, [[]]),
        ("finish", {}, [["stop"]]),
        ("every", {}, [[None], [None], [None], ["stop"]]),
        ("none", {"stream_options": {"include_usage": True}}, []),
    ],
)
async def test_puts_usage_where_it_is_told(
    sdk: openai.AsyncOpenAI, vendor: Vendor, where: Any, options: Any, with_usage: Any
) -> None:
    vendor.script(Answer("two words", usage=where))
    told = [chunk for chunk in await stream(sdk, **options) if chunk.usage]
    assert [[choice.finish_reason for choice in chunk.choices] for chunk in told] == with_usage
    assert not told or told[-1].usage.completion_tokens == 2
    assert [chunk.usage.completion_tokens for chunk in told] in ([], [2], [0, 1, 2, 2])


async def test_sends_the_counts_it_is_given(sdk: openai.AsyncOpenAI, vendor: Vendor) -> None:
    vendor.script(Answer("x", counts=Usage(input_tokens=90, cached_input_tokens=40, output_tokens=7), usage="own"))
    usage = (await stream(sdk))[-1].usage
    assert (usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens, usage.completion_tokens) == (90, 40, 7)


async def test_streams_tool_calls_by_index(sdk: openai.AsyncOpenAI, vendor: Vendor) -> None:
    calls = (ToolCall("c1", "weather", '{"city": "Zürich"}'), ToolCall("c2", "time", "{}"))
    vendor.script(Answer("Let me look.", tool_calls=calls))
    tools: Any = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in ("weather", "time")]
    async with sdk.chat.completions.stream(model="gpt-oss-120b", messages=ASKED, tools=tools) as events:
        choice = (await events.get_final_completion()).choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content == "Let me look."
    assert [ToolCall(one.id, one.function.name, one.function.arguments) for one in choice.message.tool_calls or ()] == [
        *calls
    ]


async def test_collects_tool_calls(sdk: openai.AsyncOpenAI, vendor: Vendor) -> None:
    vendor.script(Answer(tool_calls=(ToolCall("c1", "weather", '{"city": "Rome"}'),)))
    message: Any = (await sdk.chat.completions.create(model="gpt-oss-120b", messages=ASKED)).choices[0].message
    assert message.content is None
    assert [call.function.arguments for call in message.tool_calls or ()] == ['{"city": "Rome"}']


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
async def test_streams_reasoning_in_either_field(sdk: openai.AsyncOpenAI, vendor: Vendor, field: Any) -> None:
    vendor.script(Answer("So be it.", reasoning="Hm, well.", reasoning_field=field))
    chunks = await stream(sdk)
    said = [(chunk.choices[0].delta.model_extra or {}).get(field) for chunk in chunks]
    assert "".join(part for part in said if part) == "Hm, well."
    assert text_of(chunks) == "So be it."


async def test_lists_models_with_their_extra_fields(sdk: openai.AsyncOpenAI) -> None:
    models = (await sdk.models.list()).data
    assert [model.id for model in models] == ["gpt-oss-120b", "m2"]
    assert models[1].model_extra == {"context_length": 8192}


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (400, openai.BadRequestError, "invalid_value"),
        (401, openai.AuthenticationError, "invalid_api_key"),
        (404, openai.NotFoundError, "model_not_found"),
        (429, openai.RateLimitError, "rate_limit_exceeded"),
        (500, openai.InternalServerError, "internal_server_error"),
        (529, openai.InternalServerError, "internal_server_error"),
    ],
)
async def test_fails_as_the_vendor_does(
    sdk: openai.AsyncOpenAI, vendor: Vendor, status: int, error: type[openai.APIStatusError], code: str
) -> None:
    vendor.script(Fault(status, headers={"retry-after": "2"}))
    with pytest.raises(error) as caught:
        await stream(sdk)
    assert caught.value.code == code
    assert caught.value.response.headers["retry-after"] == "2"
    assert caught.value.request_id == "sambanova-0"


async def test_checks_key_and_model(sdk: openai.AsyncOpenAI, vendor: Vendor) -> None:
    with pytest.raises(openai.AuthenticationError):
        await sdk.with_options(api_key="wrong").models.list()
    with pytest.raises(openai.NotFoundError, match="nobody"):
        await sdk.chat.completions.create(model="nobody", messages=ASKED)


async def test_breaks_off_with_an_error_in_the_stream(sdk: openai.AsyncOpenAI, vendor: Vendor) -> None:
    vendor.script(Answer("one two", error={"message": "overloaded", "code": "server_error"}))
    with pytest.raises(openai.APIError, match="overloaded") as caught:
        await stream(sdk)
    assert caught.value.code == "server_error"


async def test_a_hangup_is_a_connection_error(sdk: openai.AsyncOpenAI, vendor: Vendor) -> None:
    vendor.script(Hangup(), Hangup("reset"))
    for _ in range(2):
        with pytest.raises(openai.APIConnectionError):
            await stream(sdk)
    assert len(await stream(sdk)) > 2


async def test_keeps_the_connection(sdk: openai.AsyncOpenAI, vendor: Vendor) -> None:
    vendor.default = lambda request: Answer(f"You said: {request.prompt}")
    for _ in range(3):
        assert text_of(await stream(sdk)) == "You said: What is a closure?"
    assert len({request.client for request in vendor.requests}) == 1

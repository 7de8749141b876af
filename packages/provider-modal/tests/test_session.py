"""The /v1 of Ollama as it is: what it cuts, ignores and loses, and what we make of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import (
    ChatRequest,
    ContextOverflow,
    EmbedRequest,
    Finished,
    Image,
    InvalidRequest,
    ReasoningDelta,
    Scope,
    StreamBroken,
    Target,
    Text,
    TextDelta,
    Tool,
    ToolCall,
    ToolCallDelta,
    Usage,
    user,
)
from pointsman_modal.asked import CHARACTERS_PER_TOKEN, EFFORTS, fitted, prompt_characters, refuse_overflow
from pointsman_testing import Answer, Lab, ModalEndpoint, Raw, Vendor

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]

MODEL = {"id": "m", "capabilities": ["completion", "tools", "thinking", "vision"]}
TOOLS = (Tool("look"), Tool("leap"))
PIXEL = "data:image/png;base64,iVBORw0KGgo="


@pytest.fixture
async def vendor(lab: Lab) -> Vendor:
    return lab.vendor("modal", dialect=ModalEndpoint(), models=[MODEL])


def request(*said: Any, **more: Any) -> ChatRequest:
    return ChatRequest(messages=(user(*(said or ("hi",))),), model="m", **more)


async def ask(session: Any, asked: ChatRequest) -> list[Any]:
    async with session.stream(asked) as events:
        return [event async for event in events]


async def test_thoughts_text_calls_and_counts(opened: Open, vendor: Vendor) -> None:
    call = ToolCall("call_1", "look", '{"at": "it"}')
    vendor.script(Answer("so be it", reasoning="hm well", tool_calls=(call,)))
    async with opened(vendor.base_url) as session:
        got = await ask(session, request("what now", tools=TOOLS))
    assert "".join(event.text for event in got if isinstance(event, ReasoningDelta)) == "hm well"
    assert "".join(event.text for event in got if isinstance(event, TextDelta)) == "so be it"
    calls = [event for event in got if isinstance(event, ToolCallDelta)]
    assert [(one.id, one.name, one.arguments) for one in calls] == [("call_1", "look", '{"at": "it"}')]
    assert got[-1] == Finished("tool_calls", Usage(input_tokens=2, output_tokens=2 + 3 + 3))


async def test_max_tokens_goes_by_the_name_that_is_looked_at(opened: Open, vendor: Vendor) -> None:
    vendor.script(Answer("one two three"))
    async with opened(vendor.base_url) as session:
        got = await ask(session, request(max_tokens=2))
    assert got == [TextDelta("one"), TextDelta(" two"), Finished("length", Usage(input_tokens=1, output_tokens=2))]
    assert "max_completion_tokens" not in vendor.requests[0].json


@pytest.mark.parametrize("said", ["half an answer", ""])
async def test_an_error_that_is_lost_in_mid_stream_is_a_broken_answer(opened: Open, vendor: Vendor, said: str) -> None:
    """All that is left of it is a chunk without a model, without text, and then the end, under status 200."""
    lost = b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"","choices":[{"index":0,'
    lost += b'"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
    vendor.script(Answer(said, error="llama runner process has terminated") if said else Raw(lost))
    async with opened(vendor.base_url) as session:
        async with session.stream(request()) as events:
            got: list[Any] = []
            with pytest.raises(StreamBroken, match="without a finish reason"):
                async for event in events:
                    got.append(event)
    assert "".join(event.text for event in got) == said


@pytest.mark.parametrize("at", range(0, 900, 37))
async def test_an_answer_cut_anywhere_is_never_whole(opened: Open, vendor: Vendor, at: int) -> None:
    vendor.script(Answer("one two three").cut(at=at, how="clean"))
    async with opened(vendor.base_url) as session:
        try:
            got = await ask(session, request())
        except StreamBroken:
            return
    # The finish reason had come.
    assert [event.text for event in got[:-1]] == ["one", " two", " three"]
    assert isinstance(got[-1], Finished)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"tools": TOOLS, "tool_choice": "required"}, "ignores tool_choice"),
        ({"tools": TOOLS, "tool_choice": "look"}, "ignores tool_choice"),
        ({"reasoning_effort": "extreme"}, "knows none, minimal"),
    ],
)
async def test_what_would_be_ignored_is_refused_here_and_may_be_done_elsewhere(
    opened: Open, vendor: Vendor, more: dict[str, Any], words: str
) -> None:
    async with opened(vendor.base_url) as session:
        with pytest.raises(InvalidRequest, match=words) as raised:
            await ask(session, request(**more))
    assert (raised.value.scope, raised.value.target) == (Scope.TARGET, Target("modal", "m"))
    assert list(vendor.requests) == []


async def test_pictures_are_sent_whole_not_by_address(opened: Open, vendor: Vendor) -> None:
    async with opened(vendor.base_url) as session:
        with pytest.raises(InvalidRequest, match="data: URLs only") as raised:
            await ask(session, request(Text("what is it"), Image("https://example.com/cat.png")))
        assert raised.value.scope is Scope.TARGET
        assert await ask(session, request(Text("what is it"), Image(PIXEL)))
    assert vendor.requests[0].json["messages"][0]["content"][1]["image_url"] == {"url": PIXEL}


async def test_no_call_is_wanted_so_no_tools_are_sent(opened: Open, vendor: Vendor) -> None:
    async with opened(vendor.base_url) as session:
        await ask(session, request(tools=TOOLS, tool_choice="none"))
    assert not {"tools", "tool_choice"} & set(vendor.requests[0].json)


async def test_of_another_server_nothing_is_assumed(opened: Open, lab: Lab) -> None:
    vendor = lab.vendor("vllm")
    async with opened(vendor.base_url, server="other") as session:
        await ask(session, request(Image("https://example.com/cat.png"), tools=TOOLS, tool_choice="look"))
        await ask(session, request("long " * 8000))
    assert vendor.requests[0].json["tool_choice"] == {"type": "function", "function": {"name": "look"}}


async def test_a_prompt_that_was_cut_is_noticed_by_its_count(opened: Open, lab: Lab) -> None:
    """Ollama's /v1 reads half of it, answers, and says nothing."""
    vendor = lab.vendor("modal", dialect=ModalEndpoint(num_ctx=100))
    async with opened(vendor.base_url) as session:
        async with session.stream(request("long " * 2000)) as events:
            got: list[Any] = []
            with pytest.raises(ContextOverflow, match="has read 52 tokens of a prompt of 1250 at least"):
                async for event in events:
                    got.append(event)
        assert got == [TextDelta("modal"), TextDelta(" answers.")]  # And no `Finished`.
        fits = await ask(session, request("long " * 50))
    assert isinstance(fits[-1], Finished)


async def test_a_prompt_that_cannot_fit_is_not_sent(opened: Open, vendor: Vendor) -> None:
    async with opened(vendor.base_url, context_tokens=1000) as session:
        with pytest.raises(ContextOverflow, match="1250 tokens at least, and context_tokens is 1000"):
            await ask(session, request("long " * 2000))
        assert list(vendor.requests) == []
        assert await ask(session, request("long " * 1500))  # It may fit: the answer's count will tell.


RUSSIAN = "Правительство Российской Федерации приняло решение о дополнительном финансировании программ. "
THAI = "ประเทศไทยเป็นประเทศที่มีวัฒนธรรมอันยาวนานและมีการท่องเที่ยวที่สำคัญ"
TABLE = "\n".join("name".ljust(40) + "value".ljust(40) for _ in range(100))
NESTED = json.dumps([{"a": {"b": {"c": {"d": {"e": [1, 2]}}}}}] * 100, indent=8)


@pytest.mark.parametrize(
    ("text", "tokens"), [(RUSSIAN * 100, 1403), (THAI * 100, 1100), (TABLE, 499), (NESTED, 4702), ("=" * 40_000, 625)]
)
def test_what_has_many_bytes_a_token_is_not_taken_for_cut(text: str, tokens: int) -> None:
    """`tokens` are those of Qwen2.5's or Qwen3.5's tokenizer, whichever makes fewer."""
    assert prompt_characters(request(text)) // CHARACTERS_PER_TOKEN <= tokens


@given(st.text(max_size=40), st.integers(1, 20))
def test_a_prompt_of_fewer_bytes_than_the_context_has_tokens_is_never_refused(text: str, context: int) -> None:
    size = prompt_characters(request(text))
    if len(text.encode(errors="replace")) <= context * 8:
        refuse_overflow(size, context, Target("modal", "m"))
    if size >= (context + 1) * 8:
        with pytest.raises(ContextOverflow):
            refuse_overflow(size, context, Target("modal", "m"))


@given(st.sampled_from(EFFORTS), st.sampled_from([None, "auto", "none"]))
def test_what_can_be_done_is_left_as_it_is(effort: str, choice: str | None) -> None:
    asked = request(tools=TOOLS, tool_choice=choice, reasoning_effort=effort)
    sent = fitted(asked, Target("modal", "m"))
    assert (sent == asked) is (choice != "none")
    assert bool(sent.tools) is (choice != "none")


async def test_vectors_in_order(opened: Open, vendor: Vendor) -> None:
    async with opened(vendor.base_url) as session:
        found = await session.embed(EmbedRequest("m", ("one word", "another")))
    assert len(found.vectors) == 2
    assert found.usage == Usage(input_tokens=3)
    assert vendor.requests[0].path == "/v1/embeddings"

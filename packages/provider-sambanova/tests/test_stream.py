"""What SambaNova Cloud streams becomes events: its own example, and the lab's answers in the same dialect."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import pytest

from pointsman import (
    AsyncClient,
    ChatRequest,
    Exact,
    Finished,
    ReasoningDelta,
    ServerTimings,
    Settings,
    StreamEvent,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
    user,
)
from pointsman_openai import Session
from pointsman_testing import Answer, Lab, Profile, Raw, SambaNovaApi, Vendor

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Session]]
REQUEST = ChatRequest(messages=(user("Explain closures."),), model="gpt-oss-120b")
STREAM = b"".join(
    b"data: " + line + b"\n\n"
    for line in (
        b'{"id":"15fc","object":"chat.completion.chunk","created":1737642515.6,"model":"gpt-oss-120b","system_fingerprint":'
        b'"fastcoe","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null,"logprobs":null}]}',
        b'{"id":"15fc","created":1737642515.6,"choices":[{"index":0,"delta":{"reasoning":"Easy.","channel":"analysis"},'
        b'"finish_reason":null}]}',
        b'{"id":"15fc","created":1737642515.6,"choices":[{"index":0,"delta":{"content":"A function and"}}]}',
        b'{"id":"15fc","created":1737642515.6,"choices":[{"index":0,"delta":{"content":" its scope."}}]}',
        b'{"id":"15fc","created":1737642515.6,"choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}]}',
        b'{"id":"15fc","choices":[],"usage":{"prompt_tokens":43,"completion_tokens":100,"total_tokens":143,'
        b'"prompt_tokens_details":{"cached_tokens":3},"completion_tokens_details":{"reasoning_tokens":55},'
        b'"time_to_first_token":0.25,"total_latency":1.0,"completion_tokens_per_sec":314.5,"acceptance_rate":4.06,'
        b'"start_time":1776189308.19,"end_time":1776189309.02,"stop_reason":"stop","is_last_response":true}}',
        b"[DONE]",
    )
)
"""From its OpenAPI document 1.2.0, shortened; the line with the reasoning follows its schema."""


async def ask(session: Session, request: ChatRequest = REQUEST) -> list[StreamEvent]:
    async with session.stream(request) as events:
        return [event async for event in events]


def said(events: list[StreamEvent], kind: type[TextDelta | ReasoningDelta] = TextDelta) -> str:
    return "".join(event.text for event in events if isinstance(event, kind))


async def test_a_stream_as_documented(opened: Open, vendor: Vendor) -> None:
    vendor.script(Raw(STREAM))
    async with opened(vendor) as session:
        events = await ask(session)
    usage = Usage(input_tokens=43, cached_input_tokens=3, output_tokens=100, reasoning_tokens=55)
    assert events == [
        ReasoningDelta("Easy."),
        TextDelta("A function and"),
        TextDelta(" its scope."),
        Finished("stop", usage, server=ServerTimings(first_token=0.25, output=0.75, total=1.0)),
    ]


@pytest.mark.parametrize("where", ["asked", "own", "finish", "every"])
async def test_the_servers_own_seconds_arrive(opened: Open, vendor: Vendor, where: Any) -> None:
    """On whichever chunk they come; several tokens to a chunk change no count."""
    pace = Profile(first_token=(0.5, 0.5), tokens_per_second=(10, 10))
    vendor.script(Answer("one two three four five six", reasoning="Hm.", usage=where, profile=pace))
    async with opened(vendor) as session:
        events = await ask(session)
    assert len(events) == 4  # One of reasoning, two of text, and the end.
    assert (said(events, ReasoningDelta), said(events)) == ("Hm.", "one two three four five six")
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.usage == Usage(input_tokens=2, output_tokens=7, reasoning_tokens=1)
    assert last.server is not None
    assert (last.server.first_token, last.server.total) == (0.5, pytest.approx(1.1))
    assert last.server.output == pytest.approx(0.6)


async def test_reasoning_has_four_spellings(opened: Open, lab: Lab, vendor: Vendor) -> None:
    tags = lab.vendor("tags", dialect=SambaNovaApi(think_tags=True))
    answer = Answer("A function.", reasoning="Easy one.")
    vendor.script(answer, Answer("A function.", reasoning="Easy one.", reasoning_field="reasoning_content"))
    analysis = b'{"choices":[{"index":0,"delta":{"content":"Easy one.","channel":"analysis"}}]}'
    final = b'{"choices":[{"index":0,"delta":{"content":"A function.","channel":"final"},"finish_reason":"stop"}]}'
    vendor.script(Raw(b"data: " + analysis + b"\n\ndata: " + final + b"\n\n"))
    tags.script(answer)
    for place in (vendor, vendor, vendor, tags):
        async with opened(place) as session:
            events = await ask(session)
        assert (said(events, ReasoningDelta).strip(), said(events)) == ("Easy one.", "A function.")


async def test_tool_calls(opened: Open, vendor: Vendor) -> None:
    vendor.script(Answer("", tool_calls=(ToolCall("c1", "weather", '{"city": "Zürich", "days": 3}'),)))
    async with opened(vendor) as session:
        events = await ask(session)
    calls = [event for event in events if isinstance(event, ToolCallDelta)]
    assert (calls[0].id, calls[0].name) == ("c1", "weather")
    assert "".join(call.arguments for call in calls) == '{"city": "Zürich", "days": 3}'
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "tool_calls"


async def test_through_the_client_timings_and_cost_are_there(lab: Lab, vendor: Vendor, key: str) -> None:
    """`ttft` less the server's own first token is what the network took."""
    pace = Profile(first_token=(2.0, 2.0), tokens_per_second=(1000, 1000))
    vendor.script(Answer("Done.", counts=Usage(input_tokens=1_000_000, output_tokens=1_000_000), profile=pace))
    settings = Settings.of({"providers": {"sambanova": {"base_url": vendor.base_url, "api_key": key}}})
    async with AsyncClient(settings=settings) as client:
        reply = await client.chat("hi", model="sambanova/gpt-oss-120b")
    assert reply.cost == Exact("0.81")
    assert reply.timings.server is not None
    assert reply.timings.server.first_token == 2.0
    assert reply.timings.ttft is not None
    assert reply.timings.ttft >= 2.0 / lab.speed
    assert reply.attempts[0].server == reply.timings.server

"""Ollama's own client takes the lab for an Ollama server, on both event loops and in a thread."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from operator import mul
from typing import Any

import anyio.to_thread
import ollama
import pytest

from pointsman import ToolCall, Usage
from pointsman_testing import Answer, Fault, Lab, OllamaApi, Vendor

ASKED: Any = [{"role": "user", "content": "What is a closure?"}]
ON_ASYNCIO = pytest.mark.parametrize("anyio_backend", ["asyncio"])
"""On trio the client leaks its generators where it breaks off."""
TOOLS: Any = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in ("weather", "time")]
CALLS = (ToolCall("call_ab12cd34", "weather", '{"city": "Zürich", "days": 3}'), ToolCall("call_ab12cd35", "time", "{}"))
MODELS: Any = (
    "llama3.2",
    {"name": "gemma3:270m", "capabilities": ["completion"], "context_length": 32_768, "loaded": 8192},
    {"name": "minilm", "capabilities": ["embedding"], "embedding_length": 384},
)


@pytest.fixture
async def vendor(lab: Lab) -> Vendor:
    return lab.vendor("ollama", dialect=OllamaApi(), models=MODELS)


@pytest.fixture
async def client(vendor: Vendor) -> AsyncGenerator[ollama.AsyncClient]:
    async with ollama.AsyncClient(vendor.base_url) as client:
        yield client


async def stream(client: ollama.AsyncClient, model: str = "llama3.2", **options: Any) -> list[ollama.ChatResponse]:
    parts = await client.chat(model, messages=ASKED, stream=True, **options)
    return [part async for part in parts]


def said(parts: list[ollama.ChatResponse], field: str = "content") -> str:
    return "".join(getattr(part.message, field) or "" for part in parts)


def called(parts: list[ollama.ChatResponse]) -> list[tuple[str, Any]]:
    calls = [call for part in parts for call in part.message.tool_calls or ()]
    return [(call.function.name, call.function.arguments) for call in calls]


@pytest.mark.parametrize(
    ("answer", "lines"),
    [
        (Answer("one two three"), 4),
        (Answer("one two three", tokens_per_chunk=2), 3),
        (Answer("one two three", usage="none"), 4),
        (Answer("one two three", keep_alives=3, newline="\r\n", role_first=False), 4),
        (Answer("one two three").drip(3), 4),
        (Answer("one two three").stall(after=2, seconds=0.2), 4),
    ],
)
async def test_streams_every_shape_of_an_answer(
    client: ollama.AsyncClient, vendor: Vendor, answer: Answer, lines: int
) -> None:
    vendor.script(answer)
    parts = await stream(client)
    assert said(parts) == "one two three"
    assert [part.done for part in parts] == [False] * (lines - 1) + [True]
    last = parts[-1]
    counts = (None, None) if answer.usage == "none" else (4, 3)
    assert (last.done_reason, last.prompt_eval_count, last.eval_count) == ("stop", *counts)
    assert last.total_duration == sum(
        (last.load_duration or 0, last.prompt_eval_duration or 0, last.eval_duration or 0)
    )
    assert {part.model for part in parts} == {"llama3.2"}


async def test_collects_an_answer(client: ollama.AsyncClient, vendor: Vendor) -> None:
    vendor.script(Answer("A function.", reasoning="Easy one, that.", counts=Usage(input_tokens=90, output_tokens=7)))
    reply = await client.chat("llama3.2:latest", messages=ASKED)
    assert (reply.message.content, reply.message.thinking) == ("A function.", "Easy one, that.")
    assert (reply.model, reply.done, reply.done_reason) == ("llama3.2:latest", True, "stop")
    assert (reply.prompt_eval_count, reply.eval_count) == (90, 7)
    assert vendor.requests[0].prompt == "What is a closure?"


async def test_a_client_in_a_thread(vendor: Vendor) -> None:
    vendor.script(Answer("A function."), Answer("And its scope."))

    def ask() -> list[str]:
        with ollama.Client(vendor.base_url) as client:
            streamed = list(client.chat("llama3.2", messages=ASKED, stream=True))
            whole = client.chat("llama3.2", messages=ASKED)
            return [said(streamed), whole.message.content or "", *(model.model or "" for model in client.ps().models)]

    assert await anyio.to_thread.run_sync(ask) == ["A function.", "And its scope.", "gemma3:270m", "llama3.2:latest"]


@pytest.mark.parametrize(
    ("think", "thought"),
    [({}, "Hm, well."), ({"think": True}, "Hm, well."), ({"think": "low"}, "Hm, well."), ({"think": False}, "")],
)
async def test_thinks_unless_told_not_to(client: ollama.AsyncClient, vendor: Vendor, think: Any, thought: str) -> None:
    vendor.script(*[Answer("So be it.", reasoning="Hm, well.")] * 2)
    parts = await stream(client, **think)
    assert (said(parts, "thinking"), said(parts)) == (thought, "So be it.")
    assert parts[-1].eval_count == 3 + len(thought.split())  # Thinking is counted with the rest.
    reply = await client.chat("llama3.2", messages=ASKED, **think)
    assert (reply.message.thinking or "", reply.message.content) == (thought, "So be it.")


async def test_a_model_that_cannot_think_does_not(client: ollama.AsyncClient, vendor: Vendor) -> None:
    vendor.script(Answer("So be it.", reasoning="Hm, well."))
    parts = await stream(client, "gemma3:270m")
    assert (said(parts, "thinking"), said(parts)) == ("", "So be it.")


@pytest.mark.parametrize("where", ["line", "last"])
@pytest.mark.parametrize("version", ["0.32.15", "0.12.9"])
async def test_asks_for_tools(lab: Lab, where: Any, version: str) -> None:
    vendor = lab.vendor("tools", dialect=OllamaApi(tool_calls_on=where, version=version))
    vendor.script(*[Answer("Let me look.", tool_calls=CALLS)] * 2)
    async with ollama.AsyncClient(vendor.base_url) as client:
        parts = await stream(client, tools=TOOLS)
        whole = await client.chat("any", messages=ASKED, tools=TOOLS)
    wanted = [("weather", {"city": "Zürich", "days": 3}), ("time", {})]
    assert called(parts) == called([whole]) == wanted
    assert said(parts) == whole.message.content == "Let me look."
    assert [len(part.message.tool_calls or ()) for part in parts[3:]] == ([1, 1, 0] if where == "line" else [2])
    assert (parts[-1].done, parts[-1].done_reason, parts[-1].eval_count) == (True, "stop", whole.eval_count)


async def test_says_something_on_the_last_line(lab: Lab) -> None:
    vendor = lab.vendor("late", dialect=OllamaApi(content_on_last=True), default=Answer("one two"))
    async with ollama.AsyncClient(vendor.base_url) as client:
        parts = await stream(client)
    assert [(part.message.content, part.done) for part in parts] == [("one", False), (" two", True)]


@pytest.mark.parametrize(
    ("finish", "reason"), [("auto", "stop"), ("length", "length"), ("odd", "odd"), ("tool_calls", "stop"), (None, None)]
)
async def test_ends_for_a_reason(
    client: ollama.AsyncClient, vendor: Vendor, finish: str | None, reason: str | None
) -> None:
    vendor.script(Answer("hi", finish=finish))
    last = (await stream(client))[-1]
    assert (last.done, last.done_reason) == (True, reason)


async def test_lists_and_shows_models(client: ollama.AsyncClient) -> None:
    listed = (await client.list()).models
    assert [model.model for model in listed] == ["llama3.2:latest", "gemma3:270m", "minilm:latest"]
    assert all(model.size and model.digest and model.modified_at and model.details for model in listed)
    [running] = (await client.ps()).models
    assert (running.model, running.context_length) == ("gemma3:270m", 8192)
    shown = await client.show("gemma3:270m")
    assert shown.capabilities == ["completion"]
    assert shown.modelinfo
    assert shown.modelinfo["llama.context_length"] == 32_768


async def test_embeds(client: ollama.AsyncClient) -> None:
    texts = ["a black cat", "a black dog", "quite another matter"]
    first = await client.embed("minilm", texts)
    again = await client.embed("minilm", texts[0])
    assert first.embeddings[0] == again.embeddings[0]
    assert [len(vector) for vector in first.embeddings] == [384] * 3
    assert all(math.isclose(math.hypot(*vector), 1.0, abs_tol=1e-6) for vector in first.embeddings)
    cat, dog, other = first.embeddings
    assert sum(map(mul, cat, dog)) > 0.5 > sum(map(mul, cat, other))
    assert (first.prompt_eval_count, len((await client.embed("minilm", "x", dimensions=8)).embeddings[0])) == (9, 8)
    assert (await client.embed("minilm", "")).embeddings == []


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(400), "invalid model name"),
        (Fault(401), "unauthorized"),
        (Fault(404), "not found"),
        (Fault(429), "usage limit"),
        (Fault(500), "unexpectedly stopped"),
        (Fault(503), "server busy, please try again.  maximum pending requests exceeded"),
        (Fault(500, "oops"), "oops"),
        (Fault(502, {"StatusCode": 502, "error": "no such host"}), "no such host"),
    ],
)
async def test_fails_as_the_server_does(client: ollama.AsyncClient, vendor: Vendor, fault: Fault, words: str) -> None:
    vendor.script(fault, fault)
    with pytest.raises(ollama.ResponseError) as caught:
        await stream(client)
    assert caught.value.status_code == fault.status
    assert words in caught.value.error
    with pytest.raises(ollama.ResponseError):
        await client.chat("llama3.2", messages=ASKED)


@ON_ASYNCIO
@pytest.mark.parametrize("error", ["overloaded", {"message": "overloaded"}, {"error": "overloaded", "StatusCode": 500}])
async def test_breaks_off_with_an_error_line(client: ollama.AsyncClient, vendor: Vendor, error: Any) -> None:
    vendor.script(Answer("one two", error=error))
    parts: list[Any] = []
    with pytest.raises(ollama.ResponseError, match="overloaded") as caught:
        async for part in await client.chat("llama3.2", messages=ASKED, stream=True):
            parts.append(part)
    assert (said(parts), caught.value.status_code) == ("one two", -1)


@pytest.mark.parametrize("streamed", [True, False])
async def test_an_error_before_any_line_has_a_status(
    client: ollama.AsyncClient, vendor: Vendor, streamed: bool
) -> None:
    vendor.script(Answer(error="out of memory"))
    with pytest.raises(ollama.ResponseError, match="out of memory") as caught:
        await (stream(client) if streamed else client.chat("llama3.2", messages=ASKED))
    assert caught.value.status_code == 500


@ON_ASYNCIO
async def test_arguments_that_are_no_object_are_the_servers_error(client: ollama.AsyncClient, vendor: Vendor) -> None:
    vendor.script(Answer("Well.", tool_calls=(ToolCall("c", "weather", '{"city'),)))
    with pytest.raises(ollama.ResponseError, match='invalid tool call arguments for "weather"'):
        await stream(client, tools=TOOLS)


async def test_a_stream_without_its_end_passes_for_a_whole_one(client: ollama.AsyncClient, vendor: Vendor) -> None:
    """What the client does not notice, and ours must."""
    vendor.script(Answer("one two", done=False), Answer("one two", done=False))
    parts = await stream(client)
    assert (said(parts), parts[-1].done) == ("one two", False)
    reply = await client.chat("llama3.2", messages=ASKED)
    assert (reply.message.content, reply.done, reply.done_reason, reply.eval_count) == ("one two", False, None, None)


async def test_asks_for_a_key_if_it_has_one(lab: Lab) -> None:
    vendor = lab.vendor("cloud", dialect=OllamaApi(), models=("gpt-oss:120b",), api_key="right")
    async with ollama.AsyncClient(vendor.base_url) as stranger:
        with pytest.raises(ollama.ResponseError, match="unauthorized") as caught:
            await stranger.list()
        assert caught.value.status_code == 401
    async with ollama.AsyncClient(vendor.base_url, headers={"Authorization": "Bearer right"}) as guest:
        assert len((await guest.list()).models) == 1


async def test_keeps_the_connection(client: ollama.AsyncClient, vendor: Vendor) -> None:
    for _ in range(3):
        assert said(await stream(client)) == "ollama answers."
    assert len({request.client for request in vendor.requests}) == 1

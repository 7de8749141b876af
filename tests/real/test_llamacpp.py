"""llama.cpp's own server, with its own sampler, parser and stream, through `openai-compatible`, on both loops."""

from __future__ import annotations

import json
import signal
import urllib.request
from typing import TYPE_CHECKING

import anyio
import pytest
from pydantic import BaseModel

from pointsman import (
    AllTargetsFailed,
    AuthFailed,
    ContextOverflow,
    HealthState,
    Retracted,
    Stalled,
    Started,
    StreamBroken,
    Tool,
    Unavailable,
)

if TYPE_CHECKING:
    from conftest import Connect, Llama, Start


CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Lisboa"}}\n</tool_call>'


class City(BaseModel):
    name: str
    people: int


def busy_slots(server: Llama) -> int:
    request = urllib.request.Request(
        server.url.removesuffix("/v1") + "/slots", headers={"authorization": f"Bearer {server.key}"}
    )
    with urllib.request.urlopen(request) as answer:
        return sum(slot["is_processing"] for slot in json.load(answer))


async def until_idle(server: Llama, seconds: float) -> bool:
    with anyio.move_on_after(seconds):
        while await anyio.to_thread.run_sync(busy_slots, server):
            await anyio.sleep(0.02)
        return True
    return False


@pytest.mark.parametrize("text", ["hello there", "Olá, 世界 🎉!", 'a {"b": [1, 2]}\n\nc'])
async def test_text_comes_through_to_the_byte(llama: Start, connect: Connect, text: str) -> None:
    async with connect(llama(text)) as one:
        reply = await one.chat("Say it.", model="one/toy")
    assert reply.text == text
    assert reply.finish_reason == "stop"
    assert reply.usage is not None
    assert not reply.usage.estimated
    assert reply.usage.input_tokens > 0


async def test_tool_calls_are_gathered_from_their_fragments(llama: Start, connect: Connect) -> None:
    tool = Tool("weather", "Tells the weather.", {"type": "object", "properties": {"city": {"type": "string"}}})
    async with connect(llama(CALL)) as one:
        reply = await one.chat("What is the weather in Lisbon?", model="one/toy", tools=[tool])
    [call] = reply.tool_calls
    assert call.name == "weather"
    assert json.loads(call.arguments) == {"city": "Lisboa"}
    assert call.id
    assert reply.finish_reason == "tool_calls"


async def test_reasoning_is_told_apart_from_the_answer(llama: Start, connect: Connect) -> None:
    async with connect(llama("<think>\nlet me see\n</think>\n\nforty-two")) as one:
        reply = await one.chat("What is it?", model="one/toy")
    assert reply.reasoning.strip() == "let me see"
    assert reply.text.strip() == "forty-two"


async def test_a_schema_is_enforced_and_the_answer_parsed(llama: Start, connect: Connect) -> None:
    async with connect(llama('{"name": "Lisboa", "people": 545000}')) as one:
        reply = await one.chat("A city.", model="one/toy", response_schema=City)
    assert reply.parsed == City(name="Lisboa", people=545000)


async def test_a_schema_that_the_model_would_not_follow_is_enforced(llama: Start, connect: Connect) -> None:
    schema = {"type": "object", "properties": {"yes": {"type": "boolean"}}, "required": ["yes"]}
    async with connect(llama("no JSON at all")) as one:
        reply = await one.chat("A city.", model="one/toy", response_schema=schema, max_tokens=40, temperature=0)
    assert reply.text.lstrip().startswith("{")


async def test_a_wrong_key_is_told_as_such(llama: Start, connect: Connect) -> None:
    async with connect(llama("x"), key="sk-wrong-0123456789") as one:
        with pytest.raises(AuthFailed) as caught:
            await one.chat("hi", model="one/toy")
    assert caught.value.status == 401
    assert "sk-wrong" not in str(caught.value)


async def test_a_prompt_over_the_context_is_an_overflow(llama: Start, connect: Connect) -> None:
    async with connect(llama("x")) as one:
        with pytest.raises(ContextOverflow):
            await one.chat("alpha beta " * 4000, model="one/toy")


async def test_health_and_models_cost_nothing(llama: Start, connect: Connect) -> None:
    server = llama("x")
    async with connect(server) as one:
        hooks = await one.connect("one")
        assert (await hooks.health()).state is HealthState.UP
        assert [model.id for model in await hooks.models()] == ["toy"]


async def test_a_server_killed_in_mid_stream_breaks_the_answer(llama: Start, connect: Connect) -> None:
    server = llama(None)
    async with (
        connect(server, retries=0) as one,
        one.stream("hi", model="one/toy", extra={"ignore_eos": True}, max_tokens=1900) as reply,
    ):
        with pytest.raises(StreamBroken) as caught:
            async for _ in reply.text_stream:
                server.process.kill()
    assert caught.value.partial


async def test_a_killed_server_is_replaced_by_the_next(llama: Start, connect: Connect) -> None:
    first, second = llama(None), llama("a whole answer")
    kinds = []
    async with (
        connect(first, second) as one,
        one.stream(
            "hi",
            model=["one/toy", "two/toy"],
            on_break="restart",
            extra={"ignore_eos": True},
            max_tokens=1900,
        ) as reply,
    ):
        async for event in reply.events:
            kinds.append(type(event))
            if isinstance(event, Started) and event.attempt == 1:
                first.process.kill()
            if isinstance(event, Started) and event.attempt == 2:
                break
    assert kinds.index(Retracted) < len(kinds) - 1
    assert kinds[-1] is Started
    assert str(reply.target) == "two/toy" or reply.target is None


async def test_a_server_that_is_gone_is_passed_over(llama: Start, connect: Connect) -> None:
    first, second = llama("x"), llama("still here")
    first.process.kill()
    first.process.wait()
    async with connect(first, second) as one:
        reply = await one.chat("hi", model=["one/toy", "two/toy"])
    assert reply.text == "still here"
    assert [attempt.outcome for attempt in reply.attempts] == ["failed", "finished"]


async def test_a_server_that_stands_still_is_given_up(llama: Start, connect: Connect) -> None:
    server = llama(None)
    async with (
        connect(server, retries=0) as one,
        one.stream("hi", model="one/toy", stall=1.0, extra={"ignore_eos": True}, max_tokens=1900) as reply,
    ):
        with pytest.raises(Stalled):
            async for _ in reply.text_stream:
                server.process.send_signal(signal.SIGSTOP)
    server.process.send_signal(signal.SIGCONT)


async def test_a_client_that_goes_away_frees_the_slot(llama: Start, connect: Connect) -> None:
    server = llama(None)
    async with connect(server) as one:
        async with one.stream("hi", model="one/toy", extra={"ignore_eos": True}, max_tokens=1900) as reply:
            async for _ in reply.text_stream:
                assert await anyio.to_thread.run_sync(busy_slots, server) <= 1
                break
        assert await until_idle(server, 5), "the upstream work goes on without us"


async def test_more_calls_than_slots_all_get_their_answer(llama: Start, connect: Connect) -> None:
    texts: list[str] = []
    async with connect(llama("the same for all")) as one, anyio.create_task_group() as group:

        async def ask() -> None:
            texts.append((await one.chat("hi", model="one/toy")).text)

        for _ in range(6):
            group.start_soon(ask)
    assert texts == ["the same for all"] * 6


async def test_nobody_listening_says_so(llama: Start, connect: Connect) -> None:
    first, second = llama("x"), llama("x")
    for server in (first, second):
        server.process.kill()
        server.process.wait()
    async with connect(first, second, retries=0) as one:
        with pytest.raises(AllTargetsFailed) as caught:
            await one.chat("hi", model=["one/toy", "two/toy"])
    assert [type(error) for error in caught.value.exceptions] == [Unavailable, Unavailable]
    assert "listening" in str(caught.value)

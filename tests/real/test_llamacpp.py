"""llama.cpp's own server, with its own sampler, parser and stream, through `openai-compatible`, on both loops."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import anyio
import pytest
from pydantic import BaseModel

from pointsman import (
    AllTargetsFailed,
    AuthFailed,
    ContextOverflow,
    FirstTokenTimeout,
    HealthState,
    Message,
    ReasoningDelta,
    Retracted,
    Stalled,
    Started,
    StreamBroken,
    Text,
    TextDelta,
    Tool,
    ToolCallDelta,
    Unavailable,
)

if TYPE_CHECKING:
    from conftest import Connect, Start


CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Lisboa"}}\n</tool_call>'
WEATHER = Tool("weather", "Tells the weather.", {"type": "object", "properties": {"city": {"type": "string"}}})
# The model's tokens are up to four bytes and a space, so they end inside of most of these characters.
CUT_INSIDE = ["Olá, 世界 🎉!", "日本語のテキスト、中文，한국어", "👩‍👩‍👧‍👦🏳️‍🌈🇵🇹", "नमस्ते שלום مرحبا z̴̢a"]


class City(BaseModel):
    name: str
    people: int


# Whole answers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["hello there", "x", 'a {"b": [1, 2]}\n\nc', *CUT_INSIDE])
async def test_text_comes_through_to_the_byte(llama: Start, connect: Connect, text: str) -> None:
    async with connect(llama(text)) as one, one.stream("Say it.", model="one/toy") as reply:
        pieces = [event.text async for event in reply.events if isinstance(event, TextDelta)]
    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)
    assert reply.finish_reason == "stop"


async def test_counts_are_the_servers_own(llama: Start, connect: Connect) -> None:
    server = llama("one two three four five")
    async with connect(server) as one:
        reply = await one.chat("How many?", model="one/toy")
    assert reply.usage is not None
    assert not reply.usage.estimated
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == server.count("How many?")


@pytest.mark.parametrize("most", [1, 1500])
async def test_an_answer_of_any_length_arrives_whole(llama: Start, connect: Connect, most: int) -> None:
    async with connect(llama()) as one:
        reply = await one.chat("Go on.", model="one/toy", max_tokens=most, extra={"ignore_eos": True})
    assert reply.usage is not None
    assert reply.usage.output_tokens == most
    assert len(reply.text.split()) == most  # Each token of this model is a word.
    assert reply.finish_reason == "length"


async def test_nothing_is_lost_or_doubled_in_a_long_answer(llama: Start, connect: Connect, count: str) -> None:
    async with connect(llama(count)) as one:
        reply = await one.chat("Count.", model="one/toy")
    assert reply.text == count
    assert reply.finish_reason == "stop"


async def test_tool_calls_are_gathered_from_their_fragments(llama: Start, connect: Connect) -> None:
    async with connect(llama(CALL)) as one:
        reply = await one.chat("What is the weather in Lisbon?", model="one/toy", tools=[WEATHER])
    assert sum(isinstance(event, ToolCallDelta) for event in reply.events) > 1
    [call] = reply.tool_calls
    assert call.name == "weather"
    assert json.loads(call.arguments) == {"city": "Lisboa"}
    assert call.id
    assert reply.text.strip() == ""
    assert reply.finish_reason == "tool_calls"


async def test_tool_calls_beside_each_other_are_not_mixed_up(llama: Start, connect: Connect) -> None:
    async with connect(llama(f"{CALL}\n{CALL.replace('Lisboa', '東京 🎉')}")) as one:
        reply = await one.chat("What is the weather?", model="one/toy", tools=[WEATHER])
    first, second = reply.tool_calls
    assert [json.loads(call.arguments) for call in (first, second)] == [{"city": "Lisboa"}, {"city": "東京 🎉"}]
    assert first.id != second.id


async def test_what_a_tool_found_is_taken_back(llama: Start, connect: Connect) -> None:
    asked = Message("user", (Text("What is the weather in Lisbon?"),))
    async with connect(llama(CALL), llama("Sunny.")) as one:
        first = await one.chat([asked], model="one/toy", tools=[WEATHER])
        called = Message("assistant", tool_calls=first.tool_calls)
        found = Message("tool", (Text("sunny, 31 degrees"),), tool_call_id=first.tool_calls[0].id)
        second = await one.chat([asked, called, found], model="two/toy", tools=[WEATHER])
    assert second.text == "Sunny."
    assert first.usage is not None
    assert second.usage is not None
    assert second.usage.input_tokens > first.usage.input_tokens


async def test_a_tool_call_that_nobody_offered_is_text(llama: Start, connect: Connect) -> None:
    async with connect(llama(CALL)) as one:
        reply = await one.chat("What is the weather in Lisbon?", model="one/toy")
    assert (reply.text, reply.tool_calls, reply.finish_reason) == (CALL, (), "stop")


async def test_reasoning_is_told_apart_from_the_answer(llama: Start, connect: Connect) -> None:
    async with connect(llama("<think>\nlet me see\n</think>\n\nforty-two")) as one:
        reply = await one.chat("What is it?", model="one/toy")
    assert reply.reasoning.strip() == "let me see"
    assert reply.text.strip() == "forty-two"
    kinds = [type(event) for event in reply.events if isinstance(event, ReasoningDelta | TextDelta)]
    assert kinds == sorted(kinds, key=[ReasoningDelta, TextDelta].index)


async def test_a_schema_is_enforced_and_the_answer_parsed(llama: Start, connect: Connect) -> None:
    async with connect(llama('{"name": "Lisboa", "people": 545000}')) as one:
        reply = await one.chat("A city.", model="one/toy", response_schema=City)
    assert reply.parsed == City(name="Lisboa", people=545000)


@pytest.mark.parametrize("text", [None, "no JSON at all"])
async def test_a_schema_that_the_model_would_not_follow_is_enforced(
    llama: Start, connect: Connect, text: str | None
) -> None:
    schema = {
        "type": "object",
        "properties": {"yes": {"type": "boolean"}, "why": {"enum": ["sun", "rain"]}},
        "required": ["yes", "why"],
        "additionalProperties": False,
    }
    async with connect(llama(text)) as one:
        reply = await one.chat("A city.", model="one/toy", response_schema=schema, max_tokens=500, temperature=0)
    assert set(reply.parsed) == {"yes", "why"}
    assert isinstance(reply.parsed["yes"], bool)
    assert reply.parsed["why"] in ("sun", "rain")


async def test_more_calls_than_slots_all_get_their_answer(llama: Start, connect: Connect) -> None:
    texts: list[str] = []
    async with connect(llama("the same for all")) as one, anyio.create_task_group() as group:

        async def ask() -> None:
            texts.append((await one.chat("hi", model="one/toy")).text)

        for _ in range(8):
            group.start_soon(ask)
    assert texts == ["the same for all"] * 8


async def test_health_and_models_cost_nothing(llama: Start, connect: Connect) -> None:
    server = llama("x")
    async with connect(server) as one:
        hooks = await one.connect("one")
        assert (await hooks.health()).state is HealthState.UP
        assert [model.id for model in await hooks.models()] == ["toy"]
    assert not any("n_prompt_tokens" in slot for slot in server.get("/slots")), "a slot was used"


# Refusals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["sk-wrong-0123456789", None])
async def test_a_wrong_key_is_told_as_such(llama: Start, connect: Connect, key: str | None) -> None:
    async with connect(llama("x"), key=key) as one:
        with pytest.raises(AuthFailed) as caught:
            await one.chat("hi", model="one/toy")
        health = await (await one.connect("one")).health()
    assert caught.value.status == 401
    assert "sk-wrong" not in str(caught.value)
    assert health.state is HealthState.DOWN
    assert health.reason.startswith("key: ")


async def test_a_prompt_over_the_context_is_an_overflow(llama: Start, connect: Connect) -> None:
    async with connect(llama("x")) as one:
        with pytest.raises(ContextOverflow) as caught:
            await one.chat("alpha beta " * 4000, model="one/toy")
        assert caught.value.status == 400
        assert (await one.chat("alpha beta", model="one/toy")).text == "x"  # Nobody thinks the worse of the server.


# Broken in the middle -----------------------------------------------------------------------------------------------


async def test_a_server_killed_in_mid_stream_breaks_the_answer(llama: Start, connect: Connect, count: str) -> None:
    server, shown = llama(count, slow=True), ""
    async with connect(server) as one, one.stream("Count.", model="one/toy") as reply:
        with pytest.raises(StreamBroken) as caught:
            async for text in reply.text_stream:
                shown += text
                server.process.kill()
    assert count.startswith(shown)
    assert caught.value.partial == shown
    assert 0 < len(shown) < len(count)
    assert reply.finish_reason is None


async def test_a_collected_answer_that_breaks_is_not_passed_for_whole(
    llama: Start, connect: Connect, count: str
) -> None:
    """The only server is gone, so starting anew finds nobody; what had come is not success."""
    server = llama(count, slow=True)
    async with connect(server) as one, anyio.create_task_group() as group:

        async def kill_once_busy() -> None:
            await anyio.to_thread.run_sync(server.until_busy)
            server.process.kill()

        group.start_soon(kill_once_busy)
        with pytest.raises((StreamBroken, Unavailable)):
            await one.chat("Count.", model="one/toy")


async def test_a_killed_server_is_replaced_by_the_next(llama: Start, connect: Connect, count: str) -> None:
    first, second = llama(count, slow=True), llama("a whole answer")
    kinds = []
    async with (
        connect(first, second) as one,
        one.stream("Count.", model=["one/toy", "two/toy"], on_break="restart") as reply,
    ):
        async for event in reply.events:
            kinds.append(type(event))
            if isinstance(event, TextDelta):
                first.process.kill()
    assert kinds.count(Retracted) == 1
    assert kinds[kinds.index(Retracted) :].count(Started) == 1
    assert (reply.text, str(reply.target)) == ("a whole answer", "two/toy")
    assert [attempt.outcome for attempt in reply.attempts] == ["failed", "finished"]


async def test_a_server_that_is_gone_is_passed_over(llama: Start, connect: Connect) -> None:
    first, second = llama("x"), llama("still here")
    first.kill()
    async with connect(first, second) as one:
        reply = await one.chat("hi", model=["one/toy", "two/toy"])
    assert reply.text == "still here"
    assert [attempt.outcome for attempt in reply.attempts] == ["failed", "finished"]


async def test_a_server_that_stands_still_is_given_up(llama: Start, connect: Connect, count: str) -> None:
    server, shown = llama(count, slow=True), ""
    async with connect(server) as one, one.stream("Count.", model="one/toy", stall=1.0) as reply:
        with pytest.raises(Stalled) as caught:
            async for text in reply.text_stream:
                shown += text
                server.process.send_signal(signal.SIGSTOP)
    assert count.startswith(shown)
    assert caught.value.partial == shown
    assert 0 < len(shown) < len(count)
    server.process.send_signal(signal.SIGCONT)
    assert await anyio.to_thread.run_sync(server.left_off), "once awake, it went on for nobody"


async def test_a_server_that_stands_still_is_replaced_by_the_next(llama: Start, connect: Connect, count: str) -> None:
    first, second = llama(count, slow=True), llama("a whole answer")
    async with (
        connect(first, second) as one,
        one.stream("Count.", model=["one/toy", "two/toy"], on_break="restart", stall=2.0) as reply,
    ):
        async for event in reply.events:
            if isinstance(event, TextDelta):
                first.process.send_signal(signal.SIGSTOP)
    assert (reply.text, str(reply.target)) == ("a whole answer", "two/toy")


async def test_a_server_that_never_begins_is_replaced_by_the_next(llama: Start, connect: Connect) -> None:
    first, second = llama("x"), llama("a whole answer")
    first.process.send_signal(signal.SIGSTOP)
    async with connect(first, second, first_token=2.0) as one:
        reply = await one.chat("hi", model=["one/toy", "two/toy"])
    assert reply.text == "a whole answer"
    assert (reply.attempts[0].error or "").startswith(FirstTokenTimeout.__name__)


async def test_a_client_that_goes_away_frees_the_slot(llama: Start, connect: Connect, count: str) -> None:
    server = llama(count, slow=True)
    async with connect(server) as one:
        async with one.stream("Count.", model="one/toy") as reply:
            async for _ in reply.text_stream:
                break
        assert await anyio.to_thread.run_sync(server.left_off)


async def test_a_call_that_is_cancelled_frees_the_slot(llama: Start, connect: Connect, count: str) -> None:
    server = llama(count, slow=True)
    async with connect(server) as one:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: one.chat("Count.", model="one/toy"))
            await anyio.to_thread.run_sync(server.until_busy)
            group.cancel_scope.cancel()
        assert await anyio.to_thread.run_sync(server.left_off)


async def test_nobody_listening_says_so(llama: Start, connect: Connect) -> None:
    first, second = llama("x"), llama("x")
    first.kill()
    second.kill()
    async with connect(first, second, retries=0) as one:
        with pytest.raises(AllTargetsFailed) as caught:
            await one.chat("hi", model=["one/toy", "two/toy"])
    assert [type(error) for error in caught.value.exceptions] == [Unavailable, Unavailable]
    assert "listening" in str(caught.value)

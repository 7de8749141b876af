"""LiteLLM's proxy through `openai-compatible`, on both loops: it passes on, plays, refuses, and loses who is behind."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio
import pytest
from tests.proxy.conftest import COUNT, TEXT

from pointsman import (
    AsyncClient,
    AuthFailed,
    ContextOverflow,
    HealthState,
    ModelGone,
    RateLimited,
    Stalled,
    StreamBroken,
    TextDelta,
    Tool,
    Unavailable,
)

if TYPE_CHECKING:
    from tests.proxy.conftest import Proxy

Connect = Callable[..., AsyncClient]


# Whole answers ------------------------------------------------------------------------------------------------------


async def test_text_is_passed_on_whole(connect: Connect) -> None:
    async with connect() as one, one.stream("Say it.", model="proxy/toy") as reply:
        pieces = [event.text async for event in reply.events if isinstance(event, TextDelta)]
    assert "".join(pieces) == TEXT
    assert len(pieces) > 1
    assert reply.finish_reason == "stop"


async def test_counts_are_those_of_the_server_behind(connect: Connect, proxy: Proxy) -> None:
    async with connect() as one:
        usage = (await one.chat("How many?", model="proxy/toy")).usage
    assert usage is not None
    assert not usage.estimated
    assert (usage.input_tokens, usage.output_tokens) == proxy.behind["toy"].count("How many?")


async def test_what_the_proxy_plays_itself_is_whole_and_counted(connect: Connect) -> None:
    async with connect() as one:
        reply = await one.chat("hi", model="proxy/canned")
    assert (reply.text, reply.finish_reason) == ("one two three", "stop")
    assert reply.usage is not None
    assert reply.usage.output_tokens == 3


async def test_tool_calls_are_passed_on(connect: Connect) -> None:
    tool = Tool("weather", "Tells the weather.", {"type": "object", "properties": {"city": {"type": "string"}}})
    async with connect() as one:
        reply = await one.chat("What is the weather in Lisbon?", model="proxy/calls", tools=[tool])
    [call] = reply.tool_calls
    assert (call.name, json.loads(call.arguments)) == ("weather", {"city": "Lisboa"})
    assert reply.finish_reason == "tool_calls"


async def test_reasoning_is_told_apart_from_the_answer(connect: Connect) -> None:
    async with connect() as one:
        reply = await one.chat("What is it?", model="proxy/thinks")
    assert (reply.reasoning.strip(), reply.text.strip()) == ("let me see", "forty-two")


async def test_many_calls_at_once_are_not_mixed_up(connect: Connect) -> None:
    texts: dict[str, list[str]] = {"toy": [], "canned": []}
    async with connect() as one, anyio.create_task_group() as group:

        async def ask(model: str) -> None:
            texts[model].append((await one.chat("hi", model=f"proxy/{model}")).text)

        for model in ["toy", "canned"] * 4:
            group.start_soon(ask, model)
    assert texts == {"toy": [TEXT] * 4, "canned": ["one two three"] * 4}


async def test_health_and_models(connect: Connect, proxy: Proxy) -> None:
    async with connect() as one:
        hooks = await one.connect("proxy")
        assert (await hooks.health()).state is HealthState.UP
        assert {model.id for model in await hooks.models()} == {*proxy.behind, "canned", "limited", "down"}


# Refusals -----------------------------------------------------------------------------------------------------------


async def test_limit_is_a_limit(connect: Connect) -> None:
    async with connect(retries=0) as one:
        with pytest.raises(RateLimited) as caught:
            await one.chat("hi", model="proxy/limited")
    assert caught.value.status == 429


async def test_server_that_the_proxy_cannot_reach_is_an_outage(connect: Connect) -> None:
    """With status 500, where a gateway should say 502."""
    async with connect(retries=0) as one:
        with pytest.raises(Unavailable) as caught:
            await one.chat("hi", model="proxy/down")
    assert (caught.value.status, caught.value.retryable) == (500, True)
    assert "Connection error" in str(caught.value)


@pytest.mark.parametrize("first", ["limited", "down"])
async def test_next_model_answers_in_their_place(connect: Connect, first: str) -> None:
    async with connect() as one:
        reply = await one.chat("hi", model=[f"proxy/{first}", "proxy/canned"])
    assert (reply.text, str(reply.target)) == ("one two three", "proxy/canned")
    assert reply.attempts[0].outcome == "failed"


async def test_prompt_over_the_context_is_an_overflow(connect: Connect) -> None:
    async with connect() as one:
        with pytest.raises(ContextOverflow):
            await one.chat("alpha beta " * 4000, model="proxy/toy")


async def test_wrong_key_is_told_as_such_and_not_repeated(connect: Connect) -> None:
    """Without a database, the proxy says 400 of it."""
    async with connect(key="sk-wrong-0123456789") as one:
        with pytest.raises(AuthFailed, match="No connected db") as caught:
            await one.chat("hi", model="proxy/toy")
    assert caught.value.status == 400
    assert "sk-wrong" not in str(caught.value)


async def test_unknown_model_is_named_and_passed_over(connect: Connect) -> None:
    async with connect() as one:
        with pytest.raises(ModelGone, match="Invalid model name passed in model=nope") as caught:
            await one.chat("hi", model="proxy/nope")
        reply = await one.chat("hi", model=["proxy/nope", "proxy/canned"])
    assert caught.value.status == 400
    assert reply.text == "one two three"


# Broken in the middle -----------------------------------------------------------------------------------------------


async def test_server_killed_behind_the_proxy_breaks_the_answer(
    connect: Connect, proxy: Proxy, anyio_backend_name: str
) -> None:
    name, shown = f"killed-{anyio_backend_name}", ""
    async with connect() as one:
        async with one.stream("Count.", model=f"proxy/{name}") as reply:
            with pytest.raises(StreamBroken) as caught:
                async for text in reply.text_stream:
                    shown += text
                    proxy.behind[name].process.kill()
        assert caught.value.partial == shown
        assert COUNT.startswith(shown)
        assert 0 < len(shown) < len(COUNT)
        assert reply.finish_reason is None
        # The proxy itself goes on, and of the dead server it tells.
        with pytest.raises(Unavailable):
            await one.chat("Count.", model=f"proxy/{name}")
        assert (await one.chat("hi", model="proxy/toy")).text == TEXT


async def test_server_stopped_behind_the_proxy_is_given_up(
    connect: Connect, proxy: Proxy, anyio_backend_name: str
) -> None:
    name, shown = f"stopped-{anyio_backend_name}", ""
    async with (
        connect() as one,
        one.stream("Count.", model=[f"proxy/{name}", "proxy/toy"], stall=2.0, on_break="restart") as reply,
    ):
        async for event in reply.events:
            if isinstance(event, TextDelta) and not shown:
                shown = event.text
                proxy.behind[name].process.send_signal(signal.SIGSTOP)
    assert COUNT.startswith(shown)
    assert (reply.text, str(reply.target)) == (TEXT, "proxy/toy")
    assert (reply.attempts[0].error or "").startswith(Stalled.__name__)


async def test_client_that_goes_away_frees_the_slot_behind_the_proxy(
    connect: Connect, proxy: Proxy, anyio_backend_name: str
) -> None:
    name = f"left-{anyio_backend_name}"
    async with connect() as one:
        async with one.stream("Count.", model=f"proxy/{name}") as reply:
            async for _ in reply.text_stream:
                break
        assert await anyio.to_thread.run_sync(proxy.behind[name].left_off)

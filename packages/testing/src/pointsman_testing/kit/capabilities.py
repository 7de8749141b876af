"""What a target claims to be able to do, it can; what it does not claim is refused before anybody is asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pointsman import (
    CAPABILITIES,
    ChatRequest,
    Image,
    InvalidRequest,
    NoCandidates,
    Tool,
    ToolCall,
    assistant,
    tool_result,
    user,
)

from ..lab import Answer
from ..lab.requests import texts_in
from .base import ProviderSetting
from .proves import proves, refuses
from .speech import expect
from .stage import Stage
from .wire import plays

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""A PNG of one pixel, in base64."""
PICTURE = user("What is this?", Image(f"data:image/png;base64,{PIXEL}"))
SCHEMA = {"title": "city_9c", "type": "object", "properties": {"name_9c": {"type": "string"}}, "required": ["name_9c"]}
WEATHER = Tool(
    "look_up_weather",
    "Tells the weather of 7d places.",
    {"type": "object", "properties": {"city_9c": {"type": "string"}}, "required": ["city_9c"]},
)
CALLS = (
    ToolCall("call_1a", "look_up_weather", '{"city_9c": "Zürich", "days": [1, 2]}'),
    ToolCall("call_2b", "look_up_weather", '{"city_9c": "Bern"}'),
)
IMPLIED = {
    "tools": ChatRequest(messages=(user("Hi"),), tools=(WEATHER,)),
    "schema": ChatRequest(messages=(user("Hi"),), response_schema=SCHEMA),
    "vision": ChatRequest(messages=(PICTURE,)),
}
"""Requests that need a capability without naming it."""


class CapabilityCases(ProviderSetting):
    """`ProviderSpec.capabilities`, or what its families and models say more exactly."""

    @refuses(*CAPABILITIES)
    async def test_unclaimed_capabilities_are_refused(self, stage: Stage) -> None:
        claimed = claims(stage)
        for name in sorted({*CAPABILITIES} - claimed):
            prompts: list[ChatRequest] = [ChatRequest(messages=(user("Hi"),), require=frozenset({name}))]
            prompts += [IMPLIED[name]] if name in IMPLIED else []
            for prompt in prompts:
                error = await stage.meets(prompt)
                expect(
                    isinstance(error, NoCandidates | InvalidRequest) and name in str(error) and not stage.chats,
                    f"{stage.target} does not claim {name}, was asked for it, and there was {error!r} after "
                    f"{len(stage.chats)} requests: it has to be refused by name, before anybody is asked",
                )

    @proves("tools")
    async def test_tools_are_sent(self, stage: Stage) -> None:
        claiming(stage, "tools")
        await stage.chat(tools=[WEATHER])
        body = json.dumps(stage.chats[0].json)
        missing = [word for word in (WEATHER.name, WEATHER.description, "city_9c") if word not in body]
        expect(not missing, f"{missing} of a tool's definition is not in the request: send request.tools")

    @proves("tools")
    @pytest.mark.parametrize("size", [1, 4096])
    async def test_tool_calls_arrive(self, stage: Stage, size: int) -> None:
        claiming(stage, "tools")
        answer = Answer("Let me see.", tool_calls=CALLS)
        stage.script(answer.drip(size))
        reply = await stage.chat(tools=[WEATHER])
        if not plays(self.dialect, answer, stage.chats[0], WEATHER.name):
            pytest.skip("its dialect calls no tools: let events() tell answer.tool_calls")
        got = [(call.name, _parsed(call.arguments)) for call in reply.tool_calls]
        expect(
            got == [(call.name, _parsed(call.arguments)) for call in CALLS],
            f"two calls of tools were made, and {got} arrived: yield ToolCallDelta with the index of its call, and "
            "each fragment of its arguments once",
        )
        ids = [call.id for call in reply.tool_calls]
        if plays(self.dialect, answer, stage.chats[0], *(call.id for call in CALLS)):
            expect(ids == [call.id for call in CALLS], f"calls of tools arrived with the ids {ids}, not the vendor's")
        expect(all(ids) and len({*ids}) == len(ids), f"the ids of two calls are {ids}: they must differ")
        expect(reply.text == answer.text, f"beside calls of tools, {answer.text!r} arrived as {reply.text!r}")
        expect(
            reply.finish_reason == "tool_calls",
            f"an answer that calls tools is Finished with {reply.finish_reason!r}: say tool_calls",
        )

    @proves("tools")
    async def test_tool_results_go_back(self, stage: Stage) -> None:
        claiming(stage, "tools")
        call = CALLS[1]
        history = [user("Weather?"), assistant("", tool_calls=[call]), tool_result(call.id, "21 degrees 4d")]
        await stage.chat(history, tools=[WEATHER])
        body = json.dumps(stage.chats[0].json)
        expect("Bern" in body, "an earlier call of a tool is not in the request: send message.tool_calls")
        expect(
            sum("21 degrees 4d" in text for text in texts_in(stage.chats[0].json)) == 1,
            "a tool's result is not in the request, or more than once: send messages of the role tool",
        )
        expect(
            body.count(call.id) == 2 or body.count(call.name) >= 3,
            "nothing in the request says which call a tool's result answers: send message.tool_call_id with both",
        )

    @proves("schema")
    async def test_schema_is_sent_and_read(self, stage: Stage) -> None:
        claiming(stage, "schema")
        stage.script(Answer('{"name_9c": "Bern"}'))
        reply = await stage.chat(response_schema=SCHEMA)
        expect(
            "name_9c" in json.dumps(stage.chats[0].json),
            "the response schema is not in the request: send request.response_schema",
        )
        expect(reply.parsed == {"name_9c": "Bern"}, f"the answer to a schema arrived as {reply.text!r}")

    @proves("vision")
    async def test_picture_is_sent(self, stage: Stage) -> None:
        claiming(stage, "vision")
        await stage.chat([PICTURE])
        sent = list(texts_in(stage.chats[0].json))
        expect(any(PIXEL in text for text in sent), "the picture's bytes are not in the request: send message.images")
        expect(any("What is this?" in text for text in sent), "the text beside a picture is not in the request")

    @proves("reasoning")
    async def test_reasoning_is_apart_from_text(self, stage: Stage) -> None:
        claiming(stage, "reasoning")
        answer = Answer("The answer is 42.", reasoning="Six times nine? No, seven. ")
        stage.script(answer.drip(5))
        reply = await stage.chat()
        if not plays(self.dialect, answer, stage.chats[0], "nine"):
            pytest.skip("its dialect shows no reasoning: let events() tell answer.reasoning")
        expect(
            (reply.reasoning.strip(), reply.text) == (answer.reasoning.strip(), answer.text),
            f"the model thought {answer.reasoning!r} and said {answer.text!r}; {reply.reasoning!r} and {reply.text!r} "
            "arrived: yield ReasoningDelta for what is thought, and TextDelta for what is said",
        )

    @proves("embeddings")
    async def test_texts_are_embedded_in_order(self, stage: Stage) -> None:
        claiming(stage, "embeddings")
        words = ["one", "two words", "and three words"]
        async with stage.client() as client:
            hooks = await client.connect(stage.spec.name)
            expect(hooks.embed, "it claims embeddings, and has no hook pointsman_embed")
            there = (await client.embed(words, model=stage.target)).vectors
            back = (await client.embed(words[::-1], model=stage.target)).vectors
        expect(
            len(there) == len(words) and all(there),
            f"{len(words)} texts were embedded, and there are {len(there)} vectors: one for each, none empty",
        )
        expect(there == back[::-1], "the same texts in another order have other vectors: keep the order of the texts")
        expect(len({*there}) == len(words), "different texts have the same vector: each text has its own")

    @proves("prefill")
    async def test_beginning_is_gone_on_with(self, stage: Stage) -> None:
        claiming(stage, "prefill")
        stage.script(Answer(" three"))
        reply = await stage.chat([user("Count."), assistant("one-1a, two,")])
        sent = [text for text in texts_in(stage.chats[0].json) if "one-1a" in text or "Count." in text]
        expect(
            sent and sent[-1].endswith("one-1a, two,"),
            "it claims prefill, and a last message of the assistant is not sent as the last, unchanged",
        )
        expect(reply.text == " three", f"the model goes on with ' three', and {reply.text!r} arrived")

    @proves("agentic")
    async def test_agents_are_not_asked_twice(self, stage: Stage) -> None:
        claiming(stage, "agentic")
        expect(
            not stage.spec.family(stage.target.model).idempotent,
            "it claims to be agentic, and idempotent too: what acts may not be asked twice, so say idempotent=False",
        )


def claims(stage: Stage) -> frozenset[str]:
    """What the target claims: its model's word, else its family's, and the configuration's besides."""
    return stage.roster().capabilities(stage.target)


def claiming(stage: Stage, name: str) -> None:
    """Skip a proof of what is not claimed: that it is refused is a test of its own."""
    if name not in claims(stage):
        pytest.skip(f"{stage.target} does not claim {name}")


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text

"""What is asked reaches the provider, and what it answers the caller, as they are and as they come."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import anyio
import pytest

from pointsman import (
    ChatRequest,
    Exact,
    Finished,
    Image,
    Message,
    ReasoningDelta,
    ServerTimings,
    StreamEvent,
    TextDelta,
    Tool,
    ToolCall,
    ToolCallDelta,
    Usage,
    assistant,
    system,
    tool_result,
    user,
)

from ...scripted import Accepted, Hang
from ..speech import expect
from .setting import PATIENCE, WrapperSetting, differing

USAGE = Usage(input_tokens=9, cached_input_tokens=4, output_tokens=5, reasoning_tokens=2)
STOP = Finished("stop", USAGE)
ANSWERS: Mapping[str, list[StreamEvent]] = {
    "text": [TextDelta("Somebody who "), TextDelta(""), TextDelta("sets points.\n\n"), STOP],
    "emoji": [TextDelta("👩‍🚀 世界 \u2028"), STOP],
    "reasoning": [ReasoningDelta("Points "), ReasoningDelta("are switches."), TextDelta("A person."), STOP],
    "tool-calls": [
        ToolCallDelta(0, "call-1", "look_up", '{"word": '),
        ToolCallDelta(1, "call-2", "look_up", "{}"),
        ToolCallDelta(0, arguments='"points"}'),
        Finished("tool_calls", USAGE),
    ],
    "nothing": [Finished("stop")],
    "too-long": [TextDelta("Some"), Finished("length", USAGE)],
    "filtered": [TextDelta("Some"), Finished("content_filter")],
    "all-that-is-known": [TextDelta("A"), Finished("stop", USAGE, Exact("0.1"), ServerTimings(load=1.0), "vendor/n")],
}
FIELDS: Mapping[str, Mapping[str, Any]] = {
    "length": {"max_tokens": 7},
    "temperature": {"temperature": 0.5},
    "top-p": {"top_p": 0.9},
    "stop": {"stop": ("END",)},
    "seed": {"seed": 3},
    "reasoning-effort": {"reasoning_effort": "high"},
    "tools": {"tools": (Tool("look_up", "Finds a word."),)},
    "tool-choice": {"tool_choice": "none"},
    "schema": {"response_schema": {"type": "object"}},
    "extra": {"extra": {"logit_bias": {"50256": -100}}},
    "wishes": {"priority": "cost", "task": "code", "require": frozenset({"tools"}), "deadline": 9.0},
    "tags": {"tags": {"thread": "1"}},
}
TALKS: Mapping[str, tuple[Message, ...]] = {
    "instruction": (system("Be brief."), user("Go on.")),
    "images": (user("What is this?", Image("data:image/png;base64,AA=="), "And this?", Image("https://p.example/1")),),
    "tool-results": (
        user("Look it up."),
        assistant("", tool_calls=[ToolCall("1", "look_up", '{"word": "points"}')]),
        tool_result("1", "switches"),
    ),
}


class PassingCases(WrapperSetting):
    """Whole, unchanged but on purpose, at once, and each call for itself."""

    @pytest.mark.parametrize("answer", ANSWERS)
    async def test_an_answer_passes_whole(self, plugin: object, answer: str) -> None:
        given = ANSWERS[answer]
        async with self.around(plugin, given) as wrapped:
            got = await wrapped.read(self.ask())
        expect(
            got == list(self.alters(given)),
            f"the provider yielded {given}, and the caller got {got}: pass on every event as it is, also those that "
            "the wrapper does not know; if changing answers is its purpose, say how in the method `alters`",
        )

    @pytest.mark.parametrize("fields", FIELDS)
    async def test_a_request_passes_whole(self, plugin: object, fields: str) -> None:
        await self._passes(plugin, self.ask(**FIELDS[fields]))

    @pytest.mark.parametrize("talk", TALKS)
    async def test_a_conversation_passes_whole(self, plugin: object, talk: str) -> None:
        await self._passes(plugin, ChatRequest(messages=(*TALKS[talk], *self.ask().messages), model="m"))

    async def _passes(self, plugin: object, request: ChatRequest) -> None:
        wanted = self.changes(request)
        async with self.around(plugin) as wrapped:
            await wrapped.read(request)
        expect(wrapped.provider.requests, "the provider was not asked, though nobody asked this before")
        [got] = wrapped.provider.requests
        expect(
            got == wanted,
            f"the provider was asked otherwise in {differing(got, wanted)}: make a changed request with "
            "dataclasses.replace(request, ...), which keeps all other fields; if that is the wrapper's purpose, say "
            "how in the method `changes`",
        )

    async def test_the_callers_request_is_left_alone(self, plugin: object) -> None:
        request = self.ask(tags={"thread": "1"}, extra={"user": {"name": "Ada"}}, response_schema={"type": "object"})
        before = copy.deepcopy(request)
        async with self.around(plugin) as wrapped:
            await wrapped.read(request)
        expect(
            request == before,
            f"the caller's own request has another {differing(request, before)} afterwards: change a copy",
        )

    async def test_events_pass_as_they_come(self, plugin: object) -> None:
        async with self.around(plugin, ["Hello", Hang()]) as wrapped:
            _, got = await wrapped.read_until_stuck(self.ask())
        expect(
            got == list(self.alters([TextDelta("Hello")])),
            f"the provider had said 'Hello' and thought on, and the caller had {got}: do not collect an answer before "
            "passing it on, or nobody sees a stream",
        )

    async def test_acceptance_passes_before_the_first_event(self, plugin: object) -> None:
        async with self.around(plugin, [Accepted(), Hang()]) as wrapped:
            entered, _ = await wrapped.read_until_stuck(self.ask())
        expect(
            entered,
            "the provider had accepted, and entering did not end: yield the events without waiting for the first one",
        )

    async def test_calls_do_not_mix(self, plugin: object) -> None:
        def echo(request: ChatRequest) -> list[StreamEvent]:
            return [*(TextDelta(f"{request.messages[-1].text[-9:]} {n};") for n in range(3)), Finished("stop")]

        one, other = self.ask("the first"), self.ask("the second")
        async with self.around(plugin, echo, echo) as wrapped, wrapped.hooks.stream(one) as a:
            async with wrapped.hooks.stream(other) as b:
                got: tuple[list[StreamEvent], list[StreamEvent]] = ([], [])
                with anyio.fail_after(PATIENCE):
                    for _ in range(4):
                        got[0].append(await anext(a))
                        got[1].append(await anext(b))
        wanted = tuple(list(self.alters(echo(self.changes(request)))) for request in (one, other))
        expect(
            got == wanted,
            f"two calls at once got {got[0]} and {got[1]}: keep what belongs to a call in variables of that call, not "
            "of the module or the connection",
        )

    @pytest.mark.parametrize("other", ["model", "instruction", "image", "history", *FIELDS])
    async def test_another_question_gets_its_own_answer(self, plugin: object, other: str) -> None:
        """A cache that looks at the last message alone answers one question with the answer to another."""
        first = self.ask()
        if other == "model":
            second = replace(first, model="n")
        elif other in FIELDS:
            second = replace(first, **FIELDS[other])
        else:
            more = {"instruction": TALKS["instruction"][:1], "image": TALKS["images"], "history": TALKS["tool-results"]}
            second = replace(first, messages=(*more[other], *first.messages))
        async with self.around(plugin, [TextDelta("one"), STOP], [TextDelta("two"), STOP]) as wrapped:
            await wrapped.read(first)
            got = await wrapped.read(second)
        if other in ("wishes", "tags") and len(wrapped.provider.calls) == 1:
            return  # How a request finds its way does not change what a model says.
        expect(
            got == list(self.alters([TextDelta("two"), STOP])),
            f"after a question, the same one with another {other} got {got}: tell requests apart by all that reaches "
            "the provider",
        )

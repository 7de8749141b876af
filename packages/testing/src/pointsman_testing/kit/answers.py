"""An answer arrives as the vendor gave it."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from typing import Any

import anyio
import pytest

from pointsman import (
    AsyncClient,
    ChatRequest,
    Finished,
    FirstTokenTimeout,
    PointsmanError,
    ReasoningDelta,
    StreamEvent,
    Terminal,
    TextDelta,
    ToolCallDelta,
    user,
)

from ..lab import Answer, RecordedRequest, body_bytes
from .base import ProviderSetting
from .speech import expect
from .stage import PATIENCE, Stage
from .wire import plays

TEXT = 'Grüße, 世界! 👩‍🚀 said\n\nhello.\tTwo  spaces, a \\ and a " too.\u2028\x85Last. '
LONG = " ".join(f"word-{number}" for number in range(3_000))
WORDS = " ".join(["again"] * 64)
END = 10**9
"""A place in a body that is as far on as there is one."""

MANNERS: dict[str, dict[str, Any]] = {
    "comments first": {"keep_alives": 3},
    "CRLF": {"newline": "\r\n"},
    "several tokens an event": {"tokens_per_chunk": 5},
    "no event with the role alone": {"role_first": False},
    "usage beside the finish reason": {"usage": "finish"},
    "usage in every event": {"usage": "every"},
    "usage in an event of its own": {"usage": "own"},
}
"""How else a vendor may stream the same answer."""


class AnswerCases(ProviderSetting):
    """What a model says is what the caller reads, in whatever pieces it comes."""

    @pytest.mark.parametrize("size", [1, 3, 4096])
    async def test_text_arrives_whole(self, stage: Stage, size: int) -> None:
        stage.script(Answer(TEXT).drip(size))
        reply = await stage.chat()
        expect(
            reply.text == TEXT,
            f"{TEXT!r} was sent in pieces of {size} bytes, and {reply.text!r} arrived: decode bytes with an "
            "incremental decoder, and cut events at their line ends only, not where a chunk happens to end",
        )

    @pytest.mark.parametrize("manner", MANNERS)
    async def test_manner_of_streaming_does_not_matter(self, stage: Stage, manner: str) -> None:
        plain = Answer("One two three four five six.", usage="none")
        answer = replace(plain, **MANNERS[manner])
        stage.script(answer)
        reply = await stage.chat()
        request = stage.chats[0].json
        if body_bytes(answer, request, dialect=self.dialect) == body_bytes(plain, request, dialect=self.dialect):
            pytest.skip(f"its dialect knows only one manner: {manner} is not played")
        expect(
            reply.text == answer.text and reply.finish_reason == "stop",
            f"streamed with {manner}, {answer.text!r} arrives as {reply.text!r}, finish reason "
            f"{reply.finish_reason!r}: skip what says nothing, and read all that an event says",
        )

    async def test_events_end_with_one_finished(self, stage: Stage) -> None:
        stage.script(Answer(TEXT, reasoning="Hm."))
        events = await heard(stage)
        strange = [one for one in events if not isinstance(one, TextDelta | ReasoningDelta | ToolCallDelta | Finished)]
        expect(not strange, f"{strange!r}: a provider yields deltas and one Finished, the engine adds the rest")
        ends = [place for place, event in enumerate(events, 1) if isinstance(event, Finished)]
        expect(
            ends == [len(events)],
            f"of {len(events)} events, number {ends} are Finished: yield one, once, after all else",
        )
        empty = sum(isinstance(event, TextDelta | ReasoningDelta) and not event.text for event in events)
        expect(not empty, f"{empty} deltas say nothing: yield a delta only where there is text")

    @pytest.mark.parametrize("reason", ["stop", "length", "a-word-of-its-own"])
    async def test_finish_reason_is_the_vendors(self, stage: Stage, reason: str) -> None:
        answer = Answer("Some words.", finish=reason)
        stage.script(answer)
        reply = await stage.chat()
        request = stage.chats[0]
        other = replace(answer, finish="length" if reason == "stop" else "stop")
        told = body_bytes(answer, request.json, dialect=self.dialect)
        if told == body_bytes(other, request.json, dialect=self.dialect):
            pytest.skip("its dialect does not say why an answer ended")
        if reason not in ("stop", "length") and not plays(self.dialect, answer, request, reason):
            pytest.skip("its dialect has a fixed list of reasons")
        expect(
            reply.finish_reason == reason,
            f"the answer ended for {reason!r}, and {reply.finish_reason!r} is told: Finished.reason is stop, length, "
            "tool_calls or content_filter, whatever the vendor calls these, and else the vendor's own word",
        )

    async def test_empty_answer_is_an_answer(self, stage: Stage) -> None:
        stage.script(Answer(""))
        reply = await stage.chat()
        expect(reply.text == "", f"the model said nothing, and {reply.text!r} arrived")

    async def test_answer_streams(self, stage: Stage) -> None:
        """The vendor goes silent in the middle, for ever: what it said before has to be there."""
        stage.script(Answer(WORDS).stall(after=12))
        first = ""
        async with stage.client(first_token=5) as client, client.stream("Hi", model=stage.target) as reply:
            with suppress(FirstTokenTimeout):
                first = await anext(aiter(reply.text_stream))
        expect(
            WORDS.startswith(first) and first,
            "the vendor has sent words and holds the rest back, and the caller has none of them: yield each delta as "
            "its event arrives, and do not read the whole body first",
        )

    async def test_long_answer_arrives(self, stage: Stage) -> None:
        stage.script(Answer(LONG, tokens_per_chunk=5))
        reply = await stage.chat()
        expect(
            reply.text == LONG,
            f"of an answer of {len(LONG)} characters {len(reply.text)} arrived: nothing may be cut, dropped or doubled",
        )

    async def test_answers_at_once_do_not_mix(self, stage: Stage) -> None:
        """Each is held back in the midst of a word, while the others are."""
        names = ("alpha", "beta", "gamma")
        answers = {name: Answer(" ".join([name] * 40)) for name in names}

        def answer(request: RecordedRequest) -> Answer:
            name = next(name for name in names if name.encode() in request.body)
            body = body_bytes(answers[name], request.json, dialect=self.dialect)
            words = [found.start() + 2 for found in re.finditer(name.encode(), body)] or [len(body) // 2]
            held = answers[name]
            for at in words[10:40:10]:
                held = held.stall(at=at, seconds=0.2)
            return held

        stage.script(answer, answer, answer)
        came: dict[str, str] = {}
        async with stage.client() as client, anyio.create_task_group() as tasks:

            async def ask(name: str) -> None:
                try:
                    came[name] = (await client.chat(name, model=stage.target, on_break="raise")).text
                except PointsmanError as error:
                    came[name] = repr(error)

            for name in names:
                tasks.start_soon(ask, name)
        wrong = {name: came[name] for name in names if came[name] != answers[name].text}
        expect(
            not wrong,
            f"of three questions at once, some were not answered whole, with their own words ({wrong}): keep what "
            "belongs to an answer in the stream, not in the session",
        )

    async def test_answer_waits_for_no_other(self, stage: Stage) -> None:
        stage.script(Answer(WORDS).stall(after=4), Answer(WORDS))
        async with stage.client() as client, client.stream("Hi", model=stage.target) as reply:
            await anext(aiter(reply.text_stream))
            arrived = await _arrives(stage, client)
        expect(
            arrived,
            "while one answer was on its way, another did not arrive: one connection is for many questions at once, so "
            "hold no lock while an answer is read, and do not limit the connections of your HTTP client",
        )

    async def test_white_space_at_the_ends_arrives(self, stage: Stage) -> None:
        text = "\n\n  Two lines on, and indented. \n\n"
        stage.script(Answer(text))
        reply = await stage.chat()
        expect(
            reply.text == text,
            f"{text!r} was said, and {reply.text!r} arrived: white space is text, also where an answer begins or ends",
        )

    async def test_answer_is_over_with_its_proof(self, stage: Stage) -> None:
        """A body may be held open after it, for ever."""
        if stage.spec.family(stage.target.model).terminal is Terminal.BODY_LENGTH:
            pytest.skip("the proof of the end is that of the body")
        stage.script(Answer(WORDS).stall(at=END))
        async with stage.client() as client:
            over = await _arrives(stage, client)
        expect(
            over,
            "the vendor has sent its whole answer and holds the body open, and the caller waits: yield Finished as "
            "soon as the proof is there",
        )

    async def test_connection_is_used_again(self, stage: Stage) -> None:
        async with stage.client() as client:
            for _ in range(4):
                await client.chat("Hi", model=stage.target)
        ports = {request.client for request in stage.chats}
        expect(
            len(ports) < 4,
            "four questions, one after the other, took four connections: open the HTTP client in spec.open, and read "
            "a response on to the end of its body after Finished",
        )


async def heard(stage: Stage, request: ChatRequest | None = None) -> list[StreamEvent]:
    """The events of one answer as the provider itself yields them, without the engine."""
    request = request or ChatRequest(messages=(user("Hi"),))
    told: list[StreamEvent] = []
    async with stage.client() as client:
        hooks = await client.connect(stage.spec.name)
        with anyio.move_on_after(PATIENCE) as scope:
            async with hooks.stream(request.for_model(stage.target.model)) as events:
                async for event in events:
                    told += [event]
    expect(
        not scope.cancelled_caught,
        f"{len(told)} events came, the last of them {told[-1:]}, and the stream does not end: return after Finished",
    )
    return told


async def _arrives(stage: Stage, client: AsyncClient) -> bool:
    """Whether an answer of `WORDS` is over within seconds that are more than enough."""
    with anyio.move_on_after(5):
        return (await client.chat("Hi", model=stage.target)).text == WORDS
    return False

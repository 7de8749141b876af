"""What is asked arrives at the vendor: all of it, once, and nothing else."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from pointsman import ChatRequest, InvalidRequest, PointsmanError, assistant, system, user

from ..lab.requests import texts_in
from .base import ProviderSetting
from .speech import expect
from .stage import Stage
from .wire import differing, leaves, shown

PROMPT = 'Grüße, 世界! 👩‍🚀 "quoted", \\ and\n\ttabs'

OPTIONS: dict[str, tuple[Any, Any]] = {
    "max_tokens": (77, 78),
    "temperature": (0.125, 0.375),
    "top_p": (0.625, 0.875),
    "stop": (("END-7f",), ("END-8a",)),
    "seed": (1_234_567, 7_654_321),
    "reasoning_effort": ("low", "high"),
    "extra": ({"kit_field": "one"}, {"kit_field": "other"}),
}
"""What a request may say besides its messages, with two values for each."""


class AskingCases(ProviderSetting):
    """A request says what the caller said."""

    always_sent: ClassVar[frozenset[str]] = frozenset()
    """Options that the vendor demands, so that they are sent also where nobody gives them: ``max_tokens`` of some."""
    left_out: ClassVar[frozenset[str]] = frozenset()
    """Options that the vendor has no word for, and that the provider's documentation says it leaves out. All others are
    sent, or refused with `InvalidRequest`."""

    async def test_one_question_is_asked_once(self, stage: Stage) -> None:
        await stage.chat()
        expect(
            len(stage.chats) == 1,
            f"one call made {len(stage.chats)} requests: who asks again, or somebody else, is the engine's to decide",
        )

    async def test_prompt_arrives_whole(self, stage: Stage) -> None:
        await stage.chat(PROMPT)
        sent = list(texts_in(stage.chats[0].json))
        expect(
            any(PROMPT in text for text in sent),
            f"{PROMPT!r} was asked, and is nowhere in what was sent ({sent!r}): send each message's text as it is, in "
            "UTF-8, and let a JSON library do the escaping",
        )

    async def test_conversation_arrives_in_order(self, stage: Stage) -> None:
        turns = ("first-1a", "second-2b", "third-3c")
        first, second, third = turns
        await stage.chat([system("rules-0z"), user(first), assistant(second), user(third)])
        sent = "\n".join(texts_in(stage.chats[0].json))
        counts = {text: sent.count(text) for text in ("rules-0z", *turns)}
        wrong = {text: count for text, count in counts.items() if count != 1}
        expect(
            not wrong,
            f"of a conversation with a system message and three turns, some are not sent once each ({wrong}): send all "
            "of request.messages, not the last one alone",
        )
        places = [sent.index(text) for text in turns]
        expect(places == sorted(places), f"the turns of a conversation are sent in another order than said: {sent!r}")

    @pytest.mark.parametrize("role", ["assistant", "system"])
    async def test_who_said_it_arrives(self, stage: Stage, role: str) -> None:
        said = {"assistant": assistant, "system": system}[role]("words-1a")
        around = (user("before-0z"), said, user("after-2b")) if role == "assistant" else (said, user("after-2b"))
        as_user = tuple(user(message.text) for message in around)
        await stage.chat(around)
        await stage.chat(as_user)
        one, other = (request.json for request in stage.chats)
        expect(
            one != other,
            f"a message of the {role} is sent as if the user had said it: message.role must show in the request",
        )

    async def test_model_and_system_are_told_apart(self, stage: Stage) -> None:
        for said in (assistant("words-1a"), system("words-1a")):
            with suppress(InvalidRequest):  # Not every vendor takes a system message there.
                await stage.chat([user("before-0z"), said, user("after-2b")])
        bodies = [request.json for request in stage.chats]
        expect(
            len(bodies) < 2 or bodies[0] != bodies[1],
            "a message of the system is sent as if the assistant had said it: a model obeys the one, and only goes on "
            "from the other",
        )

    async def test_each_part_of_a_message_arrives(self, stage: Stage) -> None:
        await stage.chat([user("first-1a", "second-2b")])
        sent = "\n".join(texts_in(stage.chats[0].json))
        expect(
            "first-1a" in sent and "second-2b" in sent,
            f"of a message of two texts, {sent!r} was sent: message.text is all of them, joined",
        )

    async def test_address_may_end_with_a_slash(self, stage: Stage) -> None:
        if "base_url" not in stage.config:
            pytest.skip("config() sets no base_url")
        slashed = replace(stage, config={**stage.config, "base_url": f"{stage.config['base_url']}/"})
        try:
            reply = await slashed.chat()
        except PointsmanError as error:
            told = repr(error)
        else:
            told = "" if reply.text else "no text"
        expect(
            not told,
            f"its base_url ends with a slash, and a caller met {told}: people write it so; take it off, or let the "
            "HTTP library join the two",
        )

    @pytest.mark.parametrize("option", OPTIONS)
    async def test_option_is_sent_or_refused(self, stage: Stage, option: str) -> None:
        if option in self.left_out:
            pytest.skip(f"{self.provider} says that it leaves {option} out")
        one, other = OPTIONS[option]
        asked: tuple[dict[str, Any], ...] = ({}, {}, {option: one}, {option: other})
        async with stage.client() as client:
            for options in asked:
                request = ChatRequest(messages=(user("Hi"),), **options)
                try:
                    await client.chat(request, model=stage.target)
                except InvalidRequest:
                    expect(options, "the plainest of questions is refused with InvalidRequest")
                    return
        plain, again, first, second = (leaves(request.json) for request in stage.chats)
        moved = differing(first, second) - differing(plain, again)
        expect(
            moved,
            f"{option} was {one!r} and then {other!r}, and the same was sent both times: send it, or raise "
            "InvalidRequest, for a caller must not think that it holds",
        )
        invented = {shown(place): plain[place] for place in moved & plain.keys() if option not in self.always_sent}
        expect(
            not invented,
            f"{json.dumps(invented)} is sent though nobody gave {option}: leave out what is None, so that the vendor's "
            "own default holds",
        )

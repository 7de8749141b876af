"""What an agent is told: nothing of a conversation is lost in silence."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pointsman import ChatRequest, Image, InvalidRequest, Message, Scope, Target, assistant, system, tool_result, user
from pointsman_blaxel.agent_config import AgentConfig
from pointsman_blaxel.template import fill, transcript

TARGET = Target("blaxel", "agent:coder")


def told(template: Any, *messages: Message, **more: Any) -> Any:
    AgentConfig(input=template)
    return fill(template, ChatRequest(messages=messages, **more), TARGET)


def test_a_single_question_is_told_as_it_is() -> None:
    assert told({"inputs": "{prompt}"}, user("  What {system} is\n this? ")) == {
        "inputs": "  What {system} is\n this? "
    }


def test_a_conversation_is_told_as_a_transcript() -> None:
    talk = (system("Be brief."), user("Hi"), assistant("Hello."), user("Why?"))
    assert told("{prompt}", *talk) == "System: Be brief.\n\nUser: Hi\n\nAssistant: Hello.\n\nUser: Why?"
    assert told({"p": "{prompt}", "s": "{system}"}, *talk)["p"] == "User: Hi\n\nAssistant: Hello.\n\nUser: Why?"
    assert told({"p": "{prompt}", "s": "{system}"}, *talk[:2]) == {"p": "Hi", "s": "Be brief."}


def test_a_text_that_is_one_placeholder_becomes_its_value() -> None:
    request: Any = {"temperature": 0.5, "max_tokens": 7, "stop": ("x",)}
    template = {
        "m": "{messages}",
        "o": ["{temperature}", "{seed}", "at {max_tokens}"],
        "s": "{stop}",
        "n": 1,
        "k": None,
    }
    assert told(template, user("Hi"), **request) == {
        "m": [{"role": "user", "content": "Hi"}],
        "o": [0.5, None, "at 7"],
        "s": ["x"],
        "n": 1,
        "k": None,
    }


def test_what_has_no_value_is_left_out() -> None:
    template = {"p": "{prompt}", "thread": "{thread}", "s": "{system}", "t": "<{thread}>"}
    assert told(template, user("Hi")) == {"p": "Hi", "t": "<>"}
    assert told(template, user("Hi"), tags={"thread": "t-1"})["thread"] == "t-1"


def test_a_placeholder_may_be_a_text() -> None:
    assert told({"p": "{prompt} in {{prompt}}", "json": '{"a": {}}'}, user("Hi")) == {
        "p": "Hi in {prompt}",
        "json": '{"a": {}}',
    }


def test_extra_goes_beside_it() -> None:
    assert told({"inputs": "{prompt}"}, user("Hi"), extra={"depth": 2}) == {"inputs": "Hi", "depth": 2}
    with pytest.raises(InvalidRequest, match="extra"):
        told("{prompt}", user("Hi"), extra={"depth": 2})


@pytest.mark.parametrize(
    ("template", "messages", "more"),
    [
        ("{prompt}", (Message("user", (Image("data:image/png;base64,AA"),)),), {}),
        ("{prompt}", (user("Hi"), tool_result("1", "x")), {}),
        ("{prompt}", (user("Hi"),), {"response_schema": {}}),
        ("{prompt}", (user("Hi"),), {"stop": ("x",)}),
        ("{last}", (user("Hi"), assistant("Hello."), user("Why?")), {}),
        ("{last}", (system("Be brief."), user("Hi")), {}),
    ],
)
def test_what_cannot_be_said_is_refused_for_this_target_alone(template: Any, messages: Any, more: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        told(template, *messages, **more)
    assert caught.value.scope is Scope.TARGET
    assert caught.value.target == TARGET
    assert not caught.value.begun


def test_an_agent_that_remembers_is_told_the_last_message() -> None:
    talk = (user("Hi"), assistant("Hello."), user("Why?"))
    template = {"inputs": "{last}", "thread_id": "{thread}"}
    assert told(template, *talk, tags={"thread": "t"}) == {"inputs": "Why?", "thread_id": "t"}
    assert told(template, user("Hi")) == {"inputs": "Hi"}
    apart = {"inputs": "{last}", "system": "{system}"}
    assert told(apart, user("Hi"), system("Be brief.")) == {"inputs": "Hi", "system": "Be brief."}


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ({"inputs": "{promt}"}, "no {promt}"),
        ({"inputs": "hello"}, "nothing of the question"),
        ({"inputs": ["{system}"]}, "nothing of the question"),
        ({"inputs": "all: {messages}"}, "is a list"),
    ],
)
def test_a_template_that_cannot_be_filled_in_is_refused(template: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        AgentConfig(input=template)


SPEAKERS = st.sampled_from(["system", "user", "assistant"])


@given(st.lists(st.tuples(SPEAKERS, st.text(max_size=20)), min_size=1, max_size=5), st.booleans())
def test_every_word_of_every_message_is_told(talk: list[tuple[Any, str]], apart: bool) -> None:
    messages = tuple(Message(role, user(text).parts) for role, text in talk)
    template = {"prompt": "{prompt}", **({"system": "{system}"} if apart else {})}
    whole = fill(template, ChatRequest(messages=messages), TARGET)
    everything = f"{whole['prompt']}{whole.get('system', '')}"
    assert all(text in everything for _, text in talk)
    assert json.loads(json.dumps(whole)) == whole


@given(st.lists(st.text(alphabet="ab\n", max_size=6), min_size=2, max_size=4))
def test_a_transcript_names_each_speaker(texts: list[str]) -> None:
    assert transcript([user(text) for text in texts]) == "\n\n".join(f"User: {text}" for text in texts)

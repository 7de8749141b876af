"""What a caller hands in becomes a request, or is refused with a sentence that names the thing and the way out."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from pointsman import (
    ChatRequest,
    Image,
    InvalidRequest,
    Message,
    Text,
    Tool,
    ToolCall,
    assistant,
    system,
    tool_result,
    user,
)
from pointsman.asking import as_request, schema_reader


class City(BaseModel):
    name: str
    people: int


class Unspeakable(BaseModel, arbitrary_types_allowed=True):
    call: Callable[[], object]


LOOK = Tool("look")


def ask(prompt: Any = "hi", **options: Any) -> ChatRequest:
    return as_request(prompt, options)  # type: ignore[arg-type]


def test_a_text_is_a_question_of_the_user() -> None:
    assert ask("hi") == ChatRequest(messages=(user("hi"),))


@pytest.mark.parametrize("messages", [[system("be brief"), user("hi")], (user("hi"),), [user("see", Image("data:,"))]])
def test_messages_stay_as_they_are(messages: Any) -> None:
    assert ask(messages).messages == tuple(messages)


def test_messages_may_come_from_a_generator() -> None:
    assert ask(user(text) for text in "ab").messages == (user("a"), user("b"))
    with pytest.raises(InvalidRequest, match="message 2 is a dict"):
        ask(one for one in [user("a"), {"role": "user"}])


def test_every_option_reaches_the_request() -> None:
    request = ask(
        "hi",
        system="be brief",
        max_tokens=5,
        temperature=0,
        top_p=0.5,
        stop="END",
        seed=7,
        reasoning_effort="low",
        tools=[LOOK],
        tool_choice="look",
        response_schema=City,
        extra={"top_k": 5},
        priority="speed",
        task="chat",
        require="local",
        tags={"team": "a"},
        deadline=5,
        first_token=1,
        stall=2,
        on_break="restart",
        model="acme/a",
    )
    assert request == ChatRequest(
        messages=(system("be brief"), user("hi")),
        max_tokens=5,
        temperature=0,
        top_p=0.5,
        stop=("END",),
        seed=7,
        reasoning_effort="low",
        tools=(LOOK,),
        tool_choice="look",
        response_schema=City.model_json_schema(),
        extra={"top_k": 5},
        priority="speed",
        task="chat",
        require=frozenset({"local"}),
        tags={"team": "a"},
        deadline=5,
    )


OPTIONS = [
    "model", "system", "max_tokens", "temperature", "top_p", "stop", "seed", "reasoning_effort", "tools", "tool_choice",
    "response_schema", "extra", "priority", "task", "require", "tags", "deadline", "first_token", "stall", "min_speed",
    "max_wait", "on_break",
]  # fmt: skip


def test_none_is_the_same_as_left_out() -> None:
    assert ask("hi", **dict.fromkeys(OPTIONS)) == ask("hi")


def test_a_request_and_options_are_merged() -> None:
    request = ChatRequest(messages=(system("old"), user("hi")), temperature=0.5, max_tokens=9, tags={"team": "a"})
    merged = ask(request, system="new", temperature=1.5, stop=["a", "b"])
    assert merged.messages == (system("new"), system("old"), user("hi"))
    assert (merged.temperature, merged.max_tokens, merged.stop, merged.tags) == (1.5, 9, ("a", "b"), {"team": "a"})
    assert request.temperature == 0.5


@dataclass
class Secretive:
    def __repr__(self) -> str:
        return "my-private-text"


HUGE = 10**400

REFUSED: list[tuple[str, Any, dict[str, Any], str]] = [
    ("no prompt", None, {}, "a prompt is a text, a list of messages or a ChatRequest, not None"),
    ("bytes", b"hi", {}, "not a bytes"),
    ("a number", 5, {}, "not an int"),
    ("a mapping", {"role": "user", "content": "hi"}, {}, "not a dict"),
    ("one message alone", user("hi"), {}, "not a Message"),
    ("nothing", "", {}, "the prompt is empty"),
    ("white space", " \n\t", {}, "the prompt is empty"),
    ("no messages", [], {}, "the prompt is empty"),
    ("a message without text", [user("")], {}, "the prompt is empty"),
    ("an instruction to do nothing", "", {"system": "be brief"}, "the prompt is empty"),
    ("the vendors' dictionaries", [{"role": "user", "content": "hi"}], {}, "message 1 is a dict: make it with user()"),
    ("somebody's object", [user("hi"), Secretive()], {}, "message 2 is a Secretive"),
    ("a text among messages", [user("hi"), "there"], {}, "message 2 is a str"),
    ("a role that is none", [Message("robot", (Text("hi"),))], {}, "message 1 has the role 'robot'"),  # type: ignore[arg-type]
    ("a text for parts", [Message("user", "hi")], {}, "the parts of message 1 are a str"),  # type: ignore[arg-type]
    ("a number for a part", [user(5)], {}, "message 1 holds an int, which is no text and no Image"),  # type: ignore[arg-type]
    ("bytes in a part", [user(Text(b"hi"))], {}, "message 1 holds a Text"),  # type: ignore[arg-type]
    ("half of a surrogate pair", "caf\udce9", {}, "message 1 holds half of a surrogate pair"),
    ("a request that names a model", ChatRequest(messages=(user("hi"),), model="a/b"), {}, "name a target with model="),
    ("an unknown option", "hi", {"temprature": 1}, "a call has no option 'temprature'; did you mean 'temperature'?"),
    ("another spelling", "hi", {"max_output_tokens": 1}, "did you mean 'max_tokens'?"),
    ("a field that is no option", "hi", {"messages": ()}, "a call has no option 'messages'"),
    ("something else", "hi", {"zzz": 1}, "a call has no option 'zzz'"),
    ("system", "hi", {"system": user("x")}, "system is a text, not a Message"),
    ("max_tokens as a text", "hi", {"max_tokens": "5"}, "max_tokens is a whole number, not a str"),
    ("max_tokens as a switch", "hi", {"max_tokens": True}, "max_tokens is a whole number, not a bool"),
    ("max_tokens in halves", "hi", {"max_tokens": 1.5}, "max_tokens is a whole number, not a float"),
    ("no tokens", "hi", {"max_tokens": 0}, "max_tokens must be at least 1, not 0"),
    ("seed", "hi", {"seed": "x"}, "seed is a whole number, not a str"),
    ("temperature as a text", "hi", {"temperature": "hot"}, "temperature is a number, not a str"),
    ("a cold temperature", "hi", {"temperature": -1}, "temperature must be at least 0, not -1"),
    ("no temperature", "hi", {"temperature": math.nan}, "temperature must be at least 0, not nan"),
    ("temperature as a switch", "hi", {"temperature": True}, "temperature is a number, not a bool"),
    ("an endless number", "hi", {"temperature": HUGE}, "temperature is too large a number"),
    ("top_p", "hi", {"top_p": 2}, "top_p must be from 0 to 1, not 2"),
    ("stop", "hi", {"stop": 5}, "stop is a list, not an int"),
    ("stop with numbers", "hi", {"stop": ["a", 5]}, "stop is a text or a list of texts"),
    ("tools", "hi", {"tools": LOOK}, "tools is a list, not a Tool"),
    (
        "the vendors' tools",
        "hi",
        {"tools": [{"name": "look"}]},
        "tools are made by Tool(name, description, parameters)",
    ),
    ("a tool that is not there", "hi", {"tools": [LOOK], "tool_choice": "lok"}, "tool_choice is auto, none, required"),
    ("tool_choice", "hi", {"tool_choice": 5}, "tool_choice is a text, not an int"),
    ("extra", "hi", {"extra": [1]}, "extra is a mapping, not a list"),
    ("tags", "hi", {"tags": "a"}, "tags is a mapping, not a str"),
    ("a tag", "hi", {"tags": {"n": 5}}, "tags are texts, each under a name that is one: not an int under 'n'"),
    ("a tag's name", "hi", {"tags": {5: "n"}}, "tags are texts, each under a name that is one: not a str under 5"),
    ("require", "hi", {"require": 5}, "require is a list, not an int"),
    ("priority", "hi", {"priority": "fast"}, "priority is one of balanced, speed, quality, cost, not 'fast'"),
    ("task", "hi", {"task": 5}, "task is a text, not an int"),
    ("reasoning_effort", "hi", {"reasoning_effort": 5}, "reasoning_effort is a text, not an int"),
    ("on_break", "hi", {"on_break": "go on"}, "on_break is one of raise, restart, continue, not 'go on'"),
    ("an unhashable wish", "hi", {"priority": []}, "priority is one of"),
    *[
        (f"{name} of {value!r}"[:30], "hi", {name: value}, said)
        for name in ("deadline", "first_token", "stall")
        for value, said in [
            (0, f"{name} must be more than 0 seconds, not 0"),
            (-1.5, f"{name} must be more than 0 seconds, not -1.5"),
            (math.nan, f"{name} must be more than 0 seconds, not nan"),
            (True, f"{name} is a number, not a bool"),
            ("5", f"{name} is a number, not a str"),
            (HUGE, f"{name} is too large a number"),
        ]
    ],
    (
        "a schema as a text",
        "hi",
        {"response_schema": "{}"},
        "response_schema is a pydantic model class or a JSON Schema",
    ),
    ("a class without a schema", "hi", {"response_schema": int}, "not the class int"),
    ("an instance", "hi", {"response_schema": City(name="a", people=1)}, "not a City"),
    (
        "a model that JSON cannot say",
        "hi",
        {"response_schema": Unspeakable},
        "no JSON Schema can be made of Unspeakable",
    ),
    ("a schema that is no JSON", "hi", {"response_schema": {"type": object()}}, "response_schema is no JSON"),
]


@pytest.mark.parametrize(
    ("prompt", "options", "said"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_bad_input_is_refused_with_the_way_out(prompt: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRequest, match=re.escape(said)) as caught:
        ask(prompt, **options)
    assert "my-private-text" not in str(caught.value)


@pytest.mark.parametrize("seconds", [0.001, 1, 1e308, math.inf, Fraction(1, 3)])
def test_time_may_be_as_long_as_one_likes(seconds: Any) -> None:
    assert ask("hi", deadline=seconds, stall=seconds, first_token=seconds).deadline == seconds


@pytest.mark.parametrize(
    "messages",
    [
        [system("only an instruction")],
        [user(Image("data:,x"))],
        [user("hi"), assistant("", tool_calls=[ToolCall("1", "look", "{}")]), tool_result("1", "")],
        [user("\U0001f682 pöint")],
    ],
)
def test_unusual_conversations_are_conversations(messages: list[Message]) -> None:
    assert ask(messages).messages == tuple(messages)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.binary(max_size=4)
    | st.sampled_from([user("hi"), LOOK, City, Text, object(), HUGE]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=3,
)  # fmt: skip


@given(
    prompt=anything | st.just("hi"),
    options=st.dictionaries(st.sampled_from([*OPTIONS, "nonsense"]), anything, max_size=2),
)
def test_whatever_is_handed_in_is_a_request_or_refused(prompt: Any, options: dict[str, Any]) -> None:
    try:
        request = ask(prompt, **options)
    except InvalidRequest:
        return  # Any other exception would be a failure.
    assert all(isinstance(message, Message) for message in request.messages)
    assert hash(request.stop) == hash(tuple(request.stop))
    assert request.deadline is None or request.deadline > 0
    assert request.needs >= request.require


# What comes back ------------------------------------------------------------------------------------------------------


def test_answers_are_read_as_the_schema_says() -> None:
    assert schema_reader(City)('{"name": "Bern", "people": 5}') == City(name="Bern", people=5)
    assert schema_reader({"type": "object"})('{"name": "Bern"}') == {"name": "Bern"}


@pytest.mark.parametrize(("schema", "text"), [(City, '{"name": "Bern"}'), (City, "Bern"), ({}, "{"), (City, "")])
def test_an_answer_that_does_not_fit_is_said_to(schema: Any, text: str) -> None:
    with pytest.raises(InvalidRequest, match="the answer does not fit the response schema"):
        schema_reader(schema)(text)


def test_nothing_is_read_without_a_schema() -> None:
    with pytest.raises(InvalidRequest, match="no response_schema was asked for"):
        schema_reader(None)("{}")

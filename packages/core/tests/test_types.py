"""Values: what is asked, and who may answer it."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import (
    ChatRequest,
    Finished,
    Image,
    Message,
    Started,
    Target,
    Text,
    TextDelta,
    Tool,
    ToolCall,
    Usage,
    assistant,
    system,
    tool_result,
    user,
)

names = st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1)


@given(names, st.text(min_size=1))
def test_the_first_slash_divides_a_target(provider: str, model: str) -> None:
    target = Target.parse(f"{provider}/{model}")
    assert (target.provider, target.model) == (provider, model)
    assert Target.parse(str(target)) == target


@pytest.mark.parametrize("text", ["", "acme", "acme/", "/model", "/"])
def test_half_a_target_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="write provider/model"):
        Target.parse(text)


def test_what_the_content_implies_is_needed() -> None:
    plain = ChatRequest(messages=(user("hi"),))
    assert plain.needs == frozenset()
    assert dataclasses.replace(plain, tools=(Tool("look"),)).needs == {"tools"}
    assert dataclasses.replace(plain, response_schema={}).needs == {"schema"}
    seeing = ChatRequest(messages=(user("what is it?", Image("data:image/png;base64,AA==")),))
    assert seeing.needs == {"vision"}
    assert dataclasses.replace(seeing, require=frozenset({"local"})).needs == {"vision", "local"}


def test_messages_hold_what_was_said() -> None:
    seen = user("look: ", Image("https://acme.example/a.png"), "well?")
    assert seen.text == "look: well?"
    assert seen.images == (Image("https://acme.example/a.png"),)
    assert system("be brief") == Message("system", (Text("be brief"),))
    calling = assistant("", tool_calls=[ToolCall("1", "look", "{}")])
    assert (calling.parts, calling.tool_calls[0].name) == ((), "look")
    assert tool_result("1", "a cat").tool_call_id == "1"


def test_a_request_for_a_model_is_otherwise_the_same() -> None:
    request = ChatRequest(messages=(user("hi"),), temperature=0.5, tags={"team": "a"})
    assert request.for_model("acme-1") == dataclasses.replace(request, model="acme-1")
    assert request.model == ""


@pytest.mark.parametrize(
    "value",
    [
        Target("acme", "a/b"),
        ChatRequest(messages=(user("hi", Image("data:,x")),), tools=(Tool("look"),)),
        Started(Target("acme", "a"), 1),
        TextDelta("x"),
        Finished("stop", Usage(output_tokens=3)),
    ],
)
def test_values_cannot_be_changed_and_can_be_copied(value: object) -> None:
    assert pickle.loads(pickle.dumps(value)) == value
    assert copy.deepcopy(value) == value
    assert not hasattr(value, "__dict__")
    assert dataclasses.is_dataclass(value)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, dataclasses.fields(value)[0].name, None)

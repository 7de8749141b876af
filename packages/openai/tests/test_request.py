"""What is sent for a request."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import (
    ChatRequest,
    Image,
    InvalidRequest,
    Message,
    Scope,
    Text,
    Tool,
    ToolCall,
    assistant,
    system,
    tool_result,
    user,
)
from pointsman_openai import Quirks
from pointsman_openai.request import encode, request_body

PICTURE = Image("data:image/png;base64,AAAA")


def body(*messages: Message, quirks: Quirks | None = None, **fields: Any) -> dict[str, Any]:
    return request_body(ChatRequest(messages=messages, model="m", **fields), quirks or Quirks())


def test_a_plain_question() -> None:
    assert body(user("hi")) == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_everything() -> None:
    tool = Tool("f", "does it", {"type": "object", "properties": {"x": {"default": None}}})
    sent = body(
        system("be brief"),
        user("hi"),
        max_tokens=9,
        temperature=0.0,
        top_p=0.5,
        stop=("a", "b"),
        seed=0,
        reasoning_effort="low",
        tools=(tool, Tool("g")),
        tool_choice="f",
        response_schema={"title": "An answer!", "type": "object"},
        extra={"top_k": 3, "temperature": 1.0},
    )
    assert sent["messages"] == [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]
    assert (sent["max_tokens"], sent["top_p"], sent["stop"], sent["seed"]) == (9, 0.5, ["a", "b"], 0)
    assert sent["reasoning_effort"] == "low"
    assert sent["tools"] == [
        {"type": "function", "function": {"name": "f", "description": "does it", "parameters": tool.parameters}},
        {"type": "function", "function": {"name": "g", "parameters": {"type": "object", "properties": {}}}},
    ]
    assert sent["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    schema = {"name": "An_answer_", "schema": {"title": "An answer!", "type": "object"}}
    assert sent["response_format"] == {"type": "json_schema", "json_schema": schema}
    assert (sent["top_k"], sent["temperature"]) == (3, 1.0)


@pytest.mark.parametrize("choice", ["auto", "none", "required"])
def test_tool_choices(choice: str) -> None:
    assert body(user("hi"), tool_choice=choice)["tool_choice"] == choice


def test_a_conversation_with_tools() -> None:
    call = ToolCall("c1", "f", '{"x": 1}')
    sent = body(user("hi"), assistant("", tool_calls=[call]), tool_result("c1", "2"), assistant("two"))
    assert sent["messages"][1:] == [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}],
        },
        {"role": "tool", "content": "2", "tool_call_id": "c1"},
        {"role": "assistant", "content": "two"},
    ]


@given(st.lists(st.text()))
def test_text_is_one_plain_string(parts: list[str]) -> None:
    """Some servers take no list of parts."""
    assert body(user(*parts))["messages"][0]["content"] == "".join(parts)


def test_pictures_make_a_list_of_parts() -> None:
    assert body(user("look", PICTURE, "well?"))["messages"][0]["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": PICTURE.url}},
        {"type": "text", "text": "well?"},
    ]


def test_quirks() -> None:
    quirks = Quirks(max_tokens_field="max_completion_tokens", include_usage=False, strict_schema=True)
    sent = body(user("hi"), quirks=quirks, max_tokens=9, response_schema={"type": "object"})
    assert sent["max_completion_tokens"] == 9
    assert not {"max_tokens", "stream_options"} & set(sent)
    assert sent["response_format"]["json_schema"] == {"name": "answer", "schema": {"type": "object"}, "strict": True}


def test_a_vendor_may_spell_a_request_its_own_way() -> None:
    def adapt(sent: dict[str, Any]) -> dict[str, Any]:
        effort = sent.pop("reasoning_effort", None)
        return sent | ({"thinking": effort != "none"} if effort else {})

    quirks = Quirks(adapt=adapt)
    assert "thinking" not in body(user("hi"), quirks=quirks)
    assert body(user("hi"), quirks=quirks, reasoning_effort="none")["thinking"] is False
    # What somebody writes into `extra` is sent as it is.
    sent = body(user("hi"), quirks=quirks, reasoning_effort="low", extra={"thinking": "much", "reasoning_effort": "x"})
    assert (sent["thinking"], sent["reasoning_effort"]) == ("much", "x")


def test_options_of_a_stream_go_with_a_stream_only() -> None:
    assert "stream_options" not in body(user("hi"), extra={"stream": False})
    assert "stream_options" in body(user("hi"), extra={"stream": True})


def test_pictures_by_address_are_refused_where_they_cannot_be_taken() -> None:
    quirks = Quirks(inline_images_only=True)
    body(user("look", PICTURE), quirks=quirks)
    with pytest.raises(InvalidRequest, match="data: URLs") as caught:
        body(user("look", Image("https://acme.example/a.png")), quirks=quirks)
    assert caught.value.scope is Scope.TARGET  # Another vendor may take it.


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_what_is_encoded_is_what_was_meant(text: str) -> None:
    assert json.loads(encode(body(user(text))))["messages"][0]["content"] == text


def test_parts_keep_their_order() -> None:
    message = Message("user", (PICTURE, Text("a")))
    assert [part["type"] for part in body(message)["messages"][0]["content"]] == ["image_url", "text"]

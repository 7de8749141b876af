"""What is sent to ``/api/chat``, and what cannot be said there."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from pointsman import (
    ChatRequest,
    EmbedRequest,
    Image,
    InvalidRequest,
    Scope,
    Target,
    Tool,
    ToolCall,
    assistant,
    system,
    tool_result,
    user,
)
from pointsman_ollama import OllamaConfig
from pointsman_ollama.request import chat_body, embed_body

TARGET = Target("ollama", "m")
HERE = {"model": "m", "stream": True, "truncate": False, "shift": False}


def body(*messages: Any, config: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    request = ChatRequest(messages=messages or (user("hi"),), model="m", **fields)
    return chat_body(request, OllamaConfig.model_validate(config or {}), TARGET)


def test_a_plain_request_says_no_more_than_it_must() -> None:
    assert body() == {**HERE, "messages": [{"role": "user", "content": "hi"}]}


def test_sampling_goes_into_the_options() -> None:
    sent = body(max_tokens=10, temperature=0.0, top_p=0.5, seed=1, stop=("a", "b"), config={"num_ctx": 8192})
    assert sent["options"] == {
        "num_ctx": 8192,
        "num_predict": 10,
        "temperature": 0.0,
        "top_p": 0.5,
        "seed": 1,
        "stop": ["a", "b"],
    }


def test_extra_is_merged_also_into_the_options() -> None:
    sent = body(max_tokens=10, extra={"options": {"num_ctx": 100, "top_k": 3}, "logprobs": True, "truncate": True})
    assert sent["options"] == {"num_predict": 10, "num_ctx": 100, "top_k": 3}
    assert (sent["logprobs"], sent["truncate"]) == (True, True)
    with pytest.raises(InvalidRequest, match="options"):
        body(extra={"options": [1]})


def test_a_schema_is_the_format() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    assert body(response_schema=schema)["format"] == schema


@pytest.mark.parametrize(
    ("config", "effort", "sent"),
    [
        (None, None, "absent"),
        (None, "none", False),
        (None, "minimal", "low"),
        (None, "low", "low"),
        (None, "medium", "medium"),
        (None, "high", "high"),
        (None, "max", "max"),
        (True, None, True),
        (False, None, False),
        ("high", None, "high"),
        (True, "none", False),
    ],
)
def test_thinking(config: Any, effort: str | None, sent: Any) -> None:
    assert body(reasoning_effort=effort, config={"think": config}).get("think", "absent") == sent


def test_an_effort_that_ollama_does_not_know() -> None:
    with pytest.raises(InvalidRequest, match="none, minimal, low, medium, high, max") as caught:
        body(reasoning_effort="heroic")
    assert caught.value.scope is Scope.TARGET


TOOL = Tool("f", "does f", {"type": "object", "properties": {"a": {"type": "string"}}})


def test_tools() -> None:
    sent = body(tools=(TOOL,), tool_choice="auto")
    function = {"name": "f", "description": "does f", "parameters": TOOL.parameters}
    assert sent["tools"] == [{"type": "function", "function": function}]
    assert "tool_choice" not in sent
    assert "tools" not in body(tools=(TOOL,), tool_choice="none")


@pytest.mark.parametrize("choice", ["required", "f"])
def test_a_call_cannot_be_forced(choice: str) -> None:
    with pytest.raises(InvalidRequest, match="ask for it in the prompt") as caught:
        body(tools=(TOOL,), tool_choice=choice)
    assert caught.value.scope is Scope.TARGET


def test_a_conversation_with_tools() -> None:
    calls = (ToolCall("c1", "f", '{"a": "é"}'), ToolCall("c2", "g", ""))
    sent = body(
        system("Be kind."),
        user("hi"),
        assistant("", tool_calls=calls),
        tool_result("c2", "two"),
        tool_result("c1", "one"),
        tool_result("c9", "whose?"),
    )["messages"]
    assert sent == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"id": "c1", "function": {"name": "f", "arguments": {"a": "é"}}},
                {"id": "c2", "function": {"name": "g", "arguments": {}}},
            ],
        },
        {"role": "tool", "content": "two", "tool_call_id": "c2", "tool_name": "g"},
        {"role": "tool", "content": "one", "tool_call_id": "c1", "tool_name": "f"},
        {"role": "tool", "content": "whose?", "tool_call_id": "c9"},
    ]


@pytest.mark.parametrize("arguments", ["{", "[1]", "1", "null", "[" * 100_000])
def test_arguments_that_are_no_object(arguments: str) -> None:
    with pytest.raises(InvalidRequest, match="c1"):
        body(assistant("", tool_calls=(ToolCall("c1", "f", arguments),)))


PICTURE = base64.b64encode(b"\x89PNG").decode()


@pytest.mark.parametrize(
    "url",
    [
        f"data:image/png;base64,{PICTURE}",
        f"DATA:image/png;BASE64,{PICTURE[:3]}%0A{PICTURE[3:]}",
        "data:image/png,%89PNG",
    ],
)
def test_pictures_are_bare_base64(url: str) -> None:
    assert body(user("look", Image(url), " twice"))["messages"] == [
        {"role": "user", "content": "look twice", "images": [PICTURE]}
    ]


@pytest.mark.parametrize("url", ["https://acme.example/a.png", "file:///etc/passwd", "data:image/png;base64"])
def test_pictures_by_address(url: str) -> None:
    with pytest.raises(InvalidRequest, match="data:image/png;base64") as caught:
        body(user(Image(url)))
    assert caught.value.scope is Scope.TARGET


def test_a_picture_that_is_not_base64() -> None:
    with pytest.raises(InvalidRequest, match="not base64"):
        body(user(Image("data:image/png;base64,!!!")))


def test_keep_alive() -> None:
    assert body(config={"keep_alive": "-1"})["keep_alive"] == -1
    assert body(config={"keep_alive": "5m"})["keep_alive"] == "5m"
    assert body(config={"keep_alive": 0})["keep_alive"] == 0


def test_embedding() -> None:
    request = EmbedRequest("m", ("a", "b"))
    assert embed_body(request, OllamaConfig()) == {"model": "m", "input": ["a", "b"], "truncate": False}
    sent = embed_body(request, OllamaConfig(keep_alive=1, num_ctx=512))
    assert (sent["keep_alive"], sent["options"]) == (1, {"num_ctx": 512})

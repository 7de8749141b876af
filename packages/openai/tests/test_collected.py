"""An answer that came whole says what its stream would have said, and a refusal what it would have meant."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import (
    AuthFailed,
    FanAnswer,
    Finished,
    ModelGone,
    StreamBroken,
    StreamEvent,
    Target,
    Unavailable,
    Unknown,
    Usage,
)
from pointsman_openai import Quirks, Refusal, read_completion, read_refusal
from pointsman_openai.decode import ChatDecoder
from pointsman_openai.thinking import ThinkingDecoder

TARGET = Target("acme", "m")
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
texts = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), max_size=4)
calls = st.lists(
    st.tuples(st.from_regex(r"[a-z]{1,6}", fullmatch=True), st.lists(st.text("ab{}", max_size=4))), max_size=3
)


def streamed(deltas: list[dict[str, Any]], reason: str, quirks: Quirks) -> list[StreamEvent]:
    chat = ChatDecoder(TARGET, quirks, lambda event, begun: Unavailable("complained"))
    decoder = ThinkingDecoder(chat) if quirks.think_tags else chat
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    chunks = [{"choices": [choice]} for choice in (*choices, {"index": 0, "delta": {}, "finish_reason": reason})]
    for chunk in (*chunks, {"choices": [], "usage": USAGE}):
        decoder.feed(b"data: " + json.dumps(chunk).encode() + b"\n\n")
    decoder.feed(b"data: [DONE]\n\n")
    decoder.end()
    assert decoder.failure is None
    return list(decoder.ready)


def whole(message: dict[str, Any], reason: str | None) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}
    return json.dumps({"object": "chat.completion", "choices": [choice], "usage": USAGE}).encode()


@given(texts, texts, calls, st.sampled_from(["stop", "length", "tool_calls"]), st.booleans())
def test_it_is_read_as_its_stream_is(
    pieces: list[str], thoughts: list[str], called: list[tuple[str, list[str]]], reason: str, tags: bool
) -> None:
    quirks = Quirks(think_tags=tags)
    if tags:
        pieces = ["<think>", *thoughts, "</think>\n", *pieces]
        thoughts = []
    deltas: list[dict[str, Any]] = [{"reasoning": thought} for thought in thoughts]
    deltas += [{"content": piece} for piece in pieces]
    for index, (name, arguments) in enumerate(called):
        begun = {"index": index, "id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": ""}}
        deltas.append({"tool_calls": [begun]})
        deltas += [{"tool_calls": [{"index": index, "function": {"arguments": more}}]} for more in arguments]
    message: dict[str, Any] = {"content": "".join(pieces), "reasoning": "".join(thoughts)}
    if called:
        message["tool_calls"] = [
            {"id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": "".join(arguments)}}
            for index, (name, arguments) in enumerate(called)
        ]
    one, other = (
        FanAnswer.of(1, events, cost=Unknown, seconds=0)
        for events in (streamed(deltas, reason, quirks), read_completion(whole(message, reason), TARGET, quirks))
    )
    assert one == other
    assert other.usage == Usage(input_tokens=3, output_tokens=4)


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (whole({"content": "half"}, None), StreamBroken, "without a finish reason"),
        (b"not json", StreamBroken, "not JSON"),
        (b'{"choices": []}', StreamBroken, "without a finish reason"),
        (b'{"error": {"message": "no such model", "code": "model_not_found"}}', ModelGone, "no such model"),
    ],
)
def test_what_is_no_whole_answer_is_an_error(body: bytes, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words) as raised:
        read_completion(body, TARGET, Quirks())
    assert getattr(raised.value, "target", None) == TARGET


def test_a_refusal_has_its_meaning_and_the_vendor_s_own() -> None:
    error = read_refusal(401, b'{"error": {"message": "who are you"}}', TARGET, Quirks())
    assert isinstance(error, AuthFailed)
    assert (error.status, error.target, error.message) == (401, TARGET, "who are you")
    seen: list[Refusal] = []
    quirks = Quirks(refine=lambda error, refusal: seen.append(refusal) or Unavailable("mine"))
    assert str(read_refusal(418, b"teapot", TARGET, quirks)) == "mine"
    assert [(one.status, one.body) for one in seen] == [(418, b"teapot")]


def test_it_ends_with_why_it_ended() -> None:
    assert read_completion(whole({"content": ""}, "length"), TARGET, Quirks()) == [
        Finished("length", Usage(input_tokens=3, output_tokens=4))
    ]

"""Thoughts between ``<think>`` and ``</think>`` at the start of an answer, however its bytes are cut."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from itertools import groupby, pairwise
from typing import Any, TypeAlias

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pointsman import (
    ChatRequest,
    Finished,
    ReasoningDelta,
    StreamBroken,
    StreamEvent,
    Target,
    TextDelta,
    ToolCallDelta,
    Unavailable,
    user,
)
from pointsman_openai import Quirks, Session
from pointsman_openai.decode import ChatDecoder
from pointsman_openai.thinking import ThinkingDecoder, ThoughtSplitter
from pointsman_testing import Answer, Raw, Vendor

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Session]]


def divided(*pieces: str) -> tuple[str, str]:
    """Thoughts and text; thoughts never come after text."""
    splitter = ThoughtSplitter()
    told = [event for piece in pieces for event in splitter.feed(piece)] + splitter.flush()
    kinds = [kind for kind, _ in groupby(type(event) for event in told)]
    assert kinds in ([], [ReasoningDelta], [TextDelta], [ReasoningDelta, TextDelta])
    thoughts = "".join(event.text for event in told if isinstance(event, ReasoningDelta))
    text = "".join(event.text for event in told if isinstance(event, TextDelta))
    assert all(event.text for event in told if isinstance(event, ReasoningDelta | TextDelta))
    return thoughts, text


@pytest.mark.parametrize(
    ("said", "thoughts", "text"),
    [
        ("<think>\nHm, a list.\n</think>\n\nUse a list.", "Hm, a list.\n", "Use a list."),
        ("<think>a</think>b", "a", "b"),
        (" \n<think>a</think>b", "a", "b"),
        ("<think></think>b", "", "b"),
        ("<think>\n\n</think>\n\nb", "", "b"),
        ("<think>a</think>    indented", "a", "    indented"),
        ("<think>a < b </ c </thin d</think>e", "a < b </ c </thin d", "e"),
        ("<think>a</think><think>b</think>c", "a", "<think>b</think>c"),
        ("<think>never closed", "never closed", ""),
        ("<think>cut in the tag</thi", "cut in the tag</thi", ""),
        ("<think>", "", ""),
        ("<think>a</think>", "a", ""),
        ("The tag <think> opens, </think> closes.", "", "The tag <think> opens, </think> closes."),
        ("no opening</think>text", "", "no opening</think>text"),
        ("<thinking>a</thinking>", "", "<thinking>a</thinking>"),
        ("<THINK>a</THINK>", "", "<THINK>a</THINK>"),
        ("<thi", "", "<thi"),
        ("  ", "", "  "),
        (" " * 65 + "<think>a</think>b", "", " " * 65 + "<think>a</think>b"),
        ("", "", ""),
    ],
)
def test_what_is_thought_and_what_is_said(said: str, thoughts: str, text: str) -> None:
    assert divided(said) == (thoughts, text)
    assert divided(*said) == (thoughts, text)


PIECES = st.lists(
    st.sampled_from(["<think>", "</think>", "<", "/", "think>", "</thi", "\n", " ", "a", "<a>", "\u2028"])
)


@given(PIECES, st.lists(st.integers(0, 60)))
@example(["<think>", "<", "</think>", "\n"], [8])
def test_however_it_is_cut(pieces: list[str], cuts: list[int]) -> None:
    said = "".join(pieces)
    places = sorted({0, *(min(cut, len(said)) for cut in cuts), len(said)})
    whole = divided(said)
    assert divided(*(said[start:end] for start, end in pairwise(places))) == whole
    assert divided(*said) == whole


@given(PIECES)
def test_nothing_is_lost_but_tags_and_the_space_around_them(pieces: list[str]) -> None:
    said = "".join(pieces)
    thoughts, text = divided(said)
    if said.lstrip().startswith("<think>"):
        assert said.endswith(text)
        assert thoughts in said
        assert "</think>" not in thoughts
    else:
        assert (thoughts, text) == ("", said)


def chunk(delta: dict[str, Any], **choice: Any) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta, **choice}]}).encode() + b"\n\n"


STOP = chunk({}, finish_reason="stop")


def read(parts: Iterable[bytes], lost: Exception | None = None) -> tuple[list[StreamEvent], Exception | None]:
    decoder = ThinkingDecoder(ChatDecoder(Target("acme", "m"), Quirks(), lambda event, begun: Unavailable(f"{event}")))
    for part in parts:
        decoder.feed(part)
    decoder.end(lost)
    assert decoder.over
    return list(decoder.ready), decoder.failure


def joined(events: Iterable[StreamEvent]) -> list[StreamEvent]:
    """Neighbours of a kind as one."""
    told: list[StreamEvent] = []
    for kind, group in groupby(events, type):
        if kind in (TextDelta, ReasoningDelta):
            told.append(kind("".join(event.text for event in group)))  # type: ignore[attr-defined]
        else:
            told.extend(group)
    return told


DELTAS = st.fixed_dictionaries(
    {},
    optional={
        "content": PIECES.map("".join),
        "reasoning": st.sampled_from(["", "r"]),
        "tool_calls": st.just([{"index": 0, "function": {"arguments": "x"}}]),
    },
)


@given(st.lists(DELTAS, max_size=6), st.lists(st.integers(0, 600), max_size=6))
def test_a_stream_reads_the_same_however_its_bytes_are_cut(deltas: list[dict[str, Any]], cuts: list[int]) -> None:
    body = b"".join([chunk(delta) for delta in deltas]) + STOP
    places = sorted({0, *(min(cut, len(body)) for cut in cuts), len(body)})
    events, failure = read(body[start:end] for start, end in pairwise(places))
    assert failure is None
    assert isinstance(events[-1], Finished)
    assert joined(events) == joined(read([body])[0])
    assert joined(events) == joined(read(bytes([byte]) for byte in body)[0])


def test_what_was_held_back_comes_before_what_follows_it() -> None:
    call = chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]})
    tool = ToolCallDelta(0, None, None, "{}")
    assert read([chunk({"content": "<thi"}), call, STOP])[0] == [TextDelta("<thi"), tool, Finished("stop")]
    events, _ = read([chunk({"content": "<think>a</thi"}), call, chunk({"content": "b"}), STOP])
    assert events == [ReasoningDelta("a"), ReasoningDelta("</thi"), tool, ReasoningDelta("b"), Finished("stop")]


def test_what_was_held_back_of_a_broken_answer_is_told() -> None:
    events, failure = read([chunk({"content": "<th"})], OSError("gone"))
    assert events == [TextDelta("<th")]
    assert isinstance(failure, StreamBroken)


def test_a_reader_that_lags_behind_reads_everything_once() -> None:
    decoder = ThinkingDecoder(ChatDecoder(Target("acme", "m"), Quirks(), lambda event, begun: Unavailable(f"{event}")))
    for piece in ("<think>one", " two</think>", "three", " four"):
        decoder.feed(chunk({"content": piece}))
    assert list(decoder.ready) == [
        ReasoningDelta("one"),
        ReasoningDelta(" two"),
        TextDelta("three"),
        TextDelta(" four"),
    ]


ASKED = ChatRequest(messages=(user("hi"),), model="m")


@pytest.mark.parametrize(("quirks", "thoughts"), [(Quirks(think_tags=True), "a plan\n"), (Quirks(), "")])
async def test_over_the_wire_it_is_an_opt_in(opened: Open, vendor: Vendor, quirks: Quirks, thoughts: str) -> None:
    said = "<think>\na plan\n</think>\n\nThe answer."
    whole = {"choices": [{"message": {"content": said}, "finish_reason": "stop"}]}
    vendor.script(Answer(said).drip(7), Raw(json.dumps(whole).encode(), content_type="application/json"))
    async with opened(vendor.base_url, quirks=quirks) as session:
        for _ in range(2):
            async with session.stream(ASKED) as events:
                told = [event async for event in events]
            assert "".join(event.text for event in told if isinstance(event, ReasoningDelta)) == thoughts
            text = "".join(event.text for event in told if isinstance(event, TextDelta))
            assert text == ("The answer." if quirks.think_tags else said)
            assert isinstance(told[-1], Finished)

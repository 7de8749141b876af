"""The decoder alone: what lines mean, where they end, and what an answer needs to be whole."""

from __future__ import annotations

import json
import tomllib
from itertools import count, pairwise
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import (
    Finished,
    PointsmanError,
    ReasoningDelta,
    ServerTimings,
    StreamBroken,
    StreamEvent,
    Target,
    TextDelta,
    ToolCallDelta,
    Unavailable,
    Usage,
)
from pointsman_ollama.decode import ChatDecoder
from pointsman_ollama.lines import LineSplitter, LineTooLong

TARGET = Target("ollama", "m")
LOST = ConnectionResetError("reset")


def complain(told: Any, begun: bool) -> PointsmanError:
    return StreamBroken(str(told["error"])) if begun else Unavailable(str(told["error"]))


def decoder() -> ChatDecoder:
    numbers = count(1)
    return ChatDecoder(TARGET, complain, ("sk-secret",), lambda: f"id-{next(numbers)}")


def line(message: Any = None, **fields: Any) -> bytes:
    told = {"model": "m", "created_at": "2026-11-23T10:00:00.1Z", **({} if message is None else {"message": message})}
    return json.dumps({**told, "done": False, **fields}, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def text(words: str) -> bytes:
    return line({"role": "assistant", "content": words})


def done(message: Any = None, **fields: Any) -> bytes:
    return line(message or {"role": "assistant", "content": ""}, **{"done": True, "done_reason": "stop", **fields})


def read(*parts: bytes, lost: Exception | None = None) -> tuple[list[StreamEvent], PointsmanError | None]:
    reader = decoder()
    for part in parts:
        reader.feed(part)
    reader.end(lost)
    assert reader.over
    return list(reader.ready), reader.failure


COUNTS = {
    "total_duration": 174_560_334,
    "load_duration": 101_397_084,
    "prompt_eval_count": 11,
    "prompt_eval_duration": 13_074_791,
    "eval_count": 18,
    "eval_duration": 52_479_709,
}
FINISHED = Finished(
    "stop",
    Usage(input_tokens=11, output_tokens=18),
    server=ServerTimings(load=0.101397084, prompt=0.013074791, output=0.052479709, total=0.174560334),
)


def test_an_answer_as_documented() -> None:
    assert read(text("Hi"), text(""), done(**COUNTS)) == ([TextDelta("Hi"), FINISHED], None)


def test_the_last_line_may_say_something() -> None:
    call: Any = {"function": {"name": "f", "arguments": {}}}
    events, _ = read(done({"content": "Hi", "thinking": "Hm", "tool_calls": [call]}))
    assert events[:-1] == [ReasoningDelta("Hm"), TextDelta("Hi"), ToolCallDelta(0, "id-1", "f", "{}")]
    assert events[-1] == Finished("tool_calls")


@pytest.mark.parametrize("message", [{"content": "b"}, {"content": "b", "tool_calls": None}])
def test_thoughts_and_text_on_one_line(message: dict[str, Any]) -> None:
    assert read(line({"thinking": "a", **message}), done())[0][:2] == [ReasoningDelta("a"), TextDelta("b")]


def test_calls_are_numbered_over_the_whole_stream() -> None:
    """Whatever index each line gives; arguments are objects, with integers of any size."""
    big = 12345678901234567890123
    first = {"id": "call_a", "function": {"index": 0, "name": "f", "arguments": {"n": big, "é": [1.5, None]}}}
    second = {"function": {"index": 0, "name": "g", "arguments": None}}
    third = {"id": "", "function": {"name": "h", "arguments": '{"as": "text"}'}}
    events, failure = read(line({"tool_calls": [first]}), line({"tool_calls": [second, third]}), done())
    assert failure is None
    assert events == [
        ToolCallDelta(0, "call_a", "f", f'{{"n":{big},"é":[1.5,null]}}'),
        ToolCallDelta(1, "id-1", "g", "{}"),
        ToolCallDelta(2, "id-2", "h", '{"as": "text"}'),
        Finished("tool_calls"),
    ]


@pytest.mark.parametrize(
    ("said", "reason"),
    [("stop", "stop"), ("length", "length"), ("load", "load"), ("unload", "unload"), ("new", "new"), ("", "done")],
)
def test_reasons_are_passed_on(said: str, reason: str) -> None:
    assert read(text("a"), done(done_reason=said))[0][-1] == Finished(reason)


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        ({}, None),
        ({"eval_count": 3}, None),
        ({"prompt_eval_count": 3}, None),
        ({"prompt_eval_count": 3, "eval_count": -1}, None),
        ({"prompt_eval_count": True, "eval_count": 1}, None),
        ({"prompt_eval_count": "3", "eval_count": 1}, None),
        ({"prompt_eval_count": 3, "eval_count": 1}, Usage(input_tokens=3, output_tokens=1)),
    ],
)
def test_counts_that_are_missing_are_unknown(counts: dict[str, Any], usage: Usage | None) -> None:
    assert read(text("a"), done(**counts))[0][-1] == Finished("stop", usage)


PAYLOADS: list[dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("usage_payloads.toml").read_text(encoding="utf-8")
)["payload"]


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: payload["of"])
def test_what_was_published_means_what_it_says(payload: dict[str, Any]) -> None:
    last, failure = read(text("a"), payload["line"].encode() + b"\n")
    known = "input" in payload
    usage = Usage(input_tokens=payload["input"], output_tokens=payload["output"]) if known else None
    assert failure is None
    assert isinstance(last[-1], Finished)
    assert last[-1].usage == usage
    assert last[-1].server is not None, "the seconds stand, whatever was counted"


def test_cached_input_is_inside_the_input() -> None:
    """Newer servers tell it: ``prompt_eval_count`` is llama-server's ``cache_n + prompt_n`` (ollama/ollama#16428)."""
    counts = {"prompt_eval_count": 11, "prompt_eval_cached_count": 8, "eval_count": 18}
    usage = Usage(input_tokens=11, cached_input_tokens=8, output_tokens=18)
    assert read(text("a"), done(**counts))[0][-1] == Finished("stop", usage)
    odd = {**counts, "prompt_eval_cached_count": "many"}
    assert read(text("a"), done(**odd))[0][-1] == Finished("stop", Usage(input_tokens=11, output_tokens=18))


def test_nothing_said_and_nothing_counted_is_nothing() -> None:
    assert read(done(prompt_eval_count=3))[0] == [Finished("stop", Usage(input_tokens=3, output_tokens=0))]


@pytest.mark.parametrize("value", [True, "1", -1, None, 1e400, [1], 10**400])
def test_durations_that_are_none(value: Any) -> None:
    assert read(done(load_duration=value))[0] == [Finished("stop")]


def test_what_follows_the_end_is_not_read() -> None:
    assert read(text("a"), done(), text("b"), b"junk\n{") == ([TextDelta("a"), Finished("stop")], None)
    assert read(text("a") + done() + text("b")) == ([TextDelta("a"), Finished("stop")], None)


def test_a_connection_lost_after_the_end_is_a_whole_answer() -> None:
    assert read(text("a"), done(), lost=LOST) == ([TextDelta("a"), Finished("stop")], None)


def test_a_reason_without_done_needs_a_clean_end() -> None:
    """As the MLX backends end."""
    last = line({"content": ""}, done_reason="stop")
    assert read(text("a"), last) == ([TextDelta("a"), Finished("stop")], None)
    assert read(text("a"), last[:-1]) == ([TextDelta("a"), Finished("stop")], None)
    assert isinstance(read(text("a"), last, lost=LOST)[1], StreamBroken)
    assert isinstance(read(text("a"), last, text("b"))[1], StreamBroken)


@pytest.mark.parametrize("fields", [{"done": "true"}, {"done": 1}, {"done": None}, {"done_reason": ""}])
def test_what_is_not_done_is_no_proof(fields: dict[str, Any]) -> None:
    assert isinstance(read(text("a"), line({"content": ""}, **fields))[1], StreamBroken)


@pytest.mark.parametrize("newline", [b"\n", b""])
@pytest.mark.parametrize("lost", [None, LOST])
def test_errors_in_the_stream(newline: bytes, lost: Exception | None) -> None:
    """The last one may come without a newline."""
    said = b'{"error":"an error was encountered"}' + newline
    events, failure = read(text("a"), said, lost=lost)
    assert (events, type(failure), str(failure)) == ([TextDelta("a")], StreamBroken, "an error was encountered")
    assert type(read(said, lost=lost)[1]) is Unavailable
    assert type(read(b'{"error":"sk-secret","done":true,"message":{"content":"x"}}\n')[1]) is Unavailable


@pytest.mark.parametrize(
    "junk",
    [
        b"<html>\n",
        b"[1]\n",
        b"null\n",
        b'"text"\n',
        b'{"message":[]}\n',
        b'{"message":{"content":[{"text":"a"}]}}\n',
        b'{"message":{"thinking":1}}\n',
        b'{"message":{"tool_calls":{}}}\n',
        b'{"message":{"tool_calls":[{}]}}\n',
        b'{"message":{"tool_calls":[{"function":{"name":"f","arguments":[1]}}]}}\n',
        b"[" * 100_000 + b"\n",
        b"data: {}\n",
    ],
)
def test_what_nobody_can_read_breaks_the_answer(junk: bytes) -> None:
    events, failure = read(text("a"), junk, text("b"), done())
    assert (events, type(failure)) == ([TextDelta("a")], StreamBroken)


def test_a_quoted_line_holds_no_key() -> None:
    _, failure = read(b"Bearer sk-secret is wrong\n")
    assert "sk-secret" not in str(failure)
    assert "is wrong" in str(failure)


def test_blank_lines_and_strange_lines_are_no_harm() -> None:
    assert read(b"\n\r\n  \n", text("a"), b'{"status":"x"}\r\n', done()) == ([TextDelta("a"), Finished("stop")], None)


@pytest.mark.parametrize("mark", ["\x85", "\u2028", "\u2029", "\x1c", "\x0b", "\x7f"])
def test_only_a_newline_ends_a_line(mark: str) -> None:
    raw = text("x").replace(b"x", f"one{mark}two".encode())
    assert read(raw, done())[0][0] == TextDelta(f"one{mark}two")


def test_halves_of_characters_and_bad_bytes_are_replaced() -> None:
    assert read(text("x").replace(b"x", b"a\\ud83d"), done())[0][0] == TextDelta("a�")
    assert read(text("x").replace(b"x", b"a\xff"), done())[0][0] == TextDelta("a�")
    assert read(text("x").replace(b"x", b"\\ud83d\\ude00"), done())[0][0] == TextDelta("😀")


def test_a_line_without_an_end_is_given_up() -> None:
    splitter = LineSplitter(longest=10)
    assert splitter.feed(b"0123456789\nabc") == [b"0123456789"]
    with pytest.raises(LineTooLong):
        splitter.feed(b"defghijk")
    with pytest.raises(LineTooLong):
        LineSplitter(longest=3).feed(b"0123\n")
    reader = decoder()
    for _ in range(200):
        reader.feed(b"x" * 64 * 1024)
    assert isinstance(reader.failure, StreamBroken)
    assert "longer than" in str(reader.failure)


def test_a_line_of_a_megabyte_in_small_reads() -> None:
    words = "é" * 500_000
    data = text(words) + done()
    assert read(*(data[at : at + 1000] for at in range(0, len(data), 1000)))[0] == [TextDelta(words), Finished("stop")]


BODY = text("A függvény ") + line({"content": "", "thinking": "hm 😀"}) + text("here.") + done(**COUNTS)
EVENTS = [TextDelta("A függvény "), ReasoningDelta("hm 😀"), TextDelta("here."), FINISHED]


@pytest.mark.parametrize("ending", ["clean", "lost"])
def test_cut_at_every_byte(ending: Literal["clean", "lost"]) -> None:
    """Whole only where the last line is, with its newline or a clean end behind it; text is never invented."""
    for at in range(len(BODY) + 1):
        events, failure = read(BODY[:at], lost=None if ending == "clean" else LOST)
        if at >= len(BODY) - (1 if ending == "clean" else 0):
            assert (events, failure) == (EVENTS, None)
        else:
            assert isinstance(failure, StreamBroken)
            assert events == EVENTS[: len(events)]
            assert FINISHED not in events


TEXTS = st.text(alphabet=st.sampled_from('a "\\\r\0\x1c\x85\u2028😀') | st.characters(codec="utf-8"), max_size=5)
JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=3,
)
NAMES = [
    "message",
    "content",
    "thinking",
    "tool_calls",
    "done",
    "done_reason",
    "error",
    "function",
    "name",
    "arguments",
]
ODD: Any = st.recursive(
    JSON, lambda inner: st.dictionaries(st.sampled_from(NAMES), inner, max_size=4) | st.lists(inner, max_size=2)
)


class TolerantOnly(ChatDecoder):
    """Without the typed path."""

    def _read(self, lines: list[bytes]) -> None:
        for one in lines:
            if not (self.done or self.over):
                self._take(one)


@given(st.lists(ODD, max_size=5), st.booleans())
def test_both_paths_agree_on_anything(values: list[Any], ended: bool) -> None:
    """And neither raises."""
    data = b"".join(json.dumps(value, ensure_ascii=False).encode() + b"\n" for value in values) + done() * ended
    told: list[Any] = []
    for kind in (ChatDecoder, TolerantOnly):
        reader = kind(TARGET, complain, (), lambda: "id")
        reader.feed(data)
        reader.end()
        told.append((list(reader.ready), type(reader.failure), str(reader.failure)))
    assert told[0] == told[1]


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_some_answer(data: bytes, lost: bool) -> None:
    events, failure = read(data, lost=LOST if lost else None)
    assert (failure is None) == any(isinstance(event, Finished) for event in events)


@given(st.lists(st.integers(0, len(BODY)), max_size=8).map(sorted))
def test_how_it_is_divided_does_not_matter(places: list[int]) -> None:
    bounds = [0, *places, len(BODY)]
    assert read(*(BODY[a:b] for a, b in pairwise(bounds))) == (EVENTS, None)

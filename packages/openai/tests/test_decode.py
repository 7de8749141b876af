"""Chunks become events, in whatever dialect they come; an answer is whole only with its proof."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TypeAlias

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pointsman import (
    Finished,
    PointsmanError,
    QuotaExhausted,
    ReasoningDelta,
    Refused,
    StreamBroken,
    StreamEvent,
    Target,
    Terminal,
    TextDelta,
    ToolCallDelta,
    Unavailable,
    Usage,
)
from pointsman_openai import Quirks
from pointsman_openai import decode as module
from pointsman_openai.decode import ChatDecoder
from pointsman_openai.errors import event_error
from pointsman_openai.usage import read_usage

TARGET = Target("acme", "m")
STOP: dict[str, Any] = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def decoder(terminal: Terminal = Terminal.FINISH_REASON) -> ChatDecoder:
    quirks = Quirks(terminal=terminal)
    return ChatDecoder(
        TARGET,
        quirks,
        lambda event, begun: event_error(event, begun=begun, quirks=quirks, now=0, wall=0, target=TARGET),
    )


def fed(chunks: Iterable[Any], *, terminal: Terminal = Terminal.FINISH_REASON) -> ChatDecoder:
    """A decoder that has read `chunks` (bytes as they are, the rest as JSON) to the end of the body."""
    reader = decoder(terminal)
    for chunk in chunks:
        payload = chunk if isinstance(chunk, bytes) else json.dumps(chunk).encode()
        reader.feed(b"data: " + payload + b"\n\n")
    reader.end()
    return reader


def outcome(reader: ChatDecoder) -> tuple[list[StreamEvent], str | None]:
    return list(reader.ready), repr(reader.failure) if reader.failure else None


def events(*chunks: Any) -> list[StreamEvent]:
    reader = fed(chunks)
    assert reader.failure is None
    return list(reader.ready)


def said(delta: Any, **choice: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, **choice}]}


def broken(*chunks: Any) -> PointsmanError:
    reader = fed(chunks)
    assert reader.failure is not None
    assert not any(isinstance(event, Finished) for event in reader.ready)
    return reader.failure


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
Anything: TypeAlias = st.SearchStrategy[Any]
# Objects that look much like chunks, with anything at all in any place.
WORDS = st.sampled_from(["", "a", "stop", "error", "STOP", "content_filter", "abort"]) | st.text(max_size=3)
FUNCTIONS: Anything = st.fixed_dictionaries({}, optional={"name": WORDS | JSON, "arguments": WORDS | JSON})
CALLS: Anything = st.fixed_dictionaries(
    {}, optional={"index": st.integers(-1, 3) | JSON, "id": WORDS | JSON, "function": FUNCTIONS | JSON}
)
PART: Anything = st.fixed_dictionaries({}, optional={"type": WORDS, "text": WORDS | JSON, "thinking": JSON})
PARTS: Anything = st.lists(PART, max_size=2)
DELTAS: Anything = st.fixed_dictionaries(
    {},
    optional={
        "role": st.just("assistant"),
        "content": WORDS | st.none() | PARTS | JSON,
        "reasoning": WORDS | st.none() | JSON,
        "reasoning_content": WORDS | st.none(),
        "channel": st.sampled_from(["analysis", "final", "commentary", None]) | JSON,
        "refusal": st.none() | WORDS,
        "tool_calls": st.none() | st.lists(CALLS | JSON, max_size=2) | JSON,
        "function_call": st.none() | FUNCTIONS | JSON,
    },
)
CHOICES: Anything = st.fixed_dictionaries(
    {},
    optional={
        "index": st.integers(0, 1) | st.none() | JSON,
        "delta": DELTAS | JSON,
        "finish_reason": st.none() | WORDS | JSON,
        "error": st.none() | JSON,
        "usage": st.none() | JSON,
    },
)
COUNTS: Anything = st.integers(0, 10) | st.floats() | st.none() | st.just("7") | JSON
USAGES: Anything = st.fixed_dictionaries(
    {},
    optional={
        "prompt_tokens": COUNTS,
        "completion_tokens": COUNTS,
        "total_tokens": COUNTS,
        "total_latency": COUNTS,
        "time_to_first_token": COUNTS,
        "prompt_tokens_details": st.fixed_dictionaries({"cached_tokens": COUNTS}) | JSON,
        "completion_tokens_details": st.fixed_dictionaries({"reasoning_tokens": COUNTS}) | JSON,
    },
)
CHUNKS: Anything = st.fixed_dictionaries(
    {},
    optional={
        "choices": st.lists(CHOICES | JSON, max_size=2) | JSON,
        "usage": st.none() | USAGES | JSON,
        "x_groq": st.fixed_dictionaries({"usage": USAGES}) | JSON,
        "timings": st.fixed_dictionaries({"prompt_ms": COUNTS, "predicted_ms": COUNTS}) | JSON,
        "error": st.none() | JSON | st.fixed_dictionaries({"message": WORDS, "code": JSON | WORDS}),
        "object": WORDS | JSON,
    },
)
PAYLOADS = (CHUNKS | JSON).map(lambda value: json.dumps(value).encode()) | st.sampled_from([b"[DONE]", b"{", b"\xff"])


@given(st.lists(PAYLOADS, max_size=5), st.sampled_from([Terminal.FINISH_REASON, Terminal.DONE_MARKER]))
def test_any_json_is_answered_or_refused(payloads: list[bytes], terminal: Terminal) -> None:
    """Never another exception, one `Finished` at the end or an error, and text that can be encoded."""
    reader = fed(payloads, terminal=terminal)
    finished = [event for event in reader.ready if isinstance(event, Finished)]
    assert reader.over
    assert len(finished) == (0 if reader.failure else 1)
    assert not finished or reader.ready[-1] is finished[0]
    for event in reader.ready:
        if isinstance(event, TextDelta | ReasoningDelta):
            assert event.text.encode()
        elif isinstance(event, ToolCallDelta):
            assert event.id or event.name or event.arguments


@given(st.lists(PAYLOADS, max_size=4))
@example([b'{"choices":[{"index":0,"delta":{"content":"a","reasoning":"b","reasoning_content":"b"}}]}'])
@example([b'{"choices":[{"index":null,"delta":{"content":"a"}}],"usage":null,"error":null}'])
@example([b'{"choices":[{"index":0,"delta":{"content":"\\u0000"},"finish_reason":""}]}'])
def test_the_typed_path_and_the_tolerant_one_agree(payloads: list[bytes]) -> None:
    def refuse(payload: bytes) -> Any:
        raise msgspec.ValidationError

    both = outcome(fed(payloads))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_decode_plain", refuse)
        assert outcome(fed(payloads)) == both


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=[]), min_size=1)))
def test_text_is_delivered_unchanged(texts: list[str]) -> None:
    """Also where JSON escapes halves of characters: a pair that is cut between two chunks is joined again."""
    chunks = [json.dumps(said({"content": text})).encode() for text in texts]
    whole = "".join(event.text for event in events(*chunks, STOP) if isinstance(event, TextDelta))
    expected = "".join(texts).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert whole.replace("\ufffd", "") == expected.replace("\ufffd", "")


def test_a_pair_cut_in_two_is_one_character() -> None:
    halves = [b'{"choices":[{"delta":{"content":"%s"}}]}' % half for half in (rb"a\ud83d", rb"\ude00b")]
    assert events(*halves, STOP)[:2] == [TextDelta("a"), TextDelta("😀b")]


@pytest.mark.parametrize(
    ("delta", "expected"),
    [
        ({"role": "assistant", "content": ""}, []),
        ({"role": "assistant", "content": None}, []),
        ({"content": "hi"}, [TextDelta("hi")]),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, [TextDelta("ab")]),
        (
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"text": "a"}]},
            [ReasoningDelta("hm"), TextDelta("a")],
        ),
        ({"refusal": "I cannot help with that."}, [TextDelta("I cannot help with that.")]),
        ({"reasoning": "hm"}, [ReasoningDelta("hm")]),
        ({"reasoning_content": "hm", "content": None}, [ReasoningDelta("hm")]),
        ({"reasoning": "hm", "reasoning_content": "hm"}, [ReasoningDelta("hm")]),
        ({"reasoning": "", "reasoning_content": "hm"}, [ReasoningDelta("hm")]),
        ({"reasoning": "one", "reasoning_content": "two"}, [ReasoningDelta("one"), ReasoningDelta("two")]),
        ({"reasoning": "hm", "channel": "analysis", "content": "a"}, [ReasoningDelta("hm"), TextDelta("a")]),
        ({"channel": "analysis", "content": "hm"}, [ReasoningDelta("hm")]),
        ({"channel": "final", "content": "a"}, [TextDelta("a")]),
        ({"channel": 1, "content": "a"}, [TextDelta("a")]),
        ({"tool_calls": []}, []),
        ({"tool_calls": [{"index": 0, "function": {"arguments": ""}}]}, []),
        (
            {"tool_calls": [{"index": 1, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}]},
            [ToolCallDelta(1, "c", "f", "{")],
        ),
        ({"tool_calls": [{"function": {"arguments": "}"}}]}, [ToolCallDelta(0, None, None, "}")]),
        (
            {"tool_calls": [{"id": "a", "function": {"name": "f"}}, {"id": "b", "function": {"name": "g"}}]},
            [ToolCallDelta(0, "a", "f"), ToolCallDelta(1, "b", "g")],
        ),
        (
            {"tool_calls": {"index": 0, "id": "", "function": {"name": "f", "arguments": {"x": 1}}}},
            [ToolCallDelta(0, None, "f", '{"x": 1}')],
        ),
        ({"function_call": {"name": "f", "arguments": "{}"}}, [ToolCallDelta(0, None, "f", "{}")]),
        (
            {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f"}}], "function_call": {"name": "f"}},
            [ToolCallDelta(0, "c", "f")],
        ),
    ],
)
def test_deltas(delta: dict[str, Any], expected: list[StreamEvent]) -> None:
    assert events(said(delta), STOP)[:-1] == expected


def test_tool_calls_without_an_index_are_told_apart_by_id() -> None:
    fragments = [{"id": "a", "arguments": "1"}, {"arguments": "2"}, {"id": "b", "arguments": "3"}, {"id": "a"}]
    chunks = [
        said({"tool_calls": [{**one, "function": {"name": "f", "arguments": one.get("arguments", "")}}]})
        for one in fragments
    ]
    assert [event.index for event in events(*chunks, STOP) if isinstance(event, ToolCallDelta)] == [0, 0, 1, 0]


def test_only_the_first_choice_is_read() -> None:
    chunk = {"choices": [{"index": 1, "delta": {"content": "no"}}, {"index": 0, "delta": {"content": "yes"}}]}
    assert events(chunk, STOP)[:-1] == [TextDelta("yes")]


@pytest.mark.parametrize("nothing", [{}, {"choices": None}, {"choices": []}, {"choices": "x"}, [], "x", 3, None])
def test_chunks_without_choices_say_nothing(nothing: Any) -> None:
    assert events(nothing, STOP) == [Finished("stop")]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        *[(word, "stop") for word in ("stop", "STOP", "eos", "eos_token", "stop_sequence", "end_turn")],
        *[(word, "length") for word in ("length", "max_tokens", "MAX_TOKENS")],
        *[(word, "tool_calls") for word in ("tool_calls", "function_call", "tool_use")],
        ("Something_New", "Something_New"),
    ],
)
def test_finish_reasons(word: str, reason: str) -> None:
    assert events(said({"content": "a"}, finish_reason=word)) == [TextDelta("a"), Finished(reason)]


@pytest.mark.parametrize("word", ["error", "abort", "insufficient_system_resource", "failed", "Timeout", "incomplete"])
def test_finish_reasons_that_are_failures(word: str) -> None:
    assert type(broken(said({"content": "a"}), said({}, finish_reason=word))) is StreamBroken
    assert type(broken(said({}, finish_reason=word))) is Unavailable


def test_a_filter_that_lets_nothing_out_is_a_refusal() -> None:
    assert type(broken(said({}, finish_reason="content_filter"))) is Refused
    cut_short = [said({"content": "a"}), said({}, finish_reason="content_filter")]
    assert events(*cut_short) == [TextDelta("a"), Finished("content_filter")]
    in_an_error = [said({"content": "a"}), {"error": {"code": "content_filter", "message": "no"}}]
    assert events(*in_an_error) == [TextDelta("a"), Finished("content_filter")]


@pytest.mark.parametrize(
    "chunk",
    [
        {"error": {"message": "it broke", "code": "server_error"}},
        {"error": "it broke"},
        {
            "error": {"message": "it broke", "code": 502},
            "choices": [{"delta": {"content": ""}, "finish_reason": "error"}],
        },
        {"object": "error", "message": "it broke", "code": 500},
        {"choices": [{"index": 0, "delta": {}, "error": {"message": "it broke"}, "finish_reason": "error"}]},
    ],
)
def test_errors_in_data(chunk: dict[str, Any]) -> None:
    error = broken(said({"content": "a"}), chunk, STOP)
    assert (type(error), error.message, error.target) == (StreamBroken, "it broke", TARGET)
    assert type(broken(chunk, STOP)) is Unavailable


@pytest.mark.parametrize("data", [b'{"message":"it broke"}', b'{"error":{"message":"it broke"}}', b'"it broke"'])
def test_error_events(data: bytes) -> None:
    reader = decoder()
    reader.feed(b'event: error\ndata: %s\n\ndata: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n' % data)
    reader.end()
    assert reader.failure is not None
    assert reader.failure.message == "it broke"
    assert not reader.ready


def test_a_chunk_under_the_name_of_an_error_is_one() -> None:
    reader = decoder()
    reader.feed(b'event: error\ndata: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n')
    assert reader.failure is not None


def test_after_the_proof_nothing_can_spoil_an_answer() -> None:
    expected = [TextDelta("a"), Finished("stop")]
    for spoiled in ({"error": "late"}, b"no json", b"[DONE]"):
        assert events(said({"content": "a"}), STOP, spoiled) == expected
    reader = decoder()
    reader.feed(b"data: " + json.dumps(said({"content": "a"}, finish_reason="stop")).encode() + b"\n\n")
    reader.end(ConnectionResetError("reset"))
    assert list(reader.ready) == expected


def test_without_the_proof_it_is_broken() -> None:
    for chunks in ([], [said({"content": "a"})], [said({"content": "a"}), b"[DONE]"], [b"[DONE]"]):
        assert type(broken(*chunks)) is StreamBroken
    assert "[DONE]" not in broken(said({"content": "a"})).message
    assert "without a finish reason" in broken(said({"content": "a"}), b"[DONE]").message


def test_the_marker_as_proof() -> None:
    proof = Terminal.DONE_MARKER
    assert outcome(fed([said({"content": "a"}), b"[DONE]"], terminal=proof))[0][-1] == Finished("done")
    assert outcome(fed([STOP, b"[DONE]"], terminal=proof))[0] == [Finished("stop")]
    assert type(fed([said({"content": "a"}), STOP], terminal=proof).failure) is StreamBroken


def test_an_event_that_the_end_cuts_short_counts_if_it_is_whole() -> None:
    for ending, whole in [(b"", True), (b"\n", True), (b"\n\n", True)]:
        reader = decoder()
        reader.feed(b"data: " + json.dumps(STOP).encode() + ending)
        reader.end()
        assert (reader.failure is None) is whole
    reader = decoder()
    reader.feed(b"data: " + json.dumps(STOP).encode()[:-1])
    reader.end()
    assert type(reader.failure) is StreamBroken


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 4}, Usage(input_tokens=3, output_tokens=4)),
        (
            {"prompt_tokens": 3.0, "completion_tokens": "4", "total_tokens": None},
            Usage(input_tokens=3, output_tokens=4),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 5}},
            Usage(input_tokens=9, cached_input_tokens=5, output_tokens=4),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": 0, "prompt_cache_hit_tokens": 5},
            Usage(input_tokens=9, cached_input_tokens=5),
        ),
        (
            {"prompt_tokens": 3, "completion_tokens": 4, "completion_tokens_details": {"reasoning_tokens": 2}},
            Usage(input_tokens=3, output_tokens=4, reasoning_tokens=2),
        ),
        (  # Reasoning beside the output, as the total shows.
            {
                "prompt_tokens": 3,
                "completion_tokens": 4,
                "total_tokens": 9,
                "completion_tokens_details": {"reasoning_tokens": 2},
            },
            Usage(input_tokens=3, output_tokens=6, reasoning_tokens=2),
        ),
        ({"input_tokens": 3, "output_tokens": 4}, Usage(input_tokens=3, output_tokens=4)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, None),
        ({"prompt_tokens": -1, "completion_tokens": True}, None),
        ({}, None),
        ({"prompt_tokens": 9}, None),
        (7, None),
    ],
)
def test_usage(usage: Any, expected: Usage | None) -> None:
    assert events({**STOP, "usage": usage}) == [Finished("stop", expected)]
    assert events(STOP, {"choices": [], "usage": usage}) == [Finished("stop", expected)]


def test_the_last_usage_wins_wherever_it_stands() -> None:
    one, two = ({"prompt_tokens": 1, "completion_tokens": count} for count in (1, 2))
    last = Usage(input_tokens=1, output_tokens=2)
    assert events({**said({"content": "a"}), "usage": one}, {**STOP, "usage": two})[-1] == Finished("stop", last)
    assert events(said({}, finish_reason="stop", usage=two))[-1] == Finished("stop", last)
    assert events(STOP, b"[DONE]", {"choices": [], "usage": two})[-1] == Finished("stop", last)


COUNTED = {"prompt_tokens": 1, "completion_tokens": 2}


def test_a_whole_completion_instead_of_a_stream() -> None:
    message = {"content": "hi", "reasoning_content": "hm", "tool_calls": [{"id": "c", "function": {"name": "f"}}]}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}], "usage": COUNTED}
    reader = decoder()
    reader.feed_whole(json.dumps(body).encode())
    finished = Finished("tool_calls", Usage(input_tokens=1, output_tokens=2))
    assert list(reader.ready) == [ReasoningDelta("hm"), TextDelta("hi"), ToolCallDelta(0, "c", "f"), finished]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"choices":[{"message":{"content":"a"}}]}'])
def test_what_is_no_whole_completion_is_broken(body: bytes) -> None:
    reader = decoder()
    reader.feed_whole(body)
    assert type(reader.failure) is StreamBroken


def test_an_endless_event_is_broken() -> None:
    reader = decoder()
    for _ in range(9):
        reader.feed(b"x" * 1024 * 1024)
    assert type(reader.failure) is StreamBroken
    assert "longer than" in reader.failure.message


def test_output_after_a_finish_reason_revokes_it() -> None:
    more = said({"content": "b"})
    both = said({"content": "b"}, finish_reason="stop")
    text = [TextDelta("a"), TextDelta("b")]
    assert type(broken(said({"content": "a"}), STOP, more)) is StreamBroken
    assert type(broken(said({"content": "a"}), STOP, more, {"error": "late"})) is StreamBroken
    assert type(broken(said({"content": "a"}), STOP, said({"reasoning": "b"}))) is StreamBroken
    assert type(broken(said({"content": "a"}), STOP, said({"tool_calls": [{"id": "c"}]}))) is StreamBroken
    for ending in ([more, STOP], [more, b"[DONE]"], [both], [both, b"[DONE]"]):
        assert events(said({"content": "a"}), STOP, *ending) == [*text, Finished("stop")]
    assert events(said({"content": "a"}), STOP, said({"content": ""})) == [TextDelta("a"), Finished("stop")]


@pytest.mark.parametrize(
    "choice",
    [
        {"message": {"role": "assistant", "content": "hi"}},
        {"delta": None, "message": {"content": "hi"}},
        {"text": "hi"},
        {"delta": {"content": {"type": "text", "text": "hi"}}},
        {"index": "0", "delta": {"content": "hi"}},
        {"index": 0, "delta": {"content": [{"type": "reference", "reference_ids": [1]}, "hi", {}, None]}},
    ],
)
def test_content_in_unusual_places(choice: dict[str, Any]) -> None:
    assert events({"choices": [choice]}, STOP) == [TextDelta("hi"), Finished("stop")]


@pytest.mark.parametrize(
    "content", [7, 0, True, [7], {"value": "hi"}, [{"type": "text", "text": 7}], {"type": "text", "text": ["hi"]}]
)
def test_content_that_nobody_understands_is_not_dropped(content: Any) -> None:
    assert "unknown kind" in broken(said({"content": content}), STOP).message
    assert type(broken(STOP, said({"content": content}, finish_reason="stop"))) is StreamBroken
    assert type(broken({"choices": [{"delta": "hi"}]}, STOP)) is StreamBroken


def called(*deltas: Any) -> list[tuple[int, str | None, str | None, str]]:
    found = events(*[said({"tool_calls": calls}) for calls in deltas], STOP)
    return [(one.index, one.id, one.name, one.arguments) for one in found if isinstance(one, ToolCallDelta)]


def test_a_new_id_on_a_taken_index_is_a_new_call() -> None:
    def call(call_id: str, name: str, arguments: str, index: int = 0) -> list[Any]:
        return [{"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}]

    assert called(call("a", "f", "1"), call("b", "g", "2"), call("", "", "3"), call("a", "", "4")) == [
        (0, "a", "f", "1"),
        (1, "b", "g", "2"),
        (1, None, None, "3"),
        (0, "a", None, "4"),
    ]
    assert [one[0] for one in called(call("a", "f", ""), call("b", "f", ""), call("c", "f", "", 1))] == [0, 1, 2]


def test_tool_calls_without_index_and_id_are_told_apart_by_their_place() -> None:
    calls = [{"function": {"name": name, "arguments": "{}"}} for name in ("f", "g")]
    assert called(calls) == [(0, None, "f", "{}"), (1, None, "g", "{}")]


def test_a_repeated_name_is_no_part_of_the_name() -> None:
    fragments = [
        [{"index": 0, "id": "a", "function": {"name": "look_up", "arguments": arguments}}] for arguments in ("{", "}")
    ]
    assert called(*fragments) == [(0, "a", "look_up", "{"), (0, "a", None, "}")]
    parts = [[{"index": 0, "function": {"name": name}}] for name in ("look", "_up", "look_up")]
    assert [one[2] for one in called(*parts)] == ["look", "_up"]


def test_a_secret_is_taken_out_before_the_message_is_cut() -> None:
    reader = ChatDecoder(TARGET, Quirks(), lambda event, begun: StreamBroken("x"), ["sesame-secret"])
    reader.feed(b"data: " + b"x" * 74 + b"sesame-secret\n\n")
    assert reader.failure is not None
    assert "sesame" not in reader.failure.message


def test_finish_reasons_with_spaces() -> None:
    assert events(said({"content": "a"}, finish_reason=" stop\n"))[-1] == Finished("stop")
    assert type(broken(said({"content": "a"}), said({}, finish_reason=" "))) is StreamBroken


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b'{"error": {"message": "no", "code": "insufficient_quota"}}', QuotaExhausted, "no"),
        (b'{\n\n"message": "out of memory"}\n', Unavailable, "out of memory"),
        (b"out of memory", StreamBroken, "out of memory"),
        (b"<html><title>Gone</title></html>", StreamBroken, "Gone"),
        (b": keep-alive\n\n", StreamBroken, "the stream ended, without a finish reason"),
        (b"{}", StreamBroken, "the stream ended, without a finish reason"),
    ],
)
def test_an_error_that_is_no_event_is_told(body: bytes, kind: type[PointsmanError], words: str) -> None:
    reader = decoder()
    for at in range(0, len(body), 5):
        reader.feed(body[at : at + 5])
    reader.end()
    assert reader.failure is not None
    assert type(reader.failure) is kind
    assert words in reader.failure.message


@pytest.mark.parametrize("count", [None, -3, "many", True, [1]])
def test_half_a_count_is_none(count: Any) -> None:
    """The other half alone would be priced as if it were all."""
    assert read_usage({"prompt_tokens": count, "completion_tokens": 2}) is None
    assert read_usage({"prompt_tokens": 1, "completion_tokens": count}) is None


@pytest.mark.parametrize("count", [10**70, 10**12, 1e300, "9" * 40])
def test_a_count_that_no_request_has_is_none(count: Any) -> None:
    assert read_usage({"prompt_tokens": count, "completion_tokens": 2}) is None
    assert read_usage({"prompt_tokens": 1, "completion_tokens": count}) is None

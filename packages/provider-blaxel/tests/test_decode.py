"""An agent's answer from its bytes: which form it has, what it says, and when it is whole."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pointsman import ConfigError, Finished, PointsmanError, StreamBroken, StreamEvent, Target, TextDelta
from pointsman_blaxel.agent_config import AgentConfig
from pointsman_blaxel.decode import AgentDecoder
from pointsman_blaxel.forms import MOST_HEAD, form_of

TARGET = Target("blaxel", "agent:coder")
LOST = ConnectionResetError("reset")
SSE, NDJSON, JSON, TEXT = "text/event-stream", "application/x-ndjson", "application/json", "text/plain"
KINDS = ["", SSE, NDJSON, JSON, TEXT]


def read(
    *parts: bytes, kind: str = "", bounded: bool = True, lost: Exception | None = None, **config: Any
) -> tuple[str, StreamEvent | None, PointsmanError | None]:
    """The text, what finished it, and what broke it."""
    decoder = AgentDecoder(TARGET, AgentConfig(**config), kind=kind, bounded=bounded, secrets=("sk-secret",))
    for part in parts:
        decoder.feed(part)
    decoder.end(lost)
    assert decoder.over
    events = list(decoder.ready)
    last = events.pop() if events and isinstance(events[-1], Finished) else None
    assert all(isinstance(event, TextDelta) and event.text for event in events)
    assert (last is None) == (decoder.failure is not None)
    return "".join(event.text for event in events if isinstance(event, TextDelta)), last, decoder.failure


def whole(*parts: bytes, **options: Any) -> str:
    text, last, failure = read(*parts, **options)
    assert failure is None, failure
    assert last == Finished("stop")
    return text


def lines(*values: Any) -> bytes:
    return b"".join(json.dumps(value, ensure_ascii=False).encode() + b"\n" for value in values)


def events(*values: Any) -> bytes:
    payloads = [value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for value in values]
    return "".join(f"data: {payload}\n\n" for payload in payloads).encode()


def chunk(text: str | None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {} if text is None else {"content": text}, **more}]}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", ""),
        (b"Hello there.", "Hello there."),
        (b"\n\n  Hello\r\n\r\n  there \r", "\n\n  Hello\r\n\r\n  there \r"),
        (b"data is what we have", "data is what we have"),
        (b":-) hello", ":-) hello"),
        (b"data: the plural\nof datum: a word", "data: the plural\nof datum: a word"),
        (b"event: a party\nWhere?", "event: a party\nWhere?"),
        (b"idle hands", "idle hands"),
        (b"\xef\xbb\xbfwith a mark", "\ufeffwith a mark"),
        ("日本語 🎉".encode(), "日本語 🎉"),
        (b"bad \xff byte", "bad \ufffd byte"),
        (b"{ x } in code", "{ x } in code"),
        (b'{"a": 1} is an object', '{"a": 1} is an object'),
        (b'{"a": 1}\nis an object', '{"a": 1}\nis an object'),
        (b'{"a": 1}\n{is not}', '{"a": 1}\n{is not}'),
        (b'{"unfinished": ', '{"unfinished": '),
        (events({"content": "Hel"}, {"content": "lo"}), "Hello"),
        (b": ping\n\n" + events(chunk("Hi"), chunk(None, finish_reason="stop"), "[DONE]"), "Hi"),
        (events("plain", " words", "{}", '{"text": "as it is"}'), 'plain words{}{"text": "as it is"}'),
        (b'event: message\r\nid: 7\r\ndata: {"text": "a"}\r\n\r\nretry: 5\r\ndata: {"text": "b"}\r\n\r\n', "ab"),
        (b"data: one\ndata: two\n\n", "one\ntwo"),
        (b"data: one\nunmarked\n\n", None),
        (b'data: {"text": "a"}\ndata: {"text": "b"}\n', "ab"),
        (b'data: {"text": "last"}', "last"),
        (b'data: {"text":\ndata:  "over two lines"}\n\n', "over two lines"),
        (events({"text": "a"}, "[DONE]", {"text": "never"}), "a"),
        (events('"in quotes"', '" too"'), "in quotes too"),
        (lines({"text": "a"}, {"message": {"content": "b"}}, {"step": 3}, chunk("c")), "abc"),
        (lines({"text": "a"}, {"text": "b"})[:-1], "ab"),
        (lines({"text": "a"}, {"text": "b"}) + b"a log line\n", "aba log line\n"),
        (b'{\n  "output": "pretty"\n}', "pretty"),
        (b'{"output": "one"}', "one"),
        (b'{"choices": [{"message": {"content": "one"}}]}', "one"),
        (b'{"message": {"content": [{"type": "text", "text": "a"}, {"text": "b"}]}}', "ab"),
        (b'{"content": "half of a pair \\ud83d"}', "half of a pair \ufffd"),
    ],
)
def test_the_form_is_told_by_the_content(body: bytes, said: str | None, kind: str) -> None:
    if said is None:  # Not only fields, so it may be text: it is, whole.
        said = body.decode()
    elif kind == NDJSON and body.startswith(b'{"a": 1}\n'):
        said = said.removeprefix('{"a": 1}\n')  # Here the header decides: the first line is an event without text.
    assert whole(body, kind=kind) == said


@pytest.mark.parametrize("body", [b'{"output": {"a": 1}}', b'{"answer": null}\n', b'{\n  "n": 1\n}'])
def test_a_value_without_text_is_the_text(body: bytes) -> None:
    """A model that was asked for JSON may have written it."""
    assert whole(body, kind=TEXT) == body.decode()
    assert whole(body, kind=JSON) == body.decode().strip()


@pytest.mark.parametrize(
    ("body", "said"),
    [(b'"a string"', "a string"), (b"null", ""), (b"[1, 2]", "[1, 2]"), (b" 42 ", "42"), (b"Hello, no JSON", None)],
)
def test_what_the_header_calls_json_may_be_any_value(body: bytes, said: str | None) -> None:
    assert whole(body, kind=JSON) == (body.decode() if said is None else said)
    assert whole(body, kind=TEXT) == body.decode()


@pytest.mark.parametrize(
    ("form", "said"),
    [("text", '{"text": "a"}\n{"text": "b"}\n'), ("lines", "ab"), ("json", '{"text": "a"}\n{"text": "b"}\n')],
)
def test_the_form_may_be_said(form: str, said: str) -> None:
    assert whole(lines({"text": "a"}, {"text": "b"}), form=form) == said


def test_where_the_text_is_may_be_said() -> None:
    assert whole(b'{"result": {"parts": ["a", "b"]}}', output="result.parts.-1") == "b"
    assert whole(b'{"result": {"n": [1, 2]}}', output="result.n") == "[1, 2]"
    assert whole(lines({"d": {"t": "a"}}, {"other": 1}, {"d": {"t": "b"}}), output="d.t") == "ab"
    assert whole(events({"d": {"t": ""}}), output="d.t") == ""


@pytest.mark.parametrize(
    ("body", "config"),
    [
        (b'{"result": "x", "usage": 3}', {"output": "output.text"}),
        (lines({"step": 1}, {"step": 2}), {}),
        (events({"step": 1}), {}),
        (b'{"list": [1]}', {"output": "list.1"}),
    ],
)
def test_an_answer_without_text_is_no_empty_answer(body: bytes, config: dict[str, Any]) -> None:
    text, _, failure = read(body, **config)
    assert text == ""
    assert isinstance(failure, ConfigError)
    assert failure.begun
    assert "agents.coder.output" in failure.message


@pytest.mark.parametrize(
    ("body", "partial"),
    [
        (b'{"error": "out of tools"}', ""),
        (b'{"error": {"message": "out of tools"}}', ""),
        (events({"content": "Hel"}, {"error": "out of tools"}), "Hel"),
        (events({"content": "Hel"}) + b'event: error\ndata: {"message": "out of tools"}\n\n', "Hel"),
        (events({"content": "Hel"}) + b"event: error\ndata: out of tools\n\n", "Hel"),
        (lines({"text": "Hel"}, {"type": "error", "message": "x", "error": "out of tools"}), "Hel"),
        (events({"content": "Hel"}, {"type": "error", "message": "out of tools"}), "Hel"),
        (events({"content": "Hel"}, {"event": "error", "content": "out of tools"}), "Hel"),
        (b'{"statusCode": 500, "error": "out of tools", "message": "boom"}', ""),
        (b'{"output": "", "error": "out of tools"}', ""),
        (events(chunk("Hel"), {**chunk(None), "error": {"message": "out of tools"}}), "Hel"),
    ],
)
def test_an_error_in_the_answer_breaks_it(body: bytes, partial: str) -> None:
    text, _, failure = read(body)
    assert text == partial
    assert isinstance(failure, StreamBroken)
    assert "out of tools" in failure.message


def test_a_text_beside_an_error_is_the_answer() -> None:
    assert whole(b'{"output": "Done.", "error": "one tool was slow"}') == "Done."
    assert whole(b'{"message": "Done.", "error": null}') == "Done."
    assert whole(b'{"message": "Done.", "error": "one tool was slow"}', output="message") == "Done."


@pytest.mark.parametrize("output", ["", "content"])
def test_what_is_nested_beyond_reading_is_no_crash(output: str) -> None:
    deep = [b'{"content":' * 900 + b"1" + b"}" * 900, b'{"content":' + b"[" * 900 + b'"x"' + b"]" * 900 + b"}"]
    for body in deep:
        text, _, failure = read(body, kind=JSON, output=output)
        assert isinstance(failure, ConfigError) if failure else text.replace(" ", "") in body.decode()


@pytest.mark.parametrize("output", ["list.\u00b2", "list.--1", "list.9999999999", "list."])
def test_a_place_that_is_none_holds_no_text(output: str) -> None:
    assert isinstance(read(b'{"list": [1]}', output=output)[2], ConfigError)


def test_the_names_that_an_answer_has_can_be_printed() -> None:
    _, _, failure = read(b'{"\\ud800": 1, "' + b"k" * 100_000 + b'": 2}', output="text")
    assert len(str(failure).encode()) < 1000


# Long answers -----------------------------------------------------------------------------------------------------


def test_many_lines_that_begin_like_an_error_are_text() -> None:
    said = "❌ Error:\n" * 20_000 + "done"
    assert whole(said.encode()) == said
    assert whole(*(said[at : at + 5000].encode() for at in range(0, len(said), 5000))) == said


@pytest.mark.parametrize(
    ("piece", "form"), [(b"\n", "text"), (b": ping\n\n", "text"), (b"data: word\n", "sse"), (b"data: word", "sse")]
)
def test_what_tells_no_form_for_long_is_not_looked_at_again_and_again(piece: bytes, form: str) -> None:
    """Work that grows with the square of a length holds up every other call."""
    assert form_of(piece * MOST_HEAD, TEXT, ended=False) == form
    assert form_of(piece * MOST_HEAD + b'{"text": "a"}', TEXT, ended=False) == form


@pytest.mark.parametrize(("form", "start"), [("lines", b""), ("sse", b"data: ")])
def test_a_long_line_comes_in_any_pieces(form: str, start: bytes) -> None:
    line = b'{"text": "' + b"x" * 1_000_000 + b'"}'
    pieces = [line[at : at + 100] for at in range(0, len(line), 100)]
    assert whole(start, *pieces, form=form) == "x" * 1_000_000


def test_a_block_of_fields_is_cut_for_looking_at_it_at_a_line() -> None:
    for much in range(MOST_HEAD - 12, MOST_HEAD + 12):
        body = b"data: " + b"x" * (much - 7) + b"\ndata: y\n\n"
        assert whole(body) == whole(*(body[at : at + 64] for at in range(0, len(body), 64))) == "x" * (much - 7) + "\ny"


def test_an_event_without_an_end_is_broken_off() -> None:
    text, _, failure = read(*[b"data: " + b"word\ndata: " * 10_000] * 200, form="sse")
    assert text == ""
    assert isinstance(failure, StreamBroken)
    assert "longer than" in failure.message


def test_a_finish_reason_that_says_more_than_stop_is_kept() -> None:
    assert read(events(chunk("Hi"), chunk(None, finish_reason="length")))[1] == Finished("length")


# The end ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"Hello", events({"text": "Hello"}), lines({"text": "Hello"}, {"x": 1}), b""])
def test_a_body_that_only_stops_proves_nothing(body: bytes) -> None:
    _, _, failure = read(body, bounded=False)
    assert isinstance(failure, StreamBroken)
    assert "no length" in failure.message


BODIES = [
    b"data is bare text\r\nwith lines",
    "Grüße 🎉, ganz bar".encode(),
    b": ping\n\n" + events(chunk("Hel"), chunk("lo 🎉"), "[DONE]"),
    events("plain", " words"),
    lines({"text": "Hel"}, {"text": "lo 🎉"}),
    b'{\n  "output": "pretty"\n}',
    "text\n❌ Error: boom\n    at agent (x.ts:1:1)".encode(),
]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_cut_is_a_broken_stream_with_the_text_so_far(body: bytes, kind: str) -> None:
    text = read(body, kind=kind)[0]
    for cut in range(len(body) + 1):
        partial, last, failure = read(body[:cut], kind=kind, lost=LOST)
        assert last is None
        assert isinstance(failure, StreamBroken)
        assert failure.__cause__ is LOST
        assert text.startswith(partial)


@st.composite
def split(draw: st.DrawFn, bodies: st.SearchStrategy[bytes]) -> tuple[bytes, list[bytes]]:
    body = draw(bodies)
    places = sorted(draw(st.lists(st.integers(0, len(body)), max_size=8)))
    return body, [body[start:end] for start, end in zip([0, *places], [*places, len(body)], strict=True)]


WORDS = st.sampled_from(
    [
        *("data:", "data: ", "event: error", "id", ":", ": ping", "\n", "\n\n", "\r\n", "\r", "{", "}", '"', " "),
        *(
            '{"text": "a"}',
            '{"a": 1}',
            '{"error": "x"}',
            "[DONE]",
            "❌ Error:",
            "❌",
            "    at x (y:1)",
            "é",
            "🎉",
            "word",
        ),
    ]
)
MESSY = st.lists(WORDS, max_size=12).map(lambda words: "".join(words).encode())


@given(split(st.one_of(MESSY, st.binary(max_size=40), st.sampled_from(BODIES))), st.sampled_from(KINDS))
@example((b"\xef\xbb\xbfhi", [b"\xef", b"\xbb\xbfhi"]), "")
@example((b"data: a\r\r", [b"data: a\r", b"\r"]), "")
def test_any_split_gives_the_same(body: tuple[bytes, list[bytes]], kind: str) -> None:
    """Merged where they touch: pieces of bare text come as the network cuts them."""
    data, parts = body

    def outcome(*parts: bytes) -> tuple[str, StreamEvent | None, str]:
        text, last, failure = read(*parts, kind=kind)
        return text, last, f"{type(failure).__name__} {failure}"

    assert outcome(*parts) == outcome(data) == outcome(*(data[place : place + 1] for place in range(len(data))))


@given(split(st.text(max_size=60).filter(lambda text: "❌" not in text).map(str.encode)))
def test_bare_text_comes_out_byte_equal(body: tuple[bytes, list[bytes]]) -> None:
    data, parts = body
    if form_of(data, SSE, ended=True) == "text":
        assert whole(*parts, kind=SSE).encode() == data
    assert whole(*parts, kind=SSE, form="text").encode() == data


@given(split(MESSY))
def test_whatever_comes_is_an_answer_or_an_error(body: tuple[bytes, list[bytes]]) -> None:
    for kind in KINDS:
        _, last, failure = read(*body[1], kind=kind)
        assert (last is None) != (failure is None)


def test_no_secret_is_quoted() -> None:
    _, _, failure = read(b'{"error": "no key sk-secret"}')
    assert "sk-secret" not in str(failure)

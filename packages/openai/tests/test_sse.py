"""Server-sent events: the same events come out however the bytes are cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pointsman_openai.sse import Event, EventParser, EventTooLong


def parsed(*reads: bytes) -> list[Event]:
    parser = EventParser()
    return [event for data in reads for event in parser.feed(data)] + parser.rest()


LINES = st.sampled_from(
    [b"data: {}", b"data:x", b"data", b"data: ", b"data:  two", b"event: error", b"event", b": comment", b":", b"id: 1",
     b"retry: 10", b"unknown", b"", b"", b"", "data: ü€😀".encode(), b"data: \xff\xfe", b"datum: x"]
)  # fmt: skip
NEWLINES = st.sampled_from([b"\n", b"\r\n", b"\r"])
BODIES = st.lists(st.tuples(LINES, NEWLINES)).map(lambda lines: b"".join(itertools.chain(*lines)))


@st.composite
def cut(draw: st.DrawFn, bodies: st.SearchStrategy[bytes]) -> tuple[bytes, list[bytes]]:
    body = draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + draw(bodies) + draw(st.sampled_from([b"", b"data: cut"]))
    places = sorted(draw(st.sets(st.integers(0, len(body)))))
    return body, [body[start:end] for start, end in itertools.pairwise([0, *places, len(body)])]


@given(cut(BODIES | st.binary()))
@example((b"data: a\r\n\r\ndata: b\n\n", [b"data: a\r", b"\n\r", b"\ndata: b\n", b"\n"]))
@example((b"data: a\r\rdata: b\r\r", [b"data: a\r", b"", b"\rdata: b\r", b"\r"]))
def test_cutting_changes_nothing(cut_body: tuple[bytes, list[bytes]]) -> None:
    body, reads = cut_body
    assert parsed(*reads) == parsed(body) == parsed(*(body[at : at + 1] for at in range(len(body))))


@given(BODIES)
def test_agrees_with_the_standard_read_plainly(body: bytes) -> None:
    """The algorithm of the HTML standard, line by line, but for the last event, which may lack its blank line."""
    events: list[Event] = []
    name, data = "", list[bytes]()
    for line in [*body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"), b""]:
        if not line:
            if b"\n".join(data):
                events.append((name, b"\n".join(data)))
            name, data = "", []
        elif not line.startswith(b":"):
            field, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if field == b"data":
                data.append(value)
            elif field == b"event":
                name = value.decode()
    assert parsed(body) == events


@given(
    st.lists(st.tuples(st.sampled_from(["", "error"]), st.binary(min_size=1).filter(lambda b: not {*b"\r\n"} & {*b})))
)
def test_what_is_written_is_read(events: list[Event]) -> None:
    body = b"".join(
        (f"event: {name}\n".encode() if name else b"") + b"data: " + data + b"\n\n" for name, data in events
    )
    assert parsed(body) == events


@pytest.mark.parametrize("step", [1, 1000])
def test_an_event_has_a_limit(step: int) -> None:
    parser = EventParser(max_event_bytes=10_000)
    with pytest.raises(EventTooLong, match="10000 bytes"):
        for _ in range(20_000 // step):
            parser.feed(b"x" * step)


def test_many_small_events_have_none() -> None:
    parser = EventParser(max_event_bytes=100)
    assert len(parser.feed(b"data: x\n\n" * 1000)) == 1000


def test_a_long_event_in_small_pieces_takes_linear_time() -> None:
    """Also one of many short lines, which completes a line with each piece. Quadratic, it would not end in time."""
    assert len(parsed(*[b"data: x\n"] * 100_000, b"\n")) == 1

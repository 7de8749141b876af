"""A pull's bytes, cut anywhere and handed over in any pieces: whole only with its last line, and never backwards."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import PointsmanError, StreamBroken, Target
from pointsman_ollama.errors import pull_error
from pointsman_ollama.progress import Marks, Progress, PullDecoder

TARGET = Target("ollama", "m")
LAYERS = {f"sha256:{letter * 64}": size for letter, size in (("a", 1000), ("b", 10), ("c", 0))}
STEPS = ["pulling manifest", "verifying sha256 digest", "writing manifest", "removing unused layers"]


def complaint(told: Any) -> PointsmanError:
    return pull_error(told, base_url="http://127.0.0.1:11434", secrets=("sk-secret",), target=TARGET)


def decoder(marks: Marks | None = None) -> PullDecoder:
    return PullDecoder(TARGET, marks or Marks(), complaint, ("sk-secret",))


def line(**told: Any) -> bytes:
    return json.dumps(told).encode() + b"\n"


@st.composite
def layer_lines(draw: st.DrawFn) -> bytes:
    """What a server says of a layer, in any order: it takes back what it has to fetch again."""
    digest = draw(st.sampled_from(sorted(LAYERS)))
    told: dict[str, Any] = {"status": f"pulling {digest[7:19]}", "digest": digest, "total": LAYERS[digest]}
    if completed := draw(st.none() | st.integers(0, 1200)):
        told["completed"] = completed
    if draw(st.integers(0, 9)) == 0:
        del told["total"]
    return line(**told)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    steps = st.sampled_from(STEPS).map(lambda status: line(status=status))
    return b"".join([*draw(st.lists(layer_lines() | steps, max_size=8)), line(status="success")])


def read(one: PullDecoder, data: bytes, sizes: list[int], lost: Exception | None = None) -> list[Progress]:
    at = 0
    for size in sizes:
        one.feed(data[at : at + size])
        at += size
    one.feed(data[at:])
    if not one.over:
        one.end(lost)
    return list(one.ready)


@given(bodies(), st.lists(st.integers(0, 40), max_size=6), st.data())
def test_a_cut_is_never_taken_for_success(body: bytes, sizes: list[int], data: Any) -> None:
    at = data.draw(st.integers(0, len(body)))
    lost = data.draw(st.none() | st.just(OSError("reset")))
    one = decoder()
    read(one, body[:at], sizes, lost)
    whole = at == len(body) or (at == len(body) - 1 and lost is None)
    assert one.done is whole
    assert (one.failure is None) is whole
    if not whole:
        assert type(one.failure) is StreamBroken
        assert one.failure.retryable


@given(st.lists(bodies(), min_size=1, max_size=3), st.data())
def test_progress_never_goes_backwards_within_a_layer(bodies: list[bytes], data: Any) -> None:
    """Nor from one request to the next of the same pull."""
    marks, seen = Marks(), dict[str, int]()
    for body in bodies:
        for told in read(decoder(marks), body[: data.draw(st.integers(0, len(body)))], []):
            if told.digest is not None:
                assert told.completed >= seen.get(told.digest, 0)
                assert told.total is None or told.completed <= told.total
                seen[told.digest] = told.completed


def test_a_size_that_is_told_late_is_no_less_than_what_was_there() -> None:
    about = {"status": "pulling bbbbbbbbbbbb", "digest": "sha256:b"}
    told = read(decoder(), line(**about, completed=11) + line(**about, total=10, completed=10), [])
    assert [(one.completed, one.total) for one in told] == [(11, None), (11, 11)]


@given(bodies(), st.lists(st.integers(0, 40), max_size=6))
def test_pieces_make_no_difference(body: bytes, sizes: list[int]) -> None:
    assert read(decoder(), body, sizes) == read(decoder(), body, [])


@given(st.binary(max_size=200))
def test_whatever_comes_is_read_or_refused(data: bytes) -> None:
    one = decoder()
    read(one, data, [])
    assert one.over
    assert one.done == (one.failure is None)


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from(["status", "digest", "total", "completed", "error", "x"]), JSON))
def test_whatever_a_line_holds_is_read_or_refused(told: dict[str, Any]) -> None:
    one = decoder()
    read(one, line(**told), [])
    assert one.done is (
        told.get("status") == "success" and "error" not in told and not isinstance(told.get("digest"), str)
    )
    assert one.over


def test_what_was_new() -> None:
    """Words that were there before are not; that is how a pull that goes nowhere is told."""
    marks, digest = Marks(), next(iter(LAYERS))
    for told, news in (
        (line(status="pulling manifest"), 1),
        (line(status="pulling manifest"), 1),
        (line(status="pulling a", digest=digest, total=9), 2),
        (line(status="pulling a", digest=digest, total=9), 2),
        (line(status="pulling a", digest=digest, total=9, completed=4), 3),
        (line(status="pulling a", digest=digest, total=9, completed=2), 3),
        (line(status="writing manifest"), 4),
    ):
        decoder(marks).feed(told)
        assert marks.news == news


@pytest.mark.parametrize("rest", [b"<html>sk-secret", b"sk-secret\n", b"[" * 100_000 + b"\n", b"x" * (9 << 20)])
def test_no_secret_and_no_flood_in_a_message(rest: bytes) -> None:
    one = decoder()
    read(one, rest, [])
    assert type(one.failure) is StreamBroken
    assert "sk-secret" not in str(one.failure)
    assert len(str(one.failure)) < 300

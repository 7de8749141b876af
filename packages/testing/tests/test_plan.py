"""The pure half of the lab's faults, as properties."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_testing import Chunk
from pointsman_testing.lab.plan import End, Pause, plan
from pointsman_testing.lab.script import Raw

bodies = st.lists(st.binary(min_size=1, max_size=8), max_size=6).map(
    lambda parts: tuple(Chunk(part, float(due)) for due, part in enumerate(parts))
)


def sent(steps: Any) -> bytes:
    return b"".join(step.data for step in steps if isinstance(step, Chunk))


def whole(body: tuple[Chunk, ...]) -> bytes:
    return b"".join(chunk.data for chunk in body)


@given(bodies, st.integers(-60, 60), st.sampled_from(["clean", "close", "reset"]))
def test_a_cut_sends_exactly_the_bytes_before_it(body: tuple[Chunk, ...], at: int, how: Any) -> None:
    steps = plan(body, Raw(b"").cut(at, how=how).faults)
    size = len(whole(body))
    expected = min(at, size) if at >= 0 else max(size + at, 0)
    assert sent(steps) == whole(body)[:expected]
    assert steps[-1] == End(how)


@given(bodies, st.integers(-8, 8))
def test_a_cut_after_events_sends_whole_events(body: tuple[Chunk, ...], after: int) -> None:
    steps = plan(body, Raw(b"").cut(after=after).faults)
    expected = after if after >= 0 else max(len(body) + after, 0)
    assert sent(steps) == whole(body[:expected])


@given(bodies, st.integers(0, 50), st.binary(max_size=5), st.integers(0, 50), st.integers(1, 5))
def test_other_faults_lose_nothing(body: tuple[Chunk, ...], at: int, data: bytes, stall: int, size: int) -> None:
    steps = plan(body, Raw(b"").garbage(at, data=data).stall(stall, seconds=3).drip(size, every=1).faults)
    text = whole(body)
    assert sent(steps) == text[:at] + data + text[at:]
    assert all(len(step.data) <= size for step in steps if isinstance(step, Chunk))
    assert steps.count(Pause(3)) == 1
    assert [step for step in steps if isinstance(step, End)] == [End("clean")]
    dues = [step.due for step in steps if isinstance(step, Chunk)]
    assert dues == sorted(dues)


@given(bodies, st.integers(0, 50))
def test_a_stall_is_where_it_was_scripted(body: tuple[Chunk, ...], at: int) -> None:
    steps = plan(body, Raw(b"").stall(at).faults)
    before = steps[: next(index for index, step in enumerate(steps) if isinstance(step, Pause))]
    assert sent(before) == whole(body)[:at]


def test_faults_at_one_place_keep_their_order() -> None:
    faulty = Raw(b"").garbage(2, data=b"!").stall(2, seconds=1).garbage(2, data=b"?").cut(2, how="reset")
    steps = plan((Chunk(b"abcd"),), faulty.faults)
    assert steps == [Chunk(b"ab"), Chunk(b"!"), Pause(1), Chunk(b"?"), End("reset")]


def test_a_fault_at_the_end_of_an_event_does_not_wait_for_the_next() -> None:
    steps = plan((Chunk(b"ab", 1.0), Chunk(b"cd", 9.0)), Raw(b"").cut(after=1).faults)
    assert steps == [Chunk(b"ab", 1.0), End("close")]


@pytest.mark.parametrize("places", [{}, {"at": 1, "after": 1}])
def test_a_place_is_one_of_two(places: dict[str, int]) -> None:
    with pytest.raises(TypeError, match="where"):
        Raw(b"").cut(**places)  # type: ignore[arg-type]

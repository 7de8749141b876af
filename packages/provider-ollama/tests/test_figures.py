"""What a pull looks like: figures for a person, in whatever room there is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_ollama import Progress

pytest.importorskip("click")  # The extra `cli`.

from pointsman_ollama.cli.figures import Speed, size, span
from pointsman_ollama.cli.screen import Line, Lines, harmless, layer_line


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (9960, "10 kB"), (999_600, "1.0 MB"), (4_683_073_184, "4.7 GB")],
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1m 00s"), (3599.6, "1h 00m"), (7500, "2h 05m")]
)
def test_spans(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_a_speed_is_of_the_last_seconds() -> None:
    speed = Speed()
    assert speed.measure(0.0, 5000) is None  # What was there before is no speed.
    assert speed.measure(1.0, 6000) == 1000.0
    for second in range(2, 20):
        told = speed.measure(float(second), 6000)
    assert told == 0.0
    speed.restart()
    assert speed.measure(30.0, 0) is None


PROGRESS = st.builds(
    Progress,
    st.text(max_size=40).map(harmless),
    st.just("sha256:a"),
    st.integers(0, 10**13),
    st.none() | st.integers(0, 10**13),
)


@given(PROGRESS, st.none() | st.floats(0, 1e12), st.integers(1, 220), st.none() | st.just("━─"))
def test_a_line_fits(progress: Progress, speed: float | None, room: int, bar: str | None) -> None:
    assert len(layer_line(progress, speed, room, bar)) <= room


@given(st.lists(st.tuples(st.integers(0, 120), st.sampled_from(["sha256:a", "sha256:b"])), max_size=30))
def test_lines_that_stay_are_few(told: list[tuple[int, str]]) -> None:
    """One at the first that is heard of a layer, and at most one for each tenth of it."""
    written: list[str] = []
    lines = Lines(written.append)
    for now, (completed, digest) in enumerate(told):
        lines.show(Progress("pulling", digest, min(completed, 100), 100), float(now))
    assert len(written) <= 11 * len({digest for _, digest in told})


def test_what_a_server_says_does_not_move_the_cursor() -> None:
    written: list[str] = []
    line = Line(written.append, lambda: 80)
    line.show(Progress("pulling \x1b]0;title\x07\r\nmanifest"), 0.0)
    line.show(Progress("\x1b[2J", "sha256:a", 1, 10), 1.0)
    line.tick(9.0)
    assert "\x1b" not in "".join(written).replace("\r\x1b[K", "")
    assert "\n" not in "".join(written)

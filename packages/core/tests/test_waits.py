"""When to ask again, in all spellings."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import retry_at, wait_seconds

WALL = 1_800_000_000.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("2", 2),
        (" 1.5 ", 1.5),
        ("20ms", 0.02),
        ("1s", 1),
        ("6m0s", 360),
        ("1h2m3.5s", 3723.5),
        ("1d", 86400),
        ("-5", 0),
        (str(int(WALL) + 7), 7),
        (str((int(WALL) + 7) * 1000), 7),
        (str(int(WALL) - 7), 0),
        (formatdate(WALL + 90, usegmt=True), 90),
        (formatdate(WALL - 90, usegmt=True), 0),
        ("2027-01-15T08:00:30Z", 30),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("1e999", None),
        ("5 apples", None),
    ],
)
def test_spellings(text: str, seconds: float | None) -> None:
    expected = seconds if seconds is None else pytest.approx(seconds)
    assert wait_seconds(text, {}, wall=WALL) == expected
    at = retry_at({"Retry-After": text}, 100.0, wall=WALL)
    assert at == (seconds if seconds is None else pytest.approx(100 + seconds))


@given(st.text() | st.from_regex(r"[0-9.]{0,6}(ms|s|m|h|d)?", fullmatch=True))
def test_any_text_is_a_wait_or_none(text: str) -> None:
    found = wait_seconds(text, {"date": text}, wall=WALL)
    assert found is None or found >= 0
    at = retry_at({"retry-after": text, "retry-after-ms": text, "date": text}, 5.0)
    assert at is None or 5 <= at <= 5 + 86_400


@given(st.floats(0, 86_400))
def test_seconds_are_read_as_they_are_written(seconds: float) -> None:
    assert wait_seconds(str(seconds), {}) == pytest.approx(seconds)


def test_a_wrong_clock_does_not_matter() -> None:
    """Dates are compared with the server's own."""
    headers = {"Date": formatdate(WALL, usegmt=True), "Retry-After": formatdate(WALL + 30, usegmt=True)}
    assert retry_at(headers, 100.0, wall=WALL + 5000) == 130


def test_without_a_date_of_the_server_this_machines_clock_counts() -> None:
    at = retry_at({"retry-after": str(int(time.time()) + 60)}, 100.0)
    assert at == pytest.approx(160, abs=5)


@pytest.mark.parametrize(
    ("headers", "at"),
    [
        ({}, None),
        ({"Retry-After-Ms": "250"}, 100.25),
        ({"retry-after-ms": "-1"}, 100.0),
        ({"retry-after-ms": "nan"}, None),
        ({"retry-after-ms": "250", "RETRY-AFTER": "2"}, 102.0),
        ({"retry-after-ms": "2500", "retry-after": "soon"}, 102.5),
        ({"retry-after": "1e300"}, 100.0 + 86_400),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, 100.0 + 86_400),
    ],
)
def test_the_later_of_two_headers_counts_and_nothing_is_later_than_a_day(
    headers: dict[str, str], at: float | None
) -> None:
    assert retry_at(headers, 100.0, wall=WALL) == at

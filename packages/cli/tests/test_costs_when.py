"""Stretches of time, as one says them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_cli.costs.choice import query, shown
from pointsman_cli.costs.when import stretch

NOW = datetime(2026, 11, 29, 7, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "begin", "end"),
    [
        ("today", "2026-11-29", "2026-11-30"),
        ("Yesterday", "2026-11-28", "2026-11-29"),
        ("week", "2026-11-23", "2026-11-30"),
        ("month", "2026-11-01", "2026-12-01"),
        ("year", "2026-01-01", "2027-01-01"),
        ("1d", "2026-11-29", "2026-11-29"),
        ("7d", "2026-11-23", "2026-11-23"),
        ("2w", "2026-11-16", "2026-11-16"),
        ("12h", "2026-11-28T19:30", "2026-11-28T19:30"),
        ("2026-02", "2026-02-01", "2026-03-01"),
        ("2026-12", "2026-12-01", "2027-01-01"),
        (" 2026-11-05 ", "2026-11-05", "2026-11-06"),
        ("2026-11-05T14:30", "2026-11-05T14:30", "2026-11-05T14:30"),
        ("2026-11-05T14:30+02:00", "2026-11-05T12:30", "2026-11-05T12:30"),
    ],
)
def test_it_is_understood(said: str, begin: str, end: str) -> None:
    assert [one.replace(tzinfo=None) for one in stretch(said, NOW)] == [*map(datetime.fromisoformat, (begin, end))]


@pytest.mark.parametrize("said", ["", "soon", "2026-13", "2026-02-30", "-7d", "99999d", "7 d", "0000-01", "9999-12"])
def test_what_is_no_time_is_refused_with_what_is_one(said: str) -> None:
    with pytest.raises(ValueError, match=r"is no time: write today, .*2026-11-05T14:30"):
        stretch(said, datetime(2, 1, 1, tzinfo=UTC))


@given(st.text(max_size=20) | st.from_regex(r"[0-9]{1,6}[dhw]|[0-9]{4}-[0-9]{2}(-[0-9]{2})?", fullmatch=True))
def test_whatever_is_said_is_a_stretch_or_refused(said: str) -> None:
    try:
        found, refused = stretch(said, NOW), None
    except ValueError as error:
        found, refused = None, str(error)
    assert refused is None or "is no time" in refused
    if found:
        assert found.begin <= found.end
        assert found.begin.utcoffset() == found.end.utcoffset() == timedelta()


def test_days_and_months_are_whole() -> None:
    """``--until`` names the last day that is meant, as one says it."""
    october = query("2026-10", "2026-10", {}, {}, now=NOW)
    assert (october.since, october.until) == (datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))
    assert shown(october.since, october.until) == "from 2026-10-01 to 2026-10-31"


def test_the_last_thirty_days_are_meant_if_nothing_is_said() -> None:
    assert query(None, None, {}, {}, now=NOW).since == datetime(2026, 10, 31, tzinfo=UTC)
    assert query("all", None, {}, {}, now=NOW).since is None
    assert query(None, "2026-10", {}, {}, now=NOW).since is None
    assert query(None, None, {}, {}, now=NOW, days=None).since is None


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(click.UsageError, match="--since today is not before --until yesterday"):
        query("today", "yesterday", {}, {}, now=NOW)
    with pytest.raises(click.UsageError, match="tag:team cannot be both 'a' and 'b'"):
        query(None, None, {"tag:team": "a"}, {"tag:team": "b"}, now=NOW)
    with pytest.raises(click.UsageError, match="--until: 'tomorrow' is no time"):
        query(None, "tomorrow", {}, {}, now=NOW)

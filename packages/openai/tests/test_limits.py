"""Times to wait, in all spellings."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import RateLimit
from pointsman_openai.limits import Violation, rate_limits, retry_after, violations, window

WALL = 1_800_000_000.0


@given(st.text() | st.from_regex(r"[0-9.]{0,6}(ms|s|m|h|d)?", fullmatch=True))
def test_any_text_is_a_wait_or_none(text: str) -> None:
    waits = retry_after({"retry-after": text, "retry-after-ms": text, "date": text, "ratelimit": text}, text, WALL)
    assert waits is None or 0 <= waits <= 86_400


def test_the_later_of_what_headers_and_words_say_counts_by_the_servers_clock() -> None:
    headers = {"date": formatdate(WALL, usegmt=True), "retry-after": formatdate(WALL + 30, usegmt=True)}
    assert retry_after(headers, "", WALL + 5000) == 30
    assert retry_after(headers, "try again in 40s", WALL) == 40
    assert retry_after(headers, "try again in 20s", WALL, estimate=35.5) == 35.5


@pytest.mark.parametrize(("estimate", "seconds"), [(None, None), (-1.0, 0), (20.0, 20), (1e9, 3600)])
def test_an_estimate_is_taken_for_an_hour_at_most(estimate: float | None, seconds: float | None) -> None:
    assert retry_after({}, "", WALL, estimate) == seconds


def test_limits_of_sambanova() -> None:
    """Per minute and per day (SambaNova's documentation, "Rate limits")."""
    headers = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": str(int(WALL) + 20),
        "x-ratelimit-limit-requests-day": "12000",
        "x-ratelimit-remaining-requests-day": "11999",
        "x-ratelimit-reset-requests-day": str(int(WALL) + 3000),
        "content-type": "application/json",
    }
    assert rate_limits(headers, 100.0, WALL) == [
        RateLimit("requests", 60, 59, 120.0),
        RateLimit("requests-day", 12000, 11999, 3100.0),
    ]


def test_limits_of_the_hub() -> None:
    headers = {"ratelimit": '"api";r=0;t=55', "ratelimit-policy": '"fixed window";"api";q=500;w=300'}
    assert rate_limits(headers, 100.0, WALL) == [RateLimit("api", 500, 0, 155.0)]


@pytest.mark.parametrize("reset", ["999999999", "32503680000", "9e20", "1000d", "Sat, 01 Jan 3000 00:00:00 GMT"])
def test_no_window_closes_a_model_for_good(reset: str) -> None:
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": reset}
    assert rate_limits(headers, 5.0, 1_790_000_000.0)[0].reset_at == 5.0 + 86_400


def test_limits_without_a_kind() -> None:
    assert rate_limits({"ratelimit-limit": "5", "ratelimit-remaining": "x"}, 0.0, WALL) == [
        RateLimit("requests", 5, None, None)
    ]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Please try again in 20s.", 20),
        ("Rate limit reached ... Please try again in 6m0s. Visit", 360),
        ("Please retry after 12 seconds.", 12),
        ("try again in 250ms", 0.25),
        ("Try again later.", None),
        ("wait for it", None),
    ],
)
def test_words(text: str, seconds: float | None) -> None:
    assert retry_after({}, text, WALL) == seconds


def test_windows_that_a_refusal_names() -> None:
    """The first text was seen at SambaNova, under a daily limit (issues of 2026)."""
    text = "Request would exceed rate limit\nViolated duration_s: 86400, current usage: 196279, limit: 200000"
    assert violations(text) == [Violation(86400.0, 196279, 200000)]
    assert violations(f"{text}; Violated duration_s: 60") == [Violation(86400.0, 196279, 200000), Violation(60.0)]
    assert violations("limit: 3, duration_s: soon") == []
    assert [window(kind) for kind in ("requests", "requests-day", "tokens-minute", "x-hour", "")] == [
        60.0,
        86400.0,
        60.0,
        3600.0,
        60.0,
    ]


@pytest.mark.parametrize(
    ("seconds", "resets", "wait"),
    [
        (60, {}, 60),
        (86400, {}, 3600),  # Nobody says when the day ends.
        (86400, {"requests": 20}, 3600),  # The minute's end is not the day's.
        (86400, {"requests": 20, "requests-day": 5000}, 5000),
        (86400, {"tokens-day": 7000, "requests-day": 5000}, 7000),
        (60, {"requests": 20, "requests-day": 5000}, 20),
        (60, {"requests": -5}, 60),  # What is over already cannot be what is used up.
        (3600, {"requests-hour": 90}, 90),
    ],
)
def test_a_window_ends_when_the_headers_say_of_its_like(seconds: int, resets: dict[str, int], wait: float) -> None:
    headers = {f"x-ratelimit-reset-{kind}": str(int(WALL) + reset) for kind, reset in resets.items()}
    assert retry_after(headers, f"Violated duration_s: {seconds}, current usage: 3, limit: 3", WALL) == wait
    by_seconds = {f"x-ratelimit-reset-{kind}": str(reset) for kind, reset in resets.items()}
    assert retry_after(by_seconds, f"Violated duration_s: {seconds}", WALL) == wait


def test_of_two_limits_that_are_used_up_the_later_end_counts() -> None:
    headers = {
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "20",
        "x-ratelimit-remaining-requests-day": "0",
        "x-ratelimit-reset-requests-day": "7200",
    }
    assert retry_after(headers, "", WALL) == 7200
    assert retry_after(headers, "Violated duration_s: 60", WALL) == 7200

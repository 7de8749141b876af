"""A response that is no answer is an error that says all that it says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import AuthFailed, PointsmanError, RateLimited, Unavailable, refusal


def test_all_that_it_says_is_told() -> None:
    error = refusal(429, {"Retry-After": "7", "X-Request-Id": "r-1"}, b"slow down\n", 100.0)
    assert type(error) is RateLimited
    assert str(error) == "the server answered 429: slow down (status 429, request id r-1)"
    assert error.retry_at == 107.0


@pytest.mark.parametrize("body", [b"", b"  ", b"<!doctype html><title>no</title>", b"x" * 501])
def test_what_nobody_reads_is_left_out(body: bytes) -> None:
    error = refusal(401, {}, body, 0.0)
    assert type(error) is AuthFailed
    assert error.message == "the server answered 401"


def test_half_of_a_key_is_not_left_over() -> None:
    key = "sk-0123456789abcdef"
    for length in range(450, 520):
        assert key[:8] not in refusal(500, {}, b"." * length + key.encode(), 0.0).message or length + len(key) <= 500


@given(st.integers(100, 599), st.dictionaries(st.text(), st.text()), st.binary())
def test_whatever_comes_is_an_error_of_ours(status: int, headers: dict[str, str], body: bytes) -> None:
    error = refusal(status, headers, body, 1.0)
    assert isinstance(error, PointsmanError)
    assert error.status == status
    assert len(error.message) < 600
    assert isinstance(refusal(503, {}, body, 0.0), Unavailable)

"""Every refusal is some error, with a fact for each question that the engine asks."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import PointsmanError, Scope, Target
from pointsman_blaxel.errors import agent_error, platform_error, platform_of, refined
from pointsman_openai import Refusal

TARGET = Target("blaxel", "agent:coder")
SECRET = "sk-secret-0123456789"
CODES = ["WORKLOAD_UNAVAILABLE", "AUTHENTICATION_FAILED", "POLICY_VIOLATION", "BAD_REQUEST", "NEW_CODE", "", 7, None]
BODIES: list[bytes] = [
    b"",
    b"\xff\xfe",
    b"plain words",
    b"null",
    b"[]",
    b"[" * 3000,
    b'{"error": null}',
    b'{"error": []}',
    b'{"error": "text", "code": 404}',
    b'{"error": {}}',
    b'{"detail": [{"loc": ["body"], "msg": "Field required"}]}',
    b"<!doctype html><title>502 Bad Gateway</title>",
    b"Error: boom\n    at f (x.ts:1:1)",
    b"Traceback (most recent call last):\n  File x\nValueError: boom",
    f"the key {SECRET} is wrong".encode(),
    *(json.dumps({"error": {"code": code, "origin": "platform", "message": f"m {SECRET}"}}).encode() for code in CODES),
    *(json.dumps({"error": {"code": code, "status": 418}}).encode() for code in CODES),
]
HEADERS: list[dict[str, str]] = [
    {},
    {"x-blaxel-error-code": "WORKLOAD_UNAVAILABLE", "cf-ray": "r"},
    {"x-blaxel-error-code": "NONSENSE", "retry-after": "3"},
]


def of_agent(refusal: Refusal) -> PointsmanError:
    platform = platform_of(refusal)
    if platform is None:
        return agent_error(refusal, TARGET, secrets=(SECRET,), now=1.0, wall=0.0)
    return platform_error(platform, refusal, workspace="lab", secrets=(SECRET,), now=1.0, wall=0.0, target=TARGET)


@pytest.mark.parametrize("hundred", range(100, 600, 100))
def test_every_refusal_is_an_error(hundred: int) -> None:
    for status, body in product(range(hundred, hundred + 100), BODIES):
        for headers in HEADERS:
            error = of_agent(Refusal(status, headers, body))
            assert isinstance(error, PointsmanError)
            assert error.target == TARGET
            assert error.status == status
            assert error.message
            assert SECRET not in str(error)
            assert error.retry_at is None or error.retry_at >= 1.0


SHAPES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["error", "code", "origin", "x"]), inner)
    ),
    max_leaves=8,
)


@given(st.integers(100, 599), SHAPES, st.sampled_from(HEADERS))
def test_whatever_json_comes_nothing_breaks(status: int, value: Any, headers: dict[str, str]) -> None:
    refusal = Refusal(status, headers, json.dumps(value).encode())
    assert of_agent(refusal).status == status
    common = PointsmanError("x", status=status, scope=Scope.PROVIDER)
    assert isinstance(refined(common, refusal, workspace="lab"), PointsmanError)


@given(
    st.sampled_from(["WORKLOAD_UNAVAILABLE", "FORBIDDEN", "UPSTREAM_ERROR", "WORKLOAD_FAILED"]),
    st.sampled_from([None, True, False]),
    st.sampled_from([None, "not_dispatched", "dispatched_unknown", "new"]),
    st.sampled_from([None, "platform", "agent"]),
)
def test_begun_is_denied_only_by_the_platforms_own_word(code: str, safe: Any, state: Any, origin: Any) -> None:
    told = {"code": code, "origin": origin, "safe_to_retry_request": safe, "dispatch_state": state}
    body = json.dumps({"error": {name: value for name, value in told.items() if value is not None}}).encode()
    begun = of_agent(Refusal(503, {}, body)).begun
    if safe is True or state == "not_dispatched":
        assert not begun
    elif safe is False or state is not None or origin != "platform":
        assert begun
    else:
        assert begun is (code not in ("WORKLOAD_UNAVAILABLE", "FORBIDDEN"))

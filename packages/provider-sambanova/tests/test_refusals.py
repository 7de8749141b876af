"""What SambaNova refuses with, in all its shapes, and what its user reads of it.

Bodies are those of its OpenAPI document 1.2.0, of its pages on errors, and of refusals that users have reported. The
shape of a 402 nobody has shown.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pointsman import (
    AsyncClient,
    AuthFailed,
    ChatRequest,
    ContextOverflow,
    InvalidRequest,
    ModelGone,
    PointsmanError,
    QuotaExhausted,
    RateLimited,
    RateLimits,
    Scope,
    Settings,
    Target,
    Unavailable,
    user,
)
from pointsman_openai import Refusal, Session, rate_limits
from pointsman_openai.errors import response_error
from pointsman_sambanova import QUIRKS
from pointsman_sambanova.refusals import MalformedOutput, refined
from pointsman_testing import Answer, Fault, Vendor

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Session]]
REQUEST = ChatRequest(messages=(user("hi"),), model="gpt-oss-120b")
TARGET = Target("sambanova", "gpt-oss-120b")
NOW, WALL = 100.0, 1_800_000_000.0


def coded(code: str | None, message: str = "no", **beside: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}, **beside}


async def refused(opened: Open, vendor: Vendor, fault: Fault) -> PointsmanError:
    vendor.script(fault)
    async with opened(vendor) as session:
        with pytest.raises(PointsmanError) as caught:
            async with session.stream(REQUEST):
                pass
    return caught.value


@pytest.mark.parametrize(
    ("fault", "kind", "retryable", "words"),
    [
        (Fault(400, coded("invalid_value")), InvalidRequest, False, "no"),
        (Fault(400, coded("decimal_above_max_value", "Expected a value ...")), InvalidRequest, False, "Expected"),
        (Fault(400, "not an object"), InvalidRequest, False, "not an object"),
        (Fault(400, coded("context_length_exceeded")), ContextOverflow, False, "no"),
        (Fault(401, coded("invalid_api_key", request_id="d79vcq57")), AuthFailed, False, "cloud.sambanova.ai/apis"),
        (Fault(401, coded("invalid_authentication")), AuthFailed, False, "make a key at"),
        (Fault(401, coded(None, "You didn't provide an API key.")), AuthFailed, False, "didn't provide"),
        (Fault(401, {"error": "Unauthorized."}), AuthFailed, False, "Unauthorized; make a key"),
        (
            Fault(402, coded("PAYMENT_METHOD_REQUIRED", balance_units=0)),
            QuotaExhausted,
            False,
            "(balance: 0 units)",
        ),
        (
            Fault(402, {"error": {"code": "PAYMENT_METHOD_REQUIRED", "balance_units": 2.5}}),
            QuotaExhausted,
            False,
            "2.5",
        ),
        (Fault(402, {"error": "PAYMENT_METHOD_REQUIRED"}), QuotaExhausted, False, "plans/billing"),
        (Fault(402), QuotaExhausted, False, "A payment method is required"),
        (Fault(404, coded("model_not_found", "Model x not found.")), ModelGone, False, "`pointsman models sambanova`"),
        (Fault(400, coded("model_not_found")), ModelGone, False, "`pointsman models sambanova`"),
        (Fault(404, {"error": "Not found"}), ModelGone, False, "right address"),
        (Fault(408, {"error": "request_timeout"}), Unavailable, True, "request_timeout"),
        (Fault(410, {"error": "model_deprecated"}), ModelGone, False, "`pointsman models sambanova`"),
        (Fault(429, coded("insufficient_quota")), RateLimited, True, "no"),
        (Fault(429, coded("queue_full")), RateLimited, True, "no"),
        (Fault(504, coded("queue_full")), RateLimited, True, "no"),  # As older documents have it.
        (Fault(429, {"error": "Too many requests"}), RateLimited, True, "Too many"),
        (Fault(429, "Too many requests"), RateLimited, True, "Too many"),
        (Fault(500, "internal_error"), Unavailable, True, "internal_error"),
        (Fault(503, "Service Temporarily Unavailable"), Unavailable, True, "Temporarily"),
        (Fault(504, "<html><title>Gateway Time-out</title></html>"), Unavailable, True, "Gateway"),
    ],
)
async def test_errors_as_documented(
    opened: Open, vendor: Vendor, fault: Fault, kind: type[PointsmanError], retryable: bool, words: str
) -> None:
    error = await refused(opened, vendor, fault)
    assert (type(error), error.retryable, error.status) == (kind, retryable, fault.status)
    assert words in error.message
    assert error.target == TARGET
    assert error.scope is (Scope.PROVIDER if kind in (AuthFailed, QuotaExhausted) else kind.scope)
    assert error.request_id


async def test_the_request_id_is_the_one_in_the_body(opened: Open, vendor: Vendor) -> None:
    error = await refused(opened, vendor, Fault(401, coded("invalid_api_key", request_id="d79vcq57os633dverhi0")))
    assert error.request_id == "d79vcq57os633dverhi0"


@pytest.mark.parametrize(
    "fault",
    [
        Fault(500, {"error": {"type": "server_error", "message": "bad JSON", "error_model_output": "{"}}),
        Fault(400, {"error": {"type": "server_error", "message": "bad JSON", "error_model_output": "{"}}),
        Fault(400, {"error": "Model did not output valid JSON", "error_model_output": '{"a": '}),
    ],
)
async def test_what_the_model_wrote_wrongly_is_no_mistake_of_the_caller(
    opened: Open, vendor: Vendor, fault: Fault
) -> None:
    """Status 400, as users have met it, would end the call; a breaker would take it for an outage."""
    error = await refused(opened, vendor, fault)
    assert isinstance(error, MalformedOutput)
    assert (error.retryable, error.trips, error.scope, error.status) == (True, False, Scope.TARGET, fault.status)
    assert "JSON" in error.message


async def test_what_the_model_wrote_wrongly_is_asked_again(vendor: Vendor, key: str) -> None:
    vendor.script(Fault(400, {"error": "Model did not output valid JSON", "error_model_output": "{"}), Answer("{}"))
    given = {"providers": {"sambanova": {"base_url": vendor.base_url, "api_key": key}}}
    async with AsyncClient(settings=Settings.of(given)) as client:
        reply = await client.chat("hi", model="sambanova/gpt-oss-120b")
    assert (reply.text, [attempt.outcome for attempt in reply.attempts]) == ("{}", ["failed", "finished"])


async def test_no_message_holds_the_key(opened: Open, vendor: Vendor, key: str) -> None:
    for status in (400, 401, 402, 404, 429, 500):
        error = await refused(opened, vendor, Fault(status, coded("c", f"The key {key} is not the one.")))
        assert key not in str(error)
        assert "The key ***" in error.message


VIOLATED = "Request would exceed rate limit\nViolated duration_s: {}, current usage: {}, limit: {}"
PER_MINUTE = {
    "x-ratelimit-limit-requests": "20",
    "x-ratelimit-remaining-requests": "0",
    "x-ratelimit-reset-requests": "30",
}
PER_DAY = {
    "x-ratelimit-limit-requests-day": "200",
    "x-ratelimit-remaining-requests-day": "3",
    "x-ratelimit-reset-requests-day": "5000",
}
EPOCH = {"x-ratelimit-reset-requests-day": str(int(WALL) + 5000)}


def limited(text: str, headers: Mapping[str, str]) -> PointsmanError:
    body = json.dumps(coded("insufficient_quota", text)).encode()
    common = response_error(429, headers, body, quirks=QUIRKS, now=NOW, wall=WALL, target=TARGET)
    return refined(common, Refusal(429, headers, body))


@pytest.mark.parametrize(
    ("text", "headers", "wait", "scope", "words"),
    [
        (VIOLATED.format(60, 20, 20), PER_MINUTE | PER_DAY, 30, Scope.TARGET, "20 of 20 requests a minute are used"),
        (VIOLATED.format(60, 20, 20), {}, 60, Scope.TARGET, "20 of 20 a minute are used"),
        (VIOLATED.format(86400, 200, 200), PER_DAY, 5000, Scope.TARGET, "200 of 200 requests a day are used"),
        (VIOLATED.format(86400, 200, 200), {}, 3600, Scope.TARGET, "200 of 200 a day are used"),
        # Seen, on the free plan; and with an account that paid, but was held to the free plan's limit.
        (VIOLATED.format(86400, 196279, 200000), {}, 3600, Scope.PROVIDER, "196279 of 200000 tokens a day are used"),
        (VIOLATED.format(86400, 796942, 200000), PER_DAY, 5000, Scope.PROVIDER, "796942 of 200000 tokens a day"),
        (VIOLATED.format(86400, 9, 200000), PER_DAY | EPOCH, 5000, Scope.PROVIDER, "tokens a day"),
        ("Request would exceed rate limit", PER_MINUTE, 30, Scope.TARGET, "all 20 requests a minute are used"),
        ("Violated duration_s: 86400", {}, 3600, Scope.TARGET, "rate limit: the limit for a day is used up"),
        ("Violated duration_s: 300, current usage: 3, limit: 3", {}, 300, Scope.TARGET, "3 of 3 in 300 s are used"),
        ("Slow down.", {}, None, Scope.TARGET, "Slow down."),
    ],
)
def test_limits_say_whose_they_are_and_when_they_end(
    text: str, headers: Mapping[str, str], wait: float | None, scope: Scope, words: str
) -> None:
    """A day's limit is not over in a minute; tokens of a day are counted for all models together."""
    error = limited(text, headers)
    assert isinstance(error, RateLimited)
    assert error.retry_at == (None if wait is None else NOW + wait)
    assert error.scope is scope
    assert words in error.message
    assert ("rate-limits" in error.message) is (words != "Slow down.")


async def test_both_windows_are_learnt(opened: Open, vendor: Vendor, limits: RateLimits) -> None:
    async with opened(vendor) as session:
        async with session.stream(REQUEST) as events:
            async for _ in events:
                pass
    kinds = {kind: limit for (model, kind), limit in limits.seen.items() if model == "gpt-oss-120b"}
    assert {kind: (limit.limit, limit.remaining) for kind, limit in kinds.items()} == {
        "requests": (60, 59),
        "requests-day": (12_000, 11_999),
    }
    minute, day = kinds["requests"].reset_at, kinds["requests-day"].reset_at
    assert minute is not None
    assert day is not None
    assert 86_000 < day - minute + 60 < 86_500


@pytest.mark.parametrize(
    ("text", "models"),
    [
        (VIOLATED.format(86400, 199_999, 200_000), ["gpt-oss-120b"]),
        (VIOLATED.format(60, 20, 20), ["gpt-oss-120b", "DeepSeek-V3.1"]),
    ],
)
async def test_a_days_tokens_close_the_provider_and_a_minutes_requests_one_model(
    vendor: Vendor, key: str, text: str, models: list[str]
) -> None:
    vendor.script(Fault(429, message=text))
    given = {"providers": {"sambanova": {"base_url": vendor.base_url, "api_key": key}}}
    async with AsyncClient(settings=Settings.of(given)) as client:
        with pytest.raises(RateLimited):
            await client.chat("hi", model="sambanova/gpt-oss-120b")
        if len(models) > 1:
            await client.chat("hi", model="sambanova/DeepSeek-V3.1")
        else:
            with pytest.raises(RateLimited, match="not asked"):
                await client.chat("hi", model="sambanova/DeepSeek-V3.1")
        with pytest.raises(RateLimited, match="not asked"):
            await client.chat("hi", model="sambanova/gpt-oss-120b")
    assert [request.json["model"] for request in vendor.requests] == models


HEADERS = st.dictionaries(
    st.sampled_from([*PER_MINUTE, *PER_DAY, "retry-after", "date", "x-ratelimit-reset-tokens-day"]),
    st.sampled_from(["0", "-1", "30", "1e300", "inf", "nan", "", "6m0s", str(int(WALL) + 9), "Wed", "9" * 400])
    | st.text(max_size=6),
)
NUMBERS = st.sampled_from(["0", "60", "86400", "9" * 9, "9" * 400, "x", "-1"])
TEXTS = st.builds(VIOLATED.format, NUMBERS, NUMBERS, NUMBERS) | st.text(max_size=30)
VALUES = TEXTS | st.none() | st.integers() | st.floats() | st.lists(TEXTS, max_size=1) | st.just(10**400)
ERRORS = st.dictionaries(st.sampled_from(["message", "code", "type", "balance_units", "error_model_output"]), VALUES)
BODIES = (
    st.fixed_dictionaries({"error": ERRORS | VALUES}, optional={"balance_units": VALUES, "request_id": VALUES}).map(
        lambda body: json.dumps(body).encode()
    )
    | TEXTS.map(lambda text: text.encode())
    | st.binary(max_size=20)
)


@given(st.integers(100, 599).filter(lambda status: status != 200), HEADERS, BODIES)
@example(429, {"x-ratelimit-reset-requests-day": "9" * 400}, b'{"error":"Violated duration_s: 86400"}')
@example(402, {}, b'{"error":{"balance_units":1' + b"0" * 400 + b"}}")
@example(402, {}, b'{"error":{"balance_units":NaN}}')
@example(500, {}, b'{"error":' * 2000)
def test_any_refusal_is_an_error_of_ours(status: int, headers: Mapping[str, str], body: bytes) -> None:
    """And whenever it says when to come back, that is a moment that will come."""
    common = response_error(status, headers, body, quirks=QUIRKS, now=NOW, wall=WALL, target=TARGET)
    error = refined(common, Refusal(status, headers, body))
    assert (error.status, error.target) == (status, TARGET)
    assert error.message
    assert len(error.message) < 1000
    if error.retry_at is not None:
        assert NOW <= error.retry_at <= NOW + 86_400
        assert math.isfinite(error.retry_at)
    learnt = RateLimits()
    for limit in rate_limits(headers, NOW, WALL):
        learnt.learn("m", limit)  # Raises for what nobody could reckon with.

"""Every answer that is no success is one error of ours: by its status, then its codes, then its words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import (
    AuthFailed,
    ContextOverflow,
    InvalidRequest,
    ModelGone,
    PointsmanError,
    QuotaExhausted,
    RateLimited,
    Refused,
    Scope,
    StreamBroken,
    Target,
    Unavailable,
)
from pointsman_openai import Quirks
from pointsman_openai.errors import event_error, response_error

TARGET = Target("acme", "m")
NOW, WALL = 100.0, 1_800_000_000.0


def refused(
    status: int, body: Any = b"", headers: Mapping[str, str] | None = None, *, quirks: Quirks | None = None
) -> PointsmanError:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return response_error(
        status, headers or {}, content, quirks=quirks or Quirks(), now=NOW, wall=WALL, url="http://h/v1", target=TARGET
    )


def broke(event: Any, *, begun: bool = True) -> PointsmanError:
    return event_error(event, begun=begun, quirks=Quirks(), now=NOW, wall=WALL, target=TARGET)


SHAPES: dict[str, Any] = {
    "nothing": b"",
    "spaces": b" \n",
    "object": {"error": {"message": "no", "type": "t", "param": None, "code": "c"}, "request_id": "r"},
    "object without words": {"error": {}},
    "numeric code": {"error": {"message": "no", "code": 401}},
    "text": {"error": "no"},
    "null": {"error": None, "message": None},
    "message": {"message": "no", "type": "BadRequestError", "code": 400},
    "detail": {"detail": "no"},
    "details": {"detail": [{"loc": ["body", "messages"], "msg": "field required", "type": "missing"}]},
    "errors": {"errors": ["no", {"message": "not that either"}]},
    "list": [{"error": {"message": "no", "status": "RESOURCE_EXHAUSTED", "code": 429}}],
    "empty list": [],
    "string": "no",
    "number": 3,
    "nested": {"error": {"error": {"error": "no"}}},
    "deep": b"[" * 100_000,
    "deep message": b'{"message":' * 300 + b"1" + b"}" * 300,
    "plain": b"Service Temporarily Unavailable",
    "html": b"<!DOCTYPE html>\n<html><head><title> 502 Bad\nGateway </title></head></html>",
    "half a json": b'{"error": {"mess',
    "bytes": bytes(range(256)),
    "huge": b"x" * 70_000,
}


@pytest.mark.parametrize("body", SHAPES.values(), ids=SHAPES)
def test_every_status_with_every_body_is_an_error(body: Any) -> None:
    for status in range(100, 600):
        error = refused(status, body, {"retry-after": "1", "x-request-id": "id"})
        assert (error.status, error.target) == (status, TARGET)
        assert error.request_id
        assert 0 < len(error.message) < 600
        assert error.message.isprintable() or "\ufffd" in error.message or body == SHAPES["bytes"]
        assert f"status {status}" in str(error)
        if not 200 <= status < 400:
            assert error.retry_at == NOW + 1
        for begun in (True, False):
            value = body if not isinstance(body, bytes) else None
            assert isinstance(broke(value, begun=begun), PointsmanError)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["error", "errors", "message", "detail", "code", "type", "status", "estimated_time"]), inner
        )
    ),
    max_leaves=10,
)
HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "retry-after-ms", "date", "ratelimit", "x-ratelimit-reset-x", "location"]),
    st.text() | st.integers().map(str) | st.floats().map(str),
)


@given(st.integers(100, 599), JSON | st.binary(), HEADERS, st.booleans())
def test_nothing_is_too_strange(status: int, body: Any, headers: dict[str, str], begun: bool) -> None:
    error = refused(status, body, headers)
    assert error.retry_at is None or error.retry_at >= NOW
    if not isinstance(body, bytes):
        assert isinstance(broke(body, begun=begun), PointsmanError)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        # The status alone.
        (400, b"", InvalidRequest),
        (401, b"", AuthFailed),
        (402, b"", QuotaExhausted),
        (403, b"", AuthFailed),
        (404, b"", ModelGone),
        (405, {"detail": "Method Not Allowed"}, Unavailable),
        (408, {"error": "request_timeout"}, Unavailable),
        (410, {"error": "model_deprecated"}, ModelGone),
        (413, b"<html><title>413 Request Entity Too Large</title></html>", ContextOverflow),
        (422, {"error": "invalid", "error_type": "validation"}, InvalidRequest),
        (424, {"error": "Request failed during generation", "error_type": "generation"}, Unavailable),
        (429, b"", RateLimited),
        (500, b"Internal Server Error", Unavailable),
        (503, b"Service Temporarily Unavailable", Unavailable),
        (504, b"<html><title>504</title></html>", Unavailable),
        # Codes: OpenAI, SambaNova, Hugging Face's router, llama.cpp, Azure, Groq.
        (400, {"error": {"message": "too long", "code": "context_length_exceeded"}}, ContextOverflow),
        (400, {"error": {"code": 400, "message": "x", "type": "exceed_context_size_error"}}, ContextOverflow),
        (400, {"error": {"message": "x", "param": "model", "code": "model_not_supported"}}, ModelGone),
        (400, {"error": {"message": "x", "code": "model_not_found"}}, ModelGone),
        (403, {"error": {"message": "no access to model", "code": "model_not_found"}}, ModelGone),
        (429, {"error": {"message": "check your plan", "code": "insufficient_quota"}}, QuotaExhausted),
        (429, {"error": {"message": "x", "code": "queue_full"}}, RateLimited),
        (400, {"error": {"message": "x", "code": "content_filter"}}, Refused),
        (400, {"error": {"message": "No connected db.", "type": "no_db_connection", "code": "400"}}, AuthFailed),
        (503, {"error": {"message": "x", "code": "rate_limit_exceeded"}}, RateLimited),
        # Words.
        (400, {"error": {"message": "This model's maximum context length is 2048 tokens."}}, ContextOverflow),
        (400, {"error": {"message": "the request exceeds the available context size"}}, ContextOverflow),
        (422, {"error": "Input validation error: `inputs` must have less than 1024 tokens"}, ContextOverflow),
        (500, {"error": "maximum context length is 8 tokens"}, ContextOverflow),
        (400, {"error": "Model not supported by provider together"}, ModelGone),
        (403, {"error": "You have exceeded your monthly included credits for Inference Providers."}, QuotaExhausted),
        (400, {"error": {"message": "API key not valid. Please pass a valid API key."}}, AuthFailed),
        (400, {"error": {"message": "The parameter `functions` has been deprecated."}}, InvalidRequest),
        (400, {"error": {"message": "The model `x` has been deprecated."}}, ModelGone),
        (400, {"error": {"message": "Invalid model name passed in model=x", "code": "400"}}, ModelGone),  # LiteLLM
        # Not the vendor's API, but something on the way to it.
        (
            400,
            b"<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>",
            Unavailable,
        ),
        # A status that leaves no doubt is believed, whatever follows.
        (401, {"error": {"message": "maximum context length", "code": "model_not_found"}}, AuthFailed),
        (402, {"error": {"message": "rate limit", "code": "rate_limit_exceeded"}}, QuotaExhausted),
        (500, {"error": {"message": "invalid api key at our upstream"}}, Unavailable),
    ],
)
def test_kinds(status: int, body: Any, kind: type[PointsmanError]) -> None:
    assert type(refused(status, body)) is kind


def test_a_vendors_own_codes_come_first() -> None:
    quirks = Quirks(codes={"insufficient_quota": RateLimited})
    assert type(refused(429, {"error": {"code": "insufficient_quota"}}, quirks=quirks)) is RateLimited


@pytest.mark.parametrize(
    ("event", "begun", "kind"),
    [
        ({"error": {"message": "x", "code": "rate_limit_exceeded"}}, True, RateLimited),
        ({"error": {"message": "x", "code": 429}}, True, RateLimited),
        ({"error": {"message": "x", "code": 401}}, False, AuthFailed),
        ({"error": {"message": "x", "code": "context_length_exceeded"}}, False, ContextOverflow),
        ({"error": {"message": "x", "type": "invalid_request_error"}}, False, InvalidRequest),
        ({"error": {"message": "x", "type": "server_error"}}, False, Unavailable),
        ({"error": {"message": "x", "type": "server_error"}}, True, StreamBroken),
        ({"error": {"message": "x", "code": 502}}, True, StreamBroken),
        ({"error": "x", "error_type": "overloaded"}, False, Unavailable),
        ({"error": "x"}, True, StreamBroken),
        ("x", True, StreamBroken),
        (None, True, StreamBroken),
    ],
)
def test_errors_in_a_stream(event: Any, begun: bool, kind: type[PointsmanError]) -> None:
    error = broke(event, begun=begun)
    assert type(error) is kind
    assert error.message == (
        "the vendor ended the stream with an error and did not say which" if event is None else "x"
    )


def test_messages_are_what_the_vendor_said() -> None:
    assert refused(404, {"error": "Not found"}).message == "Not found (is http://h/v1 the right address?)"
    assert refused(404, {"error": "The model x was not found"}).message == "The model x was not found"
    assert refused(400, {"detail": [{"loc": ["body"], "msg": "field required"}]}).message == "field required"
    assert refused(502, SHAPES["html"]).message == "an HTML page, '502 Bad Gateway'"
    assert refused(503, b"").message == "the server answered 503, and nothing more"
    assert refused(400, {"error": {"message": "a\n  b"}}).message == "a b"
    assert str(refused(429, SHAPES["object"])) == "acme/m: no (status 429, request id r)"


def test_what_changes_by_itself_is_retryable() -> None:
    assert [refused(status).retryable for status in (302, 405, 404, 408, 429, 500, 503)] == [
        False, False, False, True, True, True, True
    ]  # fmt: skip


def test_a_limit_of_the_whole_account() -> None:
    assert refused(429, {"error": "slow down"}).scope is Scope.TARGET
    assert refused(429, {"error": "Rate limit reached across all models."}).scope is Scope.PROVIDER


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry-after": "3"}, {}, 3),
        ({"retry-after": "3", "retry-after-ms": "4500"}, {}, 4.5),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1m3s", "retry-after": "3"}, {}, 63),
        ({"x-ratelimit-remaining-tokens": "9", "x-ratelimit-reset-tokens": "1m3s"}, {}, None),
        ({"ratelimit": '"api";r=0;t=55'}, {}, 55),
        ({}, {"error": {"message": "Please try again in 1.5s."}}, 1.5),
        ({}, {"error": "Model X is currently loading", "estimated_time": 20.0}, 20),
        ({}, {"error": "Violated duration_s: 60, current usage: 21, limit: 20"}, 60),
        ({}, {"error": "Violated duration_s: 86400, current usage: 196279, limit: 200000"}, 3600),
        ({}, {}, None),
    ],
)
def test_when_to_come_back(headers: dict[str, str], body: Any, seconds: float | None) -> None:
    assert refused(429, body, headers).retry_at == (None if seconds is None else NOW + seconds)


def test_a_page_of_titles_is_read_at_once() -> None:
    """Whoever looked for an end to each title would take longer than the whole run may."""
    assert refused(502, b"<html>" + b"<title>" * 900_000).message == "an HTML page"


def test_secrets_are_taken_out_before_the_message_is_cut() -> None:
    body = b"x" * 490 + b" sesame-secret and key-key-key-key"
    error = response_error(500, {}, body, quirks=Quirks(), now=0, wall=0, secrets=["sesame-secret", "key-key-key-key"])
    assert "ses" not in error.message
    moved = {"location": "http://h/?key=sesame-secret"}
    assert "***" in response_error(302, moved, b"", quirks=Quirks(), now=0, wall=0, secrets=["sesame-secret"]).message


def test_a_proxy_that_wants_a_password_is_no_mistake_in_the_request() -> None:
    error = refused(407)
    assert (type(error), error.retryable) == (Unavailable, False)

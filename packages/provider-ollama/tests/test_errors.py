"""Every status and every body is one of our errors, and the texts that servers send are the right one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import (
    AuthFailed,
    ConfigError,
    ContextOverflow,
    InvalidRequest,
    ModelGone,
    PointsmanError,
    QuotaExhausted,
    RateLimited,
    Scope,
    StreamBroken,
    Target,
    Unavailable,
)
from pointsman_ollama.errors import line_error, response_error

TARGET = Target("ollama", "qwen3:8b")
LOCAL = "http://127.0.0.1:11434"
CLOUD = "https://ollama.com"
INNER = {
    "error": {
        "code": 400,
        "message": "request (14429 tokens) exceeds the available context size (8192 tokens), try increasing it",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": 14429,
        "n_ctx": 8192,
    }
}
SPENT = "you (jane-doe) have reached your weekly usage limit, upgrade for higher limits: https://ollama.com/upgrade"


def of(status: int, text: Any, *, base_url: str = LOCAL, headers: dict[str, str] | None = None) -> PointsmanError:
    body = text if isinstance(text, bytes) else json.dumps({"error": text}).encode()
    return response_error(
        status, headers or {}, body, base_url=base_url, now=100.0, wall=0.0, secrets=("sk-secret",), target=TARGET
    )


@pytest.mark.parametrize(
    ("status", "text", "kind", "retryable"),
    [
        (400, "missing request body", InvalidRequest, False),
        (400, "json: cannot unmarshal array into Go struct field", InvalidRequest, False),
        (400, "model is required", InvalidRequest, False),
        (400, "illegal base64 data at input byte 4", InvalidRequest, False),
        (400, 'invalid think value: "hard"', InvalidRequest, False),
        (
            400,
            "the prompt is longer than the context length currently available to the model; shorten it",
            ContextOverflow,
            False,
        ),
        (400, json.dumps(INNER), ContextOverflow, False),
        (400, "the input length exceeds the context length", ContextOverflow, False),
        (400, "input length exceeds maximum context length", ContextOverflow, False),
        (400, "prompt too long; exceeded max context length by 4 tokens", ContextOverflow, False),
        (500, json.dumps(INNER), ContextOverflow, False),
        (401, "unauthorized", AuthFailed, False),
        (403, "ollama cloud is disabled: remote inference is unavailable", ConfigError, False),
        (403, "this model requires a subscription, upgrade for access", QuotaExhausted, False),
        (403, "forbidden", AuthFailed, False),
        (404, "model 'qwen3:8b' not found", ModelGone, False),
        (404, 'model "qwen3:8b" not found, try pulling it first', ModelGone, False),
        (404, "something else", ModelGone, False),
        (429, SPENT, QuotaExhausted, False),
        (429, "you've reached your hourly usage limit, please wait or upgrade to continue", QuotaExhausted, False),
        (429, "too many concurrent requests", RateLimited, True),
        (499, "request canceled", Unavailable, True),
        (500, "model runner has unexpectedly stopped, check ollama server logs for details", Unavailable, True),
        (500, "timed out waiting for llama-server to start", Unavailable, True),
        (500, "model requires more system memory (9 GiB) than is available (4 GiB)", Unavailable, False),
        (500, 'option "stop" must be of type array', InvalidRequest, False),
        (502, "dial tcp: lookup ollama.com: no such host", Unavailable, True),
        (503, "server busy, please try again.  maximum pending requests exceeded", Unavailable, True),
        (403, b"", ConfigError, False),
        (404, b"404 page not found", ConfigError, False),
        (404, b'{"detail":"Not Found"}', ConfigError, False),
        (405, b"405 method not allowed", ConfigError, False),
        (404, b"<html><title>nginx</title></html>", ConfigError, False),
        (500, b"oops", Unavailable, True),
        (307, b"", Unavailable, False),
    ],
)
def test_what_servers_say(status: int, text: Any, kind: type[PointsmanError], retryable: bool) -> None:
    error = of(status, text)
    assert (type(error), error.retryable, error.status, error.target) == (kind, retryable, status, TARGET)


@pytest.mark.parametrize(
    "text",
    ['"qwen3:8b" does not support chat', "library/qwen3:8b does not support tools", '"m" does not support thinking'],
)
def test_what_a_model_cannot_do_another_may(text: str) -> None:
    error = of(400, text)
    assert (type(error), error.scope) == (InvalidRequest, Scope.TARGET)


def test_sizes_are_told() -> None:
    assert "the prompt has 14429 tokens, the context 8192" in str(of(400, json.dumps(INNER)))
    bare = {"error": {"type": "exceed_context_size_error", "n_prompt_tokens": 5, "n_ctx": 4, "message": "no"}}
    assert type(of(400, json.dumps(bare))) is ContextOverflow


def test_the_next_step_is_named() -> None:
    assert "`pointsman ollama pull qwen3:8b`" in str(of(404, "model 'qwen3:8b' not found"))
    assert "pull" not in str(of(404, "model 'qwen3:8b' not found", base_url=CLOUD))
    assert "`ollama signin`" in str(of(401, "unauthorized"))
    assert "OLLAMA_API_KEY" in str(of(401, "unauthorized", base_url=CLOUD))
    assert "OLLAMA_HOST" in str(of(403, b""))
    assert "/v1" in str(of(404, b"404 page not found"))
    assert "https://elsewhere.example/" in str(of(307, b"", headers={"location": "https://elsewhere.example/"}))


def test_accounts_keys_and_links_are_not_shown() -> None:
    assert "jane-doe" not in str(of(429, SPENT))
    assert "you have reached your weekly usage limit" in str(of(429, SPENT))
    signin = b'{"error":"unauthorized","signin_url":"https://ollama.com/connect?name=box&key=c3No"}'
    assert "connect" not in str(of(401, signin))
    assert "c3No" not in str(of(500, "sign in at https://ollama.com/connect?name=box&key=c3No"))
    assert "sk-secret" not in str(of(400, "the key sk-secret is odd"))


def test_a_stub_of_a_cloud_model_answers_with_a_struct_of_go() -> None:
    body = b'{"StatusCode":429,"Status":"429 Too Many Requests","error":"too many concurrent requests"}'
    assert type(of(429, body)) is RateLimited


def test_when_to_come_back() -> None:
    assert of(503, "server busy", headers={"retry-after": "7"}).retry_at == 107.0
    assert of(503, "server busy").retry_at is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (json.dumps(INNER), ContextOverflow),
        ("model 'm' not found", ModelGone),
        ("unauthorized", AuthFailed),
        (SPENT, QuotaExhausted),
        ("server busy, please try again.  maximum pending requests exceeded", Unavailable),
        ('"m" does not support chat', InvalidRequest),
        ("prediction aborted, token repeat limit reached", Unavailable),
        ("", Unavailable),
    ],
)
def test_errors_in_a_stream(text: str, kind: type[PointsmanError]) -> None:
    assert type(line_error({"error": text}, begun=False, base_url=LOCAL, target=TARGET)) is kind
    assert type(line_error({"error": text}, begun=True, base_url=LOCAL, target=TARGET)) is StreamBroken


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "message", "type", "n_ctx", "n_prompt_tokens"]), inner, max_size=3)
    ),
)


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


def nested(value: Any) -> bytes:
    return dumped({"error": json.dumps(value)})


def check_every_status(body: bytes, base_url: str, headers: dict[str, str]) -> None:
    for status in range(100, 600):
        error = of(status, body, base_url=base_url, headers=headers)
        assert isinstance(error, PointsmanError)
        assert error.status == status
        assert error.message
        assert len(error.message) < 1500


BODIES = st.one_of(st.binary(max_size=60), JSON.map(dumped), JSON.map(nested))


@given(BODIES, st.sampled_from([LOCAL, CLOUD]), st.dictionaries(st.sampled_from(["retry-after"]), st.text(max_size=9)))
def test_every_status_and_every_body_is_some_error(body: bytes, base_url: str, headers: dict[str, str]) -> None:
    check_every_status(body, base_url, headers)


@pytest.mark.parametrize(
    "body",
    [b"", b"[" * 100_000, b'{"error":"' + b"{" * 5000 + b'"}', b"<html>", b'{"error":"{\\"error\\":[1]}"}'],
    ids=["empty", "deep", "deep-inside", "html", "list-inside"],
)
def test_every_status_with_an_odd_body_is_some_error(body: bytes) -> None:
    check_every_status(body, LOCAL, {})


@given(JSON, st.booleans())
def test_every_line_is_some_error(told: Any, begun: bool) -> None:
    assert isinstance(line_error(told, begun=begun, base_url=LOCAL, target=TARGET), PointsmanError)

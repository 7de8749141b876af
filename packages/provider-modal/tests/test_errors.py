"""What Modal's proxy says, and what Ollama's /v1 says behind it: which error, what it does to a call, what to do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pointsman import (
    AuthFailed,
    ChatRequest,
    ContextOverflow,
    FirstTokenTimeout,
    InvalidRequest,
    ModelGone,
    PointsmanError,
    QuotaExhausted,
    RateLimited,
    Scope,
    Target,
    Unavailable,
    error_for_status,
    user,
)
from pointsman_modal.errors import Place, refined, says_platform
from pointsman_openai import Refusal
from pointsman_testing import MODAL_FAULTS, Fault, Lab, ModalEndpoint

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]

TARGET = Target("modal", "qwen2.5-coder:7b")
REQUEST = ChatRequest(messages=(user("hi"),), model=TARGET.model)
PLACE = Place("https://ws--app-serve.modal.run/v1", True, 300.0)

# What is wrong -> the class, its scope, whether the same target may be asked again, whether anything was begun, and
# what the message says that a person can do.
TABLE: dict[str, tuple[type[PointsmanError], Scope, bool, bool, str]] = {
    "missing credentials": (AuthFailed, Scope.PROVIDER, False, False, "set token_id .wk-. and token_secret .ws-."),
    "invalid credentials": (AuthFailed, Scope.PROVIDER, False, False, "asks for a proxy token"),
    "out of scope": (AuthFailed, Scope.PROVIDER, False, False, "give it a role there"),
    "not deployed": (ModelGone, Scope.PROVIDER, False, False, "deploy it"),
    "stopped": (ModelGone, Scope.PROVIDER, False, False, "`modal serve`"),
    "disabled": (QuotaExhausted, Scope.PROVIDER, False, False, "billing"),
    "bad redirect method": (Unavailable, Scope.TARGET, False, True, "status 400"),
    "expired": (Unavailable, Scope.TARGET, True, True, "status 408"),
    "terminated": (Unavailable, Scope.TARGET, True, True, "out of memory"),
    "timed out": (Unavailable, Scope.TARGET, False, True, "`timeout`, 300 s unless"),
    "lost track": (Unavailable, Scope.TARGET, True, True, "status 500"),
    "throttled": (RateLimited, Scope.PROVIDER, True, False, "Too Many Requests"),
    "no container": (FirstTokenTimeout, Scope.PROVIDER, False, False, "no container was ready"),
}


def test_the_table_is_whole() -> None:
    assert set(TABLE) == set(MODAL_FAULTS)


@pytest.mark.parametrize("what", MODAL_FAULTS)
async def test_each_thing_that_the_proxy_says(opened: Open, lab: Lab, what: str) -> None:
    kind, scope, retryable, begun, words = TABLE[what]
    vendor = lab.vendor("modal", dialect=ModalEndpoint(refusal=what))
    async with opened(vendor.base_url, cold_start=0) as session:
        with pytest.raises(kind, match=words) as raised:
            async with session.stream(REQUEST):
                pass
    error = raised.value
    assert (type(error), error.scope, error.retryable, error.begun) == (kind, scope, retryable, begun)
    assert error.target == TARGET
    assert "ac-0123456789abcdef" not in str(error)
    # Where a container was started or at work, the attempt is not booked as one that cost nothing.
    free = kind in (AuthFailed, ModelGone, QuotaExhausted, RateLimited)
    assert (error.status is not None) is free


async def test_which_token_is_wrong_is_said_by_what_is_set(opened: Open, lab: Lab) -> None:
    vendor = lab.vendor("modal", dialect=ModalEndpoint(), api_key="wk-Ab12Cd34Ef56.ws-Gh78Ij90Kl12")
    async with opened(vendor.base_url) as session:
        with pytest.raises(AuthFailed, match=r"missing credentials.*asks for a proxy token: set token_id"):
            await enter(session)
    async with opened(vendor.base_url, token_id="wk-Ab12Cd34Ef56", token_secret="ws-0000000000") as session:
        with pytest.raises(AuthFailed, match=r"invalid credentials.*is wrong, or was deleted.*proxy-tokens create"):
            await enter(session)
    for good in (
        {"token_id": "wk-Ab12Cd34Ef56", "token_secret": "ws-Gh78Ij90Kl12"},
        {"api_key": "wk-Ab12Cd34Ef56.ws-Gh78Ij90Kl12"},
    ):
        async with opened(vendor.base_url, **good) as session:
            await enter(session)
    sent = vendor.requests[-1].headers
    assert sent["authorization"] == "Bearer wk-Ab12Cd34Ef56.ws-Gh78Ij90Kl12"
    assert "modal-key" not in sent
    assert vendor.requests[-2].headers["modal-key"] == "wk-Ab12Cd34Ef56"
    assert "authorization" not in vendor.requests[-2].headers


async def test_a_key_for_a_server_behind_goes_along_with_the_pair(opened: Open, lab: Lab) -> None:
    vendor = lab.vendor("modal", dialect=ModalEndpoint())
    pair = {"token_id": "wk-Ab12Cd34Ef56", "token_secret": "ws-Gh78Ij90Kl12"}
    async with opened(vendor.base_url, api_key="sk-of-vllm-1", **pair, headers={"x-mine": "yes-please"}) as session:
        await enter(session)
    sent = vendor.requests[-1].headers
    assert (sent["authorization"], sent["modal-secret"]) == ("Bearer sk-of-vllm-1", "ws-Gh78Ij90Kl12")
    assert sent["x-mine"] == "yes-please"


@pytest.mark.parametrize(
    ("fault", "kind", "scope", "retryable"),
    [
        (Fault(404, message="model 'm' not found"), ModelGone, Scope.TARGET, False),
        (Fault(503), Unavailable, Scope.TARGET, True),  # The queue is full: no cold start.
        (Fault(500), Unavailable, Scope.TARGET, True),
        (Fault(500, message="model requires more system memory (9 GiB) than"), Unavailable, Scope.TARGET, False),
        (
            Fault(400, message="registry.ollama.ai/library/m does not support tools"),
            InvalidRequest,
            Scope.TARGET,
            False,
        ),
        (Fault(400, message="[] is too short - 'messages'"), InvalidRequest, Scope.REQUEST, False),
        (
            Fault(400, message="the prompt is longer than the context length currently available to the model; x"),
            ContextOverflow,
            Scope.TARGET,
            False,
        ),
        (
            Fault(
                400,
                message='{"error":{"code":400,"message":"request (14429 tokens) exceeds the available context size '
                '(8192 tokens)","type":"exceed_context_size_error"}}',
            ),
            ContextOverflow,
            Scope.TARGET,
            False,
        ),
        (Fault(404, b"404 page not found"), ModelGone, Scope.TARGET, False),
        (Fault(403, b""), AuthFailed, Scope.PROVIDER, False),
    ],
)
async def test_what_ollama_says_behind_the_proxy(
    opened: Open, lab: Lab, fault: Fault, kind: type[PointsmanError], scope: Scope, retryable: bool
) -> None:
    vendor = lab.vendor("modal", dialect=ModalEndpoint())
    vendor.script(fault)
    async with opened(vendor.base_url) as session:
        with pytest.raises(kind) as raised:
            await enter(session)
    assert (type(raised.value), raised.value.scope, raised.value.retryable) == (kind, scope, retryable)
    assert len(vendor.requests) == 1


TEXTS = st.sampled_from([str(fault.body) for fault in MODAL_FAULTS.values()]) | st.text(max_size=20)
BODIES = (
    TEXTS.map(str.encode)
    | TEXTS.map(lambda text: f"modal-http: {text}".encode())
    | st.sampled_from([b"", b"{}", b"[]", b'{"error":{"message":"x"}}', b'{"error":"loading"}', b"<html>", b"\xff\x00"])
    | st.binary(max_size=10)
)


@given(
    status=st.integers(100, 599).filter(lambda status: status != 200),
    body=BODIES,
    location=st.none() | st.sampled_from(["", "?a=b", "https://[", "https://elsewhere.example/", "//x", "\x00"]),
    has_token=st.booleans(),
)
@example(status=303, body=b"", location="https://[", has_token=False)
def test_whatever_comes_is_some_error_of_the_same_request(
    status: int, body: bytes, location: str | None, has_token: bool
) -> None:
    common = error_for_status(status, "as the dialect reads it", target=TARGET, request_id="r-1", retry_at=7.0)
    headers = {} if location is None else {"location": location}
    error = refined(common, Refusal(status, headers, body), PLACE._replace(has_token=has_token))
    assert isinstance(error, PointsmanError)
    assert (error.target, error.request_id, error.retry_at) == (TARGET, "r-1", 7.0)
    assert error.message
    if says_platform(status, body):
        # Not the caller's mistake: somebody else may answer.
        assert error.scope is not Scope.REQUEST
        assert not isinstance(error, InvalidRequest)
    if status >= 500 and not says_platform(status, body) and not isinstance(error, FirstTokenTimeout):
        assert error is common or type(error) is type(common)


async def enter(session: Any) -> None:
    async with session.stream(REQUEST):
        pass

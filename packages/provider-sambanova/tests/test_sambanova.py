"""SambaNova Cloud, as its documents describe it, from a server on loopback.

The bodies are those of SambaNova's own OpenAPI document (version 1.2.0) and error pages, shortened.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from importlib.metadata import entry_points
from typing import Any

import anyio
import pytest
from pydantic import ValidationError

import pointsman_sambanova
from pointsman import (
    AuthFailed,
    ChatRequest,
    Connection,
    ContextOverflow,
    Exact,
    Finished,
    HealthState,
    Image,
    InvalidRequest,
    ModelGone,
    PointsmanError,
    PriceBook,
    ProviderContext,
    QuotaExhausted,
    RateLimit,
    RateLimited,
    RateLimits,
    ReasoningDelta,
    Scope,
    StreamEvent,
    Target,
    TextDelta,
    Unavailable,
    Usage,
    user,
)
from pointsman_openai import Session
from pointsman_sambanova import SPEC, SambaNovaConfig
from pointsman_testing import Answer, Fault, Lab, Raw, Vendor

KEY = "6f1b0c1e-7e1c-4f5e-9b64-0a6f0c5f2a11"
REQUEST = ChatRequest(messages=(user("Explain closures."),), model="gpt-oss-120b")
STREAM = b"".join(
    b"data: " + line + b"\n\n"
    for line in (
        b'{"id":"15fc","object":"chat.completion.chunk","created":1737642515.6,"model":"gpt-oss-120b","system_fingerprint":'
        b'"fastcoe","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null,"logprobs":null}]}',
        b'{"id":"15fc","created":1737642515.6,"choices":[{"index":0,"delta":{"reasoning":"Easy.","channel":"analysis"},'
        b'"finish_reason":null}]}',
        b'{"id":"15fc","created":1737642515.6,"choices":[{"index":0,"delta":{"content":"A function and"}}]}',
        b'{"id":"15fc","created":1737642515.6,"choices":[{"index":0,"delta":{"content":" its scope."}}]}',
        b'{"id":"15fc","created":1737642515.6,"choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}]}',
        b'{"id":"15fc","choices":[],"usage":{"prompt_tokens":43,"completion_tokens":100,"total_tokens":143,'
        b'"prompt_tokens_details":{"cached_tokens":3},"completion_tokens_details":{"reasoning_tokens":55},'
        b'"time_to_first_token":0.0844,"total_latency":0.8,"completion_tokens_per_sec":314.5,"acceptance_rate":4.06,'
        b'"start_time":1776189308.19,"end_time":1776189309.02,"stop_reason":"stop","is_last_response":true}}',
        b"[DONE]",
    )
)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def vendor() -> AsyncGenerator[Vendor]:
    async with Lab() as lab:
        yield lab.vendor("sambanova", api_key=KEY)


@pytest.fixture
def limits() -> RateLimits:
    return RateLimits()


@pytest.fixture
def opening(vendor: Vendor, limits: RateLimits) -> AbstractAsyncContextManager[Session]:
    context = ProviderContext(
        name="sambanova",
        clock=anyio.current_time,
        secrets={},
        limits=limits,
        log=logging.LoggerAdapter(logging.getLogger("sambanova"), {}),
    )
    return SPEC.open(SambaNovaConfig.model_validate({"base_url": vendor.base_url, "api_key": KEY}), context)


async def ask(session: Session, request: ChatRequest = REQUEST) -> list[StreamEvent]:
    async with session.stream(request) as events:
        return [event async for event in events]


async def test_a_stream_as_documented(opening: AbstractAsyncContextManager[Session], vendor: Vendor) -> None:
    vendor.script(Raw(STREAM))
    async with opening as session:
        events = await ask(session)
    usage = Usage(input_tokens=43, cached_input_tokens=3, output_tokens=100, reasoning_tokens=55)
    assert events == [
        ReasoningDelta("Easy."),
        TextDelta("A function and"),
        TextDelta(" its scope."),
        Finished("stop", usage),
    ]
    sent = vendor.requests[0].json
    assert sent["messages"] == [{"role": "user", "content": "Explain closures."}]
    assert "response_format" not in sent


def coded(code: str, **beside: Any) -> dict[str, Any]:
    return {"error": {"message": "no", "type": "invalid_request_error", "param": None, "code": code}, **beside}


@pytest.mark.parametrize(
    ("fault", "kind", "retryable"),
    [
        (Fault(400, coded("invalid_value")), InvalidRequest, False),
        (Fault(400, "not an object"), InvalidRequest, False),
        (Fault(400, coded("context_length_exceeded")), ContextOverflow, False),
        (Fault(401, coded("invalid_api_key", request_id="d79vcq57")), AuthFailed, False),
        (Fault(402, coded("PAYMENT_METHOD_REQUIRED", balance_units=0)), QuotaExhausted, False),
        (Fault(404, coded("model_not_found")), ModelGone, False),
        (Fault(400, coded("model_not_found")), ModelGone, False),
        (Fault(404, {"error": "Not found"}), ModelGone, False),
        (Fault(408, {"error": "request_timeout"}), Unavailable, True),
        (Fault(410, {"error": "model_deprecated"}), ModelGone, False),
        (Fault(429, coded("insufficient_quota")), RateLimited, True),
        (Fault(429, coded("queue_full")), RateLimited, True),
        (Fault(500, "internal_error"), Unavailable, True),
        (Fault(503, "Service Temporarily Unavailable"), Unavailable, True),
        (Fault(500, {"error": {"type": "server_error", "error_model_output": "{"}}), Unavailable, True),
    ],
)
async def test_errors_as_documented(
    opening: AbstractAsyncContextManager[Session],
    vendor: Vendor,
    fault: Fault,
    kind: type[PointsmanError],
    retryable: bool,
) -> None:
    vendor.script(fault)
    async with opening as session:
        with pytest.raises(PointsmanError) as caught:
            await ask(session)
    assert (type(caught.value), caught.value.retryable) == (kind, retryable)
    assert str(caught.value.target) == "sambanova/gpt-oss-120b"


async def test_a_daily_limit(opening: AbstractAsyncContextManager[Session], vendor: Vendor, limits: RateLimits) -> None:
    """The text is one that was seen; the headers are those of the documentation, their resets dates in seconds."""
    text = (
        "Request would exceed rate limit\nViolated duration_s: 86400, current usage: 196279, limit: 200000, "
        "requested: 5000"
    )
    reset = int(time.time()) + 50
    headers = {
        "x-ratelimit-limit-requests": "20",
        "x-ratelimit-remaining-requests": "19",
        "x-ratelimit-reset-requests": str(reset),
        "x-ratelimit-limit-requests-day": "200",
        "x-ratelimit-remaining-requests-day": "3",
        "x-ratelimit-reset-requests-day": str(reset + 5000),
    }
    vendor.script(Fault(429, {"error": {"message": text, "code": "insufficient_quota"}}, headers=headers))
    async with opening as session:
        now = anyio.current_time()
        with pytest.raises(RateLimited) as caught:
            await ask(session)
    assert caught.value.scope is Scope.TARGET
    assert caught.value.retry_at is not None
    assert now + 3590 < caught.value.retry_at < now + 3610
    learnt = limits.seen["gpt-oss-120b", "requests-day"]
    assert learnt == RateLimit("requests-day", 200, 3, learnt.reset_at)
    assert learnt.reset_at is not None
    assert now + 5040 < learnt.reset_at < now + 5060


async def test_pictures_by_address_are_not_sent(opening: AbstractAsyncContextManager[Session], vendor: Vendor) -> None:
    request = ChatRequest(messages=(user("look", Image("https://acme.example/a.png")),), model="gemma-4-31B-it")
    async with opening as session:
        with pytest.raises(InvalidRequest):
            await ask(session, request)
        await ask(session, ChatRequest(messages=(user("look", Image("data:image/png;base64,AA")),), model="gemma"))
    assert len(vendor.requests) == 1


async def test_models_as_documented(opening: AbstractAsyncContextManager[Session], vendor: Vendor) -> None:
    entry = {
        "id": "DeepSeek-R1",
        "object": "model",
        "context_length": 16384,
        "max_completion_tokens": 4096,
        "pricing": {"prompt": "0.000005", "completion": "0.000007"},
    }
    vendor.script(
        Raw(json.dumps({"object": "list", "data": [entry]}).encode(), content_type="application/json"), on="models"
    )
    async with opening as session:
        (model,) = await session.models()
        assert (await session.health()).state is HealthState.UP
    assert (model.id, model.context_tokens, model.max_output_tokens) == ("DeepSeek-R1", 16384, 4096)
    assert model.price is not None
    assert (model.price.input, model.price.output) == (Decimal(5), Decimal(7))
    assert model.price.source.endswith("/models")


async def test_its_plugin_answers_every_hook(opening: AbstractAsyncContextManager[Session], vendor: Vendor) -> None:
    plugin: Any = next(point for point in entry_points(group="pointsman.providers") if point.name == "sambanova").load()
    assert plugin.pointsman_providers() == [SPEC]
    vendor.script(Answer("hi"))
    async with opening as session:
        prices = {Target("sambanova", model.id): model.price for model in SPEC.models if model.price}
        connection: Connection[Any] = Connection(
            spec=SPEC, config=None, session=session, context=session._context, prices=PriceBook((prices,))
        )
        async with plugin.pointsman_stream(connection)(REQUEST) as events:
            assert [event async for event in events][:-1] == [TextDelta("hi")]
        assert (await plugin.pointsman_health(connection)()).state is HealthState.UP
        assert await plugin.pointsman_models(connection)() == []
        cost = plugin.pointsman_cost(connection)
    million = Usage(input_tokens=1_000_000, cached_input_tokens=500_000, output_tokens=1_000_000)
    assert cost(Target("sambanova", "gpt-oss-120b"), million, None) == Exact("0.81")
    assert cost(Target("sambanova", "MiniMax-M3"), million, None) == Exact("2.73")  # Half of the input was cached.


def test_the_table_is_dated_and_complete() -> None:
    names = [model.id for model in SPEC.models]
    assert len(set(names)) == len(names) == 7
    assert set(SPEC.default_models) <= set(names)
    for model in SPEC.models:
        assert model.price is not None
        assert model.price.as_of.year == 2026
        assert model.context_tokens
        assert model.capabilities is not None
        assert model.capabilities <= SPEC.capabilities


def test_settings() -> None:
    config = SambaNovaConfig.model_validate({"api_key": KEY})
    assert config.base_url == "https://api.sambanova.ai/v1"
    assert SPEC.hosts == ("api.sambanova.ai",)
    assert SPEC.env_keys == {"api_key": "SAMBANOVA_API_KEY"}
    assert KEY not in repr(config)
    with pytest.raises(ValidationError):
        SambaNovaConfig.model_validate({})
    with pytest.raises(ValidationError):
        SambaNovaConfig.model_validate({"api_key": KEY, "model": "x"})


def test_importing_it_loads_no_http_library() -> None:
    script = "import sys, pointsman_sambanova; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"httpx2", "msgspec", "anyio", "h11", "ssl"} & set(run.stdout.split())
    assert pointsman_sambanova.__doc__

"""The router over HTTP: who answers, what it costs, and what its refusals mean."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from typing import Any, TypeAlias

import anyio
import pytest

from pointsman import (
    AsyncClient,
    AtLeast,
    AuthFailed,
    ChatRequest,
    Exact,
    Finished,
    InvalidRequest,
    ModelGone,
    PointsmanError,
    QuotaExhausted,
    RateLimited,
    ReasoningDelta,
    Scope,
    StreamBroken,
    StreamEvent,
    Target,
    TextDelta,
    Unavailable,
    Unknown,
    Usage,
    user,
)
from pointsman_testing import Answer, Fault, HuggingFaceApi, Lab, Vendor

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]
Clients: TypeAlias = Callable[..., AsyncClient]
MODEL = "openai/gpt-oss-120b"


def about(model: str = MODEL, **fields: Any) -> ChatRequest:
    return ChatRequest(messages=(user("Hi there."),), model=model, **fields)


async def ask(session: Any, request: ChatRequest) -> list[StreamEvent]:
    async with session.stream(request) as events:
        return [event async for event in events]


async def refusal(session: Any, request: ChatRequest) -> PointsmanError:
    with pytest.raises(PointsmanError) as caught:
        await ask(session, request)
    return caught.value


@pytest.mark.parametrize(
    ("suffix", "who"),
    [("", "groq"), (":fastest", "groq"), (":cheapest", "novita"), (":preferred", "groq"), (":novita", None)],
)
async def test_the_router_says_who_answers(opened: Open, vendor: Vendor, suffix: str, who: str | None) -> None:
    vendor.script(Answer("Hello.", reasoning="Hm."))
    async with opened(vendor) as session:
        events = await ask(session, about(f"{MODEL}{suffix}", max_tokens=7))
    chat = next(one for one in vendor.requests if one.path.endswith("/chat/completions"))
    assert (chat.json["model"], chat.json["max_tokens"]) == (f"{MODEL}{suffix}", 7)
    assert "max_completion_tokens" not in chat.json
    assert chat.headers["authorization"] == f"Bearer {vendor.api_key}"
    end = events[-1]
    assert isinstance(end, Finished)
    assert end.served == (f"{MODEL}:{who}" if who else None)
    assert [event for event in events[:-1] if isinstance(event, ReasoningDelta)] == [ReasoningDelta("Hm.")]


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
async def test_reasoning_comes_under_either_name(opened: Open, vendor: Vendor, field: Any) -> None:
    vendor.script(Answer("Yes.", reasoning="Because.", reasoning_field=field))
    async with opened(vendor) as session:
        events = await ask(session, about())
    assert events[:2] == [ReasoningDelta("Because."), TextDelta("Yes.")]


async def test_who_pays_is_said_in_a_header(opened: Open, vendor: Vendor) -> None:
    async with opened(vendor, bill_to="acme") as session:
        await ask(session, about())
    async with opened(vendor) as session:
        await ask(session, about())
    chats = [one for one in vendor.requests if one.path.endswith("/chat/completions")]
    assert [one.headers.get("x-hf-bill-to") for one in chats] == ["acme", None]


async def test_a_stream_without_a_finish_reason_is_broken(opened: Open, vendor: Vendor) -> None:
    vendor.script(Answer("Half an", finish=None, done=False))
    async with opened(vendor) as session:
        assert isinstance(await refusal(session, about()), StreamBroken)


@pytest.mark.parametrize(
    ("suffix", "input_price", "output_price"),
    [("", "0.15", "0.75"), (":cheapest", "0.05", "0.25"), (":novita", "0.05", "0.25"), (":groq", "0.15", "0.75")],
)
async def test_an_answer_costs_what_who_served_it_takes(
    client_of: Clients, vendor: Vendor, suffix: str, input_price: str, output_price: str
) -> None:
    vendor.default = Answer("Hi.", counts=Usage(input_tokens=1_000_000, output_tokens=2_000_000))
    async with client_of(vendor) as client:
        reply = await client.chat("Hi there.", model=f"hf/{MODEL}{suffix}")
    assert reply.cost == Exact(Decimal(input_price) + 2 * Decimal(output_price))


async def test_the_book_says_what_the_list_says(client_of: Clients, vendor: Vendor) -> None:
    async with client_of(vendor) as client:
        await client.chat("Hi there.", model=f"hf/{MODEL}")
        book = client.roster.prices("hf")
        groq = book.quote(Target("hf", f"{MODEL}:groq"))
    assert groq is not None
    assert (groq.layer, groq.price.input, groq.price.source) == ("live", Decimal("0.15"), f"{vendor.base_url}/models")
    assert book.find(Target("hf", MODEL)) is None, "those who serve it take different prices"


async def test_where_nobody_says_who_served_the_cheapest_is_the_least(
    client_of: Clients, lab: Lab, vendor: Vendor
) -> None:
    dialect = HuggingFaceApi(says_who=False)
    vendor = lab.vendor("mute", dialect=dialect, models=vendor.models, api_key=vendor.api_key)
    vendor.default = Answer("Hi.", counts=Usage(input_tokens=1_000_000, output_tokens=2_000_000))
    async with client_of(vendor) as client:
        reply = await client.chat("Hi there.", model=f"hf/{MODEL}")
    assert reply.cost == AtLeast("0.55")


async def test_the_end_waits_for_the_first_price_list(client_of: Clients, vendor: Vendor) -> None:
    """Its text does not, nor does an answer whose caller has set a deadline."""
    slow = Fault(200, {"object": "list", "data": list(vendor.models)}, wait=5.0)
    vendor.script(slow, on="models")
    async with client_of(vendor) as client:
        with anyio.fail_after(5):
            async with client.stream("Hi", model=f"hf/{MODEL}") as reply:
                began = anyio.current_time()
                times = {type(event): anyio.current_time() - began async for event in reply.events}
    assert reply.cost != Unknown
    assert times[TextDelta] + 0.3 < times[Finished]
    vendor.script(slow, on="models")
    async with client_of(vendor) as client:
        assert (await client.chat("Hi", model=f"hf/{MODEL}", deadline=20)).cost == Unknown


async def test_the_price_list_is_in_nobodys_way(
    client_of: Clients, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hangs, fails or is nonsense: the answer comes all the same, and nobody knows what it cost."""
    monkeypatch.setattr("pointsman_hf.beside.WAIT_SECONDS", 0.2)
    vendor.script(Fault(200, "<html>", wait=1e6), on="models")
    async with client_of(vendor) as client:
        with anyio.fail_after(5):
            reply = await client.chat("Hi", model=f"hf/{MODEL}")
    assert (reply.text, reply.cost) == ("hf answers.", Unknown)
    for fault in (Fault(500), Fault(200, "[]"), Fault(200, {"data": [{"id": 3, "providers": "x"}]})):
        vendor.script(fault, on="models")
        async with client_of(vendor) as client:
            assert (await client.chat("Hi", model=f"hf/{MODEL}")).cost == Unknown


async def test_the_price_list_is_asked_for_once(opened: Open, vendor: Vendor) -> None:
    async with opened(vendor) as session:
        for _ in range(3):
            await ask(session, about())
    assert [one.path for one in vendor.requests].count("/v1/models") == 1


PINNED = f"{MODEL}:groq"
BUSY = {"ratelimit": '"api";r=0;t=55', "ratelimit-policy": '"fixed window";"api";q=500;w=300'}


@pytest.mark.parametrize(
    ("model", "fault", "kind", "scope", "retryable", "words"),
    [
        (MODEL, Fault(401), AuthFailed, Scope.PROVIDER, False, "HF_TOKEN"),
        (PINNED, Fault(401), AuthFailed, Scope.PROVIDER, False, "HF_TOKEN"),
        (PINNED, Fault(401, {"error": "Invalid API Key"}), AuthFailed, Scope.TARGET, False, "said by groq"),
        (MODEL, Fault(403), AuthFailed, Scope.PROVIDER, False, '"Make calls to Inference Providers"'),
        (PINNED, Fault(403, {"error": "country not allowed"}), AuthFailed, Scope.TARGET, False, "said by groq"),
        (MODEL, Fault(402), QuotaExhausted, Scope.PROVIDER, False, "bill_to"),
        (PINNED, Fault(402), QuotaExhausted, Scope.PROVIDER, False, "bill_to"),
        (PINNED, Fault(402, {"error": "Payment required"}), QuotaExhausted, Scope.TARGET, False, "said by groq"),
        (
            MODEL,
            Fault(402, {"error": "You have exceeded your monthly included credits for Inference Providers."}),
            QuotaExhausted,
            Scope.PROVIDER,
            False,
            "billing",
        ),
        (MODEL, Fault(429, headers=BUSY), RateLimited, Scope.PROVIDER, True, "Too Many"),
        (PINNED, Fault(429), RateLimited, Scope.TARGET, True, "Too Many"),
        (
            MODEL,
            Fault(503, {"error": "Model m is currently loading", "estimated_time": 20.0}),
            Unavailable,
            Scope.TARGET,
            True,
            "loading",
        ),
        (MODEL, Fault(504, "<html><title>504 Gateway Time-out</title>"), Unavailable, Scope.TARGET, True, "Time-out"),
        (PINNED, Fault(500), Unavailable, Scope.TARGET, True, "Error"),
        (
            MODEL,
            Fault(422, {"error": "Input validation error", "error_type": "validation"}),
            InvalidRequest,
            Scope.REQUEST,
            False,
            "validation",
        ),
        (
            PINNED,
            Fault(400, {"error": "This model doesn't support tools"}),
            InvalidRequest,
            Scope.TARGET,
            False,
            "doesn't",
        ),
        (
            PINNED,
            Fault(400, {"error": "response_format json_schema is not supported"}),
            InvalidRequest,
            Scope.TARGET,
            False,
            "not supported",
        ),
    ],
)
async def test_what_refusals_mean(
    opened: Open,
    vendor: Vendor,
    model: str,
    fault: Fault,
    kind: type[PointsmanError],
    scope: Scope,
    retryable: bool,
    words: str,
) -> None:
    vendor.script(fault)
    async with opened(vendor) as session:
        error = await refusal(session, about(model))
        now = anyio.current_time()
    assert (type(error), error.scope, error.retryable) == (kind, scope, retryable)
    assert words in str(error)
    assert error.status == fault.status
    assert error.request_id is not None
    assert str(vendor.api_key) not in str(error)
    expected = {"Too Many": 55.0 if fault.headers else None, "loading": 20.0}.get(words)
    assert (error.retry_at is None) == (expected is None)
    if expected is not None and error.retry_at is not None:
        assert now + expected - 5 < error.retry_at <= now + expected


@pytest.mark.parametrize(
    ("model", "words"),
    [("org/none", "https://huggingface.co/org/none"), (f"{MODEL}:together", "provider together")],
)
async def test_models_that_nobody_serves(opened: Open, vendor: Vendor, model: str, words: str) -> None:
    """A status of 400, as the router has it, and yet a model that is gone: another target may answer."""
    async with opened(vendor) as session:
        error = await refusal(session, about(model))
    assert (type(error), error.status, error.scope, error.retryable) == (ModelGone, 400, Scope.TARGET, False)
    assert words in str(error)


async def test_a_token_without_the_permission(lab: Lab, vendor: Vendor, opened: Open) -> None:
    vendor = lab.vendor("narrow", dialect=HuggingFaceApi(permissions=()), api_key=vendor.api_key)
    async with opened(vendor) as session:
        error = await refusal(session, about())
    assert isinstance(error, AuthFailed)
    assert "fine-grained token" in str(error)

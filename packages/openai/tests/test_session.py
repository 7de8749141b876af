"""A session against a server: what it sends, what it makes of every answer, and that its key stays where it belongs."""

from __future__ import annotations

import gzip
import json
import math
import ssl
import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import anyio
import httpx2
import pytest

from pointsman import (
    AuthFailed,
    ChatRequest,
    ConfigError,
    ContextOverflow,
    Finished,
    HealthState,
    InvalidRequest,
    ModelGone,
    PointsmanError,
    QuotaExhausted,
    RateLimit,
    RateLimited,
    RateLimits,
    ReasoningDelta,
    StreamBroken,
    StreamEvent,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Unavailable,
    Usage,
    user,
)
from pointsman_openai import Quirks, Session
from pointsman_openai.http import FAILURES, new_client, unreachable
from pointsman_testing import Answer, Fault, Hangup, Lab, OpenAIChat, Raw, RecordedRequest, Vendor

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Session]]
REQUEST = ChatRequest(messages=(user("What is a closure?"),), model="m")


async def ask(session: Session, request: ChatRequest = REQUEST) -> list[StreamEvent]:
    async with session.stream(request) as events:
        return [event async for event in events]


def text(events: list[StreamEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def refusal(session: Session, request: ChatRequest = REQUEST) -> PointsmanError:
    """The error that entering the stream raises."""
    with pytest.raises(PointsmanError) as caught:
        async with session.stream(request):
            raise AssertionError("the stream was entered")
    return caught.value


async def test_an_answer_arrives_whole(opened: Open, vendor: Vendor) -> None:
    call = ToolCall("call-1", "look_up", '{"word": "closure"}')
    vendor.script(Answer("A function and its scope.", reasoning="Easy one.", tool_calls=(call,)))
    async with opened(vendor.base_url) as session:
        events = await ask(session)
    thoughts = "".join(event.text for event in events if isinstance(event, ReasoningDelta))
    calls = [event for event in events if isinstance(event, ToolCallDelta)]
    assert (thoughts, text(events)) == ("Easy one.", "A function and its scope.")
    assert (calls[0].id, calls[0].name) == ("call-1", "look_up")
    assert "".join(one.arguments for one in calls) == call.arguments
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert finished.reason == "tool_calls"
    assert finished.usage is not None
    assert finished.usage.input_tokens == 4


@pytest.mark.parametrize(
    "answer",
    [
        Answer("one two three", usage="finish"),
        Answer("one two three", usage="every", role_first=False),
        Answer("one two three", done=False),
        Answer("one two three", newline="\r\n", keep_alives=3),
        Answer("one two three").drip(1),
        Answer("one two three", tokens_per_chunk=2).drip(7),
    ],
)
async def test_ways_to_stream(opened: Open, vendor: Vendor, answer: Answer) -> None:
    vendor.script(answer)
    async with opened(vendor.base_url) as session:
        events = await ask(session)
    assert text(events) == "one two three"
    assert events[-1] == Finished("stop", Usage(input_tokens=4, output_tokens=3))


async def test_what_is_sent(opened: Open, vendor: Vendor) -> None:
    async with opened(vendor.base_url, api_key="sk-1234567890", headers={"X-Team": "blue"}) as session:
        await ask(session)
    (request,) = vendor.requests
    assert request.path == "/v1/chat/completions"
    sent = {name: value for name, value in request.headers.items() if name not in ("host", "content-length")}
    assert sent == {
        "accept": "text/event-stream",
        "accept-encoding": "identity",
        "authorization": "Bearer sk-1234567890",
        "connection": "keep-alive",
        "content-type": "application/json",
        "user-agent": "pointsman",
        "x-team": "blue",
    }
    assert request.json == {
        "model": "m",
        "messages": [{"role": "user", "content": "What is a closure?"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_ambient_openai_variables_go_nowhere(
    opened: Open, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("API_KEY", "ORG_ID", "PROJECT_ID", "CUSTOM_HEADERS", "BASE_URL"):
        monkeypatch.setenv(f"OPENAI_{name}", "x-ambient: leaked")
    async with opened(vendor.base_url) as session:
        await ask(session)
    assert "authorization" not in vendor.requests[0].headers
    assert "leaked" not in str(vendor.requests[0].raw_headers)


async def test_a_proxy_is_not_used_for_this_machine(
    opened: Open, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with opened(vendor.base_url) as session:
        assert text(await ask(session)) == "acme answers."


async def test_a_proxy_that_cannot_be_used_is_a_mistake_in_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "gopher://127.0.0.1:9")
    with pytest.raises(ConfigError, match=r"acme\.example"):
        new_client("http://acme.example/v1", {}, 5.0)


async def test_connections_are_used_again(opened: Open, lab: Lab) -> None:
    ports: list[str] = []

    def answer(request: RecordedRequest) -> Answer:
        ports.append(request.headers["host"])
        return Answer("one two")

    vendor = lab.vendor("reused", default=answer)
    async with opened(vendor.base_url) as session:
        for _ in range(3):
            await ask(session)
        pool: Any = session._http._transport
        assert len(pool._pool.connections) == 1
    assert len(ports) == 3


async def test_a_server_that_does_not_end_the_body_costs_little(opened: Open, vendor: Vendor) -> None:
    async with opened(vendor.base_url) as session:
        for answer, most in [(Answer("hi").stall(after=99), 1.0), (Answer("hi").stall(after=-1), 3.5)]:
            vendor.script(answer)
            begun = anyio.current_time()
            assert text(await ask(session)) == "hi"
            assert anyio.current_time() - begun < most
            with anyio.fail_after(2):
                await vendor.requests[-1].gone.wait()


async def test_a_late_count_of_tokens_is_waited_for(opened: Open, vendor: Vendor) -> None:
    vendor.script(Answer("hi").stall(after=-2, seconds=2))  # 0.2 s, between the finish reason and the count
    async with opened(vendor.base_url) as session:
        assert (await ask(session))[-1] == Finished("stop", Usage(input_tokens=4, output_tokens=1))


async def test_compressed_all_the_same(opened: Open, vendor: Vendor) -> None:
    data = b'data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    vendor.script(Raw(gzip.compress(data), headers={"content-encoding": "gzip"}).drip(9))
    vendor.script(Raw(gzip.compress(data)[:-30], headers={"content-encoding": "gzip"}))
    vendor.script(Raw(b"no gzip at all", headers={"content-encoding": "gzip"}))
    async with opened(vendor.base_url) as session:
        assert await ask(session) == [TextDelta("hi"), Finished("stop")]
        for _ in range(2):
            with pytest.raises(StreamBroken):
                await ask(session)


async def test_a_server_that_does_not_stream(opened: Open, vendor: Vendor) -> None:
    body = {"choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}]}
    vendor.script(Raw(json.dumps(body).encode(), content_type="application/json; charset=utf-8", chunked=False))
    async with opened(vendor.base_url) as session:
        assert await ask(session) == [TextDelta("hi"), Finished("stop")]


@pytest.mark.parametrize(
    ("body", "kind", "error", "message"),
    [
        (b'{"error":{"message":"no","code":"insufficient_quota"}}', "application/json", QuotaExhausted, "no"),
        (b'{"error":"the model is gone"}', "application/json", Unavailable, "the model is gone"),
        (b'{"choices":[]}', "application/json", StreamBroken, "without a finish reason"),
        (b"<html><title>Sign in</title></html>", "text/html", Unavailable, "is base_url right"),
    ],
)
async def test_a_success_that_is_none(
    opened: Open, vendor: Vendor, body: bytes, kind: str, error: type[PointsmanError], message: str
) -> None:
    vendor.script(Raw(body, content_type=kind))
    async with opened(vendor.base_url) as session:
        found = await refusal(session)
    assert type(found) is error
    assert message in found.message


async def test_a_stream_by_another_name(opened: Open, vendor: Vendor) -> None:
    data = b'data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\n'
    vendor.script(Raw(data, content_type="text/plain"), Raw(b"out of memory", content_type="text/plain"))
    async with opened(vendor.base_url) as session:
        assert await ask(session) == [TextDelta("hi"), Finished("stop")]
        with pytest.raises(StreamBroken):
            await ask(session)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(400), InvalidRequest),
        (Fault(400, code="context_length_exceeded"), ContextOverflow),
        (Fault(401), AuthFailed),
        (Fault(402), QuotaExhausted),
        (Fault(404), ModelGone),
        (Fault(429), RateLimited),
        (Fault(500), Unavailable),
        (Fault(502, "<html><head><title>502 Bad Gateway</title></head></html>"), Unavailable),
        (Fault(503, b""), Unavailable),
    ],
)
async def test_refusals(opened: Open, vendor: Vendor, fault: Fault, error: type[PointsmanError]) -> None:
    vendor.script(fault)
    async with opened(vendor.base_url) as session:
        found = await refusal(session)
        assert type(found) is error
        assert (found.status, found.request_id, str(found.target)) == (fault.status, "acme-0", "acme/m")
        assert text(await ask(session)) == "acme answers."


async def test_a_refusal_without_end_is_cut_off(opened: Open, vendor: Vendor) -> None:
    vendor.script(Fault(500, b"x" * 1_000_000).drip(100, every=0.001))
    async with opened(vendor.base_url) as session:
        found = await refusal(session)
        with anyio.fail_after(2):
            await vendor.requests[0].gone.wait()
    assert vendor.requests[0].sent < 1_000_000
    assert len(found.message) < 600


async def test_a_refusal_that_is_cut_off_is_still_one(opened: Open, vendor: Vendor) -> None:
    vendor.script(Fault(429, headers={"retry-after": "7"}).cut(at=10, how="reset"))
    async with opened(vendor.base_url) as session:
        found = await refusal(session)
    assert type(found) is RateLimited
    assert found.retry_at is not None


async def test_redirects_are_not_followed(opened: Open, lab: Lab, vendor: Vendor) -> None:
    other = lab.vendor("other")
    vendor.script(Fault(307, b"", headers={"location": f"{other.base_url}/chat/completions"}))
    async with opened(vendor.base_url, api_key="sk-1234567890") as session:
        found = await refusal(session)
    assert type(found) is Unavailable
    assert not found.retryable
    assert other.base_url in found.message
    assert not other.requests


async def test_nobody_is_there(opened: Open, vendor: Vendor) -> None:
    async with opened(vendor.base_url) as session:
        await ask(session)
        with vendor.refusing():
            found = await refusal(session)
        assert type(found) is Unavailable
        assert found.retryable
        assert not found.begun
        assert vendor.base_url.removeprefix("http://").removesuffix("/v1") in found.message
        assert "is a server listening there?" in found.message
        assert text(await ask(session)) == "acme answers."


@pytest.mark.parametrize("hangup", [Hangup("close"), Hangup("reset")])
async def test_hanging_up_before_the_answer(opened: Open, vendor: Vendor, hangup: Hangup) -> None:
    vendor.script(hangup)
    async with opened(vendor.base_url) as session:
        found = await refusal(session)
        assert (type(found), found.retryable) == (Unavailable, True)
        assert text(await ask(session)) == "acme answers."


async def test_no_connection_in_time(opened: Open) -> None:
    request = httpx2.Request("POST", "https://acme.example/v1/chat/completions")
    found = unreachable(httpx2.ConnectTimeout("", request=request), request.url)
    assert (type(found), found.message) == (Unavailable, "no connection to acme.example:443 in time")


def test_a_certificate_that_nobody_trusts() -> None:
    """On trio the reason is only in the cause."""
    request = httpx2.Request("POST", "https://acme.example/v1/chat/completions")
    error = httpx2.ConnectError("", request=request)
    error.__cause__ = OSError()
    error.__cause__.__cause__ = ssl.SSLCertVerificationError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate")
    found = unreachable(error, request.url)
    assert (type(found), found.retryable) == (Unavailable, False)
    assert "SSL_CERT_FILE" in found.message
    assert "self-signed" in found.message


def test_an_error_without_words_is_called_by_its_name() -> None:
    found = unreachable(httpx2.ReadError(""), httpx2.URL("http://10.0.0.7/v1"))
    assert found.message == "10.0.0.7:80 did not answer: ReadError"


@pytest.mark.parametrize(
    ("kind", "begun"),
    [
        (httpx2.ConnectError, False),
        (httpx2.ConnectTimeout, False),
        (httpx2.PoolTimeout, False),
        (httpx2.ProxyError, False),
        (httpx2.UnsupportedProtocol, False),
        (httpx2.WriteError, True),
        (httpx2.WriteTimeout, True),
        (httpx2.ReadError, True),
        (httpx2.ReadTimeout, True),
        (httpx2.RemoteProtocolError, True),
    ],
)
def test_what_was_never_sent_was_never_begun(kind: type[httpx2.TransportError], begun: bool) -> None:
    assert unreachable(kind("it broke"), httpx2.URL("http://h/v1")).begun is begun


THEIRS: dict[str, type[Exception]] = {
    name: value for name, value in vars(httpx2).items() if isinstance(value, type) and issubclass(value, Exception)
}
MISTAKES_OF_OURS = {httpx2.StreamError, httpx2.CookieConflict}


@pytest.mark.parametrize("kind", THEIRS.values(), ids=THEIRS)
def test_every_exception_of_the_http_library_is_one_of_ours(kind: type[Exception]) -> None:
    if issubclass(kind, tuple(MISTAKES_OF_OURS)):
        assert not issubclass(kind, FAILURES)
        return
    assert issubclass(kind, FAILURES)
    arguments: dict[str, Any] = {}
    if issubclass(kind, httpx2.HTTPStatusError):
        request = httpx2.Request("GET", "http://h")
        arguments = {"request": request, "response": httpx2.Response(500, request=request)}
    error = unreachable(kind("it broke", **arguments), httpx2.URL("http://h/v1"))
    assert isinstance(error, PointsmanError)


async def test_what_cannot_be_sent(opened: Open, vendor: Vendor) -> None:
    async with opened(vendor.base_url) as session:
        for extra in ({"when": object()}, {"temperature": math.nan}, {"text": "\ud83d"}):
            request = ChatRequest(messages=(user("hi"),), model="m", extra=extra)
            assert type(await refusal(session, request)) is InvalidRequest
    assert not vendor.requests


async def test_limits_are_learnt(opened: Open, vendor: Vendor, limits: RateLimits) -> None:
    headers = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "20s",
    }
    vendor.script(Answer("hi", headers=headers), Fault(429, headers={**headers, "x-ratelimit-remaining-requests": "0"}))
    async with opened(vendor.base_url) as session:
        now = anyio.current_time()
        await ask(session)
        assert session.last_headers["m"]["x-ratelimit-limit-requests"] == "60"
        learnt = limits.seen["m", "requests"]
        assert learnt.reset_at is not None
        assert learnt == RateLimit("requests", 60, 59, learnt.reset_at)
        assert now + 20 <= learnt.reset_at <= now + 22
        found = await refusal(session)
    assert limits.seen["m", "requests"].remaining == 0
    assert found.retry_at is not None
    assert now + 20 <= found.retry_at <= now + 22


async def test_a_vendor_may_say_in_a_header_what_answers(opened: Open, vendor: Vendor) -> None:
    def by_header(model: str, headers: Mapping[str, str]) -> str | None:
        return f"{model}:{headers['x-served-by']}" if "x-served-by" in headers else None

    vendor.script(
        Answer("hi", headers={"X-Served-By": "groq"}), Answer("hi"), Answer(finish="content_filter", text="h")
    )
    async with opened(vendor.base_url, quirks=Quirks(served=by_header)) as session:
        ends = [(await ask(session))[-1] for _ in range(3)]
    assert [end.served for end in ends if isinstance(end, Finished)] == ["m:groq", None, None]


KEY = "sk-very-secret-0123456789"


@pytest.mark.parametrize(
    "response",
    [
        Fault(401, {"error": {"message": f"Incorrect API key provided: {KEY}."}}),
        Fault(500, f"<html><title>{KEY}</title></html>"),
        Fault(400, f"bad {KEY} " + "x" * 490 + KEY),
        Raw(b'data: {"error":{"message":"no %s"}}\n\n' % KEY.encode()),
        Hangup("reset"),
    ],
)
async def test_the_key_is_never_shown(opened: Open, vendor: Vendor, response: Any) -> None:
    vendor.script(response)
    async with opened(vendor.base_url, api_key=KEY) as session:
        with pytest.raises(PointsmanError) as caught:
            await ask(session)
        shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(session)
    assert vendor.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in shown
    assert KEY[:12] not in shown


@pytest.mark.parametrize("settings", [{"api_key": "kéy"}, {"api_key": "a\nb: c"}, {"headers": {"x-team": "blau\r\nx"}}])
async def test_what_no_header_can_carry(opened: Open, vendor: Vendor, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        async with opened(vendor.base_url, **settings):
            raise AssertionError("it was opened")
    assert next(iter(settings)) in caught.value.message
    assert "\u00e9" not in "".join(traceback.format_exception(caught.value))


async def test_health(opened: Open, vendor: Vendor) -> None:
    vendor.script(
        Fault(401),
        Fault(402),
        Fault(429, headers={"retry-after": "5"}),
        Fault(404),
        Fault(503, {"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}),
        Fault(500),
        Raw(b"<html></html>", content_type="text/html"),
        on="models",
    )
    async with opened(vendor.base_url) as session:
        found = [await session.health() for _ in range(8)]
        with vendor.refusing():
            gone = await session.health()
    states = [one.state for one in found]
    down, warming = HealthState.DOWN, HealthState.WARMING
    assert states == [down, down, HealthState.DEGRADED, HealthState.UNKNOWN, warming, down, down, HealthState.UP]
    errors = [one.error and type(one.error) for one in found]
    assert errors == [AuthFailed, QuotaExhausted, RateLimited, None, Unavailable, Unavailable, Unavailable, None]
    assert type(gone.error) is Unavailable
    assert found[0].reason.startswith("key")
    assert found[2].wait is not None
    assert 4 < found[2].wait <= 5
    assert gone.state is down
    assert "cannot connect" in gone.reason


async def test_health_does_not_wait_for_ever(opened: Open, vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pointsman_openai.session.HEALTH_SECONDS", 0.05)
    vendor.script(Fault(500, wait=math.inf), on="models")
    async with opened(vendor.base_url) as session:
        found = await session.health()
    assert (found.state, found.reason) == (HealthState.DOWN, "no answer within 0.05 s")


async def test_health_is_unknown_where_it_cannot_be_asked(opened: Open, vendor: Vendor) -> None:
    async with opened(vendor.base_url, quirks=Quirks(list_models=False)) as session:
        assert (await session.health()).state is HealthState.UNKNOWN
    assert not vendor.requests


async def test_models(opened: Open, lab: Lab) -> None:
    vendor = lab.vendor("listing", models=["a", {"id": "b", "context_length": 8192}], dialect=OpenAIChat(prefix=""))
    async with opened(vendor.base_url) as session:
        models = await session.models()
    assert [(model.id, model.context_tokens) for model in models] == [("a", None), ("b", 8192)]


async def test_an_answer_with_a_finish_reason_in_every_chunk(
    opened: Open, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pointsman_openai.answer.AFTER_REASON", 0.3)
    chunk = b'data: {"choices":[{"index":0,"delta":{"content":"word "},"finish_reason":"stop"}]}\n\n'
    vendor.script(Raw(chunk * 6).drip(len(chunk), every=0.1))
    async with opened(vendor.base_url) as session:
        assert text(await ask(session)) == "word " * 6


SESAME = "sesame-open-9876543210"


async def test_no_header_is_ever_shown(opened: Open, vendor: Vendor) -> None:
    said = b"x" * 490 + f" {SESAME}".encode()
    vendor.script(Fault(500, said), Fault(401, said), on="models")
    vendor.script(Fault(400, said), Raw(b"data: " + b"x" * 70 + f"{SESAME}\n\n".encode()))
    async with opened(vendor.base_url, headers={"X-Token": f"Bearer {SESAME}"}) as session:
        with pytest.raises(PointsmanError) as caught:
            await session.models()
        shown = caught.value.message + (await session.health()).reason
        for _ in range(2):
            with pytest.raises(PointsmanError) as caught:
                await ask(session)
            shown += caught.value.message
    assert "ses" not in shown


@pytest.mark.parametrize("anyio_backend", ["trio"])  # asyncio leaves it to DNS to say so.
async def test_a_host_that_no_dns_can_name(opened: Open) -> None:
    with pytest.raises(ConfigError):
        async with opened("http://a..b/v1") as session:
            await ask(session)


async def test_an_error_in_json_under_the_name_of_a_stream(opened: Open, vendor: Vendor) -> None:
    vendor.script(Raw(b'{"error": {"message": "you have no credit", "code": "insufficient_quota"}}'))
    async with opened(vendor.base_url) as session:
        with pytest.raises(QuotaExhausted, match="you have no credit"):
            await ask(session)


@pytest.mark.parametrize("url", ["http://[::1", "http://127.0.0.1:1/\x01", "http://127.0.0.1:port/v1"])
async def test_an_address_that_is_none_is_told(opened: Open, vendor: Vendor, url: str) -> None:
    """Some control planes say where to ask."""
    async with opened(vendor.base_url, api_key="secret-0123456789") as session:
        with pytest.raises(ConfigError, match="no address"):
            await session.fetch(url)
        with pytest.raises(ConfigError) as caught:
            await session.fetch(f"{url}?key=secret-0123456789")
    assert "secret" not in str(caught.value)

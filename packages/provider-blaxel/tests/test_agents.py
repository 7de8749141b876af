"""Agents through a whole client: what they are told, what they say, and that nothing is asked twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeAlias

import anyio
import pytest

from pointsman import (
    AsyncClient,
    AuthFailed,
    Exact,
    FirstTokenTimeout,
    InvalidRequest,
    ModelGone,
    QuotaExhausted,
    RateLimited,
    Retracted,
    StreamBroken,
    Target,
    TextDelta,
    Tool,
    Unavailable,
    Unknown,
    system,
    user,
)
from pointsman_blaxel.errors import WorkloadUnavailable
from pointsman_testing import Answer, BlaxelApi, Fault, Hangup, Lab, Raw, Vendor

from .conftest import KEY, MODELS, asked

Make: TypeAlias = Callable[..., AsyncClient]

CODER = "blaxel/agent:coder"


async def test_the_python_template(client: Make, vendor: Vendor) -> None:
    """Bare text that is called an event stream."""
    vendor.script(Answer("one  two\n\n three\r\n"), on="agent")
    async with client(vendor) as pointsman, pointsman.stream("Count.", model=CODER) as reply:
        events = [event async for event in reply.events]
    (request,) = asked(vendor)
    assert request.path == "/lab/agents/coder"
    assert request.json == {"inputs": "Count."}
    assert request.headers["x-blaxel-authorization"] == f"Bearer {KEY}"
    assert request.headers["x-blaxel-workspace"] == "lab"
    assert "authorization" not in request.headers
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "one  two\n\n three\r\n"
    assert reply.text == "one  two\n\n three\r\n"
    assert reply.usage is not None
    assert reply.usage.estimated
    assert reply.cost == Unknown


@pytest.mark.parametrize("form", ["python", "typescript", "sse", "events", "ndjson", "json"])
async def test_every_form_says_the_same(client: Make, lab: Lab, form: Any) -> None:
    vendor = lab.vendor("forms", dialect=BlaxelApi(form=form), default=Answer("Grüße aus 東京 🎉, ganz  bar."))
    async with client(vendor) as pointsman:
        reply = await pointsman.chat("Hi", model=CODER)
    assert reply.text == "Grüße aus 東京 🎉, ganz  bar."
    assert reply.finish_reason == "stop"


async def test_an_agent_of_ones_own(client: Make, vendor: Vendor) -> None:
    """Its input, its output, its path, its headers and its price."""
    config = {
        "input": {
            "messages": "{messages}",
            "options": {"task": "Do: {prompt}", "t": "{temperature}"},
            "thread": "{thread}",
        },
        "output": "result.0.text",
        "path": "/v2/run",
        "query": {"stream": "false"},
        "method": "PUT",
        "headers": {"X-Own": "own-secret-0123"},
        "price": 0.02,
    }
    body = json.dumps({"result": [{"text": "Done."}]}).encode()
    vendor.script(Raw(body, content_type="application/json", chunked=False), on="agent")
    async with client(vendor, agents={"coder": config}) as pointsman:
        reply = await pointsman.chat([system("Be brief."), user("Fix it.")], model=CODER, tags={"thread": "t-1"})
    (request,) = asked(vendor)
    assert (request.method, request.path, request.query) == ("PUT", "/lab/agents/coder/v2/run", "stream=false")
    said = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Fix it."}]
    task = "Do: System: Be brief.\n\nUser: Fix it."
    assert request.json == {"messages": said, "options": {"task": task}, "thread": "t-1"}
    assert request.headers["x-own"] == "own-secret-0123"
    assert request.headers["x-blaxel-thread-id"] == "t-1"
    assert reply.text == "Done."
    assert reply.cost == Exact(Decimal("0.02"))


async def test_public_agents_get_no_key(client: Make, vendor: Vendor) -> None:
    async with client(vendor) as pointsman:
        await pointsman.chat("Hi", model="blaxel/agent:open")
    (request,) = asked(vendor)
    assert not [name for name in request.headers if "blaxel" in name or name == "authorization"]


async def test_a_url_of_ones_own_gets_blaxels_key_only_where_that_may_go(
    client: Make, vendor: Vendor, lab: Lab
) -> None:
    elsewhere = lab.vendor("elsewhere", dialect=BlaxelApi(), default=Answer("elsewhere"))
    agents = {
        "far": {"url": f"{elsewhere.base_url}/lab/agents/x"},
        "near": {"url": f"{vendor.base_url}/lab/agents/coder"},
    }
    # Loopback is one place for this purpose, so the other planes are put somewhere else: nobody asks them here.
    away = {"base_url": "https://run.blaxel.ai", "control_url": None}
    async with client(vendor, agents=agents, **away) as pointsman:
        assert (await pointsman.chat("Hi", model="blaxel/agent:far")).text == "elsewhere"
    async with client(vendor, agents=agents) as pointsman:
        await pointsman.chat("Hi", model="blaxel/agent:near")
    assert "x-blaxel-authorization" not in asked(elsewhere)[0].headers
    assert asked(vendor)[0].headers["x-blaxel-authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [Tool("f")]},
        {"response_schema": {"type": "object"}},
        {"stop": ["x"]},
        {"tags": {"thread": "a\nb"}},
        {"tags": {"thread": " a"}},
    ],
)
async def test_what_cannot_be_said_to_an_agent_is_asked_of_others(client: Make, vendor: Vendor, more: Any) -> None:
    async with client(vendor) as pointsman:
        reply = await pointsman.chat("Hi", model=[CODER, "blaxel/gpt"], **more)
    assert reply.target == Target("blaxel", "gpt")
    assert not asked(vendor)


# Once, and once only ---------------------------------------------------------------------------------------------


def envelope(status: int, code: str, **more: Any) -> Fault:
    told: dict[str, Any] = dict(BlaxelApi().error(Fault(status, code=code)))
    return Fault(status, {"error": {**told["error"], **more}})


NOT_BEGUN: list[tuple[Any, type[Exception]]] = [
    (envelope(401, "AUTHENTICATION_REQUIRED"), AuthFailed),
    (envelope(401, "AUTHENTICATION_FAILED"), AuthFailed),
    (envelope(401, "TOKEN_REVOKED"), AuthFailed),
    (envelope(403, "FORBIDDEN"), AuthFailed),
    (envelope(404, "ROUTE_NOT_FOUND"), ModelGone),
    (envelope(404, "WORKLOAD_NOT_FOUND"), ModelGone),
    (envelope(404, "WORKSPACE_NOT_FOUND"), AuthFailed),
    (envelope(402, "USAGE_LIMIT_EXCEEDED"), QuotaExhausted),
    (envelope(413, "REQUEST_ENTITY_TOO_LARGE"), InvalidRequest),
    (envelope(404, "WORKLOAD_UNAVAILABLE"), WorkloadUnavailable),
    (envelope(502, "UPSTREAM_ERROR", safe_to_retry_request=True), Unavailable),
    (envelope(502, "UPSTREAM_CONNECT_FAILED", dispatch_state="not_dispatched"), Unavailable),
    (envelope(429, "POLICY_VIOLATION", dispatch_state="not_dispatched"), RateLimited),
]
BEGUN: list[tuple[Any, type[Exception]]] = [
    (envelope(502, "UPSTREAM_ERROR"), Unavailable),
    (envelope(504, "UPSTREAM_TIMEOUT"), Unavailable),
    (envelope(502, "UPSTREAM_CONNECT_FAILED"), Unavailable),
    (envelope(500, "GATEWAY_INTERNAL_ERROR"), Unavailable),
    (envelope(500, "WORKLOAD_FAILED", dispatch_state="dispatched_unknown"), Unavailable),
    (envelope(404, "WORKLOAD_UNAVAILABLE", safe_to_retry_request=False), WorkloadUnavailable),
    (envelope(404, "WORKLOAD_UNAVAILABLE", origin="agent"), WorkloadUnavailable),
    (
        Fault(502, dict(BlaxelApi().error(Fault(404, code="WORKLOAD_UNAVAILABLE")))),
        Unavailable,
    ),  # Passed on by the agent.
    (Fault(404, "gone", headers={"x-blaxel-error-code": "WORKLOAD_UNAVAILABLE"}), WorkloadUnavailable),
    (Fault(401, {"detail": "who are you"}), AuthFailed),
    (Fault(403, {"error": "no"}), AuthFailed),
    (Fault(404, {"detail": "Not Found"}), ModelGone),
    (Fault(422, {"detail": [{"loc": ["body", "inputs"], "msg": "Field required"}]}), InvalidRequest),
    (Fault(429, {"error": "slow down"}), RateLimited),
    (Fault(500, {"error": "boom"}), Unavailable),
    (Fault(500, "Error: boom\n    at f (/blaxel/x.ts:1:2)\n    at g (y)"), Unavailable),
    (Fault(503, "<html><title>503 Slow</title></html>"), Unavailable),
    (Fault(202, {"success": True}), Unavailable),
    (Hangup(), Unavailable),
    (Hangup("reset"), Unavailable),
    (Answer("").cut(at=0), StreamBroken),
    (Answer("one two").cut(after=1), StreamBroken),
    (Answer("one two").cut(after=1, how="reset"), StreamBroken),
    (Raw("one\n❌ Error: boom\n    at f (x)".encode()), StreamBroken),
    (Raw(b'{"error": "boom"}', content_type="application/json", chunked=False), StreamBroken),
]


@pytest.mark.parametrize(("script", "kind"), NOT_BEGUN)
async def test_what_was_not_begun_is_asked_of_somebody_else(client: Make, lab: Lab, script: Any, kind: Any) -> None:
    first = lab.vendor("first", dialect=BlaxelApi(), models=MODELS, api_key=KEY)
    other = lab.vendor("other", default=Answer("from another"))
    first.script(script, on="agent")
    providers = {"other": {"plugin": "openai-compatible", "base_url": other.base_url}}
    async with client(first, providers=providers) as pointsman:
        reply = await pointsman.chat("Do it.", model=[CODER, "other/m"])
        assert reply.text == "from another"
        first.script(script, script, on="agent")
        async with client(first) as alone:
            with pytest.raises(kind) as caught:
                await alone.chat("Do it.", model=CODER)
    assert type(caught.value) is kind
    assert not caught.value.begun
    retried = kind in (Unavailable, WorkloadUnavailable, RateLimited) and caught.value.retryable
    assert len(asked(first)) == 1 + (2 if retried else 1)


@pytest.mark.parametrize(("script", "kind"), BEGUN)
@pytest.mark.parametrize("mode", ["chat", "stream"])
async def test_what_may_have_begun_is_asked_of_nobody_again(
    client: Make, lab: Lab, script: Any, kind: Any, mode: str
) -> None:
    """Not of it, and not of another; collected calls start broken answers anew elsewhere, but not this one."""
    first = lab.vendor("first", dialect=BlaxelApi(), models=MODELS, api_key=KEY)
    other = lab.vendor("other", default=Answer("from another"))
    first.script(script, on="agent")
    providers = {"other": {"plugin": "openai-compatible", "base_url": other.base_url}}
    engine = {"hedge": 1, "retries": 3, "retry_budget": 1}
    async with client(first, providers=providers, engine=engine) as pointsman:
        with pytest.raises(kind) as caught:
            if mode == "chat":
                await pointsman.chat("Do it.", model=[CODER, "other/m"])
            else:
                async with pointsman.stream("Do it.", model=[CODER, "other/m"], on_break="restart") as reply:
                    seen = [event async for event in reply.events]
                    assert not [event for event in seen if isinstance(event, Retracted)]
    assert type(caught.value) is kind
    assert caught.value.begun
    assert len(asked(first)) == 1
    assert not other.requests
    assert KEY not in f"{caught.value} {caught.value.__cause__}"
    assert "Do not tell" not in str(caught.value)
    assert "Delete the workload" not in str(caught.value)


async def test_who_cannot_be_reached_has_begun_nothing(client: Make, vendor: Vendor, lab: Lab) -> None:
    other = lab.vendor("other", default=Answer("from another"))
    providers = {"other": {"plugin": "openai-compatible", "base_url": other.base_url}}
    async with client(vendor, providers=providers) as pointsman:
        with vendor.refusing():
            reply = await pointsman.chat("Do it.", model=[CODER, "other/m"])
    assert reply.text == "from another"
    assert not vendor.requests


async def test_a_limit_that_is_set_ends_it_and_asks_nobody_else(client: Make, lab: Lab) -> None:
    slow = lab.vendor("slow", dialect=BlaxelApi(), models=MODELS, api_key=KEY, default=Answer("done", wait=600.0))
    other = lab.vendor("other")
    providers = {"other": {"plugin": "openai-compatible", "base_url": other.base_url}}
    async with client(slow, providers=providers, engine={"hedge": 1}) as pointsman:
        with anyio.fail_after(5), pytest.raises(FirstTokenTimeout):
            await pointsman.chat("Do it.", model=[CODER, "other/m"], first_token=0.3)
    assert len(asked(slow)) == 1
    assert not other.requests


async def test_a_body_that_ends_with_its_connection_proves_nothing(client: Make, vendor: Vendor) -> None:
    async def speak(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            asked = b""
            while not asked.endswith(b"}"):  # What is left unread would make a reset of the end.
                asked += await stream.receive()
            await stream.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nIt may be all.")

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        tasks.start_soon(listener.serve, speak)
        async with client(vendor, agents={"coder": {"url": f"http://127.0.0.1:{port}"}}) as pointsman:
            with pytest.raises(StreamBroken, match="no length") as caught:
                await pointsman.chat("Hi", model=CODER)
        tasks.cancel_scope.cancel()
    assert caught.value.partial == "It may be all."


async def test_a_cut_answer_keeps_what_had_come(client: Make, vendor: Vendor) -> None:
    vendor.script(Answer("one two three").cut(after=2), on="agent")
    async with client(vendor) as pointsman:
        with pytest.raises(StreamBroken) as caught:
            await pointsman.chat("Hi", model=CODER)
    assert caught.value.partial == "one two"


async def test_an_error_in_the_text_is_none_if_it_is_said_so(client: Make, vendor: Vendor) -> None:
    text = "one\n❌ Error: boom\n    at f (x)"
    vendor.script(Answer("one", error="boom"), Answer("", error="boom"), Raw(text.encode()), on="agent")
    async with client(vendor, agents={"coder": {"error_tail": False}}) as pointsman:
        with pytest.raises(StreamBroken, match="boom") as caught:
            await pointsman.chat("Hi", model="blaxel/agent:ts")
        assert caught.value.partial == "one\n"
        with pytest.raises(Unavailable, match=r"own server says: Error: boom \(status 500"):
            await pointsman.chat("Hi", model="blaxel/agent:ts")
        assert (await pointsman.chat("Hi", model=CODER)).text == text

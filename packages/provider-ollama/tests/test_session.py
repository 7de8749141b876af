"""A connection to a server on loopback: streams, leaving early, refusals, and the address and key that are used."""

from __future__ import annotations

import gc
import logging
import warnings
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import anyio
import anyio.lowlevel
import pytest

from pointsman import (
    AllTargetsFailed,
    AsyncClient,
    AuthFailed,
    ChatRequest,
    ConfigError,
    ContextOverflow,
    Exact,
    Finished,
    InvalidRequest,
    ModelGone,
    PointsmanError,
    ReasoningDelta,
    Scope,
    Settings,
    StreamBroken,
    StreamEvent,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Unavailable,
    Unknown,
    Usage,
    user,
)
from pointsman_testing import Answer, Fault, Hangup, Lab, OllamaApi, Raw, Vendor

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]

REQUEST = ChatRequest(messages=(user("Count."),), model="m")
KEY = "6f1b0c1e7e1c4f5e9b640a6f0c5f2a11"


async def ask(session: Any, request: ChatRequest = REQUEST) -> list[StreamEvent]:
    async with session.stream(request) as events:
        return [event async for event in events]


def chats(vendor: Vendor) -> list[Any]:
    return [request.json for request in vendor.requests if request.path.endswith("/api/chat")]


async def test_a_stream(opened: Open, lab: Lab) -> None:
    model = {"name": "m", "capabilities": ["completion", "tools", "thinking"]}
    vendor = lab.vendor("thinker", dialect=OllamaApi(), models=[model])
    vendor.script(Answer("one two", reasoning="Hm.", tool_calls=(ToolCall("call_1", "f", '{"a": 1}'),)))
    async with opened(vendor.base_url) as session:
        events = await ask(session)
    assert [event for event in events if not isinstance(event, TextDelta | Finished)] == [
        ReasoningDelta("Hm."),
        ToolCallDelta(0, "call_1", "f", '{"a":1}'),
    ]
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "one two"
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "tool_calls"


async def test_load_time_is_told_apart(lab: Lab) -> None:
    """The first token waits for the model; the server says how much of the wait that was."""
    vendor = lab.vendor("ollama", dialect=OllamaApi(load=3.0), models=["m"])
    settings = Settings.of({"providers": {"ollama": {"base_url": vendor.base_url}}})
    async with AsyncClient(settings=settings) as client:
        cold = await client.chat("Hi", model="ollama/m")
        warm = await client.chat("Hi", model="ollama/m")
    assert cold.timings.server is not None
    assert cold.timings.server.load == pytest.approx(3.0, abs=0.01)
    assert cold.timings.ttft is not None
    assert cold.timings.ttft >= 3.0 / lab.speed
    assert warm.timings.server is not None
    assert warm.timings.server.load is not None
    assert warm.timings.server.load < 0.1
    assert (cold.cost, warm.cost) == (Exact(0), Exact(0))


async def test_the_version_is_asked_for_once(opened: Open, vendor: Vendor) -> None:
    async with opened(vendor.base_url) as session:
        await ask(session)
        await ask(session)
    assert [request.path for request in vendor.requests] == ["/api/version", "/api/chat", "/api/chat"]
    assert len({request.client for request in vendor.requests}) == 1  # Each body was read to its end.


async def test_a_server_that_does_not_tell_its_version_has_begun_nothing(opened: Open, vendor: Vendor) -> None:
    vendor.script(Fault(503), on="version")
    async with opened(vendor.base_url) as session:
        with pytest.raises(Unavailable) as caught:
            await ask(session)
        assert not caught.value.begun
        assert not chats(vendor)


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_leaving_early_ends_the_connection(opened: Open, vendor: Vendor, count: int) -> None:
    vendor.script(Answer("one two three four five").stall(after=count))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        async with opened(vendor.base_url) as session:
            async with session.stream(REQUEST) as events:
                for _ in range(count):
                    await anext(events)
            with anyio.fail_after(2):
                await vendor.requests[-1].gone.wait()
            assert (await ask(session))[-1] == Finished("stop", Usage(input_tokens=1, output_tokens=2), server=ANY)
        gc.collect()
        await anyio.lowlevel.checkpoint()
    assert [str(warning.message) for warning in caught] == []


class _Any:
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = object.__hash__


ANY: Any = _Any()


async def test_cancelled_while_the_model_loads(opened: Open, lab: Lab) -> None:
    vendor = lab.vendor("cold", dialect=OllamaApi(load=1e6), models=["m"])
    async with opened(vendor.base_url) as session:
        with anyio.move_on_after(0.1) as scope:
            await ask(session)
        assert scope.cancelled_caught
        with anyio.fail_after(2):
            await vendor.requests[-1].gone.wait()


async def test_a_kept_connection_that_the_server_gave_up(opened: Open, vendor: Vendor) -> None:
    """The first request on it fails before a byte of an answer, and is sent once more."""
    vendor.script(Answer("one"), Hangup(), Answer("two"), Answer("three"), Hangup("reset"), Hangup())
    async with opened(vendor.base_url) as session:
        assert (await ask(session))[0] == TextDelta("one")
        assert (await ask(session))[0] == TextDelta("two")
        assert (await ask(session))[0] == TextDelta("three")
        with pytest.raises(Unavailable) as caught:
            await ask(session)
    assert caught.value.retryable
    assert vendor.pending == 0


async def test_a_new_connection_is_not_asked_again(opened: Open, vendor: Vendor) -> None:
    vendor.script(Hangup(), Answer("two"), on="version")
    async with opened(vendor.base_url) as session:
        with pytest.raises(Unavailable):
            await ask(session)
    assert len(vendor.requests) == 1


async def test_nobody_listens(opened: Open, vendor: Vendor) -> None:
    async with opened(vendor.base_url) as session:
        await ask(session)
        with vendor.refusing(), pytest.raises(Unavailable) as caught:
            await ask(session)
        assert caught.value.scope is Scope.PROVIDER
        assert not caught.value.begun
        assert "is a server listening there?" in str(caught.value)


async def test_the_queue_is_full(vendor: Vendor) -> None:
    """The engine asks again, since that may help."""
    vendor.script(Fault(503), Answer("there"))
    settings = Settings.of({"providers": {"ollama": {"base_url": vendor.base_url}}})
    async with AsyncClient(settings=settings) as client:
        reply = await client.chat("Hi", model="ollama/m")
    assert reply.text == "there"
    assert [type(record.error) for record in reply.attempts] == [str, type(None)]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(404, {"error": "model 'm' not found"}), ModelGone),
        (Fault(404, b"404 page not found", headers={"content-type": "text/plain"}), ConfigError),
        (Fault(403, b""), ConfigError),
        (Fault(401), AuthFailed),
        (Fault(500), Unavailable),
        (Fault(502), Unavailable),
        (Fault(302, b"", headers={"location": "https://elsewhere.example/"}), Unavailable),
        (Fault(204, b""), Unavailable),
    ],
)
async def test_refusals(opened: Open, vendor: Vendor, fault: Fault, kind: type[PointsmanError]) -> None:
    vendor.script(fault)
    async with opened(vendor.base_url) as session:
        with pytest.raises(PointsmanError) as caught:
            await ask(session)
    assert type(caught.value) is kind
    assert str(caught.value.target) == "ollama/m"
    assert caught.value.status == fault.status
    assert caught.value.request_id


async def test_a_page_is_no_answer(opened: Open, vendor: Vendor) -> None:
    vendor.script(Raw(b"<html><title>Log in</title></html>", content_type="text/html"))
    async with opened(vendor.base_url) as session:
        with pytest.raises(Unavailable, match="base_url") as caught:
            await ask(session)
    assert not caught.value.retryable


async def test_an_error_in_the_middle(opened: Open, vendor: Vendor) -> None:
    vendor.script(Answer("one two", error="an error was encountered while running the model"))
    events: list[StreamEvent] = []
    async with opened(vendor.base_url) as session:
        with pytest.raises(StreamBroken, match="while running the model"):
            async with session.stream(REQUEST) as stream:
                async for event in stream:
                    events.append(event)
    assert events


async def test_a_prompt_over_the_context_is_refused_by_the_server(opened: Open, lab: Lab) -> None:
    vendor = lab.vendor("small", dialect=OllamaApi(num_ctx=8), models=["m"])
    async with opened(vendor.base_url) as session:
        with pytest.raises(ContextOverflow, match="the context 8") as caught:
            await ask(session, ChatRequest(messages=(user("word " * 20),), model="m"))
    assert caught.value.scope is Scope.TARGET


async def test_the_key_goes_where_it_may_and_is_never_shown(opened: Open, lab: Lab) -> None:
    vendor = lab.vendor("proxy", dialect=OllamaApi(), models=["m"], api_key=KEY)
    vendor.script(Fault(400, {"error": f"key {KEY} is odd"}), Raw(f"{KEY}\n".encode()))
    async with opened(vendor.base_url, api_key=KEY) as session:
        for kind in (InvalidRequest, StreamBroken):
            with pytest.raises(kind) as caught:
                await ask(session)
            assert KEY not in str(caught.value)
    assert vendor.requests[-1].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("address", ["http://ollama.com", "http://10.0.0.7:11434", "lan-box"])
async def test_the_key_does_not_travel_in_plain_text(
    opened: Open, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    """`OLLAMA_HOST` beside `OLLAMA_API_KEY` would send it anywhere."""
    with caplog.at_level(logging.WARNING):
        async with opened(address, api_key=KEY) as session:
            assert "authorization" not in session._wire._http.headers
    assert "unencrypted" in caplog.text
    assert KEY not in caplog.text
    async with opened("https://ollama.com", api_key=KEY) as session:
        assert session._wire._http.headers["authorization"] == f"Bearer {KEY}"


async def test_a_key_that_no_header_can_carry(opened: Open) -> None:
    with pytest.raises(ConfigError, match="api_key"):
        async with opened("http://127.0.0.1", api_key="schlüssel-zum-glück"):
            pass


async def test_what_is_to_stay_here_does_not_go_to_the_cloud(opened: Open, vendor: Vendor) -> None:
    request = ChatRequest(messages=(user("secret"),), model="gpt-oss:120b-cloud", require=frozenset({"local"}))
    async with opened(vendor.base_url) as session:
        with pytest.raises(InvalidRequest) as caught:
            await ask(session, request)
    assert caught.value.scope is Scope.TARGET
    assert len(vendor.requests) == 0


async def test_through_the_client_with_settings(lab: Lab) -> None:
    vendor = lab.vendor("ollama", dialect=OllamaApi(), models=["m", "n:7b-cloud"])
    told = {"base_url": vendor.base_url, "keep_alive": "10m", "num_ctx": 8192, "think": False, "default_models": ["m"]}
    async with AsyncClient(settings=Settings.of({"providers": {"ollama": told}})) as client:
        assert (await client.chat("Hi", max_tokens=5)).cost == Exact(0)
        assert (await client.chat("Hi", model="ollama/n:7b-cloud")).cost == Unknown
        with pytest.raises((ModelGone, AllTargetsFailed), match="ollama pull other"):
            await client.chat("Hi", model="ollama/other")
    sent = chats(vendor)[0]
    assert (sent["keep_alive"], sent["think"], sent["model"]) == ("10m", False, "m")
    assert sent["options"] == {"num_ctx": 8192, "num_predict": 5}

"""The gateway to models, the control plane, and the addresses and keys that they need."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, TypeAlias

import anyio
import openai
import pytest

from pointsman import (
    AsyncClient,
    AuthFailed,
    ChatRequest,
    ConfigError,
    EmbedRequest,
    Finished,
    HealthState,
    InvalidRequest,
    ModelGone,
    ModelInfo,
    QuotaExhausted,
    RateLimited,
    Scope,
    StreamBroken,
    StreamEvent,
    TextDelta,
    Tool,
    ToolCall,
    ToolCallDelta,
    Unavailable,
    user,
)
from pointsman_blaxel.errors import WorkloadUnavailable
from pointsman_testing import Answer, BlaxelApi, Fault, Lab, Raw, Vendor

from .conftest import KEY, MODELS, asked

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]
Make: TypeAlias = Callable[..., AsyncClient]

REQUEST = ChatRequest(messages=(user("Count."),), model="gpt")


async def ask(session: Any, request: ChatRequest = REQUEST) -> list[StreamEvent]:
    async with session.stream(request) as events:
        return [event async for event in events]


def paths(vendor: Vendor) -> list[str]:
    return [request.path for request in vendor.requests]


async def test_a_stream(opened: Open, vendor: Vendor) -> None:
    """Asked at the address that the control plane names, for the model that is behind it."""
    call = ToolCall("call_1", "weather", '{"city": "Zürich"}')
    vendor.script(Answer("one two", tool_calls=(call,)))
    async with opened(vendor) as session:
        events = await ask(session, replace(REQUEST, tools=(Tool("weather"),)))
        await ask(session)
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "one two"
    assert "".join(event.arguments for event in events if isinstance(event, ToolCallDelta)) == call.arguments
    assert isinstance(events[-1], Finished)
    assert events[-1].usage is not None
    chat = "/lab/models/gpt/v1/chat/completions"
    assert paths(vendor) == ["/v0/models/gpt", chat, chat]
    first = asked(vendor, agents=False)[0]
    assert first.json["model"] == "gpt-4o-mini"
    assert first.headers["x-blaxel-authorization"] == f"Bearer {KEY}"
    assert first.headers["x-blaxel-workspace"] == "lab"
    assert first.headers["blaxel-version"] == "2026-04-28"
    assert "authorization" not in first.headers


async def test_a_stream_that_is_cut(opened: Open, vendor: Vendor) -> None:
    vendor.script(Answer("one two", finish=None))
    async with opened(vendor) as session:
        with pytest.raises(StreamBroken):
            await ask(session)


async def test_what_does_not_speak_the_dialect_is_not_asked(opened: Open, vendor: Vendor) -> None:
    async with opened(vendor) as session:
        with pytest.raises(InvalidRequest, match="'anthropic'") as caught:
            await ask(session, replace(REQUEST, model="claude"))
    assert caught.value.scope is Scope.TARGET
    assert not asked(vendor, agents=False)


async def test_embeddings(opened: Open, vendor: Vendor) -> None:
    async with opened(vendor) as session:
        found = await session.embed(EmbedRequest("gpt", ("a", "bcd")))
        with pytest.raises(InvalidRequest):
            await session.embed(EmbedRequest("agent:coder", ("a",)))
    assert found.vectors == ((1.0, 1.0), (3.0, 1.0))
    (request,) = asked(vendor, agents=False)
    assert request.path == "/lab/models/gpt/v1/embeddings"
    assert request.json["model"] == "gpt-4o-mini"


# Addresses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "route", "embed"),
    [("gpt", "model-info", False), ("gpt", "model-info", True), ("agent:coder", "agent-info", False)],
)
async def test_an_address_that_leads_nowhere_is_asked_for_anew(
    opened: Open, vendor: Vendor, lab: Lab, model: str, route: str, embed: bool
) -> None:
    kind = "agents" if model.startswith("agent:") else "models"
    name = model.removeprefix("agent:")
    old = f"{vendor.base_url}/lab/{kind}/old"
    entry = {
        "metadata": {"name": name, "url": old},
        "spec": {"runtime": {"model": "gpt-4o-mini"}},
        "status": "DEPLOYED",
    }
    vendor.script(Raw(str(entry).replace("'", '"').encode(), content_type="application/json"), on=route)
    async with opened(vendor) as session:
        if embed:
            await session.embed(EmbedRequest(model, ("a",)))
        else:
            await ask(session, replace(REQUEST, model=model))
    asked_at = [path.split("/v1/")[0] for path in paths(vendor)]
    assert asked_at == [f"/v0/{kind}/{name}", f"/lab/{kind}/old", f"/v0/{kind}/{name}", f"/lab/{kind}/{name}"]


async def test_what_is_not_there_is_said_to_be_gone(opened: Open, vendor: Vendor) -> None:
    async with opened(vendor) as session:
        for model in ("nobody", "agent:nobody"):
            with pytest.raises(ModelGone, match=r"there is no (model|agent) 'nobody' in workspace 'lab'") as caught:
                await ask(session, replace(REQUEST, model=model))
            assert not caught.value.begun


@pytest.mark.parametrize(
    "trouble", [Fault(503, "down"), Fault(500, "<html>"), Raw(b"[]", content_type="application/json")]
)
async def test_an_address_that_nobody_says_is_built(opened: Open, lab: Lab, trouble: Any) -> None:
    vendor = lab.vendor("any", dialect=BlaxelApi(), models=[{"id": "gpt", "model": "big"}, "agent:coder"])
    vendor.script(trouble, on="model-info")
    vendor.script(trouble, on="agent-info")
    async with opened(vendor, models={"gpt": "big"}) as session:
        await ask(session)
        await ask(session, replace(REQUEST, model="agent:coder"))
    assert [one.path for one in asked(vendor, agents=False)] == ["/lab/models/gpt/v1/chat/completions"]
    assert [one.path for one in asked(vendor)] == ["/lab/agents/coder"]


@pytest.mark.parametrize("model", ["gpt", "agent:coder"])
async def test_a_control_plane_that_is_silent_is_not_waited_for(
    opened: Open, lab: Lab, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    """Not by one call after the other, either."""
    monkeypatch.setattr("pointsman_blaxel.control._PATIENCE", 0.2)
    vendor = lab.vendor("any", dialect=BlaxelApi(), models=[{"id": "gpt", "model": "big"}, "agent:coder"])
    asked_in_vain = 0

    async def mute(stream: anyio.abc.SocketStream) -> None:
        nonlocal asked_in_vain
        async with stream:
            while await stream.receive():
                asked_in_vain += 1
                await anyio.sleep_forever()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        tasks.start_soon(listener.serve, mute)
        async with opened(vendor, control_url=f"http://127.0.0.1:{port}/v0", models={"gpt": "big"}) as session:
            with anyio.fail_after(5):
                async with anyio.create_task_group() as calls:
                    for _ in range(3):
                        calls.start_soon(ask, session, replace(REQUEST, model=model))
        tasks.cancel_scope.cancel()
    assert asked_in_vain == 1
    assert len(vendor.requests) == 3


async def test_elsewhere_than_at_blaxel_the_control_plane_is_not_asked(opened: Open, lab: Lab) -> None:
    vendor = lab.vendor("run", dialect=BlaxelApi(), models=["gpt", "agent:coder"], api_key=KEY)
    async with opened(vendor, control_url=None) as session:
        await ask(session)
        await ask(session, replace(REQUEST, model="agent:coder"))
        assert (await session.health()).state is HealthState.UNKNOWN
        with pytest.raises(Unavailable, match="set control_url"):
            await session.models()
    async with opened(vendor, control_url=None, agents={"coder": {}}, models={"gpt": "big"}) as session:
        assert [model.id for model in await session.models()] == ["gpt", "agent:coder"]
    assert not [path for path in paths(vendor) if path.startswith("/v0")]


@pytest.mark.parametrize(
    "url",
    ["https://evil.example/x", "http://mdl-gpt-lab.us.bl.run", "https://bl.run.evil.example", "http://[", "nonsense"],
)
@pytest.mark.parametrize("model", ["gpt", "agent:coder"])
async def test_a_key_goes_to_no_stranger_that_the_control_plane_names(
    opened: Open, lab: Lab, url: str, model: str
) -> None:
    vendor = lab.vendor("moved", dialect=BlaxelApi(), models=[{"id": model, "url": url}], api_key=KEY)
    async with opened(vendor) as session:
        with pytest.raises(ConfigError, match="must not go") as caught:
            await ask(session, replace(REQUEST, model=model))
    assert caught.value.scope is Scope.TARGET
    assert len(vendor.requests) == 1


# Listing and health ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [1, 2, 50])
async def test_what_can_be_asked_is_listed(opened: Open, lab: Lab, page: int) -> None:
    vendor = lab.vendor("pages", dialect=BlaxelApi(page=page), models=MODELS, api_key=KEY)
    async with opened(vendor) as session:
        found = await session.models()
    acts = frozenset({"agentic"})
    agents = [ModelInfo(id=f"agent:{name}", capabilities=acts) for name in ("coder", "ts", "open")]
    assert found == [ModelInfo(id="gpt"), *agents]


async def test_a_bare_list_is_one_page_and_pages_without_end_have_one(opened: Open, vendor: Vendor) -> None:
    entry = b'{"metadata": {"name": "gpt"}, "spec": {}, "status": "DEPLOYED"}'
    vendor.script(Raw(b"[" + entry + b"]", content_type="application/json"), on="models")
    endless = b'{"data": [' + entry + b'], "meta": {"hasMore": true, "nextCursor": "x"}}'
    vendor.script(
        Raw(endless, content_type="application/json"), Raw(endless, content_type="application/json"), on="agents"
    )
    async with opened(vendor) as session:
        assert [model.id for model in await session.models()] == ["gpt", "agent:gpt"]


@pytest.mark.parametrize(
    ("models", "state", "reason"),
    [
        (MODELS, HealthState.UP, "2 models and 3 agents in workspace 'lab'; deploying: agent new"),
        (({"id": "agent:new", "status": "BUILDING"},), HealthState.WARMING, "deploying in workspace 'lab': agent new"),
        (({"id": "gpt", "status": "FAILED"},), HealthState.DOWN, "nothing is deployed in workspace 'lab'"),
    ],
)
async def test_health(opened: Open, lab: Lab, models: Any, state: HealthState, reason: str) -> None:
    vendor = lab.vendor("well", dialect=BlaxelApi(), models=models, api_key=KEY)
    async with opened(vendor) as session:
        health = await session.health()
    assert health.state is state
    assert health.reason.startswith(reason)
    assert not asked(vendor)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"api_key": "bl_wrong_0123456789"}, r"key: Unauthorized \(.*made at https://app\.blaxel\.ai/profile/security"),
        ({"workspace": "other"}, "key: .*'other'"),
        ({"control_url": "http://127.0.0.1:9/v0"}, "cannot connect"),
    ],
)
async def test_health_says_what_is_wrong(opened: Open, vendor: Vendor, settings: Any, reason: str) -> None:
    async with opened(vendor, **settings) as session:
        health = await session.health()
    assert health.state is HealthState.DOWN
    assert health.error is not None
    assert re.search(reason, health.reason)


# Refusals ----------------------------------------------------------------------------------------------------------


def provider_said(status: int, message: str, **more: Any) -> Fault:
    return Fault(status, {"error": {"message": message, "type": "x", **more}})


@pytest.mark.parametrize(
    ("script", "kind", "scope", "retryable"),
    [
        (Fault(401), AuthFailed, Scope.PROVIDER, False),
        (Fault(403), AuthFailed, Scope.PROVIDER, False),
        (Fault(402), QuotaExhausted, Scope.PROVIDER, False),
        (Fault(404), ModelGone, Scope.TARGET, False),
        (Fault(404, code="WORKLOAD_UNAVAILABLE"), WorkloadUnavailable, Scope.TARGET, True),
        (Fault(400), InvalidRequest, Scope.REQUEST, False),
        (Fault(413), InvalidRequest, Scope.TARGET, False),
        (Fault(429), RateLimited, Scope.TARGET, True),
        (Fault(403, code="POLICY_VIOLATION"), AuthFailed, Scope.TARGET, False),
        (Fault(502), Unavailable, Scope.TARGET, True),
        (
            Fault(500, {"error": {"code": "NEW", "origin": "platform", "retryable": False}}),
            Unavailable,
            Scope.TARGET,
            False,
        ),
        (provider_said(401, "Incorrect API key", code="invalid_api_key"), AuthFailed, Scope.TARGET, False),
        (provider_said(429, "slow down"), RateLimited, Scope.TARGET, True),
        (provider_said(429, "no quota", code="insufficient_quota"), QuotaExhausted, Scope.TARGET, False),
        (provider_said(404, "The model x does not exist"), ModelGone, Scope.TARGET, False),
        (Fault(401, {"error": "Unauthorized", "code": 401}), AuthFailed, Scope.PROVIDER, False),
        (Fault(502, "<html><title>502 Bad gateway</title></html>"), Unavailable, Scope.TARGET, True),
        (Fault(403, "<html><title>Request blocked</title></html>"), Unavailable, Scope.TARGET, False),
        (Fault(404, "<html><title>Not found</title></html>"), Unavailable, Scope.TARGET, False),
    ],
)
async def test_refusals(opened: Open, vendor: Vendor, script: Any, kind: Any, scope: Scope, retryable: bool) -> None:
    vendor.script(script, script)
    async with opened(vendor) as session:
        with pytest.raises(kind) as caught:
            await ask(session)
    error = caught.value
    assert (type(error), error.scope, error.retryable) == (kind, scope, retryable)
    assert error.status == script.status
    assert error.request_id
    assert error.where == "blaxel/gpt"
    assert "Do not tell" not in str(error)
    assert "Delete the workload" not in str(error)


@pytest.mark.parametrize("model", ["gpt", "agent:coder"])
@pytest.mark.parametrize("control", [True, False])
async def test_a_wrong_key_is_refused_with_the_place_where_keys_are_made(
    opened: Open, vendor: Vendor, model: str, control: bool
) -> None:
    settings: Any = {} if control else {"control_url": None}
    async with opened(vendor, api_key="bl_wrong_0123456789", **settings) as session:
        with pytest.raises(AuthFailed, match=r"keys are made at https://app\.blaxel\.ai/profile/security"):
            await ask(session, replace(REQUEST, model=model))


async def test_a_wrong_workspace_is_named(opened: Open, vendor: Vendor) -> None:
    async with opened(vendor, workspace="other") as session:
        with pytest.raises(AuthFailed, match="the workspace is 'other'"):
            await ask(session)
    async with opened(vendor, workspace="other", control_url=None) as session:
        with pytest.raises(AuthFailed, match=r"FORBIDDEN: .*the workspace is 'other'"):
            await ask(session, replace(REQUEST, model="agent:coder"))


async def test_a_workload_that_wakes_up_is_waited_for_and_trips_nothing(client: Make, lab: Lab) -> None:
    vendor = lab.vendor("cold", dialect=BlaxelApi(cold=8.0), models=MODELS, api_key=KEY)
    async with client(vendor) as pointsman:
        for model in ("blaxel/gpt", "blaxel/agent:coder"):
            reply = await pointsman.chat("Hi", model=model)
            assert reply.text == "cold answers."
            assert [attempt.outcome for attempt in reply.attempts] == ["failed", "finished"]
    assert not WorkloadUnavailable.trips


# Keys --------------------------------------------------------------------------------------------------------------

CREDENTIALS = base64.b64encode(b"service:account-secret").decode()


def service(lab: Lab, **facts: Any) -> Vendor:
    dialect = BlaxelApi(client_credentials=CREDENTIALS, **facts)
    return lab.vendor("service", dialect=dialect, models=MODELS, api_key="nobody-has-it")


async def test_credentials_are_changed_for_a_token_once(opened: Open, lab: Lab) -> None:
    vendor = service(lab)
    async with opened(vendor, api_key=None, client_credentials=CREDENTIALS) as session:
        async with anyio.create_task_group() as tasks:
            for model in ("gpt", "agent:coder", "gpt", "agent:ts"):
                tasks.start_soon(ask, session, replace(REQUEST, model=model))
    tokens = [one for one in vendor.requests if one.path == "/v0/oauth/token"]
    assert len(tokens) == 1
    assert tokens[0].headers["authorization"] == f"Basic {CREDENTIALS}"
    assert tokens[0].json == {"grant_type": "client_credentials"}
    assert "x-blaxel-authorization" not in tokens[0].headers
    rest = [one for one in vendor.requests if one not in tokens]
    assert {one.headers["x-blaxel-authorization"] for one in rest} == {"Bearer lab-token-0001"}


async def test_a_token_is_renewed_before_its_end(opened: Open, lab: Lab) -> None:
    """Lab seconds are shorter than ours, so that the end comes earlier than is said: a refusal renews it, too."""
    vendor = service(lab, token_seconds=1.0)
    async with opened(vendor, api_key=None, client_credentials=CREDENTIALS) as session:
        for model in ("gpt", "agent:coder", "gpt"):
            await ask(session, replace(REQUEST, model=model))
            await anyio.sleep(0.15)
    tokens = [one for one in vendor.requests if one.path == "/v0/oauth/token"]
    assert len(tokens) == 3


async def test_credentials_that_are_refused(opened: Open, lab: Lab) -> None:
    vendor = service(lab)
    async with opened(vendor, api_key=None, client_credentials="d3Jvbmc6d3Jvbmc=") as session:
        for model in ("gpt", "agent:coder"):
            with pytest.raises(AuthFailed, match="client_credentials were refused") as caught:
                await ask(session, replace(REQUEST, model=model))
            assert "d3Jvbmc6d3Jvbmc=" not in f"{caught.value} {caught.value.__cause__}"
        assert (await session.health()).state is HealthState.DOWN
    empty = Raw(b"{}", content_type="application/json")
    vendor.script(empty, empty, on="token")
    async with opened(vendor, api_key=None, client_credentials=CREDENTIALS) as session:
        with pytest.raises(Unavailable, match="without a token") as lost:
            await ask(session)
        assert not lost.value.begun


async def test_a_refusal_of_credentials_is_met_once_by_all_who_wait(opened: Open, lab: Lab) -> None:
    vendor = service(lab)
    refused: list[AuthFailed] = []

    async def meet(session: Any, model: str) -> None:
        with pytest.raises(AuthFailed) as caught:
            await ask(session, replace(REQUEST, model=model))
        refused.append(caught.value)

    async with opened(vendor, api_key=None, client_credentials="d3Jvbmc6d3Jvbmc=") as session:
        async with anyio.create_task_group() as tasks:
            for model in ("gpt", "agent:coder", "agent:ts"):
                tasks.start_soon(meet, session, model)
    assert paths(vendor) == ["/v0/oauth/token"]
    assert len(refused) == 3


async def test_who_waits_for_a_token_goes_on_if_the_one_who_asks_is_cancelled(opened: Open, lab: Lab) -> None:
    vendor = service(lab)
    vendor.script(Fault(503, wait=600), on="token")
    async with opened(vendor, api_key=None, client_credentials=CREDENTIALS) as session:
        async with anyio.create_task_group() as tasks:
            impatient = anyio.CancelScope()

            async def leave() -> None:
                with impatient:
                    await ask(session, replace(REQUEST, model="agent:ts"))

            tasks.start_soon(leave)
            await vendor.received(1)
            tasks.start_soon(ask, session, replace(REQUEST, model="agent:coder"))
            await anyio.sleep(0.05)
            impatient.cancel()
    assert [one.path for one in asked(vendor)] == ["/lab/agents/coder"]


async def test_credentials_without_a_control_plane(opened: Open, vendor: Vendor) -> None:
    with pytest.raises(ConfigError, match="control_url"):
        async with opened(vendor, api_key=None, client_credentials=CREDENTIALS, control_url=None):
            pass


# Judged by OpenAI's own client --------------------------------------------------------------------------------------

ON_ASYNCIO = pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)


def judge(vendor: Vendor, name: str = "gpt") -> openai.AsyncOpenAI:
    url = f"{vendor.base_url}/lab/models/{name}/v1"
    return openai.AsyncOpenAI(base_url=url, api_key=KEY, default_headers={"X-Blaxel-Workspace": "lab"}, max_retries=2)


@ON_ASYNCIO
async def test_openais_client_takes_the_lab_for_the_gateway(vendor: Vendor) -> None:
    vendor.script(Answer("one two"), Answer("one two").cut(after=2))
    said: Any = [{"role": "user", "content": "Count."}]
    async with judge(vendor) as client:
        stream = await client.chat.completions.create(model="gpt-4o-mini", messages=said, stream=True)
        texts = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
        assert "".join(texts) == "one two"
        cut = await client.chat.completions.create(model="gpt-4o-mini", messages=said, stream=True)
        with pytest.raises(openai.APIConnectionError):
            [chunk async for chunk in cut]
        with pytest.raises(openai.NotFoundError):
            await client.chat.completions.create(model="gpt", messages=said)  # Not what the provider calls it.


@ON_ASYNCIO
async def test_openais_client_does_not_retry_what_only_wakes_up(lab: Lab) -> None:
    """A defect to know of: the status is 404, and the client looks no further."""
    vendor = lab.vendor("cold", dialect=BlaxelApi(cold=600), models=MODELS, api_key=KEY)
    async with judge(vendor) as client:
        with pytest.raises(openai.NotFoundError) as caught:
            await client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "Hi"}])
    body: Any = caught.value.body
    assert body["code"] == "WORKLOAD_UNAVAILABLE"
    assert body["retryable"] is True
    assert len(vendor.requests) == 1


@ON_ASYNCIO
@pytest.mark.parametrize(
    ("key", "workspace", "kind"),
    [(KEY, "other", openai.PermissionDeniedError), ("wrong", "lab", openai.AuthenticationError)],
)
async def test_openais_client_reads_refusals_alike(vendor: Vendor, key: str, workspace: str, kind: Any) -> None:
    url = f"{vendor.base_url}/lab/models/gpt/v1"
    headers = {"X-Blaxel-Workspace": workspace}
    async with openai.AsyncOpenAI(base_url=url, api_key=key, default_headers=headers) as client:
        with pytest.raises(kind):
            await client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "Hi"}])

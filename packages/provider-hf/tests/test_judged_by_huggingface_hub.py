"""The vendor's own library at the lab: what it understands, so do we; what it gets wrong is in the table of the docs.

Each test whose name begins with ``test_defect`` is a row of that table, which a test at the end holds to them.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import anyio.to_thread
import httpx2
import huggingface_hub
import pytest
from huggingface_hub import AsyncInferenceClient, HfApi, InferenceClient, constants
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.inference._common import RequestParameters
from huggingface_hub.inference._providers.hf_inference import HFInferenceFeatureExtractionTask
from huggingface_hub.utils import close_session, get_session

from pointsman import (
    ChatRequest,
    EmbedRequest,
    Finished,
    PointsmanError,
    RateLimited,
    StreamBroken,
    TextDelta,
    Tool,
    Unavailable,
    user,
)
from pointsman_hf.embedding import path_of
from pointsman_testing import Answer, Fault, HuggingFaceApi, Lab, LabEndpoint, Raw, Vendor

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]
MODEL = "openai/gpt-oss-120b"
MESSAGES: Any = [{"role": "user", "content": "Hi."}]
HERE = Path(__file__)


@pytest.fixture
def anyio_backend() -> str:
    """On trio the library leaves its generators open, a warning each; ours is tested on both loops elsewhere."""
    return "asyncio"


@pytest.fixture(autouse=True)
def _own_session() -> Iterator[None]:
    close_session()
    yield
    close_session()


@asynccontextmanager
async def judge(vendor: Vendor, **options: Any) -> AsyncGenerator[AsyncInferenceClient]:
    options = {"api_key": vendor.api_key, "timeout": 5} | options
    async with AsyncInferenceClient(base_url=vendor.base_url, **options) as client:
        yield client


async def streamed(client: AsyncInferenceClient, **options: Any) -> list[Any]:
    stream = await client.chat_completion(MESSAGES, model=MODEL, stream=True, **options)
    return [chunk async for chunk in stream]


def text_of(chunks: list[Any]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


async def ours(opened: Open, vendor: Vendor, **fields: Any) -> tuple[str, Finished]:
    text = ""
    request = ChatRequest(messages=(user("Hi."),), model=MODEL, **fields)
    async with opened(vendor) as session, session.stream(request) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                text += event.text
            if isinstance(event, Finished):
                return text, event
    raise AssertionError("it did not finish")


def chats(vendor: Vendor) -> list[Any]:
    return [request for request in vendor.requests if request.path.endswith("/chat/completions")]


async def test_both_read_a_whole_answer_alike(opened: Open, vendor: Vendor) -> None:
    vendor.default = Answer("One two three.", reasoning="Hm.")
    async with judge(vendor) as client:
        chunks = await streamed(client, stream_options={"include_usage": True})
        whole = await client.chat_completion(MESSAGES, model=MODEL)
    text, end = await ours(opened, vendor)
    assert text == text_of(chunks) == whole.choices[0].message.content
    assert whole.choices[0].message.reasoning == "Hm."
    assert end.reason == whole.choices[0].finish_reason
    assert end.usage is not None
    assert end.usage.input_tokens == chunks[-1].usage.prompt_tokens == whole.usage.prompt_tokens


async def test_the_synchronous_client_too(opened: Open, vendor: Vendor) -> None:
    vendor.default = Answer("One two three.")

    def ask() -> str:
        with InferenceClient(base_url=vendor.base_url, api_key=vendor.api_key, timeout=5) as client:
            return text_of(list(client.chat_completion(MESSAGES, model=MODEL, stream=True)))

    assert (await anyio.to_thread.run_sync(ask)) == (await ours(opened, vendor))[0]


@pytest.mark.parametrize("status", [401, 402, 403, 429])
async def test_both_quote_the_routers_texts(opened: Open, vendor: Vendor, status: int) -> None:
    vendor.script(Fault(status), Fault(status))
    async with judge(vendor) as client:
        with pytest.raises(HfHubHTTPError) as theirs:
            await client.chat_completion(MESSAGES, model=MODEL)
    with pytest.raises(PointsmanError) as mine:
        await ours(opened, vendor)
    assert theirs.value.server_message
    assert theirs.value.server_message in mine.value.message
    assert theirs.value.response.status_code == mine.value.status == status


async def test_both_know_when_a_limit_ends(opened: Open, vendor: Vendor) -> None:
    headers = {"ratelimit": '"api";r=0;t=55', "ratelimit-policy": '"fixed window";"api";q=500;w=300'}
    theirs = huggingface_hub.utils._http.parse_ratelimit_headers(headers)
    vendor.script(Fault(429, headers=headers))
    with pytest.raises(RateLimited) as mine:
        await ours(opened, vendor)
    assert theirs is not None
    assert mine.value.retry_at is not None
    assert mine.value.retry_at - anyio.current_time() == pytest.approx(theirs.reset_in_seconds, abs=3)


async def test_both_ask_for_features_alike(opened: Open, vendor: Vendor) -> None:
    model, texts = "BAAI/bge-small-en-v1.5", ["a b", "c"]
    task: Any = HFInferenceFeatureExtractionTask()
    url = task._prepare_url(str(vendor.api_key), model)
    assert url == f"https://router.huggingface.co{path_of(model, _target(model))}"
    asked = RequestParameters(
        url=url.replace("https://router.huggingface.co", vendor.base_url.removesuffix("/v1")),
        task=task.task,
        model=model,
        json=task._prepare_payload_as_dict(texts, {}, None),
        data=None,
        headers={"authorization": f"Bearer {vendor.api_key}", "content-type": "application/json"},
    )
    async with judge(vendor) as client:
        theirs = task.get_response(httpx2.Response(200, content=await client._inner_post(asked)).json())
    async with opened(vendor) as session:
        mine = await session.embed(EmbedRequest(model, tuple(texts)))
    assert [list(vector) for vector in mine.vectors] == theirs
    assert vendor.requests[0].json == vendor.requests[1].json
    assert vendor.requests[0].path == vendor.requests[1].path


@pytest.fixture
async def endpoints(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Vendor:
    """A vendor with endpoints, at which the library's `HfApi` was pointed by changing a constant of it."""
    ends = (LabEndpoint(name="mine", boot=5.0), LabEndpoint(name="sleeper", state="paused", boot=5.0))
    vendor = lab.vendor(
        "ends", dialect=HuggingFaceApi(endpoints=ends), api_key="hf_lab0123456789ABCDEFGHIJKLMNOPQRSTUV"
    )
    monkeypatch.setattr(constants, "INFERENCE_ENDPOINTS_ENDPOINT", vendor.base_url.removesuffix("/v1") + "/v2")
    return vendor


def api_of(vendor: Vendor) -> HfApi:
    return HfApi(endpoint=vendor.base_url.removesuffix("/v1"), token=vendor.api_key)


async def test_both_know_the_same_of_endpoints(opened: Open, endpoints: Vendor) -> None:
    api = api_of(endpoints)
    listed = await anyio.to_thread.run_sync(api.list_inference_endpoints)
    one = await anyio.to_thread.run_sync(api.get_inference_endpoint, "mine")
    hardware = await anyio.to_thread.run_sync(api.list_inference_endpoints_hardware)
    async with opened(endpoints, api_key=endpoints.api_key) as session:
        mine = await session.endpoints.list()
        found = await session.endpoints.get("mine")
        prices = await session.endpoints.hourly_prices()
    assert [(end.name, end.status, end.url) for end in mine] == [(end.name, end.status, end.url) for end in listed]
    assert found.raw == one.raw
    assert [float(price) for price in prices.values()] == [item.price_per_hour for item in hardware]
    assert list(prices) == [(item.vendor, item.region, item.instance_type, item.instance_size) for item in hardware]


async def test_both_start_and_stop_alike(opened: Open, endpoints: Vendor) -> None:
    api = api_of(endpoints)
    async with opened(endpoints, api_key=endpoints.api_key) as session:
        for action in ("resume", "pause", "scale_to_zero"):
            theirs = await anyio.to_thread.run_sync(getattr(api, f"{action}_inference_endpoint"), "sleeper")
            assert (await session.endpoints.get("sleeper")).status == theirs.status
            await session.endpoints.pause("sleeper")
            mine = await getattr(session.endpoints, action)("sleeper")
            assert mine.status == theirs.status


# What follows is wrong there; each is a row of docs/providers/hf.md.


async def test_defect_cut_answer_is_whole(opened: Open, vendor: Vendor) -> None:
    cut = Answer("One two three four.").cut(after=3, how="clean")
    vendor.script(cut, cut)
    async with judge(vendor) as client:
        assert text_of(await streamed(client)) == "One two"
    with pytest.raises(StreamBroken):
        await ours(opened, vendor)


async def test_defect_cut_connection_is_raw(opened: Open, vendor: Vendor) -> None:
    cut = Answer("One two three four.").cut(after=3, how="close")
    vendor.script(cut, cut)
    async with judge(vendor) as client:
        with pytest.raises(httpx2.RemoteProtocolError):
            await streamed(client)
    with pytest.raises(StreamBroken):
        await ours(opened, vendor)


async def test_defect_refused_connection_is_raw(opened: Open, vendor: Vendor) -> None:
    with vendor.refusing():
        async with judge(vendor) as client:
            with pytest.raises(httpx2.ConnectError):
                await streamed(client)
        with pytest.raises(Unavailable):
            await ours(opened, vendor)


async def test_defect_error_body_is_lost(opened: Open, vendor: Vendor) -> None:
    """Where a refusal has no length, as behind many proxies."""
    refusal = Raw(b'{"error":"You have depleted your credits"}', status=402, content_type="application/json")
    vendor.script(refusal, refusal)
    async with judge(vendor) as client:
        with pytest.raises(HfHubHTTPError) as theirs:
            await streamed(client)
    assert "depleted" not in str(theirs.value)
    with pytest.raises(PointsmanError, match="depleted"):
        await ours(opened, vendor)


async def test_defect_schema_is_rewritten(opened: Open, vendor: Vendor) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "title": "thing"}
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "thing", "schema": schema, "strict": True}}
    async with judge(vendor) as client:
        await client.chat_completion(MESSAGES, model=MODEL, response_format=wanted)
    await ours(opened, vendor, response_schema=schema)
    theirs, mine = (request.json["response_format"] for request in chats(vendor))
    assert theirs == {"type": "json_object", "value": schema}
    assert mine == {"type": "json_schema", "json_schema": {"name": "thing", "schema": schema}}


async def test_defect_nulls_are_dropped(opened: Open, vendor: Vendor) -> None:
    parameters = {"type": "object", "properties": {"a": {"type": "string", "default": None}}}
    tools: Any = [{"type": "function", "function": {"name": "f", "parameters": parameters}}]
    async with judge(vendor) as client:
        await client.chat_completion(MESSAGES, model=MODEL, tools=tools)
    await ours(opened, vendor, tools=(Tool("f", parameters=parameters),))
    theirs, mine = (request.json["tools"][0]["function"]["parameters"] for request in chats(vendor))
    assert theirs["properties"]["a"] == {"type": "string"}
    assert mine == parameters


async def test_defect_streams_are_kept_until_the_client_closes(vendor: Vendor) -> None:
    async with judge(vendor) as client:
        for _ in range(3):
            await streamed(client)
        stack: Any = client.exit_stack
        assert len(stack._exit_callbacks) >= 3


async def test_defect_a_connection_a_stream(opened: Open, vendor: Vendor) -> None:
    async with judge(vendor) as client:
        for _ in range(3):
            await streamed(client)
    assert len({request.client for request in chats(vendor)}) == 3
    async with opened(vendor) as session:
        for _ in range(3):
            async with session.stream(ChatRequest(messages=(user("Hi."),), model=MODEL)) as events:
                _ = [event async for event in events]
    assert len({request.client for request in chats(vendor)[3:]}) == 1


async def test_defect_own_token_goes_anywhere(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_ambient")
    async with judge(vendor, api_key=None) as client:
        with pytest.raises(HfHubHTTPError):
            await client.chat_completion(MESSAGES, model=MODEL)
    assert chats(vendor)[0].headers["authorization"] == "Bearer hf_ambient"


async def test_defect_offline_is_everywhere(opened: Open, vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    async with judge(vendor) as client:
        with pytest.raises(OfflineModeIsEnabled):
            await client.chat_completion(MESSAGES, model=MODEL)
    assert (await ours(opened, vendor))[0] == "hf answers."


async def test_defect_the_router_cannot_be_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor asked with a key that does not begin as the Hub's do."""
    client = AsyncInferenceClient(provider="auto", api_key="no-such-beginning")
    with pytest.raises(ValueError, match="Cannot select auto-router"):
        await client.chat_completion(MESSAGES, model=MODEL)
    helper: Any = huggingface_hub.inference._providers.get_provider_helper("auto", task="conversational", model=MODEL)
    monkeypatch.setattr(constants, "INFERENCE_PROXY_TEMPLATE", "http://127.0.0.1:9/{provider}")
    assert helper._prepare_base_url("hf_x") == "https://router.huggingface.co"


async def test_defect_the_endpoints_api_cannot_be_moved(lab: Lab) -> None:
    """Its address is a constant of the module; `HfApi(endpoint=...)` is the Hub's alone."""
    vendor = lab.vendor("hf", dialect=HuggingFaceApi(endpoints=(LabEndpoint(name="mine"),)))
    with pytest.raises(AssertionError, match=r"tried to reach 'api\.endpoints\.huggingface\.cloud'"):
        await anyio.to_thread.run_sync(lambda: api_of(vendor).get_inference_endpoint("mine", token="hf_x"))
    assert [request.path for request in vendor.requests] == ["/api/whoami-v2"]


async def test_defect_no_end_of_waiting() -> None:
    client = get_session()
    assert client.timeout == httpx2.Timeout(None)
    assert client.follow_redirects


async def test_defect_an_endpoint_forgets_its_token(endpoints: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pause` and the like then go out with whatever token lies about."""
    monkeypatch.setenv("HF_TOKEN", "hf_ambient")
    found = await anyio.to_thread.run_sync(
        api_of(endpoints).get_inference_endpoint,
        "mine",
    )
    assert found._token is None
    assert found._api.token is None
    with pytest.raises(HfHubHTTPError):
        await anyio.to_thread.run_sync(found.pause)
    assert endpoints.requests[-1].headers["authorization"] == "Bearer hf_ambient"


async def test_defect_one_bad_entry_hides_all_endpoints(opened: Open, endpoints: Vendor) -> None:
    async with opened(endpoints, api_key=endpoints.api_key) as session:
        good = (await session.endpoints.get("mine")).raw
        answer = Fault(200, {"items": [good, {"name": "new"}]})
        endpoints.script(answer, answer, on="endpoints")
        assert [end.name for end in await session.endpoints.list()] == ["mine"]
    with pytest.raises(KeyError):
        await anyio.to_thread.run_sync(api_of(endpoints).list_inference_endpoints)


def test_the_docs_list_exactly_these() -> None:
    page = (HERE.parents[3] / "docs" / "providers" / "hf.md").read_text()
    listed = re.findall(r"`(test_defect_\w+)`", page)
    tests = re.findall(r"^(?:async )?def (test_defect_\w+)", HERE.read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(tests)
    version = re.search(r"`huggingface_hub` (\d+)\.\d+\.\d+", page)
    assert version is not None
    assert huggingface_hub.__version__.startswith(f"{version[1]}.")


def _target(model: str) -> Any:
    from pointsman import Target

    return Target("hf", model)

"""Dedicated endpoints: found, woken, waited for and refused, by state; where the token goes; what it costs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from typing import Any, TypeAlias

import anyio
import pytest

import pointsman_hf
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
    PointsmanError,
    Scope,
    Settings,
    StreamEvent,
    TextDelta,
    Unavailable,
    Unknown,
    user,
)
from pointsman_testing import Answer, Fault, HuggingFaceApi, Lab, LabEndpoint, Vendor

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]
Clients: TypeAlias = Callable[..., AsyncClient]
Make: TypeAlias = Callable[..., Vendor]
KEY = "hf_lab0123456789ABCDEFGHIJKLMNOPQRSTUV"


@pytest.fixture
def with_endpoint(lab: Lab) -> Make:
    """A vendor with one endpoint, `mine`."""

    def make(dialect: dict[str, Any] | None = None, **facts: Any) -> Vendor:
        mine = LabEndpoint(**{"name": "mine", "boot": 20.0, **facts})
        return lab.vendor("hf", dialect=HuggingFaceApi(endpoints=(mine,), **(dialect or {})), api_key=KEY)

    return make


def about(model: str = "endpoint:mine") -> ChatRequest:
    return ChatRequest(messages=(user("Hi there."),), model=model)


async def ask(session: Any, request: ChatRequest) -> list[StreamEvent]:
    async with session.stream(request) as events:
        return [event async for event in events]


async def refusal(session: Any, request: ChatRequest) -> PointsmanError:
    with pytest.raises(PointsmanError) as caught:
        await ask(session, request)
    return caught.value


def paths(vendor: Vendor) -> list[str]:
    return [request.path for request in vendor.requests]


@pytest.mark.parametrize("name", ["endpoint:mine", "endpoint:lab-user/mine"])
async def test_a_running_endpoint_answers(opened: Open, with_endpoint: Make, name: str) -> None:
    vendor = with_endpoint()
    vendor.script(Answer("Hello there."), on="serving")
    async with opened(vendor, headers={"x-proxy": "secret-of-the-router"}, bill_to="acme") as session:
        events = await ask(session, about(name))
        await ask(session, about(name))
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "Hello there."
    assert isinstance(events[-1], Finished)
    assert events[-1].served is None
    chat = next(one for one in vendor.requests if one.path == "/serving/mine/v1/chat/completions")
    assert chat.json["model"] == "mine"
    assert chat.headers["authorization"] == f"Bearer {KEY}"
    assert paths(vendor).count("/v2/endpoint/lab-user/mine") == 1  # Its address is asked for once.
    elsewhere = [one for one in vendor.requests if not one.path.startswith("/v1")]
    assert not any({"x-proxy", "x-hf-bill-to"} & set(one.headers) for one in elsewhere)


async def test_one_that_sleeps_is_woken_and_held(opened: Open, with_endpoint: Make) -> None:
    vendor = with_endpoint(state="scaledToZero", boot=5.0)
    async with opened(vendor) as session:
        events = await ask(session, about())
    assert isinstance(events[-1], Finished)
    chats = [one for one in vendor.requests if one.path.startswith("/serving")]
    assert [one.headers["x-scale-up-timeout"] for one in chats] == ["600"]


async def test_one_that_sleeps_and_holds_nothing_is_asked_again(opened: Open, with_endpoint: Make) -> None:
    vendor = with_endpoint({"holds": False}, state="scaledToZero", boot=12.0)
    async with opened(vendor) as session:
        with anyio.fail_after(10):
            events = await ask(session, about())
    assert isinstance(events[-1], Finished)
    assert paths(vendor).count("/serving/mine/v1/chat/completions") >= 2


async def test_waiting_for_one_that_starts_has_an_end(opened: Open, with_endpoint: Make) -> None:
    vendor = with_endpoint({"holds": False}, state="scaledToZero", boot=1e6)
    async with opened(vendor, wake_seconds=0.6) as session:
        with anyio.fail_after(5):
            error = await refusal(session, about())
    assert (type(error), error.status, error.retryable, error.scope) == (Unavailable, 503, True, Scope.TARGET)
    assert "the endpoint is initializing" in str(error)


async def test_waiting_can_be_cancelled(opened: Open, with_endpoint: Make) -> None:
    vendor = with_endpoint(state="scaledToZero", boot=1e6)
    async with opened(vendor) as session:
        with anyio.move_on_after(0.5) as scope:
            await ask(session, about())
        assert scope.cancelled_caught
        held = next(one for one in vendor.requests if one.path.startswith("/serving"))
        with anyio.fail_after(2):
            await held.gone.wait()


async def test_one_without_an_address_is_waited_for(opened: Open, with_endpoint: Make) -> None:
    vendor = with_endpoint(state="pending", boot=8.0)
    async with opened(vendor) as session:
        with anyio.fail_after(10):
            assert isinstance((await ask(session, about()))[-1], Finished)


@pytest.mark.parametrize(("state", "words"), [("paused", "never does it by itself"), ("failed", "logs")])
async def test_what_does_not_start_by_itself_is_refused(
    opened: Open, with_endpoint: Make, state: Any, words: str
) -> None:
    vendor = with_endpoint(state=state)
    async with opened(vendor) as session:
        error = await refusal(session, about())
    assert (type(error), error.retryable, error.begun, error.scope) == (Unavailable, False, False, Scope.TARGET)
    assert words in str(error)
    assert not [one for one in vendor.requests if one.method == "POST"]  # Nothing is started, and nothing is asked.


async def test_one_that_is_paused_meanwhile_is_told_as_such(opened: Open, with_endpoint: Make) -> None:
    """Its proxy says no more than "Invalid state"."""
    vendor = with_endpoint()
    async with opened(vendor) as session:
        await ask(session, about())
        await session.endpoints.pause("mine")
        error = await refusal(session, about())
        assert "paused" in str(error)
        assert error.__cause__ is not None
        assert "Invalid state" in str(error.__cause__)
        await session.endpoints.resume("mine")
        assert isinstance((await ask(session, about()))[-1], Finished)


@pytest.mark.parametrize("status", [400, 422])
async def test_a_mistake_is_not_waited_for(opened: Open, with_endpoint: Make, status: int) -> None:
    """Whatever the endpoint is up to: what it says of a request is about that request."""
    vendor = with_endpoint()
    async with opened(vendor) as session:
        raw = (await session.endpoints.get("mine")).raw
        updating = raw | {"status": raw["status"] | {"state": "updating"}}
        vendor.script(Fault(200, raw), Fault(200, updating), on="endpoint")
        vendor.script(Fault(status), on="serving")
        with anyio.fail_after(5):
            assert isinstance(await refusal(session, about()), InvalidRequest)
    assert paths(vendor).count("/serving/mine/v1/chat/completions") == 1


async def test_another_name_for_its_model_is_found_out(opened: Open, with_endpoint: Make) -> None:
    vendor = with_endpoint(model="Qwen/Qwen3-4B")
    async with opened(vendor) as session:
        await ask(session, about())
        await ask(session, about())
    asked = [one.json["model"] for one in vendor.requests if one.path.endswith("/chat/completions")]
    assert asked == ["mine", "Qwen/Qwen3-4B", "Qwen/Qwen3-4B"]


@pytest.mark.parametrize(
    "url",
    [
        "https://endpoints.huggingface.cloud.evil.example",
        "https://evil.example/",
        "http://abc.us-east-1.aws.endpoints.huggingface.cloud",  # In plain text it would be anybody's.
        "ftp://127.0.0.1/",
        "nonsense",
    ],
)
async def test_the_token_goes_nowhere_else(opened: Open, with_endpoint: Make, url: str) -> None:
    vendor = with_endpoint(url=url)
    async with opened(vendor) as session:
        error = await refusal(session, about())
    assert isinstance(error, ConfigError)
    assert error.scope is Scope.TARGET
    assert "the token is not sent to" in str(error)


@pytest.mark.parametrize("setting", ["hub_url", "endpoints_url"])
@pytest.mark.parametrize(
    "url", ["https://evil.example", "http://huggingface.co", "https://huggingface.co.evil.example"]
)
async def test_no_setting_sends_the_token_elsewhere(opened: Open, vendor: Vendor, setting: str, url: str) -> None:
    with pytest.raises(ConfigError, match=setting):
        async with opened(vendor, **{setting: url}):
            raise AssertionError("it was opened")


async def test_settings_may_name_the_vendors_own_hosts(opened: Open, vendor: Vendor) -> None:
    own = {"hub_url": "https://huggingface.co", "endpoints_url": "https://api.endpoints.huggingface.cloud/v2"}
    async with opened(vendor, **own) as session:
        assert session.catalogue.models == ()


async def test_there_is_no_such_endpoint(opened: Open, with_endpoint: Make) -> None:
    vendor = with_endpoint()
    async with opened(vendor) as session:
        error = await refusal(session, about("endpoint:other/mine"))
    assert isinstance(error, ModelGone)
    assert "no endpoint called mine in the namespace other" in str(error)


async def test_a_token_that_may_not_see_endpoints_still_serves_the_router(opened: Open, with_endpoint: Make) -> None:
    vendor = with_endpoint({"permissions": ("inference.serverless.write",)})
    async with opened(vendor) as session:
        error = await refusal(session, about())
        assert (type(error), error.scope, error.begun) == (AuthFailed, Scope.TARGET, False)
        assert "permission" in str(error)
        assert await session.models() == []
        assert isinstance((await ask(session, about("org/m")))[-1], Finished)


async def test_an_api_that_hangs_is_left(opened: Open, with_endpoint: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pointsman_hf.endpoints.API_SECONDS", 0.2)
    vendor = with_endpoint()
    vendor.script(Fault(500, wait=1e6), on="endpoint")
    async with opened(vendor) as session:
        with anyio.fail_after(5):
            error = await refusal(session, about())
    assert isinstance(error, Unavailable)
    assert "did not answer within" in str(error)


async def test_what_the_api_says_may_be_nonsense(opened: Open, with_endpoint: Make) -> None:
    vendor = with_endpoint()
    vendor.script(Fault(200, {"name": "mine"}), Fault(200, "[]"), Fault(200, "<html>"), on="endpoint")
    async with opened(vendor) as session:
        for _ in range(3):
            assert isinstance(await refusal(session, about()), Unavailable)


async def test_endpoints_are_listed_as_models(opened: Open, lab: Lab) -> None:
    ends = (
        LabEndpoint(name="chatty"),
        LabEndpoint(name="embedder", task="feature-extraction", state="paused"),
        LabEndpoint(name="foreign", namespace="acme"),
    )
    vendor = lab.vendor("hf", dialect=HuggingFaceApi(endpoints=ends), api_key=KEY)
    async with opened(vendor) as session:
        listed = await session.models()
    assert [(one.id, one.capabilities) for one in listed] == [
        ("endpoint:lab-user/chatty", None),
        ("endpoint:lab-user/embedder", frozenset({"embeddings"})),
    ]
    async with opened(vendor, namespace="acme") as session:
        assert [one.id for one in await session.models()] == ["endpoint:acme/foreign"]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("running", HealthState.UP),
        ("scaledToZero", HealthState.COLD),
        ("pending", HealthState.WARMING),
        ("initializing", HealthState.WARMING),
        ("updateFailed", HealthState.DEGRADED),
        ("paused", HealthState.DOWN),
        ("failed", HealthState.DOWN),
        ("somethingNew", HealthState.UNKNOWN),
    ],
)
async def test_how_an_endpoint_is(opened: Open, with_endpoint: Make, state: Any, expected: HealthState) -> None:
    vendor = with_endpoint(state=state, boot=1e6)
    async with opened(vendor) as session:
        found = await session.endpoints.health("mine")
    assert found.state is expected
    assert state in found.reason
    assert not [one for one in vendor.requests if one.path.startswith("/serving")]  # It would have been woken.


async def test_starting_and_stopping(client_of: Clients, with_endpoint: Make) -> None:
    vendor = with_endpoint(state="paused", boot=5.0)
    async with client_of(vendor) as client, pointsman_hf.open_endpoints(client) as mine:
        assert (await mine.resume("mine")).status == "initializing"
        with anyio.fail_after(5):
            while (found := await mine.get("mine")).status != "running":
                await anyio.sleep(0.1)
        assert (await mine.resume("mine")).status == "running"  # Already: no error.
        assert (await mine.scale_to_zero("mine")).status == "scaledToZero"
        assert (await mine.pause("lab-user/mine")).status == "paused"
        with pytest.raises(ModelGone):
            await mine.resume("other")
    assert found._token == found._api.token == KEY  # Neither looks for one by itself.
    async with AsyncClient(settings=Settings.of()) as client:
        with pytest.raises(ConfigError, match="HF_TOKEN"):
            async with pointsman_hf.open_endpoints(client):
                raise AssertionError("it was opened")


async def test_embeddings_of_an_endpoint(opened: Open, with_endpoint: Make) -> None:
    vendor = with_endpoint(state="scaledToZero", boot=2.0, task="feature-extraction")
    async with opened(vendor) as session:
        found = await session.embed(EmbedRequest("endpoint:mine", ("a b", "c")))
    assert len(found.vectors) == 2
    assert found.usage is not None
    assert found.usage.input_tokens == 3


async def test_an_endpoint_costs_the_time_that_it_took(client_of: Clients, with_endpoint: Make) -> None:
    vendor = with_endpoint()
    vendor.default = Answer("Hi.").stall(after=2, seconds=4.0)
    async with client_of(vendor) as client:
        one = await client.chat("Hi", model="hf/endpoint:mine")
        other = await client.chat("Hi", model="hf/endpoint:mine")
    for reply in (one, other):
        assert not reply.cost.complete
        seconds = reply.cost.known / Decimal("0.8") * 3600
        assert Decimal("0.3") < seconds <= Decimal(str(reply.timings.e2e)) + Decimal("0.05")


async def test_the_end_waits_for_the_price_of_an_hour(client_of: Clients, opened: Open, with_endpoint: Make) -> None:
    vendor = with_endpoint()
    async with opened(vendor) as session:
        told = await session.endpoints._ask("GET", "provider/lab-user")
    vendor.script(Fault(200, told, wait=3.0), on="hardware")
    async with client_of(vendor) as client:
        assert (await client.chat("Hi", model="hf/endpoint:mine")).cost != Unknown


async def test_the_users_price_for_an_hour_wins(client_of: Clients, with_endpoint: Make) -> None:
    vendor = with_endpoint({"hourly": {}})
    vendor.default = Answer("Hi.").stall(after=2, seconds=2.0)
    async with client_of(vendor, endpoint_prices={"mine": "36000"}) as client:
        reply = await client.chat("Hi", model="hf/endpoint:mine")
    assert not reply.cost.complete
    assert reply.cost.known > 1
    async with client_of(vendor) as client:
        assert (await client.chat("Hi", model="hf/endpoint:mine")).cost == Unknown


async def test_without_their_address_endpoints_are_refused(opened: Open, vendor: Vendor) -> None:
    async with opened(vendor, endpoints_url=None, hub_url=None) as session:
        for name in ("endpoint:mine", "endpoint:acme/mine"):
            error = await refusal(session, about(name))
            assert isinstance(error, ConfigError)
            assert "set endpoints_url to its address, such as https://api.endpoints.huggingface.cloud/v2" in str(error)
            assert ("set hub_url" in str(error)) is (name == "endpoint:mine")  # All that is missing, at once.
        assert [one.id for one in await session.models()][:1] == ["openai/gpt-oss-120b"]
    async with opened(vendor, hub_url=None) as session:
        error = await refusal(session, about())
        assert "set hub_url to the Hub's address, such as https://huggingface.co, or set namespace" in str(error)
    async with opened(vendor, endpoints_url=None, hub_url=None, namespace="acme") as session:
        assert "hub_url" not in str(await refusal(session, about()))

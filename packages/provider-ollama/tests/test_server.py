"""What a server has, what it has in memory, and how long a cold model will take."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import anyio
import pytest

import pointsman_ollama
from pointsman import (
    AsyncClient,
    ChatRequest,
    ConfigError,
    FirstTokenTimeout,
    HealthState,
    InvalidRequest,
    ModelGone,
    Plugins,
    PointsmanError,
    Settings,
    Unavailable,
    user,
)
from pointsman_ollama import Loaded, Pulled, Running, connect
from pointsman_testing import Fault, Lab, OllamaApi, Raw, ScriptedProvider, Vendor

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]

MODELS: Any = [
    {"name": "m", "context_length": 40_960, "capabilities": ["completion", "tools"]},
    {"name": "hot:7b", "loaded": 8192},
    {"name": "embeds", "capabilities": ["embedding"]},
    {"name": "mine", "remote_model": "gpt-oss:120b", "remote_host": "https://ollama.com:443"},
]


@pytest.fixture
async def vendor(lab: Lab) -> Vendor:
    return lab.vendor("ollama", dialect=OllamaApi(load=3.0), models=MODELS)


def json_(text: str) -> Raw:
    return Raw(text.encode(), content_type="application/json", chunked=False)


async def test_what_it_has(opened: Open, vendor: Vendor) -> None:
    async with opened(vendor.base_url) as session:
        m, _, embeds, mine = await session.server.pulled()
        assert session.server.base_url == vendor.base_url
    assert m == Pulled(
        name="m:latest",
        size=2_019_393_189,
        digest=m.digest,
        modified=datetime(2026, 9, 1, 15, 30, 0, 409490, UTC),
        parameters="3.2B",
        quantization="Q4_K_M",
        context=40_960,
        capabilities=("completion", "tools"),
        remote=False,
    )
    assert embeds.capabilities == ("embedding",)
    assert mine.remote


async def test_what_is_in_memory(opened: Open, vendor: Vendor) -> None:
    async with opened(vendor.base_url) as session:
        (hot,) = await session.server.running()
        assert hot == Running(
            name="hot:7b", size=2_019_393_189, vram=2_019_393_189, context=8192, expires=None
        )  # For ever, which the server writes as a date in 292 years.
        loaded = await session.server.load("m", keep_alive="10m")
        assert (loaded.name, loaded.already) == ("m:latest", False)
        assert loaded.seconds >= 0.3  # Three seconds of the lab.
        found = next(one for one in await session.server.running() if one.name == "m:latest")
        assert found.expires is not None
        assert (await session.server.load("m:latest")).already
        assert await session.server.unload("m")
        assert not await session.server.unload("m")
        assert [one.name for one in await session.server.running()] == ["hot:7b"]


async def test_odd_facts_are_left_out(opened: Open, vendor: Vendor) -> None:
    soon = (datetime.now(UTC) + timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%S.123456789-07:00")
    vendor.script(
        json_('{"models":[{"name":"a","size":"big","size_vram":0,"expires_at":"@"}, {}, 7]}'.replace("@", soon)),
        json_('{"models":[{"name":"a","expires_at":"soon"}]}'),
        json_("null"),
        on="ps",
    )
    vendor.script(json_('{"models":[{"model":"a"}]}'), on="tags")
    async with opened(vendor.base_url) as session:
        (one,) = await session.server.running()
        assert (one.size, one.vram, one.context) == (None, 0, None)
        assert one.expires is not None
        assert one.expires.microsecond == 123456
        assert [one.expires for one in await session.server.running()] == [None]
        assert await session.server.running() == []
        (one,) = await session.server.pulled()
        assert (one.size, one.modified, one.capabilities, one.context, one.remote) == (None, None, None, None, False)


async def test_a_load_is_what_the_next_request_needs(opened: Open, lab: Lab) -> None:
    """With another context than requests ask for, the first of them would load it anew."""
    vendor = lab.vendor("cold", dialect=OllamaApi(load=3.0), models=["m"])
    async with opened(vendor.base_url, num_ctx=2048, keep_alive="5m") as session:
        await session.server.load("m", keep_alive=-1)
        sent = vendor.requests[-1].json
        assert sent == {"model": "m", "messages": [], "keep_alive": -1, "options": {"num_ctx": 2048}}
        async with session.stream(ChatRequest(messages=(user("hi"),), model="m")) as events:
            *_, last = [event async for event in events]
        assert last.server.load < 0.1


@pytest.mark.parametrize(
    ("configured", "asked", "sent"), [("5m", None, "5m"), ("5m", 60, 60), (0, None, None), ("0s", "1h", "1h")]
)
async def test_how_long_a_loaded_model_stays(
    opened: Open, vendor: Vendor, configured: Any, asked: Any, sent: Any
) -> None:
    """What is unloaded after each request is not to be unloaded before the first."""
    async with opened(vendor.base_url, keep_alive=configured) as session:
        await session.server.load("hot:7b", keep_alive=asked)
    assert vendor.requests[-1].json.get("keep_alive") == sent


async def test_a_model_that_only_embeds_is_loaded_by_a_word(opened: Open, vendor: Vendor) -> None:
    async with opened(vendor.base_url) as session:
        await session.server.load("embeds")
        assert "embeds:latest" in [one.name for one in await session.server.running()]
        assert await session.server.unload("embeds")


@pytest.mark.parametrize(
    ("model", "how", "kind", "words"),
    [
        ("nobody", {}, ModelGone, "ollama pull nobody"),
        ("", {}, InvalidRequest, "name a model"),
        ("m", {"keep_alive": 0}, InvalidRequest, "unload"),
        ("m", {"keep_alive": "0s"}, InvalidRequest, "unload"),
        ("m", {"keep_alive": "soon"}, InvalidRequest, "keep_alive"),
        ("gpt-oss:120b-cloud", {}, InvalidRequest, r"at ollama\.com"),
    ],
)
async def test_what_cannot_be_loaded(
    opened: Open, vendor: Vendor, model: str, how: Any, kind: type[PointsmanError], words: str
) -> None:
    async with opened(vendor.base_url) as session:
        with pytest.raises(kind, match=words):
            await session.server.load(model, **how)


async def test_a_model_that_does_not_fit(opened: Open, vendor: Vendor) -> None:
    big = {"error": "model requires more system memory (9 GiB) than is available (4 GiB)"}
    vendor.script(Fault(500, big), on="load")
    async with opened(vendor.base_url) as session:
        with pytest.raises(Unavailable, match="smaller") as caught:
            await session.server.load("m")
        assert not caught.value.retryable
        with pytest.raises(ModelGone):
            await session.server.unload("nobody")


async def test_nothing_hangs(opened: Open, vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pointsman_ollama.server.LOADED_WITHIN", 0.1)
    monkeypatch.setattr("pointsman_ollama.server.ANSWERS_WITHIN", 0.1)
    silent = Raw(b"", status=200).stall(at=0)
    vendor.script(silent, on="tags")
    async with opened(vendor.base_url) as session:
        with pytest.raises(FirstTokenTimeout, match=r"not loaded within 0\.1 s"):
            await session.server.load("m")
        with pytest.raises(Unavailable, match=r"no answer within"):
            await session.server.pulled()


async def test_health_learns_how_long_a_load_takes(opened: Open, lab: Lab) -> None:
    vendor = lab.vendor("cold", dialect=OllamaApi(load=6.0), models=["m"])
    async with opened(vendor.base_url) as session:
        before = await session.health()
        assert (before.state, before.wait) == (HealthState.COLD, None)
        async with session.stream(ChatRequest(messages=(user("hi"),), model="m")) as events:
            _ = [event async for event in events]
        assert (await session.health()).state is HealthState.UP
        await session.server.unload("m")
        cold = await session.health()
        assert (cold.state, cold.wait) == (HealthState.COLD, pytest.approx(6.0, abs=0.1))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.server.load, "m")
            await vendor.received(len(vendor.requests) + 2)  # Which asks what is loaded first.
            warming = await session.health()
        assert (warming.state, warming.reason) == (HealthState.WARMING, "loading: m:latest")
        assert warming.wait is not None
        assert 5.0 < warming.wait <= 6.1
        assert (await session.health()).state is HealthState.UP


async def test_a_first_request_warms_too(opened: Open, lab: Lab) -> None:
    """A server lists a model that still loads; that an answer of it is waited for shows that it is not there yet."""
    vendor = lab.vendor("cold", dialect=OllamaApi(load=1e6), models=["m", {"name": "hot", "loaded": True}, "other"])
    async with opened(vendor.base_url) as session:

        async def ask() -> None:
            async with session.stream(ChatRequest(messages=(user("hi"),), model="m")):
                pass

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await vendor.received(2)
            health = await session.health()
            tasks.cancel_scope.cancel()
        assert (health.state, health.reason) == (HealthState.UP, "loaded: hot:latest; loading: m:latest")
        async with session.stream(ChatRequest(messages=(user("hi"),), model="hot")) as events:
            _ = [event async for event in events]
        vendor.script(Fault(500), on="load")
        with pytest.raises(Unavailable):
            await session.server.load("other")
        assert "loading" not in (await session.health()).reason  # What failed is over.


async def test_connect_lends_the_server_of_a_client(vendor: Vendor) -> None:
    other = ScriptedProvider("other")
    settings = Settings.of({"providers": {"ollama": {"base_url": vendor.base_url}, "lan": {"plugin": "ollama"}}})
    plugins = Plugins.of(providers={"ollama": pointsman_ollama, "other": other})
    async with AsyncClient(settings=settings, plugins=plugins) as client:
        async with connect(client) as server:
            assert isinstance(await server.load("hot:7b"), Loaded)
        async with connect(client, provider="lan") as server:
            assert server.base_url == "http://127.0.0.1:11434"
        with pytest.raises(ConfigError, match="no Ollama server"):
            async with connect(client, provider="other"):
                pass
        with pytest.raises(ConfigError, match="no provider is called 'nobody'"):
            async with connect(client, provider="nobody"):
                pass
        assert await client.chat("hi", model="ollama/hot:7b")


async def test_connect_alone_has_the_settings_of_the_process(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", vendor.base_url)
    async with connect() as server:
        assert [one.name for one in await server.running()] == ["hot:7b"]

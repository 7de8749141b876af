"""The provider for any compatible server, as core finds and opens it."""

from __future__ import annotations

import logging
from importlib.metadata import entry_points
from typing import Any

import anyio
import pluggy
import pytest
from pydantic import SecretStr, ValidationError

from pointsman import (
    ChatRequest,
    Connection,
    Exact,
    PriceBook,
    ProviderContext,
    RateLimits,
    Target,
    Terminal,
    TextDelta,
    Unknown,
    Usage,
    hookimpl,
    user,
)
from pointsman_openai import Quirks, openai_spec
from pointsman_openai.compatible import SPEC, CompatibleConfig
from pointsman_testing import Answer, Vendor

PLUGIN = next(point for point in entry_points(group="pointsman.providers") if point.name == "openai-compatible")
CONTEXT = ProviderContext(
    name="lan",
    clock=anyio.current_time,
    secrets={},
    limits=RateLimits(),
    log=logging.LoggerAdapter(logging.getLogger("lan"), {}),
)


async def test_hooks_answer_with_what_they_promise(vendor: Vendor) -> None:
    plugin = PLUGIN.load()
    (spec,) = plugin.pointsman_providers()
    assert (spec.name, spec.terminal) == ("openai-compatible", Terminal.FINISH_REASON)
    config = CompatibleConfig(base_url=vendor.base_url)
    vendor.script(Answer("from the lan"))
    async with spec.open(config, CONTEXT) as session:
        connection: Connection[Any] = Connection(
            spec=spec, config=config, session=session, context=CONTEXT, prices=PriceBook()
        )
        async with plugin.pointsman_stream(connection)(ChatRequest(messages=(user("hi"),), model="x")) as events:
            assert "".join([event.text async for event in events if isinstance(event, TextDelta)]) == "from the lan"
        assert (await plugin.pointsman_health(connection)()).state.value == "up"
        assert await plugin.pointsman_models(connection)() == []
        cost = plugin.pointsman_cost(connection)(Target("lan", "x"), Usage(input_tokens=1), None)
    assert cost == Unknown
    assert cost != Exact(0)


def test_the_plugin_implements_hooks_that_exist() -> None:
    manager = pluggy.PluginManager("pointsman")
    from pointsman import hookspecs

    manager.add_hookspecs(hookspecs)
    manager.register(PLUGIN.load())
    manager.check_pending()
    assert hookimpl.project_name == "pointsman"


@pytest.mark.parametrize(
    "base_url",
    ["", "127.0.0.1:8080", "ftp://h/v1", "http://", "http://u:p@h/v1", "http://h/v1?x=1", "http://h:port", "http://[/"],
)
def test_addresses_that_cannot_be_used(base_url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        CompatibleConfig(base_url=base_url)
    assert caught.value.errors()[0]["loc"] == ("base_url",)


def test_settings() -> None:
    config = CompatibleConfig.model_validate(
        {
            "base_url": "http://h:1/v1/",
            "api_key": "secret-key",
            "default_models": "a, b",
            "headers": {"X-Org": "sesame"},
        }
    )
    assert (config.base_url, config.default_models) == ("http://h:1/v1", ("a", "b"))
    assert config.headers == {"X-Org": SecretStr("sesame")}
    assert "secret-key" not in repr(config)
    assert "sesame" not in repr(config)
    assert CompatibleConfig.model_validate({"base_url": "http://h", "default_models": ["a"]}).default_models == ("a",)


def test_only_its_user_knows_whether_a_server_goes_on_with_an_answer() -> None:
    assert "prefill" not in SPEC.capabilities
    config = CompatibleConfig.model_validate({"base_url": "http://h", "capabilities": "prefill, local"})
    assert config.capabilities == {"prefill", "local"}


def test_a_spec_is_data() -> None:
    spec = openai_spec("acme", CompatibleConfig, quirks=Quirks(terminal=Terminal.DONE_MARKER), hosts=("acme.example",))
    assert (spec.name, spec.config, spec.terminal) == ("acme", CompatibleConfig, Terminal.DONE_MARKER)
    assert spec.env_keys == {}
    assert SPEC.backends == ("asyncio", "trio")


def test_a_proof_that_the_dialect_does_not_have() -> None:
    with pytest.raises(ValueError, match="done: true"):
        Quirks(terminal=Terminal.DONE_FIELD)

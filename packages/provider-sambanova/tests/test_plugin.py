"""The plugin: its hooks, its table of models, what it lists, its settings, and what importing it costs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from importlib.metadata import entry_points
from typing import Any, TypeAlias

import pytest
from pydantic import ValidationError

import pointsman_sambanova
from pointsman import (
    AsyncClient,
    AuthFailed,
    ChatRequest,
    Connection,
    Exact,
    Finished,
    HealthState,
    InvalidRequest,
    PriceBook,
    Settings,
    Target,
    TextDelta,
    Usage,
    user,
)
from pointsman_openai import Session
from pointsman_sambanova import SPEC, SambaNovaConfig
from pointsman_testing import Answer, Fault, Lab, Raw, SambaNovaApi, Vendor

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Session]]
REQUEST = ChatRequest(messages=(user("Explain closures."),), model="gpt-oss-120b")
PLUGIN: Any = next(point for point in entry_points(group="pointsman.providers") if point.name == "sambanova").load()


def connection(session: Session) -> Connection[Any]:
    prices = {Target("sambanova", model.id): model.price for model in SPEC.models if model.price}
    return Connection(spec=SPEC, config=None, session=session, context=session._context, prices=PriceBook((prices,)))


async def test_its_plugin_answers_every_hook(opened: Open, lab: Lab, key: str) -> None:
    models = ("gpt-oss-120b", {"id": "E5-Mistral-7B-Instruct", "embedding_length": 4}, "something-new")
    vendor = lab.vendor("sambanova", dialect=SambaNovaApi(), api_key=key, models=models)
    assert PLUGIN.pointsman_providers() == [SPEC]
    vendor.script(Answer("hi"))
    async with opened(vendor) as session:
        open_ = connection(session)
        async with PLUGIN.pointsman_stream(open_)(REQUEST) as events:
            told = [event async for event in events]
        assert told[:-1] == [TextDelta("hi")]
        assert isinstance(told[-1], Finished)
        assert (await PLUGIN.pointsman_health(open_)()).state is HealthState.UP
        listed = {model.id: model for model in await PLUGIN.pointsman_models(open_)()}
        cost = PLUGIN.pointsman_cost(open_)
    assert {name: model.capabilities for name, model in listed.items()} == {
        "gpt-oss-120b": frozenset({"tools", "schema", "reasoning"}),
        "E5-Mistral-7B-Instruct": frozenset({"embeddings"}),
        "something-new": None,  # Nobody knows, which is not the same as nothing.
    }
    million = Usage(input_tokens=1_000_000, cached_input_tokens=500_000, output_tokens=1_000_000)
    assert cost(Target("sambanova", "gpt-oss-120b"), million, None) == Exact("0.81")
    assert cost(Target("sambanova", "MiniMax-M3"), million, None) == Exact("2.73")  # Half of the input was cached.


async def test_models_as_documented(opened: Open, vendor: Vendor) -> None:
    """Prices for one token, as strings in the documents' example and numbers in their schema."""
    entries = [
        {
            "id": "DeepSeek-R1",
            "object": "model",
            "context_length": 16384,
            "max_completion_tokens": 4096,
            "pricing": {"prompt": "0.000005", "completion": "0.000007"},
        },
        {"id": "MiniMax-M3", "pricing": {"prompt": 6e-7, "completion": 2.4e-6, "input_cache_read": "0.00000006"}},
        {"id": "odd", "pricing": {"prompt": "free", "completion": None}},
    ]
    listing = json.dumps({"object": "list", "data": entries}).encode()
    vendor.script(Raw(listing, content_type="application/json"), on="models")
    async with opened(vendor) as session:
        first, second, third = await PLUGIN.pointsman_models(connection(session))()
    assert (first.id, first.context_tokens, first.max_output_tokens) == ("DeepSeek-R1", 16384, 4096)
    assert first.price is not None
    assert (first.price.input, first.price.output, first.price.cached_input) == (Decimal(5), Decimal(7), None)
    assert first.price.source.endswith("/models")
    assert second.price is not None
    assert (second.price.input, second.price.output) == (Decimal("0.6"), Decimal("2.4"))
    assert second.price.cached_input == Decimal("0.06")
    assert (third.context_tokens, third.price) == (None, None)


async def test_texts_are_embedded_where_a_model_can(lab: Lab, key: str) -> None:
    models = ("gpt-oss-120b", {"id": "E5-Mistral-7B-Instruct", "embedding_length": 4})
    vendor = lab.vendor("sambanova", dialect=SambaNovaApi(), api_key=key, models=models)
    settings = Settings.of({"providers": {"sambanova": {"base_url": vendor.base_url, "api_key": key}}})
    async with AsyncClient(settings=settings) as client:
        made = await client.embed(["a b", "c"], model="sambanova/E5-Mistral-7B-Instruct")
        with pytest.raises(InvalidRequest, match="does not embed"):
            await client.embed(["a"], model="sambanova/gpt-oss-120b")
    assert [len(vector) for vector in made.vectors] == [4, 4]
    assert made.usage == Usage(input_tokens=3)


@pytest.mark.parametrize(
    ("fault", "state", "words"),
    [
        (Fault(401), HealthState.DOWN, "cloud.sambanova.ai/apis"),
        (Fault(402), HealthState.DOWN, "cloud.sambanova.ai/plans/billing"),
        (Fault(429), HealthState.DEGRADED, "rate limit"),
        (Fault(503), HealthState.DOWN, "Service Temporarily Unavailable"),
        (Fault(404, {"error": "Not found"}), HealthState.UNKNOWN, "does not list"),
    ],
)
async def test_health(opened: Open, vendor: Vendor, fault: Fault, state: HealthState, words: str) -> None:
    vendor.script(fault, on="models")
    async with opened(vendor) as session:
        health = await session.health()
    assert health.state is state
    assert words in health.reason
    assert health.error is None or isinstance(health.error, AuthFailed) is (fault.status == 401)


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


def test_settings(key: str) -> None:
    config = SambaNovaConfig.model_validate({"api_key": key})
    assert config.base_url == "https://api.sambanova.ai/v1"
    assert SPEC.hosts == ("api.sambanova.ai",)
    assert SPEC.env_keys == {"api_key": "SAMBANOVA_API_KEY"}
    assert key not in repr(config)
    with pytest.raises(ValidationError):
        SambaNovaConfig.model_validate({})
    with pytest.raises(ValidationError):
        SambaNovaConfig.model_validate({"api_key": key, "model": "x"})


def test_importing_it_loads_no_http_library() -> None:
    script = "import sys, pointsman_sambanova; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert not {"httpx2", "msgspec", "anyio", "h11", "ssl", "pointsman_sambanova.refusals"} & loaded
    assert pointsman_sambanova.__doc__

"""The real vendors, for whoever has keys: ``nox -s live``. What each call is known to have cost is printed at the end.

Keys and addresses come from the environment and the files of settings, as for any program. A provider that is not set
up is skipped with the reason. ``POINTSMAN_LIVE_MODELS="hf/Qwen/Qwen3-8B,ollama/llama3.2"`` chooses other models than
the first that a provider suggests; one that suggests none, and is not named there, is asked for health and models only.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from pointsman import (
    AsyncClient,
    AuthFailed,
    ConfigError,
    Cost,
    Finished,
    HealthState,
    InvalidRequest,
    ModelGone,
    Settings,
    Started,
    Target,
    TextDelta,
    Tool,
    Unavailable,
)

PROVIDERS = ("sambanova", "hf", "ollama", "blaxel", "modal")
CHOSEN = [Target.parse(text) for text in os.environ.get("POINTSMAN_LIVE_MODELS", "").split(",") if text.strip()]
PATIENCE = 300.0
"""Seconds for each call: a model may have to be loaded first."""

spent: list[tuple[str, str, Cost]] = []
"""Target, what was asked, what it cost."""


@pytest.fixture(scope="session", autouse=True)
def bill(request: pytest.FixtureRequest) -> Iterator[None]:
    """Print what was spent, whatever became of the tests."""
    yield
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print("\n\nspent:")
        for target, what, cost in spent:
            print(f"  {target:<50} {what:<12} {cost}")
        print(f"  {'together':<50} {'':<12} {Cost.total(cost for _, _, cost in spent)}")


@pytest.fixture(params=["asyncio", "trio"], scope="module")
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def client() -> AsyncGenerator[AsyncClient]:
    async with AsyncClient() as one:
        yield one


@pytest.fixture(params=PROVIDERS)
async def provider(request: pytest.FixtureRequest, client: AsyncClient) -> str:
    """A provider that is set up and, if it is a server on this machine, there."""
    name: str = request.param
    try:
        client.roster.configured(name)
        health = await (await client.connect(name)).health()
    except ConfigError as error:
        if not error.missing:
            raise
        pytest.skip(f"not set up: {error}")
    if health.state is HealthState.DOWN and not client.roster.configured(name).origins:
        pytest.skip(f"{name} is not there: {health.reason}")
    return name


@pytest.fixture
def model(client: AsyncClient, provider: str) -> Target:
    named = [target for target in CHOSEN if target.provider == provider]
    found = named or client.roster.default_targets(provider)
    if not found:
        pytest.skip(f"{provider} suggests no model: name one in POINTSMAN_LIVE_MODELS")
    return found[0]


async def test_it_is_well(client: AsyncClient, provider: str) -> None:
    health = await (await client.connect(provider)).health()
    print(f"{provider}: {health.state.value} {health.reason}")
    assert health.state is not HealthState.DOWN, health.reason


async def test_it_lists_models(client: AsyncClient, provider: str) -> None:
    models = await (await client.connect(provider)).models()
    priced, sized = sum(one.price is not None for one in models), sum(bool(one.context_tokens) for one in models)
    print(f"{provider}: {len(models)} models, {priced} with a price, {sized} with a context")
    assert len({one.id for one in models}) == len(models)
    assert models


async def test_an_answer_streams_and_proves_that_it_is_whole(client: AsyncClient, model: Target) -> None:
    async with client.stream("Count from 1 to 20, in digits.", model=model, max_tokens=400, deadline=PATIENCE) as reply:
        events = [event async for event in reply.events]
    spent.append((str(model), "stream", reply.cost))
    finished = events[-1]
    assert isinstance(events[0], Started)
    assert isinstance(finished, Finished)
    texts = [event.text for event in events if isinstance(event, TextDelta)]
    usage = reply.usage
    assert usage is not None
    print(f"{model}: {len(texts)} pieces, {finished.reason}, {usage}, {reply.cost}, {reply.timings}")
    assert "17" in "".join(texts) or finished.reason == "length"


async def test_a_tool_is_called(client: AsyncClient, model: Target) -> None:
    if "tools" not in client.roster.capabilities(model):
        pytest.skip(f"{model} does not say that it has tools")
    weather = Tool(
        "weather",
        "The weather in a city, now.",
        {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    )
    question = "What is the weather in Lisbon?"
    reply = await client.chat(question, model=model, tools=[weather], max_tokens=600, deadline=PATIENCE)
    spent.append((str(model), "tool", reply.cost))
    assert [call.name for call in reply.tool_calls] == ["weather"], reply.text
    assert "isbo" in reply.tool_calls[0].arguments


async def test_an_answer_is_left_early(client: AsyncClient, model: Target) -> None:
    async with client.stream("Tell a long story.", model=model, max_tokens=400, deadline=PATIENCE) as reply:
        async for event in reply.events:
            if isinstance(event, TextDelta):
                break
    spent.append((str(model), "left early", reply.cost))
    (attempt,) = reply.attempts
    assert attempt.outcome == "cancelled"


async def test_a_model_that_is_not_there(client: AsyncClient, provider: str) -> None:
    nobody = Target(provider, "pointsman/no-such-model")
    with pytest.raises((ModelGone, InvalidRequest, Unavailable)) as raised:
        await client.chat("hi", model=nobody, max_tokens=1, deadline=PATIENCE)
    print(f"{provider}: {raised.value!r}")


async def test_a_wrong_key(client: AsyncClient, provider: str, model: Target) -> None:
    made = client.roster.configured(provider)
    if not made.secrets:
        pytest.skip(f"{provider} is used without a key")
    table: dict[str, Any] = {}
    for name in made.origins:
        value = getattr(made.config, name)
        key = value.get_secret_value() if isinstance(value, SecretStr) else None
        table[name] = value if key is None else key[:-6] + ("0" * 6 if key[-6:] != "0" * 6 else "1" * 6)
    settings = Settings.of({"providers": {provider: table}})
    async with AsyncClient(settings=settings) as stranger:
        with pytest.raises(AuthFailed) as raised:
            await stranger.chat("hi", model=model, max_tokens=1, deadline=PATIENCE)
    print(f"{provider}: {raised.value!r}")

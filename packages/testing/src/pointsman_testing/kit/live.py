"""The real vendor, for whoever has a key: ``POINTSMAN_LIVE=1 pytest -s``. It asks for little, and says what it cost.

Keys and addresses come from the environment and the files of settings, as for any program.
``POINTSMAN_LIVE_MODELS="acme/acme-1,hf/Qwen/Qwen3-8B"`` chooses other models than the first that a provider suggests.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterator
from typing import Any, TypeAlias

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
    PointsmanError,
    Settings,
    Started,
    Target,
    TextDelta,
    Tool,
    Unavailable,
)

from .base import ProviderSetting
from .speech import expect

LIVE_PATIENCE = 300.0
"""Seconds for each call: a model may have to be loaded first."""

Bill: TypeAlias = list[tuple[str, str, Cost]]
"""Target, what was asked, what it cost."""

WEATHER = Tool(
    "weather",
    "The weather in a city, now.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


class LiveCases(ProviderSetting):
    """Skipped unless ``POINTSMAN_LIVE`` is set, and then unless the provider is set up."""

    @pytest.fixture(scope="class")
    @classmethod
    def bill(cls, request: pytest.FixtureRequest) -> Iterator[Bill]:
        """What was asked for, and what it cost; printed whatever becomes of the tests."""
        spent: Bill = []
        yield spent
        if not spent:
            return
        capture: Any = request.config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():
            print(f"\n\n{cls.provider} spent:")
            for target, what, cost in spent:
                print(f"  {target:<50} {what:<12} {cost}")
            print(f"  {'together':<50} {'':<12} {Cost.total(cost for _, _, cost in spent)}")

    @pytest.fixture
    async def live(self, anyio_backend: str) -> AsyncGenerator[AsyncClient]:
        """A client of this process's settings, if the provider is set up and, where it runs on this machine, there."""
        if not os.environ.get("POINTSMAN_LIVE"):
            pytest.skip("POINTSMAN_LIVE is not set: no real vendor is asked")
        async with AsyncClient() as client:
            try:
                made = client.roster.configured(self.provider)
                health = await (await client.connect(self.provider)).health()
            except ConfigError as error:
                if not error.missing:
                    raise
                pytest.skip(f"not set up: {error}")
            if health.state is HealthState.DOWN and not made.origins:
                pytest.skip(f"{self.provider} is not there: {health.reason}")
            yield client

    @pytest.fixture
    def live_model(self, live: AsyncClient) -> Target:
        wanted = [Target.parse(one) for one in os.environ.get("POINTSMAN_LIVE_MODELS", "").split(",") if one.strip()]
        found = [target for target in wanted if target.provider == self.provider]
        found = found or live.roster.default_targets(self.provider)
        if not found:
            pytest.skip(f"{self.provider} suggests no model: name one in POINTSMAN_LIVE_MODELS")
        return found[0]

    async def test_live_health_is_not_down(self, live: AsyncClient) -> None:
        health = await (await live.connect(self.provider)).health()
        print(f"{self.provider}: {health.state.value} {health.reason}")
        expect(health.state is not HealthState.DOWN, f"it says that the vendor is down: {health.reason}")

    async def test_live_models_are_listed(self, live: AsyncClient) -> None:
        models = await (await live.connect(self.provider)).models()
        priced, sized = sum(one.price is not None for one in models), sum(bool(one.context_tokens) for one in models)
        print(f"{self.provider}: {len(models)} models, {priced} with a price, {sized} with a context")
        expect(models, "it lists no model")
        expect(len({one.id for one in models}) == len(models), "it lists a model twice")

    async def test_live_answer_streams_to_its_end(self, live: AsyncClient, live_model: Target, bill: Bill) -> None:
        wishes: dict[str, Any] = {"model": live_model, "max_tokens": 400, "deadline": LIVE_PATIENCE}
        async with live.stream("Count from 1 to 20, in digits.", **wishes) as reply:
            events = [event async for event in reply.events]
        bill.append((str(live_model), "stream", reply.cost))
        text = "".join(event.text for event in events if isinstance(event, TextDelta))
        print(
            f"{live_model}: {len(events)} events, {reply.finish_reason}, {reply.usage}, {reply.cost}, {reply.timings}"
        )
        expect(isinstance(events[0], Started) and isinstance(events[-1], Finished), f"no whole stream: {events}")
        expect("17" in text or reply.finish_reason == "length", f"asked to count from 1 to 20, it said {text!r}")
        expect(reply.usage is not None, "the answer has no usage: is the vendor to be asked for it?")

    async def test_live_tool_is_called(self, live: AsyncClient, live_model: Target, bill: Bill) -> None:
        if "tools" not in live.roster.capabilities(live_model):
            pytest.skip(f"{live_model} does not say that it has tools")
        wishes: dict[str, Any] = {"model": live_model, "max_tokens": 600, "deadline": LIVE_PATIENCE}
        reply = await live.chat("What is the weather in Lisbon?", tools=[WEATHER], **wishes)
        bill.append((str(live_model), "tool", reply.cost))
        called = [(call.name, call.arguments) for call in reply.tool_calls]
        expect(
            len(called) == 1 and called[0][0] == "weather" and "isbo" in called[0][1],
            f"asked for the weather in Lisbon, with a tool for it, it called {called} and said {reply.text!r}",
        )

    async def test_live_answer_is_left_early(self, live: AsyncClient, live_model: Target, bill: Bill) -> None:
        wishes: dict[str, Any] = {"model": live_model, "max_tokens": 400, "deadline": LIVE_PATIENCE}
        async with live.stream("Tell a long story.", **wishes) as reply:
            async for event in reply.events:
                if isinstance(event, TextDelta):
                    break
        bill.append((str(live_model), "left early", reply.cost))
        outcomes = [attempt.outcome for attempt in reply.attempts]
        expect(outcomes == ["cancelled"], f"an answer that was left early is recorded as {outcomes}")

    async def test_live_model_that_is_not_there(self, live: AsyncClient) -> None:
        nobody = Target(self.provider, "pointsman/no-such-model")
        met = await _met(live, nobody)
        expect(
            isinstance(met, ModelGone | InvalidRequest | Unavailable),
            f"a model that does not exist is ModelGone, where the vendor says so; it was {met!r}",
        )

    async def test_live_wrong_key(self, live: AsyncClient, live_model: Target) -> None:
        made = live.roster.configured(self.provider)
        if not made.secrets:
            pytest.skip(f"{self.provider} is used without a key")
        table: dict[str, Any] = {}
        for name in made.origins:
            value = getattr(made.config, name)
            table[name] = _other(value.get_secret_value()) if isinstance(value, SecretStr) else value
        async with AsyncClient(settings=Settings.of({"providers": {self.provider: table}})) as stranger:
            met = await _met(stranger, live_model)
        expect(isinstance(met, AuthFailed), f"a wrong key is AuthFailed; it was {met!r}")


async def _met(client: AsyncClient, target: Target) -> PointsmanError | str:
    """The error, or what was answered instead."""
    try:
        reply = await client.chat("Hi", model=target, max_tokens=1, deadline=LIVE_PATIENCE)
    except PointsmanError as error:
        return error
    return f"an answer: {reply.text}"


def _other(key: str) -> str:
    """One that looks like `key`, and is not."""
    return key[:-6] + ("0" * 6 if key[-6:] != "0" * 6 else "1" * 6)

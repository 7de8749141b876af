"""The plugin as core meets it: found by its entry point, cheap to import, an answer for every hook."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import date
from decimal import Decimal
from importlib.metadata import entry_points
from typing import Any, TypeAlias

import pytest

from pointsman import (
    ChatRequest,
    Connection,
    EmbedRequest,
    Exact,
    HealthState,
    ModelInfo,
    Price,
    PriceBook,
    Target,
    Terminal,
    TextDelta,
    Unknown,
    Usage,
    user,
)
from pointsman_ollama import SPEC, OllamaConfig
from pointsman_testing import Answer, Vendor

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]


async def test_its_plugin_answers_every_hook(opened: Open, vendor: Vendor) -> None:
    plugin: Any = next(point for point in entry_points(group="pointsman.providers") if point.name == "ollama").load()
    assert plugin.pointsman_providers() == [SPEC]
    vendor.script(Answer("hi"))
    priced, ask = Target("ollama", "priced"), SPEC.price_of
    assert ask is not None
    price = Price(input=Decimal(1), output=Decimal(2), as_of=date(2026, 11, 1), source="electricity")
    async with opened(vendor.base_url) as session:

        def at(base_url: str) -> Connection[Any]:
            config = OllamaConfig(base_url=base_url)
            book = PriceBook(({priced: price},), package=lambda target, _: ask(config, ModelInfo(id=target.model)))
            return Connection(spec=SPEC, config=config, session=session, context=session._context, prices=book)

        here = at(vendor.base_url)
        async with plugin.pointsman_stream(here)(ChatRequest(messages=(user("hi"),), model="m")) as events:
            assert [event async for event in events][:-1] == [TextDelta("hi")]
        assert (await plugin.pointsman_health(here)()).state is HealthState.UP
        assert [model.id for model in await plugin.pointsman_models(here)()] == ["m:latest"]
        assert len((await plugin.pointsman_embed(here)(EmbedRequest("m", ("a",)))).vectors) == 1
        warmed = await plugin.pointsman_warm(here)("m")
        assert (warmed.state, warmed.reason) == (HealthState.UP, "m:latest is loaded")
        cost, cloud = plugin.pointsman_cost(here), plugin.pointsman_cost(at("ollama.com"))
        lan = plugin.pointsman_cost(at("gpu-box.lan"))
    usage = Usage(input_tokens=1_000_000, output_tokens=1_000_000)
    mine = Target("ollama", "qwen3:8b")
    assert cost(mine, usage, None) == lan(mine, None, None) == Exact(0)
    assert cloud(mine, usage, None) == cost(Target("ollama", "gpt-oss:120b-cloud"), usage, None) == Unknown
    assert cost(priced, usage, None) == cloud(priced, usage, None) == Exact(3)


def test_its_spec() -> None:
    assert SPEC.terminal is Terminal.DONE_FIELD
    assert SPEC.cold_start == 300.0
    assert "prefill" not in SPEC.capabilities  # It depends on the model's template.
    assert OllamaConfig.model_validate({"capabilities": ["prefill"]}).capabilities == {"prefill"}
    assert SPEC.hosts == ("ollama.com",)
    assert (SPEC.env_keys, SPEC.env_settings) == ({"api_key": "OLLAMA_API_KEY"}, {"base_url": "OLLAMA_HOST"})


@pytest.mark.parametrize(
    ("settings", "model", "window"),
    [
        ({}, "qwen3:8b", 300.0),
        ({"keep_alive": "1h30m"}, "qwen3:8b", 5_400.0),
        ({"keep_alive": ".5h1.5s"}, "qwen3:8b", 1_801.5),
        ({"keep_alive": "90"}, "qwen3:8b", 90.0),
        ({"keep_alive": 0}, "qwen3:8b", 0.0),
        ({"keep_alive": -1}, "qwen3:8b", 1e9),
        ({"keep_alive": "-1m"}, "qwen3:8b", 1e9),
        ({"keep_alive": "99999999999h"}, "qwen3:8b", 1e9),
        ({}, "gpt-oss:120b-cloud", None),
        ({"base_url": "https://ollama.com"}, "gpt-oss:120b", None),
    ],
)
def test_a_model_is_there_for_as_long_as_the_server_keeps_it(
    settings: dict[str, Any], model: str, window: float | None
) -> None:
    assert SPEC.scaling is not None
    found = SPEC.scaling(OllamaConfig.model_validate(settings), model)
    assert (found and found.window) == window


def test_importing_it_loads_no_http_library() -> None:
    script = "import sys, pointsman_ollama; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"httpx2", "msgspec", "anyio", "h11", "ssl", "httpx", "ollama"} & set(run.stdout.split())

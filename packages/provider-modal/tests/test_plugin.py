"""The plugin as core meets it: found by its entry point, cheap to import, an answer for every hook."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from importlib.metadata import entry_points
from typing import Any, TypeAlias

import pytest

from pointsman import (
    AtLeast,
    ChatRequest,
    Connection,
    EmbedRequest,
    HealthState,
    ModelInfo,
    PriceBook,
    ScaleToZero,
    Target,
    Terminal,
    TextDelta,
    Timings,
    user,
)
from pointsman_modal import SPEC, ModalConfig
from pointsman_testing import Answer, Lab, ModalEndpoint

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]


async def test_its_plugin_answers_every_hook(opened: Open, lab: Lab) -> None:
    plugin: Any = next(point for point in entry_points(group="pointsman.providers") if point.name == "modal").load()
    assert plugin.pointsman_providers() == [SPEC]
    vendor = lab.vendor("modal", dialect=ModalEndpoint(), models=["m"], default=Answer("hi"))
    async with opened(vendor.base_url) as session:
        config = ModalConfig.model_validate({"base_url": vendor.base_url, "price_per_second": "0.001"})
        ask = SPEC.price_of
        assert ask is not None
        book = PriceBook(package=lambda target, _: ask(config, ModelInfo(id=target.model)))
        here: Connection[Any] = Connection(
            spec=SPEC, config=config, session=session, context=session._context, prices=book
        )
        assert (await plugin.pointsman_health(here)()).state is HealthState.COLD
        async with plugin.pointsman_stream(here)(ChatRequest(messages=(user("hi"),), model="m")) as events:
            assert [event async for event in events][:-1] == [TextDelta("hi")]
        assert (await plugin.pointsman_health(here)()).state is HealthState.UP
        assert [model.id for model in await plugin.pointsman_models(here)()] == ["m:latest"]
        assert len((await plugin.pointsman_embed(here)(EmbedRequest("m", ("a",)))).vectors) == 1
        assert (await plugin.pointsman_warm(here)("m")).state is HealthState.UP
        cost = plugin.pointsman_cost(here)(Target("modal", "m"), None, Timings(ttft=1.0, e2e=2.0))
    assert cost == AtLeast("0.001000000000")


def test_its_spec() -> None:
    assert SPEC.terminal is Terminal.FINISH_REASON
    assert SPEC.cold_start == 300.0
    assert SPEC.backends == ("asyncio", "trio")
    assert SPEC.env_keys == {"token_id": "MODAL_PROXY_TOKEN_ID", "token_secret": "MODAL_PROXY_TOKEN_SECRET"}


def test_all_its_models_are_in_the_same_containers_which_may_always_be_there() -> None:
    assert SPEC.scaling is not None
    going = ModalConfig.model_validate({"base_url": "https://you--x.modal.run", "scaledown_window": 300, "parallel": 4})
    found = SPEC.scaling(going, "m")
    assert found == ScaleToZero(window=300.0, start=20.0, parallel=4, shared=True)
    assert SPEC.scaling(going.model_copy(update={"min_containers": 1}), "m") is None


def test_importing_it_loads_no_http_library_and_never_modal() -> None:
    assert not {"httpx2", "msgspec", "anyio", "h11", "ssl", "openai", "modal"} & loaded_by("pointsman_modal")


def test_no_part_of_it_loads_modal_before_it_talks_to_modal() -> None:
    """Who has not installed the extra `deploy` reads why it is needed, and no error of an import."""
    import pointsman_modal

    parts = [part.name for part in pkgutil.walk_packages(pointsman_modal.__path__, "pointsman_modal.")]
    assert "pointsman_modal.deploy.fan" in parts
    assert not {"modal", "modal_proto", "grpclib"} & loaded_by(*parts)


def loaded_by(*names: str) -> set[str]:
    """Modules that a fresh interpreter has loaded after it imported `names`."""
    script = f"import sys, {', '.join(names)}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


async def test_opening_it_needs_no_modal_either(opened: Open, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "modal", None)  # An import of it fails.
    vendor = lab.vendor("modal", dialect=ModalEndpoint())
    async with opened(vendor.base_url) as session:
        assert (await session.health()).state is HealthState.COLD

"""The plugin as core meets it: found by its entry point, cheap to import, an answer for every hook, no key shown."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from importlib.metadata import entry_points
from typing import Any, TypeAlias

import anyio
import pytest
from pydantic import ValidationError

from pointsman import (
    AsyncClient,
    ChatRequest,
    Connection,
    EmbedRequest,
    HealthState,
    PointsmanError,
    PriceBook,
    Target,
    Terminal,
    Unknown,
    user,
)
from pointsman_hf import SPEC, HuggingFaceConfig
from pointsman_hf.config import ENDPOINTS, HUB
from pointsman_testing import Answer, Fault, HuggingFaceApi, Lab, LabEndpoint, Vendor

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]
Clients: TypeAlias = Callable[..., AsyncClient]


async def test_its_plugin_answers_every_hook(opened: Open, vendor: Vendor) -> None:
    plugin: Any = next(point for point in entry_points(group="pointsman.providers") if point.name == "hf").load()
    assert plugin.pointsman_providers() == [SPEC]
    async with opened(vendor) as session:
        config = HuggingFaceConfig(api_key=vendor.api_key)  # type: ignore[arg-type]
        here = Connection(spec=SPEC, config=config, session=session, context=session._context, prices=PriceBook())
        async with plugin.pointsman_stream(here)(
            ChatRequest(messages=(user("hi"),), model="openai/gpt-oss-120b")
        ) as it:
            assert [event async for event in it]
        assert (await plugin.pointsman_health(here)()).state is HealthState.UP
        assert len(await plugin.pointsman_models(here)()) == 3
        assert len((await plugin.pointsman_embed(here)(EmbedRequest("a/b", ("a",)))).vectors) == 1
        assert plugin.pointsman_cost(here)(Target("hf", "a/b"), None, None) == Unknown


def test_its_spec() -> None:
    assert SPEC.env_keys == {"api_key": "HF_TOKEN"}
    assert SPEC.terminal is Terminal.FINISH_REASON
    assert SPEC.family("endpoint:mine").cold_start == 600.0
    assert SPEC.family("openai/gpt-oss-120b").cold_start == 0.0
    hosts = ["router.huggingface.co", "huggingface.co", "api.endpoints.huggingface.cloud"]
    assert all(SPEC.trusts(host) for host in hosts)
    assert not SPEC.trusts("x.us-east-1.aws.endpoints.huggingface.cloud")  # Anybody's.
    assert not any(SPEC.trusts(host) for host in ("hf.co", "evil-huggingface.co", "datasets.huggingface.co"))


@pytest.mark.parametrize("bill_to", ["", "a b", "a\r\nx-evil: 1", "ä"])
def test_who_pays_fits_a_header(bill_to: str) -> None:
    with pytest.raises(ValidationError):
        HuggingFaceConfig.model_validate({"api_key": "hf_x", "bill_to": bill_to})


def test_importing_it_loads_no_library() -> None:
    script = "import sys, pointsman_hf; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"httpx2", "msgspec", "anyio", "h11", "ssl", "huggingface_hub", "yaml"} & set(run.stdout.split())


def test_the_router_needs_no_vendors_library() -> None:
    """It is loaded for endpoints alone: half a second that nobody else pays."""
    script = """
import anyio, sys
from pointsman import AsyncClient, Settings
from pointsman_testing import HuggingFaceApi, Lab
async def main():
    async with Lab() as lab:
        url = lab.vendor("hf", dialect=HuggingFaceApi()).base_url
        settings = Settings.of({"providers": {"hf": {"base_url": url, "api_key": "hf_0123456789"}}})
        async with AsyncClient(settings=settings) as client:
            assert (await client.chat("Hi", model="hf/a/b")).text == "hf answers."
anyio.run(main)
print(*sys.modules)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "huggingface_hub" not in run.stdout.split()


async def test_closing_ends_what_goes_on_beside(opened: Open, lab: Lab, vendor: Vendor) -> None:
    """A price list that hangs holds nobody up."""
    vendor.script(Fault(200, "{}", wait=1e9), on="models")
    with anyio.fail_after(5):
        async with opened(vendor) as session:
            async with session.stream(ChatRequest(messages=(user("hi"),), model="openai/gpt-oss-120b")) as events:
                _ = [event async for event in events]
            await vendor.received(2)
            listing = next(one for one in vendor.requests if one.path.endswith("/models"))  # Whichever came first.
    with anyio.fail_after(2):
        await listing.gone.wait()


async def test_an_exception_of_the_body_comes_out_as_it_is(opened: Open, vendor: Vendor) -> None:
    with pytest.raises(ZeroDivisionError):
        async with opened(vendor):
            raise ZeroDivisionError


@pytest.mark.parametrize("model", ["openai/gpt-oss-120b", "openai/gpt-oss-120b:groq", "endpoint:mine", "endpoint:gone"])
async def test_no_key_is_shown(
    client_of: Clients, lab: Lab, vendor: Vendor, model: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever repeats it: errors, what caused them, logs, records."""
    key = str(vendor.api_key)
    dialect = HuggingFaceApi(endpoints=(LabEndpoint(name="mine"),))
    told = lab.vendor("told", dialect=dialect, api_key=key, default=Fault(500, {"error": f"no: {key}"}))
    said = Fault(401, {"error": f"wrong: Bearer {key}"})
    for route in ("whoami", "models", "endpoint", "endpoints", "hardware"):
        if not (model == "endpoint:mine" and route in ("whoami", "endpoint")):
            told.script(said, said, said, on=route)
    caplog.set_level(logging.DEBUG)
    async with client_of(told) as client:
        with pytest.raises(PointsmanError) as caught:
            await client.chat("Hi", model=f"hf/{model}")
    shown: list[str] = [caplog.text]
    error: BaseException | None = caught.value
    while error is not None:
        shown += [str(error), repr(error), repr(vars(error))]
        error = error.__cause__ or error.__context__
    assert not [text for text in shown if key in text]


async def test_a_redirect_is_not_followed(client_of: Clients, lab: Lab, vendor: Vendor) -> None:
    """The token would go along."""
    other = lab.vendor("other", dialect=HuggingFaceApi())
    moved = Fault(307, "", headers={"location": f"{other.base_url}/chat/completions"})
    vendor.script(moved, moved)
    async with client_of(vendor) as client:
        with pytest.raises(PointsmanError, match="redirected"):
            await client.chat("Hi", model="hf/openai/gpt-oss-120b")
    assert not other.requests


async def test_a_whole_call_through_core(client_of: Clients, vendor: Vendor) -> None:
    vendor.script(Answer("Hello."))
    async with client_of(vendor) as client:
        reply = await client.chat("Hi", model="hf/openai/gpt-oss-120b")
    assert reply.text == "Hello."
    assert reply.attempts[0].served == "openai/gpt-oss-120b:groq"


@pytest.mark.parametrize("url", ["https://Router.HuggingFace.co/v1", "https://router.huggingface.co:443/v1/"])
def test_the_router_may_be_spelled_otherwise(url: str) -> None:
    config = HuggingFaceConfig.model_validate({"api_key": "hf_0123456789", "base_url": url})
    assert (config.hub, config.endpoints) == (HUB, ENDPOINTS)

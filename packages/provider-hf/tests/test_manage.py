"""`open_endpoints`: whose endpoints it lends, where the token goes, and what it says of wrong settings."""

from __future__ import annotations

from typing import Any

import pytest

import pointsman_hf
from pointsman import AsyncClient, ConfigError, Plugins, Settings
from pointsman_testing import HuggingFaceApi, Lab, LabEndpoint, ScriptedProvider, Vendor

KEY = "hf_lab0123456789ABCDEFGHIJKLMNOPQRSTUV"


@pytest.fixture
async def mine(lab: Lab) -> Vendor:
    ends = (LabEndpoint(name="mine"), LabEndpoint(name="ours", namespace="acme"))
    return lab.vendor("hf", dialect=HuggingFaceApi(endpoints=ends), api_key=KEY)


def places(vendor: Vendor) -> dict[str, str]:
    root = vendor.base_url.removesuffix("/v1")
    return {"base_url": vendor.base_url, "api_key": KEY, "hub_url": root, "endpoints_url": f"{root}/v2"}


async def test_alone_it_has_the_settings_of_the_process(mine: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    for setting, value in places(mine).items():
        monkeypatch.setenv(f"POINTSMAN_HF_{setting.upper()}", value)
    async with pointsman_hf.open_endpoints() as found:
        assert [one.name for one in await found.list()] == ["mine"]
    monkeypatch.setenv("POINTSMAN_HF_NAMESPACE", "acme")
    async with pointsman_hf.open_endpoints() as found:
        assert [one.name for one in await found.list()] == ["ours"]


async def test_of_a_client_it_has_those_of_a_provider(mine: Vendor) -> None:
    tables = {"hf": places(mine), "acme": {"plugin": "hf", "namespace": "acme", **places(mine)}}
    plugins = Plugins.of(providers={"hf": pointsman_hf, "other": ScriptedProvider("other")})
    async with AsyncClient(settings=Settings.of({"providers": tables}), plugins=plugins) as client:
        async with pointsman_hf.open_endpoints(client) as found:
            assert [one.name for one in await found.list()] == ["mine"]
        async with pointsman_hf.open_endpoints(client, provider="acme") as found:
            assert [one.name for one in await found.list()] == ["ours"]
        with pytest.raises(ConfigError, match="plugin is hf"):
            async with pointsman_hf.open_endpoints(client, provider="other"):
                raise AssertionError("it was opened")


@pytest.mark.parametrize(
    "settings",
    [
        {"token": KEY},
        {"api_key": {"it is": KEY}},
        {"api_key": f"{KEY[:9]}\n{KEY[9:]}"},
        {"api_key": f"{KEY}é"},
        {"api_key": " "},
        {"base_url": KEY},
    ],
)
async def test_wrong_settings_are_told_without_the_token(settings: dict[str, Any]) -> None:
    own = Settings.of({"providers": {"hf": settings}}, {"HF_TOKEN": KEY})
    async with AsyncClient(settings=own) as client:
        with pytest.raises(ConfigError) as caught:
            async with pointsman_hf.open_endpoints(client) as mine:
                await mine.list()
    said = f"{caught.value!s} {caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
    assert KEY[9:] not in said


@pytest.mark.parametrize("base_url", ["https://evil.example/v1", "http://router.huggingface.co/v1"])
async def test_a_token_that_lies_about_stays_with_the_vendor(base_url: str) -> None:
    table = {"base_url": base_url, "endpoints_url": "https://evil.example/v2"}
    async with AsyncClient(settings=Settings.of({"providers": {"hf": table}}, {"HF_TOKEN": KEY})) as client:
        with pytest.raises(ConfigError, match="is not sent to"):
            async with pointsman_hf.open_endpoints(client):
                raise AssertionError("it was opened")

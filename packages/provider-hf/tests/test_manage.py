"""`open_endpoints`: which token it takes, where that goes, and what it says of wrong settings."""

from __future__ import annotations

from typing import Any

import pytest

import pointsman_hf
from pointsman import ConfigError

KEY = "hf_lab0123456789ABCDEFGHIJKLMNOPQRSTUV"


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
async def test_wrong_settings_are_told_without_the_token(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", KEY)
    with pytest.raises(ConfigError) as caught:
        async with pointsman_hf.open_endpoints(**settings) as mine:
            await mine.list()
    said = f"{caught.value!s} {caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
    assert KEY[9:] not in said


@pytest.mark.parametrize("base_url", ["https://evil.example/v1", "http://router.huggingface.co/v1"])
async def test_a_token_that_lies_about_stays_with_the_vendor(base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", KEY)
    with pytest.raises(ConfigError, match="is not sent to"):
        async with pointsman_hf.open_endpoints(base_url=base_url, endpoints_url="https://evil.example/v2"):
            raise AssertionError("it was opened")

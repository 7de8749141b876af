"""The recorder of the kit, from a lab vendor: what it writes down is what was said, and plays back as it was."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from pointsman import PointsmanError, Settings, Target
from pointsman_testing import Answer, Fault, Lab, Vendor
from pointsman_testing.kit.record import make
from pointsman_testing.kit.recording import Recording

KEY = "sk-recorder-0123456789"
TARGET = Target("openai-compatible", "m")
TEXT = "Grüße, 世界! 👩‍🚀 said hello."


@pytest.fixture
async def vendor() -> AsyncGenerator[Vendor]:
    async with Lab() as lab:
        yield lab.vendor("recorded", api_key=KEY)


async def recorded(vendor: Vendor, key: str = KEY) -> str:
    table = {"base_url": vendor.base_url, "api_key": key}
    return await make(Settings.of({"providers": {"openai-compatible": table}}), TARGET, "Hi", {}, command="again")


async def test_what_was_said_is_written_down_and_read_again(vendor: Vendor, tmp_path: Path) -> None:
    vendor.script(Answer(TEXT).drip(5))
    path = tmp_path / "hello.json"
    path.write_text(await recorded(vendor))
    recording = Recording.read(path)
    [exchange] = recording.exchanges
    assert recording.outcome["text"] == TEXT
    assert recording.outcome["finish_reason"] == "stop"
    assert (exchange.method, exchange.path, exchange.status) == ("POST", "/v1/chat/completions", 200)
    assert exchange.asked == vendor.requests[0].json
    assert b"".join(data for _, data in exchange.body).endswith(b"data: [DONE]\n\n")
    assert [at for at, _ in exchange.body] == sorted(at for at, _ in exchange.body)
    assert any(data.decode(errors="replace").endswith("\ufffd") for _, data in exchange.body), "a letter was cut"
    assert recording.text() == path.read_text()


async def test_an_error_is_written_down_as_one(vendor: Vendor, tmp_path: Path) -> None:
    path = tmp_path / "refused.json"
    path.write_text(await recorded(vendor, "sk-another-0123456789"))
    assert Recording.read(path).outcome == {"error": "AuthFailed", "status": 401, "retryable": False}
    assert "sk-another" not in path.read_text()


async def test_no_key_is_written_down(vendor: Vendor) -> None:
    vendor.script(lambda request: Fault(400, f"you sent {request.headers['authorization']}"))
    with pytest.raises(ValueError, match="a key would be in the recording"):
        await recorded(vendor)


async def test_nothing_is_made_of_a_vendor_that_is_not_there(vendor: Vendor) -> None:
    with vendor.refusing(), pytest.raises((ValueError, PointsmanError), match="nothing was asked"):
        await recorded(vendor)


def test_what_is_no_recording_is_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text(json.dumps({"exchanges": [], "made": "2026-11-29"}))
    with pytest.raises(ValueError, match=r"other\.json is no recording"):
        Recording.read(path)

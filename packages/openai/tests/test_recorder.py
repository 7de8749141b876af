"""The recorder of the kit, from a lab vendor: what it writes down is what was said, and plays back as it was."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from pointsman import PointsmanError, Settings, Target
from pointsman_testing import Answer, Fault, Lab, Raw, RecordedRequest, Response, Vendor
from pointsman_testing.kit.record import make
from pointsman_testing.kit.recording import Recording

KEY = "sk-recorder-0123456789"
TARGET = Target("openai-compatible", "m")
TEXT = "Grüße, 世界! 👩‍🚀 said hello."


@pytest.fixture
async def vendor() -> AsyncGenerator[Vendor]:
    async with Lab() as lab:
        yield lab.vendor("recorded", api_key=KEY)


async def recorded(vendor: Vendor, key: str = KEY, **named: str) -> str:
    target = Target(named.get("name", TARGET.provider), TARGET.model)
    table = {"base_url": vendor.base_url, "api_key": key} | ({"plugin": TARGET.provider} if named else {})
    return await make(Settings.of({"providers": {target.provider: table}}), target, "Hi", {}, command="again")


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


async def test_an_answer_is_whole_before_its_connection_ends(vendor: Vendor) -> None:
    """A plugin that has seen the proof leaves, and real vendors take a moment to say the rest."""
    vendor.script(Answer(TEXT).stall(at=-1))
    recording = json.loads(await recorded(vendor))
    assert recording["outcome"]["text"] == TEXT
    assert recording["exchanges"][0]["body"][-1][1].endswith("data: [DONE]\n")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(TEXT).cut(at=-9), "peer closed connection without sending complete message body"),
        (Answer(TEXT).cut(at=-9, how="reset"), "Connection reset by peer"),
        (Raw(gzip.compress(b"data: [DONE]"), headers={"content-encoding": "gzip"}), "is compressed"),
    ],
    ids=["cut", "reset", "compressed"],
)
async def test_nothing_is_made_of_an_answer_that_cannot_be_played(vendor: Vendor, answer: Response, said: str) -> None:
    vendor.script(answer)
    with pytest.raises(ValueError, match=f"was asked, and .*{said}"):
        await recorded(vendor)


async def test_a_provider_of_another_name_is_recorded_as_its_plugin(vendor: Vendor) -> None:
    recording = json.loads(await recorded(vendor, name="mine"))
    assert (recording["provider"], recording["outcome"]["finish_reason"]) == (TARGET.provider, "stop")


@pytest.mark.parametrize("size", [None, 5])
async def test_no_key_is_written_down(vendor: Vendor, size: int | None) -> None:
    def parrot(request: RecordedRequest) -> Fault:
        fault = Fault(400, f"you sent {request.headers['authorization']}")
        return fault.drip(size) if size else fault

    vendor.script(parrot)
    with pytest.raises(ValueError, match="a key would be in the recording"):
        await recorded(vendor)


async def test_nothing_is_made_of_a_vendor_that_is_not_there(vendor: Vendor) -> None:
    with vendor.refusing(), pytest.raises((ValueError, PointsmanError), match="was asked, and the connection failed"):
        await recorded(vendor)


def test_what_is_no_recording_is_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text(json.dumps({"exchanges": [], "made": "2026-11-29"}))
    with pytest.raises(ValueError, match=r"other\.json is no recording"):
        Recording.read(path)

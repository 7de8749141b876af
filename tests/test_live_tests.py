"""The live tests, which hardly anybody can run, do run: here against the lab, with a key for each vendor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from pointsman import ToolCall
from pointsman_testing import DIALECTS, PROFILES, Answer, Lab, RecordedRequest, Response, Vendor, dialect_of

ROOT = Path(__file__).parent.parent
KEY = "wk-0123456789abcdef.ws-0123456789abcdef"
"""Written as Modal's are, which the others take as well."""
MODELS = {vendor: "org/m" if vendor == "hf" else "m" for vendor in DIALECTS}


def answer(request: RecordedRequest) -> Response:
    if request.json.get("tools"):
        return Answer(tool_calls=(ToolCall("call-1", "weather", json.dumps({"city": "Lisbon"})),))
    return Answer(" ".join(map(str, range(1, 400 if "story" in request.prompt else 21))))


async def start(lab: Lab, name: str) -> Vendor:
    pace, speaks = PROFILES[name], dialect_of(name)
    return lab.vendor(name, profile=pace, models=[MODELS[name]], api_key=KEY, default=answer, dialect=speaks)


@pytest.fixture
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal("asyncio") as portal:
        yield portal


def environment(vendors: Mapping[str, Vendor]) -> dict[str, str]:
    found = {"POINTSMAN_LIVE": "1", "POINTSMAN_LIVE_MODELS": ",".join(f"{name}/{MODELS[name]}" for name in vendors)}
    for name, vendor in vendors.items():
        prefix, origin = f"POINTSMAN_{name.upper()}_", vendor.base_url.removesuffix("/v1")
        found |= {f"{prefix}BASE_URL": vendor.base_url, f"{prefix}API_KEY": KEY}
        if name == "hf":
            found[f"{prefix}HUB_URL"] = origin
        if name == "blaxel":
            found |= {f"{prefix}CONTROL_URL": f"{origin}/v0", f"{prefix}WORKSPACE": "lab"}
    return found


def test_live_tests_pass_and_say_what_they_spent(portal: BlockingPortal) -> None:
    with portal.wrap_async_context_manager(Lab(speed=50)) as lab:
        vendors = {name: portal.call(start, lab, name) for name in DIALECTS}
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-n0", "-q", "-s", "-p", "no:cacheprovider", "tests/live"],
            cwd=ROOT,
            env={**os.environ, **environment(vendors)},
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
    assert done.returncode == 0, done.stdout
    assert f"{2 * 7 * len(DIALECTS)} passed" in done.stdout, done.stdout  # Nothing was skipped, on either loop.
    for name, model in MODELS.items():
        assert f"{name}/{model} " in done.stdout.partition(f"{name} spent:")[2].partition("together")[0]
    assert KEY not in done.stdout

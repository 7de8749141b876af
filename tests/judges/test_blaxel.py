"""Blaxel's own SDK takes the lab for Blaxel, on healthy, failing and cut answers; where it is wrong, that is seen.

It runs in an environment of its own: ``nox -s judges``.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import pytest

from pointsman import AsyncClient, ModelGone, Settings, StreamBroken
from pointsman_testing import Answer, BlaxelApi, Fault, Lab, Raw, Vendor

PYTHON = os.environ.get("POINTSMAN_JUDGE_BLAXEL", "")  # Now: the tests themselves see no setting of ours.
KEY = "bl_aaaabbbbccccdddd0123456789"
MODELS: Any = (
    {"id": "gpt", "model": "gpt-4o-mini"},
    *({"id": f"agent:a{number}", "form": "python"} for number in range(3)),
    {"id": "agent:ts", "form": "typescript"},
    {"id": "agent:json", "form": "json"},
)

pytestmark = pytest.mark.skipif(
    not Path(PYTHON).is_file(), reason="no Python that has blaxel is named: uvx nox -s judges"
)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def lab() -> AsyncGenerator[Lab]:
    async with Lab() as lab:
        yield lab


@pytest.fixture
async def vendor(lab: Lab) -> Vendor:
    return lab.vendor("blaxel", dialect=BlaxelApi(), models=MODELS, api_key=KEY)


async def judged(vendor: Vendor, folder: Path, *calls: list[Any], **environ: str) -> list[Any]:
    """What the SDK makes of each call. Its home and its folder are empty."""
    own = {"BL_API_KEY": KEY, "BL_WORKSPACE": "lab", "DO_NOT_TRACK": "1", "HOME": str(folder), **environ}
    command = [PYTHON, str(Path(__file__).with_name("ask_blaxel.py")), vendor.base_url, json.dumps(calls)]
    env = {name: value for name, value in own.items() if value}
    with anyio.fail_after(60):
        done = await anyio.run_process(command, env=env, cwd=folder, check=False, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def ours(vendor: Vendor) -> AsyncClient:
    own = {"base_url": vendor.base_url, "control_url": f"{vendor.base_url}/v0", "api_key": KEY, "workspace": "lab"}
    return AsyncClient(settings=Settings.of({"providers": {"blaxel": own}}))


def agents_asked(vendor: Vendor) -> list[str]:
    return [one.path for one in vendor.requests if one.path.startswith("/lab/agents/")]


async def test_it_lists_and_finds_what_is_there(vendor: Vendor, tmp_path: Path) -> None:
    found = await judged(
        vendor, tmp_path, ["models"], ["agents"], ["model", "gpt"], ["model", "x"], ["parameters", "gpt"]
    )
    assert found == [
        {"answer": ["ModelList", ["gpt"], False]},
        {"answer": ["AgentList", ["a0", "a1", "a2", "ts", "json"], False]},
        {"answer": ["Model", "gpt", "gpt-4o-mini"]},
        {"answer": ["Error", "model x not found"]},
        {"answer": [f"{vendor.base_url}/lab/models/gpt", "openai", "gpt-4o-mini"]},
    ]
    sent = vendor.requests[0].headers
    assert sent["x-blaxel-authorization"] == f"Bearer {KEY}"
    assert sent["x-blaxel-workspace"] == "lab"
    assert "authorization" not in sent


async def test_an_agent_answers_it_in_every_form(vendor: Vendor, tmp_path: Path) -> None:
    vendor.script(*[Answer("one  two\n\n three")] * 3, on="agent")
    calls = [[how, name, {"inputs": "Hi"}] for how, name in (("run", "a0"), ("arun", "ts"), ("run", "json"))]
    text = "one  two\n\n three"
    assert await judged(vendor, tmp_path, *calls) == [
        {"answer": text},
        {"answer": text},
        {"answer": json.dumps({"output": text}, separators=(",", ":"))},
    ]
    assert [one.json for one in vendor.requests] == [{"inputs": "Hi"}] * 3


async def test_it_has_a_token_for_credentials(lab: Lab, tmp_path: Path) -> None:
    credentials = base64.b64encode(b"service:secret").decode()
    dialect = BlaxelApi(client_credentials=credentials)
    vendor = lab.vendor("service", dialect=dialect, models=MODELS, api_key="nobody-has-it")
    environ = {"BL_API_KEY": "", "BL_CLIENT_CREDENTIALS": credentials}
    assert await judged(vendor, tmp_path, ["models"], **environ) == [{"answer": ["ModelList", ["gpt"], False]}]
    assert [one.path for one in vendor.requests] == ["/v0/oauth/token", "/v0/models"]
    assert vendor.requests[1].headers["x-blaxel-authorization"] == "Bearer lab-token-0001"


async def test_it_reads_refusals_of_the_control_plane(vendor: Vendor, tmp_path: Path) -> None:
    (wrong,) = await judged(vendor, tmp_path, ["models"], BL_API_KEY="bl_wrong_0123456789")
    (other,) = await judged(vendor, tmp_path, ["models"], BL_WORKSPACE="other")
    assert wrong == {"answer": ["Error", "Unauthorized"]}
    assert other["answer"][0] == "Error"
    assert "workspace" in other["answer"][1]


async def test_a_cut_answer_is_an_error_for_both(vendor: Vendor, tmp_path: Path) -> None:
    vendor.script(*[Answer("one two three").cut(after=2)] * 2, on="agent")
    (outcome,) = await judged(vendor, tmp_path, ["run", "a0", {"inputs": "Hi"}])
    assert outcome["raised"] == "RemoteProtocolError"
    async with ours(vendor) as client:
        with pytest.raises(StreamBroken) as caught:
            await client.chat("Hi", model="blaxel/agent:a0")
    assert caught.value.partial == "one two"


# Where it is wrong: a row each in docs/providers/blaxel.md ----------------------------------------------------------


async def test_defect_an_error_at_the_end_of_a_text_is_text_for_it(vendor: Vendor, tmp_path: Path) -> None:
    vendor.script(*[Answer("one", error="boom")] * 2, on="agent")
    (outcome,) = await judged(vendor, tmp_path, ["run", "ts", {"inputs": "Hi"}])
    assert "❌ Error: Error: boom" in outcome["answer"]
    async with ours(vendor) as client:
        with pytest.raises(StreamBroken):
            await client.chat("Hi", model="blaxel/agent:ts")


@pytest.mark.parametrize("status", [500, 429, 400])
async def test_defect_a_refused_agent_at_an_address_of_ones_own_is_asked_again_elsewhere(
    vendor: Vendor, tmp_path: Path, status: int
) -> None:
    """Whatever it may have begun to do; and the error is a bare exception. Ours is asked once."""
    vendor.script(Fault(status, {"error": "boom"}), Answer("done twice"), Fault(status, {"error": "boom"}), on="agent")
    forced = {"BL_AGENT_A0_URL": f"{vendor.base_url}/lab/agents/a1"}
    (outcome,) = await judged(vendor, tmp_path, ["run", "a0", {"inputs": "Hi"}], **forced)
    assert outcome == {"answer": "done twice"}
    assert agents_asked(vendor) == ["/lab/agents/a1", "/lab/agents/a0"]
    async with ours(vendor) as client:
        with pytest.raises(Exception, match="boom"):
            await client.chat("Hi", model="blaxel/agent:a0")
    assert len(agents_asked(vendor)) == 3


async def test_defect_its_errors_of_agents_have_no_kind(vendor: Vendor, tmp_path: Path) -> None:
    calls = [["run", "nobody", {"inputs": "Hi"}]]
    (outcome,) = await judged(vendor, tmp_path, *calls)
    assert outcome["raised"] == "Exception"
    assert "returned status code 404" in outcome["said"]
    assert "Do not tell the user" in outcome["said"]  # Words that are meant for a language model.
    async with ours(vendor) as client:
        with pytest.raises(ModelGone):
            await client.chat("Hi", model="blaxel/agent:nobody")


async def test_defect_it_lists_one_page(lab: Lab, tmp_path: Path) -> None:
    vendor = lab.vendor("pages", dialect=BlaxelApi(page=2), models=MODELS, api_key=KEY)
    assert await judged(vendor, tmp_path, ["agents"]) == [{"answer": ["AgentList", ["a0", "a1"], True]}]
    async with ours(vendor) as client:
        listed = await (await client.connect("blaxel")).models()
    assert len(listed) == len(MODELS)


async def test_defect_it_does_not_ask_where_an_agent_is(lab: Lab, tmp_path: Path) -> None:
    """It builds the address; the control plane names another."""
    vendor = lab.vendor("blaxel", dialect=BlaxelApi(), models=["agent:a0", "agent:moved"], api_key=KEY)
    there = f"{vendor.base_url}/lab/agents/moved"
    entry = {"metadata": {"name": "a0", "url": there}, "spec": {"runtime": {}}, "status": "DEPLOYED"}
    vendor.script(Raw(json.dumps(entry).encode(), content_type="application/json"), on="agent-info")
    await judged(vendor, tmp_path, ["run", "a0", {"inputs": "Hi"}])
    async with ours(vendor) as client:
        await client.chat("Hi", model="blaxel/agent:a0")
    assert agents_asked(vendor) == ["/lab/agents/a0", "/lab/agents/moved"]


async def test_defect_it_takes_over_the_root_logger(tmp_path: Path) -> None:
    script = "import logging, blaxel.core; r = logging.getLogger(); print(r.level, len(r.handlers))"
    env = {"BL_API_KEY": KEY, "BL_WORKSPACE": "lab", "DO_NOT_TRACK": "1", "HOME": str(tmp_path)}
    done = await anyio.run_process([PYTHON, "-c", script], env=env, cwd=tmp_path)
    level, handlers = done.stdout.split()
    assert int(level) == 20
    assert int(handlers) >= 1

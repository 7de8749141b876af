"""The command, over each provider whose vendor repeats all that it was sent: no output of it shows a key.

What holds for each provider by itself is in the kit: `pointsman_testing.kit.secrets` and `.ambient`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from click.testing import CliRunner

from pointsman import Target
from pointsman_cli.app import cli
from pointsman_testing import Answer, Fault, HttpResponse, Lab, OpenAIChat, Pace, RecordedRequest, Response, Site

WORD = "sesame0123456789"
"""In every key, so that a part of one is found, too."""


@dataclass(frozen=True, slots=True)
class SetUp:
    """A provider that is set up, and one of its targets."""

    provider: str
    model: str
    keys: Mapping[str, str]
    """Setting -> key."""
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])
    path: str = "/v1"
    """What its `base_url` ends with."""


WARM = {"cold_start": "0", "min_containers": "1"}
"""With a container that is always there, asking how Modal is starts nothing, and is done."""

SETUPS = {
    "sambanova": SetUp("sambanova", "gpt-oss-120b", {"api_key": f"{WORD}-samba"}),
    "hf": SetUp("hf", "openai/gpt-oss-120b:groq", {"api_key": f"{WORD}-face"}),
    "ollama": SetUp("ollama", "llama3.2", {"api_key": f"{WORD}-llama"}, path=""),
    "blaxel": SetUp("blaxel", "m", {"api_key": f"{WORD}-blaxel"}, {"workspace": "lab"}, path=""),
    "modal": SetUp(
        "modal",
        "qwen2.5-coder:7b",
        {"token_id": f"wk-{WORD}", "token_secret": f"ws-{WORD}", "api_key": f"{WORD}-behind"},
        WARM,
    ),
    "modal in one": SetUp("modal", "qwen2.5-coder:7b", {"api_key": f"wk-{WORD}.ws-{WORD}"}, WARM),
}


@dataclass(frozen=True, slots=True)
class Parrot:
    """Takes any request for a chat."""

    prefix: str = ""

    @property
    def routes(self) -> Sequence[str]:
        return ("chat",)

    def route(self, request: RecordedRequest, site: Site) -> str | Fault:
        return "chat"

    def reply(self, route: str, request: RecordedRequest, site: Site) -> HttpResponse | None:
        return None

    def chat(self, answer: Answer, request: Mapping[str, Any], pace: Pace, site: Site) -> HttpResponse:
        return OpenAIChat().chat(answer, request, pace, site)

    def error(self, fault: Fault) -> Mapping[str, Any]:
        return {"error": fault.message or ""}

    def json(self, body: Mapping[str, Any]) -> HttpResponse:
        return OpenAIChat().json(body)


def heard(request: RecordedRequest) -> str:
    """All headers, as one text."""
    return "; ".join(f"{name}: {value}" for name, value in request.raw_headers)


def echo(request: RecordedRequest) -> Response:
    """A refusal with all that was sent in it."""
    return Fault(401, {"error": {"message": heard(request), "code": heard(request)}})


@pytest.fixture(params=SETUPS)
def setup(request: pytest.FixtureRequest) -> SetUp:
    return SETUPS[request.param]


def target_of(setup: SetUp) -> Target:
    return Target(setup.provider, setup.model)


@pytest.fixture
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal("asyncio") as portal:
        yield portal


def test_no_json_of_the_command_shows_a_key(
    setup: SetUp, portal: BlockingPortal, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    prefix = f"POINTSMAN_{setup.provider.upper()}_"
    with portal.wrap_async_context_manager(Lab()) as lab:
        vendor = portal.call(partial(lab.vendor, "parrot", dialect=Parrot(), default=echo))
        monkeypatch.setenv(f"{prefix}BASE_URL", vendor.base_url + setup.path)
        for name, value in {**setup.more, **setup.keys}.items():
            monkeypatch.setenv(prefix + name.upper(), value)
        for line in (
            ["chat", "-m", str(target_of(setup)), "--json", "hi"],
            ["chat", "-m", str(target_of(setup)), "--json-events", "hi"],
            ["--debug", "chat", "-m", str(target_of(setup)), "hi"],
            ["route", "-m", str(target_of(setup)), "--json", "hi"],
            ["providers", "--json"],
            ["providers", "check", setup.provider, "--json"],
            ["models", setup.provider, "--json"],
            ["config", "show", "--json"],
            ["keys", "list", "--json"],
            ["doctor", "--live", "--json"],
            ["plugins", "--json"],
        ):
            done = CliRunner().invoke(cli, line, prog_name="pointsman")
            assert done.exit_code != 2, (line, done.output)
            assert WORD not in done.output, line
    assert any(WORD in heard(request) for request in vendor.requests)

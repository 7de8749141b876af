"""Every provider, and every place where a key of its user's could come to light: none shows it, and none sends it on.

The vendors here are parrots: whatever they are asked, they answer with all that they were sent, keys included.
"""

from __future__ import annotations

import json
import logging
import pickle
import traceback
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from click.testing import CliRunner
from pydantic import BaseModel, SecretStr

from pointsman import AsyncClient, AttemptRecord, ConfigError, PointsmanError, Settings, Target
from pointsman_cli.app import cli
from pointsman_testing import (
    Answer,
    Fault,
    HttpResponse,
    Lab,
    OpenAIChat,
    Pace,
    Raw,
    RecordedRequest,
    Response,
    Site,
    Vendor,
)

WORD = "sesame0123456789"
"""In every key, so that a part of one is found, too."""


@dataclass(frozen=True, slots=True)
class SetUp:
    """A provider that is set up, and one of its targets."""

    provider: str
    model: str
    keys: Mapping[str, str]
    """Setting -> key."""
    variables: Mapping[str, str]
    """The vendor's own variable -> key."""
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])
    path: str = "/v1"
    """What its `base_url` ends with."""
    carried: Sequence[str] = ("authorization",)
    """The headers that carry keys."""


SETUPS = {
    "sambanova": SetUp(
        "sambanova", "gpt-oss-120b", {"api_key": f"{WORD}-samba"}, {"SAMBANOVA_API_KEY": f"{WORD}-samba"}
    ),
    "hf": SetUp("hf", "openai/gpt-oss-120b:groq", {"api_key": f"{WORD}-face"}, {"HF_TOKEN": f"{WORD}-face"}),
    "ollama": SetUp("ollama", "llama3.2", {"api_key": f"{WORD}-llama"}, {"OLLAMA_API_KEY": f"{WORD}-llama"}, path=""),
    "blaxel": SetUp(
        "blaxel",
        "m",
        {"api_key": f"{WORD}-blaxel"},
        {"BL_API_KEY": f"{WORD}-blaxel"},
        {"workspace": "lab"},
        path="",
        carried=("x-blaxel-authorization",),
    ),
    "modal": SetUp(
        "modal",
        "qwen2.5-coder:7b",
        {"token_id": f"wk-{WORD}", "token_secret": f"ws-{WORD}", "api_key": f"{WORD}-behind"},
        {"MODAL_PROXY_TOKEN_ID": f"wk-{WORD}", "MODAL_PROXY_TOKEN_SECRET": f"ws-{WORD}"},
        {"cold_start": "0", "min_containers": "1"},  # With one, asking how things are starts nothing, and is done.
        carried=("modal-key", "modal-secret", "authorization"),
    ),
    "modal in one": SetUp(
        "modal",
        "qwen2.5-coder:7b",
        {"api_key": f"wk-{WORD}.ws-{WORD}"},
        {},
        {"cold_start": "0", "min_containers": "1"},
    ),
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


ECHOES: Mapping[str, Callable[[RecordedRequest], Response]] = {
    "401 in JSON": lambda request: Fault(401, {"error": {"message": heard(request), "code": heard(request)}}),
    "400 in words": lambda request: Fault(400, f"no: {heard(request)}"),
    "404 as a platform": lambda request: Fault(
        404, {"error": {"code": "WORKLOAD_NOT_FOUND", "message": heard(request), "origin": "platform"}}
    ),
    "429 in headers": lambda request: Fault(429, headers={"x-request-id": heard(request), "retry-after": "9000"}),
    "500 on a page": lambda request: Fault(500, f"<html><title>{heard(request)}</title></html>"),
    "503 of modal": lambda request: Fault(500, f"modal-http: {heard(request)}"),
    "in a stream": lambda request: Raw(f"data: {json.dumps({'error': {'message': heard(request)}})}\n\n".encode()),
    "in a line": lambda request: Raw(
        json.dumps({"error": heard(request)}).encode() + b"\n", content_type="application/x-ndjson"
    ),
    "broken JSON": lambda request: Raw(f"data: {{{heard(request)}\n\n".encode()),
    "no stream at all": lambda request: Raw(heard(request).encode(), content_type="text/plain").cut(40),
}


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=SETUPS)
def setup(request: pytest.FixtureRequest) -> SetUp:
    return SETUPS[request.param]


@pytest.fixture
async def lab() -> AsyncGenerator[Lab]:
    async with Lab() as lab:
        yield lab


def settings_of(setup: SetUp, vendor: Vendor, **engine: Any) -> Settings:
    table = {"base_url": vendor.base_url + setup.path, **setup.more, **setup.keys}
    return Settings.of({"providers": {setup.provider: table}, "engine": engine})


def target_of(setup: SetUp) -> Target:
    return Target(setup.provider, setup.model)


def shown(error: BaseException) -> str:
    """All that printing, logging or sending an exception may show."""
    inside = "".join(f"{vars(one)!r}" for one in (error, error.__cause__, error.__context__) if one is not None)
    return "".join(traceback.format_exception(error)) + repr(error) + inside + str(pickle.dumps(error))


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """All that was logged, but for httpcore2's own account of response headers: in those the parrot repeats keys."""
    return "".join(repr(vars(one)) + one.getMessage() for one in caplog.records if one.name != "httpcore2.http11")


async def test_no_error_record_or_log_shows_a_key(setup: SetUp, lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    vendor = lab.vendor("parrot", dialect=Parrot())
    records: list[AttemptRecord] = []
    settings = settings_of(setup, vendor, deadline=5)
    for echo in ECHOES.values():
        vendor.default = echo
        async with AsyncClient(settings=settings) as client:
            with pytest.raises(PointsmanError) as raised:
                await client.chat("hi", model=target_of(setup), deadline=2)
        assert WORD not in shown(raised.value)
        records += raised.value.attempts
    sent = [request for request in vendor.requests if WORD in heard(request)]
    assert sent, "the keys were there to be shown"
    assert all(any(WORD in request.headers.get(name, "") for request in sent) for name in setup.carried)
    assert len(records) >= len(ECHOES)
    assert WORD not in repr(records)
    assert WORD not in logged(caplog)


async def test_no_health_and_no_listing_shows_a_key(setup: SetUp, lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    vendor = lab.vendor("parrot", dialect=Parrot())
    for echo in ECHOES.values():
        vendor.default = echo
        async with AsyncClient(settings=settings_of(setup, vendor)) as client:
            hooks = await client.connect(setup.provider)
            assert WORD not in repr(await hooks.health())
            for asked in (hooks.models, partial(client.embed, "hi", model=target_of(setup), deadline=2)):
                try:
                    told = repr(await asked())
                except PointsmanError as error:
                    told = shown(error)
                assert WORD not in told
    assert WORD not in logged(caplog)


def test_what_is_set_up_does_not_show_its_keys(setup: SetUp) -> None:
    settings = Settings.of(
        {"providers": {setup.provider: {**setup.more, "base_url": "http://127.0.0.1:9", **setup.keys}}}
    )
    client = AsyncClient(settings=settings)
    made = client.roster.configured(setup.provider)
    assert made.hidden.issuperset(setup.keys.values())
    spec = client.roster.declared(setup.provider).spec
    for one in (made, made.config, settings, client, client.roster, spec, spec.config.model_fields):
        assert WORD not in f"{one!r} {one!s}"
    assert WORD not in made.config.model_dump_json()
    assert [name for name, value in _values(made.config) if isinstance(value, str) and WORD in value] == []


def _values(config: BaseModel) -> Iterator[tuple[str, Any]]:
    for name, value in dict(config).items():
        yield name, value
        if isinstance(value, BaseModel):
            yield from _values(value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_takes_a_key_along(setup: SetUp, lab: Lab, status: int) -> None:
    thief = lab.vendor("thief", dialect=Parrot(), default=Fault(500, "got you"))
    elsewhere = thief.base_url.replace("127.0.0.1", "localhost")
    vendor = lab.vendor("parrot", dialect=Parrot(), default=Fault(status, b"", headers={"location": elsewhere}))
    async with AsyncClient(settings=settings_of(setup, vendor)) as client:
        with pytest.raises(PointsmanError):
            await client.chat("hi", model=target_of(setup), deadline=2)
        hooks = await client.connect(setup.provider)
        await hooks.health()
        with pytest.raises(PointsmanError):
            await hooks.models()
    assert vendor.requests
    assert not thief.requests


async def test_the_vendors_own_variable_does_not_follow_another_address(
    setup: SetUp, lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    vendor = lab.vendor("parrot", dialect=Parrot(), default=Fault(500))
    table = {"base_url": vendor.base_url + setup.path, **setup.more}
    settings = Settings.of({"providers": {setup.provider: table}}, environ=setup.variables)
    async with AsyncClient(settings=settings) as client:
        try:
            made = client.roster.configured(setup.provider)
        except ConfigError as error:
            told = shown(error)
        else:
            told = " ".join(made.warnings)
            assert not [one for one in dict(made.config).values() if isinstance(one, SecretStr)]
            with pytest.raises(PointsmanError):
                await client.chat("hi", model=target_of(setup), deadline=2)
    assert all(variable in told for variable in setup.variables)
    assert WORD not in told
    assert WORD not in "".join(map(heard, vendor.requests))
    assert WORD not in logged(caplog)


# The command ---------------------------------------------------------------------------------------------------------


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
        vendor = portal.call(partial(lab.vendor, "parrot", dialect=Parrot(), default=ECHOES["401 in JSON"]))
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

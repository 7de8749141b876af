"""Whatever a vendor answers, and whatever the HTTP library raises, a caller meets one of our errors that says where."""

from __future__ import annotations

import inspect
import json
import math
import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx2
import pytest

from pointsman import AsyncClient, ChatRequest, PluginError, PointsmanError, Settings, user
from pointsman.plugins import HookCallables

KEY = "key-that-opens-everything-0123"
PAGE = "<!doctype html><html><head><title>Bad gateway</title></head><body>nginx</body></html>"
BODIES: Mapping[str, bytes] = {
    "nothing": b"",
    "words": b"Service Temporarily Unavailable",
    "modal": b"modal-http: internal error: Server has lost track of input",
    "page": PAGE.encode(),
    "object": b'{"error":{"message":"No.","type":"invalid_request_error","param":null,"code":"invalid_value"}}',
    "text": b'{"error":"Not found"}',
    "platform": b'{"error":{"code":"WORKLOAD_UNAVAILABLE","message":"cold","origin":"platform","retryable":true}}',
    "control plane": b'{"error":"model not found","code":404,"message":"model not found"}',
    "number as code": b'{"error":{"message":"Invalid API Key","type":"authentication_error","code":401}}',
    "detail": b'{"detail":[{"loc":["body"],"msg":"field required","type":"missing"}]}',
    "inner": b'{"error":"{\\"error\\":{\\"code\\":400,\\"message\\":\\"exceeds the available context size\\"}}"}',
    "loading": b'{"error":"Model m is currently loading","estimated_time":20.0}',
    "go struct": b'{"StatusCode":429,"Status":"429 Too Many Requests","error":"slow down"}',
    "key": json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}."}}).encode(),
    "null": b'{"error":null}',
    "list": b"[1,2,3]",
    "deep": b'{"error":' * 2000 + b"1" + b"}" * 2000,
    "no text": b"\xff\xfe\x00\x01",
    "half": b'{"error":{"mess',
}


@dataclass(slots=True)
class World(httpx2.AsyncBaseTransport):
    """What stands in for the network. Addresses that are asked for are told; all else goes as `says`."""

    says: Callable[[httpx2.Request], httpx2.Response] | None = None
    known: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Path -> JSON."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        await anyio.lowlevel.checkpoint()
        if request.url.path in self.known:
            return httpx2.Response(200, json=self.known[request.url.path])
        assert self.says is not None
        return self.says(request)


class Body(httpx2.AsyncByteStream):
    """Bytes, and then an exception."""

    def __init__(self, data: bytes, error: BaseException | None = None) -> None:
        self._data = data
        self._error = error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._data
        if self._error is not None:
            raise self._error


@dataclass(frozen=True, slots=True)
class Party:
    """A kind of target, how its provider is set up, and what is known beside the answer."""

    provider: str
    model: str
    settings: Mapping[str, Any]
    known: Mapping[str, Any] = field(default_factory=dict[str, Any])
    opening: bytes = b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'
    """The beginning of an answer."""
    answers: tuple[int, ...] = (200,)
    """Statuses that are none of a refusal."""


AT = "http://127.0.0.1:9"
STEP = int(os.environ.get("STATUS_STEP", "1"))
"""Each how manieth status is tried, besides those from 400 to 429: all, but where another run has tried all."""
PARTIES = {
    "sambanova": Party("sambanova", "gpt-oss-120b", {"base_url": f"{AT}/v1", "api_key": KEY}),
    "ollama": Party(
        "ollama",
        "llama3.2",
        {"base_url": AT, "api_key": KEY},
        {"/api/version": {"version": "0.32.15"}},
        b'{"model":"m","message":{"role":"assistant","content":"hi"},"done":false}\n',
    ),
    "hf": Party("hf", "openai/gpt-oss-120b:groq", {"base_url": f"{AT}/v1", "api_key": KEY}),
    "hf endpoint": Party(
        "hf",
        "endpoint:me/mine",
        {"base_url": f"{AT}/v1", "api_key": KEY, "endpoints_url": f"{AT}/v2", "wake_seconds": 0},
        {
            "/v2/endpoint/me/mine": {
                "name": "mine",
                "type": "protected",
                "healthRoute": "/health",
                "model": {"repository": "org/m", "framework": "pytorch", "revision": "1", "task": "text-generation"},
                "status": {
                    "state": "running",
                    "url": f"{AT}/mine",
                    "createdAt": "2026-11-01T08:30:00.409Z",
                    "updatedAt": "2026-11-01T08:30:00.409Z",
                },
            }
        },
    ),
    "blaxel": Party("blaxel", "m", {"base_url": AT, "api_key": KEY, "workspace": "lab"}),
    "blaxel agent": Party(
        "blaxel",
        "agent:m",
        {"base_url": AT, "api_key": KEY, "workspace": "lab"},
        opening=b'{"text":"hi"}\n{"text":" yo"}\n',
        answers=(200, 201),
    ),
    "modal": Party("modal", "qwen2.5-coder:7b", {"base_url": AT, "api_key": KEY, "cold_start": 0}),
    "openai-compatible": Party("openai-compatible", "m", {"base_url": f"{AT}/v1", "api_key": KEY}),
}


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=PARTIES)
def party(request: pytest.FixtureRequest) -> Party:
    return PARTIES[request.param]


@pytest.fixture
def world(party: Party, monkeypatch: pytest.MonkeyPatch) -> World:
    found = World(known=party.known)

    class Offline(httpx2.AsyncClient):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options, transport=found)

    monkeypatch.setattr(httpx2, "AsyncClient", Offline)
    return found


@pytest.fixture
async def hooks(party: Party, world: World) -> AsyncGenerator[HookCallables]:
    settings = Settings.of({"providers": {party.provider: party.settings}})
    async with AsyncClient(settings=settings) as client:
        yield await client.connect(party.provider)


async def met(hooks: HookCallables, party: Party) -> PointsmanError | None:
    """The error that a request meets, wherever it does."""
    request = ChatRequest(messages=(user("hi"),), model=party.model)
    try:
        async with hooks.stream(request) as events:
            async for _ in events:
                pass
    except PointsmanError as error:
        return error
    return None


def check(error: PointsmanError | None, party: Party, what: object) -> None:
    assert error is not None, what
    assert not isinstance(error, PluginError), (what, error)
    assert error.provider == party.provider, (what, error)
    assert error.message, what
    assert len(error.message) < 1500, what
    assert KEY not in f"{error!s}{error!r}{error.__cause__!r}", what
    assert error.retry_at is None or math.isfinite(error.retry_at), what


@pytest.mark.parametrize("shape", BODIES)
async def test_every_status_with_every_body_is_an_error_of_ours(
    hooks: HookCallables, world: World, party: Party, shape: str, anyio_backend: str
) -> None:
    kind = "text/html" if shape == "page" else "application/json" if BODIES[shape][:1] in b"{[" else "text/plain"
    step = max(STEP, 1 if anyio_backend == "asyncio" else 7)
    every = sorted({*range(100, 600, step), *range(400, 430)})
    for status in every:  # What a status means does not depend on the loop, which only has to be the other one.
        if status in party.answers:
            continue
        world.says = lambda _, status=status: httpx2.Response(
            status, headers={"content-type": kind}, stream=Body(BODIES[shape])
        )
        error = await met(hooks, party)
        check(error, party, status)
        assert error is not None
        # Without one, what was asked for may have begun, and be billed (Modal's cold starts).
        assert error.status == status or (error.status is None and str(status) in error.message), (shape, error)


def exceptions() -> list[BaseException]:
    """One of each kind that sending and receiving may raise."""
    request = httpx2.Request("POST", AT)
    made: list[BaseException] = []
    for kind in vars(httpx2).values():
        if not (inspect.isclass(kind) and issubclass(kind, httpx2.HTTPError | httpx2.InvalidURL)):
            continue
        if issubclass(kind, httpx2.HTTPStatusError):
            made.append(kind("no", request=request, response=httpx2.Response(500, request=request)))
        else:
            made.append(kind("no"))
    system = (OSError, ConnectionResetError, BrokenPipeError, TimeoutError, ssl.SSLError, ssl.SSLCertVerificationError)
    return [*made, *(one("no") for one in system), UnicodeEncodeError("idna", "ü", 0, 1, "label too long")]


async def test_every_exception_is_an_error_of_ours(hooks: HookCallables, world: World, party: Party) -> None:
    for raised in exceptions():

        def fail(_: httpx2.Request, raised: BaseException = raised) -> httpx2.Response:
            raise raised

        def break_off(_: httpx2.Request, raised: BaseException = raised) -> httpx2.Response:
            return httpx2.Response(
                200, headers={"content-type": "text/event-stream"}, stream=Body(party.opening, raised)
            )

        def refuse(_: httpx2.Request, raised: BaseException = raised) -> httpx2.Response:
            return httpx2.Response(503, stream=Body(b'{"err', raised))

        for says in (fail, break_off, refuse):
            world.says = says
            check(await met(hooks, party), party, (says.__name__, type(raised).__name__))

"""A real inference server behind a proxy that does what Modal's does: real chunks come through, however they start."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

import pytest

from pointsman import AsyncClient, FirstTokenTimeout, ModelGone, Settings, Started, TextDelta

if TYPE_CHECKING:
    from conftest import Llama, Start

ANSWER = " ".join(f"{number:04}" for number in range(1, 301))
TOKEN = {"token_id": "wk-real-0123456789", "token_secret": "ws-real-0123456789"}
CALL_ID = "__modal_function_call_id"


class Proxy(ThreadingHTTPServer):
    """Ready so many seconds after the first request; until then it says 503, or 303 if it `holds`."""

    daemon_threads = True

    def __init__(self, behind: Llama, *, start: float, holds: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = behind
        self.start, self.holds = start, holds
        self.began: float | None = None
        self.kept: list[tuple[str, bytes]] = []
        self.seen: list[tuple[str, int]] = []
        """Method and status of each request."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def ready(self) -> bool:
        self.began = self.began or time.monotonic()
        return time.monotonic() >= self.began + self.start


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        parts = urlsplit(self.path)
        if CALL_ID in parts.query:
            self._say(400, b"modal-http: bad redirect method")
        elif self._refused():
            pass
        elif self.server.ready:
            self._pass_on("POST", self.path, body)
        elif self.server.holds:
            self.server.kept.append((self.path, body))
            self._say(303, b"", location=f"?{CALL_ID}={len(self.server.kept) - 1}")
        else:
            self._say(503, b"Service Unavailable")

    def do_GET(self) -> None:
        call = parse_qs(urlsplit(self.path).query).get(CALL_ID)
        if self._refused():
            return
        if call is None:
            self._pass_on("GET", self.path, None)
        elif not self.server.ready:
            time.sleep(0.2)  # In the place of Modal's 150 s.
            self._say(303, b"", location=f"?{CALL_ID}={call[0]}")
        else:
            path, body = self.server.kept[int(call[0])]
            self._pass_on("POST", path, body)

    def _refused(self) -> bool:
        given = {"token_id": self.headers["modal-key"], "token_secret": self.headers["modal-secret"]}
        if given != TOKEN:
            self._say(401, b"modal-http: invalid credentials for proxy authorization")
        return given != TOKEN

    def _say(self, status: int, body: bytes, **headers: str) -> None:
        self.server.seen.append((self.command, status))
        self.send_response(status)
        for name, value in {**headers, "content-type": "text/plain", "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _pass_on(self, method: str, path: str, body: bytes | None) -> None:
        behind = http.client.HTTPConnection("127.0.0.1", self.server.behind.port, timeout=30)
        headers = {"authorization": self.headers["authorization"] or "", "content-type": "application/json"}
        try:
            behind.request(method, path, body, headers)
            answer = behind.getresponse()
            self.server.seen.append((self.command, answer.status))
            self.send_response(answer.status)
            self.send_header("content-type", answer.headers["content-type"])
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            while data := answer.read1(65_536):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.write(b"0\r\n\r\n")
        finally:
            behind.close()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (its name in the base class)
        pass


Deploy: TypeAlias = Callable[..., Proxy]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


@contextmanager
def serving(proxy: Proxy) -> Iterator[Proxy]:
    thread = threading.Thread(target=proxy.serve_forever)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        thread.join()
        proxy.server_close()


@pytest.fixture
def deploy(llama: Start) -> Iterator[Deploy]:
    with ExitStack() as stack:

        def deployed(*, start: float = 0.0, holds: bool = False) -> Proxy:
            return stack.enter_context(serving(Proxy(llama(ANSWER), start=start, holds=holds)))

        yield deployed


def client(proxy: Proxy, **more: Any) -> AsyncClient:
    settings = {"base_url": proxy.url, "api_key": proxy.behind.key, "server": "other", **TOKEN, **more}
    return AsyncClient(settings=Settings.of({"providers": {"modal": settings}}))


async def read(one: AsyncClient) -> list[Any]:
    async with one.stream("count", model="modal/toy") as reply:
        return [event async for event in reply.events]


@pytest.mark.parametrize(("holds", "waited"), [(False, ("POST", 503)), (True, ("GET", 303))])
async def test_real_chunks_come_through_a_cold_start(deploy: Deploy, holds: bool, waited: tuple[str, int]) -> None:
    proxy = deploy(start=1.0, holds=holds)
    async with client(proxy, price_per_second="0.0001") as one:
        cold = await read(one)
        warm = await read(one)
        health = await (await one.connect("modal")).health()
    for events in (cold, warm):
        assert isinstance(events[0], Started)
        pieces = [event.text for event in events if isinstance(event, TextDelta)]
        assert "".join(pieces).strip() == ANSWER
        assert len(pieces) > 100  # Not one lump at the end.
        assert events[-1].cost.known > 0
    assert waited in proxy.seen
    assert proxy.seen[-1] == ("POST", 200)
    assert health.state.value == "up"


async def test_a_start_that_takes_too_long_and_a_model_that_is_not_there(deploy: Deploy) -> None:
    proxy = deploy(start=60.0)
    async with client(proxy, cold_start=1) as one:
        with pytest.raises(FirstTokenTimeout, match="none is waited for longer than cold_start = 1 s"):
            await read(one)
    proxy.start = 0.0
    async with client(proxy, base_url=f"{proxy.url}/nowhere") as one:
        with pytest.raises(ModelGone):
            await read(one)


async def test_what_the_server_lists_is_read_while_it_is_warm(deploy: Deploy) -> None:
    proxy = deploy()
    async with client(proxy) as one:
        hooks = await one.connect("modal")
        assert [model.id for model in await hooks.models()] == ["qwen2.5-coder:7b"]  # Nobody was asked.
        assert proxy.seen == []
        await read(one)
        listed = await hooks.models()
    assert ([model.id for model in listed], proxy.seen[-1]) == (["toy"], ("GET", 200))
    assert listed[0].context_tokens

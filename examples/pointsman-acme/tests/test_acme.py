"""Acme, asked through the front door: an installed plugin, the client, and a small server on this machine."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pointsman import (
    AsyncClient,
    AttemptFailed,
    AuthFailed,
    ConfigError,
    Exact,
    HealthState,
    ModelGone,
    Plugins,
    RateLimited,
    Settings,
    StreamBroken,
    Target,
    Unavailable,
)

KEY = "acme-0123456789"
ANSWER = [{"text": "Hello "}, {"mood": "fine"}, {"text": "wörld"}, {"done": "stop", "in": 3, "out": 2}]


@dataclass
class Server:
    """What the server does, and what it was asked."""

    url: str = ""
    status: int = 200
    lines: list[Any] = field(default_factory=lambda: list(ANSWER))
    cut: str = "no"
    """Whether the answer is cut: "no", "politely" (the body ends as it should), "rudely" (the connection does)."""
    garbage: str = ""
    """A line that is no JSON, after all others."""
    asked: list[tuple[str, Any, dict[str, str]]] = field(default_factory=list)


class Quiet(ThreadingHTTPServer):
    """Clients may go away in the middle."""

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@pytest.fixture
def server() -> Iterator[Server]:
    acme = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            acme.asked.append((self.path, body, dict(self.headers)))
            self.answer()

        def answer(self) -> None:
            self.send_response(acme.status)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in acme.lines) + acme.garbage + "\n"
            data = text.encode()
            for start in range(0, len(data), 7):  # In the middle of lines, and of letters.
                self.chunk(data[start : start + 7])
            if acme.cut == "rudely":
                self.close_connection = True
            else:
                self.chunk(b"")

        def chunk(self, data: bytes) -> None:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

        def log_message(self, format: str, *args: object) -> None:
            pass

    with Quiet(("127.0.0.1", 0), Handler) as http:
        acme.url = f"http://127.0.0.1:{http.server_port}/v1"
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield acme
        http.shutdown()
        thread.join()


def client(server: Server, **settings: object) -> AsyncClient:
    """A client that knows Acme from its entry point, and nobody else."""
    acme = {"base_url": server.url, "api_key": KEY, **settings}
    return AsyncClient(settings=Settings.of({"providers": {"acme": acme}, "engine": {"retries": 0}}))


async def test_streams_an_answer_and_knows_its_cost(server: Server) -> None:
    async with client(server) as pointsman:
        async with pointsman.stream("Hi", system="Be brief.", model="acme/acme-1") as reply:
            assert "".join([text async for text in reply.text_stream]) == "Hello wörld"
        assert reply.target == Target("acme", "acme-1")
        assert reply.finish_reason == "stop"
        assert reply.usage is not None
        assert (reply.usage.input_tokens, reply.usage.output_tokens) == (3, 2)
        assert reply.cost == Exact("0.0000018")
    [(path, body, headers)] = server.asked
    assert path == "/v1/chat"
    assert body == {"model": "acme-1", "turns": [["system", "Be brief."], ["user", "Hi"]]}
    assert headers["authorization"] == f"Bearer {KEY}"


async def test_goes_where_nobody_names_a_model(server: Server) -> None:
    async with client(server) as pointsman:
        assert (await pointsman.chat("Hi")).target == Target("acme", "acme-1")


@pytest.mark.parametrize("cut", ["politely", "rudely"])
async def test_a_cut_answer_is_broken_and_what_came_is_kept(server: Server, cut: str) -> None:
    server.lines, server.cut = ANSWER[:2], cut
    async with client(server) as pointsman:
        with pytest.raises(StreamBroken) as caught:
            await pointsman.chat("Hi", model="acme/acme-1", on_break="raise")
    assert caught.value.partial == "Hello "
    assert caught.value.target == Target("acme", "acme-1")


async def test_garbage_is_a_broken_answer_too(server: Server) -> None:
    server.lines, server.garbage = ANSWER[:1], "<html>"
    async with client(server) as pointsman:
        with pytest.raises(StreamBroken, match="broke off"):
            await pointsman.chat("Hi", model="acme/acme-1", on_break="raise")


@pytest.mark.parametrize(
    ("status", "kind"), [(401, AuthFailed), (404, ModelGone), (429, RateLimited), (500, Unavailable)]
)
async def test_a_status_says_what_is_wrong(server: Server, status: int, kind: type[Exception]) -> None:
    server.status = status
    async with client(server) as pointsman:
        with pytest.raises(kind) as caught:
            await pointsman.chat("Hi", model="acme/acme-1")
    assert KEY not in f"{caught.value!r}{caught.value}"


async def test_nobody_is_there(server: Server) -> None:
    async with client(server, base_url="http://127.0.0.1:9/v1") as pointsman:
        async with pointsman.stream("Hi", model="acme/acme-1") as reply:
            with pytest.raises(Unavailable, match="Acme cannot be reached"):
                async for event in reply.events:
                    assert isinstance(event, AttemptFailed)


async def test_a_vendor_without_a_free_probe_is_judged_by_traffic(server: Server) -> None:
    async with client(server) as pointsman:
        assert (await (await pointsman.connect("acme")).health()).state is HealthState.UNKNOWN
    assert server.asked == []


def test_a_whole_provider_takes_seventy_five_lines_of_code() -> None:
    source = inspect.getsource(sys.modules["pointsman_acme"])
    lines = {number for number, line in enumerate(source.splitlines(), 1) if line.strip() and line.strip()[0] != "#"}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):  # A docstring.
            lines -= {*range(node.lineno, (node.end_lineno or 0) + 1)}
    assert len(lines) <= 75


@pytest.mark.parametrize("after", [0, 1, 50])
async def test_leaving_early_leaves_nothing_open(server: Server, after: int) -> None:
    """On trio every generator that is left open is a warning, and here a warning is an error."""
    server.lines = [{"text": "x"}] * 1000 + ANSWER
    async with client(server) as pointsman:
        for _ in range(2):
            async with pointsman.stream("Hi") as reply:
                stream = aiter(reply.text_stream)
                for _ in range(after):
                    await anext(stream)


async def test_a_key_of_acmes_goes_to_acme_only(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_API_KEY", KEY)
    table = {"providers": {"acme": {"base_url": server.url}}}
    async with AsyncClient(settings=Settings.of(table, {"ACME_API_KEY": KEY})) as pointsman:
        with pytest.raises(ConfigError, match=r"ACME_API_KEY is not sent to 127\.0\.0\.1"):
            await pointsman.chat("Hi", model="acme/acme-1")
    assert server.asked == []


def test_it_is_found_by_its_entry_point() -> None:
    spec, _ = Plugins.installed().provider("acme")
    assert spec.default_models == ("acme-1",)


def test_importing_it_loads_no_http_library() -> None:
    script = "import sys, pointsman_acme; print('httpx2' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"

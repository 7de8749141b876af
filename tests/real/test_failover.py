"""Two real servers, of which one dies, freezes or comes back under load; and real middleboxes in front of one."""

from __future__ import annotations

import math
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import anyio
import anyio.to_thread
import pytest

from pointsman import (
    AsyncClient,
    AttemptFailed,
    Client,
    Finished,
    PointsmanError,
    ProviderError,
    Resumed,
    Retracted,
    Settings,
    StreamBroken,
    TextDelta,
    Unavailable,
)

if TYPE_CHECKING:
    from conftest import Llama, Start

KEY = "sk-local-only-0123456789"
AT_ONCE = 8
PATIENCE = 30.0
BOTH = ["one/toy", "two/toy"]
LIMITS = {"first_token": 4.0, "stall": 1.0, "deadline": 40.0}
"""Two slots for eight streams: who waits for a slot is patient, who reads an answer is not."""
OnBreak = Literal["raise", "restart", "continue"]


@pytest.fixture
def answer() -> str:
    """Some hundred tokens, of which the model, shown the beginning, goes on with the next."""
    return " ".join(f"{number:04}" for number in range(1, 301))


def settings(*urls: str, **engine: object) -> Settings:
    providers = {
        name: {"plugin": "openai-compatible", "base_url": url, "api_key": KEY, "capabilities": ["prefill"]}
        for name, url in zip(("one", "two"), urls, strict=False)
    }
    return Settings.of({"engine": LIMITS | engine, "providers": providers})


# A server dies or freezes under load --------------------------------------------------------------------------------


def kill(server: Llama) -> None:
    server.process.kill()


def freeze(server: Llama) -> None:
    server.process.send_signal(signal.SIGSTOP)


HARM: dict[str, Callable[[Llama], None]] = {"killed": kill, "frozen": freeze}


class Told:
    """What one reader of a stream was told."""

    def __init__(self) -> None:
        self.text = ""
        self.kinds = Counter[type]()
        self.error: PointsmanError | None = None
        self.target = ""


async def read(client: AsyncClient, told: Told, on_break: OnBreak, began: Callable[[], None]) -> None:
    async with client.stream("Count.", model=BOTH, on_break=on_break) as reply:
        try:
            async for event in reply.events:
                told.kinds[type(event)] += 1
                match event:
                    case TextDelta(text):
                        told.text += text
                        if len(told.text) > 20:
                            began()
                    case Retracted():
                        told.text = ""
                    case _:
                        pass
        except ProviderError as error:
            told.error = error
        told.target = str(reply.target)


async def once_busy_do(harm: Callable[[Llama], None], server: Llama, begun: anyio.Event) -> None:
    await begun.wait()
    harm(server)


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
@pytest.mark.parametrize("on_break", ["raise", "restart", "continue"])
async def test_no_stream_is_passed_for_whole_that_is_not(
    llama: Start, answer: str, on_break: OnBreak, harm: Callable[[Llama], None]
) -> None:
    first, second = llama(answer, slow=True), llama(answer)
    told = [Told() for _ in range(AT_ONCE)]
    async with AsyncClient(settings=settings(first.url, second.url)) as client, anyio.create_task_group() as group:
        begun = anyio.Event()
        group.start_soon(once_busy_do, harm, first, begun)
        for one in told:
            group.start_soon(read, client, one, on_break, begun.set)
    for one in told:
        assert answer.startswith(one.text)
        assert one.kinds[Finished] == (one.error is None)
        if one.error is None:
            assert one.text == answer
        else:
            assert on_break == "raise"
            assert 0 < len(one.text) < len(answer)
            assert one.error.partial == one.text
            assert str(one.error.target) == "one/toy"
    broken = [one for one in told if one.error or one.kinds[Retracted] or one.kinds[Resumed]]
    assert broken, "nobody was reading when it happened"
    if on_break == "restart":
        assert all(one.kinds[Retracted] == 1 for one in broken)
    elif on_break == "continue":
        assert all(one.kinds[Resumed] == 1 and not one.kinds[Retracted] for one in broken)
    assert any(one.target == "two/toy" for one in told)


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
@pytest.mark.parametrize("on_break", [None, "continue"])
async def test_every_collected_answer_is_whole(
    llama: Start, answer: str, on_break: OnBreak | None, harm: Callable[[Llama], None]
) -> None:
    first, second = llama(answer, slow=True), llama(answer)
    texts = list[str]()
    mode: dict[str, Any] = {"on_break": on_break} if on_break else {}

    async def ask(client: AsyncClient) -> None:
        reply = await client.chat("Count.", model=BOTH, **mode)
        assert reply.finish_reason == "stop"
        texts.append(reply.text)

    async with AsyncClient(settings=settings(first.url, second.url)) as client, anyio.create_task_group() as group:
        for _ in range(AT_ONCE):
            group.start_soon(ask, client)
        await anyio.to_thread.run_sync(first.until_busy)
        harm(first)
    assert texts == [answer] * AT_ONCE


def test_every_collected_answer_is_whole_in_threads(llama: Start, answer: str) -> None:
    first, second = llama(answer, slow=True), llama(answer)
    with Client(settings=settings(first.url, second.url)) as client, ThreadPoolExecutor(AT_ONCE) as pool:
        replies = [pool.submit(client.chat, "Count.", model=BOTH) for _ in range(AT_ONCE)]
        first.until_busy()
        first.process.kill()
        assert [reply.result().text for reply in replies] == [answer] * AT_ONCE


# It comes back ------------------------------------------------------------------------------------------------------


class Traffic:
    """Calls, some at once, and which target answered them."""

    def __init__(self, client: AsyncClient, answer: str) -> None:
        self._client, self._answer = client, answer

    async def ask(self) -> list[tuple[str, bool]]:
        """Targets that were asked, and whether as the probe of a breaker."""
        reply = await self._client.chat("Count.", model=BOTH)
        assert reply.text == self._answer
        self.last = str(reply.target)
        return [(str(attempt.target), attempt.probe) for attempt in reply.attempts]

    async def some(self, calls: int = AT_ONCE) -> None:
        async with anyio.create_task_group() as group:
            for _ in range(calls):
                group.start_soon(self.ask)

    async def until_left_alone(self) -> None:
        """Until the breaker of the first target is open."""
        with anyio.fail_after(PATIENCE):
            while await self.ask() != [("two/toy", False)]:
                await self.some()

    async def until_used_again(self) -> list[tuple[str, bool]]:
        """Until the first target answers: how it was asked then."""
        with anyio.fail_after(PATIENCE):
            while True:
                asked = await self.ask()
                if self.last == "one/toy":
                    return asked
                await anyio.sleep(0.1)


@pytest.fixture
async def two(llama: Start) -> AsyncGenerator[tuple[Llama, Llama, Traffic]]:
    first, second = llama("a short answer"), llama("a short answer")
    async with AsyncClient(settings=settings(first.url, second.url, first_token=0.7)) as client:
        yield first, second, Traffic(client, "a short answer")


async def test_a_server_that_wakes_up_is_used_again(two: tuple[Llama, Llama, Traffic]) -> None:
    first, _, traffic = two
    await traffic.some()
    freeze(first)
    await traffic.until_left_alone()
    first.process.send_signal(signal.SIGCONT)
    assert await traffic.until_used_again() == [("one/toy", True)], "the first to be let through is a probe"
    assert await traffic.ask() == [("one/toy", False)]


async def test_a_server_that_is_restarted_is_used_again(llama: Start, two: tuple[Llama, Llama, Traffic]) -> None:
    first, _, traffic = two
    await traffic.some()
    first.kill()
    await traffic.until_left_alone()
    llama("a short answer", port=first.port)
    assert await traffic.until_used_again() == [("one/toy", True)]
    assert await traffic.ask() == [("one/toy", False)]


async def test_nobody_notices_a_server_that_is_restarted_again_and_again(
    llama: Start, two: tuple[Llama, Llama, Traffic]
) -> None:
    first, _, traffic = two
    async with anyio.create_task_group() as group:

        async def ask_on() -> None:
            for _ in range(40):
                await traffic.ask()
                await anyio.sleep(0.02)

        for _ in range(4):
            group.start_soon(ask_on)
        server = first
        for _ in range(3):
            await anyio.sleep(0.3)
            server.kill()
            server = await anyio.to_thread.run_sync(lambda: llama("a short answer", port=first.port))


# What stands in between ---------------------------------------------------------------------------------------------


Nginx = Callable[[str], str]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    """nginx with this in its one ``location /``: its address."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("nginx is not installed (apt-get install nginx-light)")
    with ExitStack() as stack:

        def start(location: str) -> str:
            port = free_port()
            temporary = "".join(
                f"{kind}_temp_path {tmp_path}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            )
            config = tmp_path / f"{port}.conf"
            config.write_text(
                f"daemon off; worker_processes 1; pid {tmp_path}/{port}.pid; error_log {tmp_path}/{port}.log;"
                f"{'user root;' if os.geteuid() == 0 else ''}"
                f"events {{}} http {{ access_log off; {temporary}"
                f"server {{ listen 127.0.0.1:{port}; location / {{ {location} }} }} }}"
            )
            process = subprocess.Popen([program, "-p", str(tmp_path), "-c", str(config)], stderr=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            until = time.monotonic() + PATIENCE
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    return f"http://127.0.0.1:{port}/v1"
                except OSError:
                    assert process.poll() is None, (tmp_path / f"{port}.log").read_text()
                    assert time.monotonic() < until, "nginx did not start"
                    time.sleep(0.02)

        yield start


def passed_on(server: Llama) -> str:
    return f"proxy_pass {server.url.removesuffix('/v1')}; proxy_http_version 1.1;"


async def test_a_page_of_502_is_an_outage(llama: Start, nginx: Nginx) -> None:
    gone, well = llama("x"), llama("a whole answer")
    gone.kill()
    front = nginx(passed_on(gone))
    async with AsyncClient(settings=settings(front, well.url)) as client:
        reply = await client.chat("hi", model=BOTH)
        with pytest.raises(Unavailable) as caught:
            await client.chat("hi", model="one/toy")
    assert reply.text == "a whole answer"
    assert (reply.attempts[0].error or "").startswith("Unavailable: ")
    assert caught.value.status == 502
    assert "502 Bad Gateway" in str(caught.value)
    assert "<" not in str(caught.value)


async def test_a_page_of_504_is_an_outage(llama: Start, nginx: Nginx) -> None:
    frozen, well = llama("x"), llama("a whole answer")
    front = nginx(passed_on(frozen) + "proxy_read_timeout 300ms;")
    freeze(frozen)
    async with AsyncClient(settings=settings(front, well.url)) as client:
        reply = await client.chat("hi", model=BOTH)
        with pytest.raises(Unavailable) as caught:
            await client.chat("hi", model="one/toy")
    assert reply.text == "a whole answer"
    assert (reply.attempts[0].error or "").startswith("Unavailable: ")
    assert caught.value.status == 504
    assert "504 Gateway Time-out" in str(caught.value)


async def test_a_page_of_429_waits_for_nobody(llama: Start, nginx: Nginx) -> None:
    well = llama("a whole answer")
    front = nginx("return 429;")
    async with AsyncClient(settings=settings(front, well.url)) as client:
        reply = await client.chat("hi", model=BOTH)
    assert (reply.text, str(reply.target)) == ("a whole answer", "two/toy")
    assert "429" in (reply.attempts[0].error or "")


async def test_an_answer_that_is_held_back_comes_through_whole(llama: Start, nginx: Nginx, answer: str) -> None:
    front = nginx(passed_on(llama(answer)) + "proxy_buffering on; proxy_buffers 8 1m; proxy_buffer_size 1m;")
    async with AsyncClient(settings=settings(front)) as client, client.stream("Count.", model="one/toy") as reply:
        texts = [text async for text in reply.text_stream]
    assert "".join(texts) == answer
    assert reply.finish_reason == "stop"


@pytest.mark.parametrize("on_break", ["raise", "restart", "continue"])
async def test_a_proxy_that_loses_patience_in_the_middle(
    llama: Start, nginx: Nginx, answer: str, on_break: OnBreak
) -> None:
    """nginx ends the response where its upstream stands still: for the client, a chunked body without its end."""
    first, second = llama(answer, slow=True), llama(answer)
    front = nginx(passed_on(first) + "proxy_buffering off; proxy_read_timeout 400ms;")
    told, frozen = Told(), anyio.Event()

    def stop() -> None:
        if not frozen.is_set():
            frozen.set()
            freeze(first)

    async with AsyncClient(settings=settings(front, second.url, stall=5.0)) as client:
        await read(client, told, on_break, stop)
    check_after_a_cut(told, answer, on_break)


class Cutter:
    """A proxy that resets each connection once so many bytes have come back through it."""

    def __init__(self, server: Llama, after: float) -> None:
        self.after = after
        self._to = ("127.0.0.1", server.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        left = self.after
        with client, socket.create_connection(self._to) as upstream, suppress(OSError):
            while left > 0:
                # One thread for both ways: a socket that another thread still reads from is not reset.
                for one in select.select([client, upstream], [], [])[0]:
                    data = one.recv(4096 if one is client else int(min(left, 4096)))
                    if not data:
                        return
                    (upstream if one is client else client).sendall(data)
                    left -= 0 if one is client else len(data)
            time.sleep(0.05)  # What was sent is to arrive; a reset would overtake it.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.fixture
def cutter() -> Iterator[Callable[[Llama, float], Cutter]]:
    with ExitStack() as stack:

        def start(server: Llama, after: float) -> Cutter:
            made = Cutter(server, after)
            stack.callback(made.close)
            return made

        yield start


@pytest.mark.parametrize("on_break", ["raise", "restart", "continue"])
async def test_a_connection_that_is_reset_after_some_bytes(
    llama: Start, cutter: Callable[[Llama, float], Cutter], answer: str, on_break: OnBreak
) -> None:
    server = llama(answer)
    proxy = cutter(server, math.inf)
    async with AsyncClient(settings=settings(proxy.url, server.url)) as client:
        assert (await client.chat("Count.", model="one/toy")).text == answer
    for after in (1, 100, 700, 2_000, 10_001, 30_003):
        proxy.after, told = after, Told()
        async with AsyncClient(settings=settings(proxy.url, server.url)) as client:
            await read(client, told, on_break, lambda: None)
            if told.kinds[AttemptFailed]:
                assert told.text == answer, "before the first output, failing over is silent"
            else:
                check_after_a_cut(told, answer, on_break)
            assert (await client.chat("Count.", model=BOTH)).text == answer


def check_after_a_cut(told: Told, answer: str, on_break: OnBreak) -> None:
    if on_break == "raise":
        assert isinstance(told.error, StreamBroken)
        assert told.error.partial == told.text
        assert answer.startswith(told.text)
        assert 0 < len(told.text) < len(answer)
        assert not told.kinds[Finished]
        return
    assert told.error is None
    assert told.text == answer
    assert (told.kinds[Finished], told.target) == (1, "two/toy")
    assert (told.kinds[Retracted], told.kinds[Resumed]) == ((1, 0) if on_break == "restart" else (0, 1))

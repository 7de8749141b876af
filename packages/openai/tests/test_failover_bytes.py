"""Wherever the wire breaks, and however: a call gives one whole answer, or says that it broke and what had come.

A recorded response, its head and the framing of its chunks included, breaks off after each of its bytes. What must
come of that is worked out from the recording alone, by where its events end.
"""

from __future__ import annotations

import json
import re
import socket
from collections import Counter
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import accumulate, islice, pairwise
from typing import Any, Literal, TypeAlias

import anyio
import pytest

from pointsman import (
    AsyncClient,
    AttemptFailed,
    Finished,
    FirstTokenTimeout,
    Plugins,
    PointsmanError,
    ProviderError,
    Retracted,
    Settings,
    Stalled,
    Started,
    StreamBroken,
    StreamEvent,
    TextDelta,
    Unavailable,
    Usage,
)
from pointsman_openai import compatible
from pointsman_testing.lab import sockets

OnBreak: TypeAlias = Literal["raise", "restart"]
Story: TypeAlias = list[str]

AT_ONCE = 20
CALLS_OF_A_CLIENT = 4
"""So few that no client has learned to avoid the sick server before the last of them."""
SILENCE = 3.0
"""Seconds after which a server that stands still is given up; the healthy one must need less, however busy all are."""


# The recording ------------------------------------------------------------------------------------------------------


def event(value: Any) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


def delta(fields: dict[str, Any], **more: Any) -> bytes:
    return event({"choices": [{"index": 0, "delta": fields, **more}]})


TEXTS = ["Olá", ", 世界", " 🎉 z̴̢a."]
USAGE = Usage(input_tokens=5, output_tokens=6)
EVENTS = [
    delta({"role": "assistant", "content": ""}),
    *[delta({"content": text}) for text in TEXTS],
    delta({}, finish_reason="stop"),
    event({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 6}}),
    b"data: [DONE]\n\n",
]
BODY = b"".join(EVENTS)
BOUNDARIES = [0, *accumulate(map(len, EVENTS))]
WHOLE_AT = [boundary - len("\n\n") for boundary in BOUNDARIES[1:]]
"""Where in the body each event has all that it says, be it without its blank line."""
SAID_AT = dict(zip(WHOLE_AT[1:], TEXTS, strict=False))
PROVED_AT, COUNTED_AT = WHOLE_AT[-3:-1]

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
END = b"0\r\n\r\n"
# One event, one and a part of a character, the rest of it, two events, and then one each.
INSIDE = BODY.index("界".encode()) + 1
CHUNKS = [*BOUNDARIES[:2], INSIDE, BOUNDARIES[3], *BOUNDARIES[5:]]


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


WIRE = HEAD + b"".join(chunk(BODY[start:end]) for start, end in pairwise(CHUNKS)) + END


def body_bytes_by_offset() -> Iterable[tuple[int, bool]]:
    """For each offset in `WIRE`: how much of the body is there, and whether the next byte belongs to the body."""
    yield from [(0, False)] * len(HEAD)
    for start, end in pairwise(CHUNKS):
        size_line = b"%x\r\n" % (end - start)
        yield from [(start, False)] * len(size_line)
        yield from [(place, True) for place in range(start, end)]
        yield from [(end, False)] * len("\r\n")
    yield from [(len(BODY), False)] * (len(END) + 1)


ARRIVED = list(body_bytes_by_offset())
assert len(ARRIVED) == len(WIRE) + 1

HEALTHY_TEXT = "Entirely 健康 and whole 🌈."
HEALTHY = HEAD + chunk(delta({"content": HEALTHY_TEXT}) + b"".join(EVENTS[-3:])) + END


# How it breaks ------------------------------------------------------------------------------------------------------


GARBAGE = b"\xff\x00\xfe{\r\n\n\x9f\xf0\n\n\x80"
COMPLAINTS = {
    "error": event({"error": {"message": "it broke", "code": 500}}),
    "named error": b'event: error\ndata: {"message": "it broke"}\n\n',
    "end": b"",
}
"""What a server says after an event before it ends its response as if all were well."""


@dataclass(frozen=True, slots=True)
class Fault:
    """`how` the wire breaks, and after how many of its bytes; after how many events where `how` is a complaint."""

    how: str
    at: int
    on_break: OnBreak = "raise"

    @property
    def prompt(self) -> str:
        return f"{self.how}/{self.at}/{self.on_break}"

    @property
    def sent(self) -> bytes:
        if self.how in COMPLAINTS:
            parts = (BODY[: BOUNDARIES[self.at]], COMPLAINTS[self.how])
            return HEAD + b"".join(chunk(part) for part in parts if part) + END
        return WIRE[: self.at] + (GARBAGE if self.how == "garbage" else b"")

    @property
    def seen(self) -> int:
        """How much of the body counts. Right behind a payload, garbage makes it another one."""
        if self.how in COMPLAINTS:
            return BOUNDARIES[self.at]
        arrived, more = ARRIVED[self.at]
        return arrived - 1 if more and self.how == "garbage" else arrived

    @property
    def said(self) -> str:
        return "".join(text for place, text in SAID_AT.items() if place <= self.seen)

    @property
    def proved(self) -> bool:
        return self.seen >= PROVED_AT

    @property
    def breaks_midway(self) -> bool:
        return bool(self.said) and not self.proved

    @property
    def story(self) -> Story:
        """What a reader must be told."""
        healthy = ["well started", HEALTHY_TEXT, "finished"]
        if self.proved:
            return ["sick started", self.said, "finished"]
        if not self.said:
            return ["sick failed", *healthy]
        end = ["broken"] if self.on_break == "raise" else ["retracted", *healthy]
        return ["sick started", self.said, *end]


class Server:
    """Answers each request as the fault that its prompt names has it, and then ends the connection."""

    def __init__(self) -> None:
        self.listener = sockets.bound(0)
        self.listener.listen(128)
        self.asked = Counter[str]()

    @property
    def settings(self) -> dict[str, str]:
        address, port = self.listener.getsockname()
        return {"plugin": "openai-compatible", "base_url": f"http://{address}:{port}/v1"}

    async def serve(self) -> None:
        try:
            async with anyio.create_task_group() as connections:
                while True:
                    await anyio.wait_readable(self.listener)
                    connection, _ = self.listener.accept()
                    connection.setblocking(False)
                    connections.start_soon(self.serve_one, connection)
        finally:
            self.listener.close()

    async def serve_one(self, connection: socket.socket) -> None:
        with connection:
            prompt = await received_prompt(connection)
            self.asked[prompt] += 1
            await self.answer(connection, prompt)

    async def answer(self, connection: socket.socket, prompt: str) -> None:
        await sockets.send(connection, HEALTHY)


class SickServer(Server):
    async def answer(self, connection: socket.socket, prompt: str) -> None:
        how, at, _ = prompt.split("/")
        await sockets.send(connection, Fault(how, int(at)).sent)
        if how == "reset":
            await sockets.flush(connection)
            sockets.reset(connection)
        elif how == "stall":
            await sockets.receive(connection)


async def received_prompt(connection: socket.socket) -> str:
    received = b""
    while not (whole := re.match(rb"(?is).*content-length: (\d+).*?\r\n\r\n", received)) or len(
        received
    ) < whole.end() + int(whole[1]):
        data = await sockets.receive(connection)
        assert data, "a request was cut off"
        received += data
    return json.loads(received[whole.end() :])["messages"][0]["content"]


# The calls ----------------------------------------------------------------------------------------------------------


class Calls:
    """Asks the sick server first and the healthy one second."""

    def __init__(self, sick: Server, well: Server) -> None:
        self._sick, self._well = sick, well
        self._plugins = Plugins.of(providers={"openai-compatible": compatible})
        self._settings = Settings.of({"providers": {"sick": sick.settings, "well": well.settings}})

    async def check(
        self, faults: Iterable[Fault], *, silence: float = SILENCE, of_a_client: int = CALLS_OF_A_CLIENT
    ) -> None:
        left, wrong = iter(faults), list[object]()

        async def ask_in_turn() -> None:
            while some := list(islice(left, of_a_client)):
                async with AsyncClient(settings=self._settings, plugins=self._plugins) as client:
                    for fault in some:
                        try:
                            await self._check(client, fault, silence)
                        except AssertionError as error:
                            wrong.append((fault, error))

        async with anyio.create_task_group() as tasks:
            for _ in range(AT_ONCE):
                tasks.start_soon(ask_in_turn)
        assert not wrong

    async def _check(self, client: AsyncClient, fault: Fault, silence: float) -> None:
        events, error = list[StreamEvent](), None
        order, limits = ["sick/m", "well/m"], {"first_token": silence, "stall": silence}
        async with client.stream(fault.prompt, model=order, on_break=fault.on_break, **limits) as reply:
            try:
                async for event in reply.events:
                    events.append(event)
            except ProviderError as raised:
                error = raised
        assert told(events, error) == fault.story
        outcomes = [(attempt.target.provider, attempt.outcome) for attempt in reply.attempts]
        to_sick = [("sick", "finished" if fault.proved else "failed")]
        assert outcomes == to_sick + [("well", "finished")] * ("well started" in fault.story)
        asked = [server.asked.pop(fault.prompt, 0) for server in (self._sick, self._well)]
        assert asked == [1, len(outcomes) - 1]
        for failed in [error] if error else [event.error for event in events if isinstance(event, AttemptFailed)]:
            check_error(fault, failed)
        if error is None:
            assert isinstance(events[-1], Finished)
            check_usage(fault, events[-1].usage)


def told(events: Iterable[StreamEvent], error: PointsmanError | None) -> Story:
    story: Story = []
    for event in events:
        match event:
            case TextDelta(text) if story and not story[-1].endswith((" started", "retracted")):
                story[-1] += text
            case TextDelta(text):
                story.append(text)
            case Started(target):
                story.append(f"{target.provider} started")
            case AttemptFailed(target):
                story.append(f"{target.provider} failed")
            case Retracted():
                story.append("retracted")
            case Finished("stop"):
                story.append("finished")
            case _:
                story.append(repr(event))
    return story if error is None else [*story, "broken"]


def check_error(fault: Fault, error: PointsmanError) -> None:
    assert error.partial == fault.said
    if fault.how == "stall":
        assert type(error) is (Stalled if fault.said else FirstTokenTimeout)
    else:
        assert type(error) in ([StreamBroken] if fault.said else [StreamBroken, Unavailable])


def check_usage(fault: Fault, usage: Usage | None) -> None:
    assert usage is not None
    if fault.proved and fault.seen < COUNTED_AT:
        assert usage.estimated
    else:
        assert usage == USAGE


@pytest.fixture
async def calls() -> AsyncGenerator[Calls]:
    async with serving(SickServer()) as sick, serving(Server()) as well:
        yield Calls(sick, well)


@asynccontextmanager
async def serving(server: Server) -> AsyncGenerator[Server]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve)
        yield server
        tasks.cancel_scope.cancel()


def each(how: str, places: Iterable[int]) -> list[Fault]:
    """Both ways to go on, where they differ."""
    faults = [Fault(how, at) for at in places]
    return [*faults, *(replace(fault, on_break="restart") for fault in faults if fault.breaks_midway)]


@pytest.mark.parametrize("how", ["reset", "close", "garbage"])
async def test_a_wire_that_breaks_after_any_byte(calls: Calls, how: str) -> None:
    await calls.check(each(how, range(len(WIRE) + 1)))


@pytest.mark.parametrize("how", COMPLAINTS)
async def test_a_response_that_ends_politely_after_any_event(calls: Calls, how: str) -> None:
    await calls.check(each(how, range(len(EVENTS) + 1)))


async def test_a_server_that_stands_still(calls: Calls) -> None:
    await calls.check(each("stall", range(0, len(WIRE) + 1, 50)), of_a_client=1)


@pytest.mark.xfail(
    reason="a stall limit below the 2 s that a session waits for the count of tokens discards the answer"
)
async def test_a_proved_answer_of_a_server_that_then_stands_still_is_whole(calls: Calls) -> None:
    await calls.check([Fault("stall", WIRE.index(b"data: [DONE]"))], silence=0.5)

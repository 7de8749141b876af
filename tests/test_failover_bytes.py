"""Wherever the wire breaks, and however: a call gives one whole answer, or says that it broke and what had come.

A recorded response, its head and the framing of its chunks included, breaks off after its bytes: where the outcome
turns and at some more places by default, after each of them in ``nox -s properties``. What must come of that is worked
out from the recording alone, by where its events end.
"""

from __future__ import annotations

import json
import re
import socket
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import accumulate, islice, pairwise
from typing import Any, Literal, TypeAlias, get_args

import anyio
import hypothesis
import pytest

import pointsman_ollama
from pointsman import (
    AsyncClient,
    AttemptFailed,
    Finished,
    FirstTokenTimeout,
    Plugins,
    PointsmanError,
    ProviderError,
    Resumed,
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

OnBreak: TypeAlias = Literal["raise", "restart", "continue"]
Story: TypeAlias = list[str]

EVERYWHERE = hypothesis.settings().max_examples >= 1_000
"""After each byte, and with every `on_break` also where it makes no difference."""
STEP = 1 if EVERYWHERE else 17
AT_ONCE = 20
STALLED_AT_ONCE = 25
"""So few that opening the second provider for all of them at once takes no longer than its limit."""
CALLS_OF_A_CLIENT = 4
"""So few that no client's breaker has learned to avoid the sick server before the last of them."""
SILENCE = 2.5
"""Seconds after which a server that stands still is given up; the healthy one must need less, however busy all are."""
LONG_SILENCE = 4.0
"""The same where a session itself waits for 2 s for the count of tokens."""

pytestmark = pytest.mark.hypothesis  # so that the session of all properties has them, as thorough as it is


# The recordings -----------------------------------------------------------------------------------------------------


def as_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


END = b"0\r\n\r\n"
TEXTS = ("Olá", ", 世界 ", "🎉 z̴̢a.")
ANSWER = "".join(TEXTS)
HEALTHY_TEXT = "Entirely 健康 and whole 🌈."
USAGE = Usage(input_tokens=5, output_tokens=6)


@dataclass(frozen=True, eq=False)
class Recording:
    """A response in a dialect. Offsets are into the body; those of `wire` are called places."""

    plugin: str
    media_type: str
    opening: tuple[bytes, ...]
    texts: tuple[bytes, ...]
    ending: tuple[bytes, ...]
    proof: int
    """Which event proves that the answer is whole."""
    count: int
    """Which event counts the tokens."""
    optional: int
    """How many bytes at the end of an event need not be there for it to count."""
    complaints: dict[str, bytes]
    """What a server says after an event before it ends its response as if all were well."""

    @cached_property
    def events(self) -> tuple[bytes, ...]:
        return (*self.opening, *self.texts, *self.ending)

    @cached_property
    def body(self) -> bytes:
        return b"".join(self.events)

    @cached_property
    def boundaries(self) -> list[int]:
        return [0, *accumulate(map(len, self.events))]

    @cached_property
    def whole_at(self) -> list[int]:
        """Where each event has all that it says."""
        return [boundary - self.optional for boundary in self.boundaries[1:]]

    @cached_property
    def said_at(self) -> dict[int, str]:
        return dict(zip(self.whole_at[len(self.opening) :], TEXTS, strict=False))

    @property
    def proved_at(self) -> int:
        return self.whole_at[self.proof]

    @property
    def counted_at(self) -> int:
        return self.whole_at[self.count]

    @property
    def head(self) -> bytes:
        return (
            f"HTTP/1.1 200 OK\r\nContent-Type: {self.media_type}\r\n"
            "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        ).encode()

    @cached_property
    def chunks(self) -> list[int]:
        """Where chunks begin: one event, one and a part of a character, the rest of it and two more, then each."""
        inside = self.body.index("界".encode()) + 1
        return [*self.boundaries[:2], inside, *(one for one in self.boundaries[4:] if one > inside)]

    @cached_property
    def wire(self) -> bytes:
        return self.head + b"".join(chunk(self.body[start:end]) for start, end in pairwise(self.chunks)) + END

    @cached_property
    def arrived(self) -> list[tuple[int, bool]]:
        """For each place: how much of the body is there, and whether the next byte belongs to the body."""
        found = [(0, False)] * len(self.head)
        for start, end in pairwise(self.chunks):
            found += [(start, False)] * len(b"%x\r\n" % (end - start))
            found += [(offset, True) for offset in range(start, end)]
            found += [(end, False)] * len("\r\n")
        found += [(len(self.body), False)] * (len(END) + 1)
        assert len(found) == len(self.wire) + 1
        return found

    def answer(self, text: str) -> bytes:
        """A whole response that says `text`."""
        said = self.texts[0].replace(TEXTS[0].encode(), text.encode())
        return self.head + chunk(said + b"".join(self.ending)) + END

    def places(self, how: str, step: int = STEP) -> list[int]:
        """Where the outcome turns, and just before and behind; and every so many bytes."""
        states = [Fault(self, how, at).state for at in range(len(self.wire) + 1)]
        turns = {at + by for at in range(1, len(states)) if states[at] != states[at - 1] for by in (-1, 0, 1)}
        edges = {0, 1, len(self.head) - 1, len(self.head), len(self.wire) - len(END) - 1, len(self.wire) - 1}
        wanted = turns | edges | {*range(0, len(states), step)} | {len(self.wire)}
        return sorted(at for at in wanted if at < len(states))


def event(value: Any) -> bytes:
    return b"data: " + as_json(value) + b"\n\n"


def delta(fields: dict[str, Any], **more: Any) -> bytes:
    return event({"choices": [{"index": 0, "delta": fields, **more}]})


OPENAI = Recording(
    plugin="openai-compatible",
    media_type="text/event-stream",
    opening=(delta({"role": "assistant", "content": ""}),),
    texts=tuple(delta({"content": text}) for text in TEXTS),
    ending=(
        delta({}, finish_reason="stop"),
        event({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 6}}),
        b"data: [DONE]\n\n",
    ),
    proof=-3,
    count=-2,
    optional=len("\n\n"),
    complaints={
        "error": event({"error": {"message": "it broke", "code": 500}}),
        "other error": b'event: error\ndata: {"message": "it broke"}\n\n',
        "end": b"",
    },
)


def line(text: str, *, done: bool = False, **more: Any) -> bytes:
    message = {"role": "assistant", "content": text}
    about = {"model": "m", "created_at": "2026-11-23T10:00:00.123456789Z"}
    return as_json({**about, "message": message, "done": done, **more}) + b"\n"


OLLAMA = Recording(
    plugin="ollama",
    media_type="application/x-ndjson",
    opening=(),
    texts=tuple(line(text) for text in TEXTS),
    ending=(line("", done=True, done_reason="stop", total_duration=9, prompt_eval_count=5, eval_count=6),),
    proof=-1,
    count=-1,
    optional=0,
    complaints={"error": b'{"error":"it broke"}\n', "other error": b'{"error":"it broke"}', "end": b""},
)
RECORDINGS = {"openai": OPENAI, "ollama": OLLAMA}
PLUGINS = {"openai-compatible": compatible, "ollama": pointsman_ollama}


# How it breaks ------------------------------------------------------------------------------------------------------


GARBAGE = b"\xff\x00\xfe{\r\n\n\x9f\xf0\n\n\x80"
COMPLAINTS = tuple(OPENAI.complaints)


@dataclass(frozen=True, slots=True)
class Fault:
    """`how` the wire breaks, and at which place of it; after how many events where `how` is a complaint."""

    recording: Recording
    how: str
    at: int
    on_break: OnBreak = "raise"

    @property
    def prompt(self) -> str:
        return f"{self.how}/{self.at}/{self.on_break}"

    @property
    def sent(self) -> bytes:
        one = self.recording
        if self.how in COMPLAINTS:
            parts = (one.body[: one.boundaries[self.at]], one.complaints[self.how])
            return one.head + b"".join(chunk(part) for part in parts if part) + END
        return one.wire[: self.at] + (GARBAGE if self.how == "garbage" else b"")

    @property
    def seen(self) -> int:
        """How much of the body counts: garbage right behind an event makes it another, and more may come of a stall."""
        if self.how in COMPLAINTS:
            return self.recording.boundaries[self.at]
        arrived, more = self.recording.arrived[self.at]
        if self.how == "stall":
            return arrived - self.recording.optional
        return arrived - 1 if more and self.how == "garbage" and self.recording.optional else arrived

    @property
    def said(self) -> str:
        return "".join(text for place, text in self.recording.said_at.items() if place <= self.seen)

    @property
    def proved(self) -> bool:
        return self.seen >= self.recording.proved_at

    @property
    def counted(self) -> bool:
        """Who stops waiting for the rest of a whole answer reads what is there as if it had ended."""
        seen = self.recording.arrived[self.at][0] if self.how == "stall" else self.seen
        return seen >= self.recording.counted_at

    @property
    def breaks_midway(self) -> bool:
        return bool(self.said) and not self.proved

    @property
    def state(self) -> tuple[str, bool, bool]:
        return self.said, self.proved, self.counted

    @property
    def silence(self) -> float:
        return LONG_SILENCE if self.proved else SILENCE

    @property
    def story(self) -> Story:
        """What a reader must be told."""
        healthy = ["well started", HEALTHY_TEXT, "finished"]
        if self.proved:
            return ["sick started", self.said, "finished"]
        if not self.said:
            return ["sick failed", *healthy]
        ends: dict[OnBreak, Story] = {
            "raise": ["broken"],
            "restart": ["retracted", *healthy],
            "continue": ["well resumed", ANSWER.removeprefix(self.said), "finished"],
        }
        if self.said == ANSWER:  # There is nothing left to say but that it is whole.
            ends["continue"].remove("")
        return ["sick started", self.said, *ends[self.on_break]]


class Server:
    """Goes on with an answer that another began, else gives one of its own."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.listener = sockets.bound(0)
        self.listener.listen(128)
        self.asked = Counter[str]()

    @property
    def settings(self) -> dict[str, Any]:
        address, port = self.listener.getsockname()
        path = "/v1" if self.recording is OPENAI else ""
        return {"plugin": self.recording.plugin, "base_url": f"http://{address}:{port}{path}"}

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
        with connection, suppress(ConnectionError):
            messages = await received_messages(connection)
            if messages is None:
                await sockets.send(connection, VERSION)
                return
            prompt = messages[0]["content"]
            self.asked[prompt] += 1
            await self.answer(connection, prompt, messages[1:])

    async def answer(self, connection: socket.socket, prompt: str, begun: Sequence[dict[str, str]]) -> None:
        text = HEALTHY_TEXT
        if begun:
            [message] = begun
            assert message["role"] == "assistant"
            assert ANSWER.startswith(message["content"])
            text = ANSWER.removeprefix(message["content"])
        await sockets.send(connection, self.recording.answer(text))


class SickServer(Server):
    """Answers each request as the fault that its prompt names has it, and then ends the connection."""

    async def answer(self, connection: socket.socket, prompt: str, begun: Sequence[dict[str, str]]) -> None:
        assert not begun
        how, at, _ = prompt.split("/")
        await sockets.send(connection, Fault(self.recording, how, int(at)).sent)
        if how == "reset":
            await sockets.flush(connection)
            sockets.reset(connection)
        elif how == "stall":
            await sockets.receive(connection)


VERSION = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 20\r\nConnection: close\r\n\r\n"
    b'{"version":"0.13.1"}'
)
"""What Ollama's client asks for before its first request."""


async def received_messages(connection: socket.socket) -> list[dict[str, str]] | None:
    """The messages of a request; None of one without any."""
    received = b""
    while not (head := re.match(rb"(?s).*?\r\n\r\n", received)):
        received += await received_bytes(connection)
    length = re.search(rb"(?i)content-length: (\d+)", head[0])
    while length and len(received) < head.end() + int(length[1]):
        received += await received_bytes(connection)
    return json.loads(received[head.end() :])["messages"] if length else None


async def received_bytes(connection: socket.socket) -> bytes:
    data = await sockets.receive(connection)
    if not data:
        raise ConnectionError("a request was cut off")
    return data


# The calls ----------------------------------------------------------------------------------------------------------


class Calls:
    """Asks the sick server first and the healthy one second."""

    def __init__(self, sick: Server, well: Server, *, prefill: bool = True) -> None:
        self._sick, self._well = sick, well
        self._plugins = Plugins.of(providers=PLUGINS)
        able = {"capabilities": ["prefill"]} if prefill else {}
        self._settings = Settings.of({"providers": {"sick": sick.settings, "well": well.settings | able}})

    def client(self) -> AsyncClient:
        return AsyncClient(settings=self._settings, plugins=self._plugins)

    async def check(
        self,
        faults: Iterable[Fault],
        *,
        of_a_client: int = CALLS_OF_A_CLIENT,
        at_once: int = AT_ONCE,
        apart: float = 0.0,
        **options: Any,
    ) -> None:
        """Every fault gives its story."""
        left, wrong = iter(faults), list[object]()

        async def ask_in_turn(number: int) -> None:
            await anyio.sleep(number * apart)  # Those who stand still are not to be given up all in one instant.
            while some := list(islice(left, of_a_client)):
                async with self.client() as client:
                    for fault in some:
                        try:
                            await self._check(client, fault, **options)
                        except AssertionError as error:
                            wrong.append((fault.how, fault.at, fault.on_break, error))

        async with anyio.create_task_group() as tasks:
            for number in range(at_once):
                tasks.start_soon(ask_in_turn, number)
        assert not wrong

    async def _check(self, client: AsyncClient, fault: Fault, silence: float | None = None) -> None:
        events, error = list[StreamEvent](), None
        patience = silence or fault.silence
        order, limits = ["sick/m", "well/m"], {"first_token": patience, "stall": patience}
        async with client.stream(fault.prompt, model=order, on_break=fault.on_break, **limits) as reply:
            try:
                async for event in reply.events:
                    events.append(event)
            except ProviderError as raised:
                error = raised
        assert told(events, error) == fault.story
        outcomes = [(attempt.target.provider, attempt.outcome) for attempt in reply.attempts]
        to_sick = [("sick", "finished" if fault.proved else "failed")]
        resumed = "well resumed" in fault.story
        assert outcomes == to_sick + [("well", "finished")] * (resumed or "well started" in fault.story)
        asked = [server.asked.pop(fault.prompt, 0) for server in (self._sick, self._well)]
        assert asked == [1, len(outcomes) - 1]
        for failed in [error] if error else [event.error for event in events if isinstance(event, AttemptFailed)]:
            check_error(fault, failed)
        if error is None:
            assert isinstance(events[-1], Finished)
            check_usage(fault, events[-1].usage, resumed=resumed)

    async def check_collected(self, faults: Iterable[Fault]) -> None:
        """Who does not see an answer grow gets a whole one, whatever happens on the way."""
        for fault in faults:
            mode = {} if fault.on_break == "raise" else {"on_break": fault.on_break}
            async with self.client() as client:
                reply = await client.chat(fault.prompt, model=["sick/m", "well/m"], **mode)
            assert reply.finish_reason == "stop"
            told_whole = fault.proved or (fault.said and "well resumed" in fault.story)
            assert reply.text == (ANSWER if told_whole else HEALTHY_TEXT), (fault.how, fault.at, fault.on_break)


def told(events: Iterable[StreamEvent], error: PointsmanError | None) -> Story:
    story: Story = []
    for event in events:
        match event:
            case TextDelta(text) if story and not story[-1].endswith((" started", " resumed", "retracted")):
                story[-1] += text
            case TextDelta(text):
                story.append(text)
            case Started(target):
                story.append(f"{target.provider} started")
            case Resumed(target):
                story.append(f"{target.provider} resumed")
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


def check_usage(fault: Fault, usage: Usage | None, *, resumed: bool) -> None:
    assert usage is not None
    if resumed or (fault.proved and not fault.counted):
        assert usage.estimated
    else:
        assert usage == USAGE


@pytest.fixture(params=RECORDINGS.values(), ids=RECORDINGS)
def recording(request: pytest.FixtureRequest) -> Recording:
    return request.param


@asynccontextmanager
async def calling(recording: Recording, *, prefill: bool = True) -> AsyncGenerator[Calls]:
    async with serving(SickServer(recording)) as sick, serving(Server(recording)) as well:
        yield Calls(sick, well, prefill=prefill)


@asynccontextmanager
async def serving(server: Server) -> AsyncGenerator[Server]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve)
        yield server
        tasks.cancel_scope.cancel()


def each(recording: Recording, how: str, places: Iterable[int]) -> list[Fault]:
    """Every way to go on; by default only where they differ."""
    faults = [Fault(recording, how, at, on_break) for at in places for on_break in get_args(OnBreak)]
    always = EVERYWHERE and how != "stall"  # which takes seconds for each
    return [fault for fault in faults if always or fault.breaks_midway or fault.on_break == "raise"]


@pytest.mark.parametrize("how", ["reset", "close", "garbage"])
async def test_a_wire_that_breaks_after_any_byte(recording: Recording, how: str) -> None:
    async with calling(recording) as calls:
        await calls.check(each(recording, how, recording.places(how)))


@pytest.mark.parametrize("how", COMPLAINTS)
async def test_a_response_that_ends_politely_after_any_event(recording: Recording, how: str) -> None:
    async with calling(recording) as calls:
        await calls.check(each(recording, how, range(len(recording.events) + 1)))


async def test_a_server_that_stands_still() -> None:
    """Both dialects at once, since nearly all of this is waiting."""
    async with AsyncExitStack() as stack:
        all_calls = {one: await stack.enter_async_context(calling(one)) for one in RECORDINGS.values()}
        async with anyio.create_task_group() as tasks:
            for one, calls in all_calls.items():
                faults = each(one, "stall", one.places("stall", STEP if EVERYWHERE else 100))
                tasks.start_soon(partial(calls.check, faults, of_a_client=1, at_once=STALLED_AT_ONCE, apart=0.05))


@pytest.mark.parametrize("how", ["reset", "close", "garbage", *COMPLAINTS])
async def test_a_collected_answer_is_whole_wherever_the_wire_breaks(recording: Recording, how: str) -> None:
    places = range(len(recording.events) + 1) if how in COMPLAINTS else recording.places(how)
    faults = each(recording, how, places)
    async with calling(recording) as calls:
        await calls.check_collected(fault for fault in faults if EVERYWHERE or fault.at % 3 == 0)


async def test_an_answer_that_nobody_can_go_on_with(recording: Recording) -> None:
    """Without `prefill`, a stream breaks as if nobody had asked for more, and a collected answer is started anew."""
    places = [at for at in recording.places("reset") if Fault(recording, "reset", at).breaks_midway]
    async with calling(recording, prefill=False) as calls:
        for at in places[:: 1 if EVERYWHERE else 5]:
            async with calls.client() as client:
                order, prompt = ["sick/m", "well/m"], f"reset/{at}/continue"
                async with client.stream(prompt, model=order, on_break="continue") as reply:
                    with pytest.raises(StreamBroken) as caught:
                        await reply.collect()
                assert caught.value.partial == Fault(recording, "reset", at).said
                assert (await client.chat(prompt, model=order, on_break="continue")).text == HEALTHY_TEXT


@pytest.mark.xfail(
    reason="a stall limit below the 2 s that a session waits for the count of tokens discards the answer"
)
async def test_a_proved_answer_of_a_server_that_then_stands_still_is_whole() -> None:
    async with calling(OPENAI) as calls:
        await calls.check([Fault(OPENAI, "stall", OPENAI.wire.index(b"data: [DONE]"))], silence=0.5)

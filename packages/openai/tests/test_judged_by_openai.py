"""OpenAI's own SDK reads the same bytes the same way, and where a server breaks off, we know it.

Streams are drawn in every shape that both understand; `test_sdk_differs.py` has the shapes that they read differently.
With a fault in it, the script of the server says what has to be: it knows whether the proof was sent.
"""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeAlias

import anyio
import httpx2
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman import (
    ChatRequest,
    Finished,
    PointsmanError,
    ReasoningDelta,
    StreamBroken,
    StreamEvent,
    Target,
    Terminal,
    TextDelta,
    ToolCallDelta,
    Usage,
    user,
)
from pointsman_openai import Quirks, Session
from pointsman_openai.decode import ChatDecoder
from pointsman_testing import Ending, Lab, Raw

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Session]]
Anything: TypeAlias = st.SearchStrategy[Any]

ASK: Any = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
BOTH_PROOFS = st.sampled_from([Terminal.FINISH_REASON, Terminal.DONE_MARKER])

# The characters at which something once took a line or a string to end, and all others.
TEXTS = st.text(alphabet=st.sampled_from('a "\\\n\r\0\x1c\x85\u2028\ufeff😀') | st.characters(codec="utf-8"))
UNKNOWN: Anything = st.sampled_from(
    [
        {},
        {},
        {},
        *({"x_ours": value} for value in (None, True, -1.5, 10**30, float("nan"), "a\x85\u2028b", [{}], {"a": [1]})),
    ]
)
"""What a vendor adds of its own."""
FUNCTIONS: Anything = st.fixed_dictionaries({"arguments": TEXTS}, optional={"name": TEXTS | st.none()})
CALLS: Anything = st.fixed_dictionaries(
    {"index": st.integers(0, 2), "function": FUNCTIONS},
    optional={"id": TEXTS | st.none(), "type": st.just("function")},
)
DELTAS: Anything = st.builds(
    lambda known, unknown, twice: known | unknown | ({"reasoning_content": known.get("reasoning")} if twice else {}),
    st.fixed_dictionaries(
        {},
        optional={
            "role": st.just("assistant"),
            "content": TEXTS | st.none(),
            "refusal": TEXTS | st.none(),
            "reasoning": TEXTS | st.none(),
            "reasoning_content": TEXTS | st.none(),
            "tool_calls": st.lists(CALLS, max_size=2) | st.none(),
            "function_call": st.none(),
        },
    ),
    UNKNOWN,
    st.booleans(),  # Some send their reasoning under both names.
)
OUTPUT = ("content", "refusal", "reasoning", "reasoning_content")
REASONS = st.sampled_from(["stop", "length", "tool_calls", "content_filter", "Something_New"])
OTHER: Any = {"choices": [{"index": 1, "delta": {"content": "not asked for"}}]}
NOTHINGS: Anything = st.sampled_from([{"choices": []}, {"choices": None}, {"type": "ping"}, {}, OTHER])
COMMENTS = st.sampled_from([":", ": comment", ":data: {"])
FILLERS = st.sampled_from(["event: message", "event:", "retry: 10", "retry: soon", "unknown: 1", "unknown"]) | COMMENTS
NEWLINES = st.sampled_from(["\n", "\r\n", "\r"])


@st.composite
def usages(draw: st.DrawFn) -> dict[str, Any]:
    asked, answered = draw(st.integers(1, 99)), draw(st.integers(0, 99))
    cached, thought = draw(st.integers(0, asked)), draw(st.integers(0, answered))
    details = {
        "prompt_tokens_details": draw(st.sampled_from([None, {"cached_tokens": cached}, {"cached_tokens": None}])),
        "completion_tokens_details": draw(st.sampled_from([None, {}, {"reasoning_tokens": thought}])),
    }
    counts = {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}
    return counts | (details if draw(st.booleans()) else {}) | draw(UNKNOWN)


@dataclass
class Script:
    """A whole answer, as a server sends it."""

    parts: list[bytes]
    finish: int
    """The place among `parts` of the chunk with the finish reason."""
    text: str
    reason: str
    newline: str

    @property
    def done(self) -> int:
        """The place of ``[DONE]``."""
        return len(self.parts) - 1

    def proof(self, terminal: Terminal) -> int:
        """The place of what proves it whole."""
        return self.finish if terminal is Terminal.FINISH_REASON else self.done

    def end(self, place: int) -> int:
        """Where the part is whole, be it without its blank line."""
        return len(b"".join(self.parts[: place + 1])) - 2 * len(self.newline)

    def told(self, place: int) -> int:
        """Where the SDK knows that the part is whole. It takes the CR of a blank line for all of it."""
        return self.end(place) + len(self.newline) + 1


@st.composite
def scripts(draw: st.DrawFn, ids: Anything = st.booleans()) -> Script:  # noqa: B008
    deltas: list[dict[str, Any]] = draw(st.lists(DELTAS, max_size=6))
    last: dict[str, Any] = draw(st.just({}) | DELTAS)
    names, begun = set[int](), dict[int, str]()
    for call in (call for one in [*deltas, last] for call in one.get("tool_calls") or ()):
        if call["index"] in names:  # The SDK fuses names that repeat; we do not.
            call["function"].pop("name", None)
        elif call["function"].get("name"):
            names.add(call["index"])
        if call.get("id"):  # And calls of two ids on one index.
            call["id"] = begun.setdefault(call["index"], call["id"])
    said = any(value for one in [*deltas, last] for name, value in one.items() if name in OUTPUT)
    reason = draw(REASONS if said else REASONS.filter(lambda word: word != "content_filter"))

    counting = draw(st.booleans())
    chunks = [draw(chunk(one, None, usages() if counting else st.none())) for one in deltas]
    finish = draw(chunk(last, reason, st.none() | usages()))
    chunks.append(finish)
    chunks += draw(st.sampled_from([[], [{"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}]]))
    chunks += draw(st.lists(usages().map(lambda counts: {"choices": [], "usage": counts}), max_size=1))
    for _ in range(draw(st.integers(0, 2))):
        chunks.insert(draw(st.integers(0, len(chunks))), draw(NOTHINGS))

    numbered, newline = draw(ids), draw(NEWLINES)
    parts = [draw(written(one, numbered, newline)) for one in [*chunks, None]]
    if draw(st.booleans()):
        # The SDK does not know a byte order mark, so that it loses the line with it: here it is a comment.
        parts[0] = b"\xef\xbb\xbf: a comment" + newline.encode() + parts[0]
    place = next(place for place, one in enumerate(chunks) if one is finish)
    text = "".join((one.get("content") or "") + (one.get("refusal") or "") for one in [*deltas, last])
    return Script(parts, place, text, reason, newline)


@st.composite
def chunk(draw: st.DrawFn, delta: Any, reason: str | None, counted: Anything) -> dict[str, Any]:
    """One choice that matters, perhaps beside others that do not."""
    choice = (
        {"delta": delta} | draw(UNKNOWN) | draw(st.sampled_from([{}, {"index": 0}, {"index": 0, "logprobs": None}]))
    )
    if reason is not None or draw(st.booleans()):
        choice["finish_reason"] = reason
    choices = [choice]
    if draw(st.integers(0, 9)) == 9:
        other = {"index": draw(st.integers(1, 2)), "delta": draw(DELTAS), "finish_reason": draw(st.none() | REASONS)}
        choices.insert(draw(st.integers(0, 1)), other)
    head = draw(st.sampled_from([{}, {"id": "c", "object": "chat.completion.chunk", "created": 1.5, "model": "m"}]))
    usage = draw(counted)
    return {**head, "choices": choices, **({} if usage is None and draw(st.booleans()) else {"usage": usage})} | draw(
        UNKNOWN
    )


@st.composite
def written(draw: st.DrawFn, value: Any, numbered: bool, newline: str) -> bytes:
    """`value` as an event (None is ``[DONE]``), with what a server may put before it."""
    separators = draw(st.sampled_from([(",", ":"), (", ", ": ")]))
    indent = draw(st.sampled_from([None, None, None, 1]))
    dumped = json.dumps(value, ensure_ascii=draw(st.booleans()), separators=separators, indent=indent)
    prefix = draw(st.sampled_from(["data: ", "data:"]))
    lines: list[str] = draw(st.lists(FILLERS, max_size=1))
    if numbered:
        lines += draw(st.sampled_from([[], ["id: 7"]]))
    else:  # After an `id`, the SDK takes every blank line for an event.
        lines = draw(st.sampled_from([[], [""], [": keep-alive", ""]])) + lines
    lines += [prefix + line for line in ("[DONE]" if value is None else dumped).split("\n")]
    return "".join(line + newline for line in [*lines, ""]).encode()


@dataclass
class Said:
    """What was said in all."""

    text: str = ""
    reasoning: str = ""
    calls: dict[int, tuple[str, str, str]] = field(default_factory=dict[int, tuple[str, str, str]])
    reason: str | None = None
    usage: tuple[int, int, int, int] | None = None

    def think(self, one: str | None, other: str | None) -> None:
        self.reasoning += (one or "") + ((other or "") if other != one else "")

    def call(self, index: int, id_: str | None, name: str | None, arguments: str | None) -> None:
        if id_ or name or arguments:
            before = self.calls.get(index, ("", "", ""))
            self.calls[index] = (id_ or before[0], before[1] + (name or ""), before[2] + (arguments or ""))

    def take_chunk(self, chunk: Any) -> None:
        """One of the SDK's."""
        if counts := chunk.usage:
            asked, answered = counts.prompt_tokens_details, counts.completion_tokens_details
            cached, thought = (asked and asked.cached_tokens) or 0, (answered and answered.reasoning_tokens) or 0
            self.usage = (counts.prompt_tokens, cached, counts.completion_tokens, thought)
        for choice in chunk.choices or []:
            if choice.index:
                continue
            delta = choice.delta
            self.text += (delta.content or "") + (delta.refusal or "")
            self.think(delta.model_extra.get("reasoning"), delta.model_extra.get("reasoning_content"))
            for call in delta.tool_calls or []:
                self.call(call.index, call.id, call.function.name, call.function.arguments)
            self.reason = choice.finish_reason or self.reason

    def take_event(self, event: StreamEvent) -> None:
        """One of ours."""
        match event:
            case TextDelta(text):
                self.text += text
            case ReasoningDelta(text):
                self.reasoning += text
            case ToolCallDelta(index, id_, name, arguments):
                self.call(index, id_, name, arguments)
            case Finished(reason, usage):
                self.reason = reason
                if isinstance(usage, Usage):
                    inputs = (usage.input_tokens, usage.cached_input_tokens)
                    self.usage = (*inputs, usage.output_tokens, usage.reasoning_tokens)
            case _:
                raise AssertionError(event)


Outcome: TypeAlias = tuple[Said, Exception | None]


def theirs(pieces: Sequence[bytes], *, lost: bool = False) -> Outcome:
    """The answer as the SDK reads it."""

    def body() -> Iterator[bytes]:
        yield from pieces
        if lost:
            raise httpx2.ReadError("lost")

    headers = {"content-type": "text/event-stream"}
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, headers=headers, content=body()))
    said = Said()
    with (
        httpx2.Client(transport=transport) as http,
        openai.OpenAI(api_key="x", base_url="http://127.0.0.1/v1", http_client=http, max_retries=0) as sdk,
    ):
        try:
            for chunk in sdk.chat.completions.create(**ASK, stream=True):
                said.take_chunk(chunk)
        except (openai.OpenAIError, ValueError) as error:
            return said, error
    return said, None


def ours(
    pieces: Sequence[bytes], *, lost: bool = False, terminal: Terminal = Terminal.FINISH_REASON
) -> tuple[Said, PointsmanError | None]:
    """The answer as we read it."""

    def complain(event: Any, begun: bool) -> PointsmanError:
        return StreamBroken(str(event))

    decoder = ChatDecoder(Target("acme", "m"), Quirks(terminal=terminal), complain)
    for piece in pieces:
        decoder.feed(piece)
    decoder.end(ConnectionResetError("lost") if lost else None)
    said = Said()
    for event in decoder.ready:
        said.take_event(event)
    return said, decoder.failure


@st.composite
def cut(draw: st.DrawFn, body: bytes) -> list[bytes]:
    """`body` in pieces."""
    if every := draw(st.sampled_from([b"", b"", b"", b"(?s).", b"[^\r]*\r?"])):
        return re.findall(every, body)
    places = sorted(draw(st.lists(st.integers(0, len(body)), max_size=6)))
    return [body[start:end] for start, end in pairwise([0, *places, len(body)])]


@given(scripts(), st.data())
def test_the_same_answer(script: Script, data: st.DataObject) -> None:
    body = b"".join(script.parts[: data.draw(st.sampled_from([None, script.done]), "[DONE] is missing")])
    said, failure = ours(data.draw(cut(body)))
    assert (said, failure) == theirs(data.draw(cut(body)))
    assert (said.text, said.reason, failure) == (script.text, script.reason, None)


def verdict(whole: bool, script: Script, outcome: tuple[Said, PointsmanError | None]) -> None:
    """Ours is right: everything, or an error after a part of it."""
    said, failure = outcome
    if whole:
        assert failure is None
        assert said.text == script.text
        assert said.reason in (script.reason, "done")
    else:
        assert isinstance(failure, StreamBroken)
        assert script.text.startswith(said.text)
        assert said.reason is None


@given(scripts(ids=st.just(False)), BOTH_PROOFS, st.data())
def test_a_stream_that_is_cut(script: Script, terminal: Terminal, data: st.DataObject) -> None:
    """At any byte. The SDK tells only where the connection was lost, or in the middle of a character."""
    body = b"".join(script.parts)
    place = data.draw(st.sampled_from([script.finish, script.done]) | st.integers(0, script.done), "in part")
    start, stop = (len(b"".join(script.parts[:count])) for count in (place, place + 1))
    at = data.draw(st.integers(start, stop) | st.integers(script.end(place) - 1, stop), "at byte")
    lost = data.draw(st.booleans(), "connection lost")
    pieces = data.draw(cut(body[:at]))

    verdict(at >= script.end(script.proof(terminal)), script, ours(pieces, lost=lost, terminal=terminal))

    said, error = theirs(pieces, lost=lost)
    told = at >= script.told(script.done)
    if told:
        assert error is None
    elif lost:
        assert isinstance(error, openai.APIConnectionError)
    else:
        assert error is None or is_cut(body[:at], error)
    assert said.reason == (script.reason if at >= script.told(script.finish) else None)
    assert script.text.startswith(said.text)


def is_cut(body: bytes, error: Exception) -> bool:
    """The body ends inside a character."""
    try:
        body.decode()
    except UnicodeDecodeError as cut:
        return str(cut.reason) == "unexpected end of data" and isinstance(error, UnicodeDecodeError)
    return False


def event(data: str, name: str = "") -> bytes:
    return (f"event: {name}\n" if name else "").encode() + f"data: {data}\n\n".encode()


BROKE = {"message": "it broke", "code": 500}
GARBAGE = ["{oops", "{} {}", "{}\ndata: {}", '{"choices":[{"index":0,"delta":{"content":"', "<html>", "nil", "[DONE"]
ERRORS: list[Any] = [{"error": BROKE}, {"error": "it broke"}, {"error": BROKE, "choices": []}]
HIDDEN: list[Any] = [{"object": "error"} | BROKE, {"choices": [{"index": 0, "delta": {}, "error": BROKE}]}]
NO_EVENTS = [b"oops\n\n", b"HTTP/1.1 502 Bad Gateway\n\n", b"<html>data: x</html>\n\n", b"\0\n\n"]

FAULTS: list[tuple[bytes, bool, type[Exception] | None]] = [
    *[(event(data), True, json.JSONDecodeError) for data in GARBAGE],
    *[(event(json.dumps(data)), True, openai.APIError) for data in ERRORS],
    *[(event(json.dumps(data)), True, None) for data in HIDDEN],
    *[
        (event(json.dumps(data), "error"), True, None)
        for data in (BROKE, {"choices": []}, {"choices": [{"delta": {}}]})
    ],
    *[(data, False, None) for data in NO_EVENTS],
]
"""Each with whether it is one before the proof, and with what the SDK raises wherever before ``[DONE]`` it meets it."""


@given(scripts(ids=st.just(False)), BOTH_PROOFS, st.data())
def test_a_stream_with_a_fault(script: Script, terminal: Terminal, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(script.parts)), "before part")
    before, after = b"".join(script.parts[:at]), b"".join(script.parts[at:])
    for fault, fatal, _ in FAULTS:
        pieces = [before, fault, after]
        verdict(at > script.proof(terminal) or not fatal, script, ours(pieces, terminal=terminal))

    fault, fatal, kind = data.draw(st.sampled_from(FAULTS))  # The SDK is slow.
    pieces = data.draw(cut(before + fault + after))
    verdict(at > script.proof(terminal) or not fatal, script, ours(pieces, terminal=terminal))
    said, error = theirs(pieces)
    if kind is not None and at <= script.done:
        assert type(error) is kind
    else:
        assert (said.text, said.reason, error) == (script.text, script.reason, None)


@given(scripts(), BOTH_PROOFS)
def test_a_stream_without_its_end(script: Script, terminal: Terminal) -> None:
    """Only ``[DONE]`` comes. Where that is the proof, nothing shows that something is missing."""
    pieces = [*script.parts[: script.finish], script.parts[script.done]]
    said, failure = ours(pieces, terminal=terminal)
    assert script.text.startswith(said.text)
    assert isinstance(failure, StreamBroken) is (terminal is Terminal.FINISH_REASON)
    seen, error = theirs(pieces)
    assert (seen.text, seen.reason, error) == (said.text, None, None)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # test_sdk_differs.py tells why
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_over_http(backend: str, opened: Open) -> None:
    """The same over loopback, in pieces of any size, whole or cut."""

    async def play(script: Script, raw: Raw, at: int, how: Ending) -> None:
        async with Lab() as lab:
            vendor = lab.vendor("openai")
            vendor.script(raw, raw)
            we, they = await hear_us(opened, vendor.base_url), await hear_them(vendor.base_url)
        if at >= script.told(script.done):
            assert we == they
            assert we[1] is None
        verdict(at >= script.end(script.finish), script, we)
        if how != "clean" and at < script.told(script.done):
            assert isinstance(they[1], openai.APIConnectionError)

    @settings(max_examples=min(settings().max_examples, 200))  # An example takes a tenth of a second.
    @given(scripts(ids=st.just(False)), st.data())
    def check(script: Script, data: st.DataObject) -> None:
        body = b"".join(script.parts)
        at = data.draw(st.just(len(body)) | st.integers(0, len(body)), "at byte")
        how: Ending = data.draw(st.sampled_from(["clean", "close", "reset"]), "how")
        raw = Raw(body[:at], chunked=True) if how == "clean" else Raw(body).cut(at=at, how=how)
        raw = raw.drip(data.draw(st.sampled_from([5, 64, 9999]), "pieces of"))
        anyio.run(play, script, raw, at, how, backend=backend)

    check()
    gc.collect()  # What the SDK left open complains here, not in a later test.


async def hear_us(opened: Open, base_url: str) -> tuple[Said, PointsmanError | None]:
    said = Said()
    try:
        async with (
            opened(base_url) as session,
            session.stream(ChatRequest(messages=(user("hi"),), model="m")) as stream,
        ):
            async for event in stream:
                said.take_event(event)
    except PointsmanError as error:
        return said, error
    return said, None


async def hear_them(base_url: str) -> Outcome:
    said = Said()
    try:
        async with (
            httpx2.AsyncClient(trust_env=False, verify=False) as http,
            openai.AsyncOpenAI(api_key="x", base_url=base_url, http_client=http, max_retries=0) as sdk,
        ):
            async for chunk in await sdk.chat.completions.create(**ASK, stream=True):
                said.take_chunk(chunk)
    except (openai.OpenAIError, ValueError) as error:
        return said, error
    return said, None

"""Ollama's own client reads the same bytes the same way; and where it is known to fail, ours is right.

Streams are drawn as servers send them: thoughts, text and calls on any lines, also on the last, in any writes.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx
import ollama
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import (
    ChatRequest,
    Finished,
    ProviderContext,
    RateLimits,
    ReasoningDelta,
    StreamBroken,
    TextDelta,
    ToolCallDelta,
    user,
)
from pointsman_ollama import SPEC, OllamaConfig
from pointsman_testing import Ending, Lab, OllamaApi, Raw

MESSAGES = [{"role": "user", "content": "hi"}]
REQUEST = ChatRequest(messages=(user("hi"),), model="m")

# Go's encoder escapes U+2028 and U+2029 and control characters; U+0085, at which the client breaks, is left to a test.
TEXTS = st.text(alphabet=st.sampled_from('a "\\\n\r\0\x1c\u2028\ufeff😀<&') | st.characters(codec="utf-8"), max_size=6)
ARGUMENTS: Any = st.dictionaries(
    TEXTS,
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
        max_leaves=4,
    ),
    max_size=3,
)
CALLS: Any = st.fixed_dictionaries(
    {
        "function": st.fixed_dictionaries(
            {"name": TEXTS.filter(bool), "arguments": ARGUMENTS}, optional={"index": st.integers(0, 2)}
        )
    },
    optional={"id": st.sampled_from(["call_ab12cd34", "call_00000000"])},
)
CALL_LISTS: Any = st.lists(CALLS, max_size=2)
MESSAGE: Any = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": TEXTS},
    optional={"thinking": TEXTS, "tool_calls": CALL_LISTS},
)
UNKNOWN: Any = st.dictionaries(TEXTS.map("x_".__add__), TEXTS, max_size=1)
COUNT = st.integers(1, 10**9)
LAST: Any = st.fixed_dictionaries(
    {"done": st.just(True)},
    optional={
        "done_reason": st.sampled_from(["stop", "length", "load", "unload", "something_new"]),
        "total_duration": COUNT,
        "load_duration": COUNT,
        "prompt_eval_count": COUNT,
        "prompt_eval_duration": COUNT,
        "eval_count": COUNT,
        "eval_duration": COUNT,
    },
)


def go(value: Any) -> str:
    """JSON as Go writes it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029\x85":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    head = {"model": "m", "created_at": "2026-11-23T10:00:00.123456789Z"}
    lines = [head | {"message": draw(MESSAGE), "done": False} | draw(UNKNOWN) for _ in range(draw(st.integers(0, 5)))]
    lines.append(head | {"message": draw(MESSAGE)} | draw(LAST) | draw(UNKNOWN))
    return "".join(go(line) + "\n" for line in lines).encode()


@dataclass
class Told:
    """What a reader made of a stream."""

    text: str = ""
    thoughts: str = ""
    calls: list[Any] = field(default_factory=list[Any])
    reason: str | None = None
    counts: tuple[int, int] | None = None
    durations: list[float | None] = field(default_factory=list[float | None])


def judge(url: str) -> Any:
    """The client, of which much has no types."""
    return ollama.AsyncClient(host=url)


async def theirs(url: str) -> Told:
    told, last = Told(), None
    client = judge(url)
    try:
        async for part in await client.chat("m", MESSAGES, stream=True):
            told.text += part.message.content or ""
            told.thoughts += part.message.thinking or ""
            for call in part.message.tool_calls or ():
                told.calls.append((call.function.name, dict(call.function.arguments)))
            last = part
    finally:
        await client._client.aclose()
    assert last is not None
    assert last.done
    told.reason = last.done_reason
    if last.prompt_eval_count is not None and last.eval_count is not None:
        told.counts = (last.prompt_eval_count, last.eval_count)
    spans = (last.load_duration, last.prompt_eval_duration, last.eval_duration, last.total_duration)
    told.durations = [None if span is None else span / 1e9 for span in spans]
    return told


async def ours(url: str) -> Told:
    told = Told()
    context = ProviderContext(
        name="ollama",
        clock=anyio.current_time,
        secrets={},
        limits=RateLimits(),
        log=logging.LoggerAdapter(logging.getLogger("ollama"), {}),
    )
    async with SPEC.open(OllamaConfig(base_url=url), context) as session, session.stream(REQUEST) as events:
        async for event in events:
            match event:
                case TextDelta(text):
                    told.text += text
                case ReasoningDelta(text):
                    told.thoughts += text
                case ToolCallDelta(index, call_id, name, arguments):
                    assert index == len(told.calls)
                    assert call_id
                    told.calls.append((name, json.loads(arguments)))
                case Finished(reason, usage, _, server):
                    told.reason = reason
                    told.counts = (usage.input_tokens, usage.output_tokens) if usage else None
                    spans = (server.load, server.prompt, server.output, server.total) if server else (None,) * 4
                    told.durations = list(spans)
                case _:
                    raise AssertionError(event)
    return told


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@given(body=bodies(), drip=st.none() | st.integers(1, 40))
def test_both_read_healthy_streams_alike(backend: str, body: bytes, drip: int | None) -> None:
    async def main() -> None:
        async with Lab() as lab:
            vendor = lab.vendor("ollama", dialect=OllamaApi())
            raw = Raw(body, content_type="application/x-ndjson")
            vendor.default = raw if drip is None else raw.drip(drip)
            mine, judged = await ours(vendor.base_url), await theirs(vendor.base_url)
        said = judged.text or judged.thoughts or judged.calls
        expected = judged.reason or "done"
        if judged.calls and expected in ("stop", "done"):
            expected = "tool_calls"  # The one word that we add.
        judged.reason = expected
        if mine.counts != judged.counts:
            assert not said  # Where nothing was said, a count that is left out is 0, not unknown.
            assert mine.counts is not None
            assert mine.counts[1] == 0
            judged.counts = mine.counts
        assert mine == judged

    anyio.run(main, backend=backend)


def line(content: str, **fields: Any) -> bytes:
    message = {"role": "assistant", "content": content}
    return json.dumps({"message": message, "done": False, **fields}, ensure_ascii=False).encode() + b"\n"


WHOLE = line("Ein") + line(" Stück 😀") + line("", done=True, done_reason="stop", prompt_eval_count=2, eval_count=3)


@pytest.mark.parametrize("how", ["clean", "close", "reset"])
async def test_cut_at_every_byte_over_http(how: Ending) -> None:
    """By the script's own word: whole where the last line arrived with its newline, or before a clean end."""
    async with Lab() as lab:
        vendor = lab.vendor("ollama", dialect=OllamaApi())
        for at in range(len(WHOLE) + 1):
            vendor.script(Raw(WHOLE, content_type="application/x-ndjson").cut(at=at, how=how))
            proved = at >= len(WHOLE) - (1 if how == "clean" else 0)
            if proved:
                told = await ours(vendor.base_url)
                assert (told.text, told.reason, told.counts) == ("Ein Stück 😀", "stop", (2, 3)), at
            else:
                with pytest.raises(StreamBroken):
                    await ours(vendor.base_url)


@pytest.mark.parametrize(
    "body",
    [b"", line("a"), line("a") + line("b"), line("a", done_reason="")],
    ids=["nothing", "a line", "two lines", "no reason"],
)
async def test_a_stream_without_its_end_is_broken(body: bytes) -> None:
    """Which the client takes for an answer."""
    async with Lab() as lab:
        vendor = lab.vendor("ollama", dialect=OllamaApi())
        vendor.default = Raw(body, content_type="application/x-ndjson")
        client = judge(vendor.base_url)
        parts = [part async for part in await client.chat("m", MESSAGES, stream=True)]
        await client._client.aclose()
        assert not any(part.done for part in parts)
        with pytest.raises(StreamBroken):
            await ours(vendor.base_url)


@pytest.mark.parametrize("mark", ["\x85", "\u2028", "\u2029", "\x1e"])
async def test_a_mark_that_is_no_newline(mark: str, anyio_backend: str) -> None:
    """Which the client takes for one, wherever it stands raw; a server writes U+0085 so."""
    body = line("one#two") + line("", done=True, done_reason="stop")
    async with Lab() as lab:
        vendor = lab.vendor("ollama", dialect=OllamaApi())
        vendor.default = Raw(body.replace(b"#", mark.encode()), content_type="application/x-ndjson")
        if anyio_backend == "asyncio":  # On trio it leaves its generators open, which is a warning each.
            client = judge(vendor.base_url)
            with pytest.raises(json.JSONDecodeError):
                _ = [part async for part in await client.chat("m", MESSAGES, stream=True)]
            await client._client.aclose()
        assert (await ours(vendor.base_url)).text == f"one{mark}two"


async def test_what_follows_the_end() -> None:
    """Which the client hands on."""
    async with Lab() as lab:
        vendor = lab.vendor("ollama", dialect=OllamaApi())
        vendor.default = Raw(WHOLE + line("more"), content_type="application/x-ndjson")
        client = judge(vendor.base_url)
        parts = [part async for part in await client.chat("m", MESSAGES, stream=True)]
        await client._client.aclose()
        assert parts[-1].message.content == "more"
        assert (await ours(vendor.base_url)).text == "Ein Stück 😀"


def test_the_client_is_the_one_that_was_measured() -> None:
    """It stands on httpx; ours on httpx2."""
    assert httpx.AsyncClient in type(judge("")._client).__mro__
